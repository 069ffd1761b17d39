"""Gaussian inputs and their labels: the population field of every neuron, and the exact loss."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike

from ...problem.inputs import ModelLike, TeacherLike, relu_only
from ...problem.checks import non_negative, real_array
from ...problem.network import TwoLayerReLU
from ...problem.norms import row_norms, unit_rows
from .kernels import covariance_root, held, moments, pairs
from ...problem.quiet import quiet
from ...problem.words import counted, kind_of

LARGEST_LOG = 700.0
"""Logarithms of weights up to this, and down to its negative, are in the range of doubles."""


class Law(NamedTuple):
    """Inputs N(0, Sigma) by the root of Sigma; a linear teacher plus a ReLU one, one is empty."""

    root: np.ndarray
    beta: np.ndarray
    a: np.ndarray
    V: np.ndarray


@quiet
def field(model: ModelLike, teacher: TeacherLike, *, Sigma: ArrayLike | None = None) -> np.ndarray:
    r"""Population field :math:`D_j = E[1\{w_j \cdot x > 0\} (y - h(x)) x]` of every neuron.

    A linear teacher contributes ``Sigma beta / 2`` whatever ``w_j`` is.

    Parameters
    ----------
    model : TwoLayerReLU or (a, W)
        Student network; for the alignment field let ``a`` be zero.
    teacher : array_like, shape (d,), or TwoLayerReLU or (a, V)
        Linear teacher ``beta``, or a ReLU network.
    Sigma : array_like, shape (d, d), optional
        Covariance of x. Default: the identity.

    Returns
    -------
    ndarray, shape (m, d)
        Zero for a neuron at ``w = 0``.

    Raises
    ------
    TypeError, ValueError
        On bad input, and if double precision does not hold the result.

    References
    ----------
    Boursier and Flammarion, "Simplicity bias and optimization threshold in two-layer ReLU
    networks", 2024, arXiv:2410.02348 (the field of the population); closed form derived here.

    Examples
    --------
    >>> field(([0.0], [[1.0, 2.0]]), [1.0, 0.0])
    array([[0.5, 0. ]])
    """
    model = as_model(model)
    law = as_law(teacher, Sigma, model.d)
    return held(field_at(model.a, model.W, law))


@quiet
def test_loss(model: ModelLike, teacher: TeacherLike, *, noise: float = 0.0,
              Sigma: ArrayLike | None = None) -> float:
    r"""Population loss :math:`\frac12 E[(h(x) - y)^2]`, exactly.

    The odd and the even part of a ReLU, ``z/2`` and ``|z|/2``, are orthogonal: the loss is the sum
    of a square and of a quadratic form in the kernel of ``|w.x|``.

    Parameters
    ----------
    model : TwoLayerReLU or (a, W)
        Student network.
    teacher : array_like, shape (d,), or TwoLayerReLU or (a, V)
        Linear teacher ``beta``, or a ReLU network.
    noise : float
        Standard deviation of the label noise.
    Sigma : array_like, shape (d, d), optional
        Covariance of x. Default: the identity.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        On bad input, and if double precision does not hold the result.

    References
    ----------
    Derived here.

    Examples
    --------
    Two opposite neurons are a linear function:

    >>> test_loss(([1.0, -1.0], [[1.0, 2.0], [-1.0, -2.0]]), [1.0, 2.0], noise=0.5)
    0.125
    """
    model = as_model(model)
    noise = non_negative(noise, "noise")
    law = as_law(teacher, Sigma, model.d)
    return float(held(loss_at(model.a, model.W, law) + noise * noise / 2))


def as_model(model: ModelLike) -> TwoLayerReLU:
    """A network, or the pair of its weights; its scale must fit double precision."""
    if isinstance(model, TwoLayerReLU):
        relu_only(model, "a population")
        if model.bias:
            raise ValueError("a population has Gaussian inputs and the network a bias, a column of "
                             "ones beside them: take the loss on many points, such as "
                             "model.loss(data)")
        if model.log_scale.any():
            with np.errstate(divide="ignore"):
                logs = np.log([np.abs(model.a), row_norms(model.W)]) + model.log_scale
            if (np.abs(logs[np.isfinite(logs)]) > LARGEST_LOG).any():
                raise ValueError("log_scale takes a neuron out of the range of double precision, "
                                 "which populations need: give a start of another scale")
            scale = np.exp(model.log_scale)
            return TwoLayerReLU(model.a * scale, model.W * scale[:, None])
        return model
    if not isinstance(model, tuple | list) or len(model) != 2:
        raise TypeError(f"model is {kind_of(model)}: give a TwoLayerReLU or a pair (a, W)")
    return TwoLayerReLU(*model)


def as_law(teacher: TeacherLike, Sigma: ArrayLike | None, d: int) -> Law:
    """Teacher and covariance of ``d`` inputs, checked."""
    root = covariance_root(Sigma, d)
    if isinstance(teacher, TwoLayerReLU) or (isinstance(teacher, tuple | list)
                                             and len(teacher) == 2 and np.ndim(teacher[1]) == 2):
        network = as_model(cast(ModelLike, teacher))
        beta, a, V = np.zeros(d), network.a, network.W
        columns = network.d
    else:
        beta = real_array(cast(ArrayLike, teacher), "teacher", 1)
        a, V = np.empty(0), np.empty((0, d))
        columns = beta.size
    if columns != d:
        raise ValueError(f"teacher has {counted(columns, 'input')} but W has "
                         f"{counted(d, 'column')}: they must be the same")
    return Law(root, beta, a, V @ root)


def field_at(a: np.ndarray, W: np.ndarray, law: Law) -> np.ndarray:
    """Population field (m, d) of a network, without checks."""
    seen = W @ law.root
    rows, weights = np.concatenate([law.V, seen]), np.concatenate([law.a, -a])
    own = unit_rows(seen)
    angle = angles(own, unit_rows(rows))
    D = (np.sin(angle) @ (weights * row_norms(rows)))[:, None] * own
    D += (np.pi - angle) @ (weights[:, None] * rows)
    D = (D / (2 * np.pi) + law.beta @ law.root / 2) @ law.root
    D[~own.any(axis=1)] = 0.0
    return np.asarray(D)


def slopes_at(a: np.ndarray, W: np.ndarray, law: Law) -> tuple[np.ndarray, np.ndarray]:
    """How the population field changes with output weights (m, d, m) and with hidden ones
    (m, d, m, d), without checks."""
    m, root = len(a), law.root
    seen = W @ root
    rows, weights = np.concatenate([law.V, seen]), np.concatenate([law.a, -a])
    at = pairs(seen, rows)
    M = moments(at)[:, -m:]
    by_a = -np.einsum("pq,jkqr,kr->jpk", root, M, seen)
    by_W = -a[:, None, None] * M
    # The half-space of a neuron turns with it.
    sizes = np.where(at.w_norm > 0, at.w_norm, np.inf)[:, None]
    turns = np.sin(at.angle) * (weights * at.v_norm) / sizes / (2 * np.pi)
    across = unit_rows(at.v - np.cos(at.angle)[..., None] * at.w[:, None])
    own = np.einsum("jk,jkp,jkq->jpq", turns, across, across) + turns.sum(axis=1)[
        :, None, None] * (np.eye(W.shape[1]) - at.w[:, :, None] * at.w[:, None])
    by_W[np.arange(m), np.arange(m)] += own
    return by_a, np.einsum("pq,jkqr,rs->jpks", root, by_W, root)


def loss_at(a: np.ndarray, W: np.ndarray, law: Law) -> float:
    """Population loss of a network without label noise, without checks."""
    rows, weights = np.concatenate([law.V, W @ law.root]), np.concatenate([-law.a, a])
    odd = weights @ rows / 2 - law.beta @ law.root
    angle = angles(unit_rows(rows), unit_rows(rows))
    acute = np.minimum(angle, np.pi - angle)
    even = 2 / np.pi * (np.sin(acute) + (np.pi / 2 - acute) * np.cos(acute))
    charge = weights * row_norms(rows)
    return float(odd @ odd / 2 + max(charge @ even @ charge, 0.0) / 8)


def angles(w: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Angles (m, k) between unit vectors (m, d) and (k, d).

    Small ones are off by the square root of rounding, but fields and losses are stationary there.
    """
    return np.asarray(np.arccos(np.clip(w @ v.T, -1.0, 1.0)))
