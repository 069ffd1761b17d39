"""T9: the early flow of vanishing initial scale, neuron by neuron, as long as none slides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...problem.data import Data, as_data
from ...datasets import linear_teacher
from ...init import balanced
from ...problem.network import TwoLayerReLU
from ...problem.inputs import DataLike, ModelLike, model_and_data, relu_only
from ...problem.norms import row_norms
from ...problem.quiet import quiet
from .axis import stretch
from .solution import ExactFlow, State, event_table


AT_REST = 1e-11
"""A neuron whose ``w`` comes down to this part of its size has reached w = 0 and stays there."""


class Leg(NamedTuple):
    """A straight piece of the path of one neuron, along ``e``, under a field of size ``delta``."""

    t: float
    a: float
    w: np.ndarray
    e: np.ndarray
    delta: float


@quiet
def early_polygon(model: ModelLike | None = None, data: DataLike | None = None) -> ExactFlow:
    """T9: outputs are negligible, residuals stay the labels, and hidden weights move on polygons.

    In each cell of the arrangement ``w`` moves on a straight line parallel to its constant field
    ``D = (1/n) sum_on y_k x_k``, by the boost of angle ``|D| t``; the crossing times are logarithms
    of roots of quadratics. The flow of a start of scale lambda differs by O(lambda^2) at fixed
    times.

    Parameters
    ----------
    model : TwoLayerReLU or (a, W), optional
        Start with ``|a_i| >= |w_i|`` and ``w_i.x_k != 0`` everywhere. Default: a balanced one of
        three neurons and scale 1e-20.
    data : Data or (X, y), optional
        Default: 12 points in three dimensions labelled by a linear teacher.

    Returns
    -------
    ExactFlow
        With ``until`` the first time that a neuron arrives where it would slide; its residuals are
        the labels.

    Raises
    ------
    TypeError, ValueError
        On bad input.

    References
    ----------
    Derived here; Boursier and Flammarion, "Early alignment in two-layer networks training is a
    two-edged sword", JMLR 2025, and Maennel, Bousquet and Gelly, "Gradient descent quantizes ReLU
    network features", 2018, for the flow of directions.

    Examples
    --------
    >>> case = early_polygon()
    >>> len(case.events), bool(case.model.norms.max() < 1e-19)
    (23, True)
    """
    data = linear_teacher(12, 3, rng=0) if data is None else data
    model, data = model_and_data(balanced(3, as_data(data).d, 1e-20, rng=3) if model is None
                                 else model, data)
    relu_only(model, "the polygon")
    assert isinstance(model, TwoLayerReLU)
    if (np.abs(model.a) < (1 - 1e-12) * row_norms(model.W)).any() or model.log_scale.any():
        raise ValueError("a neuron has |a| < |w|, or a log_scale: give a dominated or balanced "
                         "start in plain numbers")
    live = data.arrangement.label >= 0
    if (model.W @ data.X[live].T == 0).any():
        raise ValueError("a neuron starts on a hyperplane: move it off")
    paths: list[list[Leg]] = []
    records: list[tuple[float, int, int, str, int]] = []
    until = np.inf
    for i in range(model.m):
        legs, crossed, end = chain(float(model.a[i]), model.W[i], data)
        paths.append(legs)
        records += [(t, i, k, kind, to) for t, k, kind, to in crossed]
        until = min(until, end)
    records = [record for record in records if record[0] <= until]

    def state(t: np.ndarray) -> State:
        a, W = np.empty((t.size, model.m)), np.empty((t.size, model.m, model.d))
        for i, legs in enumerate(paths):
            which = np.searchsorted([leg.t for leg in legs], t, side="right") - 1
            for j in np.unique(which):
                here = which == j
                a[here, i], W[here, i] = boosted(legs[j], t[here] - legs[j].t)
        return a, W, np.tile(data.y, (t.size, 1))

    fastest = max(leg.delta for legs in paths for leg in legs)
    turned = max((record[0] for record in records), default=0.0)
    horizon = min(until, turned + 3 / fastest if fastest > 0 else 1.0)
    return ExactFlow(model, data, event_table(records), until, horizon, state)


def boosted(leg: Leg, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights a (T,) and w (T, d) at times ``t`` (T,) after the start of a leg."""
    q = float(leg.w @ leg.e)
    grown = (leg.a + q) * np.exp(leg.delta * t) / 2
    shrunk = (leg.a - q) * np.exp(-leg.delta * t) / 2
    # In this order nothing cancels when w shrinks along e.
    return grown + shrunk, (leg.w - q * leg.e) + np.outer(grown - shrunk, leg.e)


def chain(a: float, w: np.ndarray, data: Data
          ) -> tuple[list[Leg], list[tuple[float, int, str, int]], float]:
    """Legs of one neuron, changes (time, point, kind, to), and when it would slide."""
    A = data.arrangement
    s = np.sign(a)
    side = np.where(A.normal @ w > 0, 1, -1)
    legs: list[Leg] = []
    changes: list[tuple[float, int, str, int]] = []
    t, last = 0.0, -1
    while True:
        D, z = field(side, data), A.normal @ w
        delta = float(row_norms(D))
        e = D / delta if delta > 0 else D
        legs.append(Leg(t, a, w, e, delta))
        # The boost grows along s D; p.s is what w.e, seen in the mirror if s < 0, is to reach.
        speed = s * (A.normal @ D)
        toward = (speed * side < 0) & (np.arange(len(z)) != last)
        if delta == 0 or not toward.any():
            return legs, changes, np.inf
        far = np.where(toward, -z / np.where(toward, speed, 1.0), np.inf)
        h = int(np.argmin(far))
        size, w_hit = float(row_norms(w)), w + s * far[h] * D
        ends = float(row_norms(w_hit)) <= AT_REST * size
        if ends and abs(a) <= (1 + AT_REST) * size:
            # Balanced and opposite to its field, it shrinks for ever.
            return legs, changes, np.inf
        q = s * float(w @ e)
        t += float(np.log(stretch(abs(a), q, q + far[h] * delta))) / delta
        a = float(boosted(legs[-1], np.array([t - legs[-1].t]))[0][0])
        if ends:
            legs.append(Leg(t, a, np.zeros_like(w), np.zeros_like(w), 0.0))
            on = (A.label >= 0) & (side[A.label] * A.length > 0)
            changes += [(t, int(k), "deactivate", 0) for k in np.flatnonzero(on)]
            return legs, changes, np.inf
        w = w_hit - (w_hit @ A.normal[h]) * A.normal[h]
        side[h] = -side[h]
        last = h
        if s * (A.normal[h] @ field(side, data)) * side[h] <= 0:
            return legs, changes, t
        for k in A.member[A.start[h]:A.start[h + 1]]:
            on = int(side[h] * A.length[k] > 0)
            changes.append((t, int(k), "activate" if on else "deactivate", on))


def field(side: np.ndarray, data: Data) -> np.ndarray:
    """``D = (1/n) sum y_k x_k`` over the points that are on, from sides of hyperplanes."""
    A = data.arrangement
    on = (A.label >= 0) & (np.append(side, 1)[A.label] * A.length > 0)
    return np.asarray((data.y * on) @ data.X / data.n)
