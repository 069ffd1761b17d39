"""Pulls of points as fields along the normals of hyperplanes, on either side of each."""

import numpy as np

from .crossings import RESIDUAL_ERROR, SUM_ROUNDING
from .jit import kernel, leaf


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
    length : array (n,)
        Signed lengths: the points of a negative one are active on side -1 of their hyperplane.
    start, member : arrays of int (C + 1,) and (n,)
        The points of hyperplane h are ``member[start[h]:start[h + 1]]``.
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
    fields : array (2, C, p)
        Monomial coefficients of the fields on side 1 and on side -1.
    sizes : array (4, C)
        The magnitude of the terms of the first, how much it may be wrong, and both of the second.
    """
    J, n = values.shape
    C = start.size - 1
    series, highest = np.empty((J, n)), np.empty(n)
    bad = magnitudes(values, highest)
    p = expand(values, to_series, length, factor, negligible, series)
    fields, sizes = np.empty((2, C, p)), np.empty((4, C))
    for h in range(C):
        for side in range(2):
            for q in range(p):
                fields[side, h, q] = 0.0
            size, off = 0.0, 0.0
            for e in range(start[h], start[h + 1]):
                k = member[e]
                scale = length[k] * factor
                if (scale > 0.0) == (side == 1):
                    scale *= leak
                if scale != 0.0:
                    for i in range(p):
                        for q in range(i + 1):
                            fields[side, h, q] += monomials[q, i] * (series[i, k] * scale)
                    size += abs(scale) * highest[k]
                    off += abs(scale) * (SUM_ROUNDING * highest[k] + RESIDUAL_ERROR * error[k])
            sizes[2 * side, h], sizes[2 * side + 1, h] = size, off
    return bad, fields, sizes


@leaf
def magnitudes(values, highest):
    """Put the largest pulls of points in ``highest`` (n,); a point whose pulls are not finite, or
    the first one if their sum is not, or -1."""
    bad, total = -1, 0.0
    for k in range(highest.size):
        highest[k] = 0.0
        for j in range(values.shape[0]):
            size = abs(values[j, k])
            if bad < 0 and not size < np.inf:
                bad = k
            if size > highest[k]:
                highest[k] = size
        total += highest[k]
    return 0 if bad < 0 and not total < np.inf else bad


@leaf
def expand(values, to_series, length, factor, negligible, series):
    """Put Chebyshev series of ``values`` in ``series`` (J, n); how many terms matter."""
    p, tail = 0, 0.0
    for i in range(values.shape[0] - 1, -1, -1):
        for k in range(values.shape[1]):
            term = 0.0
            for j in range(values.shape[0]):
                term += to_series[i, j] * values[j, k]
            series[i, k] = term
            tail += abs(term * length[k]) * factor
        if p == 0 and (tail > negligible or i == 0):
            p = i + 1
    return p
