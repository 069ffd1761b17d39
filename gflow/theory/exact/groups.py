"""Any number of neurons on one axis through many points: single groups and antipodal clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ...problem.checks import real_array, whole
from ...problem.data import Data
from ...datasets import symmetric
from ...problem.network import TwoLayerReLU
from ...problem.norms import row_norms
from ...problem.quiet import quiet
from .axis import Axis
from .points import vector
from .solution import ExactFlow, State, event_table

WHITE = 1e-12
"""Relative accuracy to which data must be white along the teacher."""


@quiet
def group_on_one_axis(a: ArrayLike = (0.2, 0.1, -0.1, 0.3), p: ArrayLike = (0.1, 0.2, 0.4, -0.2),
                      beta: ArrayLike = (0.7, 0.0), X: ArrayLike | None = None) -> ExactFlow:
    r"""T7: neurons ``w_i = p_i beta/|beta|`` on data that are white along a linear teacher.

    Labels are ``y = X beta``. On each side ``S`` of the hyperplane of ``beta``,
    :math:`\frac1n \sum_S x x^T \beta = s^2 \beta`: neurons stay on the axis. Any signs, any
    balance; those that see no points rest.

    Parameters
    ----------
    a, p : array_like, shape (m,)
        Output weights, and hidden weights along ``beta``.
    beta : array_like, shape (d,)
        Teacher, not zero.
    X : array_like, shape (n, d), optional
        Inputs, none orthogonal to ``beta``. Default: ``beta/|beta|`` plus and minus unit vectors
        across, all on one side (s = 1).

    Returns
    -------
    ExactFlow

    Raises
    ------
    TypeError, ValueError
        On bad input, or if the data are not white along ``beta``.

    References
    ----------
    Derived here; see `one_point`.

    Examples
    --------
    >>> case = group_on_one_axis()
    >>> model = case(50.0)
    >>> bool(np.isclose(model.a[:3] @ model.W[:3, 0], 0.7)), bool(model.a[3] == 0.3)
    (True, True)
    """
    beta = vector(beta, "beta")
    e = direction(beta)
    if X is None:
        across = np.linalg.svd(e[None, :])[2][1:]
        X = e + np.concatenate([across, -across]) if across.size else e[None, :]
    return _along(real_array(a, "a", 1), real_array(p, "p", 1), beta, real_array(X, "X", 2))


@quiet
def antipodal_clusters(a: ArrayLike = (1e-3, 2e-3, -1e-3, -5e-4),
                       p: ArrayLike = (1e-3, 2e-3, -1e-3, -5e-4),
                       beta: ArrayLike = (1.0, 0.5, -0.3), n: int = 12,
                       rng: int | np.random.Generator = 0) -> ExactFlow:
    """T8: two aligned clusters on symmetric white data, as on a Gaussian population.

    Neurons ``w_i = p_i beta/|beta|``: each side follows ``A' = A (b - A)``, ``b = |beta|``, for
    ``A = sum |a_i p_i|`` if it is balanced and well aligned, whatever the other does.

    Parameters
    ----------
    a, p : array_like, shape (m,)
        Output weights, and hidden weights along ``beta``.
    beta : array_like, shape (d,)
        Linear teacher, not zero.
    n : int
        Number of points, even, at least 2d, from `gflow.datasets.symmetric` with ``whiten=True``.
    rng : int or numpy.random.Generator
        Seed or generator of the points.

    Returns
    -------
    ExactFlow

    Raises
    ------
    TypeError, ValueError
        On bad input.

    References
    ----------
    Derived here; Tinaz et al., COLT 2026, study both layers on Gaussian inputs with a linear
    teacher (known from its abstract).

    Examples
    --------
    >>> case = antipodal_clusters([0.1, -0.1], [0.1, -0.1], [2.0], 4)
    >>> A = 2.0 / (1 + 199 * np.exp(-2.0 * 3.0))
    >>> model = case(3.0)
    >>> bool(np.isclose(model.a[0] * model.W[0, 0], A))
    True
    """
    beta = vector(beta, "beta")
    data = symmetric(whole(n, "n"), beta.size, rng, beta=beta, whiten=True)
    return _along(real_array(a, "a", 1), real_array(p, "p", 1), beta, data.X)


def _along(a: np.ndarray, p: np.ndarray, beta: np.ndarray, X: np.ndarray) -> ExactFlow:
    """Neurons on the axis of ``beta``, those of positive and negative ``p`` apart."""
    e, b = direction(beta), float(row_norms(beta))
    if a.shape != p.shape or not a.size:
        raise ValueError(f"a has {a.size} and p {p.size} entries: give one each a neuron")
    model, data = TwoLayerReLU(a, np.outer(p, e)), Data(X, X @ beta)
    along = X @ e
    sides = []
    for side in (1, -1):
        seen = side * along > 0
        pull = along[seen] @ X[seen] / data.n
        rate = float(pull @ e)
        if np.abs(pull - rate * e).max(initial=0.0) > WHITE * float(np.mean(along**2)) \
                or (along == 0).any():
            raise ValueError("the data are not white along beta: on each side of its hyperplane "
                             "the mean of x (x.beta) must be parallel to beta")
        mine = np.where(side * p > 0, side * p, 0.0) if seen.any() else np.zeros(p.size)
        sides.append((seen, Axis(a, mine, max(rate, 1e-300), side * b, 1.0)))

    def state(t: np.ndarray) -> State:
        a_t, p_t = np.tile(a, (t.size, 1)), np.tile(p, (t.size, 1))
        r = np.empty((t.size, data.n))
        for side, (seen, axis) in zip((1, -1), sides):
            mine = axis.p > 0
            a_s, p_s = axis(t)
            a_t[:, mine], p_t[:, mine] = a_s[:, mine], side * p_s[:, mine]
            r[:, seen] = side * np.outer(axis.gap(t), along[seen])
        return a_t, p_t[:, :, None] * e, r

    records = [(float(axis.deaths[i]), int(i), int(k), "deactivate", 0)
               for seen, axis in sides for i in np.flatnonzero(np.isfinite(axis.deaths))
               for k in np.flatnonzero(seen)]
    horizon = max(axis.settled for _, axis in sides)
    return ExactFlow(model, data, event_table(records), np.inf, horizon, state)


def direction(v: np.ndarray) -> np.ndarray:
    """Unit vector of a vector that must not be zero."""
    size = float(row_norms(v))
    if size == 0:
        raise ValueError("beta is zero: give a teacher with a direction")
    return v / size
