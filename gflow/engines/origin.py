"""What an engine has made, beneath all that it is seen through from outside."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..problem.clock import Clock
from ..problem.rates import Rates
from ..problem.units import Units
from .layered import Layered
from .protocol import Path
from .rescaled import Rescaled
from .spanned import Spanned
from .timed import Timed


class Origin(NamedTuple):
    """The path that an engine has made, and how it is seen from outside: in the span of the points
    if it is `spanned`, by the ``clock`` of the flow, in ``units``, with other speeds of layers
    (``rates``), in this order.

    Times and states ``inside`` are those of the engine.
    """

    path: Path
    units: Units
    clock: Clock
    rates: Rates
    spanned: Spanned | None

    def inside(self, t: Any) -> Any:
        """Times of the engine."""
        return self.clock.inside(self.units.inside(self.rates.inside(t)))

    def outside(self, t: Any) -> Any:
        """Its times as users see them."""
        return self.rates.outside(self.units.outside(self.clock.outside(t)))

    def states(self, t: np.ndarray) -> np.ndarray:
        """States of the engine at the times ``t`` (T,) of users."""
        inside = self.inside(t)
        if self.rates or self.clock.parts is not None:
            # Where they end is a matter of rounding.
            inside = np.clip(inside, self.path.breaks[0], self.path.t_end)
        return self.path(inside)

    def paced(self, state: np.ndarray) -> np.ndarray:
        """Flat states (..., m (d + 1)) of the engine, but with the speeds of users."""
        path = self.path
        return state * self.rates.weights(path.m, path.d) if self.rates else state

    def seen(self, state: np.ndarray) -> np.ndarray:
        """Flat states (..., m (d + 1)) as users see them, from those of the engine."""
        if self.spanned is not None:
            state = self.spanned.outside(state)
        if any(self.units):
            state = np.ldexp(state, self.units.weights)
        if self.rates:
            m = self.path.m
            state = state * self.rates.weights(m, state.shape[-1] // m - 1)
        return np.asarray(state)


def origin(path: Path) -> Origin:
    """What is inside a path."""
    rates, units, clock, spanned = Rates(), Units(), Clock(), None
    inner: Any = path
    if isinstance(inner, Layered):
        inner, rates = inner.inner, inner.rates
    if isinstance(inner, Rescaled):
        inner, units = inner.inner, inner.units
    if isinstance(inner, Timed):
        inner, clock = inner.inner, inner.clock
    if isinstance(inner, Spanned):
        inner, spanned = inner.inner, inner
    return Origin(inner, units, clock, rates, spanned)
