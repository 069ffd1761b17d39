"""How the outputs answer to the residuals, to first order: what speeds up the rounds.

On a window with frozen patterns and weights ``dh/dt = K r / n`` with the neural tangent kernel
``K_kl = sum_i 1_ik 1_il (a_i^2 x_k.x_l + (w_i.x_k)(w_i.x_l))`` (Jacot, Gabriel and Hongler, "Neural
tangent kernel", 2018), so that an error of the residuals is nearly known from the error that a
round leaves (waveform Newton: Saleh, White, "Accelerating relaxation algorithms for circuit
simulation using waveform-Newton", 1990).
"""

from __future__ import annotations

from copy import copy
from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev

from ..data import Data
from ..kernels.roots import nodes, to_series

SHARE = 1e-3
"""Patterns that make up less than this part of the kernel are left out."""
MOST = 100
"""Most patterns that are taken in."""
TERMS = 12
"""Most terms of the Neumann series."""
ENOUGH = 1e-2
"""Relative error of the solution: the kernel is not known better."""
DIVERGED = 0.1
"""With a larger one there is no solution worth having."""


@lru_cache(maxsize=None)
def integration(degree: int) -> np.ndarray:
    """Matrix from values at the Chebyshev nodes to integrals from -1 up to each node."""
    s = nodes(degree)
    columns = [chebyshev.chebval(s, chebyshev.chebint(row, lbnd=-1)) for row in np.eye(degree + 1)]
    return np.array(columns).T @ to_series(degree)


class Tangent:
    """The tangent kernel of a window.

    Parameters
    ----------
    data : Data
    moments : ndarray, shape (G, d + 1, d + 1)
        ``sum u u^T`` over the neurons ``u = (a, w)`` of every pattern.
    side : ndarray of int8, shape (G, C)
        The patterns.
    length : float
        Length of the window.
    """

    def __init__(self, data: Data, moments: np.ndarray, side: np.ndarray,
                 length: float) -> None:
        A, d = data.arrangement, data.d
        mass = moments[:, 0, 0] * d + np.trace(moments[:, 1:, 1:], axis1=1, axis2=2)
        order = np.argsort(-mass)
        share = np.cumsum(mass[order])
        heavy = order[:min(MOST, int(np.searchsorted(share, (1 - SHARE) * share[-1])) + 1)]
        side = side[heavy]
        project = np.broadcast_to(np.eye(d), (heavy.size, d, d)).copy()
        slides = (side == 0).sum(axis=1)
        single = np.flatnonzero(slides == 1)
        v = A.normal[(side[single] == 0).argmax(axis=1)] if single.size else np.empty((0, d))
        project[single] -= v[:, :, None] * v[:, None, :]
        for g in np.flatnonzero(slides > 1):
            V = A.normal[side[g] == 0]
            project[g] -= np.linalg.pinv(V) @ V
        kernel = moments[heavy, 0, 0, None, None] * project + moments[heavy, 1:, 1:]
        values, vectors = np.linalg.eigh(kernel)
        root = vectors * np.sqrt(np.maximum(values, 0.0) * length / (2 * data.n))[:, None, :]
        live = A.label >= 0
        on = np.zeros((heavy.size, data.n))
        on[:, live] = side[:, A.label[live]] * A.length[live] > 0
        features = on[:, :, None] * (data.X @ root)
        self.features = features.transpose(1, 0, 2).reshape(data.n, -1)
        self.length = length

    def scaled(self, length: float) -> Tangent:
        """The same for a window of another length."""
        other = copy(self)
        other.features = self.features * np.sqrt(length / self.length)
        other.length = length
        return other

    @property
    def strength(self) -> float:
        """A bound on the answer to a residual of size one."""
        return 2 * float((self.features**2).sum())

    def pull(self, r: np.ndarray) -> np.ndarray:
        """Rates (p, n) of the outputs, per unit of s, under residuals (p, n)."""
        return (r @ self.features) @ self.features.T


def answer(r: np.ndarray, first: Tangent, last: Tangent | None = None) -> np.ndarray:
    """Outputs (p, n) that residuals (p, n) add on a window.

    The kernel is that of the start, or goes from ``first`` to ``last`` linearly.
    """
    rate = first.pull(r)
    if last is not None:
        part = (nodes(len(r) - 1)[:, None] + 1) / 2
        rate += part * (last.pull(r) - rate)
    return integration(len(r) - 1) @ rate


def solve(defect: np.ndarray, first: Tangent, last: Tangent | None = None) -> np.ndarray:
    """The change (p, n) of the residuals that takes a ``defect`` away, by a Neumann series."""
    total, term = defect.copy(), defect
    size = float(np.abs(defect).max())
    for _ in range(TERMS):
        term = -answer(term, first, last)
        total += term
        left = float(np.abs(term).max())
        if left <= ENOUGH * size:
            return total
    return total if left <= DIVERGED * size else defect
