"""The flow of a network with a smooth activation: one ordinary differential equation, no events.

    h_k = sum_i a_i phi(z_ik),   z_ik = w_i.x_k,   p_k = -dl/dh_k
    da_i/dt = (1/n) sum_k p_k phi(z_ik),   dw_i/dt = a_i (1/n) sum_k p_k phi'(z_ik) x_k
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from ..problem.clock import Clock
from ..problem.data import Data
from ..problem.field import Field
from ..problem.norms import row_norms
from .stepping import Stepping


class SmoothStepping(Stepping):
    """A flow under way; see `gflow.engines.stepping.Stepping` for its parameters."""

    def __init__(self, field: Field, state: np.ndarray, method: str, rtol: float,
                 clock: Clock = Clock()) -> None:
        # On data without hyperplanes there is nothing to switch.
        blank = Data(np.zeros_like(field.data.X), field.data.y)
        super().__init__(Field(blank, field.loss, setting=field.setting), state, method, rtol,
                         clock)
        self.field, self.data, self.square, self.balance = field, field.data, False, None

    def _lopsided(self, a: np.ndarray, W: np.ndarray) -> None:
        """Layers of these have units of their own."""
        return None

    def velocity(self, t: float, state: np.ndarray) -> np.ndarray:
        """Right-hand side."""
        self.nfev += 1
        a, W = self.split(state)
        return -self.field.gradient(a, W, self.pattern.codes)

    def pulls(self, state: np.ndarray, t: float) -> np.ndarray:
        """Pulls (n,)."""
        return self.field.pulls(self.outputs(state))

    def outputs(self, state: np.ndarray) -> np.ndarray:
        """Outputs (n,)."""
        return self.field.outputs(*self.split(state))

    def measure(self, t: float, state: Callable[[], np.ndarray]
                ) -> tuple[Callable[[], float], Callable[[], float]]:
        """Functions that give the loss, and the norm of the gradient."""
        codes = self.pattern.codes
        return (lambda: float(self.field.value(self.outputs(state()))),
                lambda: float(row_norms(self.field.gradient(*self.split(state()), codes))))

    def contacts(self, series: np.ndarray, t0: float,
                 t1: float) -> list[tuple[float, int, int, int]]:
        """None, ever."""
        return []

    def _last_piece(self) -> None:
        """Rest is not looked for."""
        return None

    def _options(self) -> dict[str, Any]:
        """SciPy finds the Jacobian by differences."""
        return {}
