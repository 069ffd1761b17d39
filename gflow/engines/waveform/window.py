"""A window of time of the fast engine: where neurons start, and the pulls that they see."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.polynomial.chebyshev import chebvander

from ...kernels.chebyshev import nodes, restrict, to_series


@dataclass
class Window:
    """A window of time: its start, and the pulls that neurons saw on it.

    Attributes
    ----------
    t0, t1 : float
        Ends.
    U : ndarray, shape (m, d + 1)
        ``(a, w)`` of every neuron at ``t0``, in units of ``2 ** power``.
    power : ndarray of int, shape (m,)
        Exponent of every neuron.
    loose : ndarray of int
        Flat indices in (m, C) of hyperplanes just left.
    direction, closest : ndarray
        Last scans, see `gflow.kernels.watch.scan`.
    strength : float or ndarray, shape (n,)
        ``sum |a_i| |w_i|``, times the curvature of the loss at every point, if that is not 1: what
        errors of the weights do to pulls.
    values : ndarray, shape (p, n)
        Pulls at the Chebyshev nodes.
    doubt : ndarray, shape (n,) or (0,)
        How much these are wrong besides; see `gflow.engines.waveform.kinks.fitted`.
    events : ndarray, shape (E, 5)
        Neuron, s in [-1, 1], hyperplane (-1: came to rest at w = 0), old and new side.
    """

    t0: float
    t1: float
    U: np.ndarray
    power: np.ndarray
    loose: np.ndarray
    direction: np.ndarray
    closest: np.ndarray
    strength: float | np.ndarray
    values: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    events: np.ndarray = field(default_factory=lambda: np.empty((0, 5)))
    doubt: np.ndarray = field(default_factory=lambda: np.empty(0))

    def part(self, end: float) -> Window:
        """The window up to ``end`` in (-1, 1], without its events."""
        degree = len(self.values) - 1
        series = restrict(degree, end) @ to_series(degree) @ self.values
        return replace(self, t1=self.t0 + (end + 1) / 2 * (self.t1 - self.t0),
                       values=np.ascontiguousarray(chebvander(nodes(degree), degree) @ series),
                       events=np.empty((0, 5)))

    def sides(self, side: np.ndarray, t: float = np.inf) -> np.ndarray:
        """Sides (m, C) at ``t``, of neurons that begin the window on ``side``."""
        when = self.t0 + (self.events[:, 1] + 1) / 2 * (self.t1 - self.t0)
        return replayed(side, self.events[when <= t])

    def loose_on(self, shape: tuple[int, ...]) -> np.ndarray:
        """``loose`` as a mask (m, C)."""
        mask = np.zeros(shape, dtype=bool)
        mask.ravel()[self.loose] = True
        return mask


def replayed(side: np.ndarray, log: np.ndarray) -> np.ndarray:
    """Sides (m, C) after the events ``log`` (E, 5) of one window or several, in order; those of a
    neuron that comes to rest stay."""
    log = log[log[:, 2] >= 0]
    side = side.copy()
    side[log[:, 0].astype(int), log[:, 2].astype(int)] = log[:, 4]
    return side
