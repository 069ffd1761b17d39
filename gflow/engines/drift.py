"""What moves weights besides the loss, or keeps them from moving: decay and fixed layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..problem.rates import Rates
from ..problem.setting import Setting
from .rest import NOISE

if TYPE_CHECKING:  # pragma: no cover
    from .pattern import Slide


class Drift:
    """Decay and fixed layers of a network, in a time in which its speeds are 1 or 0.

    False if there are none.

    Parameters
    ----------
    setting : Setting
    m, d : int
        Number of neurons, input dimension.

    Attributes
    ----------
    decay : ndarray, shape (m (d + 1),)
        Of every weight.
    moves : ndarray, shape (m (d + 1),)
        1 for weights that move, 0 for others.
    uniform : float or None
        The decay of all weights; None if they differ or do not all move, and nothing is known of
        the invariants of neurons.
    turning : ndarray, shape (d,), or None
        Decay of hidden weights if it turns them, None if it does not.
    fastest : float
        The largest decay.

    Examples
    --------
    >>> drift = Drift(Setting(decay=(1.0, 1.0, 0.0)), 1, 2)
    >>> drift.velocity(np.zeros(3), np.array([1.0, 2.0, 3.0]), {})
    array([-1., -2.,  0.])
    """

    def __init__(self, setting: Setting, m: int, d: int) -> None:
        inside = setting.inside(Rates(*setting.rates).pace)
        output, hidden = inside.moves
        self.m, self.d = m, d
        self.decay = inside.shrinking(m, d)
        self.moves = np.append(np.full(m, float(output)), np.full(m * d, float(hidden)))
        self.uniform = inside.uniform if output and hidden else None
        own = self.decay[m:m + d]
        self.turning = own if hidden and np.ptp(own) > 0 else None
        self.fastest = float(self.decay.max())

    def __bool__(self) -> bool:
        return self.uniform != 0.0

    def log_left(self, t: float) -> float:
        """Logarithm of what a uniform decay leaves of a length in the time ``t``."""
        return -(self.uniform or 0.0) * t

    def velocity(self, v: np.ndarray, state: np.ndarray,
                 slides: Mapping[int, Slide]) -> np.ndarray:
        """The velocity of ``state``, that under the loss alone being ``v``."""
        lost = self.decay * state
        if self.turning is not None:
            for i, slide in slides.items():
                own = slice(self.m + i * self.d, self.m + (i + 1) * self.d)
                lost[own] -= slide.basis.T @ (slide.basis @ lost[own])
        return np.asarray(self.moves * (v - lost))

    def jacobian(self, J: np.ndarray, slides: Mapping[int, Slide]) -> np.ndarray:
        """The Jacobian of that, that under the loss alone being ``J``."""
        J = J - np.diag(self.decay)
        if self.turning is not None:
            for i, slide in slides.items():
                own = slice(self.m + i * self.d, self.m + (i + 1) * self.d)
                J[own, own] += slide.basis.T @ (slide.basis * self.turning)
        return np.asarray(J * self.moves[:, None])

    def moving_part(self, J: np.ndarray) -> np.ndarray:
        """``J`` without the columns of weights that do not move."""
        return J * self.moves if self else J

    def rounding(self, state: np.ndarray) -> np.ndarray:
        """Rounding of what decay takes away."""
        return np.asarray(NOISE * self.decay * np.abs(state))
