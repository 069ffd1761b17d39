"""The alignment potential as a sum of kinks, in coordinates of what they span."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..problem.data import Data
from ..kernels.filippov import ROUNDING
from .fans import SAME, span


@dataclass(frozen=True, eq=False)
class Kinks:
    r"""The potential over ``size``: a linear function and one kink a hyperplane.

    The field is the sum of ``rest``, ``aside`` and, for each hyperplane, its normal ``v_c`` times
    ``low_c`` where ``v_c.w < 0`` and ``low_c + J_c`` where ``v_c.w > 0``. Points on one line are a
    single kink, with jump :math:`J_c = (1/n) \sum_k y_k |x_k|` over them. Kinks whose jump cancels,
    and labels 0, leave no hyperplane. (Derived here.)

    Attributes
    ----------
    V : ndarray, shape (C, r)
        Unit normals, in coordinates of their span.
    J, low : ndarray, shape (C,)
        Jumps, none of them zero, and the part of the field along the normal before them.
    rest : ndarray, shape (r,)
        Constant part of the field within the span.
    aside : ndarray, shape (d,)
        Constant part of the field orthogonal to the span, where the potential is linear.
    span : ndarray, shape (r, d)
        Orthonormal basis of the span; the identity if the normals span everything.
    plane : ndarray of intp, shape (C,)
        Class of each kink in ``data.arrangement``.
    size : float
        Sum of the norms of all terms of the field, the unit of the others.
    noise : float
        Error of ``rest``, beyond rounding.
    doubtful : bool
        Whether the normals are dependent to about `SAME`, but not to rounding.
    """

    V: np.ndarray
    J: np.ndarray
    low: np.ndarray
    rest: np.ndarray
    aside: np.ndarray
    span: np.ndarray
    plane: np.ndarray
    size: float
    noise: float = 0.0
    doubtful: bool = False

    @property
    def m(self) -> np.ndarray:
        """Field midway on all hyperplanes, without what is aside, shape (r,)."""
        return np.asarray(self.rest + (self.low + self.J / 2) @ self.V)

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
    >>> kinks.V, kinks.J, kinks.low, kinks.rest, kinks.aside, round(kinks.size, 3)
    (array([[1.]]), array([0.6]), array([0.]), array([0.]), array([0. , 0.2]), 3.333)
    """
    A = data.arrangement
    live = A.label >= 0
    label, terms = A.label[live], data.y[live] * A.length[live] / data.n
    size = float(np.abs(terms).sum())
    terms /= size if size > 0 else 1.0

    def add(what: np.ndarray) -> np.ndarray:
        return np.bincount(label, what, minlength=len(A.normal))

    J, low = add(np.abs(terms) * np.sign(data.y[live])), add(terms * (A.length[live] < 0))
    # Labels that should be zero, and cancel but for rounding.
    low[np.abs(low) <= ROUNDING] = 0.0
    J = np.where(np.abs(low + J) <= ROUNDING, -low, J)
    kink = np.abs(J) > ROUNDING
    V, rest = A.normal[kink], low[~kink] @ A.normal[~kink]
    basis, _ = span(V)
    sizes = np.linalg.svd(V, compute_uv=False) if V.size else np.empty(0)
    doubtful = bool(((sizes > ROUNDING * np.sqrt(len(V))) & (sizes <= 10 * SAME)).any())
    if len(basis) == data.d:
        basis = np.eye(data.d)
    else:
        V = V @ basis.T
        V /= np.linalg.norm(V, axis=1)[:, None]
    inside = basis @ rest
    aside = rest - inside @ basis
    if np.linalg.norm(aside) <= 4 * ROUNDING * np.abs(low[~kink]).sum():
        aside = np.zeros(data.d)
    return Kinks(np.ascontiguousarray(V), J[kink], low[kink], inside, aside, basis,
                 np.flatnonzero(kink), size, doubtful=doubtful)
