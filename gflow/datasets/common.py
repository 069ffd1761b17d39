"""What the data sets share: their stream of random numbers, a bias, directions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..problem.norms import row_norms

STREAM = (0xDA7A,)


def with_bias(X: ArrayLike) -> np.ndarray:
    """Append a column of ones to points (n, d), or to one-dimensional points (n,)."""
    points = np.asarray(X)
    return np.column_stack([points, np.ones(len(points))])


def orthonormal(Z: np.ndarray) -> np.ndarray:
    """Orthonormal columns spanning those of ``Z``; uniform among such if ``Z`` is Gaussian."""
    Q, R = np.linalg.qr(Z)
    return Q * np.sign(np.diag(R))


def unit(v: np.ndarray) -> np.ndarray:
    """A vector over its norm."""
    return np.asarray(v / row_norms(v))
