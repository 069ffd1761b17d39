"""The change of pulls that takes a defect away, through the tangent kernel.

``x + C int K x = defect`` is solved by the Neumann series ``sum_j (-C int K)^j defect``. Where the
inverse ``1 + damp`` of ``1 + C int K'`` with another kernel is known, the series is that of what K
is more than K': ``(1 + damp)(int C K' - int C K) x = -C int K x - damp(x + C int K x)``.
"""

import numpy as np

from .jit import kernel, leaf, maker

TERMS = 12
"""Most terms of the series."""
ENOUGH = 1e-2
"""Relative error of the solution: the kernel is not known better."""
DIVERGED = 0.1
"""With a larger one there is no solution worth having."""
WIDTH = 256
"""Columns of a product at a time: what they are added to stays near."""
FOUND, IDLE, NONE = 0, 1, 2
"""How it ended: with a solution; with nothing to do, for the defect is 0 or not finite, and is
returned; without a solution."""


@kernel
def series(defect, first, last, weight, modes):
    """Sum of the series, in the precision of the kernel.

    Parameters
    ----------
    defect : array (p, n)
        At the nodes of a window.
    first, last : tuples of arrays (n, q), (q, n) and (p, p)
        A kernel as a product of two matrices, and what integrates what it makes of pulls; of the
        sum of both, where `last` is not empty. The second matrix is empty for 1.
    weight : array (1, n) or (p, n)
        Curvatures C of the loss; empty for 1.
    modes : tuple of arrays (n, k), (k, n), (p, p), (p, k), (p, p) and (1, n), or None
        ``damp``: eigenvectors and their transpose, the eigenvectors of integration, what is left
        of each, their inverse, and C, empty for 1.

    Returns
    -------
    found : array (p, n)
    end : int
        FOUND, IDLE or NONE.
    terms : int
        After the first.
    """
    p, n = defect.shape
    scale = largest(defect)
    if not 0.0 < scale < np.inf:
        return defect, IDLE, 0
    single = first[0].dtype
    term, total = np.empty((p, n), single), np.empty((p, n), single)
    added, other = np.empty((p, n), single), np.empty((p, n), single)
    inside = np.empty((p, first[0].shape[1] + last[0].shape[1]), single)
    found = np.empty((p, n))
    begin(defect, scale, modes, other, added, total)
    size = before = advance(added, term, total)
    end, terms = NONE, TERMS
    for count in range(1, TERMS + 1):
        respond(term, first, last, weight, inside, other, added)
        if modes is not None:
            add(added, term)
            damp(term, modes, other)
            add(other, added)
        left = advance(added, term, total)
        if not left <= 2 * before:
            terms = count
            break
        before = left
        if left <= ENOUGH * size:
            end, terms = FOUND, count
            break
    if terms == TERMS and before <= DIVERGED * size:
        end = FOUND
    if end == NONE and modes is not None:
        begin(defect, scale, modes, other, added, total)
        advance(added, term, total)
    for j in range(p):
        for k in range(n):
            found[j, k] = scale * total[j, k]
    return found, end, terms


@leaf
def advance(added, term, total):
    """The next ``term`` (p, n) is minus what was ``added``: sum it up in ``total``. Its largest
    entry, NaN if one is."""
    most = 0.0
    for j in range(term.shape[0]):
        for k in range(term.shape[1]):
            term[j, k] = -added[j, k]
            total[j, k] += term[j, k]
            size = abs(term[j, k])
            # NaN stays.
            if most == most and not size <= most:
                most = size
    return most


@leaf
def add(r, to):
    """Add an array to another one (p, n)."""
    for j in range(to.shape[0]):
        for k in range(to.shape[1]):
            to[j, k] += r[j, k]


@leaf
def largest(r):
    """The largest magnitude in an array (p, n); NaN if one is."""
    most = 0.0
    for j in range(r.shape[0]):
        for k in range(r.shape[1]):
            size = abs(r[j, k])
            if most == most and not size <= most:
                most = size
    return most


@kernel
def begin(defect, scale, modes, other, added, total):
    """Put minus the first term, ``(1 + damp) defect`` over its ``scale``, in ``added``: single
    precision has few exponents; and 0 in ``total``."""
    for j in range(total.shape[0]):
        for k in range(total.shape[1]):
            added[j, k] = -defect[j, k] / scale
            total[j, k] = 0
    if modes is not None:
        damp(added, modes, other)
        add(other, added)


@leaf
def respond(r, first, last, weight, inside, rates, out):
    """Put ``C int K r`` in ``out`` (p, n); ``inside`` and ``rates`` are work space."""
    p, n = r.shape
    for j in range(p):
        for k in range(n):
            out[j, k] = 0
    integrate(r, first[0], first[1], first[2], inside, rates, out)
    if last[0].size > 0:
        integrate(r, last[0], last[1], last[2], inside, rates, out)
    if weight.size > 0:
        for j in range(p):
            row = j if weight.shape[0] > 1 else 0
            for k in range(n):
                out[j, k] *= weight[row, k]


@leaf
def integrate(r, left, right, integral, inside, rates, out):
    """Add ``integral r left right`` to ``out`` (p, n)."""
    if right.size > 0:
        multiply(r, left, inside)
        multiply(inside, right, rates)
    else:
        multiply(r, left, rates)
    p, n = out.shape
    for i in range(p):
        for j in range(p):
            amount = integral[i, j]
            for k in range(n):
                out[i, k] += amount * rates[j, k]


@maker
def damp(r, modes, out):
    """Put ``damp r`` in ``out`` (p, n)."""
    vectors, rows, there, shrink, back, weight = modes
    p, n = r.shape
    q = vectors.shape[1]
    inside, phases = np.empty((p, q), r.dtype), np.empty((p, q), back.dtype)
    multiply(r, vectors, inside)
    turn(back, inside, q, phases)
    for i in range(p):
        for c in range(q):
            phases[i, c] *= shrink[i, c]
    turn_back(there, phases, q, inside)
    multiply(inside, rows, out)
    if weight.size > 0:
        for j in range(p):
            for k in range(n):
                out[j, k] *= weight[0, k]


@leaf
def turn(back, inside, q, phases):
    """Put ``back @ inside`` in ``phases``, of ``q`` columns."""
    for i in range(back.shape[0]):
        for c in range(q):
            phases[i, c] = 0
        for j in range(back.shape[1]):
            for c in range(q):
                phases[i, c] += back[i, j] * inside[j, c]


@leaf
def turn_back(there, phases, q, inside):
    """Put the real part of ``there @ phases`` in ``inside``, of ``q`` columns."""
    for i in range(there.shape[0]):
        for c in range(q):
            inside[i, c] = 0
        for j in range(there.shape[1]):
            for c in range(q):
                inside[i, c] += (there[i, j] * phases[j, c]).real


@leaf
def multiply(r, A, out):
    """Put ``r A`` in ``out`` (p, q or more), of few rows (p, k or more), for ``A`` (k, q)."""
    K, q = A.shape
    for start in range(0, q, WIDTH):
        stop = start + WIDTH if start + WIDTH < q else q
        for j in range(r.shape[0]):
            for c in range(start, stop):
                out[j, c] = 0
        # Four at a time: what they are added to is looked up and put back for each.
        for k in range(0, K - 3, 4):
            for j in range(r.shape[0]):
                one, two, three, four = r[j, k], r[j, k + 1], r[j, k + 2], r[j, k + 3]
                for c in range(start, stop):
                    out[j, c] += ((one * A[k, c] + two * A[k + 1, c])
                                  + (three * A[k + 2, c] + four * A[k + 3, c]))
        for k in range(K - K % 4, K):
            for j in range(r.shape[0]):
                amount = r[j, k]
                for c in range(start, stop):
                    out[j, c] += amount * A[k, c]
