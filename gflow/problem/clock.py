r"""The time in which engines run: that of the flow, or another one for losses without rest.

With :math:`t = t_0 (e^s - 1)` the flow is :math:`d\theta/ds = (t + t_0)\, \dot\theta`: the same
under pulls times :math:`t + t_0 = t_0 e^s`. Late on separable data pulls are of order 1/t, so that
these are of order one and nothing moves faster than s does: a run to t = 1e300 is one of s < 700.
Where pulls stay, because the network does not separate the data (yet), s goes on in proportion to
t. (A clock :math:`ds = \frac1n \sum |p_k|\, dt` does the same, but has to be integrated along, with
an error of its own; this one is a formula.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .data import Data
from .field import Field
from .loss import Loss, is_endless
from .network import TwoLayer
from .norms import row_norms
from .units import Units

MUCH, LITTLE = 100.0, 10.0
"""A clock is straight from where pulls times the time so far pass the one, to where they fall below
the other: data that are separated have about ``1 / (4 gamma log t)``, with the margin gamma."""
AHEAD = 100.0
"""A straight clock has a new unit when the time so far is so many of the old one: else what is left
of a late logarithm drowns in the rounding of s."""
FIRST = 1e3
"""Runs over fewer turns of a neuron are reported at times as of any other loss."""


class Clock:
    """From times ``t`` of the flow to times ``s`` of an engine, and back.

    Made of consecutive parts; from the start of a part, ``(s_i, t_i)``, with the rate ``r_i``,
    ``t = t_i + r_i (e^(s - s_i) - 1)``, or ``t = t_i + r_i (s - s_i)`` where it is straight. While
    a run is under way its engine may begin new parts, at the time reached.

    Parameters
    ----------
    parts : ndarray, shape (K, 4), optional
        ``s_i, t_i, log r_i`` and 1 for straight parts, else 0. No parts: ``t = s``.
    end : float
        The last ``t``, which there and back again leaves alone.

    Examples
    --------
    >>> clock = Clock(np.array([[0.0, 0.0, -2.0, 0.0]]), 1e300)
    >>> s = clock.inside(np.array([0.0, 1e-9, 1e300]))
    >>> bool(np.allclose(clock.outside(s), [0, 1e-9, 1e300], rtol=1e-12)), bool(s[2] < 700)
    (True, True)
    """

    def __init__(self, parts: np.ndarray | None = None, end: float = np.inf) -> None:
        self.parts, self.end = parts, end

    @classmethod
    def of(cls, model: TwoLayer, data: Data, t_max: float, loss: Loss,
           units: Units = Units()) -> Clock:
        """The clock of a run in ``units``: for an endless loss a logarithm, whose unit is about the
        time in which a neuron turns at the start."""
        if not is_endless(loss):
            return cls()
        with np.errstate(all="ignore"):
            field = Field(data, loss, model.activation)
            h = field.outputs(model.a * np.exp(2 * model.log_scale), model.W)
            log = field.log_pulls(h) + np.log(row_norms(data.X)) - np.log(data.n)
            rate = np.nan_to_num(-float(np.logaddexp.reduce(log)), posinf=0.0, neginf=0.0)
        unit = float(np.clip(rate, -1e3, 1e3)) - units.time * float(np.log(2.0))
        return cls(np.array([[0.0, 0.0, unit, 0.0]]), float(units.inside(t_max)))

    def inside(self, t: Any) -> Any:
        """Times of the engine."""
        if self.parts is None:
            return t
        t = np.asarray(t, dtype=float)
        s0, t0, rate, straight = self._part(self.parts[:, 1], t)
        with np.errstate(all="ignore"):
            log = np.log(np.maximum(t - t0, 0.0)) - rate
            s = s0 + np.where(straight, np.exp(np.minimum(log, 709.0)), np.logaddexp(0.0, log))
        return s if s.ndim else float(s)

    def outside(self, s: Any) -> Any:
        """Times of the flow."""
        if self.parts is None:
            return s
        s = np.asarray(s, dtype=float)
        s0, t0, rate, straight = self._part(self.parts[:, 0], s)
        # e^s - 1 = q (q + 2), where nothing overflows that does not in the end.
        with np.errstate(all="ignore"):
            root, q = np.exp(rate / 2), np.expm1((s - s0) / 2)
            t = t0 + np.where(straight, root * (s - s0) * root, (root * q) * (root * (q + 2)))
        t = np.where(s >= self.inside(self.end), self.end, np.minimum(t, self.end))
        return t if t.ndim else float(t)

    def log_rate(self, s: Any) -> Any:
        """``log dt/ds`` in the last part, where its engine is; None if t is s."""
        if self.parts is None:
            return None
        s0, _, rate, straight = self.parts[-1]
        return rate + (1.0 - straight) * (np.asarray(s) - s0)

    def span(self, s0: float, s1: Any) -> Any:
        """The time from ``s0`` to ``s1`` in the last part, in units of ``dt/ds`` at ``s0``."""
        if self.parts is None or self.parts[-1, 3]:
            return s1 - s0
        return np.expm1(np.minimum(s1 - s0, 600.0))

    def after(self, s: float) -> tuple[float, bool]:
        """``log dt/ds`` just after ``s``, and whether it stays so."""
        if self.parts is None:
            return 0.0, True
        s0, _, rate, straight = self.parts[np.searchsorted(self.parts[:, 0], s, side="right") - 1]
        return float(rate if straight else rate + s - s0), bool(straight)

    def suits(self, s: float, pull: float) -> bool:
        """Whether the part in which the time ``s`` reached is may go on under pulls of the size
        ``pull`` in time of the engine."""
        ahead = self._ahead(s)
        if self.parts is None or not (0.0 < pull < np.inf and np.isfinite(ahead)):
            return True
        now = np.log(pull) + ahead
        if self.parts[-1, 3]:
            return bool(now >= np.log(LITTLE) and ahead <= np.log(AHEAD))
        return bool(now <= np.log(MUCH))

    def turn(self, s: float, pull: float) -> None:
        """Begin a part at ``s``, the time reached, that suits pulls of the size ``pull`` in time of
        the engine."""
        assert self.parts is not None
        ahead = self._ahead(s)
        straight = float(np.log(pull) + ahead >= np.log(LITTLE))
        part = [s, self.outside(s), float(self.log_rate(s)) + ahead, straight]
        self.parts = np.append(self.parts, [part], axis=0)

    def _ahead(self, s: float) -> float:
        """Logarithm of the time at ``s`` in units of ``dt/ds``."""
        t = self.outside(s)
        if self.parts is None or not t > 0.0:
            return -np.inf
        return float(np.logaddexp(np.log(t), self.parts[0, 2]) - self.log_rate(s))

    def _part(self, starts: np.ndarray, at: np.ndarray) -> np.ndarray:
        """The parts (4, ...) in which times are; at a start, the one before."""
        assert self.parts is not None
        k = np.maximum(np.searchsorted(starts, at, side="left") - 1, 0)
        return np.moveaxis(self.parts[k], -1, 0)


def clocked_times(data: Data, t_max: float, loss: Loss) -> np.ndarray | None:
    """200 times in [0, t_max], 0 and as many in every decade of the late ones; None if the run is
    short, or the loss comes to rest.

    Examples
    --------
    >>> from gflow.problem.loss import NAMED
    >>> t = clocked_times(Data([[1.0]], [1.0]), 1e30, NAMED["exponential"])
    >>> t.size, bool(abs(t[101] / t[100] - t[199] / t[198]) < 1e-6), float(t[-1])
    (200, True, 1e+30)
    """
    if not is_endless(loss):
        return None
    turn = float(np.abs(Field(data, loss).first_pulls) @ row_norms(data.X)) / data.n
    if not turn * t_max > FIRST:
        return None
    first = np.log(t_max) + np.log(turn)
    times = np.append(0.0, np.exp(np.linspace(-2.0, first, 199) - np.log(turn)))
    times[-1] = t_max
    return times
