"""The alignment potential as a sum of kinks, in coordinates of what they span."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data import Data
from ..kernels.modes import ROUNDING
from .fans import span


@dataclass(frozen=True, eq=False)
class Kinks:
    r"""The potential over ``size``: :math:`G(w) = m \cdot w + \frac12 \sum_c J_c |v_c \cdot w|`.

    One term a hyperplane: points on one line are a single kink, whose jump is
    :math:`J_c = (1/n) \sum_k y_k |x_k|` over them, and ``m = (1/2n) sum_k y_k x_k``. Kinks whose
    jump cancels, and labels 0, leave no trace but in ``m``. The field is
    :math:`D(w) = m + \frac12 \sum_c \mathrm{sign}(v_c \cdot w) J_c v_c`. (Derived here.)

    Attributes
    ----------
    V : ndarray, shape (C, r)
        Unit normals, in coordinates of their span.
    J : ndarray, shape (C,)
        Jumps, none of them zero.
    m : ndarray, shape (r,)
        Constant part of the field within the span.
    aside : ndarray, shape (d,)
        Constant part of the field orthogonal to the span, where G is linear.
    span : ndarray, shape (r, d)
        Orthonormal basis of the span; the identity if the normals span everything.
    plane : ndarray of intp, shape (C,)
        Class of each kink in ``data.arrangement``.
    size : float
        Sum of the norms of all terms of the field, the unit of the others.
    """

    V: np.ndarray
    J: np.ndarray
    m: np.ndarray
    aside: np.ndarray
    span: np.ndarray
    plane: np.ndarray
    size: float

    @property
    def rank(self) -> int:
        """Dimension of the span of the normals."""
        return len(self.span)

    @property
    def dimension(self) -> int:
        """Dimension of the space in which the potential is not constant."""
        return self.rank + bool(self.aside.any())


def kinks_of(data: Data) -> Kinks:
    """The potential of a data set.

    Examples
    --------
    >>> kinks = kinks_of(Data([[3.0, 0.0], [0.0, 2.0], [0.0, -2.0]], [2.0, 1.0, -1.0]))
    >>> kinks.V, kinks.J, kinks.m, kinks.aside, round(kinks.size, 3)
    (array([[1.]]), array([0.6]), array([0.3]), array([0. , 0.2]), 3.333)
    """
    A = data.arrangement
    live = A.label >= 0
    terms = data.y[live] * A.length[live] / data.n
    size = float(np.abs(terms).sum())
    terms /= size if size > 0 else 1.0
    J = np.bincount(A.label[live], np.abs(terms) * np.sign(data.y[live]), minlength=len(A.normal))
    half = np.bincount(A.label[live], terms, minlength=len(A.normal)) / 2
    plane = np.flatnonzero(np.abs(J) > ROUNDING)
    V, m = A.normal[plane], half @ A.normal
    basis, _ = span(V)
    if len(basis) == data.d:
        basis = np.eye(data.d)
    else:
        V = V @ basis.T
        V /= np.linalg.norm(V, axis=1)[:, None]
    inside = basis @ m
    aside = m - inside @ basis
    if np.linalg.norm(aside) <= 10 * ROUNDING:
        aside = np.zeros(data.d)
    return Kinks(np.ascontiguousarray(V), J[plane], inside, aside, basis, plane, size)
