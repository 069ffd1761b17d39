"""Filippov's rule on the hyperplanes a neuron lies on: cross, slide or rest.

A neuron with output weight of sign ``s`` moves by ``dw/dt = a D``. On one side of the hyperplane
with unit normal ``v_c`` its ``D`` is smaller by ``J_c v_c`` than on the other. If ``s J_c > 0`` the
kink is convex for the ascent of ``s G``: the neuron crosses (or, from a start on it, leaves to
either side). If ``s J_c < 0`` it is concave: the neuron crosses or slides, and the velocity is the
element of least norm of the convex hull (Boursier and Flammarion, "Early alignment in two-layer
networks training is a two-edged sword", JMLR 2025; Filippov, "Differential Equations with
Discontinuous Righthand Sides", 1988).

Sides are numbers: +1 where ``w.v_c > 0``, -1 where ``w.v_c < 0``, 0 while sliding.
"""

import numpy as np

from .algebra import all_below, greater, orthonormal_rows, row_dot, row_row, zeros
from .jit import leaf, maker

ROUNDING = 4e-15
"""Relative size of a normal velocity that is rounding: such a neuron rests where it is."""
MOST_CONVEX = 12
"""Convex kinks that are tried on both sides at once; more stay on side -1."""


@maker
def _free_minimum(V, D, J, side, mu):
    """Coefficients ``mu`` of the free normals (side 0) that make ``D + sum mu_c v_c`` orthogonal
    to them, the normals of side 1 at their full jump. False if the free normals are dependent."""
    s, d = V.shape
    count = 0
    for c in range(s):
        count += side[c] == 0
    free = np.empty(count, np.int64)
    N = np.empty((count, d))
    base = np.empty(d)
    for e in range(d):
        base[e] = D[e]
    count = 0
    for c in range(s):
        if side[c] == 0:
            free[count] = c
            for e in range(d):
                N[count, e] = V[c, e]
            count += 1
        elif side[c] == 1:
            for e in range(d):
                base[e] += J[c] * V[c, e]
    basis, rank = orthonormal_rows(N)
    if rank < count:
        return False
    # N = R Q with R lower triangular, so that mu R = -Q base.
    for c in range(count - 1, -1, -1):
        total = -row_dot(basis, c, base)
        for j in range(c + 1, count):
            total -= row_row(N, j, basis, c) * mu[free[j]]
        mu[free[c]] = total / row_row(N, c, basis, c)
    return True


@leaf
def _element(D, V, J, eta, best):
    """``best = D + sum eta_c J_c v_c``."""
    for e in range(best.size):
        best[e] = D[e]
        for c in range(eta.size):
            best[e] += eta[c] * J[c] * V[c, e]


@maker
def _walk(D, V, J, side, eta, mu):
    """Take ``eta`` to the free minimiser, binding what is in the way; ``mu`` (s,) is work space.
    False if the free normals are dependent."""
    s = side.size
    # Every turn but the last binds one that is free.
    for _ in range(s + 1):
        if not _free_minimum(V, D, J, side, mu):
            return False
        # The first bound on the way is taken.
        step, hit, left = 1.0, -1, 0
        for c in range(s):
            if side[c] != 0:
                continue
            left += 1
            goal = mu[c] / J[c]
            if goal < 0.0 and eta[c] <= step * (eta[c] - goal):
                step, hit = eta[c] / (eta[c] - goal), c
            elif goal > 1.0 and 1.0 - eta[c] <= step * (goal - eta[c]):
                step, hit = (1.0 - eta[c]) / (goal - eta[c]), c
        for c in range(s):
            if side[c] == 0:
                eta[c] += step * (mu[c] / J[c] - eta[c])
        if hit < 0:
            break
        side[hit] = 1 if eta[hit] > 0.5 else -1
        eta[hit] = 1.0 if side[hit] == 1 else 0.0
        if left == 1:
            break
    return True


@maker
def box_least_squares(D, V, J, slack):
    """Minimise ``|D + sum_c eta_c J_c v_c|`` over ``eta`` in [0, 1]^s by an active-set method.

    The element is unique even where the multipliers are not (dependent normals): then the free
    ones are a basis. Stark and Parker, "Bounded-variable least squares", 1995.

    Parameters
    ----------
    D : array (d,)
        Field with every ``eta`` zero.
    V : array (s, d)
        Unit normals.
    J : array (s,)
        Jumps, none of them zero.
    slack : float
        Normal velocities below it count as zero.

    Returns
    -------
    side : int8 array (s,)
        -1 where ``eta = 0``, 1 where ``eta = 1``, 0 where it lies between.
    best : array (d,)
        The element of least norm.
    """
    side = all_below(V.shape[0])
    return side, box_least_squares_from(side, D, V, J, slack)


@maker
def box_least_squares_from(side, D, V, J, slack):
    """`box_least_squares` begun with the sides ``side``, which are replaced: the element.

    If they are right but for a few this takes so many turns, not one for each that is free.
    """
    s, d = V.shape
    eta = zeros(s)
    mu = zeros(s)
    stuck = zeros(s)
    free = 0
    for c in range(s):
        eta[c] = 0.5 * (side[c] + 1)
        free += side[c] == 0
    if free > 0 and not _walk(D, V, J, side, eta, mu):
        for c in range(s):
            side[c], eta[c] = -1, 0.0
    best = np.empty(d)
    _element(D, V, J, eta, best)
    for _ in range(10 * s + 10):
        # Free the bound multiplier that would lower the norm most.
        chosen, most = -1, slack
        for c in range(s):
            if side[c] == 0 or stuck[c] != 0.0:
                continue
            gain = side[c] * np.sign(J[c]) * row_dot(V, c, best)
            if gain > most:
                chosen, most = c, gain
        if chosen < 0:
            break
        previous = side[chosen]
        side[chosen] = 0
        if not _walk(D, V, J, side, eta, mu):
            side[chosen] = previous
            stuck[chosen] = 1.0
        _element(D, V, J, eta, best)
    # What is held by no more than rounding would not have been taken from side -1.
    for c in range(s):
        if side[c] == 0 and eta[c] * abs(J[c]) <= slack:
            side[c], eta[c] = -1, 0.0
    _element(D, V, J, eta, best)
    return best


@leaf
def choose_side(sign, across, J, below, above, slack):
    """`choose_sides` on one hyperplane: side, and number of solutions.

    ``across`` is ``v.D`` with side -1, ``J`` the jump; the rest as in `choose_sides`.
    """
    if sign * J < 0.0:
        # The point of the segment between the two fields with the least normal velocity.
        if -np.sign(J) * across <= slack:
            return -1, 1
        return (1 if -across / J > 1.0 else 0), 1
    down = -sign * across >= -slack
    up = sign * (across + J) >= -slack
    if down and up:
        # With an output weight that stays 0 it does not move, on either side.
        return (1 if above < below else -1), (2 if abs(J) > slack and sign != 0.0 else 1)
    return (1 if up else -1), (1 if up or down else 0)


@maker
def choose_sides(sign, D, V, J, below, above, size, now):
    """Side of every hyperplane that a neuron lies on, just after this instant.

    Convex kinks (``sign * J >= 0``) take a side, concave ones are settled together by the box
    problem, and a choice stands if the resulting velocity keeps it. Of several that stand (a start
    on a repelling hyperplane, or an output weight that changed sign) the one with the fewest
    active points is taken.

    Parameters
    ----------
    sign : float
        Sign of the output weight just after this instant, 0 if it stays 0.
    D : array (d,)
        Field of the neuron with side -1 on all these hyperplanes.
    V : array (s, d)
        Unit normals of the hyperplanes.
    J : array (s,)
        Jumps of ``D`` along them, side 1 minus side -1.
    below, above : int arrays (s,)
        Number of points active on side -1 and on side 1.
    size : float
        Magnitude of the terms that ``D`` sums, for rounding.
    now : int8 array (s,)
        0 where the neuron slides, -1 elsewhere: it is likely to go on sliding there. This decides
        how long it takes, and nothing else if the normals are independent.

    Returns
    -------
    side : int8 array (s,)
    choices : int
        Number of selections that stand; more than one means the solution is not unique, zero that
        none was found and the first was taken.
    other : int8 array (s,)
        Sides of another solution, if there is one.
    """
    s, d = V.shape
    slack = ROUNDING * size
    if s == 1:
        side = all_below(s)
        side[0], choices = choose_side(sign, row_dot(V, s - 1, D), J[0], below[0], above[0], slack)
        other = side.copy()
        if choices > 1:
            other[0] = -side[0]
        return side, choices, other
    convex = np.empty(s, np.int64)
    concave = np.empty(s, np.int64)
    many, few = 0, 0
    for c in range(s):
        if sign * J[c] >= 0.0:
            convex[many] = c
            many += 1
        else:
            concave[few] = c
            few += 1
    part_V = np.empty((few, d))
    part_J = np.empty(few)
    part = np.empty(few, np.int8)
    for j in range(few):
        part_J[j] = J[concave[j]]
        for e in range(d):
            part_V[j, e] = V[concave[j], e]
    chosen = all_below(s)
    other = all_below(s)
    last = zeros(d)
    base = np.empty(d)
    choices, fewest = 0, -1
    tried = many if many < MOST_CONVEX else MOST_CONVEX
    for code in range(1 << tried):
        side = all_below(s)
        for e in range(d):
            base[e] = D[e]
        for j in range(tried):
            if (code >> j) & 1:
                c = convex[j]
                side[c] = 1
                for e in range(d):
                    base[e] += J[c] * V[c, e]
        for j in range(few):
            part[j] = now[concave[j]]
        best = box_least_squares_from(part, base, part_V, part_J, slack)
        for j in range(few):
            side[concave[j]] = part[j]
        stands = True
        for j in range(many):
            c = convex[j]
            if side[c] * sign * row_dot(V, c, best) < -slack:
                stands = False
        active = 0
        for c in range(s):
            if side[c] == 1:
                active += above[c]
            elif side[c] == -1:
                active += below[c]
        if stands:
            # Selections that move alike are one solution (a point with no residual left).
            apart = 0.0
            for e in range(d):
                apart = greater(apart, abs(best[e] - last[e]))
            alike = apart <= slack or sign == 0.0
            if choices == 0 or not alike:
                choices += 1
            if fewest < 0 or active < fewest:
                if not alike:
                    other = chosen
                fewest = active
                chosen = side
                last = best
            elif not alike:
                other = side
        elif code == 0:
            chosen = side
    return chosen, choices, (other if choices > 1 else chosen)
