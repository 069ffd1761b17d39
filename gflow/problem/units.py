"""Units of a problem, powers of two, in which its numbers are near 1.

The flow has two exact symmetries: labels times ``s`` with ``(a, W)`` times ``sqrt(s)`` and ``t``
over ``s``; inputs times ``s`` with ``(a, W)`` and ``t`` over ``sqrt(s)`` and ``s``. In units of
powers of two they hold to the last bit, and nothing overflows on the way that does not in the end.

The first needs a loss that is homogeneous, the square one. Others leave labels and outputs as they
are: with inputs times ``s`` go ``(a, W)`` over ``sqrt(s)`` and ``t`` over ``s``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .data import Data
from .loss import SQUARE, Loss
from .network import TwoLayer
from .quiet import quiet

ORDINARY = 40
"""Exponents up to this are left alone: products of four such numbers, and their squares, are far
from the limits of double precision."""
LATEST = 1000
"""Largest exponent of ``t_max``, either way."""


class Units(NamedTuple):
    """Exponents of the units of inputs, of labels, of weights and of time.

    Examples
    --------
    >>> from gflow import TwoLayerReLU
    >>> model, data = TwoLayerReLU([1.0], [[1.0]]), Data([[2.0 ** 99]], [2.0 ** 99])
    >>> Units.of(model, data, 1.0)
    Units(inputs=100, labels=102, weights=1, time=-202)
    >>> Units.of(model, Data([[1.0]], [2.0]), 10.0)
    Units(inputs=0, labels=0, weights=0, time=0)
    """

    inputs: int = 0
    labels: int = 0
    weights: int = 0
    time: int = 0

    @classmethod
    def of(cls, model: TwoLayer, data: Data, t_max: float, loss: Loss = SQUARE) -> Units:
        """Units in which inputs, and the larger of labels and outputs, are about 1; none if they
        are near that already. Only inputs, if the loss is not the square one."""
        U, power = mantissas(model)
        alive = U.any(axis=1)
        inputs, late = exponent(np.abs(data.X).max()), exponent(t_max)
        if loss != SQUARE:
            return cls._of_inputs(inputs, late)
        reach = []
        if alive.any() and data.X.any():
            reach.append(2 * int(power[alive].max()) + inputs)
        if data.y.any():
            reach.append(exponent(np.abs(data.y).max()))
        labels = max(reach, default=inputs)
        if max(abs(inputs), abs(labels), abs(late) - LATEST + ORDINARY) <= ORDINARY:
            return cls()
        weights = -((inputs - labels) // 2)
        # Times must not leave double precision either.
        weights = min(max(weights, -(LATEST + late) // 2 + 1 - inputs),
                      (LATEST - late) // 2 - inputs)
        return cls(inputs, inputs + 2 * weights, weights, -2 * (inputs + weights))

    @classmethod
    def _of_inputs(cls, inputs: int, late: int) -> Units:
        """Units that leave labels and outputs alone: weights must be whole powers of two."""
        if max(abs(inputs), abs(late) - LATEST + ORDINARY) <= ORDINARY:
            return cls()
        inputs = min(max(inputs, -LATEST - late), LATEST - late)
        weights = -(inputs // 2)
        return cls(-2 * weights, 0, weights, 2 * weights)

    def data(self, data: Data) -> Data:
        """The data in these units.

        Raises
        ------
        ValueError
            If there are none in which inputs, labels and times all have a place.
        """
        if not any(self):
            return data
        with np.errstate(over="ignore"):
            X, y = np.ldexp(data.X, -self.inputs), np.ldexp(data.y, -self.labels)
        if not (np.isfinite(X).all() and np.isfinite(y).all()):
            raise ValueError(f"inputs up to {np.abs(data.X).max():.3g} and labels up to "
                             f"{np.abs(data.y).max():.3g} make a flow that leaves double "
                             "precision: divide X or y by a power of ten")
        return Data(X, y)

    def inside(self, t: Any) -> Any:
        """Times in these units."""
        return np.ldexp(t, -self.time) if self.time else t

    def outside(self, t: Any) -> Any:
        """Times in units of 1."""
        return np.ldexp(t, self.time) if self.time else t

    def loss(self, loss: float) -> float:
        """A loss in units of 1."""
        return float(np.ldexp(loss, 2 * self.labels))

    def gradient(self, norm: float) -> float:
        """The norm of a gradient in units of 1."""
        return float(np.ldexp(norm, self.weights - self.time))


def exponent(value: Any) -> int:
    """Power of two just above a number, 0 for 0.

    Examples
    --------
    >>> exponent(3.0), exponent(0.0)
    (2, 0)
    """
    return int(np.frexp(value)[1])


@quiet
def mantissas(model: TwoLayer) -> tuple[np.ndarray, np.ndarray]:
    """Neurons ``(a, w)`` (m, d + 1) with a largest entry in [1/2, 2), in units of 2 to the power
    (m,).

    Examples
    --------
    >>> from gflow import TwoLayerReLU
    >>> U, power = mantissas(TwoLayerReLU([3.0], [[1.0]]))
    >>> U.tolist(), power.tolist()
    ([[0.75, 0.25]], [2])
    """
    U = np.column_stack([model.a, model.W])
    power = np.frexp(np.abs(U).max(axis=1))[1].astype(np.int64)
    U = np.ldexp(U, -power[:, None])
    if model.log_scale.any():
        units = np.floor(model.log_scale / np.log(2.0))
        U *= np.exp(model.log_scale - units * np.log(2.0))[:, None]
        power += units.astype(np.int64)
    return U, power
