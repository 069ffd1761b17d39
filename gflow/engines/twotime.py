"""Two time scales: output weights at their least squares optimum at every time.

    a = argmin L(., W), of least norm,   dw_i/dt = a_i D_i,

the limit of infinitely fast output weights. The normal equations say ``w_i.D_i = 0``, so that no
``|w_i|`` changes, and ``dL/dt = -sum |a_i D_i|^2`` since the loss does not depend on ``a`` to first
order. Boursier and Flammarion, arXiv:2609.34667 (this limit); the rest is derived here.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from ..problem.clock import Clock
from ..problem.field import Field
from ..problem.norms import row_norms
from .run import Stop
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

    def _last_piece(self) -> None:
        """Rest is not looked for: its Jacobian is another one."""
        return None

    def _options(self) -> dict[str, Any]:
        """SciPy finds the Jacobian by differences."""
        return {}
