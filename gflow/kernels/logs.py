"""What the events of a window, as `march` logs them, make of its neurons."""

import numpy as np

from .algebra import greater, lesser
from .jit import kernel


@kernel
def sides_after(log, rows, side):
    """Sides (K, C) of the neurons of the events ``rows`` (K,) of a ``log`` (E, ...) just after
    them, where all began on ``side`` (m, C); and the times (K, 2) in [-1, 1] of their events before
    and after."""
    after, times = np.empty((rows.size, side.shape[1]), np.int8), np.empty((rows.size, 2))
    for k in range(rows.size):
        row = rows[k]
        i = int(log[row, 0])
        for h in range(side.shape[1]):
            after[k, h] = side[i, h]
        times[k, 0], times[k, 1] = -1.0, 1.0
        for e in range(log.shape[0]):
            if log[e, 0] != i:
                continue
            if log[e, 1] > log[row, 1]:
                times[k, 1] = lesser(times[k, 1], log[e, 1])
            elif log[e, 2] >= 0.0:
                after[k, int(log[e, 2])] = np.int8(log[e, 4])
            if log[e, 1] < log[row, 1]:
                times[k, 0] = greater(times[k, 0], log[e, 1])
        after[k, int(log[row, 2])] = np.int8(log[row, 4])
    return after, times


@kernel
def any_small(U, log, small):
    """Whether ``|w_i|`` is less than ``small |a_i|``, or about that, of a neuron ``U`` (m, d + 1)
    that the ``log`` (E, ...) names."""
    for e in range(log.shape[0]):
        i, most = int(log[e, 0]), 0.0
        for c in range(1, U.shape[1]):
            most = greater(most, abs(U[i, c]))
        if not most > small * abs(U[i, 0]):
            return True
    return False
