"""Aligned neurons as one: a stretch of time without events, at a cost that knows no neuron.

Neurons of one pattern move by one propagator (`groups`), so that neurons whose directions are close
stay close, and a certificate for one of them with a margin is a certificate for all.
"""

from collections import namedtuple

import numpy as np

from .groups import keeps_clear
from .jit import kernel, leaf
from .taylor import ORDER, carry
from .algebra import greater, lesser, norm, zeros
from .watch import NEAR, scan

TIGHT = 0.1
"""Neurons of a bundle are closer to it than this part of its distance to the next hyperplane."""
TRIED = 32
"""Bundles that a neuron is compared with."""

Bundles = namedtuple("Bundles", "pattern state spread axis closest")
"""Pattern (B,) of every bundle; ``u = (a, w)`` (B, d + 1) of one of its neurons, with ``|w| = 1``;
how far the others are from it (B,) when brought to its length; its last `scan`, as (B, d + 1) and
(B, NEAR + 1)."""


def tie(of, U, first, side, columns):
    """Tie neurons ``U`` (m, d + 1) to bundles.

    ``of`` (m,) are their patterns, -1 for those that do not move, ``first`` (G,) a neuron of each
    pattern, ``side`` (m, C) sides and ``columns`` (d, C) the unit normals.
    """
    m, e = U.shape
    bundles = Bundles(np.empty(m, np.int64), np.empty((m, e)), np.zeros(m), np.empty((m, e)),
                      np.empty((m, NEAR + 1), np.int32))
    count = tie_into(bundles, of, U, first, side, columns, np.full(first.size, -1))
    return Bundles(*(array[:count].copy() for array in bundles))


@kernel
def tie_into(bundles, of, U, first, side, columns, head):
    """Fill ``bundles`` as `tie` does, and return their number; ``head`` (G,) is full of -1."""
    m, d = U.shape[0], U.shape[1] - 1
    C = columns.shape[1]
    pattern, state, spread, axis, closest = bundles
    room = np.empty(m)
    after = np.empty(m, np.int64)
    near = np.empty(C + NEAR + 1, np.int64)
    z = np.empty(C)
    u = np.empty(d + 1)
    w = np.empty(d)
    B = 0
    for i in range(m):
        g = of[i]
        if g < 0:
            continue
        for c in range(d):
            w[c] = U[i, 1 + c]
        size = norm(w)
        for c in range(d + 1):
            u[c] = U[i, c] / size
        b, tried = head[g], 0
        while b >= 0 and tried < TRIED:
            away = 0.0
            for c in range(d + 1):
                away += (u[c] - state[b, c]) ** 2
            if away <= room[b] ** 2:
                spread[b] = greater(spread[b], np.sqrt(away))
                break
            b, tried = after[b], tried + 1
        if b >= 0 and tried < TRIED:
            continue
        pattern[B] = g
        for c in range(d + 1):
            state[B, c] = u[c]
        for c in range(d):
            w[c] = u[1 + c]
        look(w, side[first[g]], columns, axis[B], closest[B], near, z)
        gap = axis[B, d] if axis[B, d] < np.inf else 1.0
        for q in range(closest[B, NEAR]):
            gap = lesser(gap, abs(z[closest[B, q]]))
        room[B] = TIGHT * gap
        after[B] = head[g]
        head[g] = B
        B += 1
    return B


@leaf
def look(w, side, columns, axis, closest, near, z):
    """`scan`, kept only as far as there is room: ``far`` is 0 if too many hyperplanes meet here."""
    d = w.size
    count = scan(w, side, columns, axis, near, z)
    if count > NEAR:
        count, axis[d] = 0, 0.0
    closest[NEAR] = count
    for q in range(count):
        closest[q] = near[q]


@leaf
def keeps_sign(states, to_series, spread):
    """Whether the output weight certainly keeps its sign between the Chebyshev nodes, at which it
    is ``states[:, 0]``, and so do those within ``spread`` of it."""
    J = states.shape[0]
    low = -spread
    for j in range(J):
        total = 0.0
        for e in range(J):
            total += to_series[j, e] * states[e, 0]
        # The tail stands for what the series leaves out.
        low += abs(total) if j == 0 else -abs(total) * (1.0 if j < J - 2 else 4.0)
    return low > 0.0


@kernel
def all_clear(bundles, lam, first, side, sliding, normal, columns, to_series, margin):
    """Whether certainly no neuron of any bundle meets a hyperplane on the window, nor ``a = 0`` if
    its pattern is ``sliding`` (G,).

    ``lam`` (G, J, d + 1, d + 1) are the propagators of the patterns from where the bundles were
    tied to the Chebyshev nodes of the window. Returns the first bundle that may meet one, or -1,
    and how often all hyperplanes were looked at.
    """
    G, J, e = lam.shape[:3]
    d, C = columns.shape
    states = np.empty((J, e))
    series = np.empty((J, d))
    w = np.empty(d)
    near = np.empty(C + NEAR + 1, np.int64)
    z = np.empty(C)
    scans = 0
    stretch = zeros(G)
    for g in range(G):
        for j in range(J):
            total = 0.0
            for b in range(e):
                for c in range(1, e):
                    total += lam[g, j, b, c] ** 2
            # Between the nodes it may be a little more.
            stretch[g] = greater(stretch[g], 1.2 * np.sqrt(total))
    for b in range(bundles.pattern.size):
        g = bundles.pattern[b]
        for j in range(J):
            for c in range(e):
                total = 0.0
                for q in range(e):
                    total += bundles.state[b, q] * lam[g, j, q, c]
                states[j, c] = total
        if sliding[g] and not keeps_sign(states, to_series, bundles.spread[b] * stretch[g]):
            return b, scans
        for attempt in range(2):
            if keeps_clear(states, side[first[g]], bundles.axis[b], bundles.closest[b], normal,
                           to_series, margin, bundles.spread[b] * stretch[g], series):
                break
            if attempt == 1:
                return b, scans
            for c in range(d):
                w[c] = states[0, 1 + c]
            look(w, side[first[g]], columns, bundles.axis[b], bundles.closest[b], near, z)
            scans += 1
    return -1, scans


@kernel
def propagate(field, times, accuracy, lam):
    """Propagators ``lam`` (G, J, d + 1, d + 1) from -1 to ``times`` (J,) in the fields ``field``
    (G, p, d), monomial coefficients; whether all were reached."""
    G, p, d = field.shape
    T = np.empty((p, d))
    series = np.empty((ORDER + 1, d + 1))
    u = np.empty(d + 1)
    for g in range(G):
        for row in range(d + 1):
            for c in range(d + 1):
                u[c] = 1.0 if c == row else 0.0
            if not carry(u, field[g], times, accuracy, T, series, lam[g, :, row]):
                return False
    return True
