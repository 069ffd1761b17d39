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
ROUNDING, SWINGS = 1e-12, 30.0
"""A neuron has come, or left, only where its distance has changed by more than this, and by so many
``rtol``: dense output swings by some, beside a hyperplane of almost the same direction too."""
MOST = 200
"""So many places are looked at, those that seem the nearest first."""
GRID, ZOOMS = 33, 3
"""Points of a grid, and grids, each between the neighbours of the lowest point of the one before:
a distance is then known to some 1e-9 of how it changes between two looks."""


class Miss(NamedTuple):
    """A neuron that turns back at a time before it meets a hyperplane, at a distance
    ``|w.x| / (|u| |x|)``."""

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
    rtol : float
        Of the run.
    unit : ndarray, shape (d + 1,), optional
        What ``(a, w)`` is multiplied by to give the neuron ``u`` that ``rtol`` is relative to.
    """

    def __init__(self, who: np.ndarray, normal: np.ndarray, rtol: float,
                 unit: np.ndarray | float = 1.0) -> None:
        self.who, self.normal, self.least = who, normal, max(ROUNDING, SWINGS * rtol)
        self.unit = unit
        shape = who.size, len(normal)
        self.times: list[float] = []
        # Distances at the last look; and the least of each since it has come near, or the largest
        # since it has left, with those at the looks before and after, and when that was.
        self.last, self.turn = np.zeros(shape), np.zeros(shape)
        self.before, self.after = np.zeros(shape), np.zeros(shape)
        self.at, self.comes = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
        self.met = np.zeros(shape, dtype=bool)
        self.seen: list[tuple[float, int, int, float, float]] = []

    def look(self, t: float, U: np.ndarray, met: np.ndarray) -> None:
        """The neurons ``U`` (s, d + 1) at a time, in any units; of the pairs ``met`` (s, C) of a
        neuron and a hyperplane one has met the other since the last look, or slides on it."""
        met = self.met | met
        if self.times and t <= self.times[-1]:
            self.met = met
            return
        self.met = np.zeros_like(met)
        U = U * self.unit
        k, size = len(self.times), np.hypot(U[:, 0], row_norms(U[:, 1:]))[:, None]
        z = np.abs(U[:, 1:] @ self.normal.T) / np.where(size > 0, size, 1.0)
        self.times.append(t)
        next_to = self.at == k - 1
        self.after[next_to] = z[next_to]
        left = self.comes & ~met & (z > self.turn + self.least)
        self._note(*np.nonzero(left & (self.turn < NEAR)))
        comes = ~self.comes & ~met & (z < self.turn - self.least)
        further = np.where(self.comes, z <= self.turn, z >= self.turn)
        new = left | comes | further | met | (k == 0)
        self.comes = (self.comes | comes) & ~(left | met)
        self.turn[new], self.before[new], self.at[new] = z[new], self.last[new], k
        self.last = z

    def _note(self, i: np.ndarray, h: np.ndarray) -> None:
        """Neurons ``i`` have turned back at hyperplanes ``h``."""
        times = np.array(self.times)
        low, now, high = (times[self.at[i, h] + j] for j in (-1, 0, 1))
        least = _bottom(low, now, high, *(z[i, h] for z in (self.before, self.turn, self.after)))
        self.seen += zip(least.tolist(), i.tolist(), h.tolist(), low.tolist(), high.tolist())

    def found(self, flow: Record) -> list[Miss]:
        """Those that are nearest, with their distances."""
        found = []
        for _, i, h, low, high in sorted(self.seen)[:MOST]:
            t, depth = _lowest(flow, int(self.who[i]), self.normal[h], low, high, self.unit)
            if depth > ROUNDING:
                found.append(Miss(t, int(self.who[i]), h, depth))
        return found


def _bottom(t0: np.ndarray, t1: np.ndarray, t2: np.ndarray, z0: np.ndarray, z1: np.ndarray,
            z2: np.ndarray) -> np.ndarray:
    """The least value, 0 at least, of the parabolas through three points of which the second is the
    lowest."""
    one, two = (z0 - z1) / (t0 - t1), (z2 - z1) / (t2 - t1)
    bend = (two - one) / (t2 - t0)
    slope = one + bend * (t1 - t0)
    return np.asarray(np.maximum(z1 - slope**2 / np.where(bend > 0, 4 * bend, np.inf), 0.0))


def _lowest(flow: Record, i: int, normal: np.ndarray, low: float, high: float,
            unit: np.ndarray | float) -> tuple[float, float]:
    """When neuron ``i``, times ``unit``, is nearest to a hyperplane between two times, and how
    near: negative if it is on the other side there."""
    sign, t, depth = 0.0, low, np.inf
    for _ in range(ZOOMS):
        times = np.linspace(low, high, GRID)
        u = flow.path.scaled(times)[0][:, i] * unit
        z = u[:, 1:] @ normal / np.maximum(row_norms(u), np.finfo(float).tiny)
        sign = sign or float(np.sign(z[0]))
        j = int(np.argmin(sign * z))
        t, depth = float(times[j]), float(sign * z[j])
        low, high = times[max(j - 1, 0)], times[min(j + 1, GRID - 1)]
    return t, depth
