"""The alignment potential as a sum of kinks, in coordinates of what they span."""

from __future__ import annotations

import numpy as np

from ..data import Data
from ..kernels.modes import ROUNDING

SAME_SPAN = 1e-10
"""Singular values of unit normals below this are rank lost to rounding."""


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

    Examples
    --------
    >>> kinks = Kinks(Data([[3.0, 0.0], [0.0, 2.0], [0.0, -2.0]], [2.0, 1.0, -1.0]))
    >>> kinks.V, kinks.J, kinks.m, kinks.aside, round(kinks.size, 3)
    (array([[1.]]), array([0.6]), array([0.3]), array([0. , 0.2]), 3.333)
    """

    def __init__(self, data: Data) -> None:
        A = data.arrangement
        live = A.label >= 0
        terms = data.y[live] * A.length[live] / data.n
        self.size = float(np.abs(terms).sum())
        terms /= self.size if self.size > 0 else 1.0
        J = np.bincount(A.label[live], np.abs(terms) * np.sign(data.y[live]),
                        minlength=len(A.normal))
        half = np.bincount(A.label[live], terms, minlength=len(A.normal)) / 2
        self.plane = np.flatnonzero(np.abs(J) > ROUNDING)
        self.J = J[self.plane]
        normal, m = A.normal[self.plane], half @ A.normal
        self.span = np.eye(data.d)
        if len(self.plane) == 0:
            self.span = self.span[:0]
        else:
            _, sizes, rows = np.linalg.svd(normal, full_matrices=False)
            rank = int((sizes > SAME_SPAN * sizes[0]).sum())
            if rank < data.d:
                self.span = rows[:rank]
                normal = normal @ self.span.T
                normal /= np.linalg.norm(normal, axis=1)[:, None]
        self.V = np.ascontiguousarray(normal.reshape(len(self.plane), len(self.span)))
        self.m = self.span @ m
        self.aside = m - self.m @ self.span
        if np.linalg.norm(self.aside) <= 10 * ROUNDING:
            self.aside = np.zeros(data.d)

    @property
    def rank(self) -> int:
        """Dimension of the span of the normals."""
        return len(self.span)
