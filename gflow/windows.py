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
    start : ndarray, shape (m, d + 1)
        ``(a, w)`` of every neuron at time 0, in units of ``2 ** power``.
    power : ndarray of int, shape (m,)
        Exponent of every neuron.
    marcher : Marcher
        Carries neurons through a window, from `gflow.engines.waveform`.
    side : ndarray of int8, shape (m, C)
        Sides at time 0.
    """

    def __init__(self, start: np.ndarray, power: np.ndarray, marcher: Any,
                 side: np.ndarray) -> None:
        self.m, self.d = start.shape[0], start.shape[1] - 1
        self.origin = self.end = (start, power)
        self.marcher = marcher
        self.breaks = [0.0]
        self.pieces: list[Window] = []
        self.clipped = np.inf
        self.first_side = side.copy()
        self._cursor, self._side = 0, side.copy()

    @property
    def t_end(self) -> float:
        """Time reached."""
        return min(self.breaks[-1], self.clipped)

    @property
    def start(self) -> np.ndarray:
        """State (m (d + 1),) at time 0."""
        return self(np.zeros(1))[0]

    def append(self, window: Window, end: tuple[np.ndarray, np.ndarray]) -> None:
        """Add the next window; ``end`` is what neurons are at its end, like the start."""
        self.pieces.append(window)
        self.breaks.append(window.t1)
        self.end = end

    def cut(self, t: float) -> None:
        """End the path at ``t``, inside the last window."""
        self.clipped = float(t)

    def __call__(self, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) at the times ``t`` (T,)."""
        return flat(*self.scaled(t))

    def scaled(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Neurons (T, m, d + 1) at the times ``t`` (T,), in units of 2 to the power (T, m)."""
        neurons = np.empty((t.size, self.m, self.d + 1))
        power = np.empty((t.size, self.m), dtype=np.int64)
        piece = np.minimum(np.searchsorted(self.breaks, t, side="left") - 1, len(self.pieces) - 1)
        for p in np.unique(piece):
            here = piece == p
            if p < 0:
                neurons[here], power[here] = self.origin
            elif p == len(self.pieces) - 1 and (t[here] == self.breaks[-1]).all():
                neurons[here], power[here] = self.end
            else:
                neurons[here], power[here] = self._march(int(p), t[here]), self.pieces[p].power
        return neurons, power

    def evaluate(self, p: int, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) in window ``p``."""
        return flat(self._march(p, t), np.tile(self.pieces[p].power, (t.size, 1)))

    def _march(self, p: int, t: np.ndarray) -> np.ndarray:
        window = self.pieces[p]
        order = np.argsort(t, kind="stable")
        s = np.clip(2 * (t[order] - window.t0) / (window.t1 - window.t0) - 1, -1.0, 1.0)
        side = self.side_at(p)
        frame = self.marcher.begin(window, side, self.marcher.keys(side), s, wanted=True)
        frame.run(window.values)
        neurons = np.empty((t.size, self.m, self.d + 1))
        neurons[order] = frame.states.transpose(1, 0, 2)
        return neurons

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

        arrays = {"breaks": np.array(self.breaks),
                  "start": self.origin[0], "start_power": self.origin[1],
                  "end": self.end[0], "end_power": self.end[1],
                  "clipped": np.array(self.clipped), "first_side": self.first_side}
        for name in ("U", "power", "direction", "closest", "strength", "values"):
            arrays[name] = stack(name)
        for name in ("loose", "events"):
            parts = [getattr(window, name) for window in self.pieces]
            arrays[f"{name}_count"] = np.array([len(part) for part in parts], dtype=np.int64)
            arrays[name] = np.concatenate(parts) if parts else np.empty(0)
        return arrays

    @classmethod
    def from_arrays(cls, marcher: Any, arrays: Any) -> Windows:
        """Inverse of `to_arrays`."""
        path = cls(arrays["start"], arrays["start_power"], marcher, arrays["first_side"])
        end = arrays["end"], arrays["end_power"]
        lists = {name: np.split(arrays[name], np.cumsum(arrays[f"{name}_count"])[:-1])
                 for name in ("loose", "events") if len(arrays[f"{name}_count"])}
        breaks = arrays["breaks"]
        for p in range(len(breaks) - 1):
            path.append(Window(float(breaks[p]), float(breaks[p + 1]), arrays["U"][p],
                               arrays["power"][p], lists["loose"][p], arrays["direction"][p],
                               arrays["closest"][p], float(arrays["strength"][p]),
                               arrays["values"][p], lists["events"][p]), end)
        path.clipped = float(arrays["clipped"])
        return path


def flat(neurons: np.ndarray, power: np.ndarray) -> np.ndarray:
    """Flat states (T, m (d + 1)) of neurons (T, m, d + 1) in units of 2 to the power (T, m)."""
    states = np.ldexp(neurons, power[:, :, None])
    return np.concatenate([states[:, :, 0], states[:, :, 1:].reshape(len(states), -1)], axis=1)
