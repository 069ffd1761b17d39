"""Norms of weights, over the whole range of double precision."""

from __future__ import annotations

import numpy as np


def row_norms(W: np.ndarray) -> np.ndarray:
    """Euclidean norms along the last axis, without underflow (weights go down to 1e-300).

    Examples
    --------
    >>> row_norms(np.array([[3e-300, 4e-300], [0.0, 0.0]]))
    array([5.e-300, 0.e+000])
    """
    largest = np.abs(W).max(axis=-1)
    safe = np.where(largest > 0, largest, 1.0)
    return largest * np.sqrt(((W / safe[..., None]) ** 2).sum(axis=-1))
