"""Whether a path follows its field: increments of weights against integrals of the field.

Plain NumPy, from the states of the dense output and the data alone. Signs are those of ``w.x`` at
the nodes of the quadrature, never those of the events.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernels.filippov import box_least_squares
from ..problem.field import Field
from ..problem.norms import row_norms

NODES = 5
"""Of a Gauss-Legendre rule between two kinks."""
RULE = np.polynomial.legendre.leggauss(NODES)
WIDTH, NARROWEST = 3.0, 1e-11
"""``|w.x|`` below ``max(WIDTH rtol, NARROWEST) |(a, w)| |x|`` is on the hyperplane: weights are
right to within ``rtol``, and a neuron that leaves a hyperplane along it is not seen to leave
before. 1.001 ``rtol`` is the most measured on right runs."""
MOST_KINKS = 5
"""An interval ends at the next event after so many: each costs `NODES` states more."""
AT_ZERO = 1e-9
"""``|w| <= AT_ZERO |a|`` counts as ``w = 0``, where signs mean nothing and the least norm is 0."""
TURN = 1.0
"""Length of an interval at most, in units of the fastest rate: the rule of 5 nodes is then exact
to ``(1/2)^10 8e-10`` for exponentials."""


class Look(NamedTuple):
    """Intervals of one piece: ends (I, 2), nodes, their weights, and the interval of each."""

    ends: np.ndarray
    nodes: np.ndarray
    weights: np.ndarray
    part: np.ndarray
    of: np.ndarray


class Sight(NamedTuple):
    """What the reference says of J states.

    Attributes
    ----------
    a, W : ndarray, shapes (J, m) and (J, m, d)
    size : ndarray, shape (J, m)
        ``|(a, w)|``.
    z : ndarray, shape (J, m, n)
        ``w.x / (|(a, w)| |x|)``; 0 at points that are 0.
    p : ndarray, shape (J, n)
        Pulls.
    error : ndarray, shape (J, n)
        What errors of the weights by 1, relative to their neuron, do to pulls: ``l'' |x| sum
        (a^2 + |w|^2) / 2`` over the neurons that are active, at least ``|a| |w|`` of each.
    """

    a: np.ndarray
    W: np.ndarray
    size: np.ndarray
    z: np.ndarray
    p: np.ndarray
    error: np.ndarray


class Reference:
    """The field of a run at states, with the element of least norm on hyperplanes."""

    def __init__(self, field: Field, m: int, rtol: float) -> None:
        self.field, self.m, self.d = field, m, field.data.d
        self.X, self.n = field.data.X, field.data.n
        self.lengths = row_norms(self.X)
        self.unit = self.X / np.where(self.lengths > 0, self.lengths, 1.0)[:, None]
        self.band = max(WIDTH * rtol, NARROWEST)
        A, slope = field.data.arrangement, field.activation.slope
        own = (A.label == np.arange(len(A.normal))[:, None]) / self.n
        plus, minus = np.maximum(A.length, 0.0), np.minimum(A.length, 0.0)
        self._below, self._above = own * (minus + slope * plus), own * (plus + slope * minus)

    def see(self, states: np.ndarray) -> Sight:
        """Signs, pulls and their errors at states (J, m (d + 1))."""
        a = states[:, :self.m]
        W = states[:, self.m:].reshape(len(states), self.m, self.d)
        size = np.hypot(a, row_norms(W))
        scale = np.where(size > 0, size, 1.0)
        z = (W / scale[:, :, None]) @ self.unit.T
        on = z > 0
        up = self.field.activation(z) * scale[:, :, None]
        h = np.einsum("jm,jmn->jn", a, up) * self.lengths
        reach = np.einsum("jm,jmn->jn", size**2 / 2, on.astype(float)) * self.lengths
        return Sight(a, W, size, z, self.field.pulls(h), self.field.curvature(h) * reach)

    def fields(self, sight: Sight, on_plane: np.ndarray) -> np.ndarray:
        """Fields (J, m, d) with ``on_plane`` (J, m, n) left out of the sums."""
        s = np.where(sight.z > 0, 1.0, self.field.activation.slope)
        s[on_plane] = 0.0
        return np.asarray((s * sight.p[:, None, :]) @ self.X / self.n)

    def sensitivity(self, sight: Sight) -> np.ndarray:
        """By how much fields move, (J, m), if all weights are wrong by 1, relative."""
        seen = (sight.z > -self.band).astype(float)
        return np.asarray(np.einsum("jmn,jn->jm", seen, sight.error * self.lengths) / self.n)

    def limits(self, points: np.ndarray, p: np.ndarray
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Normals (c, d) of the hyperplanes of some points (n,), and what pulls (J, n) add to the
        field along them on their negative side (J, c) and on their positive side."""
        A = self.field.data.arrangement
        planes = np.unique(A.label[points])
        return A.normal[planes], p @ self._below[planes].T, p @ self._above[planes].T

    def least(self, D: np.ndarray, sign: float, points: np.ndarray, p: np.ndarray
              ) -> np.ndarray | None:
        """Elements of least norm (J, d) for a neuron on the hyperplanes of ``points``, ``D``
        (J, d) being its field without them; None where one of them repels: it has no sliding."""
        V, below, above = self.limits(points, p)
        jump = above - below
        if (sign * jump > 0).any():
            return None
        base = D + below @ V
        if len(V) == 1:
            across = base @ V[0]
            eta = np.divide(-across, jump[:, 0], out=np.zeros(len(D)), where=jump[:, 0] != 0)
            return np.asarray(base + (np.clip(eta, 0.0, 1.0) * jump[:, 0])[:, None] * V[0])
        if (jump == 0).any():
            return None
        total = np.linalg.lstsq(V.T, -base.T, rcond=None)[0].T
        eta = total / jump
        out: np.ndarray = base + total @ V
        for j in np.flatnonzero(((eta < 0) | (eta > 1)).any(axis=1)):
            out[j] = box_least_squares(base[j].copy(), V.copy(), jump[j].copy(), 0.0)[1]
        return out


def choose(rng: np.random.Generator, t0: float, t1: float, kinks: np.ndarray, rate: float,
           count: int) -> Look:
    """Random intervals in [t0, t1], between at most `MOST_KINKS` of the ``kinks``.

    Their lengths are spread evenly on a logarithmic scale down to 1/30 of the longest: of a piece,
    or `TURN` over ``rate``.
    """
    x, w = RULE
    ends: list[tuple[float, float]] = []
    nodes: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    part: list[np.ndarray] = []
    of: list[np.ndarray] = []
    longest = min(t1 - t0, TURN / rate if rate > 0 else np.inf)
    parts = 0
    for i in range(count):
        length = longest if i == 0 else longest * 30.0 ** -rng.random()
        begin = t0 + rng.random() * (t1 - t0 - length)
        end = min(begin + length, t1)
        inside = kinks[(kinks > begin) & (kinks < end)]
        if inside.size > MOST_KINKS:
            end, inside = inside[MOST_KINKS], inside[:MOST_KINKS]
        if not end > begin:
            continue
        marks = np.concatenate([[begin], inside, [end]])
        for lo, hi in zip(marks[:-1], marks[1:]):
            nodes.append((lo + hi) / 2 + x * (hi - lo) / 2)
            weights.append(w * (hi - lo) / 2)
            part.append(np.full(NODES, parts))
            of.append(np.full(NODES, len(ends)))
            parts += 1
        ends.append((begin, end))
    if not ends:
        empty = np.empty(0)
        return Look(np.empty((0, 2)), empty, empty, empty.astype(int), empty.astype(int))
    return Look(np.array(ends), np.concatenate(nodes), np.concatenate(weights),
                np.concatenate(part), np.concatenate(of))


def defects(reference: Reference, look: Look, first: np.ndarray, last: np.ndarray,
            sight: Sight) -> tuple[np.ndarray, np.ndarray]:
    """Increments less integrals of the field.

    Parameters
    ----------
    reference : Reference
    look : Look
    first, last : ndarray, shape (I, m (d + 1))
        States at the ends of its intervals.
    sight : Sight
        At its nodes.

    Returns
    -------
    defect : ndarray, shape (I, m, d + 1)
        Relative to ``|(a, w)|`` of the neuron; NaN where it was not looked at, as a sign changes
        between the nodes.
    spread : ndarray, shape (I, m)
        What an error of 1 of all weights at the nodes, relative, would add to it.
    """
    m, d, count = reference.m, reference.d, len(look.ends)
    near = np.abs(sight.z) <= reference.band
    live = reference.lengths > 0
    near[:, :, ~live] = False
    D = reference.fields(sight, near)
    starts = np.flatnonzero(np.append(True, np.diff(look.part) != 0))
    always = np.logical_and.reduceat(near, starts, axis=0)
    ever = np.logical_or.reduceat(near, starts, axis=0)
    on = sight.z > 0
    all_on, some_on = (op.reduceat(on, starts, axis=0) for op in (np.logical_and, np.logical_or))
    same = (all_on == some_on) | ever
    good = (same & (always == ever)).all(axis=2)
    for s, i in zip(*np.nonzero(always.any(axis=2) & good)):
        rows = slice(starts[s], starts[s] + NODES)
        if always[s, i, live].all():
            good[s, i] = (row_norms(sight.W[rows, i]) <= AT_ZERO * np.abs(sight.a[rows, i])).all()
            continue
        sign = np.sign(sight.a[rows, i])
        least = None
        if (sign == sign[0]).all():
            least = reference.least(D[rows, i], sign[0], always[s, i], sight.p[rows])
        if least is None:
            good[s, i] = False
        else:
            D[rows, i] = least
    slope = np.concatenate([(sight.W * D).sum(axis=2)[..., None], sight.a[..., None] * D], axis=2)
    whole = np.zeros((count, m, d + 1))
    spread = np.zeros((count, m))
    np.add.at(whole, look.of, look.weights[:, None, None] * slope)
    np.add.at(spread, look.of, look.weights[:, None] * reference.sensitivity(sight))
    seen = np.ones((count, m), dtype=bool)
    np.logical_and.at(seen, look.of[starts], good)
    step = last - first
    moved = np.concatenate([step[:, :m, None], step[:, m:].reshape(count, m, d)], axis=2)
    begun = np.concatenate([first[:, :m, None], first[:, m:].reshape(count, m, d)], axis=2)
    size = row_norms(begun)
    defect = np.divide(moved - whole, size[..., None], out=np.zeros_like(moved),
                       where=size[..., None] > 0)
    defect[~seen] = np.nan
    return defect, spread
