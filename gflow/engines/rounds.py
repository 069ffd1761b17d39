"""Rounds of waveform relaxation on one window, whatever it is that answers to the residuals.

Given residuals a frame gives outputs, these give new residuals, and so on until they stop changing
(Lelarasmee, Ruehli and Sangiovanni-Vincentelli, "The waveform relaxation method for time-domain
analysis of large scale integrated circuits", 1982), sped up by the tangent kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from ..kernels.roots import nodes, to_series
from ..run import Run, Stop
from .tangent import Tangent, answer, resolution, solve

DEGREE = 8
"""Degree of the residuals on a window."""
ROUNDS = 12
WEAK = 1e-3
"""Outputs that answer to residuals by less than this need no tangent kernel."""
STIFF = 30.0
"""Outputs that answer by more than this settle on the window."""
ENOUGH = 3.0
"""Change of the residuals at which rounds end, over ``rtol``."""
LATER = 30.0
"""A round that changes residuals by more than this, over ``rtol``, is worth the tangent kernel at
the end of the window too."""
ALLOWANCE = 20.0
"""Error of the residuals that is allowed, over ``rtol``: its effect on weights averages out."""


class Guess:
    """What is known of the residuals at the start of a window.

    Attributes
    ----------
    r, slope : ndarray, shape (n,)
        Residuals and their derivative.
    tangent : Tangent or None
        The tangent kernel there, if it is known.
    tried : (float, ndarray) or None
        Length and Chebyshev series of the last round on a window that was too long.
    """

    def __init__(self, r: np.ndarray) -> None:
        self.r, self.slope = r, np.zeros_like(r)
        self.tangent: Tangent | None = None
        self.tried: tuple[float, np.ndarray] | None = None

    def forget(self) -> None:
        """After a window that led nowhere."""
        self.slope, self.tangent, self.tried = np.zeros_like(self.r), None, None

    def residuals(self, H: float, first: Tangent | None) -> np.ndarray:
        """Residuals at the nodes of a window of length ``H``, before any round."""
        s = nodes(DEGREE)
        if self.tried is not None:
            # The window is the first part of one that was too long.
            length, series = self.tried
            return np.polynomial.chebyshev.chebval((s + 1) * (H / length) - 1, series).T
        used = self.r + (s[:, None] + 1) * (H / 2) * self.slope
        if first is not None:
            # The linear model that has this slope at the start.
            model = used + answer(np.tile(self.r, (s.size, 1)), first)
            used = used + solve(model - used - answer(used, first), first)
        return used

    def accept(self, outcome: Outcome, H: float) -> None:
        """Go on from the end of a window."""
        self.r = outcome.values[-1]
        # T_j'(1) = j^2.
        slopes = np.arange(DEGREE + 1) ** 2 @ to_series(DEGREE)
        self.slope = slopes @ outcome.used * (2 / H)
        self.tangent, self.tried = outcome.last, None


@dataclass
class Outcome:
    """How the rounds on a window ended.

    Attributes
    ----------
    used, values : ndarray, shape (J, n)
        Residuals of the last round, and what they became.
    series : ndarray, shape (J, n)
        Chebyshev series of ``values``.
    error : float
        What a polynomial leaves out of them.
    rounds : int
    first, last : Tangent or None
        Tangent kernels at the start, and at the end if it was made.
    diverged : bool
    """

    used: np.ndarray
    values: np.ndarray
    series: np.ndarray
    error: float
    rounds: int
    first: Tangent
    last: Tangent | None
    diverged: bool

    def length(self, H: float, rtol: float) -> float:
        """The length to try after a window of length ``H``."""
        if self.diverged:
            return H / 3
        if self.error > rtol:
            return float(H * max(0.2, 0.7 * (rtol / self.error) ** 0.4))
        grow = 2.0 if self.error == 0 else float(min(2.0, 0.8 * (rtol / self.error) ** 0.25))
        if self.rounds > 3:
            grow = min(grow, 1.0 if self.rounds == 4 else 0.7)
        return H * max(0.3, grow)


def relax(frame: Any, guess: Guess, H: float, target: np.ndarray,
          size: Callable[[np.ndarray], np.ndarray], slack: float, rtol: float,
          run: Run) -> Outcome:
    """Rounds on a window of length ``H``.

    Parameters
    ----------
    frame : object
        ``frame.run(r)`` gives outputs (J, n) under residuals (J, n); ``frame.tangent()`` the
        tangent kernel at the start, ``frame.tangent_after()`` at the end of the last round.
    guess : Guess
    H : float
    target : ndarray, shape (n,)
        Residuals are ``target`` minus outputs.
    size : callable
        From residuals (p, n) to how much each row (p,) of them moves a neuron, relative to it.
    slack : float
        Rounding of the sum of squared residuals.
    rtol : float
    run : Run
        Asked for Ctrl-C.
    """
    # On a flow the loss falls: residuals that grow are a window that is too long.
    ceiling = 4 * float(guess.r @ guess.r) + slack
    first = frame.tangent() if guess.tangent is None else guess.tangent.scaled(H)
    last = None
    newton, stiff = first.strength > WEAK, first.strength > STIFF
    coarse = resolution(DEGREE)
    used = coarse @ guess.residuals(H, first if newton else None)
    previous, diverged = np.inf, False
    for rounds in range(1, ROUNDS + 1):
        if run.interrupted:
            raise Stop("interrupted")
        values = target - frame.run(used)
        defect = coarse @ values - used
        change = float(size(defect).max())
        series = to_series(DEGREE) @ values
        error = float(size(series[-2:]).sum()) / ALLOWANCE
        push = defect
        if newton and change > LATER * rtol:
            last = frame.tangent_after()
        if newton and change > ENOUGH * rtol:
            push = solve(defect, first, last)
        if stiff:
            # The kernel multiplies the error of residuals by the length of the window.
            change = min(change, float(size(push).max()))
            if float(size(used).max()) <= rtol:
                # Nothing moves by more than that, whatever the residuals are to rounding.
                error = 0.0
            elif error > rtol:
                rest = to_series(DEGREE) @ solve(values - coarse @ values, first, last, full=True)
                error = min(error, float(size(rest[-2:]).sum()) / ALLOWANCE)
        if change <= ENOUGH * rtol:
            break
        diverged = not float((values**2).sum(axis=1).max()) <= ceiling
        diverged |= rounds >= 3 and (change > 0.5 * previous or rounds == ROUNDS)
        if diverged or rounds > 1 and error > 2 * rtol + change:
            break
        previous = change
        used = used + push
    return Outcome(used, values, series, error, rounds, first, last, diverged)
