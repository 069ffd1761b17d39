"""What every engine shares while it runs: recording, stopping rules, Ctrl-C, progress."""

from __future__ import annotations

import signal
import sys
import threading
import time
from functools import cache
from types import FrameType
from typing import Any, Callable, Iterator
from contextlib import contextmanager

import numpy as np

from ..problem.units import Units
from .events import CHANGE, as_table
from .protocol import Measure, Path
from .recorder import Recorder
from .rules import Rule, State

OUTCOMES = {
    "finished": "reached t_max",
    "interrupted": "interrupted from the keyboard; this is what was reached",
    "max_events": "reached max_events; raise it to go on",
    "step_too_small": "the step size fell below rounding",
    "non_finite": "a weight became infinite or NaN; rescale the data or start smaller",
    "worker_failed": "a thread that integrates neurons failed; this is what was reached",
    "sliding_unresolved": "events repeat without progress in time",
}
FAILURES = frozenset(OUTCOMES) - {"finished"}


class Stop(Exception):
    """Ends a run: a status, and a sentence in which ``{t}`` stands for the time ``t`` in units of
    the engine."""

    def __init__(self, status: str, message: str = "", t: float = 0.0) -> None:
        super().__init__(status)
        self.status, self.t = status, t
        self.message = message or OUTCOMES[status]

    def told(self, units: Units) -> str:
        """The sentence, with the time in units of 1."""
        return self.message.replace("{t}", f"{units.outside(self.t):.6g}")


class Run:
    """The record of a run under way.

    Parameters
    ----------
    path : Path
        Receives the pieces.
    t_max : float
        Where the run ends.
    rules : tuple of Rule
        Stopping rules.
    max_events : int or None
        Limit on the number of event records.
    progress : bool
        Whether to draw a text meter on standard error.
    recorder : Recorder or None
        What is kept instead of the pieces.
    units : Units
        Units of the engine; ``path`` and rules are in units of 1.

    Attributes
    ----------
    t_max : float
        Where the run ends, in units of the engine.
    """

    def __init__(self, path: Path, t_max: float, rules: tuple[Rule, ...],
                 max_events: int | None, progress: bool,
                 recorder: Recorder | None = None, units: Units = Units()) -> None:
        self.path, self.units = path, units
        self.t_max = float(units.inside(t_max))
        self.rules = tuple(rule.begin() for rule in rules)
        self.recorder = recorder
        self.max_events = max_events
        self.changes: list[np.ndarray] = []
        self.count = 0
        self.started = time.perf_counter()
        self.interrupted = False
        self.meter = Meter(t_max) if progress else None

    @property
    def wall(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    def record(self, time: Any, neuron: Any, point: Any, before: Any, after: Any) -> None:
        """Record changes of the pattern, in time order: codes ``before`` and ``after``."""
        if not len(neuron):
            return
        table = np.empty(len(neuron), dtype=CHANGE)
        time = self.units.outside(time)
        for name, column in zip(CHANGE.names or (), (time, neuron, point, before, after)):
            table[name] = column
        self.changes.append(table)
        self.count += len(table)
        if self.max_events is not None and self.count >= self.max_events:
            self.path.cut(table["time"][self.max_events - 1 - self.count])
            raise Stop("max_events")

    def check(self, measure: Measure) -> None:
        """After a piece: stop if a rule holds, at the first time in the piece where it does.

        Parameters
        ----------
        measure : Measure
        """
        if self.interrupted:
            raise Stop("interrupted")
        if self.meter:
            self.meter.show(self.path.t_end, self.count)
        t0 = self.path.breaks[-2] if self.path.pieces else 0.0
        t1 = self.path.t_end
        state = self.observer(measure)
        end = state(t1)
        for rule in self.rules:
            if not rule.test(end):
                continue
            if rule.locate and t1 > t0:
                lo, hi = t0, t1
                while hi - lo > 1e-6 * (t1 - t0):
                    mid = (lo + hi) / 2
                    lo, hi = (lo, mid) if rule.test(state(mid)) else (mid, hi)
                self.path.cut(hi)
            raise Stop(rule.status, rule.message)
        if self.recorder:
            self.recorder.collect(self.path, state)

    def observer(self, measure: Measure) -> Callable[..., State]:
        """A function of time, and of the flat state there if that is known, that gives what rules
        and recorders see."""
        m, d = self.path.m, self.path.d

        def state(t: float, known: np.ndarray | None = None) -> State:
            y = cache(lambda: self.path(np.array([t]))[0] if known is None else known)
            return State(t, lambda: y()[:m], lambda: y()[m:].reshape(m, d),
                         *self._seen(measure, t, y), self.wall)

        return state

    def _seen(self, measure: Measure, t: float, state: Callable[[], np.ndarray]
              ) -> tuple[Callable[[], float], Callable[[], float]]:
        """What ``measure`` gives, in units of 1."""
        units = self.units
        if not any(units):
            return measure(t, state)
        loss, gradient = measure(float(units.inside(t)),
                                 lambda: np.ldexp(state(), -units.weights))
        return lambda: units.loss(loss()), lambda: units.gradient(gradient())

    def event_table(self) -> np.ndarray:
        """All events as a structured array in time order."""
        changes = np.concatenate([np.empty(0, dtype=CHANGE), *self.changes])
        changes = changes[changes["time"] <= self.path.t_end]
        return as_table(changes[np.argsort(changes["time"], kind="stable")])

    @contextmanager
    def catching_interrupts(self) -> Iterator[None]:
        """Turn Ctrl-C into a flag read between steps; a second one acts at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGINT)

        def handler(number: int, frame: FrameType | None) -> Any:
            if self.interrupted and callable(before):
                return before(number, frame)
            self.interrupted = True

        signal.signal(signal.SIGINT, handler)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


class Meter:
    """One line on standard error, redrawn every 2% of the way or every half second."""

    def __init__(self, t_max: float) -> None:
        self.t_max = t_max
        self.shown = -1.0
        self.last = 0.0

    def show(self, t: float, events: int) -> None:
        """Draw the line for time ``t``."""
        now = time.perf_counter()
        share = t / self.t_max
        if share - self.shown < 0.02 and now - self.last < 0.5:
            return
        self.shown, self.last = share, now
        bar = ("#" * int(30 * share)).ljust(30, ".")
        print(f"\rgflow [{bar}] t = {t:.4g} of {self.t_max:.4g}, {events} events ",
              end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the line."""
        print(file=sys.stderr)
