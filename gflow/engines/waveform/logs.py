"""What happened on a window, in the words of users: times, points and codes.

Logs are those of `gflow.kernels.march.march`: neuron, s in [-1, 1], hyperplane, old and new side.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial.chebyshev import chebval

from ...kernels.logs import any_small
from ...kernels.switch import SMALL
from ...problem.data import Arrangement, Data
from ...problem.norms import row_norms
from ..at_zero import stayed
from ..events import changed_points
from ..pattern import undecided
from .window import Window

NOTHING = np.empty((0, 6))
AT_ONCE = 1e-6
"""So near in a window of length 2 contacts of one neuron are one."""


def times(s: np.ndarray, window: Window) -> np.ndarray:
    """Times at ``s`` in [-1, 1] of a window."""
    return np.asarray(window.t0 + (s + 1) / 2 * (window.t1 - window.t0))


def changes(A: Arrangement, log: np.ndarray, side: np.ndarray, window: Window
            ) -> tuple[np.ndarray, ...]:
    """Time, neuron, point, and codes before and after of all changes of the pattern; ``side``
    (m, C) are sides at the end."""
    i, h = log[:, 0].astype(np.int64), log[:, 2].astype(np.int64)
    row, point, before, after = changed_points(A, i, h, log[:, 3], log[:, 4], side)
    return times(log[row, 1], window), i[row], point, before, after


def choices(rows: np.ndarray, window: Window) -> np.ndarray:
    """Choices between several solutions, as `march` logs them: neuron, time, hyperplane, side,
    side in another, and number of solutions."""
    n, s, plane, other, side, solutions = rows.T
    return np.column_stack([n, times(s, window), -2 - plane, side, other, solutions])


def leaky_choices(data: Data, log: np.ndarray, series: np.ndarray, window: Window) -> np.ndarray:
    """The same of leaky neurons that are let go where points pull no more; ``series`` (J, n) are
    the pulls."""
    left = log[(log[:, 3] == 0) & (log[:, 2] >= 0)]
    left = left[undecided(data, left[:, 2].astype(int), chebval(left[:, 1], series).T)]
    return np.column_stack([left[:, 0], times(left[:, 1], window), left[:, 2], left[:, 4],
                            -left[:, 4], np.full(len(left), 2.0)])


def passed_zero(side: np.ndarray, log: np.ndarray, window: Window, d: int) -> tuple[int, float]:
    """The first leaky neuron that has passed ``w = 0`` on a window that it began on sides ``side``,
    and when; -1 if there is none.

    While it slides on d - 1 hyperplanes it meets others nowhere else.
    """
    slides = (side == 0).sum(axis=1)
    # Before the instant of its last event.
    before, last = slides.copy(), np.full(len(slides), -2.0)
    for neuron, s, plane, old, new in log[:, :5]:
        i = int(neuron)
        if s > last[i]:
            before[i], last[i] = slides[i], s
        if old != 0 and d > 1 and before[i] >= d - 1 and plane >= 0:
            return i, float(times(s, window))
        slides[i] += int(new == 0) - int(old == 0)
    return -1, window.t1


def put_at_zero(data: Data, side: np.ndarray, log: np.ndarray, a: np.ndarray, series: np.ndarray,
                window: Window) -> list[np.ndarray]:
    """The same of neurons that came to ``w = 0`` on a window which they began on sides ``side``
    (m, C) with output weights ``a`` (m,), not on a line; see `gflow.engines.at_zero.stayed`."""
    rows = []
    for e in np.flatnonzero((log[:, 2] == -1) & (data.d > 1)).tolist():
        i, s = int(log[e, 0]), float(log[e, 1])
        own = log[(log[:, 0] == i) & (log[:, 1] <= s) & (log[:, 2] >= 0)]
        slides = (side[i] == 0).sum() + (own[:, 4] == 0).sum() - (own[:, 3] == 0).sum()
        if slides < data.d - 1:
            rows.append(stayed(i, float(times(log[e, 1], window)), a[i], chebval(s, series), data))
    return rows


def through_zero(side: np.ndarray, log: np.ndarray, window: Window, begun: np.ndarray
                 ) -> np.ndarray:
    """Choices of neurons that went through ``w = 0``, where they could have stayed, on a window
    that they began on sides ``side`` (m, C): the hyperplanes that they met at once meet in 0.

    What is left of ``w`` there is the rounding of what it was before; not of those whose ``w`` has
    always been small, by ``begun`` (m,), see `gflow.engines.pattern.Pattern`.
    """
    U: np.ndarray = window.U
    if not any_small(U, log, SMALL):
        return NOTHING
    rows: list[list[float]] = []
    neuron = log[:, 0].astype(np.int64)
    small = row_norms(U[neuron, 1:]) < SMALL * np.abs(U[neuron, 0])
    enough = min(U.shape[1] - 1, side.shape[1])
    for i in np.flatnonzero(small & np.isinf(begun[neuron])).tolist():
        own = log[(log[:, 0] == log[i, 0]) & (np.abs(log[:, 1] - log[i, 1]) <= AT_ONCE)]
        met = np.append(own[:, 2], np.flatnonzero(side[int(log[i, 0])] == 0))
        if log[i, 4] == 1 and own[:, 2].min() >= 0 and np.unique(met).size >= enough:
            rows.append([log[i, 0], float(times(log[i, 1], window)), log[i, 2], 1.0, -1.0, 2.0])
    return np.array(rows).reshape(-1, 6)
