"""One neuron through one window of time, given the residuals: its own events, its own sliding.

Given ``r(t)`` a neuron obeys the linear equation ``a' = w.D``, ``w' = a D`` with a polynomial ``D``
between its events (one pattern, one linear ODE). A Taylor series of it is exact to rounding on a
piece; an event is a change of ``D`` along one normal.

Time is ``s`` in [-1, 1] on the window; residuals carry the factor ``half / n`` (half the length of
the window over the number of points), so that all fields here are per unit of ``s``.
"""

from collections import namedtuple

import numpy as np
from numba import njit

from .contacts import ON_SURFACE, RELEASE_BELOW
from .jit import leaf, maker
from .modes import ROUNDING, choose_side, choose_sides, row_dot
from .slides import project, slide_exit, sliding_planes
from .switch import AT_REST, SMALL, norm, put_on, sign_after
from .taylor import ORDER, at, expand, polynomial, shift, speed
from .watch import NEAR, SIMULTANEOUS, allowed, contacts, scan, turned

FINE, STUCK, FULL, BROKEN, GROUPED = 0, 1, 2, 3, 4
"""How a march ended: well; events without progress; no room for more events; not finite;
well and without an event, its outputs left to its group."""

STEEP = 10.0
"""A neuron is not moved by more than this, over its distances, to planes that it leaves."""

Geometry = namedtuple("Geometry",
                      "normal columns below above label length start member rows")
"""The data: unit normals (C, d) of the hyperplanes and their transpose (d, C), number of points
active on side -1 and on side 1 of each (C,), hyperplane and signed length of each point (n,), the
points of hyperplane h as ``member[start[h]:start[h + 1]]``, and all as columns (d, n)."""
Force = namedtuple("Force", "plus minus size noise accuracy band unit_r split_r unit_u split_u")
"""The residuals on a window: field along every normal on its side 1 and -1, monomial coefficients
in s (C, p); magnitude of the terms of a field, and the error of the residuals as part of one;
accuracy of the Taylor pieces, and of the weights, relative; tables of `roots` for fields and
for neurons."""
Work = namedtuple("Work", "T P U w z series near basis planes lam tail touched when Z new field "
                          "axis heights")
"""Work space of `march`."""


def work_space(p, d, C, n):
    """Arrays for any number of marches."""
    room = C + NEAR + d + 1
    return Work(np.empty((p, d)), np.empty((p, d)), np.empty((ORDER + 1, d + 1)), np.empty(d),
                np.empty(max(ORDER + 1, C, p)), np.empty(ORDER + 1), np.empty(room, np.int64),
                np.empty((d, d)), np.empty(d, np.int64), np.empty((d, p)), np.empty(p),
                np.empty(room, np.int64), np.empty(room), np.empty(room, np.int64),
                np.empty(room, np.int8), np.empty(d), np.empty(d + 1), np.empty(n))


@leaf
def change_side(h, new, side, D, plus, minus, normal):
    """Move a neuron to side ``new`` of hyperplane ``h``: its side and its field."""
    p, d = D.shape
    old = side[h]
    for j in range(p):
        amount = 0.0
        if old == 1:
            amount -= plus[h, j]
        elif old == -1:
            amount -= minus[h, j]
        if new == 1:
            amount += plus[h, j]
        elif new == -1:
            amount += minus[h, j]
        for c in range(d):
            D[j, c] += amount * normal[h, c]
    side[h] = new


@leaf
def settle(u, s, total, Z, D, side, normal, below, above, plus, minus, size, new, field, w, jump):
    """New sides ``new`` on the hyperplanes ``Z`` that a neuron lies on at ``s``, jointly.

    ``u`` is put on them; ``field``, ``w`` (d,) and ``jump`` are work space. Returns the sign of the
    output weight after, and the number of solutions.
    """
    p, d = D.shape
    for c in range(d):
        value = 0.0
        for j in range(p - 1, -1, -1):
            value = value * s + D[j, c]
        field[c] = value
        w[c] = u[1 + c]
    for q in range(total):
        h = Z[q]
        up, down = polynomial(plus, h, s), polynomial(minus, h, s)
        jump[q] = up - down
        amount = down - (up if side[h] == 1 else down if side[h] == -1 else 0.0)
        for c in range(d):
            field[c] += amount * normal[h, c]
    sign = sign_after(u[0], w, field, size)
    if total == 1:
        h = Z[0]
        new[0], solutions = choose_side(sign, row_dot(normal, h, field), jump[0],
                                        below[h], above[h], ROUNDING * size)
        if d > 1:
            along = row_dot(normal, h, w)
            for c in range(d):
                u[1 + c] -= along * normal[h, c]
        return sign, solutions
    return sign, settle_jointly(u, sign, total, Z, normal, below, above, size, new, field, w, jump)


@maker
def settle_jointly(u, sign, total, Z, normal, below, above, size, new, field, w, jump):
    """`settle` on several hyperplanes; the number of solutions."""
    d = w.size
    V = np.empty((total, d))
    fewer = np.empty(total, np.int64)
    more = np.empty(total, np.int64)
    for q in range(total):
        fewer[q], more[q] = below[Z[q]], above[Z[q]]
        for c in range(d):
            V[q, c] = normal[Z[q], c]
    sides, solutions = choose_sides(sign, field, V, jump[:total], fewer, more, size)
    put = put_on(w, V)
    away, moved, kept = 0.0, 0.0, 0
    for q in range(total):
        away = max(away, abs(row_dot(V, q, w)))
    for q in range(total):
        new[q] = sides[q]
        if sides[q] == 0:
            for c in range(d):
                V[kept, c] = V[q, c]
            kept += 1
    for c in range(d):
        moved += (put[c] - w[c]) ** 2
    if moved > (STEEP * away) ** 2:
        # Planes that almost have a line in common meet far off: only those that it slides on.
        put = put_on(w, V[:kept])
    for c in range(d):
        u[1 + c] = put[c]
    return solutions


@njit(error_model="numpy", nogil=True, inline="always")
def march(neuron, u, side, loose, D, geometry, force, times, states, log, room, axis, closest,
          slides, grouped, weight, energy, work):
    """Carry one neuron from s = -1 to s = 1.

    Parameters
    ----------
    neuron : int
        Its number, for the log.
    u : array (d + 1,)
        ``(a, w)``; replaced by its end.
    side : int8 array (C,), loose : bool array (C,)
        Sides, and hyperplanes just left; replaced by those at the end.
    D : array (p, d)
        Field of its active points, monomial coefficients in s; replaced.
    geometry, force : Geometry, Force
    times : array (J,)
        Increasing times in [-1, 1] at which the state is wanted.
    states : array (J, d + 1)
        Receives them.
    log : array (E, 6)
        Receives events: neuron, s, hyperplane (-1: at rest at w = 0), old side, new side, and how
        much the output bends there at a point of length one.
    room : int array (2,)
        Number of rows of ``log`` in use, updated; number of ambiguous instants, updated.
    axis : array (d + 1,), closest : int array (NEAR + 1,)
        Last `scan`: direction and ``far``; the near hyperplanes and their number. Updated.
    slides : int
        Number of hyperplanes of side 0.
    grouped : bool
        Return GROUPED if there is no event.
    weight : float
        Square of the unit that ``u`` is given in.
    energy : array
        The integral of ``weight |du/ds|^2`` is added to its first entry, if it has one.
    work : Work

    Returns
    -------
    int
        FINE, GROUPED, STUCK, FULL or BROKEN.
    """
    normal, plus, minus = geometry.normal, force.plus, force.minus
    T, P, U, w, near, planes, basis = (work.T, work.P, work.U, work.w, work.near, work.planes,
                                       work.basis)
    touched, when, axis_now, z = work.touched, work.when, work.axis, work.z
    p, d = D.shape
    C, J = side.size, times.size
    Z, new = work.Z, work.new
    s, j_out, stalled = -1.0, 0, 0
    first_row = room[0]
    gap = 2.0
    rest, begun = True, 0.0
    for c in range(d):
        rest = rest and u[1 + c] == 0.0
        w[c] = u[1 + c]
        begun += w[c] * w[c]
    begun = np.sqrt(begun) if begun < (SMALL * u[0]) ** 2 else np.inf
    near_count, fresh, rescanned = closest[NEAR], False, False
    for q in range(near_count):
        near[q] = closest[q]
    for c in range(d + 1):
        axis_now[c] = axis[c]
    sign = np.sign(u[0])
    if sign == 0.0:
        # It leaves zero with w.D.
        odd = 1.0
        for j in range(p):
            for c in range(d):
                sign += odd * D[j, c] * u[1 + c]
            odd = -odd
        sign = np.sign(sign)
    count, rank = 0, 0
    F = D
    exit_s, exit_plane, exit_kind = 2.0, -1, RELEASE_BELOW
    switched = not rest
    while True:
        if switched:
            switched = False
            F = D
            exit_s = 2.0
            count = sliding_planes(side, planes, min(slides, d))
            if count > 0:
                rank = project(planes, count, normal, D, P, basis)
                F = P
                exit_s, exit_plane, exit_kind = slide_exit(
                    s, sign, planes, count, rank, basis, D, plus, minus,
                    1e-13 * force.size + force.noise, force.unit_r, force.split_r, normal, work.lam,
                    z, work.tail)
        # 1. The piece: as long as the series is accurate and far hyperplanes stay far.
        if rest:
            K = 0
            for c in range(d + 1):
                U[0, c] = u[c]
            x = 1.0 - s
        else:
            shift(F, s, T)
            x = min(min(1.0 - s, exit_s - s), 2.5 * gap)
            if axis_now[d] < np.inf:
                for c in range(d):
                    w[c] = u[0] * T[0, c]
                now, reach = allowed(u, w, axis_now)
                if now > 0.5 * axis_now[d] and not fresh:
                    for c in range(d):
                        w[c] = u[1 + c]
                    near_count = scan(w, side, geometry.columns, axis_now, near, z)
                    fresh, rescanned = True, True
                    for c in range(d):
                        w[c] = u[0] * T[0, c]
                    now, reach = allowed(u, w, axis_now)
                x = min(x, max(reach, 1e-14))
            K, x = expand(u, T, x, force.accuracy, U)
            finite = x
            for c in range(d + 1):
                finite += U[K, c]
            if not (x >= 0.0 and np.isfinite(finite)):
                return BROKEN
            halvings = 0
            while turned(U, K, axis_now, x) >= axis_now[d] and halvings < 60:
                x /= 2
                halvings += 1
        # 2. Its first contact.
        hits, first = 0, 2.0 * x + 1e-300
        if not rest:
            hits, first = contacts(U, K, x, sign, count > 0, side, loose, near, near_count, normal,
                                   force.band, ON_SURFACE, force.unit_u, force.split_u, touched,
                                   when, z, work.series)
        released = False
        if hits == 0 and count > 0 and exit_s <= s + x and exit_s <= 1.0:
            released = True
            first = exit_s - s
        elif hits > 0 and count > 0 and exit_s - s <= first + SIMULTANEOUS and exit_s <= 1.0:
            touched[hits], when[hits] = exit_plane, exit_s - s
            hits += 1
        x_end = min(first, x) if hits > 0 or released else x
        # 3. Outputs on the way.
        while j_out < J and (times[j_out] < s + x_end or
                             (hits == 0 and not released and s + x_end >= 1.0 - 1e-15)):
            at(U, K, times[j_out] - s, states[j_out])
            j_out += 1
        if energy.size > 0:
            energy[0] += weight * speed(U, K, x_end)
        at(U, K, x_end, u)
        finite = 0.0
        for c in range(d + 1):
            finite += abs(u[c])
        if not np.isfinite(finite):
            return BROKEN
        s = s + x_end
        fresh = fresh and x_end == 0.0
        stalled = stalled + 1 if x_end < 1e-14 else 0
        if stalled > 1000:
            return STUCK
        if hits == 0 and not released:
            if s >= 1.0 - 1e-15:
                break
            gap *= 2.0
            continue
        gap = 0.5 * (min(gap, 8.0 * x_end) + x_end) + 1e-12
        # 4. The switch.
        if room[0] + C + 1 > log.shape[0]:
            return FULL
        for c in range(d):
            w[c] = u[1 + c]
        size_w = norm(w)
        if size_w <= AT_REST * min(abs(u[0]), begun) or size_w == 0.0:
            rest = True
            for c in range(d):
                u[1 + c] = 0.0
            log[room[0], 0], log[room[0], 1], log[room[0], 2] = neuron, s, -1.0
            log[room[0], 3], log[room[0], 4], log[room[0], 5] = 0.0, 0.0, 0.0
            room[0] += 1
            count, exit_s = 0, 2.0
            continue
        slid = total = count
        drift = 0.0
        if not released:
            # How fast it comes to the first hyperplane, per unit of a.
            for j in range(p - 1, -1, -1):
                value = 0.0
                for c in range(d):
                    value += F[j, c] * normal[max(touched[0], 0), c]
                drift = drift * s + value
        if released:
            # The other multipliers are continuous: only what was released changes.
            for q in range(count):
                loose[planes[q]] = True
            Z[0], total = exit_plane, 1
            new[0] = -1 if exit_kind == RELEASE_BELOW else 1
        else:
            # Every hyperplane it lies on: met, sliding, or within rounding.
            for q in range(count):
                Z[q] = planes[q]
            for q in range(near_count):
                plane = near[q]
                if side[plane] == 0:
                    continue
                lies = abs(row_dot(normal, plane, w)) <= ON_SURFACE * size_w
                for e in range(hits):
                    if touched[e] == plane and when[e] <= first + SIMULTANEOUS:
                        lies = True
                if lies:
                    Z[total] = plane
                    total += 1
            sign, solutions = settle(u, s, total, Z, D, side, normal, geometry.below,
                                     geometry.above, plus, minus, force.size, new, work.field, w,
                                     when)
            if solutions > 1:
                room[1] += 1
        for q in range(total):
            plane = Z[q]
            loose[plane] = True
            if side[plane] == 0:
                # It is near from now on, whatever the last scan left out.
                known = False
                for e in range(near_count):
                    known = known or near[e] == plane
                if not known:
                    near[near_count] = plane
                    near_count += 1
                    rescanned = True
            if new[q] != side[plane]:
                row = room[0]
                log[row, 0], log[row, 1], log[row, 2] = neuron, s, plane
                log[row, 3], log[row, 4] = side[plane], new[q]
                # By |a| |dz/ds| the output bends at points of unit length.
                log[row, 5] = weight * u[0] * u[0] * abs(drift)
                room[0] = row + 1
                change_side(plane, new[q], side, D, plus, minus, normal)
        slides = slid if released else 0
        for q in range(total):
            slides += new[q] == 0
        if released:
            slides -= 1
        switched = True
    if rescanned:
        kept = near_count <= NEAR
        for c in range(d):
            axis[c] = axis_now[c]
        axis[d] = axis_now[d] if kept else 0.0
        closest[NEAR] = near_count if kept else 0
        for q in range(near_count if kept else 0):
            closest[q] = near[q]
    if not rest:
        for c in range(d):
            w[c] = u[1 + c]
        tighten(w, side, loose, normal, force.band)
    return GROUPED if grouped and not rest and room[0] == first_row else FINE


@leaf
def tighten(w, side, loose, normal, band):
    """Forget the hyperplanes that a neuron has clearly left."""
    size_w = norm(w)
    for h in range(side.size):
        if loose[h]:
            loose[h] = side[h] * row_dot(normal, h, w) <= band * size_w


@leaf
def correct(log, begin, end, times, states, weight, geometry, h):
    """Add to ``h`` (J, n) what the events ``begin`` to ``end - 1`` of a neuron change in the
    outputs of the pattern that it started with."""
    start, member, length, rows = (geometry.start, geometry.member, geometry.length,
                                   geometry.rows)
    d = rows.shape[0]
    for e in range(begin, end):
        plane = int(log[e, 2])
        if plane < 0:
            continue
        for q in range(start[plane], start[plane + 1]):
            k = member[q]
            change = ((1.0 if log[e, 4] * length[k] > 0.0 else 0.0)
                      - (1.0 if log[e, 3] * length[k] > 0.0 else 0.0)) * weight
            if change == 0.0:
                continue
            for j in range(times.size - 1, -1, -1):
                if times[j] < log[e, 1]:
                    break
                z = 0.0
                for c in range(d):
                    z += rows[c, k] * states[j, 1 + c]
                h[j, k] += change * states[j, 0] * z


@leaf
def deposit(states, weight, rows, z, h):
    """Add the outputs ``a relu(w.x)`` of a neuron at all times to ``h`` (J, n).

    The sign of ``w.x`` stands for the pattern: they differ where it is rounding.
    """
    d, n = rows.shape
    for j in range(states.shape[0]):
        for k in range(n):
            z[k] = states[j, 1] * rows[0, k]
        for c in range(1, d):
            along = states[j, 1 + c]
            for k in range(n):
                z[k] += along * rows[c, k]
        out = states[j, 0] * weight
        for k in range(n):
            h[j, k] += out * (z[k] if z[k] > 0.0 else 0.0)
