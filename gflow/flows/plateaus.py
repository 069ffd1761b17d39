"""The saddles that a run passed, and when it should have left them."""

from __future__ import annotations

import numpy as np

from ..engines.record import Record
from ..problem.bisection import bisect
from ..problem.network import TwoLayerReLU
from ..problem.norms import row_norms
from ..theory.standstill import Standstill
from ..theory.waking import waking

PLATEAU = np.dtype([("begin", "f8"), ("loss", "f8"), ("neuron", "i8"), ("rate", "f8"),
                    ("predicted", "f8"), ("left", "f8")])
"""One saddle, see `gflow.Flow.plateaus`."""
FLAT = 1e-4
"""Part of the loss that may be lost on a plateau but for what wakes."""
STEP = 1.05
"""Ratio of the times that are looked at."""
FIRST = 1e-3
"""Of them, over the time in which the fastest neuron turns."""
ACCURATE = 1e-6
"""Relative accuracy of times."""


def plateaus(flow: Record) -> np.ndarray:
    """See `gflow.Flow.plateaus`."""
    field, end = flow.field, flow.t_end
    turn = float(np.abs(field.first_pulls) @ np.sqrt((flow.data.X**2).sum(axis=1))) / flow.data.n

    def loss(t: float) -> float:
        a, W = weights_at(flow, t)
        return float(field.value(field.outputs(a, W)))

    passed, t = [], 0.0
    while t < end:
        later = min(max(STEP * t, FIRST / turn if turn > 0 else end), end)
        now = loss(t)
        found = None
        if now > 0 and now - loss(later) <= FLAT * now:
            stand = Standstill(state_at(flow, t), field)
            if stand.rests(FLAT) and stand.decided:
                found = waking(stand)
        # A group that is awake already leaves no plateau: it has left one.
        if found is not None and found.neuron.size and found.time.min() > 0:
            first = int(np.argmin(found.time))
            group = found.neuron[found.group == found.group[first]]
            left = _when(flow, group, found.mass[first], t)
            passed.append((t, now, found.neuron[first], found.rate[first],
                           t + found.time[first], left))
            later = max(later, left)
        t = later
    return np.array(passed, dtype=PLATEAU)


def _when(flow: Record, group: np.ndarray, mass: float, t: float) -> float:
    """When a group of neurons reaches a mass; infinite if that is not on the run."""
    def heavy(s: float) -> bool:
        a, W = weights_at(flow, s)
        return float(np.abs(a[group]) @ row_norms(W[group])) >= mass

    while t < flow.t_end:
        later = min(STEP * t + (t == 0) * flow.t_end / 2**40, flow.t_end)
        if heavy(later):
            return bisect(heavy, t, later, ACCURATE)
        t = later
    return np.inf


def weights_at(flow: Record, t: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights (m,) and (m, d) at a time."""
    y, m = flow.path(np.array([t]))[0], flow.path.m
    return y[:m], y[m:].reshape(m, -1)


def state_at(flow: Record, t: float) -> TwoLayerReLU:
    """The network at a time, with weights below the range of double precision too."""
    neurons, power = flow.path.scaled(np.array([t]))
    return TwoLayerReLU(neurons[0, :, 0], neurons[0, :, 1:], power[0] * np.log(2.0))
