"""The path of a run in the time of its engine, as one in the time of the flow."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from ..problem.clock import Clock
from ..problem.quiet import quiet
from .protocol import Path
from .trajectory import gauss_rule


FADED = 40.0
"""What comes after so much time of the engine is less than rounding of what came before."""


class Timed:
    """A path seen by another clock; see `gflow.problem.clock`.

    A `gflow.engines.protocol.Path`. Its pieces are those of the path inside, in its time.

    Parameters
    ----------
    inner : Path
        In the time of ``clock``.
    clock : Clock
    """

    def __init__(self, inner: Path, clock: Clock) -> None:
        self.inner, self.clock = inner, clock
        self.m, self.d = inner.m, inner.d
        self._known: tuple[list[float], list[float]] = ([], [])

    @property
    def breaks(self) -> list[float]:
        """Times between pieces."""
        inner, (seen, known) = self.inner.breaks, self._known
        if len(seen) > len(inner) or seen[:1] != inner[:1]:
            seen, known = [], []
        # The last one may have been cut. A new list: other readers may hold the old one.
        keep = max(len(seen) - 1, 0)
        known = known[:keep] + [float(t) for t in self.clock.outside(np.array(inner[keep:]))]
        self._known = list(inner), known
        return known

    @property
    def pieces(self) -> Sequence[Any]:
        """Those of the path inside."""
        return self.inner.pieces

    @property
    def t_end(self) -> float:
        """Time reached."""
        return float(self.clock.outside(self.inner.t_end))

    @property
    def start(self) -> np.ndarray:
        """State (m (d + 1),) at the first break."""
        return self.inner.start

    def _inside(self, t: np.ndarray) -> np.ndarray:
        return np.asarray(np.minimum(self.clock.inside(t), self.inner.t_end))

    def __call__(self, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) at the times ``t`` (T,)."""
        return self.inner(self._inside(t))

    def scaled(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Neurons (T, m, d + 1) at the times ``t``, in units of 2 to the power (T, m)."""
        return self.inner.scaled(self._inside(t))

    def evaluate(self, p: int, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) of piece ``p``."""
        begin, end = self.inner.breaks[p], min(self.inner.breaks[p + 1], self.inner.t_end)
        return self.inner.evaluate(p, np.clip(self.clock.inside(t), begin, end))

    @quiet
    def dissipation(self, p: int, end: float | None = None) -> float:
        r"""Integral of ``|theta'|^2`` over piece ``p``, up to where the path or ``end`` ends.

        Where the clock is a logarithm: with :math:`F(s) = \int |d\theta/ds|^2` from the start of
        the piece, of length H,
        :math:`\int |d\theta/ds|^2 e^{-s} ds = F(H) e^{-H} + \int_0^H F(s) e^{-s} ds`: the first is
        exact, and the last, by a Gauss rule, does not see the jumps of the field at events.
        """
        begin, stop = self.inner.breaks[p], min(self.inner.breaks[p + 1], self.inner.t_end)
        if end is not None:
            stop = min(stop, float(self.clock.inside(end)))
        rate, straight = self.clock.after(begin)
        if straight:
            return float(self.inner.dissipation(p, stop) * np.exp(-rate))
        length = min(stop - begin, FADED)
        if not length > 0:
            return 0.0
        # F is a polynomial of the degree of the piece; e^-s takes a node for every unit.
        x, weights = gauss_rule(3 + int(3 * min(length, 2.0) + length))
        s = (x + 1) / 2 * length
        inner = [self.inner.dissipation(p, begin + float(at)) for at in s]
        total = (weights * length / 2) @ (np.array(inner) * np.exp(-s))
        total += self.inner.dissipation(p, begin + length) * np.exp(-length)
        return float(total * np.exp(-rate))

    def cut(self, t: float) -> None:
        """End the path at ``t``, inside the last piece."""
        self.inner.cut(float(self.clock.inside(t)))

    def forget(self) -> None:
        """Keep only the last piece."""
        self.inner.forget()

    def snapshot(self) -> Timed:
        """The path so far, which does not grow with this one."""
        return Timed(self.inner.snapshot(), copy(self.clock))

    def freeze(self) -> None:
        """The run is over."""
        self.inner.freeze()

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Those of the path inside, and ``clock``: its parts, and its end in the last row."""
        assert self.clock.parts is not None
        last = np.array([[self.clock.end, 0.0, 0.0, 0.0]])
        return self.inner.to_arrays() | {"clock": np.append(self.clock.parts, last, axis=0)}
