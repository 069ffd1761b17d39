"""One round of the fast engine on a window: every neuron under given pulls, and outputs of all.

All of it is one kernel: on small windows a call from Python takes as long as what it does, and what
the phases share is compiled once.
"""

from collections import namedtuple

import numpy as np

from .algebra import lesser, norm, zero_rows
from .crossings import tighten
from .groups import goes_along, propagators
from .jit import kernel, leaf, maker
from .march import FINE, GROUPED, march
from .outputs import TOGETHER, correct, deposit, inputs
from .workspace import work_space

PREPARE, MARCH, GATHER = 1, 2, 4
"""Phases of a round: what neurons of a pattern have in common; neurons one by one, or with their
group; the outputs of the network. Any sum of them is done in this order."""
FEW = 8
"""A neuron with more events than this part of the points has its outputs summed point by point."""

BALANCED = 1.0 - 1e-14
"""So much of its ``|w|`` is the ``|a|`` of a neuron that has equal ones, to rounding: ``a`` passes
0 only if ``|w|`` shrinks by a factor of 7e6 first. On a ray no window lets it do so by more than
exp of 12 (FADINGS); off it, it turns before."""

Sums = namedtuple("Sums", "moments outputs heights spent rooms logs")
"""What blocks of neurons add up to: second moments (B, g, d + 1, d + 1) of the neurons that go with
their group, ``sum a_i w_i`` (B, g, J, d) of neurons of these patterns that are followed one by one,
the outputs (B, J, n) of the others; and ``energy`` (B, ...), ``room`` (B, ...) and ``log``
(B, E, 6) of `march`."""


@kernel
def march_round(phases, part, parts, edges, U, side, neurons, groups, D, flat, sums, geometry,
                force, mixed, times, states, wanted, to_series, on, h):
    """Phases of a round.

    Parameters
    ----------
    phases : int
        Sum of `PREPARE`, `MARCH` and `GATHER`.
    part, parts : int
        This part of the patterns, or of the blocks, out of so many.
    U, side : arrays (m, d + 1) and (m, C)
        Neurons at the start.
    D, flat : array (G, p, d)
        Fields of the patterns, filled by the first phase, and the same as (G, p d).
    mixed : bool
        Whether points are active on side -1 of a hyperplane.
    edges, neurons, groups, sums, geometry, force, times, states, wanted, to_series
        See `march_blocks`.
    on : array (g, n)
        The derivative of the activation on the patterns of the groups.
    h : array (J, n)
        Receives the outputs.

    Returns
    -------
    status, neuron : int
        The first march that did not end well, or FINE and -1.
    """
    G, p, d = D.shape
    status, neuron = FINE, -1
    if phases & PREPARE:
        first, last = part * G // parts, (part + 1) * G // parts
        pattern_fields(first, last, groups, side, force.plus, force.minus, geometry.normal, mixed,
                       flat)
        propagators(first, last, groups, D, side, U, geometry.normal, force, times)
    if phases & MARCH:
        work = work_space(p, d, geometry.normal.shape[0], geometry.label.size)
        work.most[0] = total(force.plus_size) + total(force.minus_size)
        status, neuron = march_blocks(part, parts, edges, neurons, groups, D, sums, geometry, force,
                                      times, states, wanted, to_series, work, np.empty((p, d)),
                                      np.empty(d + 1), np.empty((times.size, d)))
    if phases & GATHER and status == FINE:
        add_blocks(sums, h)
        if groups.bend.size > 0:
            gather(groups, sums.moments[0], sums.outputs[0], on, geometry.rows, h)
    return status, neuron


@leaf
def total(x):
    """Sum of an array (N,)."""
    out = 0.0
    for h in range(x.size):
        out += x[h]
    return out


@leaf
def add_outer(pull, h, normal, D, g):
    """Add ``pull[h]`` (p,) times the normal ``h`` (d,) to row ``g`` of ``D`` (G, p d)."""
    p, d = pull.shape[1], normal.shape[1]
    for j in range(p):
        amount = pull[h, j]
        for c in range(d):
            D[g, j * d + c] += amount * normal[h, c]


@leaf
def pattern_fields(begin, end, groups, side, plus, minus, normal, mixed, D):
    """Fields of the active points of the patterns ``begin`` to ``end - 1``: rows of ``D``
    (G, p d)."""
    for g in range(begin, end):
        i = groups.first[g]
        for q in range(D.shape[1]):
            D[g, q] = 0.0
        for h in range(normal.shape[0]):
            if side[i, h] == 1:
                add_outer(plus, h, normal, D, g)
            elif mixed and side[i, h] == -1:
                add_outer(minus, h, normal, D, g)


@leaf
def march_blocks(part, parts, edges, neurons, groups, D, sums, geometry, force, times, states,
                 wanted, to_series, work, field, start, series):
    """March neurons one by one, or carry them with their group, by block: every ``parts``-th
    block from block ``part`` on.

    Sums are made by block, so that they do not depend on who does what.

    Parameters
    ----------
    part, parts : int
    edges : array (B + 1,)
        Block b has the neurons ``edges[b]`` to ``edges[b + 1] - 1``.
    neurons : Neurons
        Overwritten by the ends, but for the weights.
    groups : Groups
    D : array (G, p, d)
        Fields of the patterns.
    sums : Sums
    geometry, force, times : see `march`
    states : array (m, J, d + 1)
        Receives the states at ``times``, if ``wanted``; a row of work space otherwise.
    to_series : array (J, J)
        From values at ``times`` to Chebyshev coefficients, if they are the Chebyshev nodes; empty
        otherwise.
    work, field, start, series : Work, and arrays (p, d), (d + 1,) and (J, d)
        Work space.

    Returns
    -------
    status, neuron : int
        The first march that did not end well, or FINE and -1.
    """
    p, d = D.shape[1:]
    n = geometry.label.size
    for block in range(part, edges.size - 1, parts):
        log, room = sums.logs[block], sums.rooms[block]
        energy, h = sums.spent[block], sums.heights[block]
        for i in range(edges[block], edges[block + 1]):
            pattern = groups.of[i]
            g = groups.slot[pattern]
            first_row = room[0]
            state = states[i if wanted else 0]
            for c in range(d + 1):
                start[c] = neurons.U[i, c]
            carried = g >= 0 and groups.bend[g] < np.inf
            if (carried and groups.slides[pattern] > 0
                    and abs(start[0]) < BALANCED * norm(start[1:])):
                # Its output weight may pass zero, which no group sees.
                carried = False
            if carried and goes_along(i, g, neurons, groups, geometry.normal, start, state,
                                      10.0 * force.band, wanted, to_series, series):
                carry_end(start, groups.lam, g, neurons.U[i])
                tighten(neurons.U[i, 1:], neurons.side[i], neurons.loose[i], geometry.normal,
                        force.band)
                status = GROUPED
            else:
                for j in range(p):
                    for c in range(d):
                        field[j, c] = D[pattern, j, c]
                status = march(i, neurons.U[i], neurons.side[i], neurons.loose[i], neurons.led,
                               field, geometry, force, times, state, log, room,
                               neurons.direction[i], neurons.closest[i], groups.slides[pattern],
                               carried, neurons.weight[i], energy, work)
            if status != GROUPED and status != FINE:
                return status, i
            if neurons.weight[i] == 0.0 or wanted:
                continue
            if status == GROUPED:
                add_moment(sums.moments[block], g, neurons.weight[i], start)
            elif g >= 0 and FEW * (room[0] - first_row) < n:
                add_product(sums.outputs[block], g, neurons.weight[i], state)
                correct(log, first_row, room[0], times, state, neurons.weight[i], geometry, h)
            else:
                deposit(state, neurons.weight[i], geometry.rows, geometry.slope, work.heights, h)
    return FINE, -1


@leaf
def carry_end(start, lam, g, u):
    """The end ``u`` of a neuron that goes with group ``g``."""
    last = lam.shape[1] - 1
    for c in range(start.size):
        total = 0.0
        for e in range(start.size):
            total += start[e] * lam[g, last, e, c]
        u[c] = total


@leaf
def add_moment(moments, g, weight, start):
    """Add ``weight u u^T`` of a neuron that starts as ``u`` to the moments of group ``g``."""
    for b in range(start.size):
        for c in range(start.size):
            moments[g, b, c] += weight * start[b] * start[c]


@leaf
def add_product(outputs, g, weight, state):
    """Add ``weight a w`` at all times to the outputs of group ``g``."""
    for j in range(state.shape[0]):
        out = weight * state[j, 0]
        for c in range(outputs.shape[2]):
            outputs[g, j, c] += out * state[j, 1 + c]


@leaf
def add_blocks(sums, h):
    """Add the other blocks to the first one of ``sums``, and its outputs to ``h`` (J, n)."""
    moments, outputs, heights = sums.moments, sums.outputs, sums.heights
    B, G, e = moments.shape[:3]
    J, n = h.shape
    for block in range(1, B):
        for g in range(G):
            for b in range(e):
                for c in range(e):
                    moments[0, g, b, c] += moments[block, g, b, c]
            for j in range(J):
                for c in range(e - 1):
                    outputs[0, g, j, c] += outputs[block, g, j, c]
        for j in range(J):
            for k in range(n):
                heights[0, j, k] += heights[block, j, k]
    for j in range(J):
        for k in range(n):
            h[j, k] += heights[0, j, k]


@maker
def gather(groups, N, V, on, rows, h):
    """Add the outputs of the groups to ``h`` (J, n): ``v.x`` at their active points ``on`` (g, n).

    ``v`` is ``V`` (g, J, d) and what comes of the second moments ``N`` (g, d + 1, d + 1) at the
    start; ``rows`` (d, n) are the points.
    """
    d, n = rows.shape
    J = h.shape[0]
    half = np.empty(d + 1)
    v = zero_rows(TOGETHER, d + 1)
    z = np.empty((TOGETHER, n))
    for g in range(N.shape[0]):
        carried = groups.bend[g] < np.inf
        for j in range(0, J, TOGETHER):
            some = lesser(TOGETHER, J - j)
            for i in range(some):
                # v = sum a_i w_i is the first row of lam^T N lam.
                for c in range(d + 1):
                    half[c] = 0.0
                    for b in range(d + 1 if carried else 0):
                        half[c] += groups.lam[g, j + i, b, 0] * N[g, b, c]
                for c in range(d):
                    v[i, 1 + c] = V[g, j + i, c]
                    for b in range(d + 1 if carried else 0):
                        v[i, 1 + c] += half[b] * groups.lam[g, j + i, b, 1 + c]
            inputs(v, 0, 1, 2, rows, z)
            for i in range(some):
                for k in range(n):
                    h[j + i, k] += on[g, k] * z[i, k]
