"""The path of a run in units of its own, as one in units of 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..problem.quiet import quiet
from ..problem.units import Units
from .protocol import Path


class Rescaled:
    """A path seen from outside; see `gflow.problem.units`.

    A `gflow.engines.protocol.Path`. Its pieces are those of the path inside, in its units.

    Parameters
    ----------
    inner : Path
        In ``units``.
    units : Units
    """

    def __init__(self, inner: Path, units: Units) -> None:
        self.inner, self.units = inner, units
        self.m, self.d = inner.m, inner.d
        self._known: list[float] = []

    @property
    def breaks(self) -> list[float]:
        """Times between pieces."""
        inner = self.inner.breaks
        known = self._known
        if len(known) > len(inner) or known and known[0] != self.units.outside(inner[0]):
            known = []
        # A new list: other readers may hold the old one.
        known = known[:max(len(known) - 1, 0)]
        known = known + [float(self.units.outside(t)) for t in inner[len(known):]]
        self._known = known
        return known

    @property
    def pieces(self) -> Sequence[Any]:
        """Those of the path inside."""
        return self.inner.pieces

    @property
    def t_end(self) -> float:
        """Time reached."""
        return float(self.units.outside(self.inner.t_end))

    @property
    @quiet
    def start(self) -> np.ndarray:
        """State (m (d + 1),) at the first break."""
        return np.asarray(np.ldexp(self.inner.start, self.units.weights))

    @quiet
    def __call__(self, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) at the times ``t`` (T,)."""
        return np.asarray(np.ldexp(self.inner(self.units.inside(t)), self.units.weights))

    @quiet
    def scaled(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Neurons (T, m, d + 1) at the times ``t``, in units of 2 to the power (T, m)."""
        neurons, power = self.inner.scaled(self.units.inside(t))
        return neurons, power + self.units.weights

    @quiet
    def evaluate(self, p: int, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) of piece ``p``."""
        states = self.inner.evaluate(p, self.units.inside(t))
        return np.asarray(np.ldexp(states, self.units.weights))

    @quiet
    def dissipation(self, p: int, end: float | None = None) -> float:
        """Integral of ``|theta'|^2`` over piece ``p``, up to where the path or ``end`` ends."""
        stop = None if end is None else float(self.units.inside(end))
        return float(np.ldexp(self.inner.dissipation(p, stop),
                              2 * self.units.weights - self.units.time))

    def cut(self, t: float) -> None:
        """End the path at ``t``, inside the last piece."""
        self.inner.cut(float(self.units.inside(t)))

    def forget(self) -> None:
        """Keep only the last piece."""
        self.inner.forget()

    def snapshot(self) -> Rescaled:
        """The path so far, which does not grow with this one."""
        return Rescaled(self.inner.snapshot(), self.units)

    def freeze(self) -> None:
        """The run is over."""
        self.inner.freeze()

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Those of the path inside, and ``units``."""
        return self.inner.to_arrays() | {"units": np.array(self.units, dtype=np.int64)}
