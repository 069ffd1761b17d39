"""The path of a flow whose layers have speeds of their own, from one with both speeds 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..problem.quiet import quiet
from ..problem.rates import Rates
from .protocol import Path


class Layered:
    """A path seen from outside; see `gflow.problem.rates`.

    A `gflow.engines.protocol.Path`. Its dissipation, what the loss falls by on a piece, is the
    integral of ``|a'|^2 / rates[0] + |W'|^2 / rates[1]``: that of the path inside.

    Parameters
    ----------
    inner : Path
        With both speeds 1.
    rates : Rates
    """

    def __init__(self, inner: Path, rates: Rates) -> None:
        self.inner, self.rates = inner, rates
        self.m, self.d = inner.m, inner.d
        self._factors = rates.weights(inner.m, inner.d)

    @property
    def breaks(self) -> list[float]:
        """Times between pieces."""
        return [float(t) for t in self.rates.outside(np.array(self.inner.breaks))]

    @property
    def pieces(self) -> Sequence[Any]:
        """Those of the path inside."""
        return self.inner.pieces

    @property
    def t_end(self) -> float:
        """Time reached."""
        return float(self.rates.outside(self.inner.t_end))

    @property
    @quiet
    def start(self) -> np.ndarray:
        """State (m (d + 1),) at the first break."""
        return np.asarray(self.inner.start * self._factors)

    def _inside(self, t: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(self.rates.inside(t), self.inner.breaks[0], self.inner.t_end))

    @quiet
    def __call__(self, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) at the times ``t`` (T,)."""
        return np.asarray(self.inner(self._inside(t)) * self._factors)

    @quiet
    def scaled(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Neurons (T, m, d + 1) at the times ``t``, in units of 2 to the power (T, m)."""
        neurons, power = self.inner.scaled(self._inside(t))
        q = self.rates.factor
        return neurons * np.append(1 / q, np.full(self.d, q)), power

    @quiet
    def evaluate(self, p: int, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) of piece ``p``."""
        return np.asarray(self.inner.evaluate(p, self._inside(t)) * self._factors)

    def dissipation(self, p: int, end: float | None = None) -> float:
        """What the loss falls by on piece ``p``, up to where the path or ``end`` ends."""
        return self.inner.dissipation(p, None if end is None else float(self.rates.inside(end)))

    def cut(self, t: float) -> None:
        """End the path at ``t``, inside the last piece."""
        self.inner.cut(float(self.rates.inside(t)))

    def forget(self) -> None:
        """Keep only the last piece."""
        self.inner.forget()

    def snapshot(self) -> Layered:
        """The path so far, which does not grow with this one."""
        return Layered(self.inner.snapshot(), self.rates)

    def freeze(self) -> None:
        """The run is over."""
        self.inner.freeze()

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Those of the path inside, and ``rates``."""
        return self.inner.to_arrays() | {
            "rates": np.array([self.rates.output, self.rates.hidden])}
