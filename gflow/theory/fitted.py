"""Whether a network has, or comes to, the least loss that any network has."""

from __future__ import annotations

import numpy as np

from ..problem.loss import is_quadratic
from .standstill import MOVES, Standstill

LOOKS = 5
"""Changes of pattern on the way to a fit, at most."""
EVEN = 1e-9
"""Part of the pulls of a ray below which their sum is none."""
SLIGHT = 1e-10
"""Part of the largest pull below which that of a ray is rounding."""
MOST = 0.9
"""Part of the loss that must be going."""


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


def there(stand: Standstill, best: float, rtol: float = 0.0) -> bool:
    """Whether a network has the loss ``best`` now, for all that is known."""
    return (stand.loss <= best + stand.known(rtol)
            and balanced(stand, stand.field.pulls(stand.h), rtol))


def balanced(stand: Standstill, p: np.ndarray, rtol: float = 0.0) -> bool:
    """Whether pulls ``p`` (n,) cancel on every ray, as they do where the loss is least and, since
    it is convex, there only. The value says less: labels may differ by far, and other losses than
    quadratic ones may have values far below the scale of their pulls (at a label y the fourth power
    is less by 1e-10 than at one of 300 y).
    """
    field, A = stand.field, stand.field.data.arrangement
    ray = 2 * A.label + (A.length > 0)
    live = A.label >= 0

    def on_rays(p: np.ndarray) -> np.ndarray:
        return np.bincount(ray[live], p[live] * np.abs(A.length[live]))

    net = np.abs(on_rays(p))
    if is_quadratic(field.loss):
        return bool((net <= on_rays(stand.vague(rtol))).all())
    size = on_rays(np.maximum(np.abs(field.first_pulls), np.abs(p)))
    return bool((net <= EVEN * np.maximum(size, SLIGHT * size.max(initial=0.0))).all())
