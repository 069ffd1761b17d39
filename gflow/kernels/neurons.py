"""Neurons put back on their invariant, and in units in which they are near 1."""

import math

import numpy as np

from .algebra import greater, row_norm
from .jit import leaf

BALANCED = 16 * float(np.finfo(np.float64).eps)
"""Neurons that are balanced up to rounding count as balanced."""


@leaf
def restore(a, W, sign, offset):
    """Put neurons ``a`` (m,), ``W`` (m, d) back on ``a^2 - |w|^2 = sign * offset^2``, in place, by
    a change of the larger weight; the largest change, relative to the neuron."""
    worst = 0.0
    for i in range(a.size):
        width = row_norm(W, i)
        size = np.hypot(a[i], width)
        target, stretch = a[i], 1.0
        if sign[i] >= 0.0:
            target = math.copysign(np.hypot(width, offset[i]), a[i])
            shift = abs(target - a[i])
        else:
            if width > 0.0:
                stretch = np.hypot(a[i], offset[i]) / width
            shift = abs(stretch - 1.0) * width
        # What is off by rounding only keeps its bits: neurons that rest do not move at all.
        if shift > BALANCED * size:
            a[i] = target
            for c in range(W.shape[1]):
                W[i, c] *= stretch
        # NaN stays.
        if size != 0.0 and worst == worst and not shift <= worst * size:
            worst = shift / size
    return worst


@leaf
def normalise(U, power):
    """Divide every row of ``U`` (m, e) by the power of two that makes its largest entry at least
    1/2 and less than 1, and add the exponent to ``power`` (m,)."""
    for i in range(U.shape[0]):
        largest = 0.0
        for c in range(U.shape[1]):
            largest = greater(largest, abs(U[i, c]))
        exponent = math.frexp(largest)[1]
        if exponent != 0:
            power[i] += exponent
            for c in range(U.shape[1]):
                U[i, c] = math.ldexp(U[i, c], -exponent)
