"""What one neuron does at an instant at which it touches hyperplanes: the only such place."""

import numpy as np
from .crossings import ON_SURFACE, RELEASE_ABOVE, RELEASE_BELOW
from .jit import leaf
from .filippov import ROUNDING, choose_side, choose_sides
from .algebra import dot, norm, orthonormal_rows, put_back

AT_REST = 1e-11
"""``|w| <= AT_REST |a|`` at a contact: the neuron has reached ``w = 0``."""
SMALL = 1e-6
"""Unless it began with a ``|w|`` below this part of ``|a|``: then to that beginning."""
DEPENDENT = 1e-12
"""A unit normal with at most this part of its square outside of the span of others depends on
them."""
SHOVE = 1e-9
"""A multiplier that is let go is this part of the terms beyond its bound, just after: rounding at
that instant says nothing."""


@leaf
def sign_after(a, w, D, size):
    """Sign of the output weight just after an instant, 0 if it stays 0.

    Where it passes or leaves zero ``da/dt = w.D`` decides, which does not depend on the sides of
    the hyperplanes that ``w`` lies on.
    """
    size_w = norm(w)
    if abs(a) > ON_SURFACE * size_w:
        return np.sign(a)
    along = dot(w, D) / size_w
    return np.sign(along) if abs(along) > ROUNDING * size else 0.0


def switch(a, w, side, touched, kinds, r, X, label, length, normal, lowest, leaky=False,
           shrink=None):
    """New sides of one neuron at a contact, and its weights put back on the surfaces it touches.

    Parameters
    ----------
    a : float
        Output weight.
    w : array (d,)
        Hidden weight.
    side : int8 array (C,)
        Sides before; at the start of a run, the signs of ``w.v_c``.
    touched, kinds : int arrays
        Hyperplanes in contact and the kind of each contact; none at the start of a run.
    r : array (n,)
        Residuals, which are continuous.
    X, label, length, normal : arrays of the data and its arrangement
    lowest : float
        A neuron with ``|w|`` up to this has reached 0 if it touches a hyperplane.
    leaky : bool
        No neuron stays at ``w = 0``: its field is not 0 there.
    shrink : array (d,), optional
        What decay takes from ``dw/dt``, if that turns ``w``.

    Returns
    -------
    side : int8 array (C,)
    w : array (d,)
    sign : float
        Sign of the output weight just after.
    rest : bool
        The neuron is at ``w = 0`` and stays there.
    on_it : bool array (C,)
        Hyperplanes that the neuron lies on.
    choices : int
        Number of solutions that leave from here (`choose_sides`).
    other : int8 array (C,)
        Sides in another of them.
    """
    n, C = r.size, normal.shape[0]
    size_w = norm(w)
    side = side.copy()
    on_it = np.zeros(C, dtype=bool)
    rests = size_w <= lowest and touched.size > 0 or size_w == 0.0
    if leaky:
        rests = size_w == 0.0 and a == 0.0
    if rests:
        return side, np.zeros(w.size), np.sign(a), True, on_it, 1, side
    on_it[touched] = True
    released = touched.size > 0 and bool(((kinds == RELEASE_BELOW)
                                          | (kinds == RELEASE_ABOVE)).all())
    if not released:
        on_it |= np.abs(normal @ w) <= ON_SURFACE * size_w
    on_it |= side == 0
    held = released and lies_on_more(side, w, normal)
    if held:
        on_it |= np.abs(normal @ w) <= ON_SURFACE * size_w
    if not on_it.any():
        return side, w, np.sign(a), False, on_it, 1, side
    Z = np.flatnonzero(on_it)
    V = normal[Z]
    # What settles several takes seconds to compile, and one is usual.
    basis, rank = orthonormal_rows(V) if len(Z) > 1 else (V, 1)
    # D with side -1 on every hyperplane of Z, and the jumps across them.
    live = label >= 0
    own = live & on_it[label]
    pull = r * length / n
    now = np.where(on_it, -1, side)[label]
    active = live & (now * length > 0.0)
    # Rounding of the sums that are compared: what the neuron does not see does not count.
    size = float(np.abs(pull[active | own]).sum())
    D = (r * active) @ X / n
    jumps, below, above = np.zeros(C), np.zeros(C, dtype=np.int64), np.zeros(C, dtype=np.int64)
    np.add.at(jumps, label[own], np.abs(length[own]) * r[own] / n)
    np.add.at(above, label[own & (length > 0.0)], 1)
    np.add.at(below, label[own & (length < 0.0)], 1)
    sign = sign_after(a, w, D, size)
    if shrink is not None and sign != 0.0:
        # As part of the field: dw/dt = a (D - shrink / a).
        shrink = shrink / (sign * max(abs(a), ON_SURFACE * size_w))
        D -= shrink
        size += norm(shrink)
    choices, other = 1, side
    if held:
        # Just after: multipliers are beyond where they are let go.
        outward = np.where(kinds == RELEASE_BELOW, sign, -sign)
        D = D - SHOVE * size * (outward @ normal[touched])
    if not released or held:
        now = np.where((side[Z] == 0) & (rank == len(Z)), 0, -1).astype(np.int8)
        choose = choose_sides if len(Z) > 1 else _choose_alone
        sides, choices, others = choose(sign, D, V, jumps[Z], below[Z], above[Z], size, now)
    if released and not (held and choices):
        # The other multipliers are continuous: only what was released changes.
        side[touched] = np.where(kinds == RELEASE_BELOW, -1, 1)
        choices = 1
    else:
        other = side.copy()
        side[Z], other[Z] = sides, others
    if len(Z) > 1:
        w = put_back(w, V, basis, rank, side[Z])
    elif w.size > 1:
        w = w - dot(V[0], w) * V[0]
    return side, w, sign, False, on_it, choices, other


def _choose_alone(sign, D, V, J, below, above, size, now):
    """`choose_sides` on one hyperplane."""
    side, choices = choose_side(sign, dot(V[0], D), J[0], below[0], above[0], ROUNDING * size)
    sides = np.array([side], dtype=np.int8)
    return sides, choices, -sides if choices > 1 else sides


def lies_on_more(side, w, normal):
    """Whether a sliding neuron lies on hyperplanes that it does not slide on, because their normals
    depend on those of the hyperplanes that it slides on."""
    V = normal[side == 0]
    if len(V) < 2:
        return False
    near = (side != 0) & (np.abs(normal @ w) <= ON_SURFACE * norm(w))
    basis, rank = orthonormal_rows(V)
    inside = ((normal[near] @ basis[:rank].T) ** 2).sum(axis=1)
    return bool((inside >= 1.0 - DEPENDENT).any())
