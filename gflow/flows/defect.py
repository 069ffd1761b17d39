"""Whether a path follows its field: increments of weights against integrals of the field."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..problem.alike import distinct
from ..problem.norms import row_norms
from .reference import Reference, Sight

NODES = 5
"""Of a Gauss-Legendre rule between two kinks."""
RULE = np.polynomial.legendre.leggauss(NODES)
KINK = 0.0276
"""Largest error of the rule for ``max(s - c, 0)`` on [-1, 1]: what a kink that is not at the end of
a part does, in units of its change of slope."""
BLUR = 1 / 300
"""Intervals are so short that kinks of neurons not looked at do less than this part of what a
defect may be: a third of ``rtol``."""
SHORTER = 20
"""Most halvings for that."""
MOST_KINKS = 5
"""An interval is split at so many events: each costs `NODES` states more."""
AT_ZERO = 1e-9
"""``|w| <= AT_ZERO |a|`` counts as ``w = 0``, where signs mean nothing and the least norm is 0."""
INNER = 0.25
"""The longest interval of a piece is cut in two somewhere inside, at least so far from its ends:
what comes and goes within a piece has nothing left of it there."""
TURN = 1.0
"""Length of an interval at most, in units of the fastest rate: the rule of 5 nodes is then exact
to ``(1/2)^10 8e-10`` for exponentials."""


class Look(NamedTuple):
    """Intervals of one piece: ends (I, 2), nodes, their weights, the part (between kinks) and the
    interval of each node; what kinks inside of parts may do, whether known ones are, and what
    share of an interval it is (I,)."""

    ends: np.ndarray
    nodes: np.ndarray
    weights: np.ndarray
    part: np.ndarray
    of: np.ndarray
    blur: np.ndarray
    crossed: np.ndarray
    share: np.ndarray

    def summed(self, values: np.ndarray, by: np.ufunc = np.add) -> np.ndarray:
        """``values`` (P, ...) of parts, or of nodes, put together on every interval, (I, ...)."""
        of = self.of[::NODES] if len(values) < len(self.of) else self.of
        return np.asarray(by.reduceat(values, np.flatnonzero(np.diff(of, prepend=-1)), axis=0))


class Kinks(NamedTuple):
    """Times at which fields have a kink, the change of the slope of a field there at most, and
    which are those of the neurons looked at; ``all_known`` if all neurons are."""

    times: np.ndarray
    jolts: np.ndarray
    known: np.ndarray
    all_known: bool


def choose(rng: np.random.Generator, t0: float, t1: float, kinks: Kinks, rate: float, count: int,
           most: float) -> Look:
    """Random intervals in [t0, t1].

    Their lengths are spread evenly on a logarithmic scale down to 1/30 of the longest: of a piece,
    or `TURN` over ``rate``, which is cut in two. They are split at known kinks; where there are
    more than `MOST_KINKS` they end, or, on wide networks, are not split. ``most`` is what a defect
    may be.
    """
    marks_of: list[np.ndarray] = []
    blurs: list[tuple[float, bool, float]] = []
    longest = min(t1 - t0, TURN / rate if rate > 0 else np.inf)
    wanted = []
    for i in range(count):
        length = longest if i == 0 else longest * 30.0 ** -rng.random()
        begin = t0 + rng.random() * (t1 - t0 - length)
        end = min(begin + length, t1)
        cut = begin + (INNER + (1 - 2 * INNER) * rng.random()) * (end - begin)
        wanted += [(begin, end, 1.0)] if i else [(begin, cut, 0.5), (cut, end, 0.5)]
    for begin, end, share in wanted:
        for _ in range(SHORTER):
            own = np.unique(kinks.times[kinks.known & (kinks.times > begin) & (kinks.times < end)])
            many = own.size > MOST_KINKS
            if many and kinks.all_known:
                end, own, many = own[MOST_KINKS], own[:MOST_KINKS], False
            marks = np.concatenate([[begin], [] if many else own, [end]])
            part = np.searchsorted(marks, kinks.times) - 1
            met = (part >= 0) & (part < marks.size - 1) & (many | ~kinks.known)
            blur = KINK / 4 * float(kinks.jolts[met] @ np.diff(marks)[part[met]]**2)
            if blur <= BLUR * most:
                break
            end = begin + (end - begin) / 2
        if end > begin:
            marks_of.append(marks)
            blurs.append((blur, many, share))
    return _nodes(marks_of, np.array(blurs).reshape(-1, 3))


def _nodes(marks_of: list[np.ndarray], blurs: np.ndarray) -> Look:
    """The rule on every part of some intervals."""
    x, w = RULE
    none = np.empty(0)
    lo, hi = (np.concatenate([none, *(marks[cut] for marks in marks_of)])
              for cut in (slice(None, -1), slice(1, None)))
    of = np.repeat(np.arange(len(marks_of)), [marks.size - 1 for marks in marks_of])
    ends = np.array([marks[[0, -1]] for marks in marks_of]).reshape(-1, 2)
    return Look(ends, ((lo + hi)[:, None] / 2 + x * (hi - lo)[:, None] / 2).ravel(),
                (w * (hi - lo)[:, None] / 2).ravel(), np.repeat(np.arange(of.size), NODES),
                np.repeat(of, NODES), blurs[:, 0], blurs[:, 1] > 0, blurs[:, 2])


def defects(reference: Reference, look: Look, first: np.ndarray, last: np.ndarray,
            sight: Sight) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Increments less integrals of the field.

    Parameters
    ----------
    reference : Reference
    look : Look
    first, last : ndarray, shape (I, s, d + 1)
        Neurons at the ends of its intervals.
    sight : Sight
        Of these neurons, at its nodes.

    Returns
    -------
    defect : ndarray, shape (I, s, d + 1)
        Relative to ``size``; NaN where it was not looked at, as a sign changes between the nodes.
    spread : ndarray, shape (I, s)
        What an error of 1 of all weights at the nodes, relative, would add to it.
    size : ndarray, shape (I, s, d + 1)
        ``|(a, w)|`` of the neuron, or what errors are relative to where its layers are unlike; of a
        smooth one, which may start at 0 and grow, the larger of those at the two ends.
    """
    parts = len(look.of) // NODES

    def each(values: np.ndarray) -> np.ndarray:
        return values.reshape(parts, NODES, *values.shape[1:])

    near = np.abs(sight.z) <= reference.band
    near[:, :, reference.lengths == 0] = False
    if reference.smooth:
        near[:] = False
    D = each(reference.fields(sight, near))
    always: np.ndarray = np.logical_and.reduce(each(near), axis=1)
    ever = each(near).any(axis=1)
    on = each(sight.z > 0) | reference.smooth
    same = (on.all(axis=1) == on.any(axis=1)) | ever
    good = np.asarray((same & (always == ever)).all(axis=2))
    a, W = each(sight.a), each(sight.W)
    # A decay that turns weights is as a part of the field where they stay on hyperplanes.
    turned = reference.turned(a, W)
    D -= turned
    _on_planes(reference, D, a, W, each(sight.p), always, good)
    D += turned
    along = each(reference.bent(sight)[1]) if reference.smooth else None
    slope = reference.velocities(a, W, D, along)
    weights = each(look.weights)
    whole = look.summed(np.einsum("pq,pqsc->psc", weights, slope))
    spread = look.summed(np.einsum("pq,pqs->ps", weights, each(reference.sensitivity(sight))))
    seen = look.summed(good, np.logical_and)
    size = reference.sizes(first)
    if reference.smooth:
        size = np.maximum(size, reference.sizes(last))
    defect = np.divide(last - first - whole, size, out=np.zeros_like(first), where=size > 0)
    if reference.two_times:
        # Output weights follow from the others.
        defect[..., 0] = 0.0
    defect[~seen] = np.nan
    return defect, spread, size


def _on_planes(reference: Reference, D: np.ndarray, a: np.ndarray, W: np.ndarray, p: np.ndarray,
               always: np.ndarray, good: np.ndarray) -> None:
    """Replace fields ``D`` (P, NODES, s, d) of neurons that stay on hyperplanes ``always``
    (P, s, n) by elements of least norm; not ``good`` (P, s) any more where one of them repels."""
    part, neuron = np.nonzero(always.any(axis=2) & good)
    if not part.size:
        return
    # Neurons that are on all of them have come to rest at w = 0, or there are few.
    w, size = row_norms(W[part, :, neuron]), np.abs(a[part, :, neuron])
    moves = ~(w <= AT_ZERO * size).all(axis=1)
    part, neuron = part[moves], neuron[moves]
    sets = always[part, neuron]
    first, which = distinct(sets)
    for g, points in enumerate(sets[first]):
        mine = which == g
        r, i = part[mine], neuron[mine]
        sign = np.sign(a[r, :, i])
        fields = D[r, :, i]
        least, known = reference.least(fields.reshape(-1, reference.d), sign.ravel(), points,
                                       p[r].reshape(-1, reference.n))
        fine = known.reshape(sign.shape).all(axis=1) & (sign == sign[:, :1]).all(axis=1)
        good[r, i] = fine
        D[r[fine], :, i[fine]] = least.reshape(fields.shape)[fine]
