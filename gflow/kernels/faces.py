"""Faces of a central arrangement that may carry an extremal vector: sweeps of its planes.

In an essential arrangement of hyperplanes ``v_c.w = 0`` of R^d every face of dimension 2 or more
has an arc in its boundary (or is one): a face of dimension 2, part of the plane in which some d - 2
hyperplanes meet. A sweep around that plane passes all its arcs and rays in order, and the field

    D(w) = m + 1/2 sum_c sign(v_c.w) J_c v_c

changes by one term at each. The faces around an arc have the same signs for every arc of a plane.
Here each of them, and each ray, is put to the criterion with loose tolerances: what passes is a
candidate. The candidates are judged elsewhere; none can be false, since an extremal vector shows by
itself that its face exists.

Loops are spelled out: slices and array expressions are slow to compile.
"""

import numpy as np

from .jit import kernel, leaf
from .filippov import ROUNDING, box_least_squares
from .algebra import orthogonalise, orthonormal_rows, row_dot, row_row

IN_PLANE = 1e-10
"""A hyperplane contains a plane if its unit normal has a smaller projection on it."""
TIE = 1e-11
"""Rays of a plane are one if a normal of one is that orthogonal to the other."""
DOUBT = (0.01, 10.0)
"""Between these multiples of their limit, ties and inclusions are close decisions."""

GENERAL, DEPENDENT, SPECIAL = 0, 1, 2
"""What `sweep` finds of its hyperplanes: general position, dependent normals, more in the plane."""


@kernel
def orthogonal_plane(basis):
    """Orthonormal basis (2, d) of the complement of d - 2 orthonormal rows."""
    d = basis.shape[1]
    Q = np.zeros((d, d))
    for i in range(d - 2):
        for e in range(d):
            Q[i, e] = basis[i, e]
    for j in range(d - 2, d):
        # The axis farthest from the rows so far, less its projections on them.
        best, most = 0, -1.0
        for e in range(d):
            left = 1.0
            for i in range(j):
                left -= Q[i, e] ** 2
            if left > most:
                best, most = e, left
        Q[j, best] = 1.0
        orthogonalise(Q, j)
    return Q[d - 2:]


@leaf
def sort_by(key, index):
    """Sort ``index`` by ``key[index]``: heap sort in place."""
    n = index.size
    for phase in range(2):
        for i in range(n // 2 - 1 if phase == 0 else n - 1, -1, -1):
            top, last = i, n
            if phase == 1:
                index[0], index[i] = index[i], index[0]
                top, last = 0, i
            while 2 * top + 1 < last:
                child = 2 * top + 1
                if child + 1 < last and key[index[child]] < key[index[child + 1]]:
                    child += 1
                if key[index[child]] <= key[index[top]]:
                    break
                index[top], index[child] = index[child], index[top]
                top = child


@kernel
def turn_around(V, Q, inside, u):
    """Events of a sweep of the plane ``Q`` by half a turn: hyperplanes and where they are met.

    Parameters
    ----------
    V : array (C, d)
        Unit normals.
    Q : array (2, d)
        Orthonormal basis of the plane.
    inside : int8 array (C,)
        1 for hyperplanes that contain the plane.
    u : int8 array (C,)
        Receives the signs before the first event, 0 on those.

    Returns
    -------
    line : int array (events,)
        Hyperplanes in the order in which they are met.
    angle : array (events,)
        Angles at which they are met, within an interval of length pi.
    edge : int array (rays + 1,)
        Events ``edge[i]`` to ``edge[i + 1]`` coincide; the first of them has the longest normal.
    near : int
        Number of doubtful ties.
    """
    C = V.shape[0]
    events = 0
    for c in range(C):
        events += inside[c] == 0
    line = np.empty(events, np.int64)
    length, angle = np.empty(C), np.empty(C)
    events = 0
    for c in range(C):
        u[c] = 0
        if inside[c] != 0:
            continue
        x, y = row_row(V, c, Q, 0), row_row(V, c, Q, 1)
        length[c] = np.sqrt(x * x + y * y)
        angle[c] = np.arctan2(x, -y)
        u[c] = 1
        if angle[c] < 0.0:
            angle[c] += np.pi
            u[c] = -1
        if angle[c] >= np.pi:
            angle[c] -= np.pi
            u[c] = -u[c]
        line[events] = c
        events += 1
    sort_by(angle, line)
    # Start after the widest gap, so that no tie is cut in two.
    start, widest = 0, angle[line[0]] + np.pi - angle[line[events - 1]]
    for j in range(1, events):
        gap = angle[line[j]] - angle[line[j - 1]]
        if gap > widest:
            start, widest = j, gap
    for j in range(start):
        angle[line[j]] += np.pi
        u[line[j]] = -u[line[j]]
    sort_by(angle, line)
    edge = np.empty(events + 1, np.int64)
    edge[0] = 0
    rays, near = 1, 0
    for j in range(1, events):
        c, b = line[j], line[j - 1]
        apart = np.sin(angle[c] - angle[b]) * min(length[c], length[b])
        near += DOUBT[0] * TIE < apart < DOUBT[1] * TIE
        if apart > TIE:
            edge[rays] = j
            rays += 1
    edge[rays] = events
    where = np.empty(events)
    for i in range(rays):
        for j in range(edge[i], edge[i + 1]):
            c, b = line[j], line[edge[i]]
            if length[c] > length[b]:
                line[j], line[edge[i]] = b, c
    for j in range(events):
        where[j] = angle[line[j]]
    return line, where, edge[:rays + 1], near


@kernel
def around(Z, V, J, m, faces, begin):
    """Parts of the field that are equal at all arcs of a plane.

    Returns
    -------
    flat : array (K, d, d)
        Projections on the spans of the faces around, one for each set of zeros.
    base : array (K, d)
        The constant ``m`` projected.
    shift : array (F, d)
        The part of ``D`` that the signs on ``Z`` make, projected on the span of the face.
    """
    d, q, K = V.shape[1], Z.size, begin.size - 1
    flat = np.zeros((K, d, d))
    base = np.zeros((K, d))
    shift = np.zeros((faces.shape[0], d))
    kink = np.empty(d)
    for k in range(K):
        zeros = 0
        N = np.empty((q, d))
        for j in range(q):
            if faces[begin[k], j] == 0:
                for e in range(d):
                    N[zeros, e] = V[Z[j], e]
                zeros += 1
        own, rank = orthonormal_rows(N[:zeros])
        for e in range(d):
            flat[k, e, e] = 1.0
            for i in range(rank):
                for b in range(d):
                    flat[k, e, b] -= own[i, e] * own[i, b]
        for e in range(d):
            for b in range(d):
                base[k, e] += flat[k, e, b] * m[b]
        for f in range(begin[k], begin[k + 1]):
            for e in range(d):
                kink[e] = 0.0
                for j in range(q):
                    kink[e] += 0.5 * faces[f, j] * J[Z[j]] * V[Z[j], e]
            for e in range(d):
                for b in range(d):
                    shift[f, e] += flat[k, e, b] * kink[b]
    return flat, base, shift


@leaf
def points_along(g, V, u, sigma, Z, faces, f, before, after, loose):
    """Whether ``g`` or ``-g`` lies in the face of signs ``sigma u``, and ``faces[f]`` on ``Z``.

    The hyperplanes ``before`` and ``after`` the arc come first: they decide most cases.
    """
    plus, minus = False, False
    for c in (before, after):
        t = sigma * u[c] * row_dot(V, c, g)
        plus |= t > loose
        minus |= t < -loose
    if plus and minus:
        return False
    for j in range(Z.size):
        t = faces[f, j] * row_dot(V, Z[j], g)
        plus |= t > loose
        minus |= t < -loose
    if plus and minus:
        return False
    for c in range(u.size):
        if u[c] != 0:
            t = sigma * u[c] * row_dot(V, c, g)
            plus |= t > loose
            minus |= t < -loose
            if plus and minus:
                return False
    return True


@kernel
def in_box(g, m, V, J, s, size, loose):
    """Whether ``g`` is, to ``loose``, the least element of the set of fields at signs ``s``."""
    C, d = V.shape
    off = np.empty(d)
    for e in range(d):
        off[e] = m[e]
    zeros = 0
    for c in range(C):
        side = 0.5 * s[c] * J[c]
        if s[c] == 0:
            zeros += 1
            side = -0.5 * J[c]
        for e in range(d):
            off[e] += side * V[c, e]
    N, jumps = np.empty((zeros, d)), np.empty(zeros)
    zeros = 0
    for c in range(C):
        if s[c] == 0:
            jumps[zeros] = J[c]
            for e in range(d):
                N[zeros, e] = V[c, e]
            zeros += 1
    _, best = box_least_squares(off, N, jumps, ROUNDING * size)
    for e in range(d):
        if abs(best[e] - g[e]) > loose:
            return False
    return True


@kernel
def record(found, count, s):
    """Append the signs ``s`` to the first ``count`` rows; a larger table if it is full."""
    if count == found.shape[0]:
        more = np.empty((2 * count, s.size), found.dtype)
        for i in range(count):
            for c in range(s.size):
                more[i, c] = found[i, c]
        found = more
    for c in range(s.size):
        found[count, c] = s[c]
    return found


@kernel
def at_arc(Z, V, J, m, M, u, before, after, faces, begin, flat, base, shift, size, loose, found,
           count):
    """Candidates among the faces at an arc and at the opposite one, between two hyperplanes.

    ``u`` are the signs at the arc, 0 on ``Z``, and ``M`` the part of the field that they make.
    """
    C, d = V.shape
    part, g = np.empty(d), np.empty(d)
    s = np.empty(C, np.int8)
    for k in range(begin.size - 1):
        for e in range(d):
            part[e] = 0.0
            for b in range(d):
                part[e] += flat[k, e, b] * M[b]
        for f in range(begin[k], begin[k + 1]):
            for sigma in (1, -1):
                for e in range(d):
                    g[e] = base[k, e] + sigma * part[e] + shift[f, e]
                if not points_along(g, V, u, sigma, Z, faces, f, before, after, loose):
                    continue
                for c in range(C):
                    s[c] = sigma * u[c]
                for j in range(Z.size):
                    s[Z[j]] = faces[f, j]
                if in_box(g, m, V, J, s, size, loose):
                    found = record(found, count, s)
                    count += 1
    return found, count


@kernel
def at_ray(hit, angle, Q, V, J, m, M, u, size, loose, found, count):
    """Candidates among a ray of the plane ``Q`` and the opposite one.

    ``hit`` are the hyperplanes that meet the plane there, ``u`` the signs and ``M`` their part of
    the field, without these.
    """
    C, d = V.shape
    ray, normal, g = np.empty(d), np.empty(d), np.empty(d)
    for e in range(d):
        ray[e] = np.cos(angle) * Q[0, e] + np.sin(angle) * Q[1, e]
        normal[e] = np.cos(angle) * Q[1, e] - np.sin(angle) * Q[0, e]
    kinks, steepest = 0.0, 0.0
    for j in range(hit.size):
        steep = abs(row_dot(V, hit[j], normal))
        kinks += 0.5 * abs(J[hit[j]]) * steep
        steepest = max(steepest, steep)
    # Hyperplanes that almost contain the plane leave their ray inexact.
    loose += ROUNDING * size / steepest
    s = np.empty(C, np.int8)
    for sigma in (1, -1):
        along, across = 0.0, 0.0
        for e in range(d):
            along += (m[e] + sigma * M[e]) * ray[e]
            across += (m[e] + sigma * M[e]) * normal[e]
        # On the circle of this plane it has to be critical first.
        if abs(across) > kinks + loose:
            continue
        for e in range(d):
            g[e] = along * ray[e]
        for c in range(C):
            s[c] = sigma * u[c]
        for j in range(hit.size):
            s[hit[j]] = 0
        if in_box(g, m, V, J, s, size, loose):
            found = record(found, count, s)
            count += 1
    return found, count


@kernel
def sweep(Z, V, J, m, faces, begin, loose):
    """Candidates among the faces that touch the plane in which the hyperplanes ``Z`` meet.

    Parameters
    ----------
    Z : int array (q,)
        Hyperplanes; their normals should have rank d - 2.
    V, J : arrays (C, d) and (C,)
        Unit normals and jumps of all hyperplanes.
    m : array (d,)
        Constant part of the field.
    faces : int8 array (F, q)
        Signs on ``Z`` of the faces around an arc, those with the same zeros in a row.
    begin : int array (K + 1,)
        Where the zeros change.
    loose : float
        Tolerance for normal components of the field, relative to the sum of its terms.

    Returns
    -------
    found : int8 array (count, C)
        Signs of the candidates, with repetitions.
    status : int
        GENERAL, or why nothing was done: DEPENDENT normals, or SPECIAL: more hyperplanes than ``Z``
        contain the plane. Then the only row of ``found`` has 1 for all that do.
    ties : int
        Number of hyperplanes that meet the plane where another one does.
    near : int
        Number of doubtful ties and inclusions.
    """
    C, d = V.shape
    # Typed: a literal 0 would have everything compiled twice.
    count = np.int64(0)
    found = np.empty((8, C), np.int8)
    N = np.empty((Z.size, d))
    inside = np.zeros(C, np.int8)
    for j in range(Z.size):
        inside[Z[j]] = 1
        for e in range(d):
            N[j, e] = V[Z[j], e]
    basis, rank = orthonormal_rows(N)
    if rank < d - 2:
        return found[:0], DEPENDENT, 0, 0
    Q = orthogonal_plane(basis)
    more, doubts = False, 0
    for c in range(C):
        if inside[c] == 0:
            length = np.sqrt(row_row(V, c, Q, 0)**2 + row_row(V, c, Q, 1)**2)
            doubts += DOUBT[0] * IN_PLANE < length < DOUBT[1] * IN_PLANE
            if length <= IN_PLANE:
                inside[c] = 1
                more = True
    if more:
        return record(found, count, inside)[:1], SPECIAL, 0, doubts
    u = np.empty(C, np.int8)
    line, angle, edge, near = turn_around(V, Q, inside, u)
    flat, base, shift = around(Z, V, J, m, faces, begin)
    size = 0.0
    M = np.zeros(d)
    for e in range(d):
        size += abs(m[e])
        for c in range(C):
            M[e] += 0.5 * u[c] * J[c] * V[c, e]
    for c in range(C):
        size += abs(J[c])
    loose *= size
    before = line[edge[edge.size - 2]]
    for i in range(edge.size - 1):
        after = line[edge[i]]
        found, count = at_arc(Z, V, J, m, M, u, before, after, faces, begin, flat, base, shift,
                              size, loose, found, count)
        hit = line[edge[i]:edge[i + 1]]
        for j in range(hit.size):
            for e in range(d):
                M[e] -= 0.5 * u[hit[j]] * J[hit[j]] * V[hit[j], e]
        found, count = at_ray(hit, angle[edge[i]], Q, V, J, m, M, u, size, loose, found, count)
        for j in range(hit.size):
            u[hit[j]] = -u[hit[j]]
            for e in range(d):
                M[e] += 0.5 * u[hit[j]] * J[hit[j]] * V[hit[j], e]
        before = after
    return found[:count], GENERAL, line.size - edge.size + 1, doubts + near
