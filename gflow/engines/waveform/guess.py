"""What is known of the pulls on a window before any round, and of how hard it will be.

Three guesses compete: a linear model with the tangent kernel, a cubic through the last window, and
an exponential through it. The one that would have been best on the last window is taken.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Callable

import numpy as np
from numpy.polynomial import chebyshev

from ...kernels.chebyshev import integration, nodes, to_series
from .tangent import Modes, Tangent, solve

DEGREE = 8
"""Degree of the residuals on a window."""
CUBIC = 3
SPAN = 0.5
"""Distance in s of the three values that an exponential is laid through."""
STEEPEST = 3.0
"""Rate of an exponential, per unit of s: others are noise."""
SQUARES = np.arange(DEGREE + 1.0)**2
TYPICAL = 1e-2
"""Contraction of a round before one is known."""


@lru_cache(maxsize=None)
def _last_values() -> np.ndarray:
    """Matrix from a series to its values at 1, 1 - SPAN and 1 - 2 SPAN."""
    return chebyshev.chebvander(1 - SPAN * np.arange(3), DEGREE)


class Guess:
    """What is known of the pulls at the start of a window.

    Attributes
    ----------
    r, slope : ndarray, shape (n,)
        Pulls and their derivative.
    weight : ndarray, shape (n,), or None
        Curvature of the loss there; None if it is 1 everywhere.
    most : float
        What their sum of squares should not pass, see `response`.
    tangent : Tangent or None
        The tangent kernel there, if it is known.
    modes : Modes or None
        Eigenvectors of a tangent kernel of some window before.
    tried : (float, ndarray) or None
        Length and Chebyshev series of the last round on a window that was too long.
    past : (float, ndarray) or None
        Length and Chebyshev series of the window before.
    contraction : float
        Of a round on the window before.
    careful : bool
        Whether the last attempt failed.
    """

    def __init__(self, r: np.ndarray, weight: np.ndarray | None = None,
                 most: float | None = None) -> None:
        self.r, self.slope = r, np.zeros_like(r)
        self.weight, self.most = weight, float(r @ r) if most is None else most
        self.tangent: Tangent | None = None
        self.modes: Modes | None = None
        self.tried: tuple[float, np.ndarray] | None = None
        self.past: tuple[float, np.ndarray] | None = None
        self.contraction, self.careful = TYPICAL, False
        self.missed: dict[str, float] = {}
        self.candidates: dict[str, np.ndarray] = {}

    def forget(self) -> None:
        """After a window that led nowhere."""
        self.slope, self.tangent, self.tried = np.zeros_like(self.r), None, None
        self.past, self.missed, self.careful = None, {}, True

    def reject(self, first: Tangent, H: float, known: np.ndarray) -> None:
        """After a window of length ``H`` that was too long, with pulls ``known`` (J, n)."""
        self.tangent, self.tried, self.careful = first, (H, to_series(DEGREE) @ known), True

    def residuals(self, H: float, first: Tangent | None, stiff: bool,
                  ceiling: float) -> np.ndarray:
        """Residuals at the nodes of a window of length ``H``, before any round.

        Their sum of squares is nowhere more than ``ceiling``: neurons would run off under such a
        guess, long before anybody could judge it. Where there is no other they do not change.
        """
        def possible(values: np.ndarray) -> bool:
            return float(np.einsum("jk,jk->j", values, values).max()) <= ceiling

        self.candidates = {"linear": self._linear(H, first, "damped" if stiff else "smooth")}
        # Outputs multiply what is wrong with a guess; on stiff windows only the tangent kernel
        # keeps that small.
        if self.past is not None and not stiff:
            length, series = self.past
            x = 1 + (nodes(DEGREE) + 1) * (H / length)
            self.candidates["cubic"] = self._cubic(x, series)
            self.candidates["exponential"] = self._exponential(x, series)
        self.candidates = {name: values for name, values in self.candidates.items()
                           if possible(values)}
        if not self.candidates:
            self.candidates["constant"] = np.tile(self.r, (DEGREE + 1, 1))
        if self.tried is not None:
            # The window is the first part of one that was too long.
            length, series = self.tried
            values: np.ndarray = chebyshev.chebval((nodes(DEGREE) + 1) * (H / length) - 1,
                                                   series).T
            if possible(values):
                return values
        # One that was never tried is given a chance.
        best = min(self.candidates, key=lambda name: self.missed.get(name, 0.0))
        return self.candidates[best]

    def _linear(self, H: float, first: Tangent | None, kind: str) -> np.ndarray:
        ramp = (nodes(DEGREE) + 1) * (H / 2)
        used = self.r + np.outer(ramp, self.slope)
        if first is not None:
            # The linear model that has this slope at the start.
            rate = first.pull(self.slope[None])
            if self.weight is not None:
                rate = self.weight * rate
            used += solve((integration(DEGREE, kind) @ -ramp)[:, None] * rate, first, kind=kind,
                          weight=self.weight)
        return used

    def _cubic(self, x: np.ndarray, series: np.ndarray) -> np.ndarray:
        # T_j(x) - 1 for j = 1, 2, 3: the first x is 1, where every T_j is 1.
        less = np.array([x - 1, 2 * (x * x - 1), (4 * x * x - 3) * x - 1])
        return np.asarray(self.r + less.T @ series[1:CUBIC + 1])

    def _exponential(self, x: np.ndarray, series: np.ndarray) -> np.ndarray:
        # Differences over equal spans tell the rate (Aitken): the kinks of r spoil derivatives.
        r0, r1, r2 = _last_values() @ series
        with np.errstate(all="ignore"):
            rate = np.log((r0 - r1) / (r1 - r2)) / SPAN
        rate[~np.isfinite(rate)] = 0.0
        np.clip(rate, -STEEPEST, STEEPEST, out=rate)
        rate[np.abs(rate) < 1e-6] = 1e-6
        scale = (r0 - r1) / -np.expm1(-rate * SPAN)
        return np.asarray(self.r + scale * np.expm1(rate * (x[:, None] - 1)))

    def judge(self, values: np.ndarray, size: Callable[[np.ndarray], np.ndarray]
              ) -> tuple[float, float, float]:
        """Note how far the guesses were from what the residuals turned out to be; the least, and
        how much these change in the first quarter of the window, and in the last one.

        Differences, because kinks spoil derivatives.
        """
        quarter = len(values) // 3          # the node at s = -1/2
        change = values[quarter] - values[0], values[-1] - values[-1 - quarter]
        sizes = size(np.vstack([values - guess for guess in self.candidates.values()] + [change]))
        missed = sizes[:-2].reshape(-1, len(values)).max(axis=1)
        self.missed = dict(zip(self.candidates, missed.tolist()))
        return float(missed.min()), float(sizes[-2]), float(sizes[-1])

    def accept(self, r: np.ndarray, known: np.ndarray, H: float, last: Tangent | None,
               contraction: float, weight: np.ndarray | None = None,
               most: float | None = None) -> None:
        """Go on from the end ``r`` of a window of length ``H`` with pulls ``known`` (J, n)."""
        self.r, self.weight = r, weight
        self.most = float(r @ r) if most is None else most
        series = to_series(DEGREE) @ known
        # T_j'(1) = j^2.
        self.slope = SQUARES @ series * (2 / H)
        self.tangent, self.tried, self.past = last, None, (H, series)
        self.contraction, self.careful = contraction, False
