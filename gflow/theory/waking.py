r"""When small neurons at a rest will be awake.

Under pulls at rest a neuron follows its early flow, and its size is known at any time. Pulls that
are still on their way there add to that. If they relax more slowly than the neuron grows, that is
not little: a neuron near a saddle of the potential waits there for as long as they keep it. So the
way to rest is cut into pieces with the mean of the pulls on each, and neurons follow one early flow
after the other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..problem.alike import distinct
from ..problem.network import TwoLayer, TwoLayerReLU
from ..problem.norms import row_norms
from .early import EarlyFlow
from .nearly import balanced, on_surfaces
from .standstill import Standstill

WAKES = 0.01
"""A neuron is awake when what it takes off the loss is this part of it."""
PART = 0.1
"""Or this part of all that it can take alone."""
SMALL = 1e-3
"""What pulls on their way to rest add to the log of a size is nothing below this part of it."""
PIECES, LONGER = 24, 4.0
"""Of the way to rest, and how far these go at most, over the time of waking at rest."""


class Waking(NamedTuple):
    """When neurons wake, see `waking`.

    Attributes
    ----------
    neuron : ndarray of int, shape (k,)
        Those that grow.
    time : ndarray, shape (k,)
        From now.
    group : ndarray of int, shape (k,)
        Those that wake together.
    mass : ndarray, shape (k,)
        ``sum |a_i| |w_i|`` of the group at that time.
    sign, rate : ndarray, shape (k,)
        Of the output weight, and of growth, in the end.
    direction : ndarray, shape (k, d)
        Unit vectors, in the end.
    """

    neuron: np.ndarray
    time: np.ndarray
    group: np.ndarray
    mass: np.ndarray
    sign: np.ndarray
    rate: np.ndarray
    direction: np.ndarray


class _Way(NamedTuple):
    """Logs of ``|a| |w|`` of some neurons at times, and their early flow from the last."""

    neurons: np.ndarray
    times: np.ndarray
    logs: np.ndarray
    early: EarlyFlow


def waking(stand: Standstill, share: float = WAKES, relaxing: bool = True) -> Waking:
    r"""When the neurons that grow will be awake, each with those that end in its cell.

    Awake is a group that has taken ``share`` off the loss, or `PART` of all that it can take:
    a group of the mass ``M = sum |a| |w|`` takes about ``M |D| - kappa M^2 / 2`` off it, and
    grows at the rate ``2 (|D| - kappa M)``, see `Standstill.slowing`.

    Parameters
    ----------
    stand : Standstill
        At a rest.
    share : float
        Part of the loss.
    relaxing : bool
        Whether pulls count as they are until they rest; if not, as they will be.

    Examples
    --------
    >>> from ..problem.data import Data
    >>> from ..problem.field import Field
    >>> model = TwoLayerReLU([1.0, 1e-6], [[1.0, 0.0], [0.0, 1e-6]])
    >>> found = waking(Standstill(model, Field(Data([[1.0, 0.0], [-1.0, 1.0]], [1.0, 2.0]))))
    >>> found.time.round(3), found.rate.round(3)
    (array([8.132]), array([1.414]))
    """
    early, time, grown = stand.early, np.inf, 0.0
    way = None if early is None else _Way(stand.mobile, np.empty(0),
                                          np.empty((0, early.model.m)), early)
    found = _of(stand, way, share)
    if found.neuron.size:
        first = int(np.argmin(found.time))
        time, grown = float(found.time[first]), float(found.rate[first] * found.time[first])
    # Without a neuron that grows at rest, one may be led there on the way.
    relaxing = relaxing and stand.rates.size > 0 and stand.turning.size > 0
    if not relaxing or stand.off(time) <= SMALL * max(grown, 1.0):
        return found
    return _of(stand, _relaxing(stand, LONGER * time), share)


def _relaxing(stand: Standstill, until: float) -> _Way:
    """Follow small neurons while the pulls relax, for some time at most."""
    small = stand.part(stand.turning)
    rates = stand.rates[stand.amounts >= SMALL * stand.amounts.max()]
    until = min(until, -np.log(SMALL) / float(rates.min()))
    first = min(0.1 / float(rates.max()), 0.1 * until)
    times = np.concatenate([[0.0], np.geomspace(first, until, PIECES)])
    logs = [_logs(small)]
    for begin, end in zip(times, times[1:]):
        now = stand.follow(small, stand.pulls_between(begin, end))(end - begin)
        W = on_surfaces(stand.field.data, now.W)
        small = TwoLayerReLU(now.a, balanced(now.a, W), now.log_scale)
        logs.append(_logs(small))
    return _Way(stand.turning, times, np.array(logs), stand.follow(small, stand.pulls))


def _logs(small: TwoLayer) -> np.ndarray:
    """Logs of ``|a| |w|``."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.abs(small.a) * row_norms(small.W)) + 2 * small.log_scale)


def _of(stand: Standstill, way: _Way | None, share: float) -> Waking:
    """See `waking`."""
    none = np.empty(0)
    if way is None or not (own := stand.grow(way.early)).size:
        return Waking(none.astype(np.int64), none, none.astype(np.int64), none, none, none,
                      np.empty((0, stand.field.data.d)))
    early = way.early
    _, of = distinct(np.column_stack([early.side[own], early.sign[own].astype(np.int8)]))
    time, mass = np.empty(own.size), np.empty(own.size)
    for g in range(of.max() + 1):
        group = own[of == g]
        rate = float(early.rate[group[0]])
        kappa = max(stand.slowing(early.end_direction[group[0]], rate), np.finfo(float).tiny)
        # Of most, rate^2 / (2 kappa).
        M = max(min(share * stand.loss / rate, PART * rate / (2 * kappa)), np.finfo(float).tiny)
        mass[of == g] = M
        time[of == g] = _when(way, group, rate, float(np.log(M) - np.log1p(-kappa * M / rate)))
    return Waking(way.neurons[own], time, of, mass, early.sign[own], early.rate[own],
                  early.end_direction[own])


def _when(way: _Way, group: np.ndarray, rate: float, log: float) -> float:
    """When a group would have a mass of this log if it did not slow down."""
    before = np.logaddexp.reduce(way.logs[:, group], axis=1)
    over = np.flatnonzero(before >= log)
    if over.size and over[0] > 0:
        k = over[0]
        part = (log - before[k - 1]) / (before[k] - before[k - 1])
        return float(way.times[k - 1] + part * (way.times[k] - way.times[k - 1]))
    if over.size:
        return 0.0
    now = float(np.logaddexp.reduce(2 * way.early.offset[group]))
    last = float(way.times[-1]) if way.times.size else 0.0
    return last + max((log - now) / (2 * rate), 0.0)
