"""Arc-cosine kernels: expectations of products of ReLUs under a Gaussian law.

The scalar ones are in Cho and Saul, "Kernel methods for deep learning", 2009; the vector and matrix
versions are derived here. For a covariance other than the identity, vectors are multiplied by its
square root.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ...problem.checks import real_array
from ...problem.norms import row_norms, unit_rows
from ...problem.quiet import quiet

SMALL = 0.1
"""Below this angle ``sin x - x cos x`` is taken from its series."""
SYMMETRIC = 1e-12


class Pairs(NamedTuple):
    """Rows of two matrices, pair by pair: unit vectors, norms, and angles (m, k)."""

    w: np.ndarray
    v: np.ndarray
    w_norm: np.ndarray
    v_norm: np.ndarray
    angle: np.ndarray


@quiet
def arc_cosine_kernel(W: ArrayLike, V: ArrayLike, Sigma: ArrayLike | None = None) -> np.ndarray:
    r"""Kernel :math:`K(w, v) = E[\max(w \cdot x, 0) \max(v \cdot x, 0)]`.

    For ``Sigma = I`` and the angle theta between w and v it is
    :math:`\frac{|w| |v|}{2 \pi} (\sin\theta + (\pi - \theta) \cos\theta)`.

    Parameters
    ----------
    W : array_like, shape (m, d)
    V : array_like, shape (k, d)
    Sigma : array_like, shape (d, d), optional
        Covariance of x, symmetric, positive semidefinite. Default: the identity.

    Returns
    -------
    ndarray, shape (m, k)
        Accurate relative to itself, for opposite vectors too.

    Raises
    ------
    TypeError, ValueError
        On bad input, and if double precision does not hold the result.

    References
    ----------
    Cho and Saul, "Kernel methods for deep learning", 2009, degree 1 (known from other texts);
    derived here too.

    Examples
    --------
    >>> arc_cosine_kernel([[1.0, 0.0]], [[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]).round(4)
    array([[1.    , 0.1592, 0.    ]])
    """
    w, v, w_norm, v_norm, angle = pairs(*_two(W, V, Sigma)[:2])
    away = np.pi - angle
    exact = np.sin(angle) + away * np.cos(angle)
    square = away**2
    series = away * square / 3 * (1 - square / 10 * (1 - square / 28 * (1 - square / 54)))
    shape = np.where(away < SMALL, series, exact) / (2 * np.pi)
    return held(w_norm[:, None] * v_norm * shape)


@quiet
def arc_cosine_field(W: ArrayLike, V: ArrayLike, Sigma: ArrayLike | None = None) -> np.ndarray:
    r"""Field :math:`g(w, v) = E[1\{w \cdot x > 0\} \max(v \cdot x, 0) x]`.

    For ``Sigma = I`` it is :math:`\frac{1}{2\pi} (|v| \sin\theta\, \hat w + (\pi - \theta) v)`.

    Parameters
    ----------
    W, V, Sigma
        As for `arc_cosine_kernel`.

    Returns
    -------
    ndarray, shape (m, k, d)
        Zero where w or v is.

    Raises
    ------
    TypeError, ValueError
        On bad input, and if double precision does not hold the result.

    References
    ----------
    Derived here.

    Examples
    --------
    >>> arc_cosine_field([[1.0, 0.0]], [[2.0, 0.0]])
    array([[[1., 0.]]])
    """
    W, V, root = _two(W, V, Sigma)
    w, v, w_norm, v_norm, angle = pairs(W, V)
    g = (np.sin(angle)[..., None] * w[:, None] + (np.pi - angle)[..., None] * v) / (2 * np.pi)
    g *= v_norm[:, None]
    g[w_norm == 0] = 0.0
    return held(g @ root)


@quiet
def arc_cosine_moments(W: ArrayLike, V: ArrayLike, Sigma: ArrayLike | None = None) -> np.ndarray:
    r"""Second moments :math:`E[1\{w \cdot x > 0\} 1\{v \cdot x > 0\} x x^T]`.

    For ``Sigma = I``, with the unit vectors p and q along the sum and the difference of the unit
    vectors of w and v, :math:`\frac{1}{2\pi} ((\pi - \theta) I + \sin\theta (p p^T - q q^T))`.

    Parameters
    ----------
    W, V, Sigma
        As for `arc_cosine_kernel`.

    Returns
    -------
    ndarray, shape (m, k, d, d)
        Zero where w or v is.

    Raises
    ------
    TypeError, ValueError
        On bad input, and if double precision does not hold the result.

    References
    ----------
    Derived here.

    Examples
    --------
    >>> arc_cosine_moments([[1.0, 0.0]], [[2.0, 0.0]])[0, 0]
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    W, V, root = _two(W, V, Sigma)
    M = moments(pairs(W, V))
    return held(root @ M @ root)


def pairs(W: np.ndarray, V: np.ndarray) -> Pairs:
    """Angles between the rows of ``W`` (m, d) and ``V`` (k, d), accurate when they are small."""
    w_norm, v_norm = row_norms(W), row_norms(V)
    w, v = unit_rows(W), unit_rows(V)
    apart = np.sqrt(((w[:, None] - v)**2).sum(axis=-1))
    along = np.sqrt(((w[:, None] + v)**2).sum(axis=-1))
    return Pairs(w, v, w_norm, v_norm, 2 * np.arctan2(apart, along))


def moments(at: Pairs) -> np.ndarray:
    """Second moments (m, k, d, d) of `arc_cosine_moments` for Sigma = I."""
    p, q = unit_rows(at.w[:, None] + at.v), unit_rows(at.w[:, None] - at.v)
    plane = p[..., :, None] * p[..., None, :] - q[..., :, None] * q[..., None, :]
    M = ((np.pi - at.angle)[..., None, None] * np.eye(at.w.shape[1])
         + np.sin(at.angle)[..., None, None] * plane) / (2 * np.pi)
    M[(at.w_norm[:, None] * at.v_norm) == 0] = 0.0
    return np.asarray(M)


def held(what: ArrayLike) -> np.ndarray:
    """What was computed, if double precision holds it.

    Raises
    ------
    ValueError
        If it does not.
    """
    if not np.isfinite(what).all():
        raise ValueError("this leaves the range of double precision: give smaller vectors or "
                         "weights, or a smaller Sigma")
    return np.asarray(what)


def covariance_root(Sigma: ArrayLike | None, d: int) -> np.ndarray:
    """Symmetric square root of a covariance (d, d); the identity for None."""
    if Sigma is None:
        return np.eye(d)
    Sigma = real_array(Sigma, "Sigma", 2)
    if Sigma.shape != (d, d):
        raise ValueError(f"Sigma has shape {Sigma.shape} but inputs have {d} entries: give a "
                         f"({d}, {d}) covariance")
    size = np.abs(Sigma).max()
    if np.abs(Sigma - Sigma.T).max() > SYMMETRIC * size:
        raise ValueError("Sigma is not symmetric: give a covariance matrix")
    values, vectors = np.linalg.eigh(Sigma)
    if values[0] < -SYMMETRIC * size:
        raise ValueError(f"Sigma has the eigenvalue {values[0]:g}: a covariance has none below 0")
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T)


def _two(W: ArrayLike, V: ArrayLike,
         Sigma: ArrayLike | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows multiplied by the root of the covariance, and that."""
    W, V = real_array(W, "W", 2), real_array(V, "V", 2)
    if W.shape[1] != V.shape[1] or not W.size or not V.size:
        raise ValueError(f"W has shape {W.shape} and V {V.shape}: give at least one row each, of "
                         "as many columns")
    root = covariance_root(Sigma, W.shape[1])
    return W @ root, V @ root, root
