"""The invariant of every neuron, and how a computed state is put back on it.

``a_i^2 - |w_i|^2`` never changes (Boursier and Flammarion, "Early alignment in two-layer networks
training is a two-edged sword", JMLR 2025, Lemma 1), or shrinks like ``exp(-2 lam t)`` under a
weight decay ``lam`` (`gflow.problem.setting`). Rounding matters where a balanced neuron
shrinks: the computed state then drifts off along the growing direction, and a wrong sign of ``a_i``
would be the end of it.
"""

from __future__ import annotations

import math

import numpy as np

from ..kernels.neurons import BALANCED, restore
from .norms import row_norms

LOG2 = math.log(2.0)


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

    def restore(self, a: np.ndarray, W: np.ndarray, power: np.ndarray | int = 0,
                log_left: float = 0.0) -> float:
        """Put neurons back on their invariant, in place, by a change of the larger weight.

        Parameters
        ----------
        a, W : ndarray, shapes (m,) and (m, d)
            Weights, changed in place.
        power : int or ndarray of int, shape (m,)
            The weights are in units of ``2 ** power``.
        log_left : float
            Logarithm of what decay has left of lengths.

        Returns
        -------
        float
            Largest change, relative to the neuron.
        """
        units = math.floor(log_left / LOG2)
        offset = self.offset * math.exp(log_left - units * LOG2)
        return float(restore(a, W, self.sign, np.ldexp(offset, units - power)))
