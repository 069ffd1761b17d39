"""How long a window may be for neurons alone, whatever rounds can do."""

from __future__ import annotations

from typing import Callable

import numpy as np

from ...kernels.algebra import orthonormal_rows
from ...problem.norms import row_norms
from .. import rest

FADING = 0.5
"""Decay shrinks no weight by more than exp of this on a window: pulls are polynomials there. Once
outputs are rounding pulls stay, whatever it does."""
FOLDINGS = 200.0
"""Neurons grow by no more than exp of this on a window: their products must not overflow."""
FADINGS = 12.0
"""Balanced neurons that shrink for ever do so by no more than exp of this on a window. Rounding
grows by as much there: it comes to exp of twice that, 1e-6 of the neuron, before it is taken
off."""


def lasting(U: np.ndarray, power: np.ndarray, weight: np.ndarray | None, lengths: np.ndarray,
            decay: float, pull: float) -> float:
    """The longest window under decay: `FADING`, or `FOLDINGS` if outputs are rounding beside pulls
    or decay.

    Parameters
    ----------
    U, power : ndarray, shapes (m, d + 1) and (m,)
        Neurons, in units of ``2 ** power``.
    weight : ndarray, shape (n,), or None
        Curvature of the loss; None if it is 1.
    lengths : ndarray, shape (n,)
        Norms of the points.
    decay, pull : float
        What shrinks a neuron, and what turns one at most.

    Examples
    --------
    >>> U, none, one = np.array([[1.0, 1.0]]), np.zeros(1, dtype=int), np.ones(1)
    >>> lasting(U, none, None, one, 0.1, 1.0)
    5.0
    >>> lasting(U, none - 60, None, one, 0.1, 1.0)
    2000.0
    """
    square = np.ldexp(np.square(U).sum(axis=1), 2 * power).sum()
    bend = 1.0 if weight is None else float(weight.max())
    # Of what outputs do to fields: |a| |w| is at most half the square.
    own = bend * float(square) / 2 * float(lengths @ lengths) / lengths.size
    return (FOLDINGS if own <= rest.NOISE * max(pull, decay) else FADING) / decay


def fading(U: np.ndarray, side: np.ndarray, of: np.ndarray, balanced: np.ndarray,
           fields: Callable[[np.ndarray], np.ndarray], normal: np.ndarray, within: float,
           t: float) -> float:
    """The longest window on which balanced neurons that shrink stay on their invariant.

    For ever shrink those on rays: a field against w, and along it but for what hyperplanes that
    they slide on take off. One at an angle to it turns away before it has shrunk by its sine.

    Parameters
    ----------
    U : ndarray, shape (m, d + 1)
        Neurons ``(a, w)``, in any units.
    side : ndarray of int8, shape (G, C)
        Patterns.
    of : ndarray of int, shape (m,)
        Those of the neurons.
    balanced : ndarray of bool, shape (m,)
        Whether ``|a| = |w|``.
    fields : callable
        From sides (k, C) to fields (k, d).
    normal : ndarray, shape (C, d)
        Unit normals.
    within : float
        Longer windows do not matter.
    t : float
        Now: windows are no shorter than times are rounded.
    """
    i = np.flatnonzero(balanced & U[:, 1:].any(axis=1))
    # On a line a and w are rounded alike.
    if U.shape[1] == 2 or not i.size:
        return np.inf
    W, D = U[i, 1:] / row_norms(U[i, 1:])[:, None], fields(side)[of[i]]
    rates = -np.sign(U[i, 0]) * (W * D).sum(axis=1)
    rays = (side == 0).sum(axis=1)[of[i]] >= U.shape[1] - 2
    fastest = float(rates[rays].max(initial=0.0))
    others = np.flatnonzero(~rays & (rates > max(fastest, FADINGS / within)))
    for k in others[np.argsort(-rates[others])]:
        basis, _ = orthonormal_rows(np.vstack([normal[side[of[i[k]]] == 0], W[k]]))
        left = D[k] - basis.T @ (basis @ D[k])
        if np.sqrt(left @ left) <= np.exp(-FADINGS) * rates[k]:
            fastest = float(rates[k])
            break
    return max(FADINGS / fastest, 64 * float(np.spacing(t))) if fastest > 0 else np.inf
