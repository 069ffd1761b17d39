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
from .jit import kernel, leaf, maker
from .settling import change_side, settle
from .filippov import ROUNDING
from .algebra import BLOCK, dot, row_dot
from .slides import project, sliding_planes
from .algebra import norm
from .switch import sign_after
from .watch import NEAR, along_all, scan

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
NEVER, MEETS, TURNS, RESTS = 0, 1, 2, 3
"""How a ray ends: not at all; at a hyperplane; at a = 0, where it turns back; at w = 0."""
EVENTS, CHOICES, SLIDES, CHANGES, NEARBY = 0, 1, 2, 3, 4
"""What ``Work.tally`` counts: events, instants at which the solution was not unique, hyperplanes it
slides on, changes of the field since it was last summed, hyperplanes in ``Work.near``."""

Planes = namedtuple("Planes", "normal columns below above plus minus size")
"""Unit normals (C, d), their transpose, points active on side -1 and 1 (C,); field along each
normal on side 1 and -1 (C, 1); magnitude of the terms of a field."""
Events = namedtuple("Events", "time plane code")
"""Events of one neuron (E,), ``3 (old + 1) + new + 1`` of a hyperplane, or `AT_REST_EVENT`."""
Ray = namedtuple("Ray", "speed q across c P M goes")
"""A ray from where it begins: ``|D|``, ``e.w``, size of the part of ``w`` across ``e``, invariant
``c``, ``P`` and ``M``, and what ``w`` does on it."""
Work = namedtuple("Work", "w F e D P basis planes near axis z speed Z new field jump tally")


@maker
def work_space(C, d):
    """Arrays for any number of neurons."""
    room = C + NEAR + d + 1
    return Work(np.empty(d), np.empty(d), np.empty(d), np.empty((1, d)), np.empty((1, d)),
                np.empty((d, d)), np.empty(d, np.int64), np.empty(room, np.int64),
                np.empty(d + 1), np.empty(C), np.empty(C), np.empty(room, np.int64),
                np.empty(room, np.int8), np.empty(d), np.empty(room),
                np.empty(5, np.int64))


@leaf
def ray_time(a, q, b, p, c):
    """``|D| t`` from (a, q) to (b, p) with ``p > q`` on one ray of invariant ``c``, to rounding."""
    if q < 0.0 and p > 0.0:
        turn = np.sqrt(c)
        return ray_time(a, q, turn, 0.0, c) + ray_time(turn, 0.0, b, p, c)
    slope = (q + p) / (a + b)
    if p <= 0.0:
        return np.log1p((p - q) * (1.0 - slope) / (b - p))
    return np.log1p((p - q) * (1.0 + slope) / (a + q))


@leaf
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


@leaf
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


@leaf
def watched(w, side, columns, axis, near, z):
    """Hyperplanes to look at from here, in ``near``: their number. See `scan`."""
    C = side.size
    if C > NEAR:
        return scan(w, side, columns, axis, near, z)
    for h in range(C):
        near[h] = h
    axis[w.size] = np.inf
    return C


@leaf
def first_of_all(w, F, side, columns, still, z, speed):
    """Ratio test over all hyperplanes: the first that ``w + s F`` meets, and ``s``."""
    C = side.size
    along_all(w, columns, z)
    along_all(F, columns, speed)
    best, plane = np.inf, -1
    for begin in range(0, C, BLOCK):
        # Few come before those that have been found: several at a time, without branches.
        end, hits = min(begin + BLOCK, C), 0
        for h in range(begin, end):
            hits += (-side[h] * speed[h] > still) & (side[h] * z[h] < best * (-side[h] * speed[h]))
        for h in range(begin, end if hits > 0 else begin):
            towards = -side[h] * speed[h]
            if towards > still:
                s = max(side[h] * z[h], 0.0)
                if s < best * towards:
                    best, plane = s / towards, h
    return best, plane


@leaf
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


@leaf
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


@leaf
def look(rescan, side, planes, work):
    """Find the hyperplanes to look at anew, if that is due."""
    if rescan:
        work.tally[NEARBY] = watched(work.w, side, planes.columns, work.axis, work.near, work.z)


@leaf
def refresh(side, planes, work):
    """Sum the field anew, free of the rounding of its changes."""
    whole_field(side, planes, work.D)
    work.tally[CHANGES] = 0


@leaf
def note(t, plane, code, events, tally):
    """Write down an event, if they are wanted; whether there was room."""
    count = tally[EVENTS]
    if events.time.size > 0:
        if count == events.time.size:
            return False
        events.time[count], events.plane[count], events.code[count] = t, plane, code
    tally[EVENTS] = count + 1
    return True


@leaf
def land(u, sign, t, hit, tol, started, side, planes, events, work):
    """`settle` a neuron on every hyperplane that it lies on, ``hit`` among them.

    ``u`` and ``work.w`` are put on them. Returns the sign of the output weight after, whether the
    neuron has to look around again, and whether there was room for the events.
    """
    w, D, Z, tally = work.w, work.D, work.Z, work.tally
    total = sliding_planes(side, Z, side.size) if tally[SLIDES] > 0 else 0
    for j in range(tally[NEARBY]):
        h = work.near[j]
        if side[h] != 0 and (h == hit or abs(row_dot(planes.normal, h, w)) <= tol):
            Z[total] = h
            total += 1
    if total == 0:
        if not started or u[0] == 0.0:
            sign = sign_after(u[0], w, D[0], planes.size)
        return sign, False, True
    after, solutions = settle(u, 0.0, total, Z, D, side, planes.normal, planes.below, planes.above,
                              planes.plus, planes.minus, planes.size, 0.0, work.new, work.field, w,
                              work.jump)
    tally[CHOICES] += solutions > 1
    if after != sign:
        u[0] = 0.0
    for j in range(w.size):
        w[j] = u[1 + j]
    rescan = False
    for j in range(total):
        h, now = Z[j], work.new[j]
        old = side[h]
        if now == old:
            continue
        if started and not note(t, h, 3 * (old + 1) + now + 1, events, tally):
            return after, rescan, False
        tally[SLIDES] += (now == 0) - (old == 0)
        rescan = rescan or old == 0
        tally[CHANGES] += 1
        change_side(h, now, side, D, planes.plus, planes.minus, planes.normal)
    return after, rescan, True


@leaf
def heading(sign, size_w, side, planes, work):
    """Put the field that a neuron follows, on what it slides on, in ``work.F``; its norm."""
    w, F, D = work.w, work.F, work.D
    d = w.size
    count = sliding_planes(side, work.planes, d) if work.tally[SLIDES] > 0 else 0
    rank = 0
    if count > 0:
        rank = project(work.planes, count, planes.normal, D, work.P, work.basis)
    for j in range(d):
        F[j] = sign * (work.P[0, j] if count > 0 else D[0, j])
    if rank > 0 and rank == d - 1:
        # On a ray w itself tells the direction, which a small rest of D does not.
        along = dot(F, w) / size_w
        for j in range(d):
            F[j] = along * w[j] / size_w
    return norm(F)


@leaf
def aim(sign, size_w, still, side, planes, work):
    """The ray from here, along ``work.F`` with its unit vector ``work.e``, and its end.

    Returns its speed |F|, ``e.w`` and the size of what is left of ``w``; whether ``w`` is
    antiparallel to the field; how far it is to the first hyperplane, in s, and which that is (-1 if
    there is none); whether all hyperplanes were looked at.
    """
    w, F, e, tally = work.w, work.F, work.e, work.tally
    speed, q, across, s, hit = 0.0, 0.0, 0.0, np.inf, -1
    against = complete = False
    for _ in range(2):
        speed = heading(sign, size_w, side, planes, work)
        final = speed <= still
        if not final:
            for j in range(w.size):
                e[j] = F[j] / speed
            q = dot(e, w)
            for j in range(w.size):
                work.field[j] = w[j] - q * e[j]
            across = norm(work.field)
            # Antiparallel to its field to rounding.
            against = q < 0.0 and across <= ON_SURFACE * size_w
            if not (complete or against):
                s, hit = first_of_near(w, F, side, planes.normal, still, work.near, tally[NEARBY])
                if hit >= 0 and s <= reach(w, F, work.axis):
                    break
            s, hit = first_of_all(w, F, side, planes.columns, still, work.z, work.speed)
            complete = True
            final = against or hit < 0
        if not final or tally[CHANGES] == 0:
            break
        # Nothing comes after: once more, with a field free of the rounding of many changes.
        refresh(side, planes, work)
    return speed, q, across, against, s, hit, complete


@leaf
def launch(a, speed, q, across, against, kind, offset):
    """The `Ray` from ``a`` and ``q = e.w``: kind and offset as for `follow`."""
    if kind >= 0.0:
        c = offset * offset + (0.0 if against else across * across)
    else:
        c = (a - q) * (a + q)
    P = c / (a - q) if q < 0.0 else a + q
    M = a - q if q <= 0.0 else c / (a + q)
    goes = GROWS if P > 0.0 else SHRINKS if against and kind == 0.0 else STAYS
    return Ray(speed, q, across, c, P, M, goes)


@leaf
def flight(a, s, hit, against, kind, ray):
    """How a ray that meets ``hit`` at ``s`` ends, where, after which ``|D| t``, and ``|a|`` there
    (if ``kind`` is negative)."""
    c, q, speed = ray.c, ray.q, ray.speed
    if ray.goes == SHRINKS or ray.goes == STAYS and c == 0.0 and s * speed >= -q:
        return NEVER, s, 0.0, a
    turns, rests = c < 0.0 and q < 0.0, against and kind > 0.0
    if turns:
        # a = 0 comes first: from there on it goes back.
        s_turn = a * a / (np.sqrt(-c) - q) / speed
        turns = s_turn < s
        if turns:
            return TURNS, s_turn, np.arctanh(a / -q), 0.0
    elif rests:
        s = -q / speed
    elif hit < 0:
        return NEVER, s, 0.0, a
    p = q + s * speed
    if kind < 0.0:
        b = np.sqrt(max(a * a + s * speed * (q + p), 0.0))
        return MEETS, s, ray_time(a, q, b, p, max(c, 0.0)), b
    b = np.hypot(p, np.sqrt(c))
    return RESTS if rests else MEETS, s, ray_time(a, q, b, p, c), b


@leaf
def emit(out, until, t, ray, goes, sign, power, times, states, logs, work):
    """States at ``times[out:]`` before ``until`` on a ray that begins at ``t``; the next out."""
    while out < times.size and (times[out] < until or until == np.inf):
        logs[out] = on_ray((times[out] - t) * ray.speed, ray.P, ray.M, goes, work.w, ray.q,
                           work.e, states[out])
        states[out, 0] *= sign
        logs[out] += power * np.log(2.0)
        out += 1
    return out


@leaf
def finish(status, u, a, sign, t, power, out, ray, times, states, logs, field, direction, tail,
           work):
    """The last ray, or the rest: what `follow` returns in ``u`` and the arrays that follow."""
    w, e = work.w, work.e
    u[0] = sign * a
    for j in range(w.size):
        u[1 + j] = w[j]
        field[j] = 0.0 if status == STANDS else sign * work.F[j]
        direction[j] = np.nan
    rate, height = 0.0, 0.0
    if status != SETTLED:
        ray = Ray(0.0, 0.0, 0.0, 0.0, a, a, STAYS + 0)
        height = np.log(norm(w))
    elif ray.goes == GROWS:
        rate, height = ray.speed, np.log(ray.P / 2) - ray.speed * t
        for j in range(w.size):
            direction[j] = e[j]
    elif ray.goes == SHRINKS:
        rate, height = -ray.speed, np.log(ray.M / 2) + ray.speed * t
        for j in range(w.size):
            direction[j] = -e[j]
    else:
        height = np.log(ray.across)
        for j in range(w.size):
            direction[j] = (w[j] - ray.q * e[j]) / ray.across
    emit(out, np.inf, t, ray, ray.goes, sign, power, times, states, logs, work)
    tail[0], tail[1], tail[2], tail[3] = sign, rate, height + power * np.log(2.0), t


@leaf
def begin(u, side, first_side, planes, work):
    """Put a neuron where it is worked on, with its sides and its field; |w|."""
    w, tally = work.w, work.tally
    for q in range(tally.size):
        tally[q] = 0
    for j in range(w.size):
        w[j] = u[1 + j]
        work.e[j] = 0.0
    for h in range(side.size):
        side[h] = 1 if row_dot(planes.normal, h, w) > 0.0 else -1
        first_side[h] = side[h]
    size_w = norm(w)
    if size_w == 0.0:
        # It stays at w = 0, off at every point.
        for j in range(w.size):
            work.D[0, j] = 0.0
    else:
        whole_field(side, planes, work.D)
    return size_w


@leaf
def follow(u, power, kind, offset, side, planes, times, states, logs, first_side, events,
           field, direction, tail, work):
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
    events : Events
        Receives the events. If empty they are not wanted, and nothing after ``times``.
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
    w, D, tally = work.w, work.D, work.tally
    C, d = planes.normal.shape
    still = ROUNDING * planes.size
    out, t, hit, stalled, status = 0, 0.0, -1, 0, SETTLED
    started, rescan = False, True
    a, sign = abs(u[0]), np.sign(u[0])
    size_w = begin(u, side, first_side, planes, work)
    tol = ON_SURFACE * size_w
    ray = launch(a, 0.0, 0.0, 0.0, True, kind, offset)
    if size_w == 0.0:
        status = STANDS
    while status == SETTLED:
        # 1. The hyperplanes that it lies on.
        look(rescan, side, planes, work)
        u[0] = sign * a
        for j in range(d):
            u[1 + j] = w[j]
        sign, rescan, fits = land(u, sign, t, hit, tol, started, side, planes, events, work)
        if not fits:
            return FULL, tally[EVENTS], tally[CHOICES]
        a, size_w = abs(u[0]), norm(w)
        if not started:
            for h in range(C):
                first_side[h] = side[h]
            started = True
        if sign == 0.0:
            status = STANDS
            break
        look(rescan, side, planes, work)
        if tally[CHANGES] > REFRESH:
            refresh(side, planes, work)
        # 2. The ray from here, and its end.
        speed, q, across, against, s, hit, rescan = aim(sign, size_w, still, side, planes, work)
        if speed <= still:
            status = STANDS
            break
        ray = launch(a, speed, q, across, against, kind, offset)
        end, s, x, b = flight(a, s, hit, against, kind, ray)
        if end == NEVER:
            break
        out = emit(out, t + x / speed, t, ray, STAYS if end == TURNS else GROWS, sign, power,
                   times, states, logs, work)
        if events.time.size == 0 and out == times.size:
            return SETTLED, tally[EVENTS], tally[CHOICES]
        stalled = stalled + 1 if s * speed <= tol else 0
        if stalled > 1000 + C or tally[EVENTS] > MOST + 100 * C:
            status = STUCK
            break
        # 3. On to there.
        t += x / speed
        way = size_w + s * speed
        for j in range(d):
            w[j] += s * work.F[j]
        size_w = norm(w)
        a = np.hypot(size_w, offset) if kind >= 0.0 else b
        tol = ON_SURFACE * size_w + 4e-16 * way
        if end == TURNS:
            hit = -1
            sign = -sign
        if end == RESTS or size_w <= VANISHED * way:
            if not note(t, AT_REST_EVENT, 0, events, tally):
                return FULL, tally[EVENTS], tally[CHOICES]
            for j in range(d):
                w[j] = 0.0
                D[0, j] = 0.0
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
    finish(status, u, a, sign, t, power, out, ray, times, states, logs, field, direction, tail,
           work)
    return status, tally[EVENTS], tally[CHOICES]


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
            sides[0, i], Events(event_time[j], event_plane[j], event_code[j]), vectors[0, i],
            vectors[1, i], tail[i], work)
