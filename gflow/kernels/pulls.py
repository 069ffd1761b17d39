"""Pulls of points as fields along the normals of hyperplanes, on either side of each."""

import numpy as np

from .algebra import greater, zero_rows
from .crossings import RESIDUAL_ERROR, SUM_ROUNDING
from .jit import kernel, leaf


@kernel
def by_side(amounts, length, start, member, leak):
    """Sums over the points that are active on side 1, and on side -1, of every hyperplane.

    Parameters
    ----------
    amounts : array (n, q)
        Anything of the points.
    length : array (n,)
        Signed lengths: the points of a negative one are active on side -1.
    start, member : arrays of int (C + 1,) and (n,)
        The points of hyperplane h are ``member[start[h]:start[h + 1]]``.
    leak : float
        Those of the other side count by this.

    Returns
    -------
    up, down : arrays (C, q)
    """
    C, q = start.size - 1, amounts.shape[1]
    up, down = zero_rows(C, q), zero_rows(C, q)
    for h in range(C):
        for e in range(start[h], start[h + 1]):
            k = member[e]
            if length[k] > 0.0:
                add_row(amounts, k, up, h)
            else:
                add_row(amounts, k, down, h)
    if leak != 0.0:
        for h in range(C):
            for j in range(q):
                up[h, j], down[h, j] = (up[h, j] + leak * down[h, j],
                                        down[h, j] + leak * up[h, j])
    return up, down


@leaf
def add_row(amounts, k, sums, h):
    """Add row ``k`` of ``amounts`` to row ``h`` of ``sums``."""
    for j in range(sums.shape[1]):
        sums[h, j] += amounts[k, j]


@kernel
def fields_of(values, to_series, monomials, length, start, member, leak, factor, error,
              negligible):
    """Pulls at the Chebyshev nodes of a window as fields along every normal.

    Parameters
    ----------
    values : array (J, n)
        Pulls.
    to_series, monomials : arrays (J, J)
        From values to Chebyshev coefficients, and from these to those of monomials.
    length, start, member : see `by_side`
    leak : float
        Slope of the activation where its input is negative.
    factor : float
        Half of the length of the window over the number of points.
    error : array (n,)
        By how much pulls may be wrong.
    negligible : float
        Chebyshev coefficients that together move a neuron by less, relative to it, are left out.

    Returns
    -------
    bad : int
        A point whose pulls are not finite, or -1.
    plus, minus : arrays (C, p)
        Monomial coefficients of the fields on side 1 and on side -1.
    sizes : array (4, C)
        The magnitude of the terms of ``plus``, how much it may be wrong, and both of ``minus``.
    """
    J, n = values.shape
    amounts, series = zero_rows(n, 2), zero_rows(J, n)
    bad = magnitudes(values, length, factor, error, amounts)
    p, tail = 0, 0.0
    for i in range(J - 1, -1, -1):
        for j in range(J):
            add_multiple(to_series[i, j], values, j, series, i)
        for k in range(n):
            tail += abs(series[i, k]) * (abs(length[k]) * factor)
        if p == 0 and (tail > negligible or i == 0):
            p = i + 1
    pull = zero_rows(n, p)
    for q in range(p):
        for i in range(q, p, 2):
            # Of even or odd terms only.
            amount = monomials[q, i]
            for k in range(n):
                pull[k, q] += amount * series[i, k]
        for k in range(n):
            pull[k, q] *= length[k] * factor
    plus, minus = by_side(pull, length, start, member, leak)
    above, below = by_side(amounts, length, start, member, abs(leak))
    sizes = np.empty((4, start.size - 1))
    for h in range(start.size - 1):
        sizes[0, h], sizes[1, h] = above[h, 0], above[h, 1]
        sizes[2, h], sizes[3, h] = below[h, 0], below[h, 1]
    return bad, plus, minus, sizes


@leaf
def magnitudes(values, length, factor, error, amounts):
    """Put the largest pulls of points, and how much they may be wrong, on a neuron in ``amounts``
    (n, 2); a point whose pulls are not finite, or -1."""
    bad, total = -1, 0.0
    for k in range(values.shape[1]):
        highest = 0.0
        for j in range(values.shape[0]):
            size = abs(values[j, k])
            if bad < 0 and not size < np.inf:
                bad = k
            highest = greater(highest, size)
        total += highest
        scale = abs(length[k]) * factor
        amounts[k, 0] = highest * scale
        amounts[k, 1] = (SUM_ROUNDING * highest + RESIDUAL_ERROR * error[k]) * scale
    return 0 if bad < 0 and not total < np.inf else bad


@leaf
def add_multiple(amount, values, j, sums, i):
    """Add a multiple of row ``j`` of ``values`` to row ``i`` of ``sums``."""
    for k in range(sums.shape[1]):
        sums[i, k] += amount * values[j, k]
