"""Models of what a window of another length would cost, and of how far off its pulls would be.

Errors of the pulls grow like a power of the length, and with the rates of change; so does what a
guess misses; a round takes a share of that away. Costs are in events. In logarithms: powers are
products there.
"""

import math

import numpy as np

from .jit import kernel, leaf

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


@kernel
def farthest(error, growth):
    """The longest of `LENGTHS` that should do for a window that was too long.

    Parameters
    ----------
    error : float
        Of its pulls, over ``rtol``.
    growth : float
        By how much faster they change towards its end.
    """
    for q in range(LENGTHS.size - 1, -1, -1):
        if error * LENGTHS[q]**REJECTED * growth**(LENGTHS[q] - 1) <= TARGET:
            return LENGTHS[q]
    return LENGTHS[0]


@kernel
def cheapest(error, growth, careful, missed, contraction, most, points, neurons, events):
    """The one of `LENGTHS` that costs least for the time that it covers, after a window that was
    accepted; of equally cheap ones the longest.

    Parameters
    ----------
    error, growth : float
        As above.
    careful : bool
        Whether an attempt before had failed.
    missed : float
        What a guess missed, over what ends rounds.
    contraction : float
        Of a round.
    most : int
        Rounds of a window.
    points, neurons, events : int
    """
    best, least = 0, np.inf
    room = log_of(TARGET) - log_of(error)
    missed, contraction, growth = log_of(CAUTION * missed), log_of(contraction), log_of(growth)
    for q in range(LENGTHS.size):
        x, ahead = LENGTHS[q], LENGTHS[q] * growth
        if POWER * LOGS[q] + ahead <= room and not (careful and x > AFTER_FAILURE):
            shrinks = contraction + TIGHTER * LOGS[q] + ahead
            if shrinks > math.log(MOST_CONTRACTION):
                shrinks = math.log(MOST_CONTRACTION)
            left = (missed + MISSED * LOGS[q] + ahead) / -shrinks
            rounds = 1.0 + (math.ceil(left) if left > 0.0 else 0.0)
            if rounds > most:
                rounds = most
            cost = (WINDOW + POINT * points
                    + rounds * (ROUND + POINT * points + NEURON * neurons + events * x)) / x
            if cost <= least:
                best, least = q, cost
    return LENGTHS[best]


@leaf
def log_of(x):
    """The logarithm, of `LEAST` at least."""
    return math.log(x if x > LEAST else LEAST)
