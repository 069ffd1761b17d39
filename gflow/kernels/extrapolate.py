"""Where pulls go on a window, by what is known of them before it."""

import numpy as np

from .algebra import greater, lesser
from .jit import kernel, leaf
from .neumann import largest

STEEPEST = 3.0
"""Rate of an exponential, per unit of s: others are noise."""
FLAT = 1e-6
"""Least rate, of either sign: smaller ones have no digits."""
SPAN = 0.5
"""Distance in s of the three values that an exponential is laid through."""


@kernel
def line(r, slope, ramp, values):
    """Put ``r + ramp slope`` in ``values`` (J, n), for ``ramp`` (J,) and ``r, slope`` (n,)."""
    for j in range(ramp.size):
        for k in range(r.size):
            values[j, k] = r[k] + ramp[j] * slope[k]


@kernel
def extrapolate(r, x, series, last, cubic, exponential):
    """Two curves through the last window, at ``x`` (J,) in units of it, moved to be ``r`` (n,) at
    1.

    Parameters
    ----------
    series : array (p, n)
        Chebyshev series on the last window.
    last : array (3, p)
        To its values at 1, and `SPAN` and twice that before. Differences over equal spans tell the
        rate of an exponential (Aitken): kinks of r spoil derivatives.
    cubic, exponential : arrays (J, n)
        Receive the first four terms of the series, and ``r + c (e^(rate (x - 1)) - 1)``.
    """
    for k in range(r.size):
        r0, r1, r2 = (value_at(last, 0, series, k), value_at(last, 1, series, k),
                      value_at(last, 2, series, k))
        rate = np.log((r0 - r1) / (r1 - r2)) / SPAN
        if not abs(rate) < np.inf:
            rate = 0.0
        rate = lesser(greater(rate, -STEEPEST), STEEPEST)
        if abs(rate) < FLAT:
            rate = FLAT
        scale = (r0 - r1) / -np.expm1(-rate * SPAN)
        for j in range(x.size):
            exponential[j, k] = r[k] + scale * np.expm1(rate * (x[j] - 1))
    for j in range(x.size):
        # T_i(x) - 1 for i = 1, 2, 3.
        one, two = x[j] - 1, 2 * (x[j] * x[j] - 1)
        three = (4 * x[j] * x[j] - 3) * x[j] - 1
        for k in range(r.size):
            cubic[j, k] = r[k] + (one * series[1, k] + two * series[2, k] + three * series[3, k])


@leaf
def value_at(last, i, series, k):
    """Row ``i`` of ``last`` times column ``k`` of ``series``."""
    total = 0.0
    for j in range(series.shape[0]):
        total += last[i, j] * series[j, k]
    return total


@kernel
def most_square(values):
    """The largest sum of squares of a row of ``values`` (J, n); NaN if one is."""
    most = 0.0
    for j in range(values.shape[0]):
        total = 0.0
        for k in range(values.shape[1]):
            total += values[j, k] * values[j, k]
        if not total <= most:
            most = total
            if total != total:
                break
    return most


@kernel
def misfit(values, used, coarse, tail):
    """What a round leaves: ``coarse @ values - used``, and below it ``tail @ values``.

    Parameters
    ----------
    values, used : arrays (J, n)
        Pulls that came of the round, and those that it was given.
    coarse : array (J, J)
        To values that a polynomial of lower degree can follow.
    tail : array (q, J)
        To the Chebyshev coefficients that tell the error.

    Returns
    -------
    both : array (J + q, n)
    """
    J, n = values.shape
    q = tail.shape[0]
    both = np.empty((J + q, n))
    for i in range(J + q):
        for k in range(n):
            both[i, k] = -used[i, k] if i < J else 0.0
        for j in range(J):
            amount = coarse[i, j] if i < J else tail[i - J, j]
            for k in range(n):
                both[i, k] += amount * values[j, k]
    return both


@kernel
def greatest(values):
    """The largest magnitude in ``values`` (J, n); NaN if one is."""
    return largest(values)


@kernel
def apart(values, guesses, quarter):
    """How far ``guesses`` (c, J, n) are from ``values`` (J, n), and how much these change up to
    node ``quarter``, and over as many nodes at the end: rows (c J + 2, n)."""
    c, J, n = guesses.shape
    rows = np.empty((c * J + 2, n))
    for g in range(c):
        for j in range(J):
            for k in range(n):
                rows[g * J + j, k] = values[j, k] - guesses[g, j, k]
    for k in range(n):
        rows[c * J, k] = values[quarter, k] - values[0, k]
        rows[c * J + 1, k] = values[J - 1, k] - values[J - 1 - quarter, k]
    return rows
