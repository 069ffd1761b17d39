r"""Classification with a leak: limits on symmetric and on nearly orthogonal data.

With a slope :math:`\gamma > 0` no neuron dies, and every point pulls at every neuron: two settings
in which the limit of the directions is known in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..problem.checks import positive, real_array
from ..problem.data import as_data
from ..problem.inputs import DataLike
from ..problem.loss import NAMED, as_labels
from ..problem.norms import row_norms, unit_rows
from ..problem.quiet import quiet
from ..problem.value import Value
from .classes import shortest


@dataclass(frozen=True, eq=False)
class LinearMargin(Value):
    r"""The linear classifier of the largest margin, from `linear_margin`.

    Attributes
    ----------
    direction : ndarray, shape (d,)
        The shortest ``v`` with ``y_k v.x_k >= 1`` for all points; its margin is ``1/|v|``.
    support : ndarray of bool, shape (n,)
        Points where that is an equality and which hold the vector.
    symmetric : bool
        Whether with every ``(x, y)`` the data have ``(-x, -y)``.
    margin : float
        Of the network ``h(x)`` along ``v.x``, over its squared norm: ``(1 + slope) / (4 |v|)``.
    """

    direction: np.ndarray
    support: np.ndarray
    symmetric: bool
    margin: float


@quiet
def linear_margin(data: DataLike, slope: float) -> LinearMargin:
    r"""What a leaky flow on the logistic loss tends to on symmetric data: a linear classifier.

    On separable data that have :math:`(-x, -y)` with every :math:`(x, y)` a flow of a vanishing
    start, of any width with neurons of both signs, tends to the largest margin of all networks, and
    that is linear: neurons of positive sign along :math:`v`, the others along :math:`-v`, with the
    same :math:`\sum a_i^2`. At a point with :math:`z = v \cdot x > 0` one sum gives :math:`z`, the
    other one :math:`\gamma z`; with :math:`p = \sum_+ |a_i| |w_i|` either sign, the output is
    :math:`p (1 + \gamma) z / |v|` and the squared norm :math:`4 p`.

    Parameters
    ----------
    data : Data or (X, y)
        Labels -1 and 1, or 0 and 1.
    slope : float
        Of the activation where it leaks, between 0 and 1.

    Returns
    -------
    LinearMargin

    Raises
    ------
    TypeError, ValueError
        If labels are others, no hyperplane through 0 separates them, or the slope is out of range.

    References
    ----------
    Lyu, Li, Wang and Arora, "Gradient descent on two-layer nets: margin maximization and simplicity
    bias", NeurIPS 2021 (proved there).

    Examples
    --------
    >>> found = linear_margin(([[2.0, 1.0], [-2.0, -1.0]], [1, -1]), slope=0.5)
    >>> found.direction.round(9), found.symmetric, round(found.margin, 6)
    (array([0.4, 0.2]), True, 0.838525)
    """
    data, slope = as_data(data), _slope(slope)
    y = as_labels(NAMED["logistic"], data.y)
    # A point of label -1 asks of v what its opposite asks with label 1.
    towards = data.X * y[:, None]
    direction, held = shortest(towards, "no hyperplane through 0 separates the labels")
    return LinearMargin(direction, held, _symmetric(data.X, y),
                        (1 + slope) / (4 * float(row_norms(direction[None])[0])))


@dataclass(frozen=True, eq=False)
class NearlyOrthogonal(Value):
    r"""Limit with a leak and fixed output weights, from `nearly_orthogonal`.

    Attributes
    ----------
    positive, negative : ndarray, shape (d,)
        Hidden weights of a neuron, over its ``|a|``, if ``a > 0`` and if ``a < 0``: the network
        with all outputs ``y_k``. That of a flow tends to a multiple of it.
    multipliers : ndarray, shape (n,)
        ``lambda``, all positive: every point supports.
    margin : float
        ``1 / |W|`` of that network, the limit of `gflow.Flow.margin`.
    near : float
        How far inside the theorem's condition the data are: 1 or more is inside,
        ``min |x|^2 / (3 slope^-3 (R_max / R_min)^2 n max |x_i.x_j|)``.
    """

    positive: np.ndarray
    negative: np.ndarray
    multipliers: np.ndarray
    margin: float
    near: float


@quiet
def nearly_orthogonal(data: DataLike, a: ArrayLike, slope: float) -> NearlyOrthogonal:
    r"""Limit of leaky flows with fixed output weights on nearly orthogonal data: rank two.

    In the limit every neuron is active on its own class and leaks on the other, and the margins of
    all points are equal. The conditions of the largest margin are then :math:`w_i = |a_i| v_+` if
    :math:`a_i > 0` and :math:`w_i = |a_i| v_-` if not, with

    .. math:: v_+ = \sum_{y_k > 0} \lambda_k x_k - \gamma \sum_{y_k < 0} \lambda_k x_k, \qquad
              v_- = \sum_{y_k < 0} \lambda_k x_k - \gamma \sum_{y_k > 0} \lambda_k x_k,

    and :math:`y_k h(x_k) = 1` is a linear system for :math:`\lambda` (derived here).

    Parameters
    ----------
    data : Data or (X, y)
        Labels -1 and 1, or 0 and 1.
    a : array_like, shape (m,)
        Output weights, which stay; some of either sign.
    slope : float
        Of the activation where it leaks, between 0 and 1, not 0.

    Returns
    -------
    NearlyOrthogonal

    Raises
    ------
    TypeError, ValueError
        On bad input, or if the network of these conditions does not meet them: some ``lambda`` is
        not positive, or a neuron is not active on its own class alone. Also if these are beyond
        double precision.

    References
    ----------
    Frei, Vardi, Bartlett, Srebro and Hu, "Implicit bias in leaky ReLU networks trained on
    high-dimensional data", ICLR 2023 (proved there: rank two, equal margins, a linear boundary).

    Examples
    --------
    >>> found = nearly_orthogonal(([[9.0, 0.0], [0.0, 9.0]], [1, -1]), [1.0, -1.0], slope=0.5)
    >>> found.positive.round(6), found.multipliers.round(6), found.near
    (array([ 0.088889, -0.044444]), array([0.009877, 0.009877]), inf)
    """
    data, slope = as_data(data), _slope(slope)
    y, a = as_labels(NAMED["logistic"], data.y), real_array(a, "a", 1)
    if not ((a > 0).any() and (a < 0).any()):
        raise ValueError("a: all output weights have one sign; give some of either one")
    # In units of the largest weight and the shortest point, and of points by their directions:
    # squares of others may be beyond double precision.
    lengths, unit = row_norms(data.X), float(np.abs(a).max())
    own_a, least, U = a / unit, float(lengths.min()), unit_rows(data.X)
    gram = U @ U.T
    shares = np.array([own_a[a > 0] @ own_a[a > 0], own_a[a < 0] @ own_a[a < 0]])
    # Of a neuron of either sign: how much a point of label y counts, and its output.
    own = np.outer([1.0, -1.0], y)
    signed = np.where(own > 0, own, slope * own)
    system = sum(share * one[:, None] * gram * one for share, one in zip(shares, signed))
    if np.linalg.matrix_rank(system) < data.n:
        raise ValueError("equal margins do not tell how much each point supports: some points are "
                         "equal, or too far from orthogonal; leave some away")
    held = np.linalg.solve(system, least / lengths)
    v = (signed * held) @ U
    active = own * (v @ U.T)
    if not (held > 0).all() or not (active > 0).all():
        k = int(np.argmin(np.minimum(held, active.min(axis=0))))
        raise ValueError(f"point {k} is too far from orthogonal to the others for all points to "
                         "support one network of rank two: the theorem says nothing")
    margin = least * unit / float(np.sqrt(shares @ (v**2).sum(axis=1)))
    multipliers, v = held / unit / least / unit / lengths, v / least / unit / unit
    if not (np.isfinite(margin + multipliers.sum() + np.abs(v).sum()) and margin > 0
            and (multipliers > 0).all() and v.any(axis=1).all()):
        raise ValueError("the multipliers of points of these lengths leave the range of double "
                         "precision: rescale X or a")
    return NearlyOrthogonal(v[0], v[1], multipliers, margin, _near(gram, lengths / least, slope))


def _near(cosines: np.ndarray, lengths: np.ndarray, slope: float) -> float:
    """See `NearlyOrthogonal.near`; ``lengths`` (n,) in units of the shortest."""
    inner = float((np.abs(cosines - np.diag(cosines.diagonal()))
                   * lengths[:, None] * lengths).max())
    # The cube of a slope may underflow, and then nothing is near enough.
    return slope**3 / (3 * float(lengths.max())**2 * len(cosines) * inner) if inner > 0 else np.inf


def _symmetric(X: np.ndarray, y: np.ndarray) -> bool:
    """Whether the rows of (X, y) are those of (-X, -y), in some order."""
    rows = np.column_stack([X, y])
    # Minus zero is zero.
    ours, others = (one[np.lexsort(one.T)] for one in (rows + 0.0, -rows + 0.0))
    return np.array_equal(ours, others)


def _slope(slope: float) -> float:
    slope = positive(slope, "slope")
    if slope >= 1:
        raise ValueError(f"slope = {slope:g}: these limits are of a leak above 0 and below 1")
    return slope
