"""The sides of a neuron on hyperplanes that it lies on, all at once, and what they are for its
field."""

import numpy as np

from .algebra import all_below, coordinates, orthonormal_rows, put_back, row_dot
from .filippov import ROUNDING, choose_side, choose_sides
from .jit import leaf, maker
from .switch import sign_after
from .taylor import polynomial


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
def sum_field(side, D, plus, minus, normal):
    """The field ``D`` (p, d) of a neuron, summed anew."""
    p, d = D.shape
    for j in range(p):
        for c in range(d):
            D[j, c] = 0.0
    for h in range(side.size):
        if side[h] != 0:
            for j in range(p):
                amount = plus[h, j] if side[h] == 1 else minus[h, j]
                for c in range(d):
                    D[j, c] += amount * normal[h, c]


@leaf
def settle(u, s, total, Z, D, side, normal, below, above, plus, minus, size, shove, new, field, w,
           jump):
    """New sides ``new`` on the hyperplanes ``Z`` that a neuron lies on at ``s``, jointly.

    ``u`` is put on them; ``field``, ``w`` (d,) and ``jump`` are work space. ``shove`` times the
    normal of the first is taken off the field: the instant is just after. Returns the sign of the
    output weight after, and the number of solutions; ``jump`` has the sides of another.
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
    for c in range(d if shove != 0.0 else 0):
        field[c] -= shove * normal[Z[0], c]
    if total == 1:
        h = Z[0]
        new[0], solutions = choose_side(sign, row_dot(normal, h, field), jump[0],
                                        below[h], above[h], ROUNDING * size)
        jump[0] = -new[0]
        if d > 1:
            along = row_dot(normal, h, w)
            for c in range(d):
                u[1 + c] -= along * normal[h, c]
        return sign, solutions
    return sign, settle_jointly(u, sign, total, Z, side, normal, below, above, size, new, field, w,
                                jump)


@maker
def settle_jointly(u, sign, total, Z, side, normal, below, above, size, new, field, w, jump):
    """`settle` on several hyperplanes; the number of solutions, ``jump`` the sides of another."""
    d = w.size
    V = np.empty((total, d))
    fewer = np.empty(total, np.int64)
    more = np.empty(total, np.int64)
    for q in range(total):
        fewer[q], more[q] = below[Z[q]], above[Z[q]]
        for c in range(d):
            V[q, c] = normal[Z[q], c]
    # What is across all normals plays no part in the choice: in coordinates of their span it costs
    # no more than in as many dimensions.
    basis, rank = orthonormal_rows(V)
    one = np.empty((1, d))
    for c in range(d):
        one[0, c] = field[c]
    inside, across = V, one
    if total > 2 and 2 * total < d:
        inside, across = coordinates(V, basis, rank), coordinates(one, basis, rank)
    now = all_below(total)
    for q in range(total if rank == total else 0):
        now[q] = 0 if side[Z[q]] == 0 else -1
    sides, solutions, other = choose_sides(sign, across[0], inside, jump[:total], fewer, more, size,
                                           now)
    for q in range(total):
        new[q], jump[q] = sides[q], other[q]
    put = put_back(w, V, basis, rank, sides)
    for c in range(d):
        u[1 + c] = put[c]
    return solutions
