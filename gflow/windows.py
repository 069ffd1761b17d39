"""Dense output of the fast engine: windows that are marched again when a time in them is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Window:
    """A window of time: its start, and the residuals that neurons saw on it.

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
        Last scans, see `gflow.kernels.march.scan`.
    strength : float
        ``sum |a_i| |w_i|``.
    values : ndarray, shape (p, n)
        Residuals at the Chebyshev nodes.
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
    strength: float
    values: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    events: np.ndarray = field(default_factory=lambda: np.empty((0, 5)))

    def loose_on(self, shape: tuple[int, ...]) -> np.ndarray:
        """``loose`` as a mask (m, C)."""
        mask = np.zeros(shape, dtype=bool)
        mask.ravel()[self.loose] = True
        return mask


class Windows:
    """A continuous path of ``m`` neurons as windows: what `Trajectory` is for steppers.

    Parameters
    ----------
    m, d : int
        Number of neurons, input dimension.
    start : ndarray, shape (m (d + 1),)
        State at time 0.
    marcher : Marcher
        Carries neurons through a window, from `gflow.engines.waveform`.
    side : ndarray of int8, shape (m, C)
        Sides at time 0.
    """

    def __init__(self, m: int, d: int, start: np.ndarray, marcher: Any, side: np.ndarray) -> None:
        self.m, self.d = m, d
        self.start = start.copy()
        self.marcher = marcher
        self.breaks = [0.0]
        self.pieces: list[Window] = []
        self.end = start.copy()
        self.clipped = np.inf
        self.first_side = side.copy()
        self._cursor, self._side = 0, side.copy()

    @property
    def t_end(self) -> float:
        """Time reached."""
        return min(self.breaks[-1], self.clipped)

    def append(self, window: Window, end: np.ndarray) -> None:
        """Add the next window, and the state (m (d + 1),) at its end."""
        self.pieces.append(window)
        self.breaks.append(window.t1)
        self.end = end

    def cut(self, t: float) -> None:
        """End the path at ``t``, inside the last window."""
        self.clipped = float(t)

    def __call__(self, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) at the times ``t`` (T,)."""
        out = np.empty((t.size, self.start.size))
        piece = np.minimum(np.searchsorted(self.breaks, t, side="left") - 1, len(self.pieces) - 1)
        for p in np.unique(piece):
            here = piece == p
            if p < 0:
                out[here] = self.start
            elif p == len(self.pieces) - 1 and (t[here] == self.breaks[-1]).all():
                out[here] = self.end
            else:
                out[here] = self.evaluate(int(p), t[here])
        return out

    def evaluate(self, p: int, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) in window ``p``."""
        window = self.pieces[p]
        order = np.argsort(t, kind="stable")
        s = np.clip(2 * (t[order] - window.t0) / (window.t1 - window.t0) - 1, -1.0, 1.0)
        side = self.side_at(p)
        frame = self.marcher.begin(window, side, self.marcher.keys(side), s, wanted=True)
        frame.run(window.values)
        states = np.ldexp(frame.states, window.power[:, None, None])
        flat = np.empty((t.size, self.start.size))
        flat[order, :self.m] = states[:, :, 0].T
        flat[order, self.m:] = states[:, :, 1:].transpose(1, 0, 2).reshape(t.size, -1)
        return flat

    def dissipation(self, p: int) -> float:
        """Integral of ``|theta'|^2`` over window ``p``, up to where the path ends."""
        window = self.pieces[p]
        energy = np.zeros(1)
        end = min(1.0, 2 * (self.t_end - window.t0) / (window.t1 - window.t0) - 1)
        side = self.side_at(p)
        frame = self.marcher.begin(window, side, self.marcher.keys(side), np.array([end]),
                                   wanted=True, alone=True)
        frame.run(window.values, energy)
        return float(energy[0]) * 2 / (window.t1 - window.t0)

    def side_at(self, p: int) -> np.ndarray:
        """Sides (m, C) at the start of window ``p``, replayed from the events."""
        if p < self._cursor:
            self._cursor, self._side = 0, self.first_side.copy()
        for q in range(self._cursor, p):
            log = self.pieces[q].events
            log = log[log[:, 2] >= 0]
            self._side[log[:, 0].astype(int), log[:, 2].astype(int)] = log[:, 4]
        self._cursor = p
        return self._side

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays, for saving."""
        def stack(name: str) -> np.ndarray:
            return np.array([getattr(window, name) for window in self.pieces])

        arrays = {"breaks": np.array(self.breaks), "start": self.start, "end": self.end,
                  "clipped": np.array(self.clipped), "first_side": self.first_side}
        for name in ("U", "power", "direction", "closest", "strength", "values"):
            arrays[name] = stack(name)
        for name in ("loose", "events"):
            parts = [getattr(window, name) for window in self.pieces]
            arrays[f"{name}_count"] = np.array([len(part) for part in parts], dtype=np.int64)
            arrays[name] = np.concatenate(parts) if parts else np.empty(0)
        return arrays

    @classmethod
    def from_arrays(cls, m: int, d: int, marcher: Any, arrays: Any) -> Windows:
        """Inverse of `to_arrays`."""
        path = cls(m, d, arrays["start"], marcher, arrays["first_side"])
        lists = {name: np.split(arrays[name], np.cumsum(arrays[f"{name}_count"])[:-1])
                 for name in ("loose", "events") if len(arrays[f"{name}_count"])}
        breaks = arrays["breaks"]
        for p in range(len(breaks) - 1):
            path.append(Window(float(breaks[p]), float(breaks[p + 1]), arrays["U"][p],
                               arrays["power"][p], lists["loose"][p], arrays["direction"][p],
                               arrays["closest"][p], float(arrays["strength"][p]),
                               arrays["values"][p], lists["events"][p]), arrays["end"])
        path.clipped = float(arrays["clipped"])
        return path
