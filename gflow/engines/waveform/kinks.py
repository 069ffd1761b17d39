"""Where on a window the pulls have kinks that no polynomial follows."""

from __future__ import annotations

import numpy as np

from ...kernels.extrapolate import greatest
from ...problem.data import Arrangement
from .guess import DEGREE
from .rounds import ALLOWANCE, Outcome

BLUR = 100.0
"""Error of the pulls where a slide ends, over ``rtol`` and the largest pull so far: its time is off
by as much of the time in which pulls change. Larger: fewer windows."""


def first_bend(log: np.ndarray, A: Arrangement, size: np.ndarray, rtol: float) -> float:
    """Time in (-1, 1) of the first event that bends the pulls too much for a polynomial; 1 if there
    is none.

    Parameters
    ----------
    log : ndarray, shape (E, 6)
        Events, see `gflow.kernels.march.march`.
    A : Arrangement
    size : ndarray, shape (n,)
        How much the pulls of the points move a neuron.
    rtol : float
    """
    log = log[np.argsort(log[:, 1], kind="stable")]
    h = log[:, 2].astype(np.int64)
    size = np.append(np.maximum.reduceat(size[A.member], A.start[:-1])
                     if A.member.size else [], 0.0)
    # Neurons that bend at the same time count together. With s = cos(theta) the slope in theta
    # jumps by sin(theta) times as much, and T_j of a kink falls like 1 / j^2.
    bend = np.sqrt(np.maximum(1.0 - log[:, 1]**2, 0.0))
    bend = np.cumsum(bend * log[:, 5] * size[h]) / DEGREE**2 / ALLOWANCE
    before = np.searchsorted(log[:, 1], log[:, 1] - 1e-3)
    together = bend - np.append(0.0, bend)[before]
    sharp = np.flatnonzero((together > 0.5 * rtol) & (log[:, 1] > -0.9))
    return float(log[sharp[0], 1]) if sharp.size else 1.0


def blurred_release(log: np.ndarray, outcome: Outcome, pulled: float, rtol: float) -> float:
    """Time in (-1, 1) of the first slide that ends, if pulls are not known well enough there; 1
    else.

    What the pulls are off averages out in weights, but a slide ends where pulls balance. A window
    up to there has no kink of theirs. ``pulled`` is the largest pull so far.
    """
    off = greatest(outcome.values - outcome.used)
    if off <= BLUR * rtol * pulled:
        return 1.0
    ends = log[(log[:, 3] == 0) & (log[:, 2] >= 0) & (log[:, 1] > -0.9), 1]
    return float(ends.min(initial=1.0))
