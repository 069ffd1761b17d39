"""How outputs become pulls in the rounds of a window: by a loss, or as residuals of targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...kernels.chebyshev import nodes
from ...problem.field import Field
from ...problem.loss import is_quadratic
from .guess import DEGREE, Guess


class Quadratic:
    """Pulls ``target - outputs``: those of a quadratic loss, at points or in a reduced system.

    Parameters
    ----------
    target : ndarray, shape (n,)
        Pulls at output 0.
    """

    def __init__(self, target: np.ndarray) -> None:
        self.target = target

    def pulls(self, h: np.ndarray) -> np.ndarray:
        """Pulls (J, n) at outputs (J, n)."""
        return np.asarray(self.target - h)

    def curvature(self, h: np.ndarray) -> np.ndarray | None:
        """How much less they pull for more output; None if that is 1."""
        return None

    def most(self, h: np.ndarray, p: np.ndarray) -> float:
        """What the sum of squared pulls cannot pass from here: the loss, twice over, falls."""
        return float(p @ p)

    def guess(self, h: np.ndarray) -> Guess:
        """What is known where outputs are ``h`` (n,), and nothing else is."""
        p = self.pulls(h)
        return Guess(p, self.curvature(h), self.most(h, p))


class OfLoss(Quadratic):
    """Pulls of a convex loss.

    Parameters
    ----------
    field : Field
    """

    def __init__(self, field: Field) -> None:
        super().__init__(field.first_pulls)
        self.field = field

    def pulls(self, h: np.ndarray) -> np.ndarray:
        """Pulls (J, n) at outputs (J, n)."""
        return self.field.pulls(h)

    def curvature(self, h: np.ndarray) -> np.ndarray | None:
        """Curvature (J, n) there."""
        return self.field.curvature(h)

    def most(self, h: np.ndarray, p: np.ndarray) -> float:
        """As far as that is known: ``p^2 <= 2 sup(l'') l`` for a convex loss that is not negative
        (a parabola of that curvature lies above it and has its least value at ``l - p^2 / (2 sup
        l'')``), and the sum of the losses falls. The curvature is that of here, so that this is a
        limit on how much pulls may grow on one window, no truth; it never forbids that they stay.
        """
        curvature = float(self.field.curvature(h).max())
        return max(float(p @ p), 2 * curvature * float(self.field.value(h)) * len(h))


class Shrinking:
    """Pulls where outputs shrink besides, by weight decay: what `rounds.relax` asks for.

    Parameters
    ----------
    base : Quadratic
        Pulls at outputs.
    left : ndarray, shape (J,)
        What is left of outputs at the nodes of a window.

    Examples
    --------
    >>> half = Shrinking(Quadratic(np.array([1.0])), np.array([1.0, 0.5]))
    >>> half.pulls(np.array([[2.0], [2.0]])).ravel(), half.curvature(np.ones((2, 1))).ravel()
    (array([-1.,  0.]), array([1. , 0.5]))
    """

    def __init__(self, base: Quadratic, left: np.ndarray) -> None:
        self.base, self.left = base, left[:, None]

    def pulls(self, h: np.ndarray) -> np.ndarray:
        """Pulls (J, n) where outputs would be ``h`` (J, n) without decay."""
        return self.base.pulls(self.left * h)

    def curvature(self, h: np.ndarray) -> np.ndarray:
        """By how much less they pull for more of these."""
        weight = self.base.curvature(self.left * h)
        return np.asarray(np.broadcast_to(self.left, h.shape) if weight is None
                          else self.left * weight)


def shrinking(base: Quadratic, decay: float, length: float) -> tuple[Any, np.ndarray | float]:
    """The pulls on a window of this ``length``, and what is left of outputs at its nodes."""
    if not decay:
        return base, 1.0
    left = np.exp(-decay * length * (nodes(DEGREE) + 1))
    return Shrinking(base, left), left[:, None]


def response(field: Field) -> Quadratic:
    """The pulls of a problem."""
    return Quadratic(field.first_pulls) if is_quadratic(field.loss) else OfLoss(field)
