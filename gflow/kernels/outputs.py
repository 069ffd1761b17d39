"""What a neuron adds to the outputs of the network at the nodes of a window."""

from .algebra import lesser
from .jit import leaf

TOGETHER = 3
"""Times at which a neuron is looked at together."""


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
            change = (weight_on(log[e, 4] * length[k], geometry.slope)
                      - weight_on(log[e, 3] * length[k], geometry.slope)) * weight
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
def weight_on(side, slope):
    """Derivative of the activation on a side of 0; 0 on neither, for a neuron that slides."""
    return 1.0 if side > 0.0 else slope if side < 0.0 else 0.0


@leaf
def deposit(states, weight, rows, slope, z, h):
    """Add the outputs ``a phi(w.x)`` of a neuron at all times to ``h`` (J, n).

    The sign of ``w.x`` stands for the pattern: they differ where it is rounding.
    """
    n, J = rows.shape[1], states.shape[0]
    # Three times at once: points are read a third as often. Of fewer the last stands in.
    for j in range(0, J, TOGETHER):
        inputs(states, j, lesser(j + 1, J - 1), lesser(j + 2, J - 1), rows, z)
        for i in range(lesser(TOGETHER, J - j)):
            out = states[j + i, 0] * weight
            if slope == 0.0:
                for k in range(n):
                    h[j + i, k] += out * (z[i, k] if z[i, k] > 0.0 else 0.0)
            else:
                for k in range(n):
                    h[j + i, k] += out * (z[i, k] if z[i, k] > 0.0 else slope * z[i, k])


@leaf
def inputs(states, i, j, e, rows, z):
    """Put ``w.x`` at three of the states in ``z`` (3, n)."""
    d, n = rows.shape
    for k in range(n):
        x = rows[0, k]
        z[0, k], z[1, k], z[2, k] = states[i, 1] * x, states[j, 1] * x, states[e, 1] * x
    fours = (d - 1) // 4
    for q in range(fours):
        c = 1 + 4 * q
        i1, i2, i3, i4 = states[i, 1 + c], states[i, 2 + c], states[i, 3 + c], states[i, 4 + c]
        j1, j2, j3, j4 = states[j, 1 + c], states[j, 2 + c], states[j, 3 + c], states[j, 4 + c]
        e1, e2, e3, e4 = states[e, 1 + c], states[e, 2 + c], states[e, 3 + c], states[e, 4 + c]
        for k in range(n):
            x1, x2, x3, x4 = rows[c, k], rows[c + 1, k], rows[c + 2, k], rows[c + 3, k]
            z[0, k] = (((z[0, k] + i1 * x1) + i2 * x2) + i3 * x3) + i4 * x4
            z[1, k] = (((z[1, k] + j1 * x1) + j2 * x2) + j3 * x3) + j4 * x4
            z[2, k] = (((z[2, k] + e1 * x1) + e2 * x2) + e3 * x3) + e4 * x4
    for c in range(1 + 4 * fours, d):
        i1, j1, e1 = states[i, 1 + c], states[j, 1 + c], states[e, 1 + c]
        for k in range(n):
            x = rows[c, k]
            z[0, k] += i1 * x
            z[1, k] += j1 * x
            z[2, k] += e1 * x
