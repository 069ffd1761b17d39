"""What holds of a neuron at rest but for rounding: that it is on hyperplanes, balanced, or flat."""

from __future__ import annotations

from itertools import product

import numpy as np

from ..kernels.algebra import orthonormal_rows
from ..kernels.filippov import box_least_squares
from ..problem.data import Data
from ..problem.norms import row_norms

CLOSE = 1e-9
"""Sine of the angle of a neuron to a hyperplane that it counts as being on: flows keep to those on
which they slide by rounding, and nothing else comes so near."""
BALANCED = 1e-9
"""Relative difference of ``|a|`` and ``|w|`` that is rounding. A balanced neuron that shrinks does
so for ever; one that is not turns around when its weights are down to that difference."""
FLAT = 1e-7
"""Fields below this part of the sum of all terms are none, where a neuron is at rest."""
CONVEX = 12
"""Convex kinks at one neuron, of which all combinations are tried."""


def on_surfaces(data: Data, W: np.ndarray) -> np.ndarray:
    """Hidden weights with those that are within `CLOSE` of hyperplanes put on them.

    Examples
    --------
    >>> on_surfaces(Data([[0.0, 1.0]], [1.0]), np.array([[1.0, 1e-12], [1.0, 1e-3]]))
    array([[1.   , 0.   ],
           [1.   , 0.001]])
    """
    V = data.arrangement.normal
    near = np.abs(W @ V.T) <= CLOSE * row_norms(W)[:, None]
    W = W.copy()
    for i in np.flatnonzero(near.any(axis=1) & W.any(axis=1)):
        rows, rank = orthonormal_rows(V[near[i]])
        if rank < data.d:
            for _ in range(2):
                W[i] -= (W[i] @ rows[:rank].T) @ rows[:rank]
    return W


def flat_near(data: Data, p: np.ndarray, a: float, w: np.ndarray) -> bool:
    """Whether ``sgn(a) G <= 0`` near ``w`` (d,), where ``G`` is 0, for the potential ``G`` of pulls
    ``p`` (n,); and ``G = 0`` there if ``a = 0``.

    Examples
    --------
    A kink that is concave for a > 0, and one that is convex:

    >>> data = Data([[1.0, 0.0]], [1.0])
    >>> [flat_near(data, np.array([p]), 1.0, np.array([0.0, 1.0])) for p in (-1.0, 1.0)]
    [True, False]
    """
    A, X = data.arrangement, data.X
    z = A.normal @ w
    on_it = np.abs(z) <= CLOSE * row_norms(w)
    tol = FLAT * float(np.abs(p) @ row_norms(X)) / data.n
    live = A.label >= 0
    side = np.where(on_it, -1.0, z)[A.label[live]]
    D = (p[live] * (side * A.length[live] > 0)) @ X[live] / data.n
    J = np.bincount(A.label[live], p[live] * np.abs(A.length[live]), minlength=len(z)) / data.n
    planes = np.flatnonzero(on_it & (np.abs(J) > tol))
    V, J, s = A.normal[planes], J[planes], np.sign(a)
    if s == 0.0:
        return bool(not planes.size and row_norms(D) <= tol)
    convex = s * J > 0
    if convex.sum() > CONVEX:
        return False
    # A maximum over the sides of convex kinks of functions that are concave.
    for sides in product((0.0, 1.0), repeat=int(convex.sum())):
        base = D + (np.array(sides) * J[convex]) @ V[convex]
        left = box_least_squares(base, np.ascontiguousarray(V[~convex]), J[~convex], tol)[1]
        if row_norms(np.asarray(left)) > tol:
            return False
    return True


def balanced(a: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Hidden weights (m, d) of neurons that are balanced but for rounding, made so.

    Examples
    --------
    >>> balanced(np.array([1.0, 1.0]), np.array([[1.0 + 1e-12], [1.1]])).ravel().tolist()
    [1.0, 1.1]
    """
    size = row_norms(W)
    near = (size > 0) & (np.abs(np.abs(a) - size) <= BALANCED * size)
    return np.asarray(np.where(near, np.abs(a) / np.where(size > 0, size, 1.0), 1.0)[:, None] * W)
