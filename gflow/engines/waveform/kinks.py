"""Where on a window the pulls have kinks that no polynomial follows, or are not known well enough
for what neurons do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...kernels.chebyshev import nodes
from ...kernels.crossings import RESIDUAL_ERROR
from ...problem.data import Arrangement
from ...kernels.logs import sides_after
from ...kernels.slides import margins_beside
from ..pattern import Geometry
from ..sliding import Margins
from .guess import DEGREE
from .rounds import ALLOWANCE, Outcome

if TYPE_CHECKING:
    from .marcher import Frame

BLUR = 100.0
"""Error of the pulls where a slide ends, over ``rtol`` and the largest pull so far: its time is off
by as much of the time in which pulls change. Larger: fewer windows."""

ENOUGH = 3
"""Nodes of a stretch on which a margin is looked at: on fewer, one that passes 0 may be small."""


def first_bend(log: np.ndarray, A: Arrangement, size: np.ndarray, rtol: float) -> float:
    """Time in (-1, 1) of the first event that bends the pulls too much for a polynomial; 1 if there
    is none.

    Parameters
    ----------
    log : ndarray, shape (E, 6)
        Events, see `gflow.kernels.march.march`.
    A : Arrangement
    size : ndarray, shape (n,)
        How much the pulls of the points move a neuron.
    rtol : float
    """
    log = log[np.argsort(log[:, 1], kind="stable")]
    h = log[:, 2].astype(np.int64)
    size = np.append(np.maximum.reduceat(size[A.member], A.start[:-1])
                     if A.member.size else [], 0.0)
    # Neurons that bend at the same time count together. With s = cos(theta) the slope in theta
    # jumps by sin(theta) times as much, and T_j of a kink falls like 1 / j^2.
    bend = np.sqrt(np.maximum(1.0 - log[:, 1]**2, 0.0))
    bend = np.cumsum(bend * log[:, 5] * size[h]) / DEGREE**2 / ALLOWANCE
    before = np.searchsorted(log[:, 1], log[:, 1] - 1e-3)
    together = bend - np.append(0.0, bend)[before]
    sharp = np.flatnonzero((together > 0.5 * rtol) & (log[:, 1] > -0.9))
    return float(log[sharp[0], 1]) if sharp.size else 1.0


def blurred_release(log: np.ndarray, outcome: Outcome, pulled: float, rtol: float) -> float:
    """Time in (-1, 1) of the first slide that ends, if pulls are not known well enough there; 1
    else.

    What the pulls are off averages out in weights, but a slide ends where pulls balance. A window
    up to there has no kink of theirs. ``pulled`` is the largest pull so far.
    """
    off = float(np.abs(outcome.values - outcome.used).max())
    if off <= BLUR * rtol * pulled:
        return 1.0
    ends = log[(log[:, 3] == 0) & (log[:, 2] >= 0) & (log[:, 1] > -0.9), 1]
    return float(ends.min(initial=1.0))


def fitted(before: np.ndarray, outcome: Outcome) -> np.ndarray:
    """Sizes (n,) of the pulls of points that have been fitted: all of them is error; 0 for others.

    What rounds leave of the pulls is up to some ``rtol`` over the length of a window, and averages
    out in weights. But where a pull has come to 0 it may lead a neuron off that slides for ever, or
    until both sides repel it. ``before`` are those of the window before.
    """
    level = np.maximum(before, outcome.off)
    return np.where(np.abs(outcome.used).max(axis=0) <= 2.0 * level,
                    np.maximum(outcome.off, np.abs(outcome.values[-1])), 0.0)


def vague_release(frame: Frame, outcome: Outcome, geometry: Geometry,
                  before: np.ndarray) -> bool:
    """Whether a slide ends on a window though its margin is nowhere clear of what rounds have left
    of the pulls, until something else happens to the neuron; see `fitted`, and for ``before``."""
    # A margin is a sum of pulls: some of these are errors for as long.
    small = np.abs(outcome.used) <= 2.0 * np.maximum(before, outcome.off)
    if not (small.sum(axis=0) >= ENOUGH).any():
        return False
    log = frame.log
    rows = np.flatnonzero((log[:, 3] == 0) & (log[:, 4] != 0) & (log[:, 2] >= 0))
    if not rows.size:
        return False
    i, h = log[rows, 0].astype(np.int64), log[rows, 2].astype(np.int64)
    side, between = sides_after(log, rows, frame.side)
    sign = np.sign(frame.window.U[i, 0])
    margins = Margins(geometry, outcome.used, RESIDUAL_ERROR * frame.error + outcome.off)
    own, _, wrong = margins_beside(margins.p, margins.error, side, h, sign,
                                   frame.marcher.geometry.normal, geometry.X, geometry.label,
                                   geometry.length)
    s = nodes(margins.fine)
    there = (s >= between[:, :1]) & (s <= between[:, 1:])
    vague = ~((np.abs(own) > wrong[:, None]) & there).any(axis=1) & (there.sum(axis=1) >= ENOUGH)
    return bool((vague & (sign != 0) & np.isfinite(wrong)).any())
