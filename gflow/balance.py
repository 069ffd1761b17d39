"""The invariant of every neuron, and how a computed state is put back on it.

``a_i^2 - |w_i|^2`` never changes (Boursier and Flammarion, "Early alignment in two-layer networks
training is a two-edged sword", JMLR 2025, Lemma 1). Rounding matters where a balanced neuron
shrinks: the computed state then drifts off along the growing direction, and a wrong sign of ``a_i``
would be the end of it.
"""

from __future__ import annotations

import numpy as np

from .model import row_norms

BALANCED = 16 * float(np.finfo(float).eps)
"""Starts that are balanced up to rounding count as balanced."""


class Balance:
    """Invariants of a start, as signed lengths: ``a^2 - |w|^2 = sign * offset^2``.

    Examples
    --------
    >>> balance = Balance(np.array([0.5]), np.array([[0.3, 0.4]]))
    >>> a, W = np.array([-1.0 + 1e-9]), np.array([[0.6, 0.8]])
    >>> bool(balance.restore(a, W) < 1e-9), float(a[0])
    (True, -1.0)
    """

    def __init__(self, a: np.ndarray, W: np.ndarray) -> None:
        norms = row_norms(W)
        size = np.hypot(a, norms)
        safe = np.where(size > 0, size, 1.0)
        ratio = (np.abs(a) - norms) / safe * ((np.abs(a) + norms) / safe)
        ratio[np.abs(ratio) <= BALANCED] = 0.0
        self.sign = np.sign(ratio)
        self.offset = size * np.sqrt(np.abs(ratio))

    def restore(self, a: np.ndarray, W: np.ndarray, power: np.ndarray | int = 0) -> float:
        """Put neurons back on their invariant, in place, by a change of the larger weight.

        Parameters
        ----------
        a, W : ndarray, shapes (m,) and (m, d)
            Weights, changed in place.
        power : int or ndarray of int, shape (m,)
            The weights are in units of ``2 ** power``.

        Returns
        -------
        float
            Largest change, relative to the neuron.
        """
        norms = row_norms(W)
        outer = self.sign >= 0
        offset = np.ldexp(self.offset, -power)
        target = np.copysign(np.hypot(norms, offset), a)
        inner = np.hypot(a, offset)
        stretch = np.divide(inner, norms, out=np.ones_like(norms), where=~outer & (norms > 0))
        size = np.hypot(a, norms)
        shift = np.where(outer, np.abs(target - a), np.abs(stretch - 1) * norms)
        # What is off by rounding only keeps its bits: neurons that rest do not move at all.
        off = shift > BALANCED * size
        a[outer & off] = target[outer & off]
        W[off] *= stretch[off, None]
        return float(np.divide(shift, size, out=np.zeros_like(size), where=size > 0).max())
