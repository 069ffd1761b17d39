"""What a neuron adds to the outputs of the network at the nodes of a window."""

from .jit import leaf


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
    d, n = rows.shape
    for j in range(states.shape[0]):
        for k in range(n):
            z[k] = states[j, 1] * rows[0, k]
        fours = (d - 1) // 4
        for q in range(fours):
            c = 1 + 4 * q
            one, two = states[j, 1 + c], states[j, 2 + c]
            three, four = states[j, 3 + c], states[j, 4 + c]
            for k in range(n):
                z[k] = ((((z[k] + one * rows[c, k]) + two * rows[c + 1, k])
                         + three * rows[c + 2, k]) + four * rows[c + 3, k])
        for c in range(1 + 4 * fours, d):
            along = states[j, 1 + c]
            for k in range(n):
                z[k] += along * rows[c, k]
        out = states[j, 0] * weight
        if slope == 0.0:
            for k in range(n):
                h[j, k] += out * (z[k] if z[k] > 0.0 else 0.0)
        else:
            for k in range(n):
                h[j, k] += out * (z[k] if z[k] > 0.0 else slope * z[k])
