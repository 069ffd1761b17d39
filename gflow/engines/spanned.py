"""The path of a run in the span of the points, as one in all dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..problem.quiet import quiet
from ..problem.span import Span
from .protocol import Path


class Spanned:
    """A path seen from outside; see `gflow.problem.span`.

    A `gflow.engines.protocol.Path`. Its pieces are those of the path inside, in its coordinates.

    Parameters
    ----------
    inner : Path
        In coordinates of ``span``.
    span : Span
        Of a start in units of ``2 ** power``.
    power : ndarray of int, shape (m,)
    """

    def __init__(self, inner: Path, span: Span, power: np.ndarray) -> None:
        self.inner, self.span, self.power = inner, span, power
        self.m, self.d = span.W.shape

    @property
    def breaks(self) -> list[float]:
        """Times between pieces."""
        return self.inner.breaks

    @property
    def pieces(self) -> Sequence[Any]:
        """Those of the path inside."""
        return self.inner.pieces

    @property
    def t_end(self) -> float:
        """Time reached."""
        return self.inner.t_end

    @property
    @quiet
    def start(self) -> np.ndarray:
        """State (m (d + 1),) at the first break."""
        return self.outside(self.inner.start)

    @quiet
    def __call__(self, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) at the times ``t`` (T,)."""
        return self.outside(self.inner(t))

    @quiet
    def scaled(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Neurons (T, m, d + 1) at the times ``t``, in units of 2 to the power (T, m)."""
        inside, power = self.inner.scaled(t)
        neurons = np.empty((*power.shape, self.d + 1))
        neurons[..., 0] = inside[..., 0]
        neurons[..., 1:] = self.span.weights(inside[..., 1:], power - self.power)
        return neurons, power

    @quiet
    def evaluate(self, p: int, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) of piece ``p``."""
        return self.outside(self.inner.evaluate(p, t))

    def outside(self, state: np.ndarray) -> np.ndarray:
        """Flat states (..., m (d + 1)) from those in coordinates of the span."""
        m, d = self.m, self.d
        out = np.empty((*state.shape[:-1], m * (d + 1)))
        out[..., :m] = state[..., :m]
        V = state[..., m:].reshape(*state.shape[:-1], m, -1)
        out[..., m:] = self.span.weights(V, -self.power).reshape(*state.shape[:-1], m * d)
        return out

    def dissipation(self, p: int, end: float | None = None) -> float:
        """Integral of ``|theta'|^2`` over piece ``p``, up to where the path or ``end`` ends."""
        return self.inner.dissipation(p, end)

    def cut(self, t: float) -> None:
        """End the path at ``t``, inside the last piece."""
        self.inner.cut(t)

    def forget(self) -> None:
        """Keep only the last piece."""
        self.inner.forget()

    def snapshot(self) -> Spanned:
        """The path so far, which does not grow with this one."""
        return Spanned(self.inner.snapshot(), self.span, self.power)

    def freeze(self) -> None:
        """The run is over."""
        self.inner.freeze()

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Those of the path inside, the basis of the span, and the start."""
        return self.inner.to_arrays() | {"span": self.span.basis, "span_start": self.span.W,
                                         "span_power": self.power}
