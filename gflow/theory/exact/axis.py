"""Neurons that move along one axis: boosts of ``(a, p)``, and the Riccati equation of their angle.

Neurons that see the same ``D``, parallel to a fixed unit vector e, keep the part of ``w`` across e;
``a`` and ``p = w.e`` are boosted by one angle tau for all: ``a = a_0 cosh tau + p_0 sinh tau`` and
``p = a_0 sinh tau + p_0 cosh tau`` (Lorentz transformation; Boursier and Flammarion, "Early
alignment in two-layer networks training is a two-edged sword", JMLR 2025, Lemma 1, for its
invariant ``a^2 - p^2``; derived here). Where ``tau' = rate (b - mu sum a p)``, the variable
``z = exp(2 tau)`` solves a Riccati equation with constant coefficients (derived here).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


class Riccati:
    """Solution of ``z' = -A z^2 + B z + C``, ``z(0) = z0 > 0``, with ``A, C >= 0``.

    As a fraction ``num/den`` whose terms are all positive: nothing cancels, for tiny A and long
    times neither, and A = 0 is no special case.

    Examples
    --------
    >>> z = Riccati(1.0, 2.0, 0.0, 0.5)
    >>> num, den = z.fraction(np.array([0.0, 50.0]))
    >>> num / den
    array([0.5, 2. ])
    >>> bool(np.isclose(z.time(1.0), np.log(3.0) / 2))
    True
    """

    def __init__(self, A: float, B: float, C: float, z0: float) -> None:
        self.A, self.B, self.C, self.z0 = A, B, C, z0
        self.speed = float(np.hypot(B, 2 * np.sqrt(A) * np.sqrt(C)))
        """Rate of convergence to the positive root."""
        largest = self.speed + abs(B)
        self.small = 4 * A * C / largest if largest > 0 else 0.0

    def slope(self, z: float) -> float:
        """The right-hand side."""
        return (self.B - self.A * z) * z + self.C

    def fraction(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numerator and denominator of z at the times ``t`` (T,)."""
        q, one = self._decay(t)
        decaying, growing = 2 * q + self.small * one, 1 + q + abs(self.B) * one
        up, down = (growing, decaying) if self.B >= 0 else (decaying, growing)
        return self.z0 * up + 2 * self.C * one, 2 * self.A * self.z0 * one + down

    def log_slope(self, t: np.ndarray) -> np.ndarray:
        """``z'/z`` at the times ``t`` (T,), accurate relative to itself."""
        num, den = self.fraction(t)
        q, _ = self._decay(t)
        return np.asarray(4 * self.slope(self.z0) * q / num / den)

    def _decay(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``q = exp(-speed t)`` and ``(1 - q) / speed``."""
        q = np.exp(-self.speed * t)
        return q, -np.expm1(-self.speed * t) / self.speed if self.speed > 0 else t

    def time(self, z: float) -> float:
        """When z is reached; it must lie between the start and the root that z tends to."""
        A, C, start, end = self.A, self.C, self.z0, z
        if self.B < 0:
            # 1/z solves the equation with A and C exchanged and B negated.
            A, C, start, end = C, A, 1 / start, 1 / end
        step = end - start
        slow = 2 * step / (2 * C + abs(self.B) * (end + start) - 2 * A * end * start)
        x = self.speed * slow / 2
        if abs(x) < 0.5:
            return slow * (float(np.arctanh(x)) / x if x else 1.0)
        largest = self.speed + abs(self.B)
        return float(np.log1p(step * largest / (start * largest + 2 * C))
                     + np.log1p(2 * A * step / (largest - 2 * A * end))) / self.speed


class Axis:
    """Pairs (a, p) under ``tau' = rate (b - mu sum a p)``; a neuron that reaches p = 0 stays there.

    Parameters
    ----------
    a, p : array_like, shape (m,)
        Start; neurons with ``p <= 0`` are at rest.
    rate, b, mu : float
        Of the equation; ``rate`` and ``mu`` positive.

    Attributes
    ----------
    deaths : ndarray, shape (m,)
        When a neuron reaches p = 0; infinity if never, or if it was at rest.
    settled : float
        A time by which everything is close to its limit.

    Examples
    --------
    A balanced neuron follows a logistic curve:

    >>> axis = Axis([0.1], [0.1], 1.0, 1.0, 1.0)
    >>> a, p = axis(np.array([3.0]))
    >>> bool(np.isclose(a * p, 1 / (1 + 99 * np.exp(-6.0))))
    True
    """

    def __init__(self, a: ArrayLike, p: ArrayLike, rate: float, b: float, mu: float) -> None:
        self.a, self.p = np.array(a, dtype=float), np.array(p, dtype=float)
        self.rate, self.b, self.mu = rate, b, mu
        # Boosted by exp(tau) and exp(-tau); a pair reaches p = 0 where z is their ratio.
        self.plus, self.minus = self.a + self.p, self.a - self.p
        self.deaths = np.full(self.a.size, np.inf)
        self.stages: list[tuple[float, np.ndarray, Riccati]] = []
        alive = self.p > 0
        t, z = 0.0, 1.0
        while alive.any():
            stage = self._stage(alive, z)
            self.stages.append((t, alive.copy(), stage))
            heading = np.sign(stage.slope(z))
            ratio = np.full(self.a.size, np.nan)
            np.divide(self.minus, self.plus, out=ratio, where=alive & (self.plus != 0))
            ahead = alive & (ratio > 0) & (heading * (ratio - z) >= 0)
            if heading == 0 or not ahead.any():
                break
            z = heading * (heading * ratio[ahead]).min()
            if heading * stage.slope(z) <= 0:
                break
            t += stage.time(z)
            reached = ahead & (ratio == z)
            self.deaths[reached] = t
            alive &= ~reached
        start, _, last = self.stages[-1] if self.stages else (0.0, alive, None)
        self.settled = start + settling(last) if last and alive.any() else 1.5 * t or 1.0

    def _stage(self, alive: np.ndarray, z: float) -> Riccati:
        k = self.rate * self.mu / 2
        return Riccati(k * float((self.plus[alive]**2).sum()), 2 * self.rate * self.b,
                       k * float((self.minus[alive]**2).sum()), z)

    def __call__(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights a and p, each (T, m), at the times ``t`` (T,)."""
        a, p = np.tile(self.a, (t.size, 1)), np.tile(self.p, (t.size, 1))
        for here, late, alive, stage in self._split(t):
            num, den = stage.fraction(late)
            # A vanishing factor stays zero where the other one overflows.
            with np.errstate(divide="ignore", invalid="ignore"):
                grown = np.where(self.plus == 0, 0.0, np.sqrt(num / den)[:, None] * self.plus / 2)
                shrunk = np.where(self.minus == 0, 0.0,
                                  np.sqrt(den / num)[:, None] * self.minus / 2)
            a[here] = np.where(alive, grown + shrunk, a[here])
            p[here] = np.where(alive, grown - shrunk, p[here])
        dead = t[:, None] >= self.deaths
        rest = np.copysign(np.sqrt(np.abs(self.plus)) * np.sqrt(np.abs(self.minus)), self.a)
        return np.where(dead, rest, a), np.where(dead, 0.0, p)

    def gap(self, t: np.ndarray) -> np.ndarray:
        """``b - mu sum a p`` (T,) at the times ``t`` (T,), accurate relative to itself."""
        gap = np.full(t.size, float(self.b))
        for here, late, alive, stage in self._split(t):
            gap[here] = stage.log_slope(late) / (2 * self.rate)
        if np.isfinite(self.deaths).sum() == (self.p > 0).sum():
            gap[t >= self.deaths[np.isfinite(self.deaths)].max(initial=0.0)] = self.b
        return gap

    def time(self, p: float) -> float:
        """When the first neuron, alive, reaches ``p``; infinity if it does not before a death."""
        _, _, stage = self.stages[0]
        z = float(stretch(self.a[0], self.p[0], p))**2
        heading = stage.slope(1.0)
        if heading * (z - 1.0) < 0 or heading * stage.slope(z) <= 0:
            return np.inf
        t = stage.time(z)
        return t if t <= self.deaths.min() else np.inf

    def _split(self, t: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, Riccati]]:
        """Per stage: which times are in it, these since its start, who lives, the equation."""
        ends = [start for start, *_ in self.stages[1:]] + [np.inf]
        return [(here, t[here] - start, alive, stage)
                for (start, alive, stage), end in zip(self.stages, ends)
                if (here := (t >= start) & (t <= end)).any()]


def settling(stage: Riccati) -> float:
    """Time of growth to the limit and twelve e-foldings beyond."""
    if stage.speed == 0:
        return 1.0
    above = stage.A if stage.B >= 0 else stage.C
    # The positive root, or its inverse; without it z grows or decays for ever.
    limit = (stage.speed + abs(stage.B)) / (2 * above) if above > 0 else 1.0
    return float(abs(np.log(limit)) + 12.0) / stage.speed


def stretch(a: np.ndarray | float, q: np.ndarray | float,
            target: np.ndarray | float) -> np.ndarray:
    """``exp(tau)`` of the boost that takes ``p`` from ``q`` to ``target``; needs ``a + q > 0``.

    Solves ``(a + q) X^2 / 2 - target X - (a - q) / 2 = 0``; the larger root, which is the one
    that continues X = 1, if ``a > 0``.

    Examples
    --------
    >>> bool(np.isclose(stretch(1.0, 0.0, np.sinh(2.0)), np.exp(2.0)))
    True
    """
    root = np.sqrt(np.maximum(target**2 + (a + q) * (a - q), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(target >= 0, (target + root) / (a + q), (a - q) / (root - target))
