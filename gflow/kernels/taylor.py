"""Taylor series of one neuron in a polynomial field: ``a' = w.D``, ``w' = a D``."""

import numpy as np

from .algebra import greater, lesser, long_dot
from .jit import leaf

ORDER = 18
"""Highest order of the Taylor series of a neuron."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)
"""Of a rule that is exact for squares of such series, and all but that under a decay."""
SLOW, LEFT = 8.0, 22.0
"""What a decay may take from the logarithm of a square for that rule to be exact; of a logarithm it
takes the second, and the square is below rounding."""
LONG = 8
"""Vectors are so long that sums over them are made several terms at a time."""
STEPS = 10_000
"""Most pieces of a window without events; fields so large belong on shorter windows."""


@leaf
def shift(D, s, T):
    """Taylor coefficients ``T`` at ``s`` of the polynomials with monomial coefficients ``D``."""
    p, d = D.shape
    for j in range(p):
        for c in range(d):
            T[j, c] = D[j, c]
    for i in range(p - 1):
        for j in range(p - 2, i - 1, -1):
            for c in range(d):
                T[j, c] += s * T[j + 1, c]


@leaf
def expand(u, T, x, accuracy, U):
    """Taylor coefficients ``U`` (ORDER + 1, d + 1) of a neuron ``u = (a, w)`` in the field ``T``.

    From ``(j + 1) a_{j+1} = sum_l w_{j-l}.D_l`` and ``(j + 1) w_{j+1} = sum_l a_{j-l} D_l``.
    Returns the order needed to reach ``x`` within ``accuracy`` (relative to the start; further rows
    are not set), and ``x``, or less where the highest order does not reach so far.
    """
    p, d = T.shape
    size, power, small = 0.0, 1.0, 0
    # Coefficients of the field that do not matter up to x.
    used, power = p, x ** p
    while used > 1:
        largest = 0.0
        for c in range(d):
            largest = greater(largest, abs(T[used - 1, c]))
        if largest * power > 0.1 * accuracy * used:
            break
        power /= x
        used -= 1
    for c in range(d + 1):
        U[0, c] = u[c]
        size = greater(size, abs(u[c]))
    power = 1.0
    last, before = 0.0, 0.0
    for j in range(ORDER):
        for c in range(d + 1):
            U[j + 1, c] = 0.0
        for q in range(j + 1 if j + 1 < used else used):
            a = U[j - q, 0]
            if d < LONG:
                total = 0.0
                for c in range(d):
                    total += U[j - q, 1 + c] * T[q, c]
                    U[j + 1, 1 + c] += a * T[q, c]
                U[j + 1, 0] += total
            else:
                U[j + 1, 0] += long_dot(U, j - q, 1, T, q, 0, d)
                for c in range(d):
                    U[j + 1, 1 + c] += a * T[q, c]
        before = last
        last = 0.0
        scale = 1.0 / (j + 1)
        for c in range(d + 1):
            U[j + 1, c] *= scale
            last = greater(last, abs(U[j + 1, c]))
        power *= x
        small = small + 1 if last * power <= accuracy * size else 0
        if small >= 2 and j + 1 >= used:
            return j + 1, x
    if last > 0.0:
        x = lesser(x, 0.9 * (accuracy * size / last) ** (1.0 / ORDER))
    if before > 0.0:
        x = lesser(x, 0.9 * (accuracy * size / before) ** (1.0 / (ORDER - 1)))
    return ORDER, x


@leaf
def at(U, K, x, u):
    """Value ``u`` at ``x`` of the Taylor series ``U`` of order ``K``."""
    e = U.shape[1]
    for c in range(e):
        u[c] = U[K, c]
    for j in range(K - 1, -1, -1):
        for c in range(e):
            u[c] = u[c] * x + U[j, c]


@leaf
def carry(u, D, times, accuracy, T, U, states):
    """States (J, d + 1) at ``times`` in [-1, 1] of a neuron that is ``u`` at -1; ``u`` at the end.

    ``D`` (p, d) are monomial coefficients of its field; ``T`` like it and ``U`` are work space.
    Returns whether the end was reached.
    """
    s, j, J = -1.0, 0, times.size
    for _ in range(STEPS):
        if j == J:
            return True
        shift(D, s, T)
        K, x = expand(u, T, 1.0 - s, accuracy, U)
        last = s + x >= 1.0 - 1e-15
        while j < J and (times[j] <= s + x or last):
            at(U, K, times[j] - s, states[j])
            j += 1
        at(U, K, x, u)
        s += x
        if not x > 0.0:
            return False
    return j == J


@leaf
def speed(U, K, x):
    """Integral of the squared derivative of the Taylor series ``U`` over [0, x]."""
    total = 0.0
    for i in range(1, K + 1):
        for j in range(1, K + 1):
            product = 0.0
            for c in range(U.shape[1]):
                product += U[i, c] * U[j, c]
            total += i * j * product * x ** (i + j - 1) / (i + j - 1)
    return total


@leaf
def decayed_speed(U, K, x, decay, since):
    """Integral over [0, x] of the squared derivative of ``exp(-decay (since + y)) U(y)``, in parts
    on which the decay is slow, to where nothing is left of it."""
    reach = lesser(x, LEFT / decay)
    parts = 1 + int(2.0 * decay * reach / SLOW)
    length, total = reach / parts, 0.0
    for part in range(parts):
        for q in range(NODES.size):
            y = (part + 0.5 * (NODES[q] + 1.0)) * length
            square = 0.0
            for c in range(U.shape[1]):
                value, slope = U[K, c], 0.0
                for j in range(K - 1, -1, -1):
                    slope = slope * y + value
                    value = value * y + U[j, c]
                square += (slope - decay * value) ** 2
            total += WEIGHTS[q] * np.exp(-2.0 * decay * (since + y)) * square
    return 0.5 * length * total


@leaf
def polynomial(coefficients, row, s):
    """Value at ``s`` of the monomial coefficients in a row."""
    total = 0.0
    for j in range(coefficients.shape[1] - 1, -1, -1):
        total = total * s + coefficients[row, j]
    return total
