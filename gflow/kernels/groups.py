"""Neurons of one pattern as one: they obey the same linear equation ``u' = M(t) u``.

The states of a group at any time are its states at the start times one propagator, and its share
of the network's output is ``v = sum a_i w_i``, a block of ``N = sum u_i u_i^T`` (one pattern is one
linear equation, hence one Lorentz transformation: Boursier and Flammarion, "Early alignment in
two-layer networks training is a two-edged sword", JMLR 2025, has the invariant ``a^2 - |w|^2``).
Time is as in `march`.
"""

import numpy as np
from numba import njit

from .march import FINE, GROUPED, march, slide_exit, slide_frame
from .modes import dot
from .switch import norm
from .taylor import ORDER, at, expand, reliable, shift


@njit(cache=True, error_model="numpy", nogil=True)
def propagators(D, side, first, U, plus, minus, normal, times, accuracy, size, noise, chebyshev_r,
                split_r, lam, start, bend):
    """Propagators of patterns, unless a slide ends on the window.

    Parameters
    ----------
    D : array (G, p, d)
        Fields of the active points.
    side : int8 array (m, C)
    first : int array (G,)
        A neuron of each pattern.
    U : array (m, d + 1)
    plus, minus, normal, times, accuracy, size, noise, chebyshev_r, split_r : see `march`
    lam : array (G, J, d + 1, d + 1)
        Receives ``u(times[j]) = u(-1) @ lam[g, j]``.
    start : array (G, d)
        Receives the (projected) field at s = 0.
    bend : array (G,)
        Receives a bound on its distance from that on the window; infinite if the slide ends.
    """
    G, p, d = D.shape
    J = times.size
    T = np.empty((p, d))
    P = np.empty((p, d))
    series = np.empty((ORDER + 1, d + 1))
    basis = np.empty((d, d))
    planes = np.empty(d, np.int64)
    u = np.empty(d + 1)
    for g in range(G):
        i = first[g]
        count, rank = slide_frame(side[i], normal, D[g], P, basis, planes)
        for c in range(d):
            start[g, c] = P[0, c]
        bend[g] = 0.0
        for j in range(1, p):
            bend[g] += norm(P[j])
        if count > 0:
            sign = np.sign(U[i, 0])
            end, _, _ = slide_exit(-1.0, sign, planes, count, rank, basis, D[g], plus, minus,
                                   normal, chebyshev_r, split_r, 1e-13 * size + noise)
            if end <= 1.0:
                bend[g] = np.inf
                continue
        for row in range(d + 1):
            for c in range(d + 1):
                u[c] = 1.0 if c == row else 0.0
            s, j = -1.0, 0
            while j < J:
                shift(P, s, T)
                K = expand(u, T, series)
                x = min(1.0 - s, reliable(series, K, accuracy))
                last = s + x >= 1.0 - 1e-15
                while j < J and (times[j] <= s + x or last):
                    at(series, K, times[j] - s, lam[g, j, row])
                    j += 1
                at(series, K, x, u)
                s += x


@njit(cache=True, error_model="numpy", nogil=True)
def stays(u, side, direction, closest, normal, field, bend):
    """Whether a neuron certainly meets no hyperplane on the window: see `scan` for the two arrays.

    Its weight moves by ``int a D``, and ``D`` stays within ``bend`` of ``field``.
    """
    d = field.size
    along, drive, across, push = 0.0, 0.0, 0.0, 0.0
    for c in range(d):
        along += u[1 + c] * direction[c]
        drive += field[c] * direction[c]
    if not along > 0.0:
        return False
    for c in range(d):
        across += (u[1 + c] - along * direction[c]) ** 2
        push += (field[c] - drive * direction[c]) ** 2
    across, push = np.sqrt(across), np.sqrt(push) + bend
    size_w = np.sqrt(across * across + along * along)
    one_sign = abs(u[0]) >= size_w * (1.0 - 1e-9)
    sign = 1.0 if u[0] > 0.0 else -1.0
    top = norm(field) + bend
    if top > 20.0:
        return False
    # int |a| over the window, from above.
    reach = np.sqrt(u[0] * u[0] + size_w * size_w) * (np.expm1(2.0 * top) / top if top > 0 else 2.0)
    far = direction[d]
    if far < np.inf:
        drive = sign * drive - bend if one_sign else -top
        # Growing, it moves across and along in a fixed proportion at worst, however far.
        safe = drive > 0.0 and max(across / along, push / drive) < far
        if not safe and across + reach * push >= far * (along + reach * min(drive, 0.0)):
            return False
    for q in range(closest[closest.size - 1]):
        h = closest[q]
        if side[h] == 0:
            continue
        z, pull = 0.0, 0.0
        for c in range(d):
            z += normal[h, c] * u[1 + c]
            pull += normal[h, c] * field[c]
        pull = (sign * side[h] * pull if one_sign else -abs(pull)) - bend
        if pull < 0.0 and side[h] * z <= -reach * pull:
            return False
    return True


@njit(cache=True, error_model="numpy", nogil=True)
def add_moment(N, u, weight):
    """Add ``weight u u^T`` to ``N``."""
    if weight != 0.0:
        for b in range(u.size):
            for c in range(u.size):
                N[b, c] += weight * u[b] * u[c]


@njit(cache=True, error_model="numpy", nogil=True)
def march_block(block, U, side, loose, group, slot, lam, field0, bend, N, D, plus, minus, normal,
                label, start, member, length, times, states, log, room, choices, direction,
                closest, accuracy, band, size, noise, chebyshev_u, split_u, chebyshev_r, split_r,
                X, h, weights, energy, wanted):
    """March the neurons ``block`` one after the other, or carry them with their group.

    ``U``, ``side`` and ``loose`` are overwritten by the ends, ``states`` is (m, J, d + 1), ``D``
    (G, p, d) the fields of the patterns ``group`` (m,), ``slot`` (G,) their propagators in ``lam``
    or -1, ``log`` (E, 5) has the neuron first, ``N`` (groups, d + 1, d + 1) receives the second
    moments of the neurons that go with their group, and ``states`` is filled for those only if
    ``wanted``. For the rest see `march`.

    Returns
    -------
    status, neuron : int
        The first march that did not end well, or FINE and -1.
    """
    n, d, J = X.shape[0], X.shape[1], times.size
    field = np.empty(D.shape[1:])
    on = np.empty(n)
    rows = np.empty((log.shape[0], 4))
    room_here = np.zeros(2, np.int64)
    u = np.empty(d + 1)
    for i in block:
        g = slot[group[i]]
        if g >= 0 and stays(U[i], side[i], direction[i], closest[i], normal, field0[g],
                            bend[g]):
            add_moment(N[g], U[i], weights[i])
            for c in range(d + 1):
                u[c] = U[i, c]
            if wanted:
                for j in range(J):
                    for c in range(d + 1):
                        total = 0.0
                        for b in range(d + 1):
                            total += u[b] * lam[g, j, b, c]
                        states[i, j, c] = total
            for c in range(d + 1):
                total = 0.0
                for b in range(d + 1):
                    total += u[b] * lam[g, J - 1, b, c]
                U[i, c] = total
            for q in range(side.shape[1]):
                if loose[i, q]:
                    loose[i, q] = (side[i, q] * dot(normal[q], U[i, 1:])
                                   <= band * norm(U[i, 1:]))
            continue
        for j in range(D.shape[1]):
            for c in range(d):
                field[j, c] = D[group[i], j, c]
        for k in range(n):
            on[k] = 0.0
            if label[k] >= 0 and side[i, label[k]] * length[k] > 0.0:
                on[k] = 1.0
        room_here[0] = room[0]
        for c in range(d + 1):
            u[c] = U[i, c]
        status = march(U[i], side[i], loose[i], field, plus, minus, normal, start, member, length,
                       on, times, states[i], rows, room_here, choices, direction[i], closest[i],
                       accuracy, band, size, noise, chebyshev_u, split_u, chebyshev_r, split_r,
                       X, h, weights[i], g >= 0, energy)
        if status == GROUPED:
            add_moment(N[g], u, weights[i])
            continue
        if status != FINE:
            return status, i
        for e in range(room[0], room_here[0]):
            log[e, 0] = i
            for q in range(4):
                log[e, 1 + q] = rows[e, q]
        room[0] = room_here[0]
    room[1] += room_here[1]
    return FINE, -1
