r"""What a flow has besides its loss: speeds of the layers, and weight decay.

.. math::

    \dot a_i = \epsilon_a (w_i \cdot D_i - \lambda_a a_i), \quad
    \dot w_i = \epsilon_w (a_i D_i - \Lambda w_i), \quad \Lambda = \mathrm{diag}(\lambda_w, ...,
    \lambda_w, \lambda_b),

the gradient flow, with these speeds, of the objective :math:`L + \frac12 \sum_i (\lambda_a a_i^2 +
w_i \cdot \Lambda w_i)`. Without decay :math:`\epsilon_w a_i a_j - \epsilon_a w_i \cdot w_j` is
conserved while neurons i and j share their pattern, for i = j always: differentiate and the terms
with ``D`` cancel. With one decay ``lam`` and speeds 1 the equation of a neuron is ``u' = (M -
lam) u``, so that these shrink by ``exp(-2 lam t)``. Boursier, Pesme and Dragomir, "A theoretical
framework for grokking: interpolation followed by Riemannian norm minimisation", 2025 (decay).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from .checks import non_negative
from .words import short

DecayLike: TypeAlias = float | tuple[float, ...]
"""One decay for all weights; or those of output and hidden weights, and of biases."""
ROUNDING = 8 * float(np.finfo(float).eps)
"""Decays of layers that differ by no more, relative to them, are one."""


@dataclass(frozen=True)
class Setting:
    """Speeds and decays of output and hidden weights.

    Attributes
    ----------
    rates : pair of float
        Speeds of output and hidden weights; one of them may be 0, and the first one infinite:
        output weights are optimal at every time then, and nothing decays.
    decay : three floats
        Of output weights, of hidden weights, and of the last hidden weight, the bias.

    Examples
    --------
    >>> setting = Setting(decay=(0.1, 0.1, 0.0))
    >>> setting.shrinking(1, 2), setting.uniform is None
    (array([0.1, 0.1, 0. ]), True)
    >>> setting.penalty(np.array([2.0]), np.array([[4.0, 9.0]]))
    1.0
    """

    rates: tuple[float, float] = (1.0, 1.0)
    decay: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def decays(self) -> bool:
        """Whether any weight decays."""
        return any(self.decay)

    @property
    def uniform(self) -> float | None:
        """By how much all weights decay, per unit of time; None if they differ."""
        if self.two_times:
            return 0.0
        output, hidden, bias = self.decay
        shrinks = [output * self.rates[0], hidden * self.rates[1], bias * self.rates[1]]
        # What a user divides by a speed comes back with its rounding.
        alike = max(shrinks) - min(shrinks) <= ROUNDING * max(shrinks)
        return shrinks[0] if alike else None

    @property
    def isotropic(self) -> bool:
        """Whether hidden weights decay alike, in whatever coordinates."""
        return self.decay[1] == self.decay[2]

    @property
    def two_times(self) -> bool:
        """Whether output weights are optimal at every time."""
        return self.rates[0] == np.inf

    @property
    def moves(self) -> tuple[bool, bool]:
        """Whether output and hidden weights move."""
        return self.rates[0] > 0, self.rates[1] > 0

    def slower(self, exponent: int) -> Setting:
        """The same where a unit of time is 2 to the power ``exponent`` of them."""
        output, hidden, bias = (math.ldexp(part, exponent) for part in self.decay)
        return replace(self, decay=(output, hidden, bias))

    def inside(self, pace: float) -> Setting:
        """The same for speeds 1 or 0, in a time that runs ``pace`` times as fast: see `Rates`."""
        if self.two_times:
            return Setting()
        (output, hidden), (one, other, bias), alike = self.rates, self.decay, self.uniform
        return Setting((float(output > 0), float(hidden > 0)), (alike / pace,) * 3
                       if alike is not None else
                       (one * output / pace, other * hidden / pace, bias * hidden / pace))

    def shrinking(self, m: int, d: int) -> np.ndarray:
        """Decay of every entry of a flat state ``[a (m), W (m d)]``."""
        output, hidden, bias = self.decay
        return np.concatenate([np.full(m, output),
                               np.tile(np.append(np.full(d - 1, hidden), bias), m)])

    def penalty(self, a: np.ndarray, W: np.ndarray) -> float:
        """What the objective is more than the loss."""
        if not self.decays:
            return 0.0
        rates = self.shrinking(len(a), W.shape[1])
        return float(rates @ np.append(a, W) ** 2) / 2

    def conserved(self, U: np.ndarray, V: np.ndarray) -> np.ndarray:
        """What neurons ``U`` and ``V`` (..., d + 1), as ``(a, w)``, conserve together while they
        share a pattern; a uniform decay shrinks it."""
        product = U * V
        if self.two_times:
            # Only |w|.
            return np.asarray(product[..., 1:].sum(axis=-1))
        return np.asarray(self.rates[1] * product[..., 0]
                          - self.rates[0] * product[..., 1:].sum(axis=-1))


PLAIN = Setting()


def as_decay(decay: object, bias: bool) -> tuple[float, float, float]:
    """Check the argument ``decay`` of `gflow.integrate`, on data with a ``bias`` or without.

    Raises
    ------
    TypeError, ValueError
        If it is neither a number, 0 or more, nor two or three of them; or if there are three and
        no bias.

    Examples
    --------
    >>> as_decay(1e-3, bias=True), as_decay((1, 2), bias=False), as_decay((1, 2, 0), bias=True)
    ((0.001, 0.001, 0.001), (1.0, 2.0, 2.0), (1.0, 2.0, 0.0))
    """
    if isinstance(decay, np.ndarray):
        decay = decay.tolist()
    if not isinstance(decay, tuple | list):
        one = non_negative(decay, "decay")
        return one, one, one
    if len(decay) not in (2, 3):
        raise TypeError(f"decay is {short(decay)}: give a number, or a pair for output and hidden "
                        "weights, or a third one for the bias")
    parts = [non_negative(part, f"decay[{j}]") for j, part in enumerate(decay)]
    if len(parts) == 3 and not bias:
        raise ValueError("decay has a third number, for the bias, but the data have none: give "
                         "Data(X, y, bias=True), or two numbers")
    return parts[0], parts[1], parts[-1]
