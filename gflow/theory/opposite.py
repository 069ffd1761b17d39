"""Opposite points: what no network can do at more of them than there are dimensions.

A ReLU is half a linear function and half an even one. So ``h(x) - h(-x)`` is linear in ``x`` for
every network; on distinct rays outputs are free but for that, since functions ``|w . x|`` take all
values on distinct lines. It binds where lines with points on both sides have dependent directions:
always if they are more than the dimensions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..problem.data import Arrangement, Data
from ..problem.words import counted

DEPENDENT = 1e-12
"""Singular values of unit normals below this part of the largest are none."""
UNMET = 1e-11
"""Part of the largest label over its point that differences of slopes may miss, and margins of
linear functions that are none."""


class Ties(NamedTuple):
    """Lines with points on both sides whose outputs are tied to each other.

    Attributes
    ----------
    lines : ndarray of int, shape (k,)
        Hyperplane classes of the data.
    normal : ndarray, shape (k, d)
        Their directions.
    free : ndarray, shape (k, r)
        Orthonormal: what differences of slopes, of one side and the other, can be.
    """

    lines: np.ndarray
    normal: np.ndarray
    free: np.ndarray

    def beyond(self, apart: np.ndarray) -> np.ndarray:
        """The part of differences of slopes (k,) that no network has."""
        return np.asarray(apart - self.free @ (self.free.T @ apart))


def ties_of(A: Arrangement) -> Ties | None:
    """The tied lines of the data; None if all outputs are free on distinct rays.

    Examples
    --------
    >>> from ..problem.data import Data
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> ties_of(Data(np.concatenate([X, -X]), np.zeros(6)).arrangement).lines
    array([0, 1, 2])
    >>> ties_of(Data(np.concatenate([X, -X[:2]]), np.zeros(5)).arrangement)
    """
    there = np.zeros((len(A.normal), 2), dtype=bool)
    live = A.label >= 0
    there[A.label[live], (A.length[live] > 0).astype(int)] = True
    lines = np.flatnonzero(there.all(axis=1))
    if len(lines) < 3:
        return None
    free = _span(A.normal[lines])
    if free.shape[1] == len(lines):
        return None
    # A line whose direction no other depends on is free.
    lines = lines[1.0 - (free**2).sum(axis=1) > DEPENDENT]
    return Ties(lines, A.normal[lines], _span(A.normal[lines]))


def _span(normal: np.ndarray) -> np.ndarray:
    """Orthonormal columns (k, r) that span those of normals (k, d)."""
    Q, s, _ = np.linalg.svd(normal, full_matrices=False)
    return np.asarray(Q[:, s > DEPENDENT * s[0]])


def interpolable(X: np.ndarray, slopes: np.ndarray, own: np.ndarray) -> None:
    """Refuse labels that no network has at opposite points.

    Parameters
    ----------
    X : ndarray, shape (n, d)
        Points, one at most on every ray.
    slopes : ndarray, shape (n,)
        Labels over their lengths.
    own : ndarray of int, shape (n,)
        What they are called.

    Raises
    ------
    ValueError
        If there are such.
    """
    if (tied := _tied(X)) is None:
        return
    ties, one, other = tied
    missed = np.abs(ties.beyond(slopes[one] - slopes[other]))
    if missed.max() > UNMET * np.abs(slopes).max():
        raise ValueError(f"{_told(ties, own[one[0]], own[other[0]])} their labels are not: no "
                         "network interpolates")


def separable(X: np.ndarray, y: np.ndarray, own: np.ndarray) -> None:
    """Refuse signs (n,) that no network has at opposite points; see `interpolable`.

    Raises
    ------
    ValueError
        If they are such.
    """
    if (tied := _tied(X)) is None:
        return
    ties, one, other = tied
    unlike = y[one] != y[other]
    rows = y[one][unlike, None] * ties.normal[unlike]
    if not len(rows):
        return
    from scipy.optimize import linprog
    # The largest margin of a linear function on the points of unlike signs.
    found = linprog(np.append(np.zeros(X.shape[1]), -1.0),
                    A_ub=np.column_stack([-rows, np.ones(len(rows))]), b_ub=np.zeros(len(rows)),
                    bounds=[(-1.0, 1.0)] * X.shape[1] + [(None, 1.0)], method="highs")
    if not -found.fun > UNMET:
        raise ValueError(f"{_told(ties, own[one[0]], own[other[0]])} no linear function has the "
                         "signs of theirs: no network separates")


def _tied(X: np.ndarray) -> tuple[Ties, np.ndarray, np.ndarray] | None:
    """The tied lines of points (n, d), and a point on each side of every one, both (k,)."""
    A = Data(X, np.zeros(len(X))).arrangement
    if (ties := ties_of(A)) is None:
        return None
    found = [[int(np.flatnonzero((A.label == c) & (side * A.length > 0))[0]) for c in ties.lines]
             for side in (1.0, -1.0)]
    return ties, np.array(found[0]), np.array(found[1])


def _told(ties: Ties, one: int, other: int) -> str:
    return (f"there are points on both sides of the origin, such as {one} and {other}, on "
            f"{len(ties.lines)} lines that span {counted(ties.free.shape[1], 'dimension')}; there "
            "h(x) - h(-x) is linear for every network, and")
