"""How long the next window should be: accurate enough, and cheap for the time it covers.

The model is crude and tested on nothing but time: errors of the residuals grow like a power of the
length, and with the rates of change; so does what a guess misses; a round takes a share of that
away. Costs are in events.
"""

from __future__ import annotations

import numpy as np

from .rounds import ENOUGH, ROUNDS, Outcome

LENGTHS = np.geomspace(0.2, 2.0, 41)
"""Over the last length."""
LOGS = np.log(LENGTHS)
LEAST = 1e-300
"""Smaller numbers have no logarithm."""
MOST_CONTRACTION = 0.9
"""Of a round: rounds that contract less are not worth a forecast."""
POWER = 4.0
"""Of the length, in the error of residuals without many kinks."""
REJECTED = 2.5
"""The same, after a window that was too long."""
TARGET = 0.3
"""Error aimed at, over ``rtol``."""
AFTER_FAILURE = 1.2
"""Largest growth after an attempt that failed."""
MISSED, TIGHTER = 4.0, 2.0
"""Powers of the length in what a guess misses, and in the contraction of a round."""
CAUTION = 2.0
"""How much more a guess may miss than expected."""
WINDOW, ROUND, NEURON, POINT = 150.0, 90.0, 0.5, 2.0
"""Costs of a window, and of a round, of a neuron and of a point on either."""


def next_length(outcome: Outcome, H: float, rtol: float, points: int, neurons: int,
                events: int) -> float:
    """The length to try after a window of length ``H``.

    Parameters
    ----------
    outcome : Outcome
        How it ended.
    H, rtol : float
    points, neurons, events : int
        Points, neurons that are followed, and their events on the window.
    """
    if outcome.diverged:
        return H / 3
    x, growth = LENGTHS, outcome.growth
    if outcome.error > rtol:
        # The same start again: the end, where residuals change most, is cut off.
        error = outcome.error * x**REJECTED * growth ** (x - 1)
        fits = error <= TARGET * rtol
        return float(H * (x[fits][-1] if fits.any() else x[0]))
    # In logarithms: powers are products there.
    ahead = x * np.log(growth)
    fits = POWER * LOGS + ahead <= np.log(TARGET * rtol / max(outcome.error, LEAST))
    if outcome.careful:
        fits &= x <= AFTER_FAILURE
    if not fits.any():
        return float(H * x[0])
    missed = np.log(CAUTION * max(outcome.change, LEAST) / (ENOUGH * rtol)) + MISSED * LOGS + ahead
    contraction = np.minimum(np.log(outcome.contraction) + TIGHTER * LOGS + ahead,
                             np.log(MOST_CONTRACTION))
    rounds = 1 + np.ceil(np.maximum(missed / -contraction, 0.0))
    window, round = WINDOW + POINT * points, ROUND + POINT * points + NEURON * neurons
    cost = (window + np.minimum(rounds, ROUNDS) * (round + events * x)) / x
    cost[~fits] = np.inf
    # Of equally cheap lengths the longest.
    best = len(x) - 1 - int(np.argmin(cost[::-1]))
    return float(H * x[best])
