"""The reference engine: SciPy steppers on the frozen pattern, cut at located events."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
import scipy.integrate

from ..problem.balance import Balance
from ..problem.data import Data
from ..kernels import field
from ..kernels.contacts import (CROSS, ON_SURFACE, RELEASE_ABOVE, RELEASE_BELOW, RESIDUAL_ERROR,
                                SIGN, crossings, multipliers)
from ..kernels.roots import first_exit, halves, nodes, restrict, to_series
from ..problem.norms import row_norms
from . import rest
from .events import OFF
from .pattern import Pattern, start_residual
from .run import Run, Stop
from .trajectory import Trajectory, by_neuron

DEGREE = {"RK23": 3, "RK45": 4, "DOP853": 7, "Radau": 3, "BDF": 5, "LSODA": 12}
"""Degree of each stepper's dense output, a polynomial."""
IMPLICIT = frozenset(["Radau", "BDF", "LSODA"])
SHARPER = {"BDF": 0.005, "LSODA": 0.01}
"""Multistep steppers restart at order one after every event: their steps must err less."""
SMALLEST_RTOL = 2.3e-14
TINY = float(np.finfo(float).tiny)
EPS = float(np.finfo(float).eps)
TRIM = 1e-3
"""Dense output is kept to this part of ``rtol``."""
MULTIPLIER_ROUNDING = 1e-13
STALLED = 1000
SHORTEST = 64
"""Steps are not made shorter than this, in units of the rounding of time."""
LOOK = 50
"""Steps between looks whether the flow is at rest, at least."""
SHIFTED = 0.1
"""A state that left its invariants by more than this part of ``rtol`` is put back at once."""


class Stepping:
    """A flow under way: the pattern, the stepper, and the events between them.

    Parameters
    ----------
    data : Data
    state : ndarray, shape (m (d + 1),)
        Start, ``[a (m), W (m d)]``.
    method : str
        A key of `DEGREE`.
    rtol : float
        Error allowed per step, relative to each neuron's norm.

    Attributes
    ----------
    path : Trajectory
        Dense output.
    """

    def __init__(self, data: Data, state: np.ndarray, method: str, rtol: float) -> None:
        self.data, self.method, self.rtol = data, method, rtol
        self.local_rtol = max(rtol / 2 * SHARPER.get(method, 1.0), SMALLEST_RTOL)
        self.band = max(rtol, ON_SURFACE)
        self.d = data.d
        self.m = state.size // (data.d + 1)
        self.path = Trajectory(self.m, self.d, state, max(TRIM * rtol, EPS))
        self.nfev = self.njev = self.steps = self.cuts = self.reduced = self.rejected = 0
        self.stalled = 0
        self.longest = self.spacing = np.inf
        state = state.copy()
        a, W = self._split(state)
        self.pattern = Pattern(data, a, W, start_residual(data, a, W))
        self.balance = Balance(a, W)
        self.shift = 0.0
        self.t = 0.0
        self.state = state
        self.initial_codes = self.pattern.codes.copy()

    def _split(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return state[:self.m], state[self.m:].reshape(self.m, self.d)

    def _arguments(self) -> tuple[Any, ...]:
        p = self.pattern
        return self.m, p.on, self.data.X, self.data.y, p.slider, p.rank, p.basis

    @property
    def ambiguous(self) -> int:
        """Instants at which the solution was not unique."""
        return self.pattern.ambiguous

    def velocity(self, t: float, state: np.ndarray) -> np.ndarray:
        """Right-hand side on the frozen pattern."""
        self.nfev += 1
        return field.velocity(state, *self._arguments())

    def jacobian(self, t: float, state: np.ndarray) -> np.ndarray:
        """Its derivative."""
        self.njev += 1
        return field.jacobian(state, *self._arguments())

    def residual(self, state: np.ndarray) -> np.ndarray:
        """Residuals on the frozen pattern."""
        a, W = self._split(state)
        return field.residual(a, W, self.pattern.on, self.data.X,
                              self.data.y)

    def measure(self, t: float, state: Callable[[], np.ndarray]
                ) -> tuple[Callable[[], float], Callable[[], float]]:
        """Functions that give the loss, and the norm of the min-norm gradient, of the ``state`` at
        ``t`` on the pattern of now."""
        m, *arrays = self._arguments()
        frozen = [array.copy() for array in arrays]

        def loss() -> float:
            r = field.residual(*self._split(state()), *frozen[:3])
            return float(r @ r / (2 * r.size))

        return loss, lambda: float(row_norms(field.velocity(state(), m, *frozen)))

    def tolerance(self, state: np.ndarray) -> np.ndarray:
        """Absolute tolerance of every component: relative to its neuron."""
        a, W = self._split(state)
        size = row_norms(np.column_stack([a, W]))
        size = self.local_rtol * np.where(size > 0, size, 1.0)
        return np.concatenate([size, np.repeat(size, self.d)])

    def stepper(self, h: float | None) -> Any:
        """A fresh SciPy stepper from the present state."""
        options: dict[str, Any] = {"jac": self.jacobian} if self.method in IMPLICIT else {}
        if h is not None:
            options["first_step"] = min(h, self.longest, self.run.t_max - self.t)
        return getattr(scipy.integrate, self.method)(
            self.velocity, self.t, self.state, self.run.t_max, max_step=self.longest,
            rtol=self.local_rtol, atol=self.tolerance(self.state), **options)

    def integrate(self, run: Run) -> None:
        """Run to the end; pieces go to `path`, events to ``run``.

        Raises
        ------
        Stop
            When the run ends before ``t_max``; everything up to then is recorded.
        """
        self.run = run
        look, stepper = 0, None
        self._launch()
        while self.t < self.run.t_max:
            last = None
            if self.steps >= look:
                look, last = self.steps + self.steps // 2 + LOOK, self._last_piece()
            if last is not None:
                look, h, stepper = self.steps, self.run.t_max - self.t, None
            else:
                stepper = stepper or self.stepper(None)
                message = stepper.step()
                if stepper.status == "failed":
                    self._fail(stepper.y, message)
                h = getattr(stepper, "h_abs", None) or stepper.step_size
                last = stepper.dense_output(), stepper.t
            self.steps += 1
            contacts = self.accept(*last)
            if contacts is None:
                stepper = self.stepper(self.longest)
                continue
            self.run.check(self.measure)
            if contacts:
                look = max(look, self.steps + LOOK) if stepper is None else look
                self.switch(contacts)
                if self.t < self.run.t_max:
                    stepper = self.stepper(h)
            elif self.shift > SHIFTED * self.rtol and self.t < self.run.t_max:
                stepper = self.stepper(h)
            elif stepper is not None:
                stepper.atol = self.tolerance(self.state)
                stepper.max_step = self.longest

    def _last_piece(self) -> tuple[Callable[[np.ndarray], np.ndarray], float] | None:
        """Dense output to where nothing is left to do, if that is already known; see `rest`."""
        t0, t1, state = self.t, self.run.t_max, self.state
        v = self.velocity(t0, state)
        if not np.isfinite(v).all():
            return None
        a, W = self._split(state)
        X, y = self.data.X, self.data.y
        move = np.zeros_like(state)
        if rest.rate(a, W, self.residual(state), X) * (t1 - t0) <= rest.INSTANT:
            move = v * (t1 - t0)
        elif v.any():
            D = (self.pattern.codes != OFF) @ rest.rounding(a, W, X, y)
            noise = np.append(D * row_norms(W), np.repeat(D * np.abs(a), self.d))
            limit = self.rtol * by_neuron(np.abs(state), self.m)
            for _ in range(rest.ROUNDS):
                if (np.abs(v) <= noise).all():
                    break
                if state.size > rest.MOST:
                    return None
                more, settled = rest.newton(v, self._symmetric(state + move), noise, t1 - t0)
                move += more
                if not (by_neuron(np.abs(move), self.m) <= limit).all():
                    return None
                if settled:
                    break
                v = self.velocity(t0, state + move)
            else:
                return None
            t1 = min(t1, t0 + self.longest) if move.any() else t1
        return lambda t: state[:, None] + move[:, None] * ((t - t0) / (t1 - t0)), t1

    def _symmetric(self, state: np.ndarray) -> np.ndarray:
        """The Jacobian on the surfaces that neurons slide on, where it is symmetric."""
        J = self.jacobian(self.t, state)
        for i, slide in self.pattern.slides.items():
            own = slice(self.m + i * self.d, self.m + (i + 1) * self.d)
            J[:, own] -= (J[:, own] @ slide.basis.T) @ slide.basis
        return J

    def accept(self, dense: Any, t1: float) -> list[tuple[int, int, int]] | None:
        """Record the step up to its first contact; return the contacts there.

        None if the dense output is less accurate than ``rtol`` up to there (explicit steppers near
        their stability limit, steppers with a poor interpolant): then the step must be shorter.
        """
        t0 = self.t
        series = self._series(dense, t0, t1)
        if not np.isfinite(series).all():
            self._fail(series[-1], "")
        error = self._tail(series)
        grow = (self.rtol / error) ** (1 / len(series)) if error > 0 else 5.0
        self.longest = (t1 - t0) * min(5.0, max(0.2, 0.9 * grow))
        found = self.contacts(series, t0, t1)
        if found:
            first = min(s for s, *_ in found)
            cut = t0 + (first + 1) * (t1 - t0) / 2
            if cut > t0:
                series = self._series(dense, t0, cut)
                error = self._tail(series)
            t1 = cut
        if t1 > t0 and error > self.rtol and t1 - t0 > 16 * np.spacing(t0):
            self.rejected += 1
            return None
        if found:
            self._note_progress(t1 - t0, found[0])
        if t1 > t0:
            self.path.append(t1, series)
            self.state = series.sum(axis=0)
            self.pattern.keep_on(self._split(self.state)[1])
            self.shift = self.balance.restore(*self._split(self.state))
            self.pattern.tighten(self._split(self.state)[1], self.band)
        self.t = t1
        self._launch()
        self.cuts += bool(found)
        return [(i, h, kind) for _, i, h, kind in found]

    def _launch(self) -> None:
        a, W = self._split(self.state)
        longest = self.pattern.launch(
            a, W, lambda: self._split(self.velocity(self.t, self.state))[1])
        self.longest = min(self.longest, max(longest, SHORTEST * np.spacing(self.t)))

    def _series(self, dense: Any, t0: float, t1: float) -> np.ndarray:
        degree = DEGREE[self.method]
        values = dense(t0 + (nodes(degree) + 1) * (t1 - t0) / 2).T
        # Relative to the start of the step: what does not move keeps its value to the last bit.
        series = to_series(degree) @ (values - self.state)
        series[0] += self.state
        return series

    def _tail(self, series: np.ndarray) -> float:
        """First neglected coefficient, relative to its neuron, by geometric extrapolation."""
        size = by_neuron(np.abs(series[0]), self.m)
        size[size == 0] = 1.0
        last, previous = (float((by_neuron(np.abs(series[j]), self.m) / size).max())
                          for j in (-1, -2))
        return last * min(1.0, last / previous) if previous > 0 else last

    def _note_progress(self, passed: float, contact: tuple[float, int, int, int]) -> None:
        self.stalled = self.stalled + 1 if passed <= 4 * np.spacing(self.t) else 0
        if self.stalled > STALLED:
            raise Stop("sliding_unresolved",
                       f"neuron {contact[1]} meets {self._points(contact[2])} again and again at "
                       "t = {t}; loosen rtol or perturb the start", self.t)

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
            window = (2e-12 + 16 * np.spacing(t1) / (t1 - t0)) / part
            early = restrict(degree, 2 * part - 1) @ series if part < 1 else series
            W = np.ascontiguousarray(early[:, self.m:]).reshape(degree + 1, self.m, self.d)
            who, what, when = crossings(W, pattern.side, pattern.loose, self.band, normal,
                                        halves(degree), window)
            found = [(float(s), int(i), int(h), CROSS) for s, i, h in zip(when, who, what)]
            if pattern.slides:
                found += self._slider_contacts(early)
            if found or part == 1.0:
                break
            part = min(1.0, 4 * part)
        self.spacing = t1 - t0
        if not found:
            return []
        first = min(s for s, *_ in found)
        self.spacing = (first + 1) / 2 * part * (t1 - t0) + 16 * np.spacing(t1)
        return sorted(((s + 1) * part - 1, i, h, kind) for s, i, h, kind in found
                      if s <= first + window)

    def _slider_contacts(self, series: np.ndarray) -> list[tuple[float, int, int, int]]:
        """Exits of multipliers from [0, 1], and output weights of sliding neurons through zero."""
        fine = 2 * (len(series) - 1)
        states = np.ascontiguousarray(np.polynomial.chebyshev.chebval(nodes(fine), series).T)
        r = np.array([self.residual(state) for state in states])
        A = self.data.arrangement
        # Residuals carry the error of the weights: once they decay to it, multipliers mean nothing.
        a, W = self._split(series[0])
        noise = RESIDUAL_ERROR * max(self.rtol, 1e-12) * float(np.abs(a) @ row_norms(W))
        noise *= float(A.length @ A.length) / r.shape[1]
        found = []
        for i, slide in self.pattern.slides.items():
            below, above, size = multipliers(r, i, slide.sign, self.pattern.side, self.data.X,
                                             A.label, A.length, slide.hyperplanes, slide.solve)
            tol = MULTIPLIER_ROUNDING * size + noise
            for kind, margin in ((RELEASE_BELOW, below), (RELEASE_ABOVE, above)):
                for j, h in enumerate(slide.hyperplanes):
                    s = first_exit(to_series(fine) @ margin[:, j], halves(fine), tol, 1.0)
                    if s <= 1.0:
                        found.append((float(s), i, int(h), kind))
            out = slide.sign * series[:, i]
            s = first_exit(out, halves(len(series) - 1), 1e-13 * np.abs(series[0, i]), 1.0)
            if s <= 1.0:
                found.append((float(s), i, -1, SIGN))
        return found

    def switch(self, contacts: list[tuple[int, int, int]]) -> None:
        """Change the pattern at the present time."""
        state = self.state.copy()
        a, W = self._split(state)
        changes = self.pattern.switch(contacts, a, W, self.residual(state))
        self.state = state
        if changes:
            self.run.record(self.t, *zip(*changes))

    def _points(self, hyperplane: int) -> str:
        A = self.data.arrangement
        points = A.member[A.start[hyperplane]:A.start[hyperplane + 1]]
        return f"point {points[0]}" if points.size == 1 else f"points {points.tolist()}"

    def _fail(self, state: np.ndarray, message: str | None) -> None:
        a, W = self._split(np.where(np.isfinite(state), state, np.inf))
        size = np.abs(np.column_stack([a, W])).max(axis=1)
        i = int(np.argmax(size))
        if not np.isfinite(size).all():
            raise Stop("non_finite", f"the weights of neuron {i} became infinite or NaN after "
                       "t = {t}; rescale the data or start smaller", self.t)
        near = ""
        if self.data.arrangement.normal.size:
            z = np.abs(W @ self.data.arrangement.normal.T) / np.maximum(row_norms(W), TINY)[:, None]
            i, h = divmod(int(np.argmin(z)), z.shape[1])
            near = f"; neuron {i} is nearest to a hyperplane, that of {self._points(h)}"
        raise Stop("step_too_small",
                   f"the step size fell below rounding at t = {{t}}{near} ({message})", self.t)
