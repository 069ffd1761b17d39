"""First exit of a polynomial below zero, by interval bisection in the Chebyshev basis.

A Chebyshev series is bounded by its mean coefficient minus the sum of the others, and splits into
its two halves by two fixed matrices, so double crossings inside one step and grazings are found
like any other: nothing is decided from the values at the ends alone.
"""

import numpy as np

from .algebra import greater, lesser
from .chebyshev import evaluate, halves, nodes, restrict, to_series
from .jit import leaf, maker

__all__ = ["first_exit", "halves", "nodes", "restrict", "stays_above", "taylor_exit", "to_series"]

DEPTH = 60
"""Halvings of [-1, 1] down to what rounding resolves."""
VISITS = 20_000
"""Most parts of [-1, 1] that are looked at. A series that stays within rounding of the edge of its
band could be halved everywhere, down to that depth."""


@leaf
def stays_above(series, level):
    """Whether the series is certainly at least ``level`` on [-1, 1]."""
    low = series[0]
    for j in range(1, series.size):
        low -= abs(series[j])
    return low >= level


@maker
def first_exit(series, split, tol, until):
    """First time in [-1, until] at which the polynomial leaves ``[0, inf)``, or 2 if it does not.

    It has left when it falls below ``-tol``. The time given is the root before that, or, for a
    polynomial that starts within ``tol`` of zero (the sign there is rounding), the time at which
    it passes ``-tol``: then it was on the surface until that time.

    Parameters
    ----------
    series : array (p + 1,)
        Chebyshev coefficients.
    split : array (2, p + 1, p + 1)
        `halves` of the degree.
    tol : float
        Half-width of the band that counts as zero.
    until : float
        Later exits are not looked for.
    """
    if stays_above(series, -tol):
        return 2.0
    p = series.size
    stack = np.empty((DEPTH + 2, p))
    bounds = np.empty((DEPTH + 2, 2))
    c = np.empty(p)
    for j in range(p):
        stack[0, j] = series[j]
    bounds[0, 0], bounds[0, 1] = -1.0, 1.0
    top = 0
    left_at = 2.0
    for visit in range(VISITS):
        if top < 0:
            break
        for j in range(p):
            c[j] = stack[top, j]
        lo, hi = bounds[top, 0], bounds[top, 1]
        top -= 1
        if lo > until:
            break
        if visit == VISITS - 1:
            # It follows -tol to rounding.
            left_at = lo
            break
        if stays_above(c, -tol):
            continue
        start, end, bend = 0.0, 0.0, 0.0
        for j in range(p):
            start += c[j] if j % 2 == 0 else -c[j]
            end += c[j]
            if j > 1:
                bend += j * j * abs(c[j])
        if start < -tol:
            left_at = lo
            break
        # |c_1| > sum j^2 |c_j| makes it monotone here: no turn is hidden inside.
        if p > 1 and abs(c[1]) > bend or hi - lo < 1e-15:
            if end < -tol:
                left_at = root_between(series, -tol, lo, hi)
                break
            continue
        mid = (lo + hi) / 2
        for half in range(2):
            # The right half first: the left one is then on top of the stack.
            for j in range(p):
                total = 0.0
                for e in range(p):
                    total += split[1 - half, j, e] * c[e]
                stack[top + 1 + half, j] = total
        bounds[top + 1, 0], bounds[top + 1, 1] = mid, hi
        bounds[top + 2, 0], bounds[top + 2, 1] = lo, mid
        top += 2
    if left_at > 1.0:
        return 2.0
    if evaluate(series, -1.0) > tol:
        left_at = root_between(series, 0.0, -1.0, left_at)
    return left_at


@leaf
def taylor_exit(z, K, tol, until, from_unit, split, series):
    """`first_exit` of ``sum_j z_j y^j`` on [0, 1]: a time y up to about ``until``, or 2.

    Where the linear term outweighs the others the polynomial is monotone, and Newton's method
    finds the root; the other cases go to the Chebyshev series.

    Parameters
    ----------
    z : array
        Coefficients; the first ``K + 1`` are used.
    K : int
    tol, until : float
    from_unit : array (p + 1, p + 1)
        From monomials on [0, 1] to the Chebyshev series, ``p >= K``.
    split : array
        `halves` of the degree p.
    series : array (p + 1,)
        Work space.
    """
    low, end, bend = z[0], z[0], 0.0
    for j in range(1, K + 1):
        low += lesser(z[j], 0.0)
        end += z[j]
        if j > 1:
            bend += j * abs(z[j])
    if low >= -tol:
        return 2.0
    if z[0] < -tol:
        return 0.0
    if z[1] > bend:
        return 2.0
    if not -z[1] > bend:
        for j in range(series.size):
            total = 0.0
            for e in range(K + 1):
                total += from_unit[j, e] * z[e]
            series[j] = total
        y = first_exit(series, split, tol, 2.0 * until - 1.0)
        return (y + 1.0) / 2.0 if y <= 1.0 else 2.0
    if end >= -tol:
        return 2.0
    level = 0.0 if z[0] > tol else -tol
    lo, hi = 0.0, 1.0
    y = (z[0] - level) / (z[0] - end)
    if until < 1.0:
        y = until
    for step in range(100):
        f, slope = z[K], 0.0
        for j in range(K - 1, -1, -1):
            slope = slope * y + f
            f = f * y + z[j]
        f -= level
        if step == 0 and until < 1.0 and f > 0.0:
            return 2.0
        if f >= 0.0:
            lo = y
        else:
            hi = y
        new = y - f / slope
        if not lo <= new <= hi:
            new = (lo + hi) / 2
        if abs(new - y) <= 2e-16 * (1.0 + y) or hi - lo <= 2e-16:
            return new
        y = new
    return y


LOOKS = 64
"""Times at which an integral is looked at."""


@leaf
def led_away(z, K, most):
    """The time y in [0, 1] from which on ``sum_j z_j y^j`` integrates to less than ``-most``: its
    last zero before that, or 0; 2 if there is none."""
    low = z[0]
    for j in range(1, K + 1):
        low += lesser(z[j], 0.0)
    if low >= -most:
        return 2.0
    peak, at = 0.0, 0
    for look in range(1, LOOKS + 1):
        y, way = look / LOOKS, 0.0
        for j in range(K, -1, -1):
            way = way * y + z[j] / (j + 1)
        way *= y
        if way >= peak:
            peak, at = way, look
        elif peak - way > most:
            return falls_at(z, K, at)
    return 2.0


@leaf
def falls_at(z, K, look):
    """The zero of a polynomial that goes from above it to below near ``look / LOOKS``."""
    lo, hi = look - 1.0, look + 1.0
    for j in range(60):
        mid = (lo + hi) / 2 if j > 0 else 1.0 * look
        value = z[K]
        for e in range(K - 1, -1, -1):
            value = value * (mid / LOOKS) + z[e]
        if value > 0.0:
            lo = mid
        else:
            hi = mid
    return greater(hi, 0.0) / LOOKS


@leaf
def back_to_zero(series, s, tol):
    """When a polynomial that is below ``-tol`` from ``s`` on comes to 0, if it was above ``tol``
    before; else s: then it has been at 0 until then."""
    looks = 4 * series.size
    for j in range(looks - 1, 0, -1):
        at = -1.0 + (s + 1.0) * j / looks
        if evaluate(series, at) > tol:
            return root_between(series, 0.0, at, s)
    return s


@leaf
def taylor_back(z, K, y, tol, from_unit, series):
    """The same for ``sum_j z_j y^j``, see `taylor_exit`."""
    for j in range(series.size):
        total = 0.0
        for e in range(K + 1):
            total += from_unit[j, e] * z[e]
        series[j] = total
    return (back_to_zero(series, 2.0 * y - 1.0, tol) + 1.0) / 2.0


@leaf
def root_between(series, level, lo, hi):
    """A time in [lo, hi] where a series above ``level`` at lo and below it at hi crosses it."""
    f_lo = evaluate(series, lo) - level
    f_hi = evaluate(series, hi) - level
    if f_lo <= 0.0:
        return lo
    if f_hi >= 0.0:
        return hi
    kept = 0
    for step in range(200):
        if hi - lo <= 1e-16 * (1.0 + abs(lo)):
            break
        # Illinois: a secant step that halves the weight of an end that stays put.
        mid = (lo * f_hi - hi * f_lo) / (f_hi - f_lo)
        if step % 3 == 2 or not lo < mid < hi:
            mid = (lo + hi) / 2
        if mid == lo or mid == hi:
            break
        f = evaluate(series, mid) - level
        if f == 0.0:
            return mid
        if f > 0.0:
            lo, f_lo = mid, f
            if kept == 1:
                f_hi /= 2
            kept = 1
        else:
            hi, f_hi = mid, f
            if kept == -1:
                f_lo /= 2
            kept = -1
    return hi
