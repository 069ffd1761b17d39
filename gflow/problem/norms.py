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
    norms: np.ndarray = largest * np.sqrt(((W / safe[..., None]) ** 2).sum(axis=-1))
    return norms


def unit_rows(W: np.ndarray) -> np.ndarray:
    """Vectors along the last axis divided by their norms; zero stays zero.

    Examples
    --------
    >>> unit_rows(np.array([[3e-300, 4e-300], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    norms = row_norms(W)[..., None]
    unit: np.ndarray = np.divide(W, norms, out=np.zeros_like(W), where=norms > 0)
    return unit
