"""Dense output where nothing switches: the neurons at one time, and a propagator a pattern."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from ...kernels.bundles import propagate

QUADRATURE = 16
"""Nodes of the integral of the dissipation."""


@dataclass
class Stretch:
    """A stretch of time on which every neuron keeps its pattern.

    Attributes
    ----------
    U : ndarray, shape (m, d + 1)
        ``(a, w)`` of every neuron at its start, in units of ``2 ** power``.
    power : ndarray of int, shape (m,)
    of : ndarray of int, shape (m,)
        Pattern of every neuron; -1 if it does not move.
    moments : ndarray, shape (G, d + 1, d + 1)
        ``sum u u^T`` of every pattern there.
    """

    U: np.ndarray
    power: np.ndarray
    of: np.ndarray
    moments: np.ndarray

    def neurons(self, lam: np.ndarray) -> np.ndarray:
        """Neurons (m, T, d + 1) that the propagators ``lam`` (G, T, d + 1, d + 1) lead to."""
        states = np.repeat(self.U[:, None, :], lam.shape[1], axis=1)
        for g in range(lam.shape[0]):
            own = self.of == g
            states[own] = np.einsum("ib,jbc->ijc", self.U[own], lam[g])
        return states


@dataclass
class Calm:
    """A window of a stretch.

    Attributes
    ----------
    t0, t1 : float
        Ends.
    stretch : Stretch
    lam : ndarray, shape (G, d + 1, d + 1)
        Propagators from the start of the stretch to ``t0``.
    field : ndarray, shape (G, p, d)
        Fields, monomial coefficients in s on [-1, 1], per unit of s.
    accuracy : float
        Of the Taylor series.
    """

    t0: float
    t1: float
    stretch: Stretch
    lam: np.ndarray
    field: np.ndarray
    accuracy: float

    @property
    def power(self) -> np.ndarray:
        """Units of the neurons."""
        return self.stretch.power

    def propagators(self, s: np.ndarray) -> np.ndarray:
        """Propagators (G, J, d + 1, d + 1) from the start of the stretch to increasing ``s``."""
        step = np.empty((len(self.field), s.size, *self.lam.shape[1:]))
        propagate(self.field, s, self.accuracy, step)
        return self.lam[:, None] @ step

    def states(self, s: np.ndarray) -> np.ndarray:
        """Neurons (m, J, d + 1) at increasing times ``s`` in [-1, 1]."""
        return self.stretch.neurons(self.propagators(s))

    def dissipation(self, end: float) -> float:
        """Integral of ``|du/ds|^2`` over [-1, end]."""
        x, weights = legendre.leggauss(QUADRATURE)
        s = (x + 1) * (end + 1) / 2 - 1
        lam = self.propagators(s)
        N = lam.swapaxes(2, 3) @ self.stretch.moments[:, None] @ lam
        D = np.polynomial.polynomial.polyval(s, self.field.transpose(1, 0, 2))
        D = D.transpose(0, 2, 1)
        speed = (D**2).sum(axis=2) * N[:, :, 0, 0]
        speed += np.einsum("gjc,gjcb,gjb->gj", D, N[:, :, 1:, 1:], D)
        return float(speed.sum(axis=0) @ weights) * (end + 1) / 2
