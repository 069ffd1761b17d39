"""Neurons of one pattern as one: they obey the same linear equation ``u' = M(t) u``.

The states of a group at any time are its states at the start times one propagator, and its share
of the network's output is ``v = sum a_i w_i``, a block of ``N = sum u_i u_i^T`` (one pattern is one
linear equation, hence one Lorentz transformation: Boursier and Flammarion, "Early alignment in
two-layer networks training is a two-edged sword", JMLR 2025, has the invariant ``a^2 - |w|^2``).
Time is as in `march`.
"""

from collections import namedtuple

import numpy as np

from .jit import kernel, leaf, maker
from .outputs import weight_on
from .slides import project, slide_exit, sliding_planes, turning
from .algebra import greater, lesser, lower_root, norm, zero_rows
from .taylor import ORDER, carry

Groups = namedtuple("Groups", "of first slides slot lam field bend")
"""The patterns on a window: pattern (m,) of each neuron, a neuron (G,) of each, how many
hyperplanes (G,) it slides on; row of each in the arrays that follow, or -1 (G,); propagators
(g, J, d + 1, d + 1), field (g, d) at the middle, and a bound on how far the field is from that
(g,), infinite if a slide ends."""
Neurons = namedtuple("Neurons", "U side loose direction closest led weight")
"""The neurons: ``(a, w)`` (m, d + 1) in units whose squares are ``weight`` (m,), sides and
hyperplanes just left (m, C), their last scans (m, d + 1) and (m, NEAR + 1), and releases that
errors hide (m, 3), see `march`."""


@leaf
def add_moments(of, U, moments):
    """Add ``u u^T`` of every neuron to its pattern's row of ``moments`` (G, (d + 1)^2)."""
    m, e = U.shape
    for i in range(m):
        for b in range(e):
            for c in range(e):
                moments[of[i], b * e + c] += U[i, b] * U[i, c]


@kernel
def tangent_features(moments, to, side, geometry, factor, features):
    """Put roots of the kernels ``sum a^2 P + sum w w^T``, at their active points, in ``features``.

    Parameters
    ----------
    moments : array (G, d + 1, d + 1)
        Sums of ``u u^T`` over the neurons of every pattern.
    to : array of int (G,)
        The pattern, a row of ``side``, that each counts as.
    side : array of int8 (g, C)
        ``P`` projects on the hyperplanes that a pattern slides on.
    geometry : Geometry
    factor : float
        Of the kernels.
    features : array (g d, n)
        The sum of the kernels at all pairs of points is ``features.T @ features``.
    """
    label, length, rows = geometry.label, geometry.length, geometry.rows
    d, n = rows.shape
    e = d + 1
    merged = zero_rows(side.shape[0], e * e)
    for g in range(to.size):
        for b in range(e):
            for c in range(e):
                merged[to[g], b * e + c] += factor * moments[g, b, c]
    planes = np.empty(d, np.int64)
    basis = np.empty((d, d))
    one = zero_rows(d, d)
    for c in range(d):
        one[c, c] = 1.0
    P = np.empty((d, d))
    K = np.empty((d, d))
    on = np.empty(n)
    for g in range(side.shape[0]):
        count = sliding_planes(side[g], planes, d)
        if count > 0:
            project(planes, count, geometry.normal, one, P, basis)
        for b in range(d):
            for c in range(d):
                K[b, c] = merged[g, (1 + b) * e + 1 + c] + merged[g, 0] * (
                    P[b, c] if count > 0 else one[b, c])
        lower_root(K)
        for k in range(n):
            on[k] = 0.0
            if label[k] >= 0:
                on[k] = weight_on(side[g, label[k]] * length[k], geometry.slope)
        for c in range(d):
            row = g * d + c
            for k in range(n):
                features[row, k] = K[c, c] * rows[c, k]
            for b in range(c + 1, d):
                for k in range(n):
                    features[row, k] += K[b, c] * rows[b, k]
            for k in range(n):
                features[row, k] *= on[k]


@maker
def fastest(of, U, G):
    """The most of `turning` (G,) of the neurons ``U`` (m, d + 1) of every pattern."""
    most = np.zeros(G)
    for i in range(of.size):
        most[of[i]] = greater(most[of[i]], turning(U[i]))
    return most


@maker
def propagators(begin, end, groups, D, side, U, normal, force, times):
    """Fill ``groups.lam``, ``field`` and ``bend`` for the patterns ``begin`` to ``end - 1``.

    ``u(times[j]) = u(-1) @ lam[g, j]``, unless a slide ends on the window. ``D`` is (G, p, d),
    ``times`` (J,) ends with 1; ``side`` (m, C) and ``U`` (m, d + 1) are those at the start.
    """
    p, d = D.shape[1:]
    lams, fields, bends = groups.lam, groups.field, groups.bend
    T = np.empty((p, d))
    F = np.empty((p, d))
    P = np.empty((p, d))
    series = np.empty((ORDER + 1, d + 1))
    basis = np.empty((d, d))
    planes = np.empty(d, np.int64)
    lam = np.empty((d, p))
    solve = np.empty((d, d))
    z = np.empty(p)
    tail = np.empty(p)
    u = np.empty(d + 1)
    led = np.empty((1, 3))
    turns = np.empty(0)
    for pattern in range(begin, end):
        g = groups.slot[pattern]
        if g < 0:
            continue
        i = groups.first[pattern]
        for j in range(p):
            for c in range(d):
                F[j, c] = P[j, c] = D[pattern, j, c]
        count = sliding_planes(side[i], planes, groups.slides[pattern])
        if count > 0:
            led[0, 0] = 2.0
            if turns.size == 0:
                turns = fastest(groups.of, U, D.shape[0])
            rank = project(planes, count, normal, F, P, basis)
            end_s, _, _ = slide_exit(-1.0, np.sign(U[i, 0]), planes, count, rank, basis, F,
                                     force.plus, force.minus, side[i], force.plus_error,
                                     force.minus_error, force.unit_r, force.split_r, normal, lam,
                                     solve, z, tail, turns[pattern],
                                     force.band, led, 0)
            if lesser(end_s, led[0, 0]) <= 1.0 or U[i, 0] == 0.0:
                bends[g] = np.inf
                continue
        bends[g] = 0.0
        for c in range(d):
            fields[g, c] = P[0, c]
        for j in range(1, p):
            bends[g] += norm(P[j])
        for row in range(d + 1):
            for c in range(d + 1):
                u[c] = 1.0 if c == row else 0.0
            if not carry(u, P, times, force.accuracy, T, series, lams[g, :, row]):
                bends[g] = np.inf


@leaf
def stays(u, side, direction, closest, normal, field, bend):
    """Whether a neuron certainly meets no hyperplane on the window: see `scan` for its arrays.

    Its weight moves by ``int a D``, and ``D`` stays within ``bend`` of ``field``.
    """
    d = field.size
    a = u[0]
    along, drive, across, push, top = 0.0, 0.0, 0.0, 0.0, 0.0
    for c in range(d):
        along += u[1 + c] * direction[c]
        drive += field[c] * direction[c]
        top += field[c] ** 2
    if not along > 0.0:
        return False
    for c in range(d):
        across += (u[1 + c] - along * direction[c]) ** 2
        push += (field[c] - drive * direction[c]) ** 2
    across, push = np.sqrt(across), np.sqrt(push) + bend
    size_w = np.sqrt(across * across + along * along)
    one_sign = abs(a) >= size_w * (1.0 - 1e-9)
    sign = 1.0 if a > 0.0 else -1.0
    top = np.sqrt(top) + bend
    if not top <= 20.0:
        return False
    # int |a| over the window, from above.
    reach = np.sqrt(a * a + size_w * size_w) * (np.expm1(2.0 * top) / top if top > 0 else 2.0)
    far = direction[d]
    if far < np.inf:
        drive = sign * drive - bend if one_sign else -top
        # Growing, it moves across and along in a fixed proportion at worst, however far.
        safe = drive > 0.0 and greater(across / along, push / drive) < far
        if not safe and across + reach * push >= far * (along + reach * lesser(drive, 0.0)):
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


@leaf
def keeps_clear(states, side, axis, closest, normal, to_series, margin, spread, series):
    """Whether a neuron that goes with its group meets no hyperplane on the window.

    ``states`` (J, d + 1) are its states at the Chebyshev nodes; `stays` is coarser, and cheaper.
    ``margin`` is a distance, relative to the norm, that is too close; neurons whose weights are
    within ``spread`` of it keep clear too; ``series`` (J, d) is work space.
    """
    J, d = series.shape
    for j in range(J):
        for c in range(d):
            series[j, c] = 0.0
        for e in range(J):
            for c in range(d):
                series[j, c] += to_series[j, e] * states[e, 1 + c]
    along, across, reach, size_w = 0.0, 0.0, 0.0, 0.0
    for j in range(J):
        p, square, total = 0.0, 0.0, 0.0
        for c in range(d):
            p += series[j, c] * axis[c]
        for c in range(d):
            square += (series[j, c] - p * axis[c]) ** 2
            total += series[j, c] ** 2
        total = np.sqrt(total)
        along += p if j == 0 else -abs(p)
        across += np.sqrt(square)
        if j == 0:
            size_w = total
        else:
            # The tail stands for what the series leaves out.
            reach += total if j < J - 2 else 4.0 * total
    along, across = along - spread, across + spread
    if not along > 0.0 or not across < axis[d] * along:
        return False
    margin = margin * size_w + spread
    for q in range(closest[closest.size - 1]):
        h = closest[q]
        if side[h] == 0:
            continue
        low = -margin
        for c in range(d):
            low += side[h] * series[0, c] * normal[h, c]
        if low > reach:
            continue
        for j in range(1, J):
            z = 0.0
            for c in range(d):
                z += series[j, c] * normal[h, c]
            low -= abs(z) if j < J - 2 else 4.0 * abs(z)
        if not low > 0.0:
            return False
    return True


@leaf
def goes_along(i, g, neurons, groups, normal, start, state, margin, wanted, to_series, series):
    """Whether a neuron certainly goes with its group to the end of the window.

    Its states at the times are put in ``state`` if they are wanted, or needed to tell.
    """
    side, direction, closest = neurons.side[i], neurons.direction[i], neurons.closest[i]
    calm = stays(start, side, direction, closest, normal, groups.field[g], groups.bend[g])
    if not wanted and (calm or to_series.size == 0):
        return calm
    lam = groups.lam
    for j in range(lam.shape[1]):
        for c in range(start.size):
            total = 0.0
            for e in range(start.size):
                total += start[e] * lam[g, j, e, c]
            state[j, c] = total
    return calm or to_series.size > 0 and keeps_clear(state, side, direction, closest, normal,
                                                      to_series, margin, 0.0, series)
