"""What every engine shares while it runs: recording, stopping rules, Ctrl-C, progress."""

from __future__ import annotations

import time
from functools import cache
from typing import Any, Callable, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from ..problem.field import Field
from .events import CHANGE
from .interrupts import Press
from .meter import Meter
from .origin import origin
from .protocol import Measure, Path
from .record import read_only
from .recorder import Recorder
from .rules import Rule, State

T = TypeVar("T")

OUTCOMES = {
    "finished": "reached t_max",
    "interrupted": "interrupted from the keyboard, by SIGTERM, or by a closed terminal; this is "
                   "what was reached",
    "max_events": "reached max_events; raise it to go on",
    "step_too_small": "the step size fell below rounding",
    "non_finite": "a weight became infinite or NaN; rescale the data or start smaller",
    "refused": "this method cannot follow such a start; name another one",
    "worker_failed": "a thread that integrates neurons failed; this is what was reached",
    "sliding_unresolved": "events repeat without progress in time",
    "leaky_at_zero": "a leaky neuron has reached w = 0, where its way on is not unique",
    "dependent_features": "features are close to dependent, and optimal output weights are not "
                          "determined",
    "exception": "an exception went through the run",
}
FAILURES = frozenset(OUTCOMES) - {"finished"}

AGAIN = 1.0
"""Seconds after which rules are asked again about a state that they know: some look at a clock."""
RARELY = 9.0
"""Time between snapshots, over what one takes, at least."""


class Stop(Exception):
    """Ends a run: a status, and a sentence in which ``{t}`` stands for the time ``t`` in units of
    the engine."""

    def __init__(self, status: str, message: str = "", t: float | None = None) -> None:
        super().__init__(status)
        self.status, self.t = status, t
        self.message = message or OUTCOMES[status]

    def told(self, outside: Callable[[Any], Any]) -> str:
        """The sentence, with the time as it is ``outside`` of the engine."""
        if self.t is None:
            return self.message
        return self.message.replace("{t}", f"{outside(self.t):.6g}", 1)


class Unreadable(RuntimeError):
    """A piece of a path whose states are made when they are asked for cannot be made again."""

    def __init__(self, piece: int, why: Stop) -> None:
        super().__init__(f"piece {piece} of the run cannot be made again ({OUTCOMES[why.status]}); "
                         "run it with another rtol")


class Foreign(BaseException):
    """What a function of the user raised, on its way through an engine that must not take it for
    its own."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


def asked(function: Callable[[State], T], state: State) -> T:
    """What a function of the user says to a state."""
    try:
        return function(state)
    except Press:
        raise
    except BaseException as error:
        raise Foreign(error) from error


class Run:
    """The record of a run under way.

    Parameters
    ----------
    path : Path
        Receives the pieces; in units of 1, whatever is inside it.
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
    field : Field or None
        Of the problem in units of 1, for rules.

    Attributes
    ----------
    origin : Origin
        The path of the engine, and how it is seen.
    t_max : float
        Where the run ends, in units of the engine.
    since : float
        What has been reached before, by a run that this one goes on with: no rule ends it earlier.
    """

    def __init__(self, path: Path, t_max: float, rules: tuple[Rule, ...],
                 max_events: int | None, progress: bool,
                 recorder: Recorder | None = None, field: Field | None = None) -> None:
        self.path, self.origin, self.field = path, origin(path), field
        self.inside, self.outside = self.origin.inside, self.origin.outside
        self.last = t_max
        # Asked for many times a window; the clock of other runs turns.
        self._fixed = float(self.inside(t_max)) if self.origin.clock.parts is None else None
        self.rules = tuple(rule.begin() for rule in rules)
        self.recorder = recorder
        self.max_events = max_events
        self.changes: list[np.ndarray] = []
        self.count = 0
        self.started = time.perf_counter()
        self.interrupted = False
        self._handed: WeakKeyDictionary[State, Callable[[], np.ndarray]] = WeakKeyDictionary()
        self.meter = Meter(t_max) if progress else None
        self.snapshot: Callable[[], None] | None = None
        self.every, self.next = np.inf, np.inf
        self.judged, self.since, self.said = path.t_end, 0.0, -np.inf

    @property
    def t_max(self) -> float:
        """Where the run ends, in the time of the engine; see `Clock.turn`."""
        return float(self.inside(self.last)) if self._fixed is None else self._fixed

    @property
    def wall(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    def record(self, time: Any, neuron: Any, point: Any, before: Any, after: Any) -> None:
        """Record changes of the pattern, in time order: codes ``before`` and ``after``."""
        if not len(neuron):
            return
        table = np.empty(len(neuron), dtype=CHANGE)
        time = self.outside(time)
        for name, column in zip(CHANGE.names or (), (time, neuron, point, before, after)):
            table[name] = column
        self.changes.append(table)
        self.count += len(table)
        if self.max_events is not None and self.count >= self.max_events:
            last = table["time"][self.max_events - 1 - self.count]
            self.path.cut(last)
            # Clocks round there and back: what has happened is not later than the end.
            past = table["time"] <= last
            table["time"][past] = np.minimum(table["time"][past], self.path.t_end)
            raise Stop("max_events")

    def check(self, measure: Measure) -> None:
        """After a piece: stop if a rule holds, at the first time in the piece where it does.

        Parameters
        ----------
        measure : Measure
        """
        news = self.path.t_end > self.judged or self.wall - self.said > AGAIN
        self.judged = self.path.t_end
        again = self.path.t_end < self.since
        if self.interrupted and not again:
            raise Stop("interrupted")
        if self.meter:
            self.meter.show(self.path.t_end, self.count, self.inside(self.path.t_end) / self.t_max)
        if self.rules and news:
            self._stop_if_asked(self.rules, self.observer(measure))
            self.said = self.wall
        if self.recorder:
            self.collect(measure)
        # What has come to its end is kept as that, and not as a run under way.
        going = not again and self.path.t_end < self.last
        if self.snapshot is not None and self.wall >= self.next and going:
            self.take_snapshot(self.snapshot)

    def take_snapshot(self, snapshot: Callable[[], None]) -> None:
        """Let a part of the run be kept; that takes a tenth of the time at most."""
        begun = self.wall
        snapshot()
        self.next = self.wall + max(self.every, RARELY * (self.wall - begun))

    def first(self, end: Stop, measure: Measure) -> Stop:
        """What ends a run that ``end`` ends after a piece that no rule was asked about: a rule that
        began to hold in it, if that is located, else ``end``."""
        located = tuple(rule for rule in self.rules if rule.locate)
        if located and self.path.t_end > self.judged:
            try:
                self._stop_if_asked(located, self.observer(measure))
            except Stop as before:
                return before
        return end

    def _stop_if_asked(self, rules: tuple[Rule, ...], state: Callable[[float], State]) -> None:
        begin, last = self.path.breaks[-2] if self.path.pieces else 0.0, self.path.t_end
        if last < self.since:
            return
        # It may hold where the run begins, or goes on.
        fresh, begin = begin <= self.since, max(begin, self.since)
        t0, t1 = self.inside(begin), self.inside(last)
        end = state(last)
        first, when = None, t1
        for rule in [rule for rule in rules if asked(rule, end)]:
            lo, hi = t0, t1
            if rule.locate and fresh and asked(rule, state(begin)):
                hi = lo
            while rule.locate and hi - lo > 1e-6 * (t1 - t0):
                mid = (lo + hi) / 2
                lo, hi = (lo, mid) if asked(rule, state(self.outside(mid))) else (mid, hi)
            if first is None or hi < when:
                first, when = rule, hi
        if first is None:
            return
        if first.locate and t1 > t0:
            self.path.cut(begin if when == t0 else max(self.outside(when), begin))
        raise Stop(first.status, first.message)

    def collect(self, measure: Measure, end: bool = False) -> None:
        """Let the recorder take what it wants of the last piece, and forget the ones before."""
        assert self.recorder is not None
        state = self.observer(measure)
        keep = self.recorder.keep
        for t, y in self.recorder.due(self.path.t_end, self.origin, end):
            asked(keep, state(t, y))
        # States that somebody has kept are values: what they are is found while it can be.
        for find in list(self._handed.values()):
            find()
        self._handed.clear()
        self.path.forget()

    def observer(self, measure: Measure) -> Callable[..., State]:
        """A function of time, and of the engine's flat state there if that is known, that gives
        what rules and recorders see."""
        m, d = self.path.m, self.path.d

        def state(t: float, known: np.ndarray | None = None) -> State:
            # A row of many states would keep all of them alive.
            own = None if known is None else known.copy()
            inside = cache(lambda: self.origin.states(np.array([t]))[0] if own is None else own)
            y = cache(lambda: read_only(self.origin.seen(inside())))
            seen = State(t, lambda: y()[:m], lambda: y()[m:].reshape(m, d),
                         *self._seen(measure, t, inside), self.wall, self.field)
            if self.recorder and own is None:
                self._handed[seen] = y
            return seen

        return state

    def _seen(self, measure: Measure, t: float, state: Callable[[], np.ndarray]
              ) -> tuple[Callable[[], float], Callable[[], float]]:
        """What ``measure`` gives, in units of 1. Speeds of layers change neither the loss nor its
        gradient, which are those of the weights as users see them."""
        origin, units = self.origin, self.origin.units
        if not (any(units) or origin.rates):
            return measure(self.inside(t), state)
        loss, gradient = measure(float(self.inside(t)), lambda: origin.paced(state()))
        return lambda: units.loss(loss()), lambda: units.gradient(gradient())

    def events(self) -> np.ndarray:
        """All events in time order, of dtype `CHANGE`."""
        changes = np.concatenate([np.empty(0, dtype=CHANGE), *self.changes])
        times = np.ascontiguousarray(changes["time"])
        if times.size and times.max() > self.path.t_end:
            changes, times = (of[times <= self.path.t_end] for of in (changes, times))
        if (times[1:] < times[:-1]).any():
            changes = changes[np.argsort(times, kind="stable")]
        return changes
