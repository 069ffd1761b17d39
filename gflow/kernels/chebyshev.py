"""Polynomials by Chebyshev series, and the matrices between their forms.

Values are at `nodes`, the Chebyshev points of the second kind. The matrices depend on degrees
alone: each is made once and must not be written to.
"""

from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev

from .jit import leaf


@lru_cache(maxsize=None)
def nodes(degree):
    """Chebyshev points of the second kind on [-1, 1], in increasing order (degree + 1 of them)."""
    return -np.cos(np.pi * np.arange(degree + 1) / max(degree, 1)) if degree else np.zeros(1)


@lru_cache(maxsize=None)
def to_series(degree):
    """Matrix from values at `nodes` to Chebyshev coefficients."""
    return np.linalg.inv(chebyshev.chebvander(nodes(degree), degree))


@lru_cache(maxsize=None)
def halves(degree):
    """Matrices (2, p + 1, p + 1) from a series on [-1, 1] to its left and right half's series."""
    vander = chebyshev.chebvander
    return np.ascontiguousarray([to_series(degree) @ vander((nodes(degree) + side) / 2, degree)
                                 for side in (-1, 1)])


def restrict(degree, end):
    """Matrix (p + 1, p + 1) from a series on [-1, 1] to the series on [-1, end]."""
    inside = (nodes(degree) + 1) * (end + 1) / 2 - 1
    return to_series(degree) @ chebyshev.chebvander(inside, degree)


@lru_cache(maxsize=None)
def from_unit(degree):
    """Matrix from monomials in x on [0, 1] to the Chebyshev series in 2 x - 1."""
    x = (nodes(degree) + 1) / 2
    return np.ascontiguousarray(to_series(degree) @ np.vander(x, degree + 1, increasing=True))


@lru_cache(maxsize=None)
def monomials(degree):
    """Matrix from Chebyshev coefficients to those of monomials in s."""
    basis = [chebyshev.cheb2poly(row) for row in np.eye(degree + 1)]
    return np.array([np.pad(row, (0, degree + 1 - len(row))) for row in basis]).T.copy()


@lru_cache(maxsize=None)
def resolution(degree, kind="smooth"):
    """Matrix from values at the nodes to those of a polynomial of degree less by 2 near them:
    residuals are of lower degree than the nodes allow, and what is left tells their error.

    Parameters
    ----------
    degree : int
    kind : str
        "full" for the values themselves. "smooth" drops their last two Chebyshev coefficients.
        "damped" leaves the first node out, keeps the value at the last one, and is closest to the
        others: where ``r = r_0 - k int r`` with a large ``k``, it makes ``r`` at the end some ``9
        r_0 / k`` (and at most 0.04 ``r_0`` from ``k = 5`` on), while "smooth" makes it ``-r_0``, so
        that a transient too fast for the window would go on for ever (the difference between the
        rules of Radau and Lobatto: Hairer and Wanner, "Solving Ordinary Differential Equations
        II", 1996, IV.5).

    Examples
    --------
    >>> k, ones = 1e6, np.ones(9)
    >>> for kind in "smooth", "damped":
    ...     A = integration(8, "full")
    ...     used = np.linalg.solve(np.eye(9) + k * integration(8, kind), resolution(8, kind) @ ones)
    ...     print(f"{(ones - k * A @ used)[-1]:.4f}")
    -0.9999
    0.0000
    """
    s = nodes(degree)
    if kind == "full":
        return np.eye(degree + 1)
    if kind == "smooth":
        return chebyshev.chebvander(s, degree - 2) @ to_series(degree)[:degree - 1]
    # v(1) + (1 - s) q(s): weights 1 - s make q fit v - v(1) as if it was not divided by them.
    off = (1 - s)[:, None] * chebyshev.chebvander(s, degree - 3)
    change = np.eye(degree + 1)[1:-1] - np.eye(degree + 1)[-1]
    return np.eye(degree + 1)[-1] + off @ np.linalg.pinv(off[1:-1]) @ change


@lru_cache(maxsize=None)
def integration(degree, kind="smooth"):
    """Matrix from values at the Chebyshev nodes to integrals from -1, at `resolution`."""
    s = nodes(degree)
    columns = [chebyshev.chebval(s, chebyshev.chebint(row, lbnd=-1)) for row in np.eye(degree + 1)]
    return resolution(degree, kind) @ (np.array(columns).T @ to_series(degree))


@leaf
def evaluate(series, s):
    """Value at ``s`` in [-1, 1] of a Chebyshev series (Clenshaw)."""
    b1, b2 = 0.0, 0.0
    for j in range(series.size - 1, 0, -1):
        b1, b2 = series[j] + 2 * s * b1 - b2, b1
    return series[0] + s * b1 - b2
