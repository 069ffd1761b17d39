"""How accurate the dense output of a step is: Chebyshev series (p + 1, N) of its N weights, each in
a unit ``size`` (N,) of its own."""

from __future__ import annotations

import numpy as np

BLUR = 2.0
"""Errors of times, in units of their spacing; a tail is up to a half of what they do."""


def tail(series: np.ndarray, size: np.ndarray) -> float:
    """First neglected coefficient, by geometric extrapolation.

    Examples
    --------
    >>> tail(np.array([[1.0], [0.1], [0.01]]), np.ones(1))
    0.001
    """
    last, previous = (float((np.abs(series[j]) / size).max()) for j in (-1, -2))
    return last * min(1.0, last / previous) if previous > 0 else last


def blur(series: np.ndarray, size: np.ndarray, t0: float, t1: float) -> float:
    """What rounding of times does to a step from ``t0`` to ``t1``: late in a long run that is more
    than ``rtol`` where something is fast.

    Examples
    --------
    >>> blur(np.array([[1.0], [0.5]]), np.ones(1), 2.0**52, 2.0**52 + 4.0)
    0.25
    """
    change = float((np.abs(series[1:]).sum(axis=0) / size).max())
    return BLUR * change * float(np.spacing(t0) / (t1 - t0))


def missed(series: np.ndarray, change: np.ndarray, size: np.ndarray) -> float:
    """By how much the slope at the end, times the length, misses that of the field, ``change``
    (N,).

    Explicit steppers at their limit of stability are right at the ends of their steps, and swing
    in between: there the field is another one, by far more than what is off.

    Examples
    --------
    >>> missed(np.array([[1.0], [0.5]]), np.array([0.75]), np.ones(1))
    0.25
    """
    slope = 2.0 * np.arange(len(series)) ** 2 @ series
    return float((np.abs(slope - change) / size).max())
