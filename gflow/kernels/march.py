"""One neuron through one window of time, given the residuals: its own events, its own sliding.

Given ``r(t)`` a neuron obeys the linear equation ``a' = w.D``, ``w' = a D`` with a polynomial ``D``
between its events (theory: one pattern, one linear ODE). A Taylor series of it is exact to
rounding on a piece; an event is a change of ``D`` along one normal.

Time is ``s`` in [-1, 1] on the window; residuals carry the factor ``half / n`` (half the length of
the window over the number of points), so that all fields here are per unit of ``s``.
"""

import numpy as np
from numba import njit

from .contacts import CROSS, ON_SURFACE, RELEASE_ABOVE, RELEASE_BELOW
from .modes import choose_sides, dot, orthonormal_rows, row_dot, row_row
from .roots import first_exit
from .switch import AT_REST, norm, put_on, sign_after
from .taylor import ORDER, at, expand, polynomial, reliable, shift, speed

NEAR = 24
"""Most hyperplanes that a neuron watches one by one."""
SIMULTANEOUS = 4e-12
"""Contacts of one neuron closer than this in ``s`` are one."""

FINE, STUCK, FULL, BROKEN, GROUPED = 0, 1, 2, 3, 4
"""How a march ended: well; events without progress; no room for more events; not finite;
well and without an event, its outputs left to its group."""


@njit(cache=True, error_model="numpy", nogil=True)
def scan(w, side, normal, direction, near):
    """Direction of a neuron, the hyperplanes near it, and how far it may turn.

    Returns
    -------
    count : int
        Number of entries of ``near``.
    far : float
        Every hyperplane that is not near has ``|direction.v| > far``; infinite if all are near.
    """
    C, d = normal.shape
    size = norm(w)
    for c in range(d):
        direction[c] = w[c] / size
    far = np.inf if C <= NEAR else min(1.0, 0.4 * NEAR / C)
    while True:
        count = 0
        for h in range(C):
            if side[h] == 0:
                continue
            z = abs(row_dot(normal, h, direction))
            if z <= far:
                if count == NEAR:
                    count = NEAR + 1
                    break
                near[count] = h
                count += 1
        if count <= NEAR:
            return count, far
        far /= 2
        if far < 1e-14:
            # More than NEAR hyperplanes through one point: watch the first ones.
            return NEAR, 0.0


@njit(cache=True, error_model="numpy", nogil=True)
def turned(U, K, direction, x):
    """Largest tangent of the angle to ``direction`` on [0, x], from above; 1e300 if unknown."""
    d = U.shape[1] - 1
    along, across, power = 0.0, 0.0, 1.0
    for j in range(K + 1):
        p = 0.0
        for c in range(d):
            p += U[j, 1 + c] * direction[c]
        square = 0.0
        for c in range(d):
            square += (U[j, 1 + c] - p * direction[c]) ** 2
        across += np.sqrt(square) * power
        along += (p if j == 0 else min(p, 0.0)) * power
        power *= x
    return across / along if along > 0.0 else 1e300


@njit(cache=True, error_model="numpy", nogil=True)
def slide_frame(side, normal, D, P, basis, planes):
    """Project the field ``D`` to ``P`` for the hyperplanes of side 0; their number, and the rank.

    ``planes`` receives the sliding hyperplanes, ``basis`` an orthonormal basis of their normals.
    """
    p, d = D.shape
    count = 0
    for h in range(side.size):
        if side[h] == 0 and count < d:
            planes[count] = h
            count += 1
    for j in range(p):
        for c in range(d):
            P[j, c] = D[j, c]
    if count == 0:
        return 0, 0
    V = np.empty((count, d))
    for q in range(count):
        for c in range(d):
            V[q, c] = normal[planes[q], c]
    found, rank = orthonormal_rows(V)
    for q in range(rank):
        for c in range(d):
            basis[q, c] = found[q, c]
    for j in range(p):
        for q in range(rank):
            along = row_row(basis, q, P, j)
            for c in range(d):
                P[j, c] -= along * basis[q, c]
    return count, rank


@njit(cache=True, error_model="numpy", nogil=True)
def slide_exit(s, sign, planes, count, rank, basis, D, plus, minus, normal, to_chebyshev, split,
               tol):
    """First time in [s, 1] at which a multiplier leaves [0, 1]: time (2 if none), plane, kind.

    With ``lam = eta J`` the field on side -1 is cancelled along every sliding normal.
    """
    p, d = D.shape
    best, plane, kind = 2.0, -1, CROSS
    if rank < count or 1.0 - s <= 0.0:
        count = rank
    # Solve lam: sum_c lam_c v_c = -(projection of D on the normals), v = R q with R triangular.
    lam = np.zeros((count, p))
    for c in range(count - 1, -1, -1):
        for j in range(p):
            total = -row_row(basis, c, D, j)
            for e in range(c + 1, count):
                total -= row_row(normal, planes[e], basis, c) * lam[e, j]
            lam[c, j] = total / row_row(normal, planes[c], basis, c)
    poly = np.empty((p, 1))
    local = np.empty((p, 1))
    series = np.empty(p)
    for c in range(count):
        h = planes[c]
        for which in range(2):
            for j in range(p):
                poly[j, 0] = (sign * (minus[h, j] - lam[c, j]) if which == 0
                              else sign * (lam[c, j] - plus[h, j]))
            shift(poly, s, local)
            power = 1.0
            for j in range(p):
                local[j, 0] *= power
                power *= 1.0 - s
            for j in range(p):
                total = 0.0
                for e in range(p):
                    total += to_chebyshev[j, e] * local[e, 0]
                series[j] = total
            x = first_exit(series, split, tol, 1.0)
            if x <= 1.0:
                when = s + (x + 1.0) / 2.0 * (1.0 - s)
                if when < best:
                    best, plane, kind = when, h, RELEASE_BELOW if which == 0 else RELEASE_ABOVE
    return best, plane, kind


@njit(cache=True, error_model="numpy", nogil=True)
def change_side(h, new, side, D, plus, minus, normal, start, member, length, on):
    """Move a neuron to side ``new`` of hyperplane ``h``: its field and its active points."""
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
    for q in range(start[h], start[h + 1]):
        on[member[q]] = 1.0 if new * length[member[q]] > 0.0 else 0.0


@njit(cache=True, error_model="numpy", nogil=True)
def deposit(first, last, states, weight, on, X, h):
    """Add the outputs of a neuron at times ``first`` to ``last - 1``, on its active points."""
    d = X.shape[1]
    if weight == 0.0 or h.shape[0] == 0:
        return
    v = np.empty(d)
    for j in range(first, last):
        for c in range(d):
            v[c] = states[j, 0] * weight * states[j, 1 + c]
        for k in range(X.shape[0]):
            if on[k] != 0.0:
                total = 0.0
                for c in range(d):
                    total += X[k, c] * v[c]
                h[j, k] += total


@njit(cache=True, error_model="numpy", nogil=True)
def march(u, side, loose, D, plus, minus, normal, start, member, length, on, times, states, log,
          room, choices, direction, closest, accuracy, band, size, noise, chebyshev_u, split_u,
          chebyshev_r, split_r, X, h, weight, grouped, energy):
    """Carry one neuron from s = -1 to s = 1.

    Parameters
    ----------
    u : array (d + 1,)
        ``(a, w)``; replaced by its end.
    side : int8 array (C,), loose : bool array (C,)
        Sides, and hyperplanes just left; replaced by those at the end.
    D : array (p, d)
        Field of its active points, monomial coefficients in s; replaced.
    plus, minus : arrays (C, p)
        Field along each normal on its side 1 and -1.
    normal, start, member, length : arrays of the arrangement
    on : array (n,)
        Active points; replaced.
    times : array (J,)
        Increasing times in [-1, 1] at which the state is wanted.
    states : array (J, d + 1)
        Receives them.
    log : array (E, 4)
        Receives events: s, hyperplane, old side, new side.
    room : int array (2,)
        Number of rows of ``log`` in use, updated; number of ambiguous instants, updated.
    choices : int arrays (2, C)
        Number of points active on side -1 and on side 1 of each hyperplane.
    direction : array (d + 1,), closest : int array (NEAR + 1,)
        Receive the last scan: direction and ``far``; the near hyperplanes and their number.
    accuracy, band : float
        Of the Taylor pieces; of the weights, relative.
    size, noise : float
        Magnitude of the terms of a field; error of the residuals, as part of a field.
    chebyshev_u, split_u, chebyshev_r, split_r : arrays
        From monomials on [0, 1] to Chebyshev series, and `halves`, for both degrees.
    X : array (n, d)
    h : array (J, n)
        The outputs of the neuron times ``weight`` are added at ``times``; none if it is empty.
    weight : float
        Square of the unit that ``u`` is given in.
    grouped : bool
        Without an event the outputs are left to the group, and GROUPED is returned.
    energy : array
        The integral of ``weight |du/ds|^2`` is added to its first entry, if it has one.

    Returns
    -------
    int
        FINE, GROUPED, STUCK, FULL or BROKEN.
    """
    p, d = D.shape
    C, n, J = side.size, on.size, times.size
    K = ORDER
    T = np.empty((p, d))
    P = np.empty((p, d))
    U = np.empty((K + 1, d + 1))
    w = np.empty(d)
    z = np.zeros(K + 1)
    series = np.empty(K + 1)
    near = np.empty(NEAR, np.int64)
    basis = np.empty((d, d))
    planes = np.empty(d, np.int64)
    touched = np.empty(NEAR + d + 1, np.int64)
    when = np.empty(NEAR + d + 1)
    axis = np.empty(d)
    s, j_out, fresh, stalled, sign = -1.0, 0, False, 0, 0.0
    given, held = 0, grouped
    near_count, far = 0, 0.0
    rest = True
    for c in range(d):
        rest = rest and u[1 + c] == 0.0
        w[c] = u[1 + c]
    if rest:
        # At rest it does not move with its group.
        held = False
    else:
        near_count, far = scan(w, side, normal, axis, near)
        fresh = True
    count, rank = slide_frame(side, normal, D, P, basis, planes)
    exit_s, exit_plane, exit_kind = 2.0, -1, CROSS
    if count > 0 and not rest:
        for c in range(d):
            w[c] = P[0, c]
        sign = np.sign(u[0])
        if sign == 0.0:
            sign = np.sign(dot(u[1:], w))
        exit_s, exit_plane, exit_kind = slide_exit(s, sign, planes, count, rank, basis, D, plus,
                                                   minus, normal, chebyshev_r, split_r,
                                                   1e-13 * size + noise)
    while True:
        # 1. The piece: as long as the series is accurate and far hyperplanes stay far.
        if rest:
            K = 0
            for c in range(d + 1):
                U[0, c] = u[c]
            x = 1.0 - s
        else:
            shift(P, s, T)
            K = expand(u, T, U)
            x = min(min(1.0 - s, reliable(U, K, accuracy)), exit_s - s)
            if not x >= 0.0:
                return BROKEN
            if far < np.inf:
                if turned(U, K, axis, x) >= far:
                    if not fresh:
                        for c in range(d):
                            w[c] = u[1 + c]
                        near_count, far = scan(w, side, normal, axis, near)
                        fresh = True
                    halvings = 0
                    while turned(U, K, axis, x) >= far and halvings < 60:
                        x /= 2
                        halvings += 1
        # 2. Its first contact.
        hits, first = 0, 2.0 * x + 1e-300
        size_w = 0.0
        if not rest:
            for c in range(d):
                w[c] = u[1 + c]
            size_w = norm(w)
            reach, power = 0.0, 1.0
            for j in range(1, K + 1):
                square = 0.0
                for c in range(d):
                    square += U[j, 1 + c] ** 2
                power *= x
                reach += np.sqrt(square) * power
            watched = near_count + (1 if count > 0 else 0)
            for q in range(watched):
                plane = near[q] if q < near_count else -1
                if plane >= 0 and (side[plane] == 0 or
                                   side[plane] * row_dot(normal, plane, w) > reach):
                    continue
                low, power = 0.0, 1.0
                for j in range(K + 1):
                    total = 0.0
                    if plane >= 0:
                        for c in range(d):
                            total += U[j, 1 + c] * normal[plane, c]
                        total *= side[plane]
                    else:
                        total = sign * U[j, 0]
                    z[j] = total * power
                    low += z[j] if j == 0 else min(z[j], 0.0)
                    power *= x
                if low >= 0.0:
                    continue
                for j in range(ORDER + 1):
                    total = 0.0
                    for e in range(K + 1):
                        total += chebyshev_u[j, e] * z[e]
                    series[j] = total
                tol = (band if plane >= 0 and loose[plane] else ON_SURFACE) * size_w
                y = first_exit(series, split_u, tol, 1.0)
                if y <= 1.0:
                    y = (y + 1.0) / 2.0 * x
                    touched[hits], when[hits] = plane, y
                    hits += 1
                    first = min(first, y)
        released = False
        if hits == 0 and count > 0 and exit_s <= s + x and exit_s <= 1.0:
            released = True
            first = exit_s - s
        elif hits > 0 and count > 0 and exit_s - s <= first + SIMULTANEOUS and exit_s <= 1.0:
            touched[hits], when[hits] = exit_plane, exit_s - s
            hits += 1
        x_end = first if hits > 0 or released else x
        x_end = min(x_end, x)
        # 3. Outputs on the way.
        while j_out < J and (times[j_out] < s + x_end or
                             (hits == 0 and not released and s + x_end >= 1.0 - 1e-15)):
            at(U, K, times[j_out] - s, states[j_out])
            j_out += 1
        if not held:
            deposit(given, j_out, states, weight, on, X, h)
            given = j_out
        if energy.size > 0:
            energy[0] += weight * speed(U, K, x_end)
        at(U, K, x_end, u)
        for c in range(d + 1):
            if not np.isfinite(u[c]):
                return BROKEN
        s = s + x_end
        fresh = fresh and x_end == 0.0
        if hits == 0 and not released:
            if s >= 1.0 - 1e-15:
                break
            stalled = stalled + 1 if x_end < 1e-14 else 0
            if stalled > 1000:
                return STUCK
            continue
        stalled = stalled + 1 if x_end < 1e-15 else 0
        if stalled > 1000:
            return STUCK
        # 4. The switch.
        if held:
            deposit(given, j_out, states, weight, on, X, h)
            given, held = j_out, False
        if room[0] + C + 1 > log.shape[0]:
            return FULL
        for c in range(d):
            w[c] = u[1 + c]
        size_w = norm(w)
        if size_w <= AT_REST * abs(u[0]) or size_w == 0.0:
            rest = True
            for c in range(d):
                u[1 + c] = 0.0
            log[room[0], 0], log[room[0], 1] = s, -1.0
            log[room[0], 2], log[room[0], 3] = 0.0, 0.0
            room[0] += 1
            for k in range(n):
                on[k] = 0.0
            count, exit_s = 0, 2.0
            continue
        if released:
            new = np.int8(-1 if exit_kind == RELEASE_BELOW else 1)
            log[room[0], 0], log[room[0], 1] = s, exit_plane
            log[room[0], 2], log[room[0], 3] = 0.0, new
            room[0] += 1
            for q in range(count):
                loose[planes[q]] = True
            change_side(exit_plane, new, side, D, plus, minus, normal, start, member, length, on)
        else:
            # Every hyperplane it lies on: met, sliding, or within rounding.
            total_z = 0
            Z = np.empty(NEAR + d, np.int64)
            for q in range(count):
                Z[total_z] = planes[q]
                total_z += 1
            for q in range(near_count):
                plane = near[q]
                if side[plane] == 0:
                    continue
                lies = abs(row_dot(normal, plane, w)) <= ON_SURFACE * size_w
                for e in range(hits):
                    if touched[e] == plane and when[e] <= first + SIMULTANEOUS:
                        lies = True
                if lies:
                    Z[total_z] = plane
                    total_z += 1
            V = np.empty((total_z, d))
            jump = np.empty(total_z)
            below = np.empty(total_z, np.int64)
            above = np.empty(total_z, np.int64)
            field = np.empty(d)
            for c in range(d):
                total = 0.0
                for j in range(p - 1, -1, -1):
                    total = total * s + D[j, c]
                field[c] = total
            for q in range(total_z):
                plane = Z[q]
                up, down = polynomial(plus[plane], s), polynomial(minus[plane], s)
                jump[q] = up - down
                below[q], above[q] = choices[0, plane], choices[1, plane]
                amount = down - (up if side[plane] == 1 else down if side[plane] == -1 else 0.0)
                for c in range(d):
                    V[q, c] = normal[plane, c]
                    field[c] += amount * normal[plane, c]
            sign_now = sign_after(u[0], w, field, size)
            new_sides, solutions = choose_sides(sign_now, field, V, jump, below, above, size)
            if solutions > 1:
                room[1] += 1
            put = put_on(w, V)
            for c in range(d):
                u[1 + c] = put[c]
            for q in range(total_z):
                plane = Z[q]
                loose[plane] = True
                if new_sides[q] != side[plane]:
                    log[room[0], 0], log[room[0], 1] = s, plane
                    log[room[0], 2], log[room[0], 3] = side[plane], new_sides[q]
                    room[0] += 1
                    was_near = False
                    for e in range(near_count):
                        was_near = was_near or near[e] == plane
                    if not was_near and near_count < NEAR:
                        near[near_count] = plane
                        near_count += 1
                    change_side(plane, new_sides[q], side, D, plus, minus, normal, start, member,
                                length, on)
            sign = sign_now
        if released:
            # A plane that was slid on is near from now on.
            for c in range(d):
                w[c] = u[1 + c]
            near_count, far = scan(w, side, normal, axis, near)
            fresh = True
        count, rank = slide_frame(side, normal, D, P, basis, planes)
        exit_s = 2.0
        if count > 0:
            exit_s, exit_plane, exit_kind = slide_exit(
                s, sign, planes, count, rank, basis, D, plus, minus, normal, chebyshev_r, split_r,
                1e-13 * size + noise)
    for c in range(d):
        direction[c] = 0.0 if rest else axis[c]
    direction[d] = far
    closest[NEAR] = near_count
    for q in range(near_count):
        closest[q] = near[q]
    if not rest:
        for c in range(d):
            w[c] = u[1 + c]
        size_w = norm(w)
        for plane in range(C):
            if loose[plane]:
                loose[plane] = side[plane] * row_dot(normal, plane, w) <= band * size_w
    return GROUPED if held else FINE
