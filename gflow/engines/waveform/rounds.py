"""Rounds of waveform relaxation on one window, whatever it is that answers to the pulls.

Given pulls a frame gives outputs, these give new pulls, and so on until they stop changing
(Lelarasmee, Ruehli and Sangiovanni-Vincentelli, "The waveform relaxation method for time-domain
analysis of large scale integrated circuits", 1982), sped up by the tangent kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

import numpy as np

from ...kernels.chebyshev import resolution, to_series
from ..run import Run, Stop
from .guess import DEGREE, Guess
from .tangent import WEAK, Tangent, solve

ROUNDS = 12
STIFF = 30.0
"""Outputs that answer by more than this settle on the window."""
SETTLED = 10.0
"""On a window on which outputs settle, what is left of an error of the residuals after it is
multiplied, and lasts: there rounds end later by this factor."""
LIMITING = 0.02
"""A smaller error, over ``rtol``, does not limit the next window."""
FEW_POINTS = 10
"""The eigenvectors of the kernel of so many cost nothing."""
ENOUGH = 3.0
"""Change of the residuals at which rounds end, over ``rtol``."""
LATER = 30.0
"""A round that changes residuals by more than this, over ``rtol``, is worth the tangent kernel at
the end of the window too."""
MOST_GROWTH = 1e6
"""Of the rate of change of residuals over a window, for all that is made of it."""
EARLY, EARLY_STIFF = 1.2, 1.5
"""Error over ``rtol`` that ends a window with kinks: further rounds find the same, to some percent,
for kinks are where they will be. Where outputs settle on it the second round may take away more
(of 334 such windows with more than 1.5 after the first, 9 came below 1; of 247 with more than 1.2
after the second, 4)."""
ALLOWANCE = 20.0
"""Error of the residuals that is allowed, over ``rtol``: its effect on weights averages out."""


@dataclass
class Outcome:
    """How the rounds on a window ended.

    Attributes
    ----------
    used, values : ndarray, shape (J, n)
        Pulls of the last round, and what they became.
    series : ndarray, shape (J, n)
        Chebyshev series of ``values``.
    error : float
        What a polynomial leaves out of them.
    rounds : int
    first, last : Tangent or None
        Tangent kernels at the start, and at the end if it was made.
    diverged : bool
    change : float
        By how much a guess that knows nothing of this window would have missed the residuals.
    contraction : float
        By how much a round reduces that.
    growth : float
        By how much faster the residuals change towards the end than at the start, per length.
    known : ndarray, shape (J, n)
        The residuals, smooth, as well as they are known.
    careful : bool
        Whether an attempt on a longer window had failed.
    outputs : ndarray, shape (J, n)
        Outputs of the last round.
    off : ndarray, shape (n,)
        What the rounds have left of the pulls.
    """

    used: np.ndarray
    values: np.ndarray
    series: np.ndarray
    error: float
    rounds: int
    first: Tangent
    last: Tangent | None
    diverged: bool
    change: float
    contraction: float
    growth: float
    known: np.ndarray
    careful: bool
    outputs: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    off: np.ndarray = field(default_factory=lambda: np.empty(0))


def relax(frame: Any, guess: Guess, H: float, response: Any,
          size: Callable[[np.ndarray], np.ndarray], slack: float, rtol: float,
          run: Run, enough: float = 0.0) -> Outcome:
    """Rounds on a window of length ``H``.

    Parameters
    ----------
    frame : object
        ``frame.run(p)`` gives outputs (J, n) under pulls (J, n); ``frame.tangent()`` the
        tangent kernel at the start, ``frame.tangent_after()`` at the end of the last round;
        ``frame.kinked`` says whether outputs have kinks.
    guess : Guess
    H : float
    response : Quadratic
        Gives pulls and curvature at outputs at the nodes (`gflow.engines.waveform.response`).
    size : callable
        From pulls (p, n) to how much each row (p,) of them moves a neuron, relative to it.
    slack : float
        Rounding of the sum of squared pulls.
    rtol : float
    run : Run
        Asked for Ctrl-C.
    enough : float
        Where rounds lead no further, a tolerance above ``rtol`` that will do: they have come to the
        rounding of outputs then.
    """
    # On a flow the loss falls: pulls that grow are a window that is too long.
    ceiling = 4 * response.growth * guess.most + slack
    first = frame.tangent() if guess.tangent is None else guess.tangent.scaled(H)
    first.modes, last = guess.modes, None
    strength = first.strength(guess.weight)
    newton, stiff = strength > WEAK, strength > STIFF
    # What settles on the window should have settled at its end.
    kind = "damped" if stiff else "smooth"
    coarse, tail = resolution(DEGREE, kind), to_series(DEGREE)[-2:]
    used = coarse @ guess.residuals(H, first if newton else None, stiff, ceiling)
    previous, diverged, contraction = np.inf, False, guess.contraction
    for rounds in range(1, ROUNDS + 1):
        if run.interrupted:
            raise Stop("interrupted")
        outputs = frame.run(used)
        values, weight = response.pulls(outputs), response.curvature(outputs)
        push = defect = coarse @ values - used
        change, error = float(size(defect).max()), float(size(tail @ values).sum()) / ALLOWANCE
        if newton and change > LATER * rtol:
            last = frame.tangent_after()
        if newton and change > ENOUGH * rtol:
            push = solve(defect, first, last, kind=kind, weight=weight)
        if stiff:
            # The kernel multiplies the error of residuals by the length of the window.
            change = min(change, SETTLED * float(size(push).max()))
            if float(size(used).max()) <= rtol:
                # Nothing moves by more than that, whatever the residuals are to rounding.
                error = 0.0
            elif error > LIMITING * rtol:
                left = values - coarse @ values
                error = min(error, _settled(left, first, last, weight, size))
        if rounds == 2 and previous > 0.0:
            contraction = change / previous
        if change <= ENOUGH * rtol:
            break
        # Not of the outputs: a long window multiplies in them what is wrong with the residuals.
        pushed = used + push
        diverged = not float(np.einsum("jk,jk->j", pushed, pushed).max()) <= ceiling
        stalled = rounds >= 3 and (change > 0.5 * previous or rounds == ROUNDS)
        diverged |= stalled and change > ENOUGH * enough
        sure = rounds > 1 or frame.kinked
        if (diverged or stalled
                or sure and error > _hopeless(rounds, change, rtol, stiff, frame.kinked)):
            break
        previous, used = change, pushed
    # Those of few points are found anew, exactly.
    guess.modes = first.modes if guess.r.size > FEW_POINTS else None
    # Outputs that settle are off by the kernel times what pulls are.
    found, weigh = (used + push, SETTLED) if stiff else (values, 1.0)
    least, early, late = (change, 0.0, 0.0) if diverged else guess.judge(found, size)
    missed = change if diverged else weigh * least
    growth = 1.0 if diverged else _growth(early, late, ENOUGH * rtol if stiff else 0.0)
    # After one round what neurons saw is still a guess.
    known = used
    if rounds == 1 and not diverged:
        unsolved = newton and push is defect
        known = used + (solve(defect, first, last, kind=kind, weight=weight) if unsolved else push)
    return Outcome(used, values, to_series(DEGREE) @ values, error, rounds, first, last, diverged,
                   missed, max(contraction, 1e-6), growth, known, guess.careful, outputs,
                   np.abs(push if stiff else values - used).max(axis=0))


def _settled(left: np.ndarray, first: Tangent, last: Tangent | None, weight: np.ndarray | None,
             size: Callable[[np.ndarray], np.ndarray]) -> float:
    """The error of residuals of which a polynomial leaves ``left`` (J, n), without a transient that
    settles at once: it moves nothing, and no polynomial follows it."""
    rest = solve(left - left[0], first, last, kind="full", weight=weight)
    return float(size(to_series(DEGREE)[-2:] @ rest).sum()) / ALLOWANCE


def _hopeless(rounds: int, change: float, rtol: float, stiff: bool, kinked: bool) -> float:
    """An error of the residuals that further rounds will not take below ``rtol``."""
    if kinked:
        return (EARLY_STIFF if stiff and rounds == 1 else EARLY) * rtol
    return 2 * rtol + change


def _growth(early: float, late: float, least: float) -> float:
    """Ratio of the rates of change at the end and at the start, from a quarter of the window each;
    changes of less than ``least`` are unknown."""
    early, late = max(early, least), max(late, least)
    if not early > 0.0:
        return 1.0 if late == 0.0 else MOST_GROWTH
    # The middles of the quarters are 3/4 of the window apart.
    return float(min(max((late / early) ** (4 / 3), 1.0), MOST_GROWTH))
