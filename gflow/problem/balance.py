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
NOTHING = -1e9
"""What decay has left of a length that is 0 in any units that weights are in; its powers of 2 are
within C's integers."""


class Balance:
    """Invariants of a start, as signed lengths: ``a^2 - |w|^2 = sign * offset^2``.

    Parameters
    ----------
    a, W : ndarray, shapes (m,) and (m, d)
        Weights of the start.
    moves : ndarray of bool, shape (d,), optional
        Entries of ``w`` that move: the others, where all points are 0, are constant, and left out
        of ``|w|``.

    Examples
    --------
    >>> balance = Balance(np.array([0.5]), np.array([[0.3, 0.4]]))
    >>> a, W = np.array([-1.0 + 1e-9]), np.array([[0.6, 0.8]])
    >>> bool(balance.restore(a, W) < 1e-9), float(a[0])
    (True, -1.0)
    """

    def __init__(self, a: np.ndarray, W: np.ndarray, moves: np.ndarray | None = None) -> None:
        size = np.hypot(a, row_norms(W))
        self.moves = None if moves is None or moves.all() else moves
        ratio = _ratio(a, W, size)
        balanced = np.abs(ratio) <= BALANCED
        ratio[balanced] = 0.0
        if self.moves is not None:
            fixed = row_norms(W[:, ~self.moves]) / np.where(size > 0, size, 1.0)
            ratio = _ratio(a, W[:, self.moves], size)
            ratio[np.abs(ratio) <= BALANCED] = 0.0
            # Where a^2 = |w|^2 nothing is lost to cancelling.
            ratio[balanced] = fixed[balanced]**2
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
        log_left = max(log_left, NOTHING)
        units = math.floor(log_left / LOG2)
        offset = np.ldexp(self.offset * math.exp(log_left - units * LOG2), units - power)
        if self.moves is None:
            return float(restore(a, W, self.sign, offset))
        part = np.ascontiguousarray(W[:, self.moves])
        shift = float(restore(a, part, self.sign, offset))
        W[:, self.moves] = part
        return shift


def _ratio(a: np.ndarray, W: np.ndarray, size: np.ndarray) -> np.ndarray:
    """``(a^2 - |w|^2) / size^2``, 0 where the size is."""
    norms = row_norms(W) if W.shape[1] else np.zeros(len(W))
    safe = np.where(size > 0, size, 1.0)
    return np.asarray((np.abs(a) - norms) / safe * ((np.abs(a) + norms) / safe))
