"""Dense output of the fast engine: windows that are marched again when a time in them is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .calm import Calm, Stretch


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
        self.origin = (start, power)
        self.end: tuple[np.ndarray, np.ndarray] | None = self.origin
        self.marcher = marcher
        self.breaks = [0.0]
        self.pieces: list[Window | Calm] = []
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

    def append(self, window: Window | Calm,
               end: tuple[np.ndarray, np.ndarray] | None = None) -> None:
        """Add the next window; ``end`` is what neurons are at its end, like the start, if that is
        more than the window says itself."""
        self.pieces.append(window)
        self.breaks.append(window.t1)
        self.end = end

    def cut(self, t: float) -> None:
        """End the path at ``t``, inside the last window."""
        self.clipped = float(t)

    def forget(self) -> None:
        """Keep only the last window."""
        if len(self.pieces) > 1:
            neurons, power = self.scaled(np.array(self.breaks[-2:-1]))
            self.origin = neurons[0], power[0]
            self.first_side = self.side_at(len(self.pieces) - 1).copy()
            self._cursor, self._side = 0, self.first_side.copy()
            self.breaks, self.pieces = self.breaks[-2:], self.pieces[-1:]

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
            elif (self.end is not None and p == len(self.pieces) - 1
                  and (t[here] == self.breaks[-1]).all()):
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
        neurons = np.empty((t.size, self.m, self.d + 1))
        if isinstance(window, Calm):
            neurons[order] = window.states(s).transpose(1, 0, 2)
            return neurons
        side = self.side_at(p)
        frame = self.marcher.begin(window, side, self.marcher.keys(side), s, wanted=True)
        frame.run(window.values)
        neurons[order] = frame.states.transpose(1, 0, 2)
        return neurons

    def dissipation(self, p: int) -> float:
        """Integral of ``|theta'|^2`` over window ``p``, up to where the path ends."""
        window = self.pieces[p]
        end = min(1.0, 2 * (self.t_end - window.t0) / (window.t1 - window.t0) - 1)
        if isinstance(window, Calm):
            return window.dissipation(end) * 2 / (window.t1 - window.t0)
        energy = np.zeros(1)
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
            window = self.pieces[q]
            if isinstance(window, Calm):
                continue
            log = window.events
            log = log[log[:, 2] >= 0]
            self._side[log[:, 0].astype(int), log[:, 2].astype(int)] = log[:, 4]
        self._cursor = p
        return self._side

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays, for saving."""
        windows = [piece for piece in self.pieces if isinstance(piece, Window)]
        calm = [piece for piece in self.pieces if isinstance(piece, Calm)]
        stretches = list({id(piece.stretch): piece.stretch for piece in calm}.values())
        number = {id(stretch): k for k, stretch in enumerate(stretches)}
        end = self.scaled(np.array([self.breaks[-1]])) if self.end is None else None
        last = self.end if end is None else (end[0][0], end[1][0])
        assert last is not None
        arrays = {"breaks": np.array(self.breaks),
                  "start": self.origin[0], "start_power": self.origin[1],
                  "end": last[0], "end_power": last[1], "clipped": np.array(self.clipped),
                  "first_side": self.first_side,
                  "calm": np.array([isinstance(piece, Calm) for piece in self.pieces], dtype=bool),
                  "calm_stretch": np.array([number[id(piece.stretch)] for piece in calm],
                                           dtype=np.int64),
                  "calm_accuracy": np.array([piece.accuracy for piece in calm])}
        for name in ("U", "power", "direction", "closest", "strength", "values"):
            arrays[name] = np.array([getattr(window, name) for window in windows])
        for name in ("U", "power", "of"):
            arrays[f"stretch_{name}"] = np.array([getattr(s, name) for s in stretches])
        for name in ("loose", "events"):
            arrays |= ragged(name, [getattr(window, name) for window in windows])
        arrays |= ragged("stretch_moments", [stretch.moments for stretch in stretches])
        for name in ("lam", "field"):
            arrays |= ragged(f"calm_{name}", [getattr(piece, name) for piece in calm])
        return arrays

    @classmethod
    def from_arrays(cls, marcher: Any, arrays: Any) -> Windows:
        """Inverse of `to_arrays`."""
        path = cls(arrays["start"], arrays["start_power"], marcher, arrays["first_side"])
        lists = {name: split(name, arrays) for name in ("loose", "events", "stretch_moments",
                                                        "calm_lam", "calm_field")}
        stretches = [Stretch(arrays["stretch_U"][k], arrays["stretch_power"][k],
                             arrays["stretch_of"][k], moments)
                     for k, moments in enumerate(lists["stretch_moments"])]
        breaks = arrays["breaks"]
        w = c = 0
        for p, calm in enumerate(arrays["calm"]):
            t0, t1 = float(breaks[p]), float(breaks[p + 1])
            if calm:
                path.append(Calm(t0, t1, stretches[int(arrays["calm_stretch"][c])],
                                 lists["calm_lam"][c], lists["calm_field"][c],
                                 float(arrays["calm_accuracy"][c])))
                c += 1
            else:
                path.append(Window(t0, t1, arrays["U"][w], arrays["power"][w], lists["loose"][w],
                                   arrays["direction"][w], arrays["closest"][w],
                                   float(arrays["strength"][w]), arrays["values"][w],
                                   lists["events"][w]))
                w += 1
        path.end = (arrays["end"], arrays["end_power"])
        path.clipped = float(arrays["clipped"])
        return path


def ragged(name: str, parts: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays of different lengths as two that can be saved."""
    count = np.array([len(part) for part in parts], dtype=np.int64)
    return {f"{name}_count": count, name: np.concatenate(parts) if parts else np.empty(0)}


def split(name: str, arrays: Any) -> list[np.ndarray]:
    """Inverse of `ragged`."""
    count = arrays[f"{name}_count"]
    return np.split(arrays[name], np.cumsum(count)[:-1]) if len(count) else []


def flat(neurons: np.ndarray, power: np.ndarray) -> np.ndarray:
    """Flat states (T, m (d + 1)) of neurons (T, m, d + 1) in units of 2 to the power (T, m)."""
    states = np.ldexp(neurons, power[:, :, None])
    return np.concatenate([states[:, :, 0], states[:, :, 1:].reshape(len(states), -1)], axis=1)
