"""Stretches of the reduced system, while no pattern changes: what many windows have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import resting
from .calm import Calm
from .reduced import Reduced

if TYPE_CHECKING:
    from .engine import Waveform

LOOK = 10
"""Windows between looks whether the flow is at rest, at least."""
PATIENCE, MOST_PATIENCE = 3, 12
"""Windows without events before the reduced system is tried: at first, and after failures."""


def glide(engine: Waveform, H: float) -> float:
    """Advance on the reduced system until something may switch; the length to try next."""
    engine.quiet = 0
    system = Reduced(engine.field, engine.marcher, engine.U, engine.power, engine.side,
                     engine.patterns.key, engine.response, engine.t, engine.balance.sign == 0)
    if not system.fits:
        engine.patience = min(2 * engine.patience, MOST_PATIENCE)
        return H
    taken, look = 0, LOOK
    near = engine.freed.near(engine.side, engine.loose, engine.patterns)
    while engine.t < engine.run.t_max:
        H = min(H, engine.lasts())
        t1 = engine.t + H
        if engine.run.t_max - t1 < 1e-3 * H:
            t1 = engine.run.t_max
        steady = not system.fades or engine.clock.after(engine.t)[1]
        if steady and system.at_rest:
            resting.stay(engine, system)
            return H
        if H <= 16 * np.spacing(engine.t):
            raise engine.too_short()
        engine.path.tried(H)
        piece, longer = None, H
        if taken >= look and steady:
            look = taken + taken // 2 + LOOK
            piece = _settle(engine, system, t1)
        if piece is None:
            piece, longer, rounds = system.window(engine.t, t1, engine.run)
            engine.nfev += rounds
        if longer == 0:
            # One that comes to rest on a hyperplane is not to be told from one that meets it.
            piece, longer = _settle(engine, system, t1) if steady else None, H
            if piece is None:
                break
        if piece is None:
            engine.rejected += 1
            H = longer
            continue
        H = longer
        taken += 1
        engine.steps += 1
        engine.reduced += 1
        engine.choices.append(engine.freed.calm_choices(
            piece, near, engine.side, engine.patterns, engine.field,
            engine.response.on(engine.t, t1)))
        engine.t = t1
        engine.path.append(piece)
        engine.run.check(engine.measure)
        H = _renew(engine, system, H)
    engine.patience = PATIENCE if taken > 3 else min(2 * engine.patience, MOST_PATIENCE)
    if taken:
        engine.take(*system.neurons())
        engine.begin()
    return H


def _settle(engine: Waveform, system: Reduced, t1: float) -> Calm | None:
    """A piece that ends at rest at ``t1``, if the flow would by ``t_max``."""
    return system.settle(engine.t, t1, float(engine.clock.span(engine.t, engine.run.t_max)))


def _renew(engine: Waveform, system: Reduced, H: float) -> float:
    """Rest under decay, or a new stretch of the reduced system where one should begin; the
    length to try next."""
    slower = engine.turn(system.guess.r)
    if engine.decay and engine.steps >= engine.look:
        engine.look = engine.steps + engine.steps // 2 + LOOK
        U, power = (part.copy() for part in system.neurons())
        # Those that fade go off their invariant meanwhile, where they are on no ray.
        engine.put_back(U, power)
        if resting.held(engine, U, power):
            return H
    if system.grown or slower is not None:
        engine.take(*system.neurons())
        system.begin(engine.U, engine.power, engine.t)
    return H if slower is None else H * slower
