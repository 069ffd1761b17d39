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
from numba import njit

ROUNDING = 4e-15
"""Relative size of a normal velocity that is rounding: such a neuron rests where it is."""
DEPENDENT = 1e-10
"""A normal closer than this to the span of others adds no constraint."""


@njit(cache=True)
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
    s, d = V.shape
    side = np.full(s, -1, np.int8)
    eta = np.zeros(s)
    best = D.copy()
    stuck = np.zeros(s, np.bool_)
    for _ in range(10 * s + 10):
        # Free the bound multiplier that would lower the norm most.
        chosen, most = -1, slack
        for c in range(s):
            if side[c] == 0 or stuck[c]:
                continue
            gain = -np.sign(J[c]) * np.dot(V[c], best) * (-side[c])
            if gain > most:
                chosen, most = c, gain
        if chosen < 0:
            break
        previous = side[chosen]
        side[chosen] = 0
        while True:
            free = np.flatnonzero(side == 0)
            base = D.copy()
            for c in range(s):
                if side[c] == 1:
                    base += J[c] * V[c]
            mu, regular = _normal_equations(V[free], base)
            if not regular:
                side[chosen] = previous
                stuck[chosen] = True
                break
            # Walk from eta towards the free minimiser; the first bound on the way is taken.
            step, hit = 1.0, -1
            for f in range(free.size):
                c = free[f]
                goal = mu[f] / J[c]
                if goal < 0.0 and eta[c] / (eta[c] - goal) < step:
                    step, hit = eta[c] / (eta[c] - goal), c
                elif goal > 1.0 and (1.0 - eta[c]) / (goal - eta[c]) < step:
                    step, hit = (1.0 - eta[c]) / (goal - eta[c]), c
            for f in range(free.size):
                c = free[f]
                eta[c] += step * (mu[f] / J[c] - eta[c])
            if hit < 0:
                break
            side[hit] = 1 if eta[hit] > 0.5 else -1
            eta[hit] = 1.0 if side[hit] == 1 else 0.0
            if not np.any(side == 0):
                break
        best = D.copy()
        for c in range(s):
            best += eta[c] * J[c] * V[c]
    return side, best


@njit(cache=True)
def _normal_equations(V, D):
    """Coefficients ``mu`` with ``D + sum mu_c v_c`` orthogonal to every ``v_c``."""
    s = V.shape[0]
    basis, rank = orthonormal_rows(V)
    if rank < s:
        return np.zeros(s), False
    # V = R Q with R lower triangular: mu R = -Q D.
    R = V @ basis.T
    rhs = -(basis @ D)
    mu = np.zeros(s)
    for c in range(s - 1, -1, -1):
        total = rhs[c]
        for j in range(c + 1, s):
            total -= R[j, c] * mu[j]
        mu[c] = total / R[c, c]
    return mu, True


@njit(cache=True)
def orthonormal_rows(V):
    """Orthonormal basis of the row span (rows of the result), and its rank.

    Gram-Schmidt, twice is enough; rows that depend on earlier ones are dropped.
    """
    s, d = V.shape
    basis = np.zeros((s, d))
    rank = 0
    for c in range(s):
        q = V[c].copy()
        for _ in range(2):
            for j in range(rank):
                q -= np.dot(basis[j], q) * basis[j]
        norm = np.sqrt(np.dot(q, q))
        if norm > DEPENDENT and rank < d:
            basis[rank] = q / norm
            rank += 1
    return basis[:rank].copy(), rank


@njit(cache=True)
def choose_sides(sign, D, V, J, below, above, size):
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

    Returns
    -------
    side : int8 array (s,)
    choices : int
        Number of selections that stand; more than one means the solution is not unique, zero that
        none was found and the first was taken.
    """
    s, d = V.shape
    slack = ROUNDING * size
    convex = np.flatnonzero(sign * J >= 0.0)
    concave = np.flatnonzero(sign * J < 0.0)
    chosen = np.full(s, -1, np.int8)
    choices = 0
    fewest = -1
    last = np.zeros(d)
    for code in range(1 << min(convex.size, 12)):
        side = np.full(s, -1, np.int8)
        base = D.copy()
        for j in range(convex.size):
            if j < 12 and (code >> j) & 1:
                side[convex[j]] = 1
                base += J[convex[j]] * V[convex[j]]
        best = base
        if concave.size > 0:
            part, best = box_least_squares(base, V[concave], J[concave], slack)
            side[concave] = part
        stands = True
        for c in convex:
            if side[c] * sign * np.dot(V[c], best) < -slack:
                stands = False
        active = 0
        for c in range(s):
            if side[c] == 1:
                active += above[c]
            elif side[c] == -1:
                active += below[c]
        if stands:
            # Selections that move alike are one solution (a point with no residual left).
            if choices == 0 or np.abs(best - last).max() > slack:
                choices += 1
            if fewest < 0 or active < fewest:
                fewest = active
                chosen = side
                last = best
        elif code == 0:
            chosen = side
    return chosen, choices
