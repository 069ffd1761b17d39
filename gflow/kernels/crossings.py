"""Which neuron leaves its activation pattern first during a step, and when.

On a polynomial dense output every ``z = w_i.v_c`` is a polynomial in time, and so are the
multipliers of a sliding neuron times their jump: no right-hand side is called.
"""

import numpy as np

from .algebra import BLOCK, greater, lesser, norm, row_dot, row_row
from .jit import kernel, leaf
from .roots import back_to_zero, first_exit

ON_SURFACE = 1e-13
"""Distance to a hyperplane, relative to the neuron's norm, that counts as lying on it."""

PARALLEL = 0.01
"""Square of a sine up to which it is not taken from the cosine, which would cost digits."""
RESIDUAL_ERROR = 0.2
"""Error of a computed residual, over ``rtol`` times ``sum |a_i| |w_i| |x_k|`` of the neurons that
are active there. Larger: slides last longer than they should, each by a defect of that part of
``rtol``; smaller: more releases that are rounding noise, and slides that begin again at once."""
SUM_ROUNDING = 1e-13
"""Rounding of a multiplier, relative to the terms that it sums."""

CROSS, RELEASE_BELOW, RELEASE_ABOVE, SIGN = 0, 1, 2, 3
"""Kinds of contact: a hyperplane reached, a multiplier at 0 or at 1, ``a_i = 0`` of a slider."""


@kernel
def crossings(series, side, loose, band, normal, split, window):
    """Contacts of neurons with hyperplanes on one step.

    Parameters
    ----------
    series : array (p + 1, m, d)
        Chebyshev coefficients of ``W`` on the step, mapped to [-1, 1].
    side : int8 array (m, C)
        Side of each neuron, 0 where it slides.
    loose : bool array (m, C)
        Hyperplanes that the neuron has just been on and has not clearly left: departures are often
        tangential, so that for them distances up to ``band`` count as zero, until it does leave.
    band : array (m,)
        At least `ON_SURFACE`, the accuracy of each weight.
    normal : array (C, d)
        Unit normals.
    split : array (2, p + 1, p + 1)
        `halves` of the degree.
    window : float
        Contacts later than the first by more than this are left for the next step.

    Returns
    -------
    who, what : int arrays
        Neuron and hyperplane of each contact.
    when : array
        Its time in [-1, 1], at most the first plus ``window``.
    """
    p, m, d = series.shape
    C = normal.shape[0]
    who, what, when = [0], [0], [0.0]
    first = 2.0
    z = np.empty(p)
    for i in range(m):
        reach, centre = 0.0, 0.0
        for j in range(p):
            square = 0.0
            for c in range(d):
                square += (series[j, i, c] * 1.0) ** 2
            if j == 0:
                centre = np.sqrt(square)
            else:
                reach += np.sqrt(square)
        size = 0.0
        for c in range(d):
            size = greater(size, abs(series[0, i, c]))
        if size == 0.0:
            continue
        if centre < 1e-150:
            # Squares underflow at scales like 1e-300: measure in units of the largest entry.
            centre, reach = _scaled_reach(series, i, size)
        if reach <= 1e-16 * centre:
            continue
        for h in range(C):
            sign = side[i, h]
            if sign == 0:
                continue
            total = 0.0
            for c in range(d):
                total += series[0, i, c] * normal[h, c]
            if sign * total > reach:
                continue
            for j in range(p):
                total = 0.0
                for c in range(d):
                    total += series[j, i, c] * normal[h, c]
                z[j] = sign * total
            tol = (band[i] if loose[i, h] else ON_SURFACE) * centre
            s = first_exit(z, split, tol, first + window)
            if s <= 1.0 and loose[i, h]:
                s = back_to_zero(z, s, tol)
            if s <= 1.0 and s <= first + window:
                who.append(i)
                what.append(h)
                when.append(s)
                first = lesser(first, s)
    return _keep(who, what, when, first + window)


@leaf
def _scaled_reach(series, i, size):
    centre, reach = 0.0, 0.0
    for j in range(series.shape[0]):
        square = 0.0
        for c in range(series.shape[2]):
            square += (series[j, i, c] / size) ** 2
        if j == 0:
            centre = size * np.sqrt(square)
        else:
            reach += size * np.sqrt(square)
    return centre, reach


@kernel
def _keep(who, what, when, limit):
    count = 0
    for j in range(1, len(when)):
        count += when[j] <= limit
    a = np.empty(count, np.int64)
    b = np.empty(count, np.int64)
    t = np.empty(count)
    count = 0
    for j in range(1, len(when)):
        if when[j] <= limit:
            a[count], b[count], t[count] = who[j], what[j], when[j]
            count += 1
    return a, b, t


@leaf
def tighten(w, side, loose, normal, band):
    """Forget the hyperplanes that a neuron ``w`` (d,) has clearly left: by more than ``band`` of
    its norm, or by more than errors that leave it on the hyperplanes that it slides on."""
    size = norm(w)
    for begin in range(0, side.size, BLOCK):
        end, hits = lesser(begin + BLOCK, side.size), 0
        for h in range(begin, end):
            hits += loose[h]
        for h in range(begin, end if hits > 0 else begin):
            if loose[h]:
                z = side[h] * row_dot(normal, h, w)
                loose[h] = z <= ON_SURFACE * size or (
                    z <= band * size and z <= band * _across(h, side, normal) * size)


@leaf
def _across(h, side, normal):
    """How far an error of 1 of a neuron on these sides moves it off hyperplane ``h``, at most: not
    far if it slides on another one of almost the same direction."""
    least = 1.0
    for begin in range(0, side.size, BLOCK):
        end, hits = lesser(begin + BLOCK, side.size), 0
        for s in range(begin, end):
            hits += side[s] == 0
        for s in range(begin, end if hits > 0 else begin):
            if side[s] == 0:
                along = row_row(normal, h, normal, s)
                square = 1.0 - along * along
                if square < PARALLEL:
                    square = 0.0
                    for c in range(normal.shape[1]):
                        square += (normal[h, c] - along * normal[s, c]) ** 2
                least = lesser(least, np.sqrt(greater(square, 0.0)))
    return least


@kernel
def tighten_all(W, side, loose, normal, band):
    """`tighten` of every neuron (m, d) that has ``loose`` hyperplanes (m, C)."""
    for i in range(len(W)):
        if loose[i].any():
            tighten(W[i], side[i], loose[i], normal, band)


@kernel
def multipliers(r, i, sign, side, X, label, length, sliding, solve):
    """Multipliers of one sliding neuron as margins: each must stay non-negative.

    With ``lam = eta J`` the field off the sliding hyperplanes obeys ``lam = -solve D``; the two
    margins of hyperplane c are ``|J|`` times ``eta`` and ``1 - eta``.

    Parameters
    ----------
    r : array (q, n)
        Residuals at q times.
    i : int
        Neuron.
    sign : float
        Sign of its output weight; the jumps of a sliding neuron have the other one.
    side : int8 array (m, C)
    X, label, length : arrays of the data and its arrangement
    sliding : int array (s,)
        Its sliding hyperplanes.
    solve : array (s, d)
        ``(V V^T)^-1 V`` for the normals ``V`` of the sliding hyperplanes.

    Returns
    -------
    below, above : arrays (q, s)
        ``|J| eta`` and ``|J| (1 - eta)``.
    """
    q, n = r.shape
    s = sliding.size
    below = np.zeros((q, s))
    above = np.zeros((q, s))
    # What a residual does to lam_c; and to the pulls of the points on the two sides of c.
    along = np.zeros((s, n))
    for k in range(n):
        h = label[k]
        if h < 0:
            continue
        if side[i, h] == 0:
            for c in range(s):
                if sliding[c] == h:
                    for j in range(q):
                        pull = r[j, k] * (length[k] / n)
                        if length[k] > 0.0:
                            above[j, c] += pull
                        else:
                            below[j, c] += pull
        elif side[i, h] * length[k] > 0.0:
            for c in range(s):
                along[c, k] = row_row(solve, c, X, k) / n
    for j in range(q):
        for c in range(s):
            lam = -row_row(r, j, along, c)
            below[j, c] = sign * (below[j, c] - lam)
            above[j, c] = sign * (lam - above[j, c])
    return below, above


@kernel
def multiplier_errors(error, i, side, X, label, length, sliding, solve):
    """By how much the margins of `multipliers` may be wrong if residuals are, shape (s,).

    With ``lam_c = -S_c.D`` for the rows ``S_c`` of ``solve``, and ``D`` the sum over the points
    where the neuron is active, an error ``e_k`` of each residual moves a margin by at most
    ``(1/n) (sum_active |S_c.x_k| e_k + sum_class |length_k| e_k)``: what the neuron does not see
    does not count.

    Parameters
    ----------
    error : array (n,)
        Error of each residual.
    i, side, X, label, length, sliding, solve
        As in `multipliers`.
    """
    n = X.shape[0]
    out = np.zeros(sliding.size)
    for k in range(n):
        h = label[k]
        if h < 0:
            continue
        if side[i, h] == 0:
            for c in range(sliding.size):
                if sliding[c] == h:
                    out[c] += abs(length[k]) * error[k] / n
        elif side[i, h] * length[k] > 0.0:
            for c in range(sliding.size):
                out[c] += abs(row_row(solve, c, X, k)) * error[k] / n
    return out
