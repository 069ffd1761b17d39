"""A fast engine that has come to rest: the pieces up to ``t_max``, and nothing to compute.

Pieces on which neurons shrink are each twice as long as the one before, so that all times in them
are as exact as times are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..events import codes_of
from . import standstill
from .calm import Calm, Stretch
from .guess import DEGREE
from .reduced import ACCURACY, Reduced

if TYPE_CHECKING:
    from .engine import Waveform

SOON, TINY = 1.0, float(np.finfo(float).tiny)
"""The first piece of a flow at rest in which neurons shrink, in units of the time in which they
do."""


def stand(engine: Waveform) -> None:
    """Stay here until ``t_max``."""
    m, e = engine.U.shape
    none = np.empty((0, e, e))
    stretch = Stretch(engine.U, engine.power, np.full(m, -1), none)
    engine.path.append(Calm(engine.t, engine.run.t_max, stretch, none,
                            np.empty((0, DEGREE + 1, e - 1)), ACCURACY))
    engine.steps += 1
    engine.t = engine.run.t_max
    engine.run.check(engine.measure)


def stay(engine: Waveform, system: Reduced) -> None:
    """Stay where a reduced system rests until ``t_max``, but for neurons that shrink for ever."""
    if not system.fades:
        engine.take(*system.neurons())
        stand(engine)
        return
    H = SOON / max(float(np.abs(engine.guess.r) @ engine.lengths) / engine.data.n, TINY)
    while engine.t < engine.run.t_max:
        t1 = _end(engine, H)
        engine.path.append(system.stay(engine.t, t1))
        engine.steps += 1
        engine.reduced += 1
        engine.t, H = t1, 2 * H
        engine.run.check(engine.measure)
        if system.grown:
            engine.take(*system.neurons())
            system.begin(engine.U, engine.power, engine.t)


def held(engine: Waveform, U: np.ndarray, power: np.ndarray) -> bool:
    """Stay here until ``t_max`` if the flow has come to rest within ``rtol``, but for neurons
    that shrink; whether it has. ``U`` and ``power`` are the neurons of now."""
    span = engine.run.t_max - engine.t
    if 0.0 < span * engine.decay < 1.0:
        # No longer than what windows take anyway.
        return False
    codes = codes_of(engine.data.arrangement, engine.side)
    found = standstill.near(engine.field, engine.decay, U, power, codes, engine.rtol, span)
    if found is None:
        return False
    stretch = found.stretch(power, engine.t)
    fading, one = found.rate[found.rate > 0.0], np.eye(engine.data.d + 1)
    lost, H = np.zeros(fading.size), span
    if fading.size:
        H = SOON / (engine.decay or float(fading.max()))
    while engine.t < engine.run.t_max:
        t1 = _end(engine, H)
        engine.path.append(Calm(engine.t, t1, stretch, np.tile(one, (fading.size, 1, 1)),
                                found.fields(t1 - engine.t), ACCURACY, 0.0, lost.copy(), True))
        lost += fading * (t1 - engine.t)
        engine.steps += 1
        engine.t, H = t1, 2 * H
        engine.run.check(engine.measure)
    return True


def _end(engine: Waveform, H: float) -> float:
    """The end of a piece of length ``H``, or ``t_max`` if that is about there."""
    t_max = engine.run.t_max
    return engine.t + H if engine.t + 1.001 * H < t_max else t_max
