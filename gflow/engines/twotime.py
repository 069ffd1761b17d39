"""Two time scales: output weights at their least squares optimum at every time.

    a = argmin L(., W), of least norm,   dw_i/dt = a_i D_i,

the limit of infinitely fast output weights. The normal equations say ``w_i.D_i = 0``, so that no
``|w_i|`` changes, and ``dL/dt = -sum |a_i D_i|^2`` since the loss does not depend on ``a`` to first
order. Boursier and Flammarion, arXiv:2609.34667 (this limit); the rest is derived here.

That is the gradient flow of ``L*(W) = min_a L(a, W)``. Its Hessian, where optimal output weights
depend smoothly on ``W``, is what is left of that of L without the output weights (implicit function
theorem): ``H_WW - H_Wa H_aa^+ H_aW``.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from ..problem.clock import Clock
from ..problem.field import Field
from ..problem.norms import row_norms
from . import rest
from .run import Stop
from .standing import to_rest
from .stepping import Stepping
from .trajectory import Trajectory

NONE, DEPENDENT = 1e-12, 1e-7
"""Singular values of the features, relative to the largest, that count as 0, and that are too small
to solve for: in between optimal output weights have lost half of their digits."""


def optimum(features: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, bool]:
    """Output weights (m,) of least norm that are best on ``features`` (n, m), and whether these are
    not close to dependent, unless they are so exactly.

    Examples
    --------
    >>> optimum(np.array([[2.0, 2.0]]), np.array([4.0]))
    (array([1., 1.]), True)
    """
    size = row_norms(features.T)
    scaled = features / np.where(size > 0, size, 1.0)
    left, values, right = np.linalg.svd(features, full_matrices=False)
    keep = values > NONE * values.max(initial=0.0)
    a = right[keep].T @ ((left[:, keep].T @ y) / values[keep])
    # Close to dependent is about directions: features of any length are as good as others.
    angles = np.linalg.svd(scaled[:, size > 0], compute_uv=False)
    angles = angles / angles.max(initial=1e-300)
    return a, not bool(((angles > NONE) & (angles < DEPENDENT)).any())


class TwoTimeTrajectory(Trajectory):
    """A path whose output weights are optimal at every time: what the loss falls by on a piece is
    the integral of ``|W'|^2``."""

    def dissipation(self, p: int, end: float | None = None) -> float:
        """What the loss falls by on piece ``p``, or up to ``end`` in it."""
        last = self.pieces[p]
        self_only = last.copy()
        self_only[1:, :self.m] = 0.0
        held, t0, t1 = Trajectory(self.m, self.d, self.start, 0.0), *self.breaks[p:p + 2]
        held.breaks, held.pieces = [t0, t1], [self_only]
        return held.dissipation(0, end)


class TwoTimeStepping(Stepping):
    """A flow under way; see `gflow.engines.stepping.Stepping` for its parameters.

    The output weights of a state are never looked at but for their signs: they are solved for.
    """

    def __init__(self, field: Field, state: np.ndarray, method: str, rtol: float,
                 clock: Clock = Clock()) -> None:
        super().__init__(field, state, method, rtol, clock)
        self.balance = None
        self.path: Trajectory = TwoTimeTrajectory(self.m, self.d, state, self.path.trim)

    def _solved(self, state: np.ndarray) -> tuple[np.ndarray, bool]:
        _, W = self.split(state)
        a, sound = optimum((self.pattern.on * (W @ self.data.X.T)).T, self.data.y)
        return np.append(a, W), sound

    def _lopsided(self, a: np.ndarray, W: np.ndarray) -> None:
        """Output weights are solved for."""
        return None

    def velocity(self, t: float, state: np.ndarray) -> np.ndarray:
        """Right-hand side on the frozen pattern."""
        v = super().velocity(t, self._solved(state)[0])
        v[:self.m] = 0.0
        return v

    def accept(self, dense: Callable[[np.ndarray], np.ndarray], t1: float,
               degree: int) -> list[tuple[int, int, int]] | None:
        """See `Stepping.accept`; ends the run where output weights cannot be solved for.

        Raises
        ------
        Stop
            If features are close to dependent.
        """
        contacts = super().accept(
            lambda t: np.array([self._solved(state)[0] for state in dense(t).T]).T, t1, degree)
        solved, sound = self._solved(self.state)
        if not sound:
            i, j = self._closest()
            raise Stop("dependent_features", "features are close to dependent at t = {t}, "
                       f"those of neurons {i} and {j} most alike: optimal output weights are not "
                       "determined from there on; stop before, or start with fewer neurons", self.t)
        return contacts

    def _closest(self) -> tuple[int, int]:
        features = self.pattern.on * (self.split(self.state)[1] @ self.data.X.T)
        size = row_norms(features)
        unit = features / np.where(size > 0, size, np.inf)[:, None]
        alike = np.abs(unit @ unit.T)
        np.fill_diagonal(alike, -1.0)
        i, j = np.unravel_index(int(alike.argmax()), alike.shape)
        return int(i), int(j)

    def symmetric(self, state: np.ndarray) -> np.ndarray:
        """The Jacobian of the hidden weights, on the surfaces that neurons slide on."""
        m, solved = self.m, self._solved(state)[0]
        a, W = self.split(solved)
        J = Stepping.jacobian(self, self.t, solved)
        for i, slide in self.pattern.slides.items():
            own = slice(m + i * self.d, m + (i + 1) * self.d)
            J[:, own] -= (J[:, own] @ slide.basis.T) @ slide.basis
            J[own] -= slide.basis.T @ (slide.basis @ J[own])
        features = (self.pattern.on * (W @ self.data.X.T)).T
        _, values, right = np.linalg.svd(features, full_matrices=False)
        keep = values > NONE * values.max(initial=0.0)
        # H_aa^+ = n V^T S^-2 V.
        root = np.sqrt(self.data.n) * (right[keep] / values[keep, None]) @ J[:m, m:]
        H = J[m:, m:] + root.T @ root
        # What cancels leaves rounding, which is no direction to move in.
        rates, modes = np.linalg.eigh((H + H.T) / 2)
        none = len(rates) * rest.NOISE * float(np.abs(J[m:, m:]).max())
        J[:] = 0.0
        J[m:, m:] = (modes * np.where(np.abs(rates) > none, rates, 0.0)) @ modes.T
        return J

    def _last_piece(self) -> tuple[Callable[[np.ndarray], np.ndarray], float, int] | None:
        """See `gflow.engines.standing.last_piece`."""
        t0, t1, state = self.t, self.run.t_max, self.state
        solved = self._solved(state)[0]
        a, W = self.split(solved)
        terms = rest.terms(self.first, self.pulls(solved, t0), None, rest.reach(a, W, self.data.X))
        move = to_rest(self, self.velocity(t0, state), a, W, terms, t1 - t0,
                       np.arange(state.size) < self.m)
        if move is None:
            return None
        t1 = min(t1, t0 + self.longest) if move.any() else t1
        return lambda t: state[:, None] + move[:, None] * ((t - t0) / (t1 - t0)), t1, self.degree

    def _options(self) -> dict[str, Any]:
        """SciPy finds the Jacobian by differences."""
        return {}
