"""Hyperplanes that neurons nearly meet: a little less accurate, and they would have.

Where the margin ``w.x`` of a neuron has a least size that is not 0, the neuron turns back in time.
With an error of that size it meets the hyperplane, where its field jumps, and what it does from
then on may be something else.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..engines.record import Record
from ..problem.norms import row_norms

NEAR = 0.1
"""Distances beyond which a neuron is not followed to where it turns back, relative to it."""
ROUNDING = 1e-12
"""Distances, and changes of them, that are rounding: beside a hyperplane of almost the same
direction a sliding neuron stays at one distance."""
MOST = 200
"""So many places are looked at, those that seem the nearest first."""
GRID, ZOOMS = 33, 3
"""Points of a grid, and grids, each between the neighbours of the lowest point of the one before:
a distance is then known to some 1e-9 of how it changes between two looks."""


class Miss(NamedTuple):
    """A neuron that turns back at a time before it meets a hyperplane, at a distance
    ``|w.x| / (|(a, w)| |x|)``."""

    time: float
    neuron: int
    plane: int
    depth: float


class Misses:
    """Looks at some neurons from one time to the next.

    Parameters
    ----------
    who : ndarray of int, shape (s,)
        The neurons.
    normal : ndarray, shape (C, d)
        Unit normals of the hyperplanes.
    """

    def __init__(self, who: np.ndarray, normal: np.ndarray) -> None:
        self.who, self.normal = who, normal
        self.past: list[tuple[float, np.ndarray]] = []
        self.met = np.zeros((who.size, len(normal)), dtype=bool)
        self.seen: list[tuple[float, int, int, float, float]] = []

    def look(self, t: float, U: np.ndarray, met: np.ndarray) -> None:
        """The neurons ``U`` (s, d + 1) at a time, in any units; of the pairs ``met`` (s, C) of a
        neuron and a hyperplane one has met the other since the last look, or slides on it."""
        if self.past and t <= self.past[-1][0]:
            self.met = self.met | met
            return
        size = np.hypot(U[:, 0], row_norms(U[:, 1:]))[:, None]
        Z = (U[:, 1:] @ self.normal.T) / np.where(size > 0, size, 1.0)
        if len(self.past) == 2:
            (t0, before), (t1, now) = self.past
            low = np.abs(now)
            turns = (low < NEAR) & (low < np.minimum(np.abs(before), np.abs(Z)) - ROUNDING)
            turns &= (before * now > 0) & (now * Z > 0) & ~(self.met | met)
            i, h = np.nonzero(turns)
            least = _bottom(t0, t1, t, *(np.abs(z[i, h]) for z in (before, now, Z)))
            self.seen += zip(least.tolist(), i.tolist(), h.tolist(), [t0] * i.size, [t] * i.size)
        self.past, self.met = [*self.past[-1:], (t, Z)], met

    def found(self, flow: Record) -> list[Miss]:
        """Those that are nearest, with their distances."""
        found = []
        for _, i, h, low, high in sorted(self.seen)[:MOST]:
            t, depth = _lowest(flow, int(self.who[i]), self.normal[h], low, high)
            if depth > ROUNDING:
                found.append(Miss(t, int(self.who[i]), h, depth))
        return found


def _bottom(t0: float, t1: float, t2: float, z0: np.ndarray, z1: np.ndarray, z2: np.ndarray
            ) -> np.ndarray:
    """The least value, 0 at least, of the parabolas through three points of which the second is the
    lowest."""
    one, two = (z0 - z1) / (t0 - t1), (z2 - z1) / (t2 - t1)
    bend = (two - one) / (t2 - t0)
    slope = one + bend * (t1 - t0)
    return np.asarray(np.maximum(z1 - slope**2 / np.where(bend > 0, 4 * bend, np.inf), 0.0))


def _lowest(flow: Record, i: int, normal: np.ndarray, low: float, high: float
            ) -> tuple[float, float]:
    """When neuron ``i`` is nearest to a hyperplane between two times, and how near: negative if it
    is on the other side there."""
    sign, t, depth = 0.0, low, np.inf
    for _ in range(ZOOMS):
        times = np.linspace(low, high, GRID)
        u = flow.path.scaled(times)[0][:, i]
        z = u[:, 1:] @ normal / np.maximum(row_norms(u), np.finfo(float).tiny)
        sign = sign or float(np.sign(z[0]))
        j = int(np.argmin(sign * z))
        t, depth = float(times[j]), float(sign * z[j])
        low, high = times[max(j - 1, 0)], times[min(j + 1, GRID - 1)]
    return t, depth
