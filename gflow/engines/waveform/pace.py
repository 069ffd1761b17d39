"""How long the next window should be: accurate enough, and cheap for the time it covers.

The model is crude and tested on nothing but time: errors of the residuals grow like a power of the
length, and with the rates of change; so does what a guess misses; a round takes a share of that
away. Costs are in events.
"""

from __future__ import annotations

from ...kernels.pace import cheapest, farthest
from .rounds import ENOUGH, ROUNDS, Outcome


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
    if outcome.error > rtol:
        # The same start again: the end, where residuals change most, is cut off.
        return float(H * farthest(outcome.error / rtol, outcome.growth))
    return float(H * cheapest(outcome.error / rtol, outcome.growth, outcome.careful,
                              outcome.change / (ENOUGH * rtol), outcome.contraction, ROUNDS,
                              points, neurons, events))
