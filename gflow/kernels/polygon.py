"""One neuron in fixed residuals: straight rays between hyperplanes, with closed-form times.

In a cell the field ``D`` is constant, so that ``dw/ds = D`` in the clock ``ds = a dt``: ``w`` moves
on a ray, whatever ``|a|`` (derived here; on aligned data these are the yardstick trajectories of
Chistikov, Englert and Lazic, "Learning a neuron by a shallow ReLU network", 2023). With
``e = D/|D|`` and ``q = e.w`` the pair ``(a, q)`` is boosted: ``P = a + q`` grows like
``exp(|D| t)``, ``M = a - q`` shrinks like ``exp(-|D| t)``, and ``c = P M`` stays.

A neuron with ``a < 0`` is one with ``a > 0`` in the field ``-D``: below ``a`` is positive, fields
carry its sign.
"""

import math
from collections import namedtuple

import numpy as np

from .crossings import ON_SURFACE
from .jit import kernel
from .march import change_side, settle
from .filippov import ROUNDING
from .algebra import dot, row_dot
from .slides import project, sliding_planes
from .algebra import norm
from .switch import sign_after
from .watch import NEAR, scan

SETTLED, STANDS, STUCK, FULL = 0, 1, 2, 3
"""How a neuron ends: on its last ray; at rest; in events without progress; no room for events."""
AT_REST_EVENT = -1
"""Hyperplane of the event of a neuron that comes to rest at w = 0: it lies on all of them."""
VANISHED = 1e-14
"""A neuron this much smaller than its last way has reached w = 0, to rounding."""
REFRESH = 64
"""Changes of the field after which it is summed again."""
MOST = 10_000
"""So many events, and a hundred for each hyperplane, are no progress but rounding."""
GROWS, SHRINKS, STAYS = 0, 1, 2
"""What ``w`` does on a ray: grows in the end, shrinks to 0 for ever, or moves for a finite time."""

Planes = namedtuple("Planes", "normal columns below above plus minus size")
"""Unit normals (C, d), their transpose, points active on side -1 and 1 (C,); field along each
normal on side 1 and -1 (C, 1); magnitude of the terms of a field."""
Work = namedtuple("Work", "w F e D P basis planes near axis z speed Z new field jump")


@kernel
def work_space(C, d):
    """Arrays for any number of neurons."""
    room = C + NEAR + d + 1
    return Work(np.empty(d), np.empty(d), np.empty(d), np.empty((1, d)), np.empty((1, d)),
                np.empty((d, d)), np.empty(d, np.int64), np.empty(room, np.int64),
                np.empty(d + 1), np.empty(C), np.empty(C), np.empty(room, np.int64),
                np.empty(room, np.int8), np.empty(d), np.empty(room))


@kernel
def ray_time(a, q, b, p, c):
    """``|D| t`` from (a, q) to (b, p) with ``p > q`` on one ray of invariant ``c``, to rounding."""
    if q < 0.0 and p > 0.0:
        turn = np.sqrt(c)
        return ray_time(a, q, turn, 0.0, c) + ray_time(turn, 0.0, b, p, c)
    slope = (q + p) / (a + b)
    if p <= 0.0:
        return np.log1p((p - q) * (1.0 - slope) / (b - p))
    return np.log1p((p - q) * (1.0 + slope) / (a + q))


@kernel
def on_ray(x, P, M, goes, w, q, e, out):
    """Put (a, w) at ``|D| t = x`` on a ray in ``out``, over exp of what is returned."""
    f = np.exp(-x)
    if goes == GROWS:
        a, p, across, factor = (P + M * f * f) / 2, (P - M * f * f) / 2, f, x
    elif goes == SHRINKS:
        a, p, across, factor = M / 2, -M / 2, 0.0, -x
    else:
        a, p, across, factor = (P / f + M * f) / 2, (P / f - M * f) / 2, 1.0, 0.0
    out[0] = a
    for j in range(e.size):
        out[1 + j] = across * (w[j] - q * e[j]) + p * e[j]
    return factor


@kernel
def whole_field(side, planes, D):
    """Sum the field ``D`` (1, d) of a neuron from its sides."""
    C, d = planes.normal.shape
    for j in range(d):
        D[0, j] = 0.0
    for h in range(C):
        pull = planes.plus[h, 0] if side[h] == 1 else planes.minus[h, 0] if side[h] == -1 else 0.0
        if pull != 0.0:
            for j in range(d):
                D[0, j] += pull * planes.normal[h, j]


@kernel
def watched(w, side, columns, axis, near, z):
    """Hyperplanes to look at from here, in ``near``: their number. See `scan`."""
    C = side.size
    if C > NEAR:
        return scan(w, side, columns, axis, near, z)
    for h in range(C):
        near[h] = h
    axis[w.size] = np.inf
    return C


@kernel
def first_of_all(w, F, side, columns, still, z, speed):
    """Ratio test over all hyperplanes: the first that ``w + s F`` meets, and ``s``."""
    d, C = columns.shape
    for h in range(C):
        z[h] = 0.0
        speed[h] = 0.0
    for j in range(d):
        along, drift = w[j], F[j]
        for h in range(C):
            z[h] += along * columns[j, h]
            speed[h] += drift * columns[j, h]
    best, plane = np.inf, -1
    for h in range(C):
        towards = -side[h] * speed[h]
        if towards > still:
            s = max(side[h] * z[h], 0.0)
            if s < best * towards:
                best, plane = s / towards, h
    return best, plane


@kernel
def first_of_near(w, F, side, normal, still, near, count):
    """The same over ``count`` hyperplanes in ``near``."""
    best, plane = np.inf, -1
    for j in range(count):
        h = near[j]
        towards = -side[h] * row_dot(normal, h, F)
        if towards > still:
            s = max(side[h] * row_dot(normal, h, w), 0.0)
            if s < best * towards:
                best, plane = s / towards, h
    return best, plane


@kernel
def reach(w, F, axis):
    """Up to which ``s`` the ray ``w + s F`` stays so close to ``axis`` that it meets no hyperplane
    but the near ones (see `scan`)."""
    d = w.size
    far = 0.999 * axis[d]
    if far == np.inf:
        return np.inf
    along, drift = 0.0, 0.0
    for j in range(d):
        along += w[j] * axis[j]
        drift += F[j] * axis[j]
    c0, c1, c2 = -(far * along) ** 2, -2 * far * far * along * drift, -(far * drift) ** 2
    for j in range(d):
        here, there = w[j] - along * axis[j], F[j] - drift * axis[j]
        c0 += here * here
        c1 += 2 * here * there
        c2 += there * there
    # c0 + c1 s + c2 s^2 = 0 where the tangent of the angle is ``far``.
    if not (c0 < 0.0 and along > 0.0):
        return -1.0
    square = c1 * c1 - 4 * c0 * c2
    if square < 0.0:
        return np.inf
    bottom = c1 + np.sqrt(square)
    return -2 * c0 / bottom if bottom > 0.0 else np.inf


@kernel
def follow(u, power, kind, offset, side, planes, times, states, logs, first_side, event_time,
           event_plane, event_code, field, direction, tail, work):
    """Carry one neuron from time 0 to its last ray, or to where it stands still.

    Parameters
    ----------
    u : array (d + 1,)
        ``(a, w)`` in units of ``2 ** power``, of size about 1; replaced by its state at its last
        event (sign of ``a`` included).
    power : int
    kind, offset : float
        ``a^2 - |w|^2 = kind offset^2`` in the units of the start, see `gflow.balance.Balance`.
    side : int8 array (C,)
        Receives the sides at the end.
    planes : Planes
    times : array (J,)
        Increasing times at which the state is wanted.
    states, logs : arrays (J, d + 1) and (J,)
        Receive ``(a, w)`` over ``exp(log)``.
    first_side : int8 array (C,)
        Receives the sides at the start.
    event_time, event_plane, event_code : arrays (E,)
        Receive the events: ``3 (old + 1) + new + 1`` of a hyperplane, or `AT_REST_EVENT`. If empty
        they are not wanted, and nothing after ``times``.
    field, direction : arrays (d,)
        Receive the field ``D`` at the end, and the limit of ``w / |w|``, NaN at rest.
    tail : array (4,)
        Receives the sign of ``a`` at the end; ``rate`` and ``b`` such that ``log |w|`` tends to
        ``rate t + b``; the time of the last event.
    work : Work

    Returns
    -------
    status, events, choices : int
        How it ended, number of events, number of instants at which the solution was not unique.
    """
    normal, plus, minus, size = planes.normal, planes.plus, planes.minus, planes.size
    w, F, e, D, P_D, near, axis, Z, new = (work.w, work.F, work.e, work.D, work.P, work.near,
                                           work.axis, work.Z, work.new)
    C, d = normal.shape
    J, room, still = times.size, event_time.size, ROUNDING * size
    out, t, events, choices, stalled = 0, 0.0, 0, 0, 0
    count = slides = near_count = changes = 0
    started, rescan, hit, status = False, True, -1, SETTLED
    sign, delta, q, P, M, goes = 0.0, 0.0, 0.0, 0.0, 0.0, STAYS
    for j in range(d):
        w[j] = u[1 + j]
        e[j] = 0.0
    a = abs(u[0])
    sign = np.sign(u[0])
    size_w = norm(w)
    for h in range(C):
        side[h] = 1 if row_dot(normal, h, w) > 0.0 else -1
    if size_w == 0.0:
        # It stays at w = 0, off at every point.
        for h in range(C):
            first_side[h] = side[h]
        for j in range(d):
            D[0, j] = 0.0
        status = STANDS
    else:
        whole_field(side, planes, D)
        tol = ON_SURFACE * size_w
    while status == SETTLED:
        # 1. The hyperplanes that it lies on.
        if rescan:
            near_count = watched(w, side, planes.columns, axis, near, work.z)
            rescan = False
        total = sliding_planes(side, Z, C) if slides > 0 else 0
        for j in range(near_count):
            h = near[j]
            if side[h] != 0 and (h == hit or abs(row_dot(normal, h, w)) <= tol):
                Z[total] = h
                total += 1
        if total > 0:
            u[0] = sign * a
            for j in range(d):
                u[1 + j] = w[j]
            before = sign
            sign, solutions = settle(u, 0.0, total, Z, D, side, normal, planes.below, planes.above,
                                     plus, minus, size, new, work.field, w, work.jump)
            choices += solutions > 1
            if sign != before:
                a = 0.0
            for j in range(d):
                w[j] = u[1 + j]
            size_w = norm(w)
            for j in range(total):
                h = Z[j]
                old = side[h]
                if new[j] == old:
                    continue
                if started:
                    if room > 0:
                        if events == room:
                            return FULL, events, choices
                        event_time[events], event_plane[events] = t, h
                        event_code[events] = 3 * (old + 1) + new[j] + 1
                    events += 1
                slides += (new[j] == 0) - (old == 0)
                rescan = rescan or old == 0
                changes += 1
                change_side(h, new[j], side, D, plus, minus, normal)
        elif not started or a == 0.0:
            sign = sign_after(sign * a, w, D[0], size)
        if not started:
            for h in range(C):
                first_side[h] = side[h]
            started = True
        if sign == 0.0:
            status = STANDS
            break
        if rescan:
            near_count = watched(w, side, planes.columns, axis, near, work.z)
            rescan = False
        if changes > REFRESH:
            whole_field(side, planes, D)
            changes = 0
        # 2. The ray from here, and its end.
        complete = False
        while True:
            count = sliding_planes(side, work.planes, d) if slides > 0 else 0
            rank = 0
            if count > 0:
                rank = project(work.planes, count, normal, D, P_D, work.basis)
            for j in range(d):
                F[j] = sign * (P_D[0, j] if count > 0 else D[0, j])
            if rank > 0 and rank == d - 1:
                # On a ray w itself tells the direction, which a small rest of D does not.
                along = dot(F, w) / size_w
                for j in range(d):
                    F[j] = along * w[j] / size_w
            delta = norm(F)
            final = delta <= still
            if not final:
                for j in range(d):
                    e[j] = F[j] / delta
                q = dot(e, w)
                for j in range(d):
                    work.field[j] = w[j] - q * e[j]
                across = norm(work.field)
                # Antiparallel to its field to rounding.
                against = q < 0.0 and across <= ON_SURFACE * size_w
                if not (complete or against):
                    s, hit = first_of_near(w, F, side, normal, still, near, near_count)
                    if hit >= 0 and s <= reach(w, F, axis):
                        break
                s, hit = first_of_all(w, F, side, planes.columns, still, work.z, work.speed)
                complete = True
                final = against or hit < 0
            if not final or changes == 0:
                break
            # Nothing comes after: with a field free of the rounding of many changes.
            whole_field(side, planes, D)
            changes = 0
        if delta <= still:
            status = STANDS
            break
        rescan = complete
        if kind >= 0.0:
            c = offset * offset + (0.0 if against else across * across)
        else:
            c = (a - q) * (a + q)
        P = c / (a - q) if q < 0.0 else a + q
        M = a - q if q <= 0.0 else c / (a + q)
        goes = GROWS if P > 0.0 else SHRINKS if against and kind == 0.0 else STAYS
        if goes == SHRINKS or goes == STAYS and c == 0.0 and s * delta >= -q:
            break
        turns = c < 0.0 and q < 0.0
        ends = against and kind > 0.0
        if turns:
            # a = 0 comes first: from there on it goes back.
            s_turn = a * a / (np.sqrt(-c) - q) / delta
            turns = s_turn < s
            if turns:
                s = s_turn
        elif ends:
            s = -q / delta
        elif hit < 0:
            break
        goes = STAYS if turns else GROWS
        p = q + s * delta
        if turns:
            x = np.arctanh(a / -q)
            b = 0.0
        elif kind < 0.0:
            b = np.sqrt(max(a * a + s * delta * (q + p), 0.0))
            x = ray_time(a, q, b, p, max(c, 0.0))
        else:
            b = np.hypot(p, np.sqrt(c))
            x = ray_time(a, q, b, p, c)
        while out < J and times[out] < t + x / delta:
            logs[out] = on_ray((times[out] - t) * delta, P, M, goes, w, q, e, states[out])
            states[out, 0] *= sign
            logs[out] += power * np.log(2.0)
            out += 1
        if room == 0 and out == J:
            return SETTLED, events, choices
        stalled = stalled + 1 if s * delta <= tol else 0
        if stalled > 1000 + C or events > MOST + 100 * C:
            status = STUCK
            break
        t += x / delta
        way = size_w + s * delta
        for j in range(d):
            w[j] += s * F[j]
        size_w = norm(w)
        a = np.hypot(size_w, offset) if kind >= 0.0 else b
        tol = ON_SURFACE * size_w + 4e-16 * way
        if turns:
            hit = -1
            sign = -sign
        if ends or size_w <= VANISHED * way:
            if room > 0:
                if events == room:
                    return FULL, events, choices
                event_time[events], event_plane[events] = t, AT_REST_EVENT
                event_code[events] = 0
            events += 1
            for j in range(d):
                w[j] = 0.0
                D[0, j] = 0.0
            size_w, slides = 0.0, 0
            status = STANDS
            break
        # Units in which the neuron has size one.
        shift = math.frexp(max(a, size_w))[1]
        if abs(shift) > 8:
            a, size_w = math.ldexp(a, -shift), math.ldexp(size_w, -shift)
            tol, offset = math.ldexp(tol, -shift), math.ldexp(offset, -shift)
            for j in range(d):
                w[j] = math.ldexp(w[j], -shift)
            power += shift
    # 3. The end.
    u[0] = sign * a
    for j in range(d):
        u[1 + j] = w[j]
        field[j] = 0.0 if status == STANDS else sign * F[j]
        direction[j] = np.nan
    if status != SETTLED:
        goes, delta, rate, height = STAYS, 0.0, 0.0, np.log(size_w)
        P = M = a
        q = 0.0
    elif goes == GROWS:
        rate, height = delta, np.log(P / 2) - delta * t
        for j in range(d):
            direction[j] = e[j]
    elif goes == SHRINKS:
        rate, height = -delta, np.log(M / 2) + delta * t
        for j in range(d):
            direction[j] = -e[j]
    else:
        rate, height = 0.0, np.log(across)
        for j in range(d):
            direction[j] = (w[j] - q * e[j]) / across
    while out < J:
        logs[out] = on_ray((times[out] - t) * delta, P, M, goes, w, q, e, states[out])
        states[out, 0] *= sign
        logs[out] += power * np.log(2.0)
        out += 1
    tail[0], tail[1], tail[2], tail[3] = sign, rate, height + power * np.log(2.0), t
    return status, events, choices


@kernel
def follow_all(neurons, start, power, kind, offset, planes, times, event_time, event_plane,
               event_code, counts, sides, vectors, tail, states, logs):
    """`follow` some ``neurons``. Arrays of events have a row for each of these, all others for
    every neuron: ``counts`` (3, m) is what `follow` returns, ``sides`` (2, m, C) are those at the
    start and at the end, ``vectors`` (2, m, d) are fields and directions."""
    work = work_space(*planes.normal.shape)
    u = np.empty(start.shape[1])
    for j in range(neurons.size):
        i = neurons[j]
        for c in range(u.size):
            u[c] = start[i, c]
        counts[0, i], counts[1, i], counts[2, i] = follow(
            u, power[i], kind[i], offset[i], sides[1, i], planes, times, states[i], logs[i],
            sides[0, i], event_time[j], event_plane[j], event_code[j], vectors[0, i],
            vectors[1, i], tail[i], work)
