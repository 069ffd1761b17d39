"""Going on: a run to a later end."""

from __future__ import annotations

from typing import Callable, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from ..engines.record import Record
from ..engines.rules import StopLike, as_rules
from ..engines.solve import solve
from ..problem.checks import flag, positive, whole
from ..problem.inputs import reported_times, thread_count
from ..problem.network import TwoLayer
from ..theory.standstill import plain_only
from .errors import IntegrationError

R = TypeVar("R", bound=Record)
ORDINARY = 900
"""Powers of two whose products are in the range of double precision."""


def extend(flow: R, t_max: float, t_eval: ArrayLike | None, stop: StopLike,
           max_events: int | None, progress: bool, strict: bool, threads: int | None,
           keep: Callable[[Record], None] | None = None, every: float = np.inf) -> R:
    """See `gflow.Flow.extend`."""
    flow._whole("what it takes to go on")
    t_max = positive(t_max, "t_max")
    if t_max <= flow.t_end:
        raise ValueError(f"t_max = {t_max:g} is no later than {flow.t_end:g}, the time reached: "
                         "give a later one")
    times = _times(flow, t_max) if t_eval is None else reported_times(
        t_eval, t_max, flow.data, flow.loss_function)
    if max_events is not None:
        max_events = whole(max_events, "max_events")
        if max_events <= len(flow.events):
            raise ValueError(f"max_events = {max_events} is no more than the {len(flow.events)} "
                             "events up to now, which count, too: give more")
    progress, strict = flag(progress, "progress"), flag(strict, "strict")
    settings, rules = flow.settings, as_rules(stop)
    for rule in rules:
        if rule.plain:
            plain_only(flow.field, f"stop={rule.plain}")
    longer = solve(first_model(flow), flow.data, t_max, method=settings["method"],
                   rtol=settings["rtol"], times=times, rules=rules, max_events=max_events,
                   progress=progress, threads=thread_count(threads), made=type(flow),
                   loss=flow.loss_function, setting=flow.setting, after=flow, keep=keep,
                   every=every,
                   t_eval=settings.get("t_eval") if t_eval is None else times.tolist())
    if strict and not longer.success:
        raise IntegrationError(longer)
    return longer


def first_model(flow: Record) -> TwoLayer:
    """The start of a run, as exactly as it is known."""
    neurons, power = flow.path.scaled(np.zeros(1))
    log_scale = np.zeros(flow.path.m)
    if np.abs(power).max() > ORDINARY:
        log_scale, power = power[0] * np.log(2.0), np.zeros_like(power)
    neurons = np.ldexp(neurons[0], power[0][:, None])
    return flow.model.like(neurons[:, 0], neurons[:, 1:], log_scale)


def _times(flow: Record, t_max: float) -> np.ndarray:
    """The times that a run to ``t_max`` would report by default, if this one did; else those of
    this one, and the later ones of these."""
    usual, later = (reported_times(None, end, flow.data, flow.loss_function)
                    for end in (flow.settings["t_max"], t_max))
    # A run that stopped reports its end as well.
    asked = flow.t[:-1] if flow.t_end < flow.settings["t_max"] else flow.t
    if any(np.array_equal(times, usual[usual <= flow.t_end]) for times in (flow.t, asked)):
        return later
    return np.append(asked, later[later > flow.t_end])
