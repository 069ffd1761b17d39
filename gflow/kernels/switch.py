"""What one neuron does at an instant at which it touches hyperplanes: the only such place."""

import numpy as np
from numba import njit

from .contacts import ON_SURFACE, RELEASE_ABOVE, RELEASE_BELOW
from .modes import ROUNDING, choose_sides, dot, orthonormal_rows, row_dot

AT_REST = 1e-11
"""``|w| <= AT_REST |a|`` at a contact: the neuron has reached ``w = 0``."""


@njit(cache=True, error_model="numpy")
def norm(w):
    """Euclidean norm without underflow."""
    size = 0.0
    for c in range(w.size):
        size = max(size, abs(w[c]))
    if size == 0.0:
        return 0.0
    total = 0.0
    for c in range(w.size):
        total += (w[c] / size) ** 2
    return size * np.sqrt(total)


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
def put_on(w, V):
    """The weight ``w`` projected on the hyperplanes of normals ``V`` (s, d), unless that is 0."""
    d = w.size
    w = w.copy()
    basis, rank = orthonormal_rows(V)
    if rank < d:
        for q in range(rank):
            along = row_dot(basis, q, w)
            for c in range(d):
                w[c] -= along * basis[q, c]
    return w


@njit(cache=True, error_model="numpy")
def switch(a, w, side, touched, kinds, r, X, label, length, normal):
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
    """
    n = r.size
    d = w.size
    C = normal.shape[0]
    size_w = norm(w)
    side = side.copy()
    if size_w <= AT_REST * abs(a) and (touched.size > 0 or size_w == 0.0) or size_w == 0.0:
        return side, np.zeros(d), np.sign(a), True, np.zeros(C, np.bool_), 1
    on_it = np.zeros(C, np.bool_)
    released = touched.size > 0
    for j in range(touched.size):
        on_it[touched[j]] = True
        if kinds[j] != RELEASE_BELOW and kinds[j] != RELEASE_ABOVE:
            released = False
    for h in range(C):
        if side[h] == 0:
            on_it[h] = True
        elif not on_it[h] and not released:
            on_it[h] = abs(row_dot(normal, h, w)) <= ON_SURFACE * size_w
    count = 0
    for h in range(C):
        count += on_it[h]
    if count == 0:
        return side, w, np.sign(a), False, on_it, 1
    Z = np.empty(count, np.int64)
    V = np.empty((count, d))
    place = np.full(C, -1)
    count = 0
    for h in range(C):
        if on_it[h]:
            Z[count] = h
            place[h] = count
            for c in range(d):
                V[count, c] = normal[h, c]
            count += 1
    # D with side -1 on every hyperplane of Z, and the jumps across them.
    D = np.zeros(d)
    J = np.zeros(Z.size)
    below = np.zeros(Z.size, np.int64)
    above = np.zeros(Z.size, np.int64)
    size = 0.0
    for k in range(n):
        h = label[k]
        if h < 0:
            continue
        size += abs(r[k] * length[k]) / n
        j = place[h]
        now = side[h] if j < 0 else -1
        if j >= 0:
            J[j] += abs(length[k]) * r[k] / n
            if length[k] > 0.0:
                above[j] += 1
            else:
                below[j] += 1
        if now * length[k] > 0.0:
            for c in range(d):
                D[c] += r[k] * X[k, c] / n
    sign = sign_after(a, w, D, size)
    choices = 1
    if released:
        # The other multipliers are continuous: only what was released changes.
        for j in range(touched.size):
            side[touched[j]] = -1 if kinds[j] == RELEASE_BELOW else 1
    else:
        new, choices = choose_sides(sign, D, V, J, below, above, size)
        for j in range(Z.size):
            side[Z[j]] = new[j]
    return side, put_on(w, V), sign, False, on_it, choices
