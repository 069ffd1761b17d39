"""Dense output where nothing switches: the neurons at one time, and a propagator a pattern."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field as of_class

import numpy as np
from numpy.polynomial import legendre

from ...kernels.bundles import propagate
from .fading import lost, lowered, mantissa

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
    t0 : float
        When that is.
    """

    U: np.ndarray
    power: np.ndarray
    of: np.ndarray
    moments: np.ndarray
    t0: float = 0.0

    def neurons(self, lam: np.ndarray, left: np.ndarray | None = None) -> np.ndarray:
        """Neurons (m, T, d + 1) that the propagators ``lam`` (G, T, d + 1, d + 1) lead to; decay
        has ``left`` (T,) of those that do not move else."""
        states = np.repeat(self.U[:, None, :], lam.shape[1], axis=1)
        if left is not None:
            states *= left[None, :, None]
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
    decay : float
        Weight decay, which ``field`` knows nothing of.
    lost : ndarray, shape (G,)
        Of patterns whose neurons only shrink (`fading`): what the logarithm of their size has lost
        from the start of the stretch to ``t0``, which ``lam`` knows nothing of. NaN for others;
        empty if there are none.
    held : bool
        Whether this is a rest under decay, see `standstill`: what it does is said by the rest.
    """

    t0: float
    t1: float
    stretch: Stretch
    lam: np.ndarray
    field: np.ndarray
    accuracy: float
    decay: float = 0.0
    lost: np.ndarray = of_class(default_factory=lambda: np.empty(0))
    held: bool = False

    def powers(self, s: np.ndarray) -> np.ndarray:
        """Units (J, m) of the neurons that `states` gives."""
        power = np.tile(self.stretch.power, (s.size, 1))
        for g, lost in self._lost(s):
            own = self.stretch.of == g
            power[:, own] = lowered(power[:, own], lost[:, None])
        return power

    def _lost(self, s: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Patterns whose neurons only shrink, and what they have lost at ``s`` (J,)."""
        for g in np.flatnonzero(self.lost >= 0.0):
            yield int(g), self.lost[g] + lost(self.field[g:g + 1], s)[0]

    def propagators(self, s: np.ndarray) -> np.ndarray:
        """Propagators (G, J, d + 1, d + 1) from the start of the stretch to increasing ``s``, but
        for what is ``lost``."""
        step = np.empty((len(self.field), s.size, *self.lam.shape[1:]))
        field = self.field
        if self.lost.size:
            field = np.where((self.lost >= 0.0)[:, None, None], 0.0, field)
        propagate(field, s, self.accuracy, step)
        lam = self.lam[:, None] @ step
        return lam * self._left(s, self.t0)[:, None, None] if self.decay else lam

    def _left(self, s: np.ndarray, since: float) -> np.ndarray:
        """What decay leaves at ``s`` (J,) of weights of the time ``since``."""
        t = self.t0 - since + (s + 1) / 2 * (self.t1 - self.t0)
        return np.asarray(np.exp(-self.decay * t))

    def states(self, s: np.ndarray) -> np.ndarray:
        """Neurons (m, J, d + 1) at increasing times ``s`` in [-1, 1], in units of `powers`."""
        left = self._left(s, self.stretch.t0) if self.decay else None
        states = self.stretch.neurons(self.propagators(s), left)
        for g, lost in self._lost(s):
            states[self.stretch.of == g] *= mantissa(lost)[:, None]
        return states

    def dissipation(self, end: float) -> float:
        """Integral of ``|du/ds|^2`` over [-1, end]."""
        x, weights = legendre.leggauss(QUADRATURE)
        s = (x + 1) * (end + 1) / 2 - 1
        lam = self.propagators(s)
        for g, lost in self._lost(s):
            lam[g] *= np.exp(-lost)[:, None, None]
        N = lam.swapaxes(2, 3) @ self.stretch.moments[:, None] @ lam
        D = np.polynomial.polynomial.polyval(s, self.field.transpose(1, 0, 2))
        D = D.transpose(0, 2, 1)
        # Late on neurons that only shrink: squares of fields overflow where nothing is left of N,
        # and rounding may be below 0.
        size = np.sqrt(np.maximum(np.trace(N, axis1=2, axis2=3), 0.0))[:, :, None]
        part, own = D * size, N / np.where(size > 0.0, size, 1.0)[:, :, :, None]**2
        speed = (part**2).sum(axis=2) * own[:, :, 0, 0]
        speed += np.einsum("gjc,gjcb,gjb->gj", part, own[:, :, 1:, 1:], part)
        if self.decay:
            # |u' - k u|^2 with u.u' = 2 a w.D; and those that only decay.
            k = self.decay * (self.t1 - self.t0) / 2
            speed += k * (k * np.trace(N, axis1=2, axis2=3)
                          - 4 * np.einsum("gjc,gjc->gj", D, N[:, :, 0, 1:]))
            still = np.ldexp(self.stretch.U, self.stretch.power[:, None])[self.stretch.of < 0]
            rest = float((still**2).sum()) * (k * self._left(s, self.stretch.t0))**2
            speed = np.concatenate([speed, rest[None]])
        return float(speed.sum(axis=0) @ weights) * (end + 1) / 2
