"""One neuron through one window of time, given the residuals: its own events, its own sliding.

Given ``r(t)`` a neuron obeys the linear equation ``a' = w.D``, ``w' = a D`` with a polynomial ``D``
between its events (one pattern, one linear ODE). A Taylor series of it is exact to rounding on a
piece; an event is a change of ``D`` along one normal.

Time is ``s`` in [-1, 1] on the window; residuals carry the factor ``half / n`` (half the length of
the window over the number of points), so that all fields here are per unit of ``s``.
"""

from collections import namedtuple

import numpy as np

from .algebra import greater, lesser, norm, row_dot, row_row
from .crossings import ON_SURFACE, RELEASE_BELOW, tighten
from .filippov import ROUNDING
from .jit import leaf
from .settling import change_side, settle, sum_field
from .slides import active_sum, project, slide_exit, sliding_planes, turning
from .switch import AT_REST, DEPENDENT, SHOVE, SMALL
from .taylor import at, decayed_speed, expand, polynomial, shift, speed
from .watch import NEAR, SIMULTANEOUS, allowed, contacts, scan, turned

FINE, STUCK, FULL, BROKEN, GROUPED = 0, 1, 2, 3, 4
"""How a march ended: well; events without progress; no room for more events; not finite;
well and without an event, its outputs left to its group."""

PIECES, PIECES_A_PLANE = 20_000, 200
"""Pieces of one neuron on a window, and as many more for each hyperplane: more are no progress."""
SHORTEST = 1e-14
"""Pieces are not shortened below this because far hyperplanes come near."""
LENIENT, LENIENT_ROUNDING = 2.5, 8e-12
"""A contact that changes no side comes again, and soon, if only rounding of the field pushes the
neuron against the hyperplane. Each one in a row multiplies the distance that counts as lying on it
by four, while it is less than so many times the accuracy of the weight, or than the second."""
LEFT = 0.1
"""A field is summed again where the pulls of its points add up to so much of what they did."""
MANY = 200
"""With more hyperplanes what all pulls add up to is not summed where a bound of it is enough."""


Sides = namedtuple("Sides", "normal below above plus minus plus_size minus_size")
"""What a `switch` needs of `Geometry` and `Force`, and ..."""
Bench = namedtuple("Bench", "planes Z near touched when w new field basis most")
"""... of `Work`: to hand over everything takes as long as a switch."""


@leaf
def march(neuron, u, side, loose, led, D, geometry, force, times, states, log, room, axis, closest,
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
    led : array (m, 3)
        Receives, in its row, what errors of multipliers hide: see `slide_exit`.
    D : array (p, d)
        Field of its active points, monomial coefficients in s; replaced.
    geometry, force : Geometry, Force
    times : array (J,)
        Increasing times in [-1, 1] at which the state is wanted.
    states : array (J, d + 1)
        Receives them.
    log : array (E, 6)
        Receives events: neuron, s, hyperplane (-1: at rest at w = 0), old side, new side, and how
        much the output bends there at a point of length one. After those of a choice between
        several solutions, or none: neuron, s, -2 - hyperplane, side in another, side, and the
        number of solutions, for each hyperplane that the neuron lies on.
    room : int array (1,)
        Number of rows of ``log`` in use, updated.
    axis : array (d + 1,), closest : int array (NEAR + 1,)
        Last `scan`: direction and ``far``; the near hyperplanes and their number. Updated.
    slides : int
        Number of hyperplanes of side 0.
    grouped : bool
        Return GROUPED if there is no event.
    weight : float
        Square of the unit that ``u`` is given in.
    energy : array
        The integral of ``weight |du/ds|^2`` is added to its first entry, if it has one; of
        ``exp(-decay (s + 1)) u``, if its second one is such a ``decay``.
    work : Work

    Returns
    -------
    int
        FINE, GROUPED, STUCK, FULL or BROKEN.
    """
    C, U, slope = side.size, work.U, geometry.slope
    sides = Sides(geometry.normal, geometry.below, geometry.above, force.plus, force.minus,
                  force.plus_size, force.minus_size)
    bench = Bench(work.planes, work.Z, work.near, work.touched, work.when, work.w, work.new,
                  work.field, work.basis, work.most)
    # Typed: literals would have what they are given to compiled twice.
    s, j_out, first_row, stalled, status = -1.0, np.int64(0), room[0], 0, STUCK
    work.most[1] = work.most[0] if C > MANY else 0.0
    begun = width_at_start(u, work.w)
    # A leaky neuron has a field at w = 0 too.
    rest = begun == 0.0 and (slope == 0.0 or u[0] == 0.0)
    near_count = recall(axis, closest, work)
    switched, gap, lenient = not rest, 2.0, 1.0
    fresh = rescanned = rest and switched
    sign = sign_at_start(u, D)
    count, line, exit_s, exit_plane, exit_kind = 0, False, 2.0, -1, RELEASE_BELOW
    for _ in range(PIECES + PIECES_A_PLANE * C):
        if switched:
            count, line, exit_s, exit_plane, exit_kind = aim(
                neuron, u, s, sign, side, slides, led, D, geometry, force, work)
        F = work.P if count > 0 else D
        # 1. The piece: as long as the series is accurate and far hyperplanes stay far.
        x = lesser(lesser(1.0 - s, exit_s - s), 2.5 * gap)
        K, x, near_count, looked = piece(u, s, x, F, rest, side, near_count, fresh,
                                         geometry.columns, force.accuracy, work.T, U, work.w,
                                         work.axis, work.near, work.z)
        fresh, rescanned = fresh or looked, rescanned or looked
        if K < 0:
            return BROKEN
        # 2. Its first contact.
        hits, first, released = 0, 2.0 * x + 1e-300, False
        if not rest:
            hits, first, released = first_contact(s, x, K, sign, count, line, exit_s, exit_plane,
                                                  side, loose, near_count, geometry, force, lenient,
                                                  work)
        ends = hits > 0 or released
        x_end = lesser(first, x) if ends else x
        # 3. Outputs on the way.
        j_out = emit(s, x_end, K, ends, times, j_out, states, weight, energy, u, U)
        if j_out < 0:
            return BROKEN
        s = s + x_end
        fresh = fresh and x_end == 0.0
        stalled = stalled + 1 if x_end < SHORTEST else 0
        if stalled > 1000:
            break
        switched = False
        if not ends:
            if s >= 1.0 - 1e-15:
                status = FINE
                break
            gap *= 2.0
            continue
        gap = 0.5 * (lesser(gap, 8.0 * x_end) + x_end) + 1e-12
        # 4. The switch.
        if room[0] + 2 * C + 1 > log.shape[0]:
            return FULL
        rest = comes_to_rest(neuron, u, s, begun, slope != 0.0, log, room, work.w)
        if rest:
            count, line, exit_s = 0, False, 2.0
            continue
        before = room[0]
        blunt = not released and work.touched[0] >= 0
        slides, near_count, looked, sign = switch(
            neuron, u, s, F, sign, released, count, exit_plane, exit_kind, hits, first, near_count,
            side, loose, D, sides, slope, log, room, weight, bench)
        rescanned, switched = rescanned or looked, True
        if slides > 0:
            # From here on other hyperplanes may be closer than errors.
            tighten(u[1:], side, loose, geometry.normal, force.band)
        lenient = leniency(lenient, room[0] > before, blunt, force.band)
    if status == STUCK:
        return STUCK
    if rescanned:
        remember(axis, closest, near_count, work)
    if not rest:
        tighten(u[1:], side, loose, geometry.normal, force.band)
    return GROUPED if grouped and not rest and room[0] == first_row else FINE


@leaf
def leniency(lenient, changed, blunt, band):
    """The factor of the distance that counts as lying on a hyperplane after a contact that has
    ``changed`` a side or, if ``blunt``, may be rounding of the field, which may push the neuron
    against the hyperplane for ever: see LENIENT."""
    if changed:
        return 1.0
    if blunt and (lenient < LENIENT or lenient * band < LENIENT_ROUNDING):
        return 4.0 * lenient
    return lenient


@leaf
def recall(axis, closest, work):
    """Take the last `scan` of a neuron to where it is worked on; number of near hyperplanes."""
    count = np.int64(closest[NEAR])
    for q in range(count):
        work.near[q] = closest[q]
    for c in range(axis.size):
        work.axis[c] = axis[c]
    return count


@leaf
def remember(axis, closest, near_count, work):
    """The inverse; ``far`` is 0, which has it scanned again, if there is no room for them all."""
    kept = near_count <= NEAR
    for c in range(axis.size):
        axis[c] = work.axis[c]
    if not kept:
        axis[axis.size - 1] = 0.0
    closest[NEAR] = near_count if kept else 0
    for q in range(near_count if kept else 0):
        closest[q] = work.near[q]


@leaf
def sign_at_start(u, D):
    """Sign of the output weight just after s = -1: that of ``w.D`` where it leaves zero."""
    p, d = D.shape
    sign = np.sign(u[0])
    if sign == 0.0:
        odd = 1.0
        for j in range(p):
            for c in range(d):
                sign += odd * D[j, c] * u[1 + c]
            odd = -odd
        sign = np.sign(sign)
    return sign


@leaf
def aim(neuron, u, s, sign, side, slides, led, D, geometry, force, work):
    """After a switch: number of sliding hyperplanes, with the projected field in ``work.P``, and
    whether they leave a line; time (2 if none), hyperplane and kind of the first release."""
    planes = work.planes
    count = sliding_planes(side, planes, slides)
    if count == 0:
        return 0, False, 2.0, -1, RELEASE_BELOW
    rank = project(planes, count, geometry.normal, D, work.P, work.basis)
    exit_s, exit_plane, exit_kind = slide_exit(
        s, sign, planes, count, rank, work.basis, D, force.plus, force.minus, side,
        force.plus_error, force.minus_error, force.unit_r, force.split_r, geometry.normal, work.lam,
        work.solve, work.z, work.tail, turning(u), force.band, led, neuron)
    # A leaky neuron goes on beyond w = 0, and meets them all there.
    line = geometry.slope == 0.0 and rank == D.shape[1] - 1
    return count, line, exit_s, exit_plane, exit_kind


@leaf
def piece(u, s, x, F, rest, side, near_count, fresh, columns, accuracy, T, U, w, axis, near, z):
    """Taylor series ``U`` of a neuron from ``s`` in the field ``F``, for at most ``x``, or to the
    end of the window if it rests; the last ones are of the work space, named here, because to hand
    over all of it takes as long as a piece.

    Returns its order (-1 if it is not finite), its length, the number of hyperplanes that are near
    on it, and whether all of them were looked at.
    """
    d = F.shape[1]
    looked = False
    if rest:
        for c in range(d + 1):
            U[0, c] = u[c]
        return np.int64(0), 1.0 - s, near_count, looked
    shift(F, s, T)
    if axis[d] < np.inf:
        for c in range(d):
            w[c] = u[0] * T[0, c]
        now, reach = allowed(u, w, axis)
        if now >= 0.5 * axis[d] and not fresh:
            for c in range(d):
                w[c] = u[1 + c]
            near_count = scan(w, side, columns, axis, near, z)
            looked = True
            for c in range(d):
                w[c] = u[0] * T[0, c]
            now, reach = allowed(u, w, axis)
        x = lesser(x, greater(reach, SHORTEST))
    K, x = expand(u, T, x, accuracy, U)
    finite = x
    for c in range(d + 1):
        finite += U[K, c]
    if not (x >= 0.0 and np.isfinite(finite)):
        return -1, x, near_count, looked
    halvings = 0
    while turned(U, K, axis, x) >= axis[d] and halvings < 60:
        x /= 2
        halvings += 1
    return K, x, near_count, looked


@leaf
def first_contact(s, x, K, sign, count, line, exit_s, exit_plane, side, loose, near_count, geometry,
                  force, lenient, work):
    """What ends a piece: number of `contacts`, put in ``work.touched``, its length up to there,
    and whether it is nothing but a release."""
    hits, first = contacts(work.U, K, x, sign, count > 0, line, side, loose, work.near, near_count,
                           geometry.normal, force.band * lenient, ON_SURFACE, force.unit_u,
                           force.split_u, work.touched, work.when, work.z, work.series)
    released = False
    if hits == 0 and count > 0 and exit_s <= s + x and exit_s <= 1.0:
        released = True
        first = exit_s - s
    elif hits > 0 and count > 0 and exit_s - s <= first + SIMULTANEOUS and exit_s <= 1.0:
        work.touched[hits], work.when[hits] = exit_plane, exit_s - s
        hits += 1
    return hits, first, released


@leaf
def emit(s, x_end, K, ends, times, j, states, weight, energy, u, U):
    """States at ``times[j:]`` as far as a piece goes, and the neuron ``u`` at its end.

    Returns the next j, or -1 if ``u`` is not finite.
    """
    J = times.size
    last = not ends and s + x_end >= 1.0 - 1e-15
    while j < J and (times[j] < s + x_end or last):
        at(U, K, times[j] - s, states[j])
        j += 1
    if energy.size > 0:
        energy[0] += weight * (speed(U, K, x_end) if energy[1] == 0.0 else
                               decayed_speed(U, K, x_end, energy[1], s + 1.0))
    at(U, K, x_end, u)
    finite = 0.0
    for c in range(u.size):
        finite += abs(u[c])
    return j if np.isfinite(finite) else -1


@leaf
def width_at_start(u, w):
    """Norm of the weight, put in ``w``, if that is small beside ``a``; infinite if not."""
    for c in range(w.size):
        w[c] = u[1 + c]
    size = norm(w)
    return np.inf if size >= SMALL * abs(u[0]) and size != 0.0 else size


@leaf
def comes_to_rest(neuron, u, s, begun, leaky, log, room, w):
    """Whether a neuron has reached ``w = 0``, where it is put; else ``w`` is its weight.

    ``begun`` is the norm that it started with if that was small beside ``a``, or infinite. A leaky
    neuron goes on from there.
    """
    for c in range(w.size):
        w[c] = u[1 + c]
    size_w = norm(w)
    if leaky or size_w > AT_REST * lesser(abs(u[0]), begun) and size_w != 0.0:
        return False
    for c in range(w.size):
        u[1 + c] = 0.0
    row = room[0]
    log[row, 0], log[row, 1], log[row, 2] = neuron, s, -1.0
    log[row, 3], log[row, 4], log[row, 5] = 0.0, 0.0, 0.0
    room[0] += 1
    return True


@leaf
def switch(neuron, u, s, F, sign, released, count, exit_plane, exit_kind, hits, first, near_count,
           side, loose, D, sides, slope, log, room, weight, work):
    """Let a neuron go from a hyperplane, or `land` it on those that it met; see `turn`.

    The sign of the output weight after comes last.
    """
    drift, total, after, solutions, before = 0.0, count, sign, 1, room[0]
    held = released and lies_on_more(count, near_count, side, sides.normal, work)
    if not released:
        drift = approach(F, sides.normal, work.touched[0], s)
    if held or not released:
        total, after, solutions = land(u, s, norm(work.w), count, hits, first, near_count,
                                       exit_plane if held else -1,
                                       sign if exit_kind == RELEASE_BELOW else -sign, side, D,
                                       sides, work)
    if released and not (held and solutions > 0):
        held, solutions = False, 1
        total = let_go(count, exit_plane, exit_kind, loose, work)
    else:
        sign = after
    slides, near_count, grew = turn(neuron, u, s, total, released and not held, count, drift, side,
                                    loose, D, near_count, sides, slope, log, room, weight, work)
    if solutions != 1 and room[0] > before:
        for q in range(total):
            row = room[0]
            log[row, 0], log[row, 1], log[row, 2] = neuron, s, -2.0 - work.Z[q]
            log[row, 3], log[row, 4], log[row, 5] = work.when[q], work.new[q], solutions
            room[0] = row + 1
    return slides, near_count, grew, sign


@leaf
def lies_on_more(count, near_count, side, normal, work):
    """Whether a neuron that slides on ``count`` hyperplanes lies on others whose normals depend on
    theirs: with these its multipliers are not the only ones."""
    if count < 2:
        return False
    size_w = norm(work.w)
    for q in range(near_count):
        plane = work.near[q]
        if side[plane] == 0 or abs(row_dot(normal, plane, work.w)) > ON_SURFACE * size_w:
            continue
        outside = 1.0
        for e in range(count):
            outside -= row_row(normal, plane, work.basis, e) ** 2
        if outside <= DEPENDENT:
            return True
    return False


@leaf
def approach(F, normal, plane, s):
    """How fast a neuron comes to a hyperplane, per unit of its output weight."""
    p, d = F.shape
    drift = 0.0
    row = plane if plane > 0 else 0
    for j in range(p - 1, -1, -1):
        value = 0.0
        for c in range(d):
            value += F[j, c] * normal[row, c]
        drift = drift * s + value
    return drift


@leaf
def let_go(count, exit_plane, exit_kind, loose, work):
    """A release: the other multipliers are continuous, so that only what was released changes."""
    for q in range(count):
        loose[work.planes[q]] = True
    work.Z[0] = exit_plane
    work.new[0] = -1 if exit_kind == RELEASE_BELOW else 1
    return 1


@leaf
def land(u, s, size_w, count, hits, first, near_count, freed, outward, side, D, sides, work):
    """`settle` a neuron on every hyperplane it lies on: met, sliding, or within rounding; one that
    is let go is ``freed`` (or -1), its multiplier going ``outward``.

    Their number, the sign of the output weight after, and the number of solutions.
    """
    Z, near, touched, when = work.Z, work.near, work.touched, work.when
    total = count
    for q in range(count):
        Z[q] = work.planes[q]
        if Z[q] == freed:
            Z[0], Z[q] = freed, Z[0]
    for q in range(near_count):
        plane = near[q]
        if side[plane] == 0:
            continue
        lies = abs(row_dot(sides.normal, plane, work.w)) <= ON_SURFACE * size_w
        for e in range(hits):
            # What it meets a moment later it may not meet at all once it has turned here.
            if touched[e] == plane and when[e] <= first:
                lies = True
        if lies:
            Z[total] = plane
            total += 1
    # Rounding of the sums that are compared: what the neuron does not see does not count.
    size = 2.0 * work.most[0]
    if not (freed < 0 and total == 1 and side.size > MANY and abs(u[0]) > ON_SURFACE * size_w
            and clear(s, Z[0], D, side, sides, ROUNDING * size)):
        size = active_sum(side, sides.plus_size, sides.minus_size)
        for q in range(total):
            size += sides.plus_size[Z[q]] + sides.minus_size[Z[q]]
        if size < LEFT * work.most[1]:
            # What points that it does not see any more have left of rounding would count.
            sum_field(side, D, sides.plus, sides.minus, sides.normal)
            work.most[1] = size
        work.most[1] = greater(work.most[1], size)
    sign, solutions = settle(u, s, total, Z, D, side, sides.normal, sides.below, sides.above,
                             sides.plus, sides.minus, size,
                             SHOVE * size * outward if freed >= 0 else 0.0, work.new, work.field,
                             work.w, when)
    return total, sign, solutions


@leaf
def clear(s, plane, D, side, sides, slack):
    """Whether no number that decides the side of a neuron on a hyperplane at ``s`` is within
    ``slack`` of 0; see `choose_side`."""
    down = polynomial(sides.minus, plane, s)
    jump = polynomial(sides.plus, plane, s) - down
    across = approach(D, sides.normal, plane, s)
    across -= jump if side[plane] == 1 else 0.0 if side[plane] == -1 else -down
    return abs(across) > slack and abs(across + jump) > slack and abs(jump) > slack


@leaf
def turn(neuron, u, s, total, released, count, drift, side, loose, D, near_count, sides, slope, log,
         room, weight, work):
    """Take the new sides ``work.new`` on the hyperplanes ``work.Z``; log what changes.

    Returns how many it slides on, the number of near hyperplanes, and whether that grew.
    """
    Z, new, near = work.Z, work.new, work.near
    grew = False
    slides = count - 1 if released else 0
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
                grew = True
        if new[q] != side[plane]:
            row = room[0]
            log[row, 0], log[row, 1], log[row, 2] = neuron, s, plane
            log[row, 3], log[row, 4] = side[plane], new[q]
            # By |a| |dz/ds| the output bends at points of unit length.
            log[row, 5] = weight * u[0] * u[0] * abs(drift * (1.0 - slope))
            room[0] = row + 1
            change_side(plane, new[q], side, D, sides.plus, sides.minus, sides.normal)
        slides += new[q] == 0
    return slides, near_count, grew
