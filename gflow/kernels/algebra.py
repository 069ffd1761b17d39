"""Small linear algebra in loops: short vectors are cheaper than a call of BLAS.

Array expressions, slices and most NumPy functions are slow to compile, and so are `min` and `max`:
what kernels need of them stands here, once and with one type.
"""

import numpy as np

from .jit import leaf, maker, summed

DEPENDENT = 1e-10
"""A normal closer than this to the span of others adds no constraint. Larger: hyperplanes of nearly
equal points count as one. Smaller: their multipliers lose as many digits."""
BLOCK = 32
"""Flags that are added up before each is looked at, where few are set: that takes no branches."""
STEEP = 10.0
"""A weight is not moved by more than this, over its distances, to planes that it leaves."""


@leaf
def lesser(x, y):
    """The smaller of two numbers, the first if one is NaN."""
    return y if y < x else x


@leaf
def greater(x, y):
    """The larger of two numbers, the first if one is NaN."""
    return y if y > x else x


@maker
def zeros(n):
    """An array (n,) of zeros."""
    array = np.empty(n)
    for j in range(n):
        array[j] = 0.0
    return array


@maker
def zero_rows(n, d):
    """An array (n, d) of zeros."""
    array = np.empty((n, d))
    for j in range(n):
        for c in range(d):
            array[j, c] = 0.0
    return array


@maker
def all_below(n):
    """Sides (n,), all -1."""
    side = np.empty(n, np.int8)
    for j in range(n):
        side[j] = -1
    return side


@leaf
def dot(u, v):
    """Inner product of two vectors (a loop: short ones are cheaper than a BLAS call)."""
    total = 0.0
    for j in range(u.size):
        total += u[j] * v[j]
    return total


@leaf
def row_dot(V, c, u):
    """Inner product of row ``c`` of ``V`` with ``u`` (slices are slow to compile)."""
    return vector_dot(V, c, 0, u, u.size)


@leaf
def row_row(V, c, U, e):
    """Inner product of row ``c`` of ``V`` with row ``e`` of ``U``."""
    return long_dot(V, c, 0, U, e, 0, V.shape[1])


@summed
def long_dot(V, c, i, U, e, k, d):
    """Inner product of ``d`` entries of row ``c`` of ``V``, from ``i`` on, and of row ``e`` of
    ``U``, from ``k`` on."""
    total = 0.0
    for j in range(d):
        total += V[c, i + j] * U[e, k + j]
    return total


@summed
def vector_dot(V, c, i, u, d):
    """The same with the first ``d`` entries of ``u``."""
    total = 0.0
    for j in range(d):
        total += V[c, i + j] * u[j]
    return total


@leaf
def norm(w):
    """Euclidean norm without underflow."""
    size = 0.0
    for c in range(w.size):
        size = greater(size, abs(w[c]))
    if size == 0.0:
        return 0.0
    total = 0.0
    for c in range(w.size):
        total += (w[c] / size) ** 2
    return size * np.sqrt(total)


@leaf
def row_norm(W, i):
    """Euclidean norm of row ``i``, without underflow (weights go down to 1e-300)."""
    largest = 0.0
    for c in range(W.shape[1]):
        # Not max: it drops NaN.
        if not abs(W[i, c]) <= largest:
            largest = abs(W[i, c])
    if not largest > 0.0:
        return largest
    total = 0.0
    for c in range(W.shape[1]):
        total += (W[i, c] / largest) ** 2
    return largest * np.sqrt(total)


@leaf
def orthogonalise(basis, rank):
    """Make row ``rank`` of ``basis`` a unit vector orthogonal to those before it: whether there is
    one, for a row of length 1 that does not depend on them. Gram-Schmidt, twice is enough."""
    d = basis.shape[1]
    for _ in range(2):
        for j in range(rank):
            along = row_row(basis, j, basis, rank)
            for c in range(d):
                basis[rank, c] -= along * basis[j, c]
    size = np.sqrt(row_row(basis, rank, basis, rank))
    if not size > DEPENDENT:
        return False
    for c in range(d):
        basis[rank, c] /= size
    return True


@maker
def orthonormal_rows(V):
    """Orthonormal basis of the row span of ``V`` (s, d): rows of the result, and the rank.

    Rows that depend on earlier ones are dropped.
    """
    s, d = V.shape
    basis = np.empty((s if s < d else d, d))
    rank = 0
    for q in range(s):
        if rank < basis.shape[0]:
            for c in range(d):
                basis[rank, c] = V[q, c]
            rank += orthogonalise(basis, rank)
    return basis[:rank], rank


@maker
def put_on(w, V):
    """The weight ``w`` projected on the hyperplanes of normals ``V`` (s, d), unless that is 0."""
    basis, rank = orthonormal_rows(V)
    return put_off(w, basis, rank)


@maker
def put_off(w, basis, rank):
    """The weight ``w`` less its part in the span of an orthonormal ``basis`` of this rank, unless
    that is all."""
    d = w.size
    put = np.empty(d)
    for c in range(d):
        put[c] = w[c]
    if rank < d:
        for q in range(rank):
            along = row_dot(basis, q, put)
            for c in range(d):
                put[c] -= along * basis[q, c]
    return put


@maker
def put_back(w, V, basis, rank, side):
    """The weight ``w`` put on the hyperplanes of normals ``V`` (s, d) that it has met, or only on
    those with side 0 if all of them, almost dependent, share nothing but 0 or what is far off;
    ``basis`` and ``rank`` are from `orthonormal_rows`."""
    s, d = V.shape
    put = put_off(w, basis, rank)
    away, moved, kept = 0.0, 0.0, 0
    slid = np.empty((s, d))
    for q in range(s):
        away = greater(away, abs(row_dot(V, q, w)))
        if side[q] == 0:
            for c in range(d):
                slid[kept, c] = V[q, c]
            kept += 1
    for c in range(d):
        moved += (put[c] - w[c]) ** 2
    far = moved > (STEEP * away) ** 2 or moved == 0.0
    return put_on(w, slid[:kept]) if far else put


@leaf
def lower_root(K):
    """Overwrite a positive semidefinite matrix by its lower Cholesky factor, zero where its pivots
    are; entries above the diagonal are left as they are."""
    d = K.shape[0]
    tiny = 0.0
    for c in range(d):
        tiny = greater(tiny, 1e-14 * K[c, c])
    for c in range(d):
        pivot = K[c, c]
        for e in range(c):
            pivot -= K[c, e] ** 2
        root = np.sqrt(pivot) if pivot > tiny else 0.0
        for b in range(c + 1, d):
            total = K[b, c]
            for e in range(c):
                total -= K[b, e] * K[c, e]
            K[b, c] = total / root if root > 0.0 else 0.0
        K[c, c] = root


@maker
def coordinates(V, basis, rank):
    """The rows of ``V`` (s, d) in an orthonormal basis of this rank: (s, rank)."""
    inside = np.empty((V.shape[0], rank))
    for c in range(V.shape[0]):
        for q in range(rank):
            inside[c, q] = row_row(V, c, basis, q)
    return inside
