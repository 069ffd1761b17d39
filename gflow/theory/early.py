"""The early flow: what every neuron does as the scale of the start goes to 0."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np

from ..balance import Balance
from ..checks import real_array
from ..data import Data
from ..integration import _model_and_data, _threads
from ..kernels import polygon
from ..model import TwoLayerReLU, row_norms
from ..run import EVENT

BLOCK = 256
"""Neurons that share one table of events."""
LN2 = float(np.log(2.0))


def early_flow(model: TwoLayerReLU | tuple[Any, Any], data: Data | tuple[Any, Any], *,
               threads: int | None = None) -> EarlyFlow:
    r"""The exact flow of every neuron in the limit of a vanishing initial scale.

    As the scale goes to 0 the output of the network vanishes and residuals are the labels. Neurons
    then do not see each other: ``da/dt = w.D(w)``, ``dw/dt = a D(w)``, with ``D(w)`` the element of
    least norm of ``(1/n) sum_k eta_k y_k x_k``. In a cell of the arrangement ``D`` is constant: ``w``
    moves on a straight ray, and the time of the next crossing is the root of a quadratic. Hence no
    time stepping: every time is exact to rounding.

    Parameters
    ----------
    model : TwoLayerReLU or (a, W)
        Start; only its shape counts, not its scale. Any balance ``|a_i|`` to ``|w_i|`` will do.
    data : Data or (X, y)
        Inputs (n, d) and labels (n,), in general position or not: points on a line share a
        hyperplane, starts may lie on hyperplanes.
    threads : int, optional
        As many as there are processors if None. Results do not depend on it.

    Returns
    -------
    EarlyFlow

    Raises
    ------
    TypeError, ValueError
        On bad input, in one sentence.

    References
    ----------
    Boursier and Flammarion, "Early alignment in two-layer networks training is a two-edged sword",
    JMLR 2025, Theorem 1: for a small scale every neuron ends so, near an extremal vector or dead
    (proved there). Chistikov, Englert and Lazic, "Learning a neuron by a shallow ReLU network",
    2023, Lemma 3: the crossings of a small start are those of this flow (proved there). Crossing
    times in closed form, and sliding by a box-constrained least squares problem: derived here.

    Examples
    --------
    Three points on which all living neurons align with one direction:

    >>> import gflow
    >>> data = gflow.datasets.three_points()
    >>> early = gflow.theory.early_flow(gflow.init.balanced(8, 2, scale=1.0), data)
    >>> early.dead
    array([ True, False,  True, False, False,  True,  True,  True])
    >>> early.end_direction[1].round(3)
    array([-0.361,  0.932])
    >>> early.crossing_times(1).size
    0
    """
    return EarlyFlow(*_model_and_data(model, data), _threads(threads))


class EarlyFlow:
    """Neurons on their polygons, from `early_flow`.

    Attributes
    ----------
    model, data : TwoLayerReLU, Data
        What it was made of.
    D : ndarray, shape (m, d)
        Field at the end: the extremal vector of the end cell; zero for a dead neuron.
    pattern : ndarray of int8, shape (m, n)
        End cell: 1 on, -1 off, 0 on the hyperplane (it slides, or the point is zero).
    end_direction : ndarray, shape (m, d)
        Limit of ``w_i / |w_i|``, NaN for a dead neuron. It is ``sign_i D_i / |D_i|``; or, with
        sliding on ``d - 1`` hyperplanes only, minus that: such a neuron shrinks for ever.
    sign : ndarray, shape (m,)
        Sign of ``a_i`` at the end. It is that of the start if ``|a_i| >= |w_i|`` there.
    dead : ndarray of bool, shape (m,)
        Whether the neuron stands still at the end: no field is left, or it has reached
        ``w_i = 0``.
    settled : ndarray of bool, shape (m,)
        Whether the end was reached. False only if rounding made events repeat.
    arrival : ndarray, shape (m,)
        Time of the last event: from then on the neuron is in its end cell.
    rate, offset : ndarray, shape (m,)
        ``log |w_i(t)|`` tends to ``rate_i t + offset_i``.
    crossings : ndarray of int, shape (m,)
        Number of events; hyperplanes, not points.
    ambiguous : int
        Instants at which the solution was not unique; the branch with the fewest active points was
        taken.
    events : structured ndarray
        As `gflow.Flow.events`, in time order.

    Examples
    --------
    >>> early = early_flow(([0.1, -0.1], [[0.1, 0.0], [0.0, 0.1]]), ([[1.0, 0.0]], [2.0]))
    >>> early.D, early.sign
    (array([[2., 0.],
           [0., 0.]]), array([ 1., -1.]))
    >>> early.log_norms([0.0, 1.0])[:, 0] - np.log(0.1)
    array([0., 2.])
    """

    def __init__(self, model: TwoLayerReLU, data: Data, threads: int) -> None:
        self.model, self.data = model, data
        m, d, A = model.m, data.d, data.arrangement
        self._threads = threads
        self._planes = _planes(data)
        size = np.maximum(np.abs(model.a), np.abs(model.W).max(axis=1))
        power = np.frexp(size)[1].astype(np.int64)
        self._start = np.ldexp(np.column_stack([model.a, model.W]), -power[:, None])
        balance = Balance(self._start[:, 0], self._start[:, 1:])
        self._kind, self._offset = balance.sign, balance.offset
        self._power = power
        self._first = np.empty((m, len(A.normal)), dtype=np.int8)
        self._side = np.empty_like(self._first)
        self.D = np.empty((m, d))
        tail = np.empty((m, 5))
        self._status, self.crossings, choices, self._log = self._run(np.empty(0), tail, True)
        self.ambiguous = int(choices.sum())
        self.settled = self._status != polygon.STUCK
        self.dead = self._status == polygon.STANDS
        self.sign = np.where(self.dead & (tail[:, 0] == 0), np.sign(model.a), tail[:, 0])
        self.rate, self.arrival = tail[:, 1], tail[:, 3]
        with np.errstate(divide="ignore"):
            self.offset = tail[:, 2] + power * LN2 + model.log_scale
        norms = row_norms(self.D)
        unit = self.D / np.where(norms > 0, norms, np.nan)[:, None]
        self.end_direction = unit * (self.sign * tail[:, 4])[:, None]
        across = ~self.dead & (tail[:, 4] == 0) & self.settled
        if across.any():
            self.end_direction[across] = self.directions(1e3 / norms[across].min())[across]

    @property
    def pattern(self) -> np.ndarray:
        """End cell, shape (m, n)."""
        return self._ternary(self._side).astype(np.int8)

    @property
    def initial_pattern(self) -> np.ndarray:
        """Cell of the start just after time 0, shape (m, n)."""
        return self._ternary(self._first).astype(np.int8)

    def __call__(self, t: float) -> TwoLayerReLU:
        """The network at time ``t``, its size in ``log_scale``."""
        if np.ndim(t) != 0:
            raise ValueError("an early flow is called with one time: call it once for each")
        neurons, log = self._at(t)
        return TwoLayerReLU(neurons[0, :, 0], neurons[0, :, 1:], log[0])

    def directions(self, t: Any) -> np.ndarray:
        """Unit vectors ``w_i / |w_i|`` at times (T,); zero at ``w_i = 0``. Shape (T, m, d).

        For one time the shape is (m, d).
        """
        neurons, _ = self._at(t)
        W = neurons[:, :, 1:]
        norms = row_norms(W)[..., None]
        unit = np.divide(W, norms, out=np.zeros_like(W), where=norms > 0)
        return unit if np.ndim(t) else unit[0]

    def log_norms(self, t: Any) -> np.ndarray:
        """``log |w_i|`` at times (T,), with the scale of the start. Shape (T, m), or (m,)."""
        neurons, log = self._at(t)
        with np.errstate(divide="ignore"):
            value = np.log(row_norms(neurons[:, :, 1:])) + log
        return value if np.ndim(t) else value[0]

    def log_outputs(self, t: Any) -> np.ndarray:
        """``log |a_i|`` at times (T,), with the scale of the start. Shape (T, m), or (m,)."""
        neurons, log = self._at(t)
        with np.errstate(divide="ignore"):
            value = np.log(np.abs(neurons[:, :, 0])) + log
        return value if np.ndim(t) else value[0]

    def crossing_times(self, neuron: int) -> np.ndarray:
        """Times at which a neuron changes its cell, increasing."""
        if not 0 <= neuron < self.model.m:
            raise ValueError(f"neuron = {neuron}: there are neurons 0 to {self.model.m - 1}")
        begin = int(self.crossings[:neuron].sum())
        return self._log[0][begin:begin + int(self.crossings[neuron])].copy()

    @cached_property
    def events(self) -> np.ndarray:
        """Changes of the pattern as a structured array, like `gflow.Flow.events`."""
        A = self.data.arrangement
        time, plane, code = self._log
        neuron = np.repeat(np.arange(self.model.m), self.crossings)
        rest = plane == polygon.AT_REST_EVENT
        # A neuron at rest leaves every hyperplane at which it was.
        begin = np.where(rest, 0, A.start[plane])
        count = np.where(rest, A.member.size, A.start[plane + 1] - begin)
        row = np.repeat(np.arange(time.size), count)
        inside = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)
        point = A.member[begin[row] + inside]
        last = self._side[neuron[row], A.label[point]]
        old = np.where(rest[row], last, code[row] // 3 - 1)
        new = np.where(rest[row], -2, code[row] % 3 - 1)
        before = np.where(old == 0, 2, old * A.length[point] > 0)
        after = np.where(new == -2, 0, np.where(new == 0, 2, new * A.length[point] > 0))
        keep = np.flatnonzero(before != after)
        keep = keep[np.argsort(time[row[keep]], kind="stable")]
        table = np.empty(keep.size, dtype=EVENT)
        table["time"], table["neuron"] = time[row[keep]], neuron[row[keep]]
        table["point"], table["to"] = point[keep], after[keep]
        table["kind"] = np.select(
            [after[keep] == 2, before[keep] == 2, after[keep] == 1],
            ["slide", "release", "activate"], "deactivate")
        return table

    def __repr__(self) -> str:
        alive = ~self.dead
        ends = np.unique(np.sign(self.pattern[alive]), axis=0).shape[0] if alive.any() else 0
        return (f"EarlyFlow(m={self.model.m}, n={self.data.n}, d={self.data.d}: "
                f"{alive.sum()} alive in {ends} cells, {self.dead.sum()} dead, "
                f"{self.crossings.sum()} crossings)")

    def _ternary(self, side: np.ndarray) -> np.ndarray:
        """Sides of hyperplanes as states of points: 1, -1, 0."""
        A = self.data.arrangement
        live = A.label >= 0
        codes = np.zeros((self.model.m, self.data.n))
        codes[:, live] = side[:, A.label[live]] * np.sign(A.length[live])
        return codes

    def _at(self, t: Any) -> tuple[np.ndarray, np.ndarray]:
        """Neurons (T, m, d + 1) and the logarithms (T, m) of their units."""
        times = real_array(np.atleast_1d(t), "t", 1)
        if times.size and times.min() < 0:
            raise ValueError(f"t = {times.min():g} is negative: the early flow starts at 0")
        order = np.argsort(times, kind="stable")
        _, _, _, (states, logs) = self._run(times[order], np.empty((self.model.m, 5)), False)
        neurons, log = np.empty_like(states), np.empty_like(logs)
        neurons[order], log[order] = states, logs
        return neurons, log + self.model.log_scale

    def _run(self, times: np.ndarray, tail: np.ndarray, record: bool) -> Any:
        """Follow all neurons; with ``record`` their ends and events, or their states."""
        m, d, C = self.model.m, self.data.d, len(self.data.arrangement.normal)
        status, events, choices = np.empty((3, m), dtype=np.int64)
        blocks = [slice(i, min(i + BLOCK, m)) for i in range(0, m, BLOCK)]

        def work(part: slice) -> Any:
            rows = part.stop - part.start
            room = 2 * C + 64 if record else 0
            left = np.arange(rows)
            found: list[Any] = [None] * rows
            states, logs = np.empty((rows, times.size, d + 1)), np.empty((rows, times.size))
            while left.size:
                here = left + part.start
                time = np.empty((left.size, room))
                plane = np.empty((left.size, room), dtype=np.int32)
                code = np.empty((left.size, room), dtype=np.int8)
                polygon.follow_all(
                    here, left, self._start, self._power, self._kind, self._offset, self._side,
                    self._planes, times, states, logs, self._first, time, plane, code, self.D, tail,
                    status, events, choices)
                again = status[here] == polygon.FULL
                for j in np.flatnonzero(~again):
                    kept = events[here[j]] if record else 0
                    found[left[j]] = (time[j, :kept].copy(), plane[j, :kept].copy(),
                                      code[j, :kept].copy())
                left, room = left[again], 4 * room
            return found, states, logs

        if self._threads > 1 and len(blocks) > 1:
            with ThreadPoolExecutor(self._threads) as pool:
                parts = list(pool.map(work, blocks))
        else:
            parts = [work(part) for part in blocks]
        if record:
            rows = [row for found, _, _ in parts for row in found]
            return status, events, choices, [np.concatenate(column) for column in zip(*rows)]
        states = np.concatenate([part[1] for part in parts]).transpose(1, 0, 2)
        logs = np.concatenate([part[2] for part in parts]).T
        return status, events, choices, (states, logs)


def _planes(data: Data) -> polygon.Planes:
    """The hyperplanes of the data, with the field along their normals on either side."""
    A = data.arrangement
    C = len(A.normal)
    live = A.label >= 0
    label, length = A.label[live], A.length[live]
    pull = data.y[live] * length / data.n
    up = length > 0

    def add(where: np.ndarray, what: np.ndarray) -> np.ndarray:
        return np.bincount(label[where], what[where], minlength=C)

    one = np.ones(label.size)
    return polygon.Planes(
        A.normal, np.ascontiguousarray(A.normal.T), add(~up, one).astype(np.int64),
        add(up, one).astype(np.int64), add(up, pull)[:, None], add(~up, pull)[:, None],
        float(np.abs(pull).sum()))
