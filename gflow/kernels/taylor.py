"""Taylor series of one neuron in a polynomial field: ``a' = w.D``, ``w' = a D``."""

from numba import njit

ORDER = 18
"""Order of the Taylor series of a neuron."""


@njit(cache=True, error_model="numpy", nogil=True)
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


@njit(cache=True, error_model="numpy", nogil=True)
def expand(u, T, U):
    """Taylor coefficients ``U`` (ORDER + 1, d + 1) of a neuron ``u = (a, w)`` in the field ``T``.

    From ``(j + 1) a_{j+1} = sum_l w_{j-l}.D_l`` and ``(j + 1) w_{j+1} = sum_l a_{j-l} D_l``.
    Returns the order after which terms are rounding on the whole window; the rest is not set.
    """
    p, d = T.shape
    size, power, small = 0.0, 1.0, 0
    for c in range(d + 1):
        U[0, c] = u[c]
        size = max(size, abs(u[c]))
    for j in range(ORDER):
        for c in range(d + 1):
            U[j + 1, c] = 0.0
        for q in range(min(j + 1, p)):
            a = U[j - q, 0]
            total = 0.0
            for c in range(d):
                total += U[j - q, 1 + c] * T[q, c]
                U[j + 1, 1 + c] += a * T[q, c]
            U[j + 1, 0] += total
        largest = 0.0
        for c in range(d + 1):
            U[j + 1, c] /= j + 1
            largest = max(largest, abs(U[j + 1, c]))
        power *= 2.0
        small = small + 1 if largest * power <= 1e-17 * size else 0
        if small == 3:
            return j + 1
    return ORDER


@njit(cache=True, error_model="numpy", nogil=True)
def at(U, K, x, u):
    """Value ``u`` at ``x`` of the Taylor series ``U`` of order ``K``."""
    for c in range(U.shape[1]):
        total = 0.0
        for j in range(K, -1, -1):
            total = total * x + U[j, c]
        u[c] = total


@njit(cache=True, error_model="numpy", nogil=True)
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


@njit(cache=True, error_model="numpy", nogil=True)
def reliable(U, K, accuracy):
    """Length on which the Taylor series ``U`` is accurate, relative to the size of its start."""
    if K < ORDER:
        return 2.0
    last, before, size = 0.0, 0.0, 0.0
    for c in range(U.shape[1]):
        size = max(size, abs(U[0, c]))
        last = max(last, abs(U[K, c]))
        before = max(before, abs(U[K - 1, c]))
    length = 4.0
    if last > 0.0:
        length = min(length, (accuracy * size / last) ** (1.0 / K))
    if before > 0.0:
        length = min(length, (accuracy * size / before) ** (1.0 / (K - 1)))
    return 0.9 * length


@njit(cache=True, error_model="numpy", nogil=True)
def polynomial(coefficients, s):
    """Value at ``s`` of monomial coefficients."""
    total = 0.0
    for j in range(coefficients.size - 1, -1, -1):
        total = total * s + coefficients[j]
    return total
