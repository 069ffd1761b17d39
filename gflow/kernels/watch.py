"""Which hyperplanes a neuron may reach, so that not all of them are looked at all the time."""

import numpy as np

from .jit import leaf
from .roots import taylor_back, taylor_exit
from .taylor import LONG
from .algebra import BLOCK, greater, lesser, long_dot, norm, vector_dot

NEAR = 32
"""Most hyperplanes that a neuron watches one by one."""
SIMULTANEOUS = 4e-12
"""Contacts of one neuron closer than this in time are one."""
ASTRAY = 20.0
"""A neuron leaves a hyperplane by so many times the accuracy of its weight in the time in which it
turns, from errors of the pulls alone (`gflow.engines.waveform.rounds.ALLOWANCE`)."""


@leaf
def along_all(x, columns, z):
    """Inner products ``z`` (C,) of ``x``, of which the first d numbers count, with ``columns``
    (d, C)."""
    d, C = columns.shape
    for h in range(C):
        z[h] = x[0] * columns[0, h]
    fours = (d - 1) // 4
    for q in range(fours):
        c = 1 + 4 * q
        one, two, three, four = x[c], x[c + 1], x[c + 2], x[c + 3]
        for h in range(C):
            z[h] = ((((z[h] + one * columns[c, h]) + two * columns[c + 1, h])
                     + three * columns[c + 2, h]) + four * columns[c + 3, h])
    for c in range(1 + 4 * fours, d):
        more = x[c]
        for h in range(C):
            z[h] += more * columns[c, h]


@leaf
def scan(w, side, columns, axis, near, z):
    """Direction of a neuron, the hyperplanes near it, and how far it may turn.

    Parameters
    ----------
    w : array (d,)
    side : int8 array (C,)
    columns : array (d, C)
        Unit normals, transposed.
    axis : array (d + 1,)
        Receives the direction; and ``far``: every hyperplane ``v`` that is not near has
        ``|axis.v| > far``, infinite if all are near.
    near : int array (C + NEAR,)
        Receives the near hyperplanes.
    z : array (C,)
        Work space.

    Returns
    -------
    int
        Their number; more than NEAR if that many meet where the neuron points to.
    """
    d, C = columns.shape
    size = norm(w)
    for c in range(d):
        axis[c] = w[c] / size
    along_all(axis, columns, z)
    far = 2.0 if C <= NEAR else 0.4 * NEAR / C
    # Many hyperplanes are watched rather than that many short pieces are made (orthogonal data: a
    # neuron stays on every hyperplane that it has come to; a narrow cone: all of them are near).
    for _ in range(4):
        count, begin = 0, 0
        while begin < C and count <= NEAR:
            # Few are near: several at a time, which takes no branch for each.
            end, hits = lesser(begin + BLOCK, C), 0
            for h in range(begin, end):
                hits += abs(z[h]) <= far
            for h in range(begin, end if hits > 0 else begin):
                if abs(z[h]) <= far and side[h] != 0 and count <= NEAR:
                    near[count] = h
                    count += 1
            begin = end
        if count <= NEAR:
            axis[d] = far if C > NEAR else np.inf
            return count
        far /= 2
    count = 0
    for h in range(C):
        if side[h] != 0:
            near[count] = h
            count += 1
    axis[d] = np.inf
    return count


@leaf
def turned(U, K, axis, x):
    """Largest tangent of the angle to ``axis`` on [0, x], from above; 1e300 if unknown."""
    d = U.shape[1] - 1
    along, across, power = 0.0, 0.0, 1.0
    for j in range(K + 1):
        p, square = 0.0, 0.0
        if d < LONG:
            for c in range(d):
                p += U[j, 1 + c] * axis[c]
            for c in range(d):
                square += (U[j, 1 + c] - p * axis[c]) ** 2
        else:
            p = vector_dot(U, j, 1, axis, d)
            # From above: what cancels here is rounding, far below any `far`.
            size = long_dot(U, j, 1, U, j, 1, d)
            square = greater(size - p * p, 0.0) + 1e-14 * size
        across += np.sqrt(square) * power
        along += (p if j == 0 else lesser(p, 0.0)) * power
        power *= x
    return across / along if along > 0.0 else 1e300


@leaf
def allowed(u, speed, axis):
    """How far a neuron turns already, as the tangent of the angle to ``axis``, and a guess of the
    time in which it turns to ``far`` if its weight moves by ``speed``."""
    d = speed.size
    along, drift = 0.0, 0.0
    for c in range(d):
        along += u[1 + c] * axis[c]
        drift += speed[c] * axis[c]
    if not along > 0.0:
        return 1e300, 0.0
    square, rate = 0.0, 0.0
    for c in range(d):
        square += (u[1 + c] - along * axis[c]) ** 2
        rate += (speed[c] - drift * axis[c]) ** 2
    now, rate = np.sqrt(square) / along, np.sqrt(rate) / along
    left = 0.9 * (axis[d] - now)
    return now, (left / rate if rate > 0.0 else 1e300)


@leaf
def steepest(U, side, near, near_count, normal):
    """The hyperplane that a neuron on a line comes to at the greatest angle: it meets all others
    where it meets that one, at w = 0, but rounding would have it meet those first that are close
    to the line."""
    best, most = np.int64(-1), -1.0
    for q in range(near_count):
        plane, along = near[q], 0.0
        for c in range(normal.shape[1]):
            along += U[0, 1 + c] * normal[plane, c]
        if side[plane] != 0 and abs(along) > most:
            best, most = np.int64(plane), abs(along)
    return best


@leaf
def contacts(U, K, x, sign, sliding, line, side, loose, near, near_count, normal, band, thin,
             from_unit, split, touched, when, z, series):
    """First contacts of a neuron on a piece: with near hyperplanes, and of a slider with a = 0.

    Parameters
    ----------
    U, K, x : Taylor series of the neuron, its order, and the length of the piece
    sign : float
        Sign of the output weight.
    sliding, line : bool
        Whether the neuron slides, and on so many hyperplanes that they leave a line.
    side, loose : arrays (C,)
    near, near_count : hyperplanes to look at
    normal : array (C, d)
    band, thin : float
        Distances, relative to the norm, that count as zero: for loose hyperplanes that the neuron
        has not left by more, and for others.
    from_unit, split : arrays
        See `taylor_exit`, for degree ORDER.
    touched, when : arrays
        Receive hyperplanes (-1: the output weight) and times.
    z, series : arrays
        Work space.

    Returns
    -------
    hits, first : int, float
        Number of entries, and the time of the first contact; ``2 x`` if there is none.
    """
    d = U.shape[1] - 1
    hits, first = 0, 2.0 * x + 1e-300
    square, reach, power = 0.0, 0.0, 1.0
    for c in range(d):
        square += U[0, 1 + c] ** 2
    size_w = np.sqrt(square)
    for j in range(2, K + 1):
        square = 0.0
        for c in range(d):
            square += U[j, 1 + c] ** 2
        power *= x
        reach += np.sqrt(square) * power
    reach *= x
    alone = steepest(U, side, near, near_count, normal) if line else np.int64(-1)
    for q in range(near_count + (1 if sliding else 0)):
        plane = near[q] if q < near_count else -1
        if plane >= 0:
            if side[plane] == 0 or line and plane != alone:
                continue
            total, slope = 0.0, 0.0
            if d < LONG:
                for c in range(d):
                    total += U[0, 1 + c] * normal[plane, c]
                    slope += U[1, 1 + c] * normal[plane, c]
            else:
                total = long_dot(U, 0, 1, normal, plane, 0, d)
                slope = long_dot(U, 1, 1, normal, plane, 0, d)
            total *= side[plane]
            slope *= side[plane] * x
            if total + lesser(slope, 0.0) > reach:
                continue
            z[0], z[1] = total, slope
            power = side[plane] * x
            for j in range(2, K + 1):
                total = 0.0
                if d < LONG:
                    for c in range(d):
                        total += U[j, 1 + c] * normal[plane, c]
                else:
                    total = long_dot(U, j, 1, normal, plane, 0, d)
                power *= x
                z[j] = total * power
        else:
            power = sign
            for j in range(K + 1):
                z[j] = U[j, 0] * power
                power *= x
        tol, near_it = thin * size_w, False
        if plane >= 0 and loose[plane] and z[0] <= band * size_w:
            # What is farther out already, and comes back, is no contact.
            tol, near_it = greater(band * size_w, -z[0] * (1.0 + 1e-12)), True
        until = 1.0 if hits == 0 else lesser(1.0, (first + SIMULTANEOUS) / x)
        y = taylor_exit(z, K, tol, until, from_unit, split, series)
        if y <= 1.0:
            if near_it and z[1] > 0.0:
                # It was off, and comes back. What errors may have led it off by is no way out.
                least = 2.0 * abs(z[0]) + size_w * (10.0 * thin + ASTRAY * band * y * x)
                y = taylor_back(z, K, y, lesser(tol, least), from_unit, series)
            y *= x
            touched[hits], when[hits] = plane, y
            hits += 1
            first = lesser(first, y)
    return hits, first
