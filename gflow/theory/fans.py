"""Central arrangements of few hyperplanes: their rays, their faces, and kinks at the centre."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, islice, product

import numpy as np

SAME = 1e-10
"""Rank and incidence of unit normals are decided to this accuracy."""
BLOCK = 1 << 14


class Undecided(ValueError):
    """Decisions on rank and incidence contradict each other: the normals are too close."""

    def __init__(self) -> None:
        super().__init__("points are too close to special position: which of their hyperplanes "
                         "meet in one line is below rounding, so merge points that should be on "
                         "one line, or move them apart")


def rays(N: np.ndarray) -> np.ndarray:
    """Rays of the arrangement of unit normals ``N`` (q, p) of rank p: unit vectors, both ways.

    Shape (R, p). Every ray is where hyperplanes of rank p - 1 meet. `Undecided` if all do, to
    rounding.

    Examples
    --------
    >>> rays(np.eye(2)) + 0.0
    array([[ 0.,  1.],
           [ 0., -1.],
           [ 1.,  0.],
           [-1.,  0.]])
    """
    q, p = N.shape
    if p == 1:
        return np.array([[1.0], [-1.0]])
    subsets = combinations(range(q), p - 1)
    seen: dict[bytes, np.ndarray] = {}
    while block := list(islice(subsets, BLOCK)):
        _, sizes, rows = np.linalg.svd(N[np.array(block)])
        for ray in rows[sizes[:, -1] > SAME, -1]:
            sign = signs(N, ray)
            if not sign.any():
                raise Undecided
            seen.setdefault(sign.tobytes(), ray)
            seen.setdefault((-sign).tobytes(), -ray)
    return np.array([seen[key] for key in sorted(seen)])


def signs(N: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Signs of ``w.v_c`` as int8, 0 to the accuracy of incidence."""
    z = N @ w
    return np.where(np.abs(z) <= SAME, 0, np.sign(z)).astype(np.int8)


def faces(N: np.ndarray) -> np.ndarray:
    """Sign vectors (F, q) of all faces of the arrangement ``N`` (q, p) of rank p, the centre too.

    Every other face has a ray in its boundary, or is one.

    Examples
    --------
    >>> len(faces(np.eye(2)))
    9
    """
    q, p = N.shape
    if q == p:
        return np.array(list(product((0, 1, -1), repeat=q)), dtype=np.int8).reshape(3**q, q)
    found = {bytes(q): np.zeros(q, dtype=np.int8)}
    for ray in rays(N):
        sign = signs(N, ray)
        zero = np.flatnonzero(sign == 0)
        around = faces(N[zero] @ span(N[zero])[0].T)
        rows = np.tile(sign, (len(around), 1))
        rows[:, zero] = around
        found.update((row.tobytes(), row) for row in rows)
    return np.array(list(found.values()))


def span(N: np.ndarray) -> tuple[np.ndarray, float]:
    """Orthonormal basis of the span of the rows, and their smallest singular value in it.

    Examples
    --------
    >>> basis, sigma = span(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]))
    >>> basis.shape, round(sigma, 6)
    ((2, 3), 1.0)
    """
    if N.size == 0:
        return np.empty((0, N.shape[1])), 1.0
    _, sizes, rows = np.linalg.svd(N, full_matrices=False)
    rank = int((sizes > SAME).sum())
    return rows[:rank], float(sizes[rank - 1])


@dataclass(frozen=True)
class Centre:
    """What `centre` finds.

    Attributes
    ----------
    margin : float
        How far ``p`` is inside the set of fields, relative to its width: at independent normals the
        least of all ``eta_c`` and ``1 - eta_c``. Negative outside.
    slack : float
        The same as a normal velocity, to judge rounding by.
    rises, falls : bool
        Whether the function is positive, or negative, somewhere; zero counts as negative with
        ``down``, as positive without.
    index : int or None
        ``1 - chi``, with ``chi`` the Euler characteristic of the unit vectors where the function is
        negative (where it is not positive, with ``down``): ``(-1)^descending`` if no multiplier is
        0 or 1. None if the normals are dependent.
    sigma : float
        Smallest singular value of the normals.
    """

    margin: float
    slack: float
    rises: bool
    falls: bool
    index: int | None
    sigma: float


def centre(V: np.ndarray, J: np.ndarray, p: np.ndarray, tol: float,
           down: bool) -> Centre:
    r"""The function :math:`\varphi(z) = \sum_c J_c \max(v_c \cdot z, 0) - p \cdot z` at ``z = 0``.

    The centre is critical if p is in the set of all :math:`\sum_c \eta_c J_c v_c`, with ``eta`` in
    [0, 1]: a zonotope, whose facets are orthogonal to the rays of the arrangement. The function is
    linear on every face, so that its values on rays tell the rest. (Derived here; for independent
    normals ``phi`` is a sum of functions of one variable.)

    Parameters
    ----------
    V : ndarray, shape (q, r)
        Unit normals, of any rank.
    J : ndarray, shape (q,)
        Jumps, none zero.
    p : ndarray, shape (r,)
        In the span of the normals.
    tol : float
        Values of ``phi`` and slacks up to ``tol / sigma`` are rounding.
    down : bool
        Directions in which ``phi`` is zero descend (there the sphere decides).

    Returns
    -------
    Centre

    Examples
    --------
    A saddle:

    >>> found = centre(np.eye(2), np.array([1.0, -1.0]), np.array([0.25, -0.5]), 1e-12, True)
    >>> found.margin, found.rises, found.falls, found.index
    (0.25, True, True, -1)
    """
    if len(J) == 0:
        return Centre(1.0, 0.0, False, False, 1, 1.0)
    rows, sigma = span(V)
    N, p = V @ rows.T, rows @ p
    rank = len(rows)
    independent = rank == len(J)
    if independent:
        half = np.linalg.inv(N).T
        half /= np.linalg.norm(half, axis=1)[:, None]
        R = np.concatenate([half, -half])
    else:
        R = rays(N)
    z = R @ N.T
    z[np.abs(z) <= SAME] = 0.0
    slack = np.maximum(J * z, 0.0).sum(axis=1) - R @ p
    phi = np.maximum(z, 0.0) @ J - R @ p
    tol = tol / sigma
    rises = bool((phi > (tol if down else -tol)).any())
    falls = bool((phi < (tol if down else -tol)).any())
    index = None
    if independent:
        # One descending dimension for each negative jump; where eta is 0 or 1 half a line is flat.
        inside = np.minimum(slack[:rank], slack[rank:]) > tol
        index = int(np.prod(np.where(inside | (down == (J < 0)), np.sign(J), 0)))
    return Centre(float((slack / np.abs(J * z).sum(axis=1)).min()), float(slack.min()), rises,
                  falls, index, sigma)
