"""The least loss that there is: over networks of any width, and over what given features reach."""

from __future__ import annotations

from typing import Callable, NamedTuple

import numpy as np

from ..problem.bisection import bisect
from ..problem.field import Field
from ..problem.loss import is_quadratic
from ..problem.norms import row_norms
from ..problem.theirs import theirs
from .opposite import Ties, ties_of

NOTHING = 1e-28
"""Losses of the points of a ray below this part of those at output 0 are rounding: squares of
relative residuals of 1e-14."""
EPS = float(np.finfo(float).eps)
"""The same part for losses that are not quadratic: they may be made of differences, such as
``sqrt(1 + r^2) - 1``, that are known to this part of their terms only."""
RANK = 1e-10
"""Singular values of features below this part of the largest are none."""
ENOUGH = 1e-12
"""A pull along a feature below this part of its terms, or of those at output 0, is none, where a
loss is least."""
STEPS = 60
"""Of Newton's method."""
FURTHEST = 2.0**500
"""How far to look for where something turns, in its units."""


def least_loss(field: Field) -> float:
    """The least loss over networks of any width: on distinct rays outputs are free, but for those
    that `gflow.theory.opposite` ties; on one they are proportional, and 0 at the origin.

    Examples
    --------
    >>> from ..problem.data import Data
    >>> least_loss(Field(Data([[1.0], [1.0], [-1.0], [0.0]], [1.0, 2.0, 5.0, 0.5])))
    0.09375
    """
    ties = ties_of(field.data.arrangement)
    free = _on_rays(field)
    if ties is None:
        return free
    if not is_quadratic(field.loss):
        return max(free, _least_tied(field))
    left, scale = _left_over(field, ties)
    return free if left <= NOTHING * scale else free + left / field.data.n


def _on_rays(field: Field) -> float:
    """The least loss if outputs were free on distinct rays."""
    data, A = field.data, field.data.arrangement
    nothing = NOTHING if is_quadratic(field.loss) else EPS
    origin = A.label < 0
    total = _total(field, origin, np.zeros(int(origin.sum())))
    for c in range(len(A.normal)):
        for side in (1.0, -1.0):
            own = np.flatnonzero((A.label == c) & (side * A.length > 0))
            if not own.size:
                continue
            x = np.abs(A.length[own])
            # Only the shape counts: squares of lengths may be beyond double precision.
            x /= x.max()
            if is_quadratic(field.loss):
                # Pulls at 0 over curvature 1 are what outputs should be.
                slope = float(x @ field.first_pulls[own]) / float(x @ x)
            else:
                slope = _slope(field, own, x)
            # Ray by ray: beside large labels of others what is left here is not rounding.
            value, zero = _total(field, own, slope * x), _total(field, own, np.zeros(own.size))
            total += 0.0 if value <= nothing * zero else value
    return total / data.n


def _left_over(field: Field, ties: Ties) -> tuple[float, float]:
    """What ties leave of the sum of quadratic losses, beside what rays leave, and the size of what
    it is the rest of.

    On each side of a line the best slope and the curvature are those of the ray; the differences of
    the slopes are what is tied, and the cheapest change of both is shared out between the sides.
    """
    A, p = field.data.arrangement, field.first_pulls
    apart, spread, unit = (np.empty(len(ties.lines)) for _ in range(3))
    for k, c in enumerate(ties.lines):
        best, soft, longest = [], [], []
        for side in (1.0, -1.0):
            own = np.flatnonzero((A.label == c) & (side * A.length > 0))
            length = np.abs(A.length[own])
            longest.append(float(length.max()))
            x = length / longest[-1]
            soft.append(1.0 / float(x @ x))
            best.append(float(x @ p[own]) * soft[-1])
        unit[k] = min(longest)
        up, down = unit[k] / longest[0], unit[k] / longest[1]
        apart[k] = best[0] * up - best[1] * down
        spread[k] = np.sqrt(soft[0] * up**2 + soft[1] * down**2)
    Q, _ = np.linalg.qr(ties.free * (unit / unit.max() / spread)[:, None])
    seen = apart / spread
    return float(((seen - Q @ (Q.T @ seen))**2).sum()) / 2, float((seen**2).sum()) / 2


def _least_tied(field: Field) -> float:
    """The least loss over all outputs of networks, by Newton steps; 0 if that is not found."""
    A = field.data.arrangement
    length = A.length / np.abs(A.length).max()
    rays = np.stack([(A.label == c) * np.where(side * length > 0, np.abs(length), 0.0)
                     for c in range(len(A.normal)) for side in (1.0, -1.0)], axis=1)
    ties = ties_of(A)
    assert ties is not None
    # Slopes of the two sides: their sum is free, and their difference where nothing binds it.
    tied = np.concatenate([2 * ties.lines, 2 * ties.lines + 1])
    even = rays[:, 2 * ties.lines] + rays[:, 2 * ties.lines + 1]
    odd = (rays[:, 2 * ties.lines] - rays[:, 2 * ties.lines + 1]) @ ties.free
    F = np.concatenate([np.delete(rays, tied, axis=1), even, odd], axis=1)
    size = np.sqrt((F**2).sum(axis=0))
    found = least_over(field, np.zeros(field.data.n), F[:, size > 0] / size[size > 0])
    return 0.0 if found is None else float(field.value(found.change))


def _total(field: Field, own: np.ndarray, h: np.ndarray) -> float:
    """Sum of the losses of the points ``own`` (k,) at outputs ``h`` (k,)."""
    with theirs:
        return float(np.sum(np.asarray(field.loss.value(h, field.data.y[own]), dtype=float)))


def _slope(field: Field, own: np.ndarray, x: np.ndarray) -> float:
    """The best slope of outputs along a ray, on which points ``own`` are at ``x``, both (k,).

    Where the pull of all of them turns, to the last digit; a search by values would know it to the
    root of rounding only. Labels are tried first: most losses vanish there, and only there.
    """
    y = field.data.y[own]

    def pull(s: float) -> float:
        with theirs:
            return float(np.asarray(field.loss.pull(s * x, y), dtype=float) @ x)

    def value(s: float) -> float:
        with theirs:
            found = float(np.asarray(field.loss.value(s * x, y), dtype=float).sum())
        return np.inf if np.isnan(found) else found

    # Not all of them can be, in double precision.
    labels = [float(s) for s in np.unique(y / x) if np.isfinite(s)]
    for s in [0.0] + labels:
        if pull(s) == 0.0:
            return s
    sign = 1.0 if pull(0.0) > 0 else -1.0
    turns = turning(lambda s: sign * pull(sign * s), float(np.abs(y).max()) or 1.0)
    # Rounding may have the turn on either side of a label that is as good.
    return min(labels + [0.0] + [sign * s for s in turns], key=value)


def turning(force: Callable[[float], float], unit: float) -> tuple[float, ...]:
    """Where a force that falls, and is positive at 0, becomes 0: the last number before, and the
    first that is not; none if that is further than `FURTHEST` units.

    Examples
    --------
    >>> turning(lambda s: 3.0 - s, 1.0)
    (2.9999999999999996, 3.0)
    >>> turning(lambda s: 1.0, 1.0)
    ()
    """
    def over(s: float) -> bool:
        # Beyond the range of a loss it is NaN.
        return not force(s) > 0

    low, high = 0.0, unit
    while not over(high):
        if high > FURTHEST * unit:
            return ()
        low, high = high, 2 * high
    high = bisect(over, low, high, 0.0)
    return float(np.nextafter(high, 0.0)), high


class Reached(NamedTuple):
    """What features reach, see `least_over`.

    Attributes
    ----------
    change : ndarray, shape (n,)
        Of the outputs, to there.
    pulls : ndarray, shape (n,)
        There, without what of them is left in the span of the features by rounding.
    effort : ndarray, shape (n,)
        The ``rho`` with ``F F^T rho / n = change`` of least norm: pulls whose integral it is take
        the outputs there.
    """

    change: np.ndarray
    pulls: np.ndarray
    effort: np.ndarray


def least_over(field: Field, h: np.ndarray, F: np.ndarray) -> Reached | None:
    """Where the loss is least over outputs ``h + F c``; None if that is not found, as where it
    falls for ever.

    By Newton steps, each with an exact search along it: the loss is convex, so that whatever its
    curvature is the pull along a line falls, and turns at the least value. Where there is no
    curvature at all the step is that of the gradient.

    Parameters
    ----------
    field : Field
        Data and loss.
    h : ndarray, shape (n,)
        Outputs.
    F : ndarray, shape (n, r)
        Features.

    Examples
    --------
    >>> from ..problem.data import Data
    >>> field = Field(Data([[1.0], [1.0]], [1.0, 2.0]))
    >>> found = least_over(field, np.zeros(2), np.ones((2, 1)))
    >>> found.change, found.pulls
    (array([1.5, 1.5]), array([-0.5,  0.5]))
    """
    Q, s, _ = np.linalg.svd(F, full_matrices=False)
    kept = s > RANK * s.max(initial=0.0)
    Q, s = Q[:, kept], s[kept]
    change, p = np.zeros(len(h)), field.pulls(h)
    enough = ENOUGH * (np.maximum(np.abs(p), np.abs(field.first_pulls)) @ np.abs(Q))
    for _ in range(STEPS):
        force = Q.T @ p
        if (np.abs(force) <= enough).all():
            effort = len(h) * (Q @ ((Q.T @ change) / s**2))
            return Reached(change, np.asarray(p - Q @ force), np.asarray(effort))
        H = Q.T @ (field.curvature(h + change)[:, None] * Q)
        # Not singular, and where there is no curvature, large: the search along it shortens it.
        ridge = EPS * float(np.trace(H)) or 1.0
        step = Q @ np.linalg.solve(H + ridge * np.eye(len(s)), force)
        step /= row_norms(step)
        turns = turning(lambda t: float(field.pulls(h + change + t * step) @ step),
                        max(float(np.abs(h).max()), float(np.abs(field.data.y).max())) or 1.0)
        if not turns:
            return None
        change = change + turns[1] * step
        p = field.pulls(h + change)
    return None
