"""Dense output: Chebyshev series of every neuron, piece by piece, no longer than accuracy asks."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import cache

import numpy as np
from numpy.polynomial.chebyshev import chebval

from .protocol import FROZEN
from ..problem.quiet import quiet


class Trajectory:
    """A continuous path of ``m`` neurons as consecutive polynomial pieces.

    A `gflow.engines.protocol.Path`.

    Parameters
    ----------
    m, d : int
        Number of neurons, input dimension. A state is ``[a (m), W (m d)]``.
    start : ndarray, shape (m (d + 1),)
        State at time 0.
    trim : float
        Trailing coefficients below this, relative to their neuron, are dropped.

    Attributes
    ----------
    hint : float
        The step that would be tried first where the last piece begins, but for the end of the run:
        one that goes on from there takes the steps of one run. 0 if it is not known.
    """

    def __init__(self, m: int, d: int, start: np.ndarray, trim: float) -> None:
        self.m, self.d, self.trim = m, d, trim
        self.start = start.copy()
        self.breaks: list[float] = [0.0]
        self.pieces: list[np.ndarray] = []
        self.frozen = False
        self.hint = 0.0

    @property
    def t_end(self) -> float:
        """Time reached."""
        return self.breaks[-1]

    def append(self, t: float, series: np.ndarray) -> None:
        """Add the piece up to ``t``: Chebyshev coefficients (p + 1, m (d + 1)) on its interval."""
        self._growing()
        self.pieces.append(self._trimmed(series))
        self.breaks.append(float(t))

    def cut(self, t: float) -> None:
        """Shorten the last piece so that the path ends at ``t``."""
        self._growing()
        if t >= self.t_end:
            return
        t0, t1 = self.breaks[-2:]
        if t <= t0:
            del self.breaks[-1], self.pieces[-1]
            return
        last = self.pieces[-1]
        from ..kernels.chebyshev import nodes, to_series
        degree = len(last) - 1
        inside = -1 + (nodes(degree) + 1) * (t - t0) / (t1 - t0)
        self.pieces[-1] = to_series(degree) @ chebval(inside, last).T
        self.breaks[-1] = float(t)

    def forget(self) -> None:
        """Keep only the last piece."""
        self._growing()
        if len(self.pieces) > 1:
            self.start = self(np.array(self.breaks[-2:-1]))[0]
            self.breaks, self.pieces = self.breaks[-2:], self.pieces[-1:]

    def snapshot(self) -> Trajectory:
        """The path so far, which does not grow with this one."""
        path = copy(self)
        path.breaks, path.pieces = list(self.breaks), list(self.pieces)
        return path

    def without_last(self) -> Trajectory:
        """A path that can grow, from all pieces but the last."""
        path = type(self)(self.m, self.d, self.start, self.trim)
        path.breaks, path.pieces = self.breaks[:-1], list(self.pieces[:-1])
        return path

    def freeze(self) -> None:
        """The run is over: nothing is added any more."""
        self.frozen = True
        for array in (self.start, *self.pieces):
            array.flags.writeable = False

    def _growing(self) -> None:
        if self.frozen:
            raise RuntimeError(FROZEN)

    def _trimmed(self, series: np.ndarray) -> np.ndarray:
        scale = by_neuron(np.abs(series[0]), self.m)
        scale = np.where(scale > 0, scale, 1.0)
        tails = np.cumsum((by_neuron(np.abs(series), self.m) / scale).max(axis=-1)[::-1])[::-1]
        keep = max(1, int(np.searchsorted(-tails, -self.trim)))
        return np.ascontiguousarray(series[:keep])

    @quiet
    def __call__(self, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) at the times ``t`` (T,)."""
        out = np.empty((t.size, self.start.size))
        piece = self.locate(t)
        for p in np.unique(piece):
            here = piece == p
            out[here] = self.start if p < 0 else self.evaluate(int(p), t[here])
        return out

    @quiet
    def scaled(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Neurons (T, m, d + 1) at the times ``t`` (T,), in units of 2 to the power (T, m): 0."""
        states = self(t)
        W = states[:, self.m:].reshape(t.size, self.m, self.d)
        return (np.concatenate([states[:, :self.m, None], W], axis=2),
                np.zeros((t.size, self.m), dtype=np.int64))

    def locate(self, t: np.ndarray) -> np.ndarray:
        """Index of the piece of each time; -1 before the first. Of pieces that take no time, as
        steps of a schedule that falls below rounding, it is the last."""
        last = len(self.pieces) - 1
        piece = np.maximum(np.searchsorted(self.breaks, t, side="left") - 1,
                           np.searchsorted(self.breaks, t, side="right") - 2)
        return np.asarray(np.minimum(piece, last))

    @quiet
    def evaluate(self, p: int, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) of piece ``p``."""
        t0, t1 = self.breaks[p], self.breaks[p + 1]
        s = 2 * (t - t0) / (t1 - t0) - 1 if t1 > t0 else np.ones_like(t)
        return np.asarray(chebval(s, self.pieces[p]).T.reshape(t.size, -1))

    @quiet
    def dissipation(self, p: int, end: float | None = None) -> float:
        """Integral of ``|theta'|^2`` over piece ``p``, or up to ``end`` in it, by a Gauss rule that
        is exact for it."""
        t0, t1 = self.breaks[p], self.breaks[p + 1]
        s, weights = gauss_rule(max(1, len(self.pieces[p]) - 1))
        part = 1.0 if end is None else min(1.0, (end - t0) / (t1 - t0))
        s = (s + 1) * part - 1
        slope = chebval(s, np.polynomial.chebyshev.chebder(self.pieces[p]))
        return float(weights @ (slope**2).reshape(-1, s.size).sum(axis=0)) * 2 * part / (t1 - t0)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays, for saving."""
        return {"breaks": np.array(self.breaks), "start": self.start, "hint": np.array(self.hint),
                "lengths": np.array([len(p) for p in self.pieces], dtype=np.int64),
                "series": (np.concatenate(self.pieces) if self.pieces
                           else np.empty((0, self.start.size)))}

    @classmethod
    def from_arrays(cls, m: int, d: int, arrays: Mapping[str, np.ndarray]) -> Trajectory:
        """Inverse of `to_arrays`.

        Raises
        ------
        ValueError
            If the shapes do not fit together.
        """
        start, lengths, series = arrays["start"], arrays["lengths"], arrays["series"]
        if (start.shape != (m * (d + 1),) or series.shape != (lengths.sum(), start.size)
                or arrays["breaks"].shape != (lengths.size + 1,) or (lengths < 1).any()):
            raise ValueError("the pieces of the path do not fit together")
        path = cls(m, d, start, 0.0)
        path.breaks = [float(t) for t in arrays["breaks"]]
        ends = np.cumsum(arrays["lengths"])
        path.pieces = np.split(arrays["series"], ends[:-1]) if len(ends) else []
        path.hint = float(arrays.get("hint", 0.0))
        path.freeze()
        return path


@cache
def gauss_rule(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the Gauss-Legendre rule of so many nodes.

    Examples
    --------
    >>> gauss_rule(1)
    (array([0.]), array([2.]))
    """
    s, weights = np.polynomial.legendre.leggauss(count)
    s.flags.writeable = weights.flags.writeable = False
    return s, weights


def by_neuron(size: np.ndarray, m: int) -> np.ndarray:
    """Largest of the entries of each of ``m`` neurons: (..., m (d + 1)) to (..., m).

    Examples
    --------
    >>> by_neuron(np.array([1.0, 5.0, 2.0, 3.0, 0.0, 4.0]), 2)
    array([3., 5.])
    """
    W = size[..., m:].reshape(*size.shape[:-1], m, -1)
    return np.asarray(np.maximum(size[..., :m], W.max(axis=-1)))


def by_weight(values: np.ndarray, d: int) -> np.ndarray:
    """A value of each neuron (m,) as one of each of its weights (m (d + 1),).

    Examples
    --------
    >>> by_weight(np.array([1.0, 5.0]), 2)
    array([1., 5., 1., 1., 5., 5.])
    """
    return np.append(values, np.repeat(values, d))
