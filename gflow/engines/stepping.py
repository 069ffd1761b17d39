"""The reference engine: SciPy steppers on the frozen pattern, cut at located events."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from contextlib import contextmanager
from typing import Any, Callable, NoReturn
from weakref import WeakMethod

import numpy as np
import scipy.integrate

from ..problem.balance import Balance
from ..problem.clock import Clock
from ..problem.field import Field
from ..problem.loss import SQUARE, is_endless
from ..problem.lopsided import Lopsided
from ..kernels import field as kernels
from ..kernels.crossings import CROSS, ON_SURFACE, RELEASE_ABOVE, RELEASE_BELOW, crossings
from ..kernels.chebyshev import halves, nodes, restrict, to_series
from ..problem.norms import row_norms
from ..problem.theirs import is_theirs
from . import failing, interpolant, sliding
from .drift import Drift
from .events import OFF, SLIDING
from .gear import Gear
from .held import Held
from .instant import SIMULTANEOUS, one_way, together
from .pattern import Pattern, start, stop_at_zero, undecided
from .run import Run
from .standing import bury, fastest, last_piece
from .trajectory import Trajectory, by_neuron, by_weight

DEGREE = {"RK23": 3, "RK45": 4, "DOP853": 7, "Radau": 3, "BDF": 5, "LSODA": 12}
"""Degree of each stepper's dense output, a polynomial."""
IMPLICIT = frozenset(["Radau", "BDF", "LSODA"])
SHARPER = {"BDF": 0.005, "LSODA": 0.01}
"""Multistep steppers restart at order one after every event: their steps must err less."""
SHORT, ABSURD = 0.01, 1e-12
"""First step, over the fastest rate, where that of SciPy is this part of it or less."""
STALE = 0.5
"""LSODA begins anew where a neuron has shrunk to this part. Larger: more beginnings at order one /
smaller: errors larger than ``rtol`` by as much."""
SMALLEST_RTOL = 2.3e-14
TINY = float(np.finfo(float).tiny)
EPS = float(np.finfo(float).eps)
TRIM = 1e-3
"""Dense output is kept to this part of ``rtol``."""
STALLED = 1000
IDLE, SOON = 3, 0.01
"""Contacts in a row that change nothing, each sooner than this part of the time after the one
before, and are not yet rounding."""
LENIENT, LENIENT_ROUNDING = 2.5, 8e-12
"""After these more and more of the norm counts as lying on a hyperplane, up to so many ``rtol`` of
``|(a, w)|``, or the second of it: where explicit steppers are at their limit of stability, weights
swing by as much. Larger: fewer contacts, and neurons on the wrong side of their pattern
(certificates grant 3)."""
SHORTEST = 64
"""Steps are not made shorter than this, in units of the rounding of time."""
LOOK, SELDOM = 50, 10
"""Steps between looks whether the flow is at rest, at least; and where it is stiff, and steps soon
are as long as all there is to come."""
LATE = 10.0
"""There is a look, too, whenever so many times as much time has passed, be it in a few long steps.
Larger: drift at rest / smaller: looks that find nothing."""
SHIFTED = 0.1
"""A state that left its invariants by more than this part of ``rtol`` is put back at once."""
STRAYED, TRIES = 10.0, 5
"""One that left them by so many ``rtol`` comes from a step that is worse than its stepper says, or
than the part of it before a contact shows: such a step is made again, shorter, so many times."""
MISSED = 30.0
"""So is one whose dense output misses the field by so many ``rtol`` over the step where a contact
cuts it; errors there are a sixth of that or so. Larger: errors of swings / smaller: more steps."""


def loosely(method: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """A method of an engine that does not hold it: steppers of SciPy are circles, and what they
    hold, the whole run, stays until these are looked for."""
    held = WeakMethod(method)

    def call(t: float, state: np.ndarray) -> np.ndarray:
        found = held()
        assert found is not None
        return found(t, state)

    return call


class Stepping:
    """A flow under way: the pattern, the stepper, and the events between them.

    Parameters
    ----------
    field : Field
        Of the problem.
    state : ndarray, shape (m (d + 1),)
        Start, ``[a (m), W (m d)]``.
    method : str
        A key of `DEGREE`.
    rtol : float
        Error allowed per step, relative to each neuron's norm.
    clock : Clock
        Its time is that of the engine, and pulls are those times ``dt/ds``.

    Attributes
    ----------
    path : Trajectory
        Dense output.
    """

    def __init__(self, field: Field, state: np.ndarray, method: str, rtol: float,
                 clock: Clock = Clock()) -> None:
        self.field, self.rtol, self.clock = field, rtol, clock
        self.data, self.square = field.data, field.loss == SQUARE
        data = self.data
        # Pulls that are no differences of labels and outputs have no rounding of these.
        self.first = np.zeros(data.n) if is_endless(field.loss) else field.first_pulls
        self.local_rtol = max(rtol / 2 * SHARPER.get(method, 1.0), SMALLEST_RTOL)
        self.band, self.idle, self.idled = max(rtol, ON_SURFACE), 0, 0.0
        self.d = data.d
        self.m = state.size // (data.d + 1)
        self.gear = Gear(method, state.size)
        self.path = Trajectory(self.m, self.d, state, max(TRIM * rtol, EPS))
        self.nfev = self.njev = self.steps = self.cuts = self.reduced = self.rejected = 0
        self.stalled = self.strayed = self.stiff = 0
        self.longest = self.spacing = np.inf
        self.freed, self.held = sliding.Freed(), Held()
        state = state.copy()
        a, W = self.split(state)
        self.drift = Drift(field.setting, self.m, self.d)
        self.lopsided = self._lopsided(a, W)
        if self.lopsided is not None:
            self.path.trim /= self.lopsided.sharper
        self.pattern = Pattern(field, a, W, start(field, a, W)[1], self.drift.turning)
        # What no point sees decays as the rest does.
        self.balance = (None if self.drift.uniform is None else
                        Balance(a, W, (data.X != 0.0).any(axis=0)))
        self.shift = self.hint = self.wanted = 0.0
        self.t, self.hinted = 0.0, -1.0
        self.state = state
        self.initial_codes = self.pattern.codes.copy()

    def split(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights (m,) and (m, d) of a flat state."""
        return state[:self.m], state[self.m:].reshape(self.m, self.d)

    def _arguments(self) -> tuple[Any, ...]:
        p = self.pattern
        labels = (self.data.y,) if self.square else ()
        return self.m, p.on, self.data.X, *labels, p.slider, p.rank, p.basis

    @property
    def method(self) -> str:
        """The stepper in use."""
        return self.gear.method

    @property
    def degree(self) -> int:
        """Of its dense output."""
        return DEGREE[self.method]

    @property
    def choices(self) -> list[np.ndarray]:
        """Instants at which the solution was not unique."""
        return self.pattern.choices

    def velocity(self, t: float, state: np.ndarray) -> np.ndarray:
        """Right-hand side on the frozen pattern."""
        self.nfev += 1
        if self.square:
            v = np.asarray(kernels.velocity(state, *self._arguments()))
        else:
            v = np.asarray(kernels.velocity_under(self.pulls(state, t), state,
                                                  *self._arguments()))
        return self.drift.velocity(v, state, self.pattern.slides) if self.drift else v

    def jacobian(self, t: float, state: np.ndarray) -> np.ndarray:
        """Its derivative."""
        self.njev += 1
        if self.square:
            J = np.asarray(kernels.jacobian(state, *self._arguments()))
        else:
            h, log = self.outputs(state), self.clock.log_rate(t)
            p, curvature = self.field.pulls(h, log), self.field.curvature(h, log)
            J = np.asarray(kernels.jacobian_under(p, curvature, state, *self._arguments()))
        return self.drift.jacobian(J, self.pattern.slides) if self.drift else J

    def outputs(self, state: np.ndarray) -> np.ndarray:
        """Outputs (n,) on the frozen pattern."""
        if self.square:
            return np.asarray(self.data.y - self.pulls(state, self.t))
        return np.asarray(kernels.outputs(*self.split(state), self.pattern.on, self.data.X))

    def pulls(self, state: np.ndarray, t: float) -> np.ndarray:
        """Pulls (n,) on the frozen pattern, times those of the clock at ``t``."""
        if self.square:
            return np.asarray(kernels.residual(*self.split(state), self.pattern.on, self.data.X,
                                               self.data.y))
        return self.field.pulls(self.outputs(state), self.clock.log_rate(t))

    def measure(self, t: float, state: Callable[[], np.ndarray]
                ) -> tuple[Callable[[], float], Callable[[], float]]:
        """Functions that give the loss, and the norm of the min-norm gradient, of the ``state`` at
        ``t`` on the pattern of now."""
        field, codes = self.field, self.pattern.codes.copy()

        def loss() -> float:
            return float(field.value(field.outputs(*self.split(state()), codes)))

        def gradient_norm() -> float:
            a, W = self.split(state())
            return field.speed(a, W, field.fields(codes, field.pulls(field.outputs(a, W, codes))))

        return loss, gradient_norm

    def tolerance(self, state: np.ndarray) -> np.ndarray:
        """Absolute tolerance of every component: relative to its neuron."""
        a, W = self.split(state)
        size = row_norms(np.column_stack([a, W]))
        size = np.where(size > 0, size, 1.0)
        sizes = np.concatenate([size, np.repeat(size, self.d)])
        if self.lopsided is not None:
            own = self.lopsided.sizes(a, W)
            sizes = np.where(own > 0.0, np.minimum(sizes, own), sizes)
        return np.asarray(self.local_rtol * sizes)

    def _lopsided(self, a: np.ndarray, W: np.ndarray) -> Lopsided | None:
        """How to measure neurons, if not by their norms alone."""
        found = Lopsided(self.field, a, W)
        return found if found.any else None

    def sizes(self, state: np.ndarray) -> np.ndarray:
        """What errors of every weight (m (d + 1),) are relative to: its neuron, as a rule."""
        sizes = by_weight(by_neuron(np.abs(state), self.m), self.d)
        if self.lopsided is not None:
            sizes = np.minimum(sizes, self.lopsided.sizes(*self.split(state)))
        return sizes

    def stepper(self, h: float | None) -> Any:
        """A fresh SciPy stepper from the present state."""
        options = self._options()
        if h is not None:
            self.wanted = min(h, self.longest)
            options["first_step"] = min(self.wanted, self.run.t_max - self.t)
        self.given = self.tolerance(self.state)
        if not self.given.all():
            # Where the processor has no subnormal numbers; SciPy never ends such a step.
            self.fail(self.state, "a tolerance is less than numbers are")
        with self._foreign():
            made = getattr(scipy.integrate, self.method)(
                loosely(self.velocity), self.t, self.state, self.run.t_max, max_step=self.longest,
                rtol=self.local_rtol, atol=self.given, **options)
        if h is None:
            # SciPy tries a step so long that losses may overflow, and then begins with one of 0.
            short = SHORT / max(fastest(self), TINY)
            if not short > 0.0:
                # SciPy would try steps of NaN for ever.
                self.fail(self.state, "no number holds how fast something changes")
            if not getattr(made, "h_abs", np.inf) > ABSURD * short:
                return self.stepper(short)
        return made

    def _options(self) -> dict[str, Any]:
        return {"jac": loosely(self.jacobian)} if self.method in IMPLICIT else {}

    @contextmanager
    def _foreign(self) -> Iterator[None]:
        """What SciPy raises, also as a warning that the user made an error, ends the run as any
        failed step does."""
        try:
            yield
        except Exception as error:
            if is_theirs(error):
                raise
            self.fail(self.state, f"{self.method} of SciPy: {type(error).__name__}: {error}")

    def go_on(self, path: Trajectory, codes: np.ndarray, met: np.ndarray) -> None:
        """Take up a run where its last piece began, instead of at the start.

        Parameters
        ----------
        path : Trajectory
            Of two pieces at least; the last one will be made again.
        codes : ndarray of int8, shape (m, n)
            The pattern there.
        met : ndarray of bool, shape (m, n)
            Points whose hyperplanes neurons have met before.
        """
        trim = self.path.trim
        self.path = path.without_last()
        self.path.trim = trim
        self.t, self.hint = self.path.t_end, path.hint
        self.state = self.path(np.array([self.t]))[0]
        a, W = self.split(self.state)
        p = self.field.pulls(self.field.outputs(a, W, codes), self.clock.log_rate(self.t))
        self.pattern.take(codes, a, W, self.field.fields(codes, p), met, self.band)
        if self.balance is not None:
            self.balance.restore(a, W, log_left=self.drift.log_left(self.t))

    def integrate(self, run: Run) -> None:
        """Run to the end; pieces go to `path`, events to ``run``.

        Raises
        ------
        Stop
            When the run ends before ``t_max``; everything up to then is recorded.
        """
        self.run = run
        look, late, stepper = 0, 0.0, None
        self._launch()
        while self.t < self.run.t_max:
            last = None
            if self.steps >= look or self.t > late > 0.0:
                late = LATE * self.t
                look = self.steps + (SELDOM if self.gear.stiff else self.steps // 2 + LOOK)
                last = self._last_piece()
            if last is not None:
                look, h, stepper = self.steps, self.run.t_max - self.t, None
            else:
                stepper = stepper or self.stepper(self.hint or None)
                last, h = self._step(stepper)
                stepper = None if stepper.status == "failed" else stepper
            self.steps += 1
            contacts = self.accept(*last)
            late = late or LATE * self.t
            shifted = stepper is not None and self._shift(stepper)
            h = self.gear.first(h) if shifted else h
            look = min(look, self.steps + SELDOM) if shifted else look
            self.run.check(self.measure)
            if contacts is None:
                stepper = self.stepper(self.longest)
                continue
            if self.turned():
                self.switch(contacts)
                self.longest, stepper = np.inf, None
            elif contacts:
                look = max(look, self.steps + LOOK) if stepper is None else look
                self.switch(contacts)
                if self.t < self.run.t_max:
                    stepper = self.stepper(h)
            elif self.t < self.run.t_max and (
                    shifted or self.shift > SHIFTED * self.rtol or self._stale(stepper)):
                stepper = self.stepper(h)
            elif stepper is not None:
                stepper.atol = self.tolerance(self.state)
                stepper.max_step = self.longest

    def _step(self, stepper: Any) -> tuple[tuple[Any, float, int], float]:
        """One step, as `accept` takes it, and how long the next one should be; all that is left to
        do where the stepper fails at rest, where velocities are rounding."""
        if self.t != self.hinted:
            tried = self.wanted or getattr(stepper, "h_abs", 0.0)
            if not np.isfinite(tried):
                self.fail(stepper.y, "the length of a step is no number")
            self.path.hint, self.hinted = min(tried, self.longest), self.t
        self.wanted = 0.0
        with self._foreign():
            message = stepper.step()
        if stepper.status == "failed":
            rest = self._last_piece()
            if rest is None:
                self.fail(stepper.y, message)
            else:
                return rest, self.run.t_max - self.t
        with self._foreign():
            last = stepper.dense_output(), stepper.t, self.degree
        return last, getattr(stepper, "h_abs", None) or stepper.step_size

    def _stale(self, stepper: Any) -> bool:
        """Whether a stepper works by tolerances of larger neurons: LSODA keeps those that it
        begins with."""
        return stepper is not None and self.method == "LSODA" and bool(
            (self.tolerance(self.state) < STALE * self.given).any())

    def _shift(self, stepper: Any) -> bool:
        """Whether to step with another stepper from now on."""
        self.stiff += self.gear.stiff
        return self.gear.shift(stepper, self.run.t_max - self.t)

    def turned(self) -> bool:
        """Whether the clock has another rate from now on."""
        if self.clock.parts is None:
            return False
        pull = self.seen(self.pulls(self.state, self.t)) @ row_norms(self.data.X) / self.data.n
        if self.clock.suits(self.t, float(pull)):
            return False
        self.clock.turn(self.t, float(pull))
        return True

    def seen(self, amounts: np.ndarray) -> np.ndarray:
        """Sizes of amounts (..., n), 0 at points at which no neuron is on or slides."""
        if self.pattern.activation.slope:
            return np.asarray(np.abs(amounts))
        return np.where((self.pattern.codes != OFF).any(axis=0), np.abs(amounts), 0.0)

    def _last_piece(self) -> tuple[Callable[[np.ndarray], np.ndarray], float, int] | None:
        """Dense output and its degree to where nothing is left to do, if that is known."""
        return last_piece(self)

    def symmetric(self, state: np.ndarray) -> np.ndarray:
        """The Jacobian on the surfaces that neurons slide on, where it is symmetric."""
        J = self.jacobian(self.t, state)
        for i, slide in self.pattern.slides.items():
            own = slice(self.m + i * self.d, self.m + (i + 1) * self.d)
            J[:, own] -= (J[:, own] @ slide.basis.T) @ slide.basis
        return self.drift.moving_part(J)

    def accept(self, dense: Any, t1: float, degree: int) -> list[tuple[int, int, int]] | None:
        """Record the step up to its first contact; return the contacts there. The dense output is
        a polynomial of this degree, or nearly.

        None if the dense output is less accurate than ``rtol`` up to there (explicit steppers near
        their stability limit, steppers with a poor interpolant): then the step must be shorter.
        """
        t0 = self.t
        if not t1 > t0:
            self.fail(self.state, "a step of no length")
        series = self._series(dense, t0, t1, degree)
        if not np.isfinite(series).all():
            self.fail(series[-1], "")
        error = interpolant.tail(series, self._units(series[0]))
        grow = (self.rtol / error) ** (1 / len(series)) if error > 0 else 5.0
        self.longest = (t1 - t0) * min(5.0, max(0.2, 0.9 * grow))
        found = self.contacts(series, t0, t1)
        if found:
            first = min(s for s, *_ in found)
            cut = t0 + (first + 1) * (t1 - t0) / 2
            if cut > t0:
                series = self._series(dense, t0, cut, degree)
                error = interpolant.tail(series, self._units(series[0]))
            t1 = cut
        if t1 - t0 > 16 * np.spacing(t0) and error > max(
                self.rtol, interpolant.blur(series, self._units(series[0]), t0, t1)):
            self.rejected += 1
            return None
        state = self._put_back(series, t1) if t1 > t0 else self.state
        if t1 > t0 and self.strayed < TRIES and (
                self.shift > STRAYED * self.rtol or found and self._misses(series, t1, t1 - t0)):
            self.rejected += 1
            self.strayed += 1
            self.longest = (t1 - t0) / 2
            return None
        self.strayed = 0
        if found:
            self._note_progress(t1 - t0, found[0])
        if t1 > t0:
            self.path.append(t1, series)
            self.state = state
            self.pattern.tighten(self.split(self.state)[1], self.band)
            self.held.accept(t1, sliding.NAUGHT * self.band)
            self.held.part(self.split(state)[1], self.pattern.arrangement.normal, self.band)
            self.freed.tell(self, series, self.t, t1)
            bury(self)
        self.t = t1
        stop_at_zero(self.pattern.activation, *self.split(self.state), t1)
        self._launch()
        self.cuts += bool(found)
        return [(i, h, kind) for _, i, h, kind in found]

    def _put_back(self, series: np.ndarray, t1: float) -> np.ndarray:
        """The state at the end ``t1`` of a step, on its hyperplanes and invariants."""
        state: np.ndarray = series.sum(axis=0)
        self.pattern.keep_on(self.split(state)[1])
        if self.balance is not None:
            self.shift = self.balance.restore(*self.split(state), log_left=self.drift.log_left(t1))
        return state

    def _launch(self) -> None:
        a, W = self.split(self.state)
        longest = self.pattern.launch(
            a, W, lambda: self.split(self.velocity(self.t, self.state))[1])
        self.longest = min(self.longest, max(longest, SHORTEST * np.spacing(self.t)))

    def _series(self, dense: Any, t0: float, t1: float, degree: int) -> np.ndarray:
        values = dense(t0 + (nodes(degree) + 1) * (t1 - t0) / 2).T
        # Relative to the start of the step: what does not move keeps its value to the last bit.
        series: np.ndarray = to_series(degree) @ (values - self.state)
        series[0] += self.state
        return series

    def _units(self, state: np.ndarray) -> np.ndarray:
        """`sizes`, 1 for what is 0."""
        size = self.sizes(state)
        size[size == 0] = 1.0
        return size

    def _misses(self, series: np.ndarray, t1: float, length: float) -> bool:
        """Whether the part of a step before a contact is worse than its end: see `MISSED`."""
        if self.method in IMPLICIT:
            return False
        state = series.sum(axis=0)
        change = self.velocity(t1, state) * length
        return interpolant.missed(series, change, self._units(state)) > MISSED * self.rtol

    def _note_progress(self, passed: float, contact: tuple[float, int, int, int]) -> None:
        self.stalled = self.stalled + 1 if passed <= 4 * np.spacing(self.t) else 0
        if self.stalled > STALLED:
            raise failing.stuck(self, *contact[1:3])

    def contacts(self, series: np.ndarray, t0: float,
                 t1: float) -> list[tuple[float, int, int, int]]:
        """First contacts of a step, simultaneous ones together: (s, neuron, hyperplane, kind).

        Looks at growing parts of the step: while events are dense the first one is near its start.
        """
        degree = len(series) - 1
        normal = self.data.arrangement.normal
        pattern = self.pattern
        part = min(1.0, 4 * self.spacing / (t1 - t0))
        found: list[tuple[float, int, int, int]] = []
        while not found:
            rounding = 16 * np.spacing(t1) / (t1 - t0) / part
            early = restrict(degree, 2 * part - 1) @ series if part < 1 else series
            W = np.ascontiguousarray(early[:, self.m:]).reshape(degree + 1, self.m, self.d)
            who, what, when = crossings(W, pattern.in_reach(W[0]), pattern.loose,
                                        self._bands(W[0]), normal, halves(degree),
                                        SIMULTANEOUS / part + rounding)
            found = [(float(s), int(i), int(h), CROSS) for s, i, h in zip(when, who, what)]
            if pattern.slides:
                ends = sliding.contacts(self, early, t0, part * (t1 - t0), self.held)
                if ends and part < 1.0:
                    # What comes back by the end of the step is a swing.
                    sure = {contact[1:] for contact in sliding.contacts(
                        self, series, t0, t1 - t0, copy(self.held))}
                    ends = [contact for contact in ends if contact[1:] in sure]
                found += ends
            if found or part == 1.0:
                break
            part = min(1.0, 4 * part)
        self.spacing = t1 - t0
        if not found:
            return []
        first = min(s for s, *_ in found)
        self.spacing = (first + 1) / 2 * part * (t1 - t0) + 16 * np.spacing(t1)
        return sorted(((s + 1) * part - 1, i, h, kind) for s, i, h, kind in together(
            found, W, normal, SIMULTANEOUS / part + rounding, rounding))

    def switch(self, contacts: list[tuple[int, int, int]]) -> None:
        """Change the pattern at the present time."""
        state = self.state.copy()
        a, W = self.split(state)
        contacts = one_way(contacts, self.data.arrangement)
        p, left = self.pulls(state, self.t), np.empty((0, 2), dtype=np.int64)
        if self.pattern.activation.slope:
            left = np.array([(i, h) for i, h, kind in contacts if kind in (
                RELEASE_BELOW, RELEASE_ABOVE)], dtype=np.int64).reshape(-1, 2)
            left = left[undecided(self.data, left[:, 1], np.tile(p, (len(left), 1)))]
        changes = self.pattern.switch(contacts, a, W, p, self.t)
        self.pattern.tighten(W, self.band)
        label = self.data.arrangement.label
        self.held.forget(contacts)
        self.freed.add(contacts, {(i, int(label[k])): before == SLIDING
                                  for i, k, before, _ in changes})
        for i, h in left:
            side = float(self.pattern.side[i, h])
            self.pattern.choices.append(np.array([[i, self.t, h, side, -side, 2]]))
        self.state = state
        if changes:
            self.run.record(self.t, *zip(*changes))
        again = self.t - self.idled <= SOON * self.t
        self.idle, self.idled = 0 if changes else 1 + self.idle * again, self.t

    def _bands(self, W: np.ndarray) -> np.ndarray:
        """Parts (m,) of the norms of ``W``, their middle on a step, by which weights have to leave
        hyperplanes, or to cross those that they have not left. Contacts that change nothing are
        right one by one; when they come again and again it is rounding."""
        a, size = self.split(self.state)[0], row_norms(W)
        most = max(LENIENT * self.band, LENIENT_ROUNDING) * np.hypot(a, size) / np.where(
            size > 0, size, 1.0)
        wider = self.band * 4.0 ** min(max(self.idle - IDLE, 0), 100)
        return np.asarray(np.clip(most, self.band, wider))

    def fail(self, state: np.ndarray, message: str | None) -> NoReturn:
        """End the run, with what can be said of why; ``message`` is what the stepper says."""
        raise failing.failure(self, state, message)
