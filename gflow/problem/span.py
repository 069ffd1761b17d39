r"""Coordinates of the span of the points: all that a network learns happens there.

Weights move by :math:`a_i D_i`, and a field :math:`D_i` is a combination of points. So what a
weight has across the span of the points is constant for ever, and no point sees it. With an
orthonormal basis B (r, d) of the span, ``w_i = v_i B + rho_i e_i`` with a unit vector ``e_i``
across: the network ``(a_i, v_i, rho_i)`` on the points ``(B x_k, 0)`` is the same one, turned. Its
norms and invariants, angles and patterns are those of the original.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from .data import Arrangement, Data
from .norms import row_norms, unit_rows

SAME = 8 * float(np.finfo(float).eps)
"""Unit vectors of all points are in the span but for this. Smaller: rounding counts as a direction,
which costs time. Larger: a direction that points do have is lost."""
EXTREME = 2.0 ** -20
"""A weight whose entries meet the columns of the points at less than this part of what their sizes
allow stays as it is: turned, its small products would drown in the rounding of large ones."""


@dataclass(frozen=True, eq=False)
class Span:
    """A start, seen from the span of the points.

    Attributes
    ----------
    basis : ndarray, shape (r, d)
        Orthonormal rows.
    W : ndarray, shape (m, d)
        Hidden weights of the start.
    V : ndarray, shape (m, r + 1)
        The same in coordinates of the span, and the length of what is across it.
    rest : ndarray, shape (m, d)
        What is across.

    Examples
    --------
    >>> data = Data([[3.0, 4.0, 0.0, 0.0]], [1.0])
    >>> span = Span.of(data, np.array([[3.0, 4.0, 0.0, 2.0]]))
    >>> span.basis.shape, abs(span.V).round(12), span.data(data).d
    ((1, 4), array([[5., 2.]]), 2)
    >>> abs(span.weights(np.array([[0.0, 2.0]]))).round(12)
    array([[0., 0., 0., 2.]])
    """

    basis: np.ndarray
    W: np.ndarray
    V: np.ndarray
    rest: np.ndarray

    @classmethod
    def of(cls, data: Data, W: np.ndarray) -> Span | None:
        """The span of the points of ``data``, and a start ``W`` (m, d) in it; None if it saves no
        dimension."""
        normal = data.arrangement.normal
        size = np.abs(normal).max(axis=0, initial=0.0)
        met = (np.abs(W) * size).max(axis=1)
        if ((met > 0) & (met < EXTREME * np.abs(W).max(axis=1) * size.max())).any():
            return None
        basis = _basis(normal)
        return None if basis is None else cls.on(basis, W)

    @classmethod
    def on(cls, basis: np.ndarray, W: np.ndarray) -> Span:
        """The start ``W`` (m, d) seen from the span of the rows of ``basis`` (r, d)."""
        power = np.frexp(np.abs(W).max(axis=1, keepdims=True))[1]
        start = np.ldexp(W, -power)
        V = start @ basis.T
        rest = start - V @ basis
        # Once more: what is left of the span in the rest would be seen by points.
        more = rest @ basis.T
        V, rest = V + more, rest - more @ basis
        # What is left of nothing is rounding.
        least = 2 * SAME * row_norms(start)
        V[row_norms(V) <= least] = 0.0
        rest[row_norms(rest) <= least] = 0.0
        size = row_norms(rest)
        return cls(basis, W, np.ldexp(np.column_stack([V, size]), power), np.ldexp(rest, power))

    def data(self, data: Data) -> Data:
        """The data in these coordinates; hyperplanes keep their points, numbers and sides."""
        A = data.arrangement
        normal = np.column_stack([unit_rows(A.normal @ self.basis.T), np.zeros(len(A.normal))])
        X = np.zeros((data.n, normal.shape[1]))
        live = A.label >= 0
        X[live] = A.length[live, None] * normal[A.label[live]]
        inside = Data(X, data.y)
        # Found anew, points on one line might come apart by rounding.
        vars(inside)["arrangement"] = Arrangement(normal, *A[1:])
        return inside

    def fields(self, V: np.ndarray) -> np.ndarray:
        """Vectors (..., d) of the span from their coordinates (..., r + 1)."""
        r, d = self.basis.shape
        flat = np.ascontiguousarray(V[..., :r]).reshape(-1, r) @ self.basis
        return np.asarray(flat.reshape(*V.shape[:-1], d))

    def weights(self, V: np.ndarray, power: np.ndarray | int = 0) -> np.ndarray:
        """Hidden weights (..., m, d) from coordinates (..., m, r + 1), which are in units of
        ``2 ** power`` (..., m) of those of the start. Where nothing has moved since the start, the
        weights are those of the start to the last bit."""
        power = np.broadcast_to(power, V.shape[:-1])
        W = self.fields(V)
        # The length across is as at the start, but for the unit.
        length = self.V[:, -1]
        W += (V[..., -1] / np.where(length > 0, length, 1.0))[..., None] * self.rest
        still = np.nonzero((V == np.ldexp(self.V, -power[..., None])).all(axis=-1))
        W[still] = np.ldexp(self.W[still[-1]], -power[still][:, None])
        return W


def _basis(normal: np.ndarray) -> np.ndarray | None:
    """Orthonormal rows (r, d) that span the unit vectors ``normal`` (C, d), if r + 1 < d."""
    C, d = normal.shape
    live = np.flatnonzero(normal.any(axis=0))
    if not C or d < 3:
        return None
    few = max(1, C // (2 * d))
    if C >= d and few > 1 and _factors(normal[::few, live])[1] + 1 >= d:
        return None
    Q, rank = _factors(normal[:, live])
    if rank + 1 >= d:
        return None
    basis = np.zeros((rank, d))
    # Columns of zeros may simply be left out, to the last bit.
    basis[:, live] = Q[:, :rank].T if rank < live.size else np.eye(rank)
    return basis


def _factors(normal: np.ndarray) -> tuple[np.ndarray, int]:
    """Orthonormal columns, of which so many span the rows of ``normal``.

    Householder's QR with pivots: the next pivot is the largest distance of a row to the span of
    those taken so far, so that it alone tells when all of them are in it.
    """
    Q, R, _ = scipy.linalg.qr(normal.T, mode="economic", pivoting=True, check_finite=False)
    small = np.abs(np.diag(R)) <= SAME
    return Q, int(np.argmax(small)) if small.any() else small.size
