"""How outputs become pulls in the rounds of a window: by a loss, or as residuals of targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...problem.clock import Clock
from ...problem.field import Field
from ...problem.loss import is_endless, is_quadratic
from ...kernels.chebyshev import nodes
from .guess import DEGREE, Guess

MOST_GROWTH = 2.0
"""Pulls times ``dt/ds`` may grow like ``e^s`` over so much of a window at most: a limit on guesses,
no truth."""


class Quadratic:
    """Pulls ``target - outputs``: those of a quadratic loss, at points or in a reduced system.

    Parameters
    ----------
    target : ndarray, shape (n,)
        Pulls at output 0.

    Attributes
    ----------
    log : None, float or ndarray, shape (J, 1)
        Pulls and curvatures are times ``e^log``; see `Field.pulls`.
    growth : float
        How much the sum of squared pulls may grow on a window by that alone.
    seen : ndarray of bool, shape (n,), or None
        Points whose pulls count; None for all. See `Waveform.turn`.
    """

    log: Any = None
    growth = 1.0
    seen: np.ndarray | None = None

    def __init__(self, target: np.ndarray) -> None:
        self.target = target

    def at(self, t: float) -> Quadratic:
        """The same at a time of the engine."""
        return self

    def on(self, t0: float, t1: float) -> Quadratic:
        """The same at the nodes of a window."""
        return self

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
    clock : Clock
        Of the engine: pulls are times ``dt/ds``.
    log, growth, seen
        As above.
    """

    def __init__(self, field: Field, clock: Clock = Clock(), log: Any = None,
                 growth: float = 1.0, seen: np.ndarray | None = None) -> None:
        # Pulls that are no differences of labels and outputs have no rounding of these.
        super().__init__(np.zeros(field.data.n) if is_endless(field.loss) else field.first_pulls)
        self.field, self.clock, self.log, self.growth = field, clock, log, growth
        self.seen = seen

    def at(self, t: float) -> OfLoss:
        """The same at a time of the engine."""
        return OfLoss(self.field, self.clock, self.clock.log_rate(t), 1.0, self.seen)

    def on(self, t0: float, t1: float) -> OfLoss:
        """The same at the nodes of a window."""
        log = self.clock.log_rate(t0 + (nodes(DEGREE)[:, None] + 1) / 2 * (t1 - t0))
        growth = 1.0 if log is None else float(np.exp(2 * min(t1 - t0, MOST_GROWTH)))
        return OfLoss(self.field, self.clock, log, growth, self.seen)

    def pulls(self, h: np.ndarray) -> np.ndarray:
        """Pulls (J, n) at outputs (J, n)."""
        return self._kept(self.field.pulls(h, self.log))

    def curvature(self, h: np.ndarray) -> np.ndarray | None:
        """Curvature (J, n) there."""
        return self._kept(self.field.curvature(h, self.log))

    def _kept(self, amounts: np.ndarray) -> np.ndarray:
        """Amounts (..., n), 0 at points that do not count."""
        return amounts if self.seen is None else np.where(self.seen, amounts, 0.0)

    def most(self, h: np.ndarray, p: np.ndarray) -> float:
        """As far as that is known: ``p^2 <= 2 sup(l'') l`` for a convex loss that is not negative
        (a parabola of that curvature lies above it and has its least value at ``l - p^2 / (2 sup
        l'')``), and the sum of the losses falls. The curvature is that of here, so that this is a
        limit on how much pulls may grow on one window, no truth; it never forbids that they stay.
        """
        curvature = float(self._kept(self.field.curvature(h, self.log)).max())
        loss = float(self.field.value(h)) * (1.0 if self.log is None else float(np.exp(self.log)))
        return max(float(p @ p), 2 * curvature * loss * len(h))


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
        self.base, self.left, self.growth = base, left[:, None], base.growth

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


def response(field: Field, clock: Clock = Clock()) -> Quadratic:
    """The pulls of a problem."""
    return Quadratic(field.first_pulls) if is_quadratic(field.loss) else OfLoss(field, clock)
