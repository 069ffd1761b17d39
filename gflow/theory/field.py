"""The alignment field and its potential: what a vanishing network sees of the data."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..problem.activation import Activation
from ..problem.checks import finite, real_array
from ..problem.data import Data, DataLike, as_data
from ..kernels.crossings import ON_SURFACE
from ..kernels.filippov import ROUNDING, box_least_squares
from ..problem.norms import row_norms
from ..problem.quiet import quiet
from ..problem.words import counted

BLOCK = 1 << 21
"""Pairs of a vector and a point that are held at a time."""
LARGEST_POWER = 960
"""Binary logarithm, up to sign, of the largest ``|y_k x_k|`` that leaves room for sums."""


@quiet
def alignment_field(W: ArrayLike, data: DataLike, *, slope: float = 0.0) -> np.ndarray:
    r"""The field :math:`D_n(w, 0)` that turns the neurons of a vanishing network.

    .. math:: D_n(w, 0) = \frac{1}{n} \sum_k \eta_k y_k x_k, \qquad \eta_k = 1\{w \cdot x_k > 0\},

    with any :math:`\eta_k \in [0, 1]` where ``w . x_k = 0``; of this set the element of least norm
    is returned. A vector counts as lying on a hyperplane if its distance to it is at most 1e-13 of
    its norm, as in `gflow.integrate`. Points on one line share a hyperplane and switch together, so
    that duplicates have one multiplier and opposite points ``eta`` and ``1 - eta``. At ``w = 0``
    the field is 0, as in `gflow.integrate`: ``max(., 0)`` has derivative 0 there, and a neuron that
    is there stays.

    Parameters
    ----------
    W : array_like, shape (m, d)
        Vectors, one a row. Their lengths do not matter, down to 1e-300.
    data : Data or (X, y)
        Inputs (n, d) and labels (n,).
    slope : float
        Of the activation where its input is negative: points that are off count ``slope``, and
        :math:`\eta_k` is between that and 1 on hyperplanes.

    Returns
    -------
    ndarray, shape (m, d)
        In units of ``y x``.

    Raises
    ------
    TypeError, ValueError
        If W or data has a wrong shape, entries that are not finite real numbers, or a product of
        label and point outside the range of double precision.

    References
    ----------
    Boursier and Flammarion, "Early alignment in two-layer networks training is a two-edged sword",
    JMLR 2025, section 3 (definition). One multiplier a hyperplane, which makes the set the
    subdifferential of `alignment_potential` where normals are independent: derived here.

    Examples
    --------
    On the hyperplane of the second point the field keeps part of its pull:

    >>> data = ([[1.0, 0.0], [1.0, 1.0]], [2.0, -2.0])
    >>> alignment_field([[1.0, 0.0], [1.0, -2.0], [1.0, -1.0], [0.0, 0.0]], data)
    array([[ 0. , -1. ],
           [ 1. ,  0. ],
           [ 0.5, -0.5],
           [ 0. ,  0. ]])
    """
    W, data = _vectors_and_data(W, data, slope)
    unit = _unit_rows(W)
    pull = data.y[:, None] * data.X / data.n
    reach = ON_SURFACE * row_norms(data.X)
    D = np.empty_like(unit)
    step = max(1, BLOCK // data.n)
    for i in range(0, len(unit), step):
        z = unit[i:i + step] @ data.X.T
        D[i:i + step] = (z > 0) @ pull
        for j in np.flatnonzero(((np.abs(z) <= reach) & (reach > 0)).any(axis=1)):
            D[i + j] = _least(unit[i + j], data)
    D[~W.any(axis=1)] = 0.0
    return D


@quiet
def alignment_potential(W: ArrayLike, data: DataLike, *, slope: float = 0.0) -> np.ndarray:
    r"""The potential :math:`G_n(w) = \frac{1}{n} \sum_k y_k \max(w \cdot x_k, 0)`.

    Neurons with a positive output weight climb it early on, the others descend: in the clock
    :math:`\int a\,dt` their flow is :math:`dw/ds \in \partial G_n(w)`, and
    :math:`G_n(w) = w \cdot D_n(w, 0)`.

    Parameters
    ----------
    W : array_like, shape (m, d)
        Vectors, one a row.
    data : Data or (X, y)
        Inputs (n, d) and labels (n,).
    slope : float
        Of the activation, in place of ``max``, where its input is negative.

    Returns
    -------
    ndarray, shape (m,)
        In units of ``y x w``; homogeneous of degree 1.

    Raises
    ------
    TypeError, ValueError
        If W or data has a wrong shape, entries that are not finite real numbers, or values outside
        the range of double precision.

    References
    ----------
    Maennel, Bousquet and Gelly, "Gradient descent quantizes ReLU network features", 2018. Boursier
    and Flammarion, "Early alignment in two-layer networks training is a two-edged sword", JMLR
    2025, section 3. The ascent in the clock ``s``: derived here.

    Examples
    --------
    >>> alignment_potential([[1.0, 0.0], [-1.0, 0.5]], ([[1.0, 0.0], [1.0, 1.0]], [2.0, -1.0]))
    array([0.5, 0. ])
    """
    W, data = _vectors_and_data(W, data, slope)
    G = np.empty(len(W))
    step = max(1, BLOCK // data.n)
    for i in range(0, len(W), step):
        with np.errstate(over="ignore", invalid="ignore"):
            G[i:i + step] = np.maximum(W[i:i + step] @ data.X.T, 0.0) @ data.y / data.n
    if not np.isfinite(G).all():
        raise ValueError("W is too large for these data: G overflows, so rescale its rows")
    return G


def in_range(data: Data) -> Data:
    """The data, if double precision can hold their fields.

    Raises
    ------
    ValueError
        If all ``y_k x_k`` are so small, or one so large, that sums of them lose digits or overflow.

    Examples
    --------
    >>> in_range(Data([[1e200]], [1e-200]))
    Data(n=1, d=1)
    """
    largest = np.abs(data.X).max(axis=1)
    some = (data.y != 0) & (largest > 0)
    size = (np.log2(np.abs(data.y[some])) + np.log2(largest[some])).max(initial=-np.inf)
    if some.any() and abs(size) > LARGEST_POWER:
        raise ValueError(f"labels times points reach 1e{size * np.log10(2):.0f}, outside the range "
                         "of double precision: rescale X or y")
    return data


def leaked(data: Data, slope: float) -> Data:
    """Data on which ReLU neurons have the potential of leaky ones on ``data``: with the opposite
    of every point, see `gflow.problem.activation.Activation.mirrored`. Hyperplanes are the same.

    Examples
    --------
    >>> half = leaked(Data([[1.0]], [2.0]), 0.5)
    >>> half.X.ravel(), half.y
    (array([ 1., -1.]), array([ 4., -2.]))
    """
    slope = finite(slope, "slope")
    if slope == 1:
        raise ValueError("slope = 1 makes the network linear: give another number")
    if not slope:
        return data
    return in_range(Data(np.concatenate([data.X, -data.X]), Activation(slope).mirrored(data.y)))


def _vectors_and_data(W: ArrayLike, data: DataLike, slope: float) -> tuple[np.ndarray, Data]:
    W, data = real_array(W, "W", 2), leaked(in_range(as_data(data)), slope)
    if W.shape[1] != data.d:
        raise ValueError(f"X has {counted(data.d, 'column')} but W has {W.shape[1]}: "
                         "inputs and vectors must have the same dimension")
    return W, data


def _unit_rows(W: np.ndarray) -> np.ndarray:
    """Rows over their norms, zero rows as they are; rows of size 1e-300 keep their direction."""
    largest = np.abs(W).max(axis=1, keepdims=True, initial=0.0)
    W = W / np.where(largest > 0, largest, 1.0)
    return W / np.where(largest > 0, row_norms(W)[:, None], 1.0)


def _least(w: np.ndarray, data: Data) -> np.ndarray:
    """Element of least norm at a unit vector on some hyperplanes: a box problem over them."""
    A = data.arrangement
    z = A.normal @ w
    on_it = np.abs(z) <= ON_SURFACE
    live = A.label >= 0
    # Off, the points behind the normal are active; on, those before it.
    side = np.where(on_it, -1.0, z)[A.label[live]]
    D = (data.y[live] * (side * A.length[live] > 0)) @ data.X[live] / data.n
    jump = data.y[live] * np.abs(A.length[live]) / data.n
    J = np.bincount(A.label[live], jump, minlength=len(z))
    size = np.abs(jump).sum()
    kinks = np.flatnonzero(on_it & (np.abs(J) > ROUNDING * size))
    return np.asarray(box_least_squares(D, A.normal[kinks], J[kinks], ROUNDING * size)[1])
