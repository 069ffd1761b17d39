r"""Classification: the pulls of a small start, and the limits on orthogonally separable data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from ..problem.data import Data, as_data, relabelled
from ..problem.field import Field
from ..problem.inputs import DataLike, with_loss
from ..problem.loss import NAMED, LossLike, as_labels
from ..problem.norms import row_norms, unit_rows
from ..problem.quiet import quiet
from ..problem.value import Value


ORTHOGONAL = 1e-10
"""Largest cosine of two points that counts as zero."""
ACCURATE = 1e-6
"""By how much of the smallest one, at most, a margin is short for rounding."""


@quiet
def at_output_zero(data: DataLike, loss: LossLike = "square") -> Data:
    r"""The data with pulls at output 0 as labels: what a small start on ``loss`` sees.

    Neurons of a vanishing start follow :math:`\dot a = w \cdot D(w)`, :math:`\dot w = a D(w)` with
    :math:`p_k = -\partial \ell / \partial h (0, y_k)` in the place of labels, so that all that is
    known of the early flow of the square loss holds for other losses on these data: labels over 2
    for the logistic loss, labels themselves for the exponential one.

    Parameters
    ----------
    data : Data or (X, y)
    loss : str or object
        As in `gflow.integrate`.

    Returns
    -------
    Data
        For `early_flow`, `extremal_vectors`, `alignment_field`, `alignment_potential`.

    Raises
    ------
    TypeError, ValueError
        On bad input, in one sentence.

    Examples
    --------
    >>> at_output_zero(([[1.0], [2.0]], [0, 1]), "logistic").y
    array([-0.5,  0.5])
    """
    data, chosen = with_loss(as_data(data), loss)
    return relabelled(data, Field(data, chosen).first_pulls)


@dataclass(frozen=True, eq=False)
class ClassMargins(Value):
    r"""Largest margins of the two classes by themselves, from `class_margins`.

    Attributes
    ----------
    positive, negative : ndarray, shape (d,)
        The shortest ``v`` with ``v.x_k >= 1`` on all points of the class; its margin is ``1/|v|``.
        Zero if the class is empty.
    support : ndarray of bool, shape (n,)
        Points where that is an equality and which hold the vector, and their copies.
    orthogonal : bool
        Whether the data are orthogonally separable: points of one class have positive inner
        products, and those of different classes none; cosines up to 1e-10 are none.
    margin : float
        Of the network with one neuron along either vector, over its squared norm, where neither is
        on at a point of the other class: the limit of `gflow.Flow.margin` on orthogonally separable
        data, ``1 / (2 (|v_+| + |v_-|))``. NaN elsewhere.
    share : float
        Of the neurons with ``a > 0`` in ``sum a_i^2`` there: ``|v_+| / (|v_+| + |v_-|)``; NaN
        likewise.
    loss_constant : float
        Limit of ``t L log(1/L)``: ``1 / (4 margin)``; NaN unless ``orthogonal``.
    """

    positive: np.ndarray
    negative: np.ndarray
    support: np.ndarray
    orthogonal: bool
    margin: float
    share: float
    loss_constant: float


@quiet
def class_margins(data: DataLike) -> ClassMargins:
    r"""What a flow on the logistic or exponential loss tends to on orthogonally separable data.

    Every neuron that stays alive ends in the cone of one class, and the two sums
    :math:`\sum_{\pm} |a_i| w_i` along the vectors of the largest margin of the classes; the loss is
    of order 1/t.

    Parameters
    ----------
    data : Data or (X, y)
        Labels -1 and 1, or 0 and 1.

    Returns
    -------
    ClassMargins

    Raises
    ------
    ValueError
        If labels are others, or no half-space has all points of a class inside.

    References
    ----------
    Phuong and Lampert, "The inductive bias of ReLU networks on orthogonally separable data", ICLR
    2021; Min, Mallada and Vidal, "Early neuron alignment in two-layer ReLU networks with small
    initialization", ICLR 2024 (proved there: directions, and the order 1/t). That the two together
    have the margin ``1 / (2 (|v_+| + |v_-|))``, and the constant of the loss: derived here.
    Vectors by non-negative least squares: Lawson and Hanson, "Solving least squares problems",
    1974, chapter 23.

    Examples
    --------
    >>> found = class_margins(([[1.0, 0.0], [1.0, 1.0], [-2.0, -1.0]], [1, 1, -1]))
    >>> found.negative.round(9), found.support, found.orthogonal
    (array([-0.4, -0.2]), array([ True, False,  True]), True)
    >>> round(found.margin, 6)
    0.345492
    """
    data = as_data(data)
    y = as_labels(NAMED["logistic"], data.y)
    vectors, support = [], np.zeros(data.n, dtype=bool)
    for label in (1.0, -1.0):
        own = y == label
        v, held = shortest(data.X[own], "no half-space has all points of label "
                           f"{'1' if label > 0 else '-1'} inside")
        vectors.append(v)
        support[np.flatnonzero(own)[held]] = True
    # Signs of products of directions: those of points may underflow.
    directions = unit_rows(data.X)
    inner, same = directions @ directions.T, np.outer(y, y) > 0
    orthogonal = bool((inner[same] > ORTHOGONAL).all() and (inner[~same] <= ORTHOGONAL).all())
    seen = directions @ unit_rows(np.array(vectors)).T
    apart = orthogonal or bool((seen[y < 0, 0] <= 0).all() and (seen[y > 0, 1] <= 0).all())
    lengths = row_norms(np.array(vectors)).tolist()
    total = sum(lengths) if apart else np.nan
    return ClassMargins(vectors[0], vectors[1], support, orthogonal, 1 / (2 * total),
                        lengths[0] / total, total / 2 if orthogonal else np.nan)


def shortest(X: np.ndarray, none: str) -> tuple[np.ndarray, np.ndarray]:
    """The shortest ``v`` with ``X v >= 1``, and which rows hold it; ``none`` is said if none is.

    With unit rows ``u_k`` it is ``u_k.v >= 1/|x_k|``, in units of the largest of these: whether
    there is a solution, and how long it is, is then a matter of angles alone.
    """
    if not len(X):
        return np.zeros(X.shape[1]), np.zeros(0, dtype=bool)
    lengths = row_norms(X)
    unit = float(lengths.min())
    bounds = unit / np.where(lengths > 0, lengths, 1.0)
    system, target = np.vstack([unit_rows(X).T, bounds]), np.append(np.zeros(X.shape[1]), 1.0)
    held, distance = nnls(system, target) if unit > 0 else (bounds, 0.0)
    if distance < 1e-9:
        raise ValueError(f"{none}: their largest margin is none")
    rest = target - system @ held
    v = -system[:-1] @ held / -rest[-1]
    if (v @ system[:-1] < bounds * (1 - ACCURATE)).any() or not np.isfinite(v / unit).all():
        raise ValueError("lengths of points differ so much that double precision does not tell "
                         "their margin: rescale or drop some")
    # Of copies one is found.
    holds = held > 0
    for x in X[holds]:
        holds |= (X == x).all(axis=1)
    return v / unit, holds
