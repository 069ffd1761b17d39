"""A sliding neuron under given residuals: its projected field, and where its slide ends."""

import numpy as np

from .crossings import RELEASE_ABOVE, RELEASE_BELOW, multiplier_errors, multipliers
from .jit import kernel, leaf, maker, summed
from .algebra import BLOCK, lesser, long_dot, orthogonalise, row_row
from .roots import led_away, taylor_exit

WIDE = 3.0
"""A neuron within so many ``rtol`` of a hyperplane may be on it: as certificates have it."""


@leaf
def sliding_planes(side, planes, most):
    """Put the hyperplanes of side 0 in ``planes``, at most ``most`` and what there is room for;
    their number."""
    count, C = 0, side.size
    most = lesser(most, planes.size)
    for begin in range(0, C, BLOCK):
        if count >= most:
            break
        # Few are there: several at a time, without branches.
        if begin + BLOCK <= C:
            some = False
            for h in range(BLOCK):
                some |= side[begin + h] == 0
            if not some:
                continue
        for h in range(begin, lesser(begin + BLOCK, C)):
            if side[h] == 0 and count < most:
                planes[count] = h
                count += 1
    return count


@leaf
def span(planes, count, normal, basis):
    """Put an orthonormal basis of the normals of ``planes`` in ``basis`` (d, d), and zeros if they
    are dependent; their rank."""
    rank = 0
    for q in range(count):
        for c in range(normal.shape[1]):
            basis[rank, c] = normal[planes[q], c]
        # One normal is a basis as it is.
        if count == 1 or orthogonalise(basis, rank):
            rank += 1
    for q in range(rank, count):
        for c in range(normal.shape[1]):
            basis[q, c] = 0.0
    return rank


@leaf
def project(planes, count, normal, D, P, basis):
    """Project the field ``D`` to ``P`` for sliding ``planes``; the rank of their normals, of which
    ``basis`` receives a `span`."""
    p, d = D.shape
    rank = span(planes, count, normal, basis)
    for j in range(p):
        for c in range(d):
            P[j, c] = D[j, c]
        for q in range(rank):
            along = row_row(basis, q, P, j)
            for c in range(d):
                P[j, c] -= along * basis[q, c]
    return rank


@maker
def keep_on(U, side, normal, of, first, slides):
    """Put the weights of neurons ``U`` (m, d + 1) back on the hyperplanes that they slide on, of
    the patterns ``of`` (m,), with a neuron ``first`` (G,) of each, that ``slides`` (G,) says do.

    What they are off does not shrink when they do.
    """
    m, d = U.shape[0], U.shape[1] - 1
    planes = np.empty(d, np.int64)
    basis = np.empty((d, d))
    # Neurons of a pattern one after the other: they share the basis.
    begin, row = np.empty(first.size + 1, np.int64), np.empty(m, np.int64)
    for g in range(begin.size):
        begin[g] = 0
    for i in range(m):
        begin[of[i] + 1] += 1
    for g in range(first.size):
        begin[g + 1] += begin[g]
    for i in range(m):
        row[begin[of[i]]] = i
        begin[of[i]] += 1
    for g in range(first.size):
        if not slides[g]:
            continue
        rank = span(planes, sliding_planes(side[first[g]], planes, d), normal, basis)
        # By now each begins where the next one did.
        for e in range(begin[g - 1] if g > 0 else 0, begin[g] if rank < d else 0):
            i = row[e]
            for q in range(rank):
                along = long_dot(basis, q, 0, U, i, 1, d)
                for c in range(d):
                    U[i, 1 + c] -= along * basis[q, c]


@summed
def active_sum(side, plus, minus):
    """Sum over the hyperplanes of ``plus`` where a neuron is on side 1, of ``minus`` where it is on
    side -1; where it slides nothing."""
    total = 0.0
    for h in range(side.size):
        # Both are read, so that several are added at a time.
        above, below = plus[h], minus[h]
        total += above if side[h] == 1 else below if side[h] == -1 else 0.0
    return total


@summed
def moved_by(solve, row, side, plus_error, minus_error, normal):
    """By how much errors of the pulls that a neuron sees move row ``row`` of ``solve`` times its
    field at most: where it slides, and what it does not see, does not count."""
    total = 0.0
    for h in range(side.size):
        error = plus_error[h] if side[h] == 1 else minus_error[h] if side[h] == -1 else 0.0
        if error > 0.0:
            total += error * abs(row_row(solve, row, normal, h))
    return total


@kernel
def margins_beside(p, error, side, planes, sign, normal, X, label, length):
    """Margins of neurons that are on a hyperplane and do not slide on it, if they did.

    Parameters
    ----------
    p : array (q, n)
        Pulls at q times.
    error : array (n,)
        Their errors.
    side : int8 array (K, C)
        Sides of the neurons.
    planes : int array (K,)
        A hyperplane of each.
    sign : array (K,)
        Signs of output weights.
    normal : array (C, d)
        Unit normals.
    X, label, length : arrays of the data and its arrangement

    Returns
    -------
    own, across : arrays (K, q)
        `multipliers` on the side where the neuron is, and on the other one.
    wrong : array (K,)
        Their errors; NaN where normals are dependent.
    """
    K, C = side.shape
    d = X.shape[1]
    own = np.empty((K, p.shape[0]))
    across = np.empty((K, p.shape[0]))
    wrong = np.full(K, np.nan)
    here = np.empty((1, C), np.int8)
    others = np.empty(d, np.int64)
    basis = np.empty((d, d))
    one = np.empty(1, np.int64)
    row = np.empty((1, d))
    for k in range(K):
        for c in range(C):
            here[0, c] = side[k, c]
        count = sliding_planes(here[0], others, d)
        one[0] = planes[k]
        here[0, planes[k]] = 0
        # Of the normals its own is the last: that row of (V V^T)^-1 V is what is left of it.
        rank = 0
        while rank < d and rank <= count:
            h = others[rank] if rank < count else planes[k]
            for c in range(d):
                basis[rank, c] = normal[h, c]
            if not orthogonalise(basis, rank):
                break
            rank += 1
        if rank <= count:
            continue
        along = row_row(basis, count, normal, planes[k])
        for c in range(d):
            row[0, c] = basis[count, c] / along
        below, above = multipliers(p, 0, sign[k], here, X, label, length, one, row)
        wrong[k] = multiplier_errors(error, 0, here, X, label, length, one, row)[0]
        for j in range(p.shape[0]):
            own[k, j] = above[j, 0] if side[k, planes[k]] > 0 else below[j, 0]
            across[k, j] = below[j, 0] if side[k, planes[k]] > 0 else above[j, 0]
    return own, across, wrong


@leaf
def least(rtol):
    """So much of its error leads nowhere: rounding of a multiplier, which adds up at rest."""
    return lesser(1e-3, 1e-15 / rtol)


@leaf
def turning(u):
    """By how much, relative to the neuron ``u`` (d + 1,), a field of 1 moves its weight off."""
    square = 0.0
    for c in range(u.size):
        square += u[c] * u[c]
    return abs(u[0]) / np.sqrt(square) if square > 0.0 else 0.0


@leaf
def slide_exit(s, sign, planes, count, rank, basis, D, plus, minus, side, plus_error, minus_error,
               from_unit, split, normal, lam, solve, z, series, turns, band, led, row):
    """First time in [s, 1] at which a multiplier leaves [0, 1]: time (2 if none), plane, kind.

    With ``lam = eta J`` the field on side -1 is cancelled along every sliding normal. The system is
    triangular, ``lam_c R_cc = -q_c.D - sum_{e > c} R_ec lam_e``: ``lam_c = -S_c.D``. What errors of
    pulls do to it is `moved_by` those on the ``side`` of every hyperplane, ``plus_error`` and
    ``minus_error`` (C,); its own jump is wrong by the last. A margin that begins clear of its error
    is followed to its zero; one that does not has no sign, and is left alone until it is that much
    below. But if a neuron that is let go of at its last zero would be off by more than `WIDE` times
    ``band`` of its norm, where a margin of -1 takes it off by ``turns`` (see `turning`), then that
    release is put in ``led[row]`` (3,), if it is earlier than what is there, unless the margin, as
    it goes on, will be clear of its error in as much time again, and the other one is clear of it,
    so that no error has the neuron go to the other side.

    ``from_unit`` and ``split`` are tables of `taylor_exit`; ``lam`` (d, p), ``solve`` (d, d) for
    the rows ``S_c``, ``z`` and ``series`` work space.
    """
    p, d = D.shape
    best, plane, kind = 2.0, -1, RELEASE_BELOW
    if rank < count or 1.0 - s <= 0.0:
        count = rank
    # Solve lam: sum_c lam_c v_c = -(projection of D on the normals), v = R q with R triangular.
    for c in range(count - 1, -1, -1):
        own = row_row(normal, planes[c], basis, c)
        for j in range(p):
            lam[c, j] = -row_row(basis, c, D, j)
        for b in range(d):
            solve[c, b] = basis[c, b] / own
        for e in range(c + 1, count):
            along = row_row(normal, planes[e], basis, c)
            for j in range(p):
                lam[c, j] -= along * lam[e, j]
            for b in range(d):
                solve[c, b] -= along / own * solve[e, b]
        for j in range(p):
            lam[c, j] /= own
    seen = active_sum(side, plus_error, minus_error)
    for c in range(count):
        h = planes[c]
        # From above, which is enough for most margins.
        moved, exact = np.sqrt(row_row(solve, c, solve, c)) * seen, False
        for which in range(2):
            own = minus_error[h] if which == 0 else plus_error[h]
            for j in range(p):
                z[j] = (sign * (minus[h, j] - lam[c, j]) if which == 0
                        else sign * (lam[c, j] - plus[h, j]))
            # Taylor coefficients at s, in units of the time left.
            power = 1.0
            for i in range(p):
                for j in range(p - 2, i - 1, -1):
                    z[j] += s * z[j + 1]
                z[i] *= power
                power *= 1.0 - s
            if not exact and z[0] <= moved + own:
                moved, exact = moved_by(solve, c, side, plus_error, minus_error, normal), True
            tol = moved + own
            x = taylor_exit(z, p - 1, 0.0 if z[0] > tol else tol, 1.0, from_unit, split, series)
            code = RELEASE_BELOW if which == 0 else RELEASE_ABOVE
            when = s + x * (1.0 - s)
            if x <= 1.0 and when < best:
                best, plane, kind = when, h, code
            if z[0] <= tol and turns > 0.0:
                end, jump = 0.0, 0.0
                for j in range(p):
                    end += z[j]
                    jump += sign * (minus[h, j] - plus[h, j])
                # One that will be clear of its error as soon can wait until then, if it is known
                # to which side it goes: the two margins add up to the jump.
                waits = 2.0 * end - z[0] < -tol and jump - end > tol
                z[0] += least(band) * tol
                y = 2.0 if waits else led_away(z, p - 1, WIDE * band / (turns * (1.0 - s)))
                when = s + y * (1.0 - s)
                if y <= 1.0 and when < led[row, 0]:
                    led[row, 0], led[row, 1], led[row, 2] = when, h, code
    return best, plane, kind
