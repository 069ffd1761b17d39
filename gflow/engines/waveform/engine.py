"""The fast engine: neurons one by one and in parallel, given the pulls on a window of time.

Neurons interact only through the pulls ``-dl/dh`` of the loss, residuals if it is the square one.
On a window these are polynomials; given them every neuron is integrated on its own with its own
events (`kernels.march`); the outputs give new pulls, and the round is repeated until they stop
changing (waveform relaxation: Lelarasmee, Ruehli and Sangiovanni-Vincentelli, 1982).
"""

from __future__ import annotations

from typing import Callable

import numpy as np

from ...problem.balance import Balance
from ...problem.clock import Clock
from ...problem.field import Field
from ...kernels.neurons import normalise
from ...kernels.chebyshev import nodes
from ...kernels.slides import keep_on
from ...kernels.watch import NEAR
from ...problem.loss import undefined
from ...problem.norms import row_norms
from ...problem.theirs import is_theirs
from ..pattern import Pattern, leaky_at_zero, start, stop_at_zero
from ..run import Run, Stop
from ..drift import Drift
from ..events import codes_of
from .calm import Calm
from .crew import Crew
from .freed import Freed
from .window import Window
from .windows import Windows
from .gliding import LOOK, PATIENCE, glide
from .guess import DEGREE
from .kinks import blurred_release, first_bend, fitted, vague_release
from .leaving import Leaving
from .marcher import Frame, Marcher, Patterns
from .pace import next_length
from .response import response, shrinking
from .rounds import Outcome, relax
from . import limits, logs, resting, standstill

ATTEMPTS = 12
"""Windows, each a tenth of the one before, on which neurons may fail."""
EPS = float(np.finfo(float).eps)


class Waveform:
    """A flow under way in windows.

    Parameters
    ----------
    field : Field
        Of the problem.
    U, power : ndarray, shapes (m, d + 1) and (m,)
        Start: neurons ``(a, w)`` in units of ``2 ** power``, see `gflow.problem.units.mantissas`.
    rtol : float
        Error allowed per window, relative to each neuron's norm.
    threads : int
        Number of threads; results do not depend on it.
    clock : Clock
        Its time is that of the engine, and pulls are those times ``dt/ds``.

    Attributes
    ----------
    path : Windows
        Dense output.
    """

    def __init__(self, field: Field, U: np.ndarray, power: np.ndarray, rtol: float,
                 threads: int = 1, clock: Clock = Clock()) -> None:
        self.field, self.data, self.rtol, self.clock = field, field.data, rtol, clock
        data = self.data
        self.response = response(self.field, clock)
        self.decay = Drift(field.setting, 1, data.d).uniform or 0.0
        m, d = len(U), data.d
        a, W = U[:, 0].copy(), U[:, 1:].copy()
        self.unit = power.copy()
        self.balance = Balance(a, W, (data.X != 0.0).any(axis=0))
        h, p = start(self.field, np.ldexp(a, self.unit), np.ldexp(W, self.unit[:, None]))
        pattern = Pattern(field, a, W, p)
        self.activation = pattern.activation
        self.initial_codes = pattern.codes.copy()
        self.choices = list(pattern.choices)
        self.pattern, self.small = pattern, False
        self.side, self.loose = pattern.side, pattern.loose
        self.side[pattern.rest] = -1
        self.guess = self.response.at(0.0).guess(h)
        self.t, self.latest = 0.0, (0.0, h)
        size = np.maximum(np.abs(a), np.abs(W).max(axis=1))
        mantissa = np.frexp(size)[1].astype(np.int64)
        self.power = mantissa + self.unit
        self.U = np.ldexp(np.column_stack([a, W]), -mantissa[:, None])
        self.direction = np.zeros((m, d + 1))
        self.closest = np.zeros((m, NEAR + 1), dtype=np.int32)
        self.marcher, self.crew = Marcher(data, rtol, self.activation, self.decay), Crew(threads)
        self.freed, self.leaving = Freed(self.marcher), Leaving()
        self.path = Windows(self.U, self.power, self.marcher, self.side, threads)
        self.patterns = self.marcher.patterns(self.side)
        self.nfev = self.njev = self.steps = self.cuts = self.rejected = self.reduced = 0
        self.quiet, self.patience, self.failures, self.look, self.faint = 0, PATIENCE, 0, 0, m
        self.calm = False
        self.hint = 0.0
        self.pulled, self.sharpened, self.left = 0.0, -1.0, 0.0
        self.fitted = np.zeros(data.n)
        self.vague = -1.0, self.fitted
        self.lengths, self.watched = row_norms(data.X), np.zeros(data.n, dtype=bool)
        self.longest = float(self.lengths.max())
        self.guess.most += self.reserve()

    def reserve(self) -> float:
        """What decay can add to the sum of squared pulls: the objective falls, not the loss."""
        if not self.decay:
            return 0.0
        square = float(np.ldexp((self.U**2).sum(axis=1), 2 * self.power).sum())
        return self.data.n * self.decay * square

    def measure(self, t: float, state: Callable[[], np.ndarray]
                ) -> tuple[Callable[[], float], Callable[[], float]]:
        """Functions that give the loss, and the norm of the min-norm gradient, of the ``state`` at
        ``t`` of the last window."""
        m, d, field = self.path.m, self.path.d, self.field
        sides, latest = self.path.last_sides(t, self.side), self.latest

        def parts() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            a, W = state()[:m], state()[m:].reshape(m, d)
            return a, W, field.outputs(a, W)

        def loss() -> float:
            # Rules ask for it after every window.
            return float(field.value(latest[1] if t == latest[0] else parts()[2]))

        def gradient_norm() -> float:
            a, W, h = parts()
            side = sides()
            patterns = self.marcher.patterns(side)
            D = field.fields(codes_of(self.data.arrangement, side[patterns.first]), field.pulls(h))
            # A ReLU neuron at w = 0 stays there, whatever its sides were.
            moves = (W != 0).any(axis=1, keepdims=True) | bool(self.activation.slope)
            return field.speed(a, W, np.where(moves, D[patterns.of], 0.0))

        return loss, gradient_norm

    def go_on(self, path: Windows, codes: np.ndarray, met: np.ndarray) -> None:
        """Take up a run where its last window began, instead of at the start.

        Parameters
        ----------
        path : Windows
            Of two windows at least; the last one will be made again.
        codes, met : ndarray, shape (m, n)
            The pattern there, and the points whose hyperplanes neurons have met: windows know both.
        """
        p, last = len(path.pieces) - 1, path.pieces[-1]
        self.path = path.without_last(self.path.threads)
        self.t, self.hint = self.path.t_end, path.hint
        assert self.path.end is not None
        self.power, self.calm = self.path.end[1].copy(), isinstance(last, Calm)
        self.side = path.side_at(p).copy()
        self.patterns = self.marcher.patterns(self.side)
        self.loose = np.zeros(self.side.shape, dtype=bool)
        if isinstance(last, Window):
            self.loose = last.loose_on(self.side.shape)
            self.direction, self.closest = last.direction, last.closest
        self.take(self.path.end[0].copy())
        if self.calm and self.clock.parts is not None:
            self.response.seen = self.seen()
        h = self.field.outputs(np.ldexp(self.U[:, 0], self.power),
                               np.ldexp(self.U[:, 1:], self.power[:, None]))
        self.guess, self.latest = self.response.at(self.t).guess(h), (self.t, h)
        self.guess.most += self.reserve()

    def integrate(self, run: Run) -> None:
        """Run to the end; windows go to `path`, events to ``run``.

        Raises
        ------
        Stop
            When the run ends before ``t_max``; everything up to then is recorded.
        """
        self.run = run
        with self.crew:
            try:
                self._advance()
            except (ArithmeticError, np.linalg.LinAlgError) as error:
                if is_theirs(error):
                    raise
                i = int(np.argmax(self.power))
                k = int(np.argmax(np.abs(self.guess.r) * self.lengths))
                raise Stop("non_finite", "numbers overflow after t = {t}, most of all those of "
                           f"neuron {i} and of point {k}; rescale the data or start smaller",
                           self.t) from error

    def _advance(self) -> None:
        """Windows up to ``t_max``."""
        H = self.hint or self.grows(1.0)
        while self.t < self.run.t_max:
            # A run that is taken up where it was calm goes on with its clock, and may be at rest.
            slower = None if self.calm else self.turn(self.guess.r)
            if slower is not None:
                H *= slower
                self.begin()
            if self.steps == 0 and not self.decay and standstill.stationary(self):
                resting.stand(self)
                return
            self.path.tried(H)
            if self.decay and not self.seen().any():
                # Dead neurons never wake: nothing is left to do but to shrink, whatever pulls are.
                H = limits.FOLDINGS / self.decay
            else:
                # On a reduced system pulls may be any number, as fields vanish.
                H = min(H, np.inf if self.calm else self.grows(limits.FOLDINGS), self.lasts())
            H = min(H, self.run.t_max - self.t, self.launch())
            H = min(H, self.fades(H))
            if self.run.t_max - self.t - H < 1e-3 * H:
                H = self.run.t_max - self.t
            if H <= 16 * np.spacing(self.t) and not self.calm:
                raise self.too_short()
            if self.steps >= self.look:
                self.look = self.steps + self.steps // 2 + LOOK
                if not self.decay and standstill.at_rest(self):
                    resting.stand(self)
                    return
                if (self.decay or standstill.slow(self)) and resting.held(self, self.U, self.power):
                    return
            if self.calm or self.quiet >= self.patience and not self.small:
                self.calm = False
                H = glide(self, H)
            else:
                H = self.window(H)
                self.run.check(self.measure)

    def too_short(self) -> Stop:
        """How a run ends whose windows have fallen below rounding."""
        # On a reduced system neurons are known to the path alone.
        state, m = self.path(np.array([self.path.t_end]))[0], self.path.m
        h = self.field.outputs(state[:m], state[m:].reshape(m, -1))
        if unknown := undefined(self.field.loss, h, self.data.y):
            return Stop("non_finite", unknown + "; the run ends at t = {t}", self.t)
        return Stop("step_too_small", "windows fell below rounding at t = {t}", self.t)

    def begin(self) -> None:
        """Know of the pulls what the weights of now say."""
        self.guess = self.response.at(self.t).guess(self.field.outputs(
            np.ldexp(self.U[:, 0], self.power), np.ldexp(self.U[:, 1:], self.power[:, None])))
        self.guess.most += self.reserve()

    def turn(self, r: np.ndarray) -> float | None:
        """By how much times of the engine become shorter, if it has the clock go at another rate
        from now on, because of the pulls ``r`` (n,) of now."""
        if self.clock.parts is None:
            return None
        before = float(self.clock.log_rate(self.t))
        if not self.clock.suits(self.t, self._pull(r)):
            seen = self.seen() | self.watched
            if self.clock.suits(self.t, self._pull(np.where(seen, r, 0.0))):
                # Only points that no neuron sees go on pulling.
                self.response.seen = seen
                return 1.0
            self.response.seen = None
            self.clock.turn(self.t, self._pull(r))
            return float(np.exp(before - self.clock.log_rate(self.t)))
        return None

    def _pull(self, r: np.ndarray) -> float:
        """What turns a neuron, at most."""
        return float(np.abs(r) @ self.lengths) / self.data.n

    def seen(self) -> np.ndarray:
        """Points that a neuron is on at, or slides on, shape (n,)."""
        if self.activation.slope:
            return np.ones(self.data.n, dtype=bool)
        # One at rest at w = 0 does not stand for those that share its sides.
        moving = np.flatnonzero(self.U[:, 1:].any(axis=1))
        first = Patterns.by(self.patterns.key[moving]).first
        codes = codes_of(self.data.arrangement, self.side[moving[first]])
        return np.asarray((codes != 0).any(axis=0))

    def launch(self) -> float:
        """The longest window on which no small ``|w|`` grows manifold; see `Pattern.launch`."""
        self.small = False
        if not (self.pattern.begun < np.inf).any():
            return np.inf
        D = self.marcher.active(self.side) @ (self.guess.r[:, None] * self.data.X) / self.data.n
        length = self.pattern.launch(self.U[:, 0], self.U[:, 1:], lambda: self.U[:, :1] * D)
        # One that does not move need not be waited for.
        self.small = length < np.inf
        return max(length, 64 * float(np.spacing(self.t)))

    def lasts(self) -> float:
        """The longest window under decay, see `limits.lasting`."""
        if not self.decay:
            return np.inf
        return limits.lasting(self.U, self.power, self.guess.weight, self.lengths, self.decay,
                              self._pull(self.guess.r))

    def fades(self, within: float) -> float:
        """The longest window on which balanced neurons that shrink stay on their invariant, or
        infinity if that is longer than ``within``; see `limits.fading`."""
        if self.grows(limits.FADINGS) >= within * max(1.0, abs(self.activation.slope)):
            # No neuron shrinks by more than that on such a window either.
            return np.inf
        first, of = self.patterns.first, self.patterns.of
        return limits.fading(
            self.U, self.side[first], of, self.balance.sign == 0,
            lambda side: self.marcher.active(side) @ (
                self.guess.r[:, None] * self.data.X / self.data.n),
            self.data.arrangement.normal, within, self.t)

    def grows(self, foldings: float) -> float:
        """A time in which no neuron grows by more than exp of ``foldings``, at most ``t_max``."""
        pull = float(np.abs(self.guess.r) @ self.lengths) / self.data.n
        return min(self.run.t_max, foldings / pull if pull > 0 else self.run.t_max)

    def _fainter(self, widths: np.ndarray) -> None:
        """Look whether the flow is at rest when one more weight, of these ``widths`` (m,), is no
        more than errors of its neuron."""
        faint = int((widths <= standstill.FAINT * self.rtol * np.abs(self.U[:, 0])).sum())
        if faint > self.faint:
            self.look = 0
        self.faint = faint

    def window(self, H: float) -> float:
        """Advance by at most ``H``; the length to try next."""
        t1, end = self.t + H, self.run.t_max
        if t1 >= end - 4 * np.spacing(end):
            t1 = end
        H = t1 - self.t
        # What is left of a window on which all was well but that it had to end earlier.
        remainder, self.left = self.left, 0.0
        frame, slack = self._frame(t1)
        # However long it is: pulls that nobody sees move nobody.
        unseen = self.decay and not self.seen().any()
        reach = self.lengths / self.data.n * (0.0 if unseen else H)
        try:
            pulls, left = shrinking(self.response.on(self.t, t1), self.decay, H)
            outcome = relax(frame, self.guess, H, pulls, lambda p: np.abs(p) @ reach,
                            slack, self.rtol, self.run)
            if self.decay:
                outcome.outputs *= left
        except Stop as end:
            # Neurons may fail under residuals that are still far off.
            self.failures += 1
            if end.status not in ("sliding_unresolved", "non_finite") or self.failures > ATTEMPTS:
                raise
            self.rejected += 1
            self.guess.forget()
            return H / 10
        self.failures = 0
        self.nfev += outcome.rounds
        if self._surprised(frame):
            return H
        following = next_length(outcome, H, self.rtol, self.data.n, len(self.U), len(frame.log))
        if outcome.diverged:
            self.rejected += 1
            self.guess.forget()
        elif outcome.error > self.rtol:
            self.rejected += 1
            # Later rounds have come closer in what neurons answer than in what they were given.
            best = outcome.known if outcome.rounds == 1 else outcome.values
            self.guess.reject(outcome.first, H, best)
            kink = first_bend(frame.log, self.data.arrangement, self.lengths * (
                reach if self.guess.weight is None else reach * self.guess.weight), self.rtol)
            if kink < 1.0:
                return H * (kink + 1) / 2
        elif (part := self._part(frame, outcome)) < 1.0:
            self.rejected += 1
            self.left = remainder + H * (1 - part) if part else 0.0
            return H * (part or 1.0)
        else:
            self._accept(frame, outcome)
            return max(remainder, following)
        return following

    def _frame(self, t1: float) -> tuple[Frame, float]:
        """The window up to ``t1``, and the rounding of the sum of squared pulls on it."""
        weight = self.guess.weight
        widths = np.sqrt(np.einsum("ic,ic->i", self.U[:, 1:], self.U[:, 1:]))
        self._fainter(widths)
        strength = float(np.ldexp(np.abs(self.U[:, 0]) * widths, 2 * self.power).sum())
        most = strength * self.longest * (1.0 if weight is None else float(weight.max()))
        window = Window(self.t, t1, self.U, self.power, np.flatnonzero(self.loose), self.direction,
                        self.closest, strength if weight is None else strength * weight)
        doubt = np.maximum(self.fitted, self.vague[1]) if self.vague[0] == self.t else self.fitted
        if doubt.any():
            window.doubt = doubt
        frame = self.marcher.begin(window, self.side, self.patterns, nodes(DEGREE), self.crew,
                                   wanted=False)
        return frame, (self.rtol * most)**2 * self.data.n

    def _part(self, frame: Frame, outcome: Outcome) -> float:
        """The part of a window up to the first release that has to be at the end of one; 0 if it is
        to be made again, for neurons have been let go of at its start, or see `vague_release`."""
        if self._vague(frame, outcome):
            return 0.0
        part = (self._blurred(frame.log, outcome) + 1) / 2
        if part < 1.0:
            # One attempt is enough: what is left after it is the error of the weights.
            self.sharpened = self.t
        else:
            part = self.leaving.look(self, frame)
        if 0.0 < part < 1.0:
            self.guess.reject(outcome.first, frame.window.t1 - frame.window.t0, outcome.values)
        return part

    def _vague(self, frame: Frame, outcome: Outcome) -> bool:
        """Whether a window is to be made again with what rounds have left of the pulls as a part of
        their error; see `vague_release`. Once is enough."""
        if self.vague[0] == self.t or not vague_release(frame, outcome, self.freed.geometry,
                                                        self.fitted):
            return False
        self.vague = self.t, outcome.off
        self.guess.reject(outcome.first, frame.window.t1 - frame.window.t0, outcome.known)
        return True

    def _blurred(self, log: np.ndarray, outcome: Outcome) -> float:
        """See `blurred_release`; 1 on a window that was shortened for it."""
        self.pulled = max(self.pulled, float(np.abs(outcome.used).max()))
        if self.sharpened == self.t:
            return 1.0
        return blurred_release(log, outcome, self.pulled, self.rtol)

    def _surprised(self, frame: Frame) -> bool:
        """Whether a neuron meets a point whose pull was left away: then it counts from now on."""
        if self.response.seen is None:
            return False
        log = frame.log[frame.log[:, 2] >= 0]
        side = self.side[log[:, 0].astype(np.int64)].copy()
        side[np.arange(len(log)), log[:, 2].astype(np.int64)] = log[:, 4]
        met = (codes_of(self.data.arrangement, side) != 0).any(axis=0)
        if not (met & ~self.response.seen).any():
            return False
        self.response.seen = self.response.seen | met
        # Until a window with them is accepted: else they would be left away again at once.
        self.watched = self.watched | met
        self.rejected += 1
        self.begin()
        return True

    def take(self, U: np.ndarray, power: np.ndarray | None = None) -> None:
        """Neurons ``U`` in units of 2 to the ``power`` (m,), or the present ones, with mantissas
        near 1, on the hyperplanes that they slide on and on their invariant."""
        of, first = self.patterns.of, self.patterns.first
        slides = (self.side[first] == 0).any(axis=1)
        if slides.any():
            keep_on(U, self.side, self.marcher.geometry.normal, of, first, slides)
        self.power = (self.power if power is None else power).copy()
        self.put_back(U, self.power)
        self.U = U

    def put_back(self, U: np.ndarray, power: np.ndarray) -> None:
        """Put neurons ``U`` in units of 2 to the ``power`` (m,) on their invariant, in place, with
        mantissas near 1."""
        normalise(U, power)
        # In arrays like those of the stepper: others would be compiled again.
        a, W = U[:, 0].copy(), U[:, 1:].copy()
        if self.decay * self.t * EPS < self.rtol:
            # Later nobody knows what decay has left of them.
            self.balance.restore(a, W, power - self.unit, -self.decay * self.t)
        U[:, 0], U[:, 1:] = a, W

    def _accept(self, frame: Frame, outcome: Outcome) -> None:
        window, out = frame.window, frame.ends
        log = frame.log[np.argsort(frame.log[:, 1], kind="stable")]
        window.values, window.events = outcome.used, np.ascontiguousarray(log[:, :5])
        self.steps += 1
        self.watched = np.zeros(self.data.n, dtype=bool)
        self.fitted = fitted(self.fitted, outcome)
        self.t, self.latest = window.t1, (window.t1, outcome.outputs[-1])
        if len(frame.choices):
            self.choices.append(logs.choices(frame.choices, window))
        self.side, self.loose = out.side, out.loose
        self.direction, self.closest = out.direction, out.closest
        self.patterns = frame.after()
        left = np.exp(-self.decay * (window.t1 - window.t0)) if self.decay else 1.0
        self.take(out.U * left if self.decay else out.U)
        self.path.append(window, (self.U, self.power))
        p, h = outcome.values[-1], outcome.outputs[-1]
        response = self.response.at(window.t1)
        self.guess.accept(p, outcome.known, window.t1 - window.t0, outcome.last,
                          outcome.contraction, response.curvature(h),
                          response.most(h, p) + self.reserve())
        self.quiet = 0 if len(log) else self.quiet + 1
        if len(log):
            self._record(window, log)
        length = window.t1 - window.t0
        self.choices.append(self.freed.choices(
            window, frame.side, frame.error,
            lambda s: self.path.scaled(np.array([window.t0 + (s + 1) / 2 * length]))[0][0]))
        if len(log) and not self.activation.slope:
            self.choices.append(logs.through_zero(frame.side, log, window, self.pattern.begun))
            self.choices += logs.put_at_zero(self.data, frame.side, log, window.U[:, 0],
                                             outcome.series, window)
        if self.activation.slope:
            self.choices.append(logs.leaky_choices(self.data, log, outcome.series, window))
            i, t = logs.passed_zero(frame.side, log, window, self.data.d)
            if i >= 0:
                self.path.cut(t)
                raise leaky_at_zero(i, t)
            stop_at_zero(self.activation, self.U[:, 0], self.U[:, 1:], self.t)

    def _record(self, window: Window, log: np.ndarray) -> None:
        """Events of a window as changes of the ternary codes of points."""
        self.run.record(*logs.changes(self.data.arrangement, log, self.side, window))
