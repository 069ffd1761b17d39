"""Dense output of the fast engine: windows that are marched again when a time in them is asked."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import Any, Callable

import numpy as np

from ..protocol import FROZEN
from ..run import Stop, Unreadable
from .calm import Calm, Stretch
from .crew import Crew
from .marcher import Marcher
from .window import Window, replayed
from ...problem.quiet import quiet

KEPT = 4
"""Windows at whose starts sides are kept: certificates look back."""
SHORT = (1e-12, 1e-9, 1e-6)
"""Where a run ends at w = 0 the energy is that of so much less of the end of its last window, a
short one: the first that can be marched."""


class Windows:
    """A continuous path of ``m`` neurons as windows: what `Trajectory` is for steppers.

    A `gflow.engines.protocol.Path`. The state at a time is found by marching the neurons of its
    window again, in memory of its own: nothing here changes when it is read.

    Parameters
    ----------
    start : ndarray, shape (m, d + 1)
        ``(a, w)`` of every neuron at time 0, in units of ``2 ** power``.
    power : ndarray of int, shape (m,)
        Exponent of every neuron.
    marcher : Marcher
        Carries neurons through a window.
    side : ndarray of int8, shape (m, C)
        Sides at time 0.
    threads : int
        Threads that large windows are marched with; results do not depend on it.
    """

    def __init__(self, start: np.ndarray, power: np.ndarray, marcher: Marcher, side: np.ndarray,
                 threads: int = 1) -> None:
        self.m, self.d = start.shape[0], start.shape[1] - 1
        self.origin = (start, power)
        self.end: tuple[np.ndarray, np.ndarray] | None = self.origin
        self.marcher, self.threads = marcher, threads
        self.breaks = [0.0]
        self.pieces: list[Window | Calm] = []
        self.clipped = np.inf
        self.first_side = side.copy()
        # Windows, and sides at their starts: of the first, and the last that were asked for.
        # Replaced as one and never changed, so that any number of threads may read it.
        self._known: tuple[tuple[int, np.ndarray], ...] = ((0, self.first_side),)
        self.frozen = False
        # Length of the window that was tried where the last one begins, as of `Trajectory`.
        self.hint, self._hinted = 0.0, -1.0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_known": ((0, self.first_side),)}

    @property
    def t_end(self) -> float:
        """Time reached."""
        return min(self.breaks[-1], self.clipped)

    @property
    def start(self) -> np.ndarray:
        """State (m (d + 1),) at time 0."""
        return np.asarray(self(np.zeros(1))[0])

    def append(self, window: Window | Calm,
               end: tuple[np.ndarray, np.ndarray] | None = None) -> None:
        """Add the next window; ``end`` is what neurons are at its end, like the start, if that is
        more than the window says itself."""
        self._growing()
        self.pieces.append(window)
        self.breaks.append(window.t1)
        self.end = end

    def end_with(self, events: np.ndarray) -> Window:
        """Add events (E, 5) at the very end of the last window, which others may have, and return
        that."""
        self._growing()
        last = self.pieces[-1]
        assert isinstance(last, Window)
        last = replace(last, events=np.concatenate([last.events, events]))
        self.pieces[-1], self._known = last, self._known[:1]
        return last

    def tried(self, H: float) -> None:
        """Note the first length that was tried where the path ends now."""
        if self._hinted != self.breaks[-1]:
            self.hint, self._hinted = H, self.breaks[-1]

    def cut(self, t: float) -> None:
        """End the path at ``t``, inside the last window."""
        self._growing()
        self.clipped = float(t)

    def forget(self) -> None:
        """Keep only the last window."""
        self._growing()
        if len(self.pieces) > 1:
            neurons, power = self.scaled(np.array(self.breaks[-2:-1]))
            self.origin = neurons[0], power[0]
            self.first_side = self.side_at(len(self.pieces) - 1)
            self._known = ((0, self.first_side),)
            self.breaks, self.pieces = self.breaks[-2:], self.pieces[-1:]

    @quiet
    def __call__(self, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) at the times ``t`` (T,)."""
        return flat(*self.scaled(t))

    def snapshot(self) -> Windows:
        """The path so far, which does not grow with this one."""
        path = copy(self)
        path.breaks, path.pieces = list(self.breaks), list(self.pieces)
        return path

    def without_last(self, threads: int = 1) -> Windows:
        """A path that can grow, from all windows but the last."""
        path = Windows(*self.origin, self.marcher, self.first_side, threads)
        if len(self.pieces) > 1:
            last = self.pieces[-1]
            path.breaks, path.pieces = self.breaks[:-1], self.pieces[:-1]
            path.end = ((last.U, last.power) if isinstance(last, Window) else
                        (last.states(-np.ones(1))[:, 0], last.powers(-np.ones(1))[0]))
        return path

    def freeze(self) -> None:
        """The run is over: nothing is added any more."""
        self.frozen = True

    def _growing(self) -> None:
        if self.frozen:
            raise RuntimeError(FROZEN)

    @quiet
    def scaled(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Neurons (T, m, d + 1) at the times ``t`` (T,), in units of 2 to the power (T, m)."""
        neurons = np.empty((t.size, self.m, self.d + 1))
        power = np.empty((t.size, self.m), dtype=np.int64)
        piece = np.minimum(np.searchsorted(self.breaks, t, side="left") - 1, len(self.pieces) - 1)
        with Crew(self.threads) as crew:
            for p in np.unique(piece):
                here = piece == p
                if p < 0:
                    neurons[here], power[here] = self.origin
                elif (self.end is not None and p == len(self.pieces) - 1
                      and (t[here] == self.breaks[-1]).all()):
                    neurons[here], power[here] = self.end
                else:
                    neurons[here], power[here] = self._march(int(p), t[here], crew)
        return neurons, power

    @quiet
    def evaluate(self, p: int, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) in window ``p``."""
        with Crew(self.threads) as crew:
            return flat(*self._march(p, t, crew))

    def _march(self, p: int, t: np.ndarray, crew: Crew) -> tuple[np.ndarray, np.ndarray]:
        """Neurons (T, m, d + 1) in window ``p``, in units of 2 to the power (T, m) or (1, m)."""
        window = self.pieces[p]
        order = np.argsort(t, kind="stable")
        s = np.clip(2 * (t[order] - window.t0) / (window.t1 - window.t0) - 1, -1.0, 1.0)
        neurons = np.empty((t.size, self.m, self.d + 1))
        if isinstance(window, Calm):
            neurons[order] = window.states(s).transpose(1, 0, 2)
            power = np.empty((t.size, self.m), dtype=np.int64)
            power[order] = window.powers(s)
            return neurons, power
        side = self.side_at(p)
        frame = self.marcher.begin(window, side, self.marcher.patterns(side), s, crew, wanted=True)
        try:
            frame.run(window.values)
        except Stop as end:
            raise Unreadable(p, end) from None
        neurons[order] = frame.states.transpose(1, 0, 2)
        if self.marcher.decay:
            since = (s + 1) / 2 * (window.t1 - window.t0)
            neurons[order] *= np.exp(-self.marcher.decay * since)[:, None, None]
        return neurons, window.power[None]

    @quiet
    def dissipation(self, p: int, end: float | None = None) -> float:
        """Integral of ``|theta'|^2`` over window ``p``, up to where the path or ``end`` ends."""
        window = self.pieces[p]
        stop = self.t_end if end is None else min(end, self.t_end)
        end = min(1.0, 2 * (stop - window.t0) / (window.t1 - window.t0) - 1)
        if isinstance(window, Calm):
            return window.dissipation(end) * 2 / (window.t1 - window.t0)
        if end <= -1.0:
            return 0.0
        try:
            return self._spent(p, window.part(end) if end < 1.0 else window)
        except Stop as why:
            for short in SHORT if end < 1.0 else ():
                # Where a run ended a leaky neuron may be at w = 0, and have no way on.
                with suppress(Stop):
                    return self._spent(p, window.part(end - short * (end + 1)))
            raise Unreadable(p, why) from None

    def _spent(self, p: int, window: Window) -> float:
        """Integral of ``|theta'|^2`` over a part of window ``p`` from its start on."""
        energy, side = np.zeros(1), self.side_at(p)
        with Crew(self.threads) as crew:
            frame = self.marcher.begin(window, side, self.marcher.patterns(side), np.ones(1), crew,
                                       wanted=True, alone=True)
            frame.run(window.values, energy)
        return float(energy[0]) * 2 / (window.t1 - window.t0)

    def side_at(self, p: int) -> np.ndarray:
        """Sides (m, C) at the start of window ``p``, replayed from the events; not to be written
        to."""
        known = self._known
        begin, side = max((one for one in known if one[0] <= p), key=itemgetter(0))
        logs = [window.events for window in self.pieces[begin:p]
                if isinstance(window, Window) and len(window.events)]
        if logs:
            side = replayed(side, np.concatenate(logs))
        if p > 0:
            others = [one for one in known[1:] if one[0] != p]
            self._known = (known[0], (p, side), *others[:KEPT])
        return side

    def last_sides(self, t: float, now: np.ndarray) -> Callable[[], np.ndarray]:
        """What gives the sides (m, C) at a time of the last window, at whose end they are
        ``now``; it does not mind what the path forgets meanwhile."""
        window = self.pieces[-1] if self.pieces else None
        if not isinstance(window, Window) or t >= window.t1 or not len(window.events):
            return lambda: now
        return partial(window.sides, self.side_at(len(self.pieces) - 1), t)

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
                  "calm_accuracy": np.array([piece.accuracy for piece in calm]),
                  "calm_held": np.array([piece.held for piece in calm], dtype=bool)}
        for name in ("U", "power", "direction", "closest", "strength", "values"):
            arrays[name] = np.array([getattr(window, name) for window in windows])
        for name in ("U", "power", "of"):
            arrays[f"stretch_{name}"] = np.array([getattr(s, name) for s in stretches])
        arrays["stretch_t0"] = np.array([stretch.t0 for stretch in stretches])
        for name in ("loose", "events", "doubt"):
            arrays |= ragged(name, [getattr(window, name) for window in windows])
        arrays |= ragged("stretch_moments", [stretch.moments for stretch in stretches])
        arrays |= ragged("calm_lam", [piece.lam for piece in calm])
        arrays |= ragged("calm_lost", [piece.lost for piece in calm])
        # A piece that ends at rest has a field without powers of s.
        terms = np.array([piece.field.shape[1] for piece in calm], dtype=np.int64)
        most = int(terms.max(initial=0))
        arrays |= ragged("calm_field", [
            np.pad(piece.field, ((0, 0), (0, most - piece.field.shape[1]), (0, 0)))
            for piece in calm])
        return arrays | {"calm_terms": terms, "hint": np.array(self.hint)}

    @classmethod
    def from_arrays(cls, marcher: Marcher, arrays: Mapping[str, np.ndarray],
                    threads: int = 1) -> Windows:
        """Inverse of `to_arrays`.

        Raises
        ------
        ValueError
            If the shapes do not fit together.
        """
        one, n = arrays["start"].shape, marcher.data.n
        if ((arrays["U"].size and arrays["U"].shape[1:] != one) or arrays["end"].shape != one
                or arrays["start_power"].shape != one[:1] or arrays["end_power"].shape != one[:1]
                or (arrays["values"].size and arrays["values"].shape[2:] != (n,))
                or arrays["breaks"].shape != (arrays["calm"].size + 1,)):
            raise ValueError("the windows of the path do not fit together")
        path = cls(arrays["start"], arrays["start_power"], marcher, arrays["first_side"], threads)
        lists = {name: split(name, arrays) for name in ("loose", "events", "stretch_moments",
                                                        "calm_lam", "calm_field")}
        # Files of before know of no points that have been fitted.
        doubt = (split("doubt", arrays) if "doubt_count" in arrays
                 else [np.empty(0)] * len(lists["events"]))
        # Nor of neurons that only shrink.
        lost = (split("calm_lost", arrays) if "calm_lost_count" in arrays
                else [np.empty(0)] * len(lists["calm_lam"]))
        held = arrays.get("calm_held", np.zeros(len(lost), dtype=bool))
        begun = arrays.get("stretch_t0", np.zeros(len(lists["stretch_moments"])))
        stretches = [Stretch(arrays["stretch_U"][k], arrays["stretch_power"][k],
                             arrays["stretch_of"][k], moments, float(begun[k]))
                     for k, moments in enumerate(lists["stretch_moments"])]
        breaks = arrays["breaks"]
        w = c = 0
        for p, calm in enumerate(arrays["calm"]):
            t0, t1 = float(breaks[p]), float(breaks[p + 1])
            if calm:
                field = lists["calm_field"][c]
                # Files of before have one number of terms for all.
                terms = int(arrays["calm_terms"][c]) if "calm_terms" in arrays else field.shape[1]
                path.append(Calm(t0, t1, stretches[int(arrays["calm_stretch"][c])],
                                 lists["calm_lam"][c], np.ascontiguousarray(field[:, :terms]),
                                 float(arrays["calm_accuracy"][c]),
                                 0.0 if held[c] else marcher.decay, lost[c], bool(held[c])))
                c += 1
            else:
                path.append(Window(t0, t1, arrays["U"][w], arrays["power"][w], lists["loose"][w],
                                   arrays["direction"][w], arrays["closest"][w],
                                   arrays["strength"][w], arrays["values"][w],
                                   lists["events"][w], doubt[w]))
                w += 1
        path.end = (arrays["end"], arrays["end_power"])
        path.clipped = float(arrays["clipped"])
        path.hint = float(arrays.get("hint", 0.0))
        path.freeze()
        return path


def ragged(name: str, parts: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays of different lengths as two that can be saved."""
    count = np.array([len(part) for part in parts], dtype=np.int64)
    return {f"{name}_count": count, name: np.concatenate(parts) if parts else np.empty(0)}


def split(name: str, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Inverse of `ragged`."""
    count = arrays[f"{name}_count"]
    return np.split(arrays[name], np.cumsum(count)[:-1]) if len(count) else []


def flat(neurons: np.ndarray, power: np.ndarray) -> np.ndarray:
    """Flat states (T, m (d + 1)) of neurons (T, m, d + 1) in units of 2 to the power (T, m), or
    (1, m)."""
    count, m, columns = neurons.shape
    states = np.empty((count, m * columns))
    parts = ((states[:, :m], neurons[:, :, 0], power),
             (states[:, m:].reshape(count, m, columns - 1), neurons[:, :, 1:], power[:, :, None]))
    # Products with powers of two are rounded once, like ldexp, and take a tenth of the time.
    normal = not power.size or int(np.abs(power).max()) <= 1022
    for into, part, unit in parts:
        if normal:
            np.multiply(part, np.ldexp(1.0, unit), out=into)
        else:
            np.ldexp(part, unit, out=into)
    return states
