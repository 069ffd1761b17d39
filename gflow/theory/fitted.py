"""Whether a network has, or comes to, the least loss that any network has."""

from __future__ import annotations

import numpy as np

from ..problem.loss import is_quadratic
from .opposite import Ties, ties_of
from .standstill import MOVES, Standstill

LOOKS = 5
"""Changes of pattern on the way to a fit, at most."""
EVEN = 1e-9
"""Part of the pulls of a ray below which their sum is none."""
SLIGHT = 1e-10
"""Part of the largest pull below which that of a ray is rounding."""
MOST = 0.9
"""Part of the loss that must be going."""
REST = 1e-3
"""Part of the loss that may still be lost at a rest."""


def fit(stand: Standstill, best: float, rtol: float) -> Standstill | None:
    """Where a network has the loss ``best`` for all that is known; None if it does not go there.
    Its neurons relax to it, if need be through a few changes of pattern that hardly move them."""
    moved = 0.0
    for _ in range(LOOKS):
        moved += stand.move
        least = best + stand.known(rtol)
        if there(stand, best, rtol):
            return stand
        if moved > MOVES or not stand.foreseen:
            return None
        if stand.limit > max(least, (1 - MOST) * stand.loss):
            return None
        if stand.stable and stand.limit <= least and balanced(stand, stand.pulls, rtol):
            return stand
        stand = Standstill(stand.ahead, stand.field)
    return None


def emptied(stand: Standstill) -> tuple[bool, bool, Standstill | None]:
    """Whether small neurons matter to each other, whether a network rests, and if no neuron grows
    there the network without what its small ones put out; None if that is the same."""
    # For the square loss small neurons that only fit each other are too small to matter.
    vague = stand.fitting and not is_quadratic(stand.field.loss)
    rests = not vague and stand.rests(REST)
    return vague, rests, stand.emptied if rests and not stand.growing.size else None


def comes(stand: Standstill, best: float) -> bool:
    """Whether a network comes to the loss ``best`` by itself: on its pattern, or when small neurons
    have shrunk."""
    if (stand.foreseen and stand.limit <= best + stand.known()
            and balanced(stand, stand.pulls)):
        return True
    end = emptied(stand)[2]
    return end is not None and fit(end, best, 0.0) is not None


def there(stand: Standstill, best: float, rtol: float = 0.0) -> bool:
    """Whether a network has the loss ``best`` now, for all that is known."""
    return (stand.loss <= best + stand.known(rtol)
            and balanced(stand, stand.field.pulls(stand.h), rtol))


def balanced(stand: Standstill, p: np.ndarray, rtol: float = 0.0) -> bool:
    """Whether pulls ``p`` (n,) cancel on every ray, or on lines that `gflow.theory.opposite` ties
    in what they can change, as they do where the loss is least and, since it is convex, there only.
    The value says less: labels may differ by far, and other losses than
    quadratic ones may have values far below the scale of their pulls (at a label y the fourth power
    is less by 1e-10 than at one of 300 y).
    """
    field, A = stand.field, stand.field.data.arrangement
    ray = 2 * A.label + (A.length > 0)
    live = A.label >= 0

    ties = ties_of(A)

    def on_rays(p: np.ndarray, terms: bool = True) -> np.ndarray:
        """Sums over rays, and over ties; of ``terms`` that do not cancel, or of what may."""
        sums = np.bincount(ray[live], p[live] * np.abs(A.length[live]), 2 * len(A.normal))
        return sums if ties is None else _over_ties(sums, ties, terms)

    net = np.abs(on_rays(p, terms=False))
    if is_quadratic(field.loss):
        return bool((net <= on_rays(stand.vague(rtol))).all())
    size = on_rays(np.maximum(np.abs(field.first_pulls), np.abs(p)))
    return bool((net <= EVEN * np.maximum(size, SLIGHT * size.max(initial=0.0))).all())


def _over_ties(sums: np.ndarray, ties: Ties, terms: bool) -> np.ndarray:
    """Sums over rays (2 C,), those of tied lines replaced by what networks feel of them: of both
    sides together, and along what the differences of the sides can be."""
    one, other = sums[2 * ties.lines + 1], sums[2 * ties.lines]
    tied = np.concatenate([2 * ties.lines, 2 * ties.lines + 1])
    odd = np.abs(ties.free.T) @ (one + other) if terms else ties.free.T @ (one - other)
    return np.concatenate([np.delete(sums, tied), one + other, odd])
