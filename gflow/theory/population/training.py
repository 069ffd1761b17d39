"""Gradient flow on the population: a smooth equation away from w = 0."""

from __future__ import annotations

import time
import warnings
from functools import cached_property
from typing import Any, Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import DOP853, OdeSolution, Radau
from scipy.linalg import LinAlgWarning
from scipy.optimize import brentq

from ...engines.gear import Gear
from ...problem.balance import Balance
from ...problem.checks import non_negative, one_or_more, positive
from ...problem.inputs import EPS, ModelLike, TeacherLike, reported_times
from ...problem.network import ModelPath, TwoLayer, TwoLayerReLU
from ...problem.norms import row_norms, unit_rows
from .kernels import held
from .law import Law, as_law, as_model, field_at, loss_at, slopes_at
from ...problem.quiet import quiet
from ...problem.value import Value, fixed, lock

MESSAGES = {"finished": "reached t_max",
            "step_too_small": "the step size fell below rounding at t = {:.6g}",
            "stalled": "steps at t = {:.6g} are too short to get to t_max, as they are where "
                       "rounding is all that moves: give a smaller t_max"}
LOOK, MOST_STEPS = 500, 20_000
"""So many steps after which a run that has not doubled its time is asked whether it gets to its end
in so many of them: where what moves is rounding it does not."""
SHIFTED = 0.1
"""A state that left its invariants by more than this part of ``rtol`` is put back at once."""


@quiet
def flow(model: ModelLike, teacher: TeacherLike, t_max: float, *, Sigma: ArrayLike | None = None,
         noise: float = 0.0, rtol: float = 1e-8, t_eval: ArrayLike | None = None) -> PopulationFlow:
    r"""Gradient flow of a two-layer ReLU network on the population square loss.

    The limit of `gflow.integrate` for more and more Gaussian points: ``da_j/dt = w_j.D_j``,
    ``dw_j/dt = a_j D_j`` with the population `field`. There are no events; a neuron that reaches
    ``w = 0`` stays there, as it does on data. Steps are those of DOP853, and of Radau where the
    flow is stiff: late, and from large starts.

    Parameters
    ----------
    model : TwoLayerReLU or (a, W)
        Start.
    teacher : array_like, shape (d,), or TwoLayerReLU or (a, V)
        Linear teacher ``beta``, or a ReLU network.
    t_max : float
        End of the run in flow time, positive.
    Sigma : array_like, shape (d, d), optional
        Covariance of the inputs. Default: the identity.
    noise : float
        Standard deviation of the label noise: only the loss depends on it.
    rtol : float
        Error allowed per step, relative to the norm of each neuron; at least 100 eps.
    t_eval : array_like, shape (T,), optional
        Increasing times in [0, t_max] to report. Default: 200, dense early, both ends included.

    Returns
    -------
    PopulationFlow

    Raises
    ------
    TypeError, ValueError
        On bad input, and if weights are too large for a single step in double precision.

    References
    ----------
    Boursier and Flammarion, "Simplicity bias and optimization threshold in two-layer ReLU
    networks", 2024, arXiv:2410.02348 (population version of the early phase). The field in closed
    form and the logistic growth below are derived here.

    Examples
    --------
    Aligned antipodal clusters grow like logistic curves:

    >>> run = flow(([0.1, -0.1], [[0.1, 0.0], [-0.1, 0.0]]), [2.0, 0.0], 3.0)
    >>> A = 2 / (1 + 199 * np.exp(-6.0))
    >>> bool(abs(run.a[-1, 0] * run.W[-1, 0, 0] - A) < 1e-7)
    True
    """
    model = as_model(model)
    law = as_law(teacher, Sigma, model.d)
    t_max, rtol = positive(t_max, "t_max"), positive(rtol, "rtol")
    noise = non_negative(noise, "noise")
    if not 100 * EPS <= rtol < 1:
        raise ValueError(f"rtol = {rtol:g}: give a number from {100 * EPS:.2g} to below 1")
    times = reported_times(t_eval, t_max)
    started = time.perf_counter()
    stepping = _Stepping(model, law, rtol)
    held(stepping.velocity(0.0, stepping.state))
    status = stepping.integrate(t_max)
    if not stepping.pieces:
        raise ValueError("weights of this size move faster than steps in double precision: start "
                         "smaller, or rescale the teacher or Sigma")
    stats = {"nfev": stepping.nfev, "steps": len(stepping.pieces),
             "wall_time": time.perf_counter() - started}
    return PopulationFlow(
        OdeSolution(stepping.breaks, stepping.pieces), times, stepping.breaks[-1], model.m,
        lambda a, W: loss_at(a, W, law) + noise * noise / 2, status, stats)


class _Stepping:
    """Steps under way: those of SciPy's DOP853, or of Radau where these are limited by stability,
    with tolerances relative to every neuron."""

    def __init__(self, model: TwoLayerReLU, law: Law, rtol: float) -> None:
        self.m, self.d, self.law, self.rtol = model.m, model.d, law, rtol
        self.state = np.concatenate([model.a, model.W.ravel()])
        self.rest = ~model.W.any(axis=1)
        self.balance = Balance(model.a, model.W)
        self.gear = Gear("DOP853", self.state.size)
        self.breaks: list[float] = [0.0]
        self.pieces: list[Any] = []
        self.nfev = 0

    def split(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights a (m,) and W (m, d) of a flat state, as views."""
        return state[:self.m], state[self.m:].reshape(self.m, self.d)

    def velocity(self, t: float, state: np.ndarray) -> np.ndarray:
        """Right-hand side."""
        self.nfev += 1
        a, W = self.split(state)
        D = field_at(a, W, self.law)
        D[self.rest] = 0.0
        return np.concatenate([(W * D).sum(axis=1), (a[:, None] * D).ravel()])

    def jacobian(self, t: float, state: np.ndarray) -> np.ndarray:
        """Derivative of `velocity`; differences of it are noise where all is almost at rest."""
        m, d = self.m, self.d
        a, W = self.split(state)
        D, (by_a, by_W) = field_at(a, W, self.law), slopes_at(a, W, self.law)
        J, every = np.empty((m * (d + 1), m * (d + 1))), np.arange(m)
        by_a[self.rest] = by_W[self.rest] = D[self.rest] = 0.0
        J[:m, :m] = np.einsum("jp,jpk->jk", W, by_a)
        out = np.einsum("jp,jpkq->jkq", W, by_W)
        out[every, every] += D
        J[:m, m:] = out.reshape(m, -1)
        by_a *= a[:, None, None]
        by_a[every, :, every] += D
        J[m:, :m] = by_a.reshape(-1, m)
        J[m:, m:] = (a[:, None, None, None] * by_W).reshape(m * d, -1)
        return J

    def tolerance(self) -> np.ndarray:
        """Absolute tolerance of every component: relative to its neuron."""
        a, W = self.split(self.state)
        size = row_norms(np.column_stack([a, W]))
        size = self.rtol / 2 * np.where(size > 0, size, 1.0)
        return np.concatenate([size, np.repeat(size, self.d)])

    def integrate(self, t_max: float) -> str:
        """Step to the end; returns how it ended."""
        with warnings.catch_warnings():
            # Of steps that are too long for double precision, which are made again.
            warnings.simplefilter("ignore", LinAlgWarning)
            return self.march(t_max)

    def march(self, t_max: float) -> str:
        """What `integrate` does."""
        stepper, h = None, None
        while self.breaks[-1] < t_max:
            t0 = self.breaks[-1]
            if stepper is None:
                stepper = self.stepper(t_max, h)
            stepper.step()
            if stepper.status == "failed":
                return "step_too_small"
            if self.stalls(t_max):
                return "stalled"
            dense = stepper.dense_output()
            t1 = self.stop(dense, t0, stepper.t)
            self.pieces.append(dense)
            self.breaks.append(t1)
            self.state = dense(t1)
            shift = self.balance.restore(*self.split(self.state))
            self.split(self.state)[1][self.rest] = 0.0
            shifted = self.gear.shift(stepper, t_max - t1)
            h = stepper.h_abs if t1 == stepper.t else None
            if shifted and h is not None:
                h = self.gear.first(h)
            if shifted or t1 < stepper.t or shift > SHIFTED * self.rtol:
                stepper = None
            else:
                stepper.atol = self.tolerance()
        return "finished"

    def stalls(self, t_max: float) -> bool:
        """Whether steps have become too short to get to the end."""
        if len(self.pieces) % LOOK or not self.pieces:
            return False
        before, now = self.breaks[-1 - LOOK], self.breaks[-1]
        return now < 2 * before and t_max - now > MOST_STEPS / LOOK * (now - before)

    def stepper(self, t_max: float, h: float | None) -> DOP853 | Radau:
        """A fresh stepper from the present state, with a first step ``h`` if there is one."""
        t0 = self.breaks[-1]
        options = {"rtol": self.rtol / 2, "atol": self.tolerance(),
                   "first_step": None if h is None else min(h, t_max - t0)}
        if self.gear.stiff:
            return Radau(self.velocity, t0, self.state, t_max, jac=self.jacobian, **options)
        return DOP853(self.velocity, t0, self.state, t_max, **options)

    def stop(self, dense: Any, t0: float, t1: float) -> float:
        """When the first neuron reaches w = 0 in a step, and mark it; the end if none does."""
        before, after = self.split(dense(t0))[1], self.split(dense(t1))[1]
        zero = np.full(self.m, np.inf)
        for i in np.flatnonzero(((before * after).sum(axis=1) <= 0) & ~self.rest):
            t = brentq(lambda s: float(before[i] @ self.split(dense(s))[1][i]), t0, t1,
                       xtol=1e-15, rtol=4 * EPS)
            a, W = self.split(dense(t))
            if row_norms(W[i]) <= self.rtol * abs(a[i]):
                zero[i] = t
        t1 = min(t1, float(zero.min()))
        self.rest |= zero <= t1
        return t1


class PopulationFlow(Value):
    """A gradient flow on the population; made by `flow`.

    Attributes
    ----------
    t : ndarray, shape (T,)
        Reported times.
    a, W : ndarray, shapes (T, m) and (T, m, d)
        Weights at these times.
    loss : ndarray, shape (T,)
        Population loss, label noise included.
    norms : ndarray, shape (T, m)
        ``|w_i|``.
    directions : ndarray, shape (T, m, d)
        ``w_i/|w_i|``; zero for a neuron at ``w_i = 0``.
    t_end : float
        Time reached.
    status, message : str
        "finished", "step_too_small", or "stalled" where far too many steps would be needed, as
        for the rounding that is left at rest; and the same as a sentence.
    success : bool
        Whether ``t_max`` was reached.
    stats : dict
        ``nfev``, ``steps``, ``wall_time`` in seconds.
    """

    def __init__(self, path: Callable[[np.ndarray], np.ndarray], times: np.ndarray, t_end: float,
                 m: int, loss: Callable[[np.ndarray, np.ndarray], float], status: str,
                 stats: dict[str, Any]) -> None:
        self._path, self._m, self._loss_at = path, m, loss
        self.t_end, self.status, self.stats = t_end, status, fixed(stats)
        self.success = status == "finished"
        self.message = MESSAGES[status].format(t_end)
        reached = times[times <= t_end]
        self.t = reached if self.success else np.append(reached, t_end)
        self.lock()

    def __call__(self, t: ArrayLike) -> TwoLayer | ModelPath:
        """The network at a time in [0, t_end], or the path at several (T,).

        Raises
        ------
        ValueError
            If a time was not reached.
        """
        times = one_or_more(t, "t")
        if times.size and (times.min() < 0 or times.max() > self.t_end):
            wrong = times[(times < 0) | (times > self.t_end)][0]
            raise ValueError(f"t = {wrong:g} is outside [0, {self.t_end:g}], the times reached")
        models = self._models(times)
        return models[0] if np.ndim(t) == 0 else models

    def _models(self, times: np.ndarray) -> ModelPath:
        states = self._path(times).T.reshape(times.size, -1)
        return ModelPath(states[:, :self._m], states[:, self._m:].reshape(times.size, self._m, -1))

    @cached_property
    def _states(self) -> ModelPath:
        models = self._models(self.t)
        return ModelPath(lock(models.a), lock(models.W), models.one)

    @property
    def a(self) -> np.ndarray:
        """Output weights at the reported times, shape (T, m)."""
        return self._states.a

    @property
    def W(self) -> np.ndarray:
        """Hidden weights at the reported times, shape (T, m, d)."""
        return self._states.W

    @property
    def model(self) -> TwoLayer:
        """The network at the time reached."""
        return self._models(np.array([self.t_end]))[0]

    @cached_property
    @quiet
    def loss(self) -> np.ndarray:
        """Population loss at the reported times, shape (T,)."""
        return lock(np.array([self._loss_at(a, W) for a, W in zip(self.a, self.W)]))

    @cached_property
    def norms(self) -> np.ndarray:
        """Norms ``|w_i|`` at the reported times, shape (T, m)."""
        return lock(row_norms(self.W))

    @cached_property
    def directions(self) -> np.ndarray:
        """Unit vectors ``w_i/|w_i|`` at the reported times, shape (T, m, d)."""
        return lock(unit_rows(self.W))

    def __repr__(self) -> str:
        return (f"PopulationFlow: {self.status} ({self.message}), t = 0 to {self.t_end:g}, "
                f"loss {self.loss[0]:.6g} to {self.loss[-1]:.6g}, {self.stats['steps']} steps")
