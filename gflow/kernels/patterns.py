"""Patterns of a window: where each is active, how much its neurons weigh, which are alike."""

import math

import numpy as np

from .algebra import greater, lesser
from .jit import kernel, summed
from .outputs import weight_on


@kernel
def distinct(key, order):
    """Which neurons share a pattern, from their keys (m,) and what sorts these, stably.

    Returns
    -------
    first, of, counts : arrays of int (G,), (m,) and (G,)
        The first neuron of each pattern, the pattern of each neuron, and neurons of each.
    """
    m = key.size
    first, of, counts = np.empty(m, np.int64), np.empty(m, np.int64), np.empty(m, np.int64)
    G = 0
    for e in range(m):
        if e == 0 or key[order[e]] != key[order[e - 1]]:
            first[G], counts[G] = order[e], 0
            G += 1
        of[order[e]] = G - 1
        counts[G - 1] += 1
    return first[:G].copy(), of, counts[:G].copy()


@kernel
def move_keys(key, log, side, marks):
    """Change the keys (m,) of neurons by their events ``log`` (E, 6), which led to ``side``
    (m, C)."""
    for e in range(log.shape[0]):
        i, h = int(log[e, 0]), int(log[e, 2])
        if h >= 0:
            key[i] += np.int64(log[e, 4] - log[e, 3]) * marks[h]
    for e in range(log.shape[0]):
        if log[e, 2] < 0.0:
            # A neuron that comes to rest leaves all hyperplanes at once.
            i, total = int(log[e, 0]), np.int64(0)
            for h in range(marks.size):
                total += np.int64(side[i, h]) * marks[h]
            key[i] = total


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


@kernel
def looks(side, first, label, length, slope):
    """What neurons of a pattern have in common.

    Parameters
    ----------
    side : array of int8 (m, C)
    first : array of int (G,)
        A neuron of each pattern.
    label, length : arrays (n,)
        Hyperplane of each point, -1 for none, and its signed length.
    slope : float
        Of the activation where its input is negative.

    Returns
    -------
    own : array of int8 (G, C)
        Sides of each pattern.
    slides : array of int (G,)
        How many hyperplanes it slides on.
    on : array (G, n)
        Derivative of the activation at the points, 0 where it slides.
    """
    G, C, n = first.size, side.shape[1], label.size
    own, slides, on = np.empty((G, C), np.int8), np.empty(G, np.int64), np.empty((G, n))
    for g in range(G):
        count = 0
        for h in range(C):
            own[g, h] = side[first[g], h]
            count += own[g, h] == 0
        slides[g] = count
        for k in range(n):
            on[g, k] = weight_on(own[g, label[k]] * length[k], slope) if label[k] >= 0 else 0.0
    return own, slides, on


@kernel
def strengths(U, power, least):
    """``|a_i| |w_i|`` of neurons ``U`` (m, d + 1) in units of 2 to the ``power``.

    Returns
    -------
    each : array (m,)
    total : float
    faint : int
        Neurons with ``|w_i|`` of at most ``least |a_i|``.
    """
    m = U.shape[0]
    each, total, faint = np.empty(m), 0.0, 0
    for i in range(m):
        a, square = abs(U[i, 0]), 0.0
        for c in range(1, U.shape[1]):
            square += U[i, c] * U[i, c]
        width = math.sqrt(square)
        each[i] = math.ldexp(a * width, 2 * power[i])
        total += each[i]
        faint += width <= least * a
    return each, total, faint


@kernel
def seen_by(each, of, on, lengths):
    """Sums (n,) of ``each`` (m,) over the neurons that are active at a point, times its length;
    patterns ``of`` (m,) are ``on`` (G, n)."""
    G, n = on.shape
    of_pattern, seen = np.zeros(G), np.zeros(n)
    for i in range(of.size):
        of_pattern[of[i]] += each[i]
    for g in range(G):
        for k in range(n):
            seen[k] += of_pattern[g] * abs(on[g, k])
    for k in range(n):
        seen[k] *= lengths[k]
    return seen


@kernel
def masses(moments, length):
    """What patterns weigh in the tangent kernel.

    Parameters
    ----------
    moments : array (G, d + 1, d + 1)
        Sums of ``u u^T`` over the neurons ``u = (a, w)`` of each.
    length : array (n,)
        Of the points.

    Returns
    -------
    mass : array (G,)
        ``d a^2 + |w|^2``.
    bound : float
        A bound on the mean of the kernel's diagonal.
    """
    G, e = moments.shape[:2]
    mass, total, square = np.empty(G), 0.0, 0.0
    for g in range(G):
        mass[g] = (e - 1) * moments[g, 0, 0]
        for c in range(1, e):
            mass[g] += moments[g, c, c]
        total += mass[g]
    for k in range(length.size):
        square += length[k] * length[k]
    return mass, square / length.size * total


@kernel
def alike(order, side, mass, step, fewest, most, unlike):
    """The patterns that stand for all, and which of them each counts as.

    Parameters
    ----------
    order : array of int (G,)
        Patterns by falling ``mass`` (G,).
    side : array of int8 (G, C)
    step : int
        Every hyperplane of so many is looked at.
    fewest, most : int
        How many are taken at least, and at most, in powers of two of the first.
    unlike : float
        Part of the hyperplanes on which a pattern may differ from what it counts as, in the mean.

    Returns
    -------
    count : int
        The first of ``order`` are taken.
    to : array of int (G,)
        The place in ``order`` of the one that each pattern counts as.
    """
    G, C = side.shape
    looked = -(-C // step)
    sides = np.empty((G, looked), np.float32)
    for e in range(G):
        for q in range(looked):
            sides[e, q] = side[order[e], q * step]
    best, to = np.full(G, -np.inf), np.zeros(G, np.int64)
    total = 0.0
    for g in range(G):
        total += mass[g]
    begin, count = 0, fewest
    while count < G:
        off = 0.0
        for e in range(count, G):
            g = order[e]
            for b in range(begin, count):
                same = agreement(sides, e, b)
                if same > best[g]:
                    best[g], to[g] = same, b
            off += (1.0 - best[g] / max(looked, 1)) / 2 * mass[g]
        if count >= most or off <= unlike * total:
            break
        begin, count = count, 2 * count
    if count > G:
        count = G
    for e in range(count):
        to[order[e]] = e
    return count, to


@summed
def agreement(sides, e, b):
    """Inner product of two rows of ``sides``, whole numbers in single precision."""
    same = np.float32(0.0)
    for q in range(sides.shape[1]):
        same += sides[e, q] * sides[b, q]
    return same
