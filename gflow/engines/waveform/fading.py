"""Neurons that shrink for ever, and soon put out nothing that can be told from rounding.

A balanced neuron, ``|a| = |w|``, on a ray, where ``w = |w| e`` (it slides on d - 1 hyperplanes that
hold it there, or d = 1), has a field ``D = (D.e) e`` after projection. If that is against it, ``a
(w.D) < 0``, its equation ``a' = w.D``, ``w' = a D`` is ``u' = -|D| u``: its direction stays to the
last bit, and its size is ``exp(-int |D|)``. The propagator of its pattern has ``exp(+int |D|)``
besides, which would be all that a window sees. (Off balance nothing shrinks for ever: ``a^2 -
|w|^2`` is conserved.)

While it shrinks it adds less to outputs than now. Once that is less than the rounding of the pulls
it is left out of them, and followed by its formula alone.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial import polynomial

from ...kernels.chebyshev import nodes
from ...problem.norms import row_norms
from .guess import DEGREE

EPS = float(np.finfo(float).eps)
LOG2 = float(np.log(2.0))
MOST = 2**60
"""Exponents are followed down to some minus this: integers end soon after."""
DENSE = nodes(4 * DEGREE)
MARGIN = (1.0 / np.cos(np.pi / 8) - 1.0) / 2
"""A polynomial of degree p that is in [lo, hi] at 4 p + 1 Chebyshev nodes is above ``lo - MARGIN
(hi - lo)`` between them (Ehlich and Zeller, 1964, for its distance to the middle)."""


def shrink_for_ever(U: np.ndarray, of: np.ndarray, balanced: np.ndarray, D: np.ndarray,
                    P: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Patterns (G,) all of whose neurons shrink for ever as things are.

    Parameters
    ----------
    U : ndarray, shape (m, d + 1)
        Neurons, in any units.
    of : ndarray of int, shape (m,)
        Their patterns, or -1.
    balanced : ndarray of bool, shape (m,)
        Whether ``|a| = |w|``.
    D, P : ndarray, shapes (G, d) and (G, d, d)
        Projected fields of the patterns, and the projections.
    noise : ndarray, shape (G,)
        Rounding of the fields.

    Examples
    --------
    >>> U, of, yes = np.array([[0.5, 0.5], [0.5, -0.5]]), np.arange(2), np.ones(2, dtype=bool)
    >>> D, P = np.ones((2, 1)), np.ones((2, 1, 1))
    >>> shrink_for_ever(U, of, yes, D, P, np.zeros(2))
    array([False,  True])
    """
    inwards = balanced[of >= 0] & (U[of >= 0, 0] * np.einsum(
        "ic,ic->i", U[of >= 0, 1:], D[of[of >= 0]]) < 0)
    outwards = np.bincount(of[of >= 0][~inwards], minlength=len(D)) > 0
    return np.asarray(~outwards & (np.trace(P, axis1=1, axis2=2) < 1.5) & (row_norms(D) > noise))


def lost(field: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The integrals (G, J) of ``|D|`` from -1 to ``s`` (J,): what neurons of patterns that shrink
    lose of the logarithm of their size.

    Parameters
    ----------
    field : ndarray, shape (G, p, d)
        Fields along rays, monomial coefficients.

    Examples
    --------
    >>> lost(np.array([[[-3.0, 0.0], [1.0, 0.0]]]), np.array([-1.0, 1.0]))
    array([[0., 6.]])
    """
    return np.array([polynomial.polyval(s, polynomial.polyint(rate, lbnd=-1.0))
                     for rate in _rates(field)]).reshape(len(field), s.size)


def lowered(power: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Exponents of two where logarithms have ``lost`` so much, as far down as integers go.

    Examples
    --------
    >>> power, lost = np.array([3, 3]), np.array([1.0, 1e300])
    >>> lowered(power, lost).tolist()
    [2, -1152921504606846973]
    >>> bool(np.ldexp(mantissa(lost)[0], lowered(power, lost)[0]) == 8 * np.exp(-1.0))
    True
    """
    return np.asarray(np.maximum(power - _halvings(lost), -2 * MOST))


def mantissa(lost: np.ndarray) -> np.ndarray:
    """What `lowered` leaves of ``exp(-lost)``, in (1/2, 1]."""
    return np.asarray(np.exp((_halvings(lost) * LOG2 - lost).clip(-1.0, 0.0)))


def _halvings(lost: np.ndarray) -> np.ndarray:
    return np.asarray(np.minimum(np.floor(lost / LOG2), MOST).astype(np.int64))


def keep_shrinking(field: np.ndarray) -> bool:
    """Whether no field (G, p, d) along a ray changes its sense on [-1, 1].

    Examples
    --------
    >>> keep_shrinking(np.array([[[-3.0], [2.0]]])), keep_shrinking(np.array([[[-3.0], [4.0]]]))
    (True, False)
    """
    values = polynomial.polyval(DENSE, _rates(field).T)
    low, high = values.min(axis=-1), values.max(axis=-1)
    return bool((low > MARGIN * (high - low)).all())


def _rates(field: np.ndarray) -> np.ndarray:
    """``|D|`` (G, p) of fields along rays."""
    begin = polynomial.polyval(-1.0, field.transpose(1, 0, 2))
    size = row_norms(begin)
    return np.asarray(np.einsum("gpc,gc->gp", field,
                                begin / np.where(size > 0, size, 1.0)[:, None]))
