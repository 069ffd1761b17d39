"""The early flow: what every neuron does as the scale of the start goes to 0."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..problem.balance import Balance
from ..problem.checks import number_of, one_or_more
from ..problem.data import Data
from ..problem.inputs import DataLike, ModelLike, model_and_data, thread_count
from ..kernels import polygon
from ..problem.loss import LossLike
from ..problem.network import FARTHEST, TwoLayer, blank
from ..problem.norms import row_norms, unit_rows
from ..problem.span import Span
from ..problem.tables import Table, indices, vector
from ..problem.threads import in_threads
from ..engines.events import (CHANGE, OFF, ON, SLIDING, as_table, changed_points,
                              point_codes)
from .classes import at_output_zero
from .field import in_range, leaked
from ..problem.quiet import quiet
from ..problem.value import Value, lock

BLOCK = 256
"""Neurons that share one table of events."""


@quiet
def early_flow(model: ModelLike, data: DataLike, *, threads: int | None = None,
               loss: LossLike = "square") -> EarlyFlow:
    r"""The exact flow of every neuron in the limit of a vanishing initial scale.

    As the scale goes to 0 the output of the network vanishes and residuals are the labels. Neurons
    then do not see each other: ``da/dt = w.D(w)``, ``dw/dt = a D(w)``, with ``D(w)`` the element of
    least norm of ``(1/n) sum_k eta_k y_k x_k``. In a cell of the arrangement ``D`` is constant:
    ``w`` moves on a straight ray, and the time of the next crossing is the root of a quadratic.
    Hence no time stepping: every time is exact to rounding.

    Parameters
    ----------
    model : TwoLayerReLU or (a, W)
        Start; only its shape counts, not its scale. Any balance ``|a_i|`` to ``|w_i|`` will do.
    data : Data or (X, y)
        Inputs (n, d) and labels (n,), in general position or not: points on a line share a
        hyperplane, starts may lie on hyperplanes.
    threads : int, optional
        As many as there are processors if None. Results do not depend on it.
    loss : str or object
        As in `gflow.integrate`; pulls at output 0 take the place of labels
        (`gflow.theory.at_output_zero`).

    Returns
    -------
    EarlyFlow

    Raises
    ------
    TypeError, ValueError
        On bad input, in one sentence; also if labels times points leave the range of double
        precision.

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
    array([ True, False,  True, False,  True,  True,  True,  True])
    >>> early.end_direction[1].round(3)
    array([-0.361,  0.932])
    >>> early.crossing_times(1).round(4)
    array([1.2444, 1.9762])
    """
    model, data = model_and_data(model, data)
    through = ~model.W.any(axis=1) & (model.a != 0)
    if model.d == 1:
        through |= np.abs(model.a) > row_norms(model.W)
    if model.slope and through.any():
        raise ValueError(f"neuron {int(through.argmax())} is leaky and passes w = 0, or starts "
                         "there, which the early flow does not follow: use gflow.integrate")
    if not isinstance(loss, str) or loss != "square":
        data = at_output_zero(data, loss)
    return EarlyFlow(model, in_range(data), thread_count(threads))


class _Ends(NamedTuple):
    """What `polygon.follow_all` tells of all neurons; arrays as there."""

    counts: np.ndarray
    sides: np.ndarray
    vectors: np.ndarray
    tail: np.ndarray
    states: np.ndarray
    logs: np.ndarray


class EarlyFlow(Value):
    """Neurons on their polygons, from `early_flow`.

    Attributes
    ----------
    model, data : TwoLayerReLU, Data
        What it was made of.
    D : ndarray, shape (m, d)
        Field at the end: the extremal vector of the end cell; zero for a dead neuron.
    pattern : ndarray of int8, shape (m, n)
        End cell, as `gflow.Flow.pattern`: 0 off, 1 on, 2 sliding; 0 also where ``w_i`` or the
        point is 0. Directions may end on hyperplanes without sliding there, at points whose label
        is 0 or whose multiplier is 0 or 1; these keep the side that the neuron comes from.
    side : ndarray of int8, shape (m, C)
        The same as sides of the hyperplanes of ``data.arrangement``: -1, 0 (it slides) or 1.
    end_direction : ndarray, shape (m, d)
        Limit of ``w_i / |w_i|``, NaN for a dead neuron. It is ``sign_i D_i / |D_i|``; or, with
        sliding on ``d - 1`` hyperplanes only, minus that: such a neuron shrinks for ever. Neurons
        with ``|a_i| < |w_i|`` have a third end, which attracts a set of measure zero: ``a_i`` tends
        to 0 and ``w_i`` stands still (``rate_i`` is 0).
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

    def __init__(self, model: TwoLayer, data: Data, threads: int) -> None:
        # Its own: the user may go on with the arrays of his network.
        model = blank(model.activation, model.m, data).like(model.a, model.W, model.log_scale)
        self.model, self.data = model, data
        self._threads = threads
        size = np.maximum(np.abs(model.a), np.abs(model.W).max(axis=1))
        self._power = np.frexp(size)[1].astype(np.int64)
        self._start = np.ldexp(np.column_stack([model.a, model.W]), -self._power[:, None])
        self._span, seen = Span.of(data, self._start[:, 1:]), leaked(data, model.slope)
        if self._span is not None:
            seen = self._span.data(seen)
            self._start = np.column_stack([self._start[:, 0], self._span.V])
        self._planes = _planes(seen)
        self._balance = Balance(self._start[:, 0], self._start[:, 1:])
        ends, self._log = self._follow(np.empty(0))
        status, self.crossings, choices = ends.counts
        self.ambiguous = int(choices.sum())
        self.settled = status != polygon.STUCK
        self.dead = status == polygon.STANDS
        self._first, self.side = ends.sides
        self.D, self.end_direction = ends.vectors
        if self._span is not None:
            self.D = self._span.fields(self.D)
            self.end_direction = self._span.weights(self.end_direction)
        self.sign, self.rate, self.offset, self.arrival = ends.tail.T.copy()
        self.offset += model.log_scale
        self.lock()

    def lock(self) -> None:
        """Only what users see: kernels take other arrays for another type, and compile again."""
        lock([self.D, self.end_direction, self.sign, self.rate, self.offset, self.arrival,
              self.dead, self.settled, self.crossings, self.side, self._log, self.model])

    @property
    def pattern(self) -> np.ndarray:
        """End cell, shape (m, n): 0 off, 1 on, 2 sliding."""
        return self._codes(self.side, np.isneginf(self.offset))

    @property
    def initial_pattern(self) -> np.ndarray:
        """Cell of the start just after time 0, shape (m, n): 0 off, 1 on, 2 sliding."""
        return self._codes(self._first, row_norms(self.model.W) == 0)

    def __call__(self, t: float) -> TwoLayer:
        """The network at time ``t``, its size in ``log_scale``."""
        if np.ndim(t) != 0:
            raise ValueError("an early flow is called with one time: call it once for each")
        neurons, log = self._at(t)
        if np.abs(log).max() > FARTHEST:
            raise ValueError(f"t = {t:g} takes neurons beyond exp({FARTHEST:g}), which no network "
                             "holds: ask for directions(t), log_norms(t) and log_outputs(t)")
        return self.model.like(neurons[0, :, 0], neurons[0, :, 1:], log[0])

    def directions(self, t: ArrayLike) -> np.ndarray:
        """Unit vectors ``w_i / |w_i|`` at times (T,); zero at ``w_i = 0``. Shape (T, m, d).

        For one time the shape is (m, d).
        """
        neurons, _ = self._at(t)
        unit = unit_rows(neurons[:, :, 1:])
        return unit if np.ndim(t) else np.asarray(unit[0])

    def log_norms(self, t: ArrayLike) -> np.ndarray:
        """``log |w_i|`` at times (T,), with the scale of the start. Shape (T, m), or (m,)."""
        neurons, log = self._at(t)
        with np.errstate(divide="ignore"):
            value = np.log(row_norms(neurons[:, :, 1:])) + log
        return np.asarray(value if np.ndim(t) else value[0])

    def log_outputs(self, t: ArrayLike) -> np.ndarray:
        """``log |a_i|`` at times (T,), with the scale of the start. Shape (T, m), or (m,)."""
        neurons, log = self._at(t)
        with np.errstate(divide="ignore"):
            value = np.log(np.abs(neurons[:, :, 0])) + log
        return np.asarray(value if np.ndim(t) else value[0])

    def crossing_times(self, neuron: int) -> np.ndarray:
        """Times at which a neuron changes its cell, increasing."""
        neuron = number_of(neuron, "neuron", self.model.m)
        begin = int(self.crossings[:neuron].sum())
        return self._log[0][begin:begin + int(self.crossings[neuron])].copy()

    @cached_property
    def events(self) -> np.ndarray:
        """Changes of the pattern as a structured array, like `gflow.Flow.events`."""
        time, plane, code = self._log
        neuron = np.repeat(np.arange(self.model.m), self.crossings)
        # `polygon.AT_REST_EVENT` is -1, as `changed_points` takes it.
        row, point, before, after = changed_points(self.data.arrangement, neuron, plane,
                                                   code // 3 - 1, code % 3 - 1, self.side)
        changes = np.empty(row.size, dtype=CHANGE)
        for name, column in zip(CHANGE.names or (), (time[row], neuron[row], point, before,
                                                     after)):
            changes[name] = column
        return lock(as_table(changes[np.argsort(changes["time"], kind="stable")]))

    def _table(self) -> Table:
        alive = np.flatnonzero(~self.dead)
        ends = np.unique(self.pattern[alive], axis=0).shape[0] if alive.size else 0
        title = (f"EarlyFlow(m={self.model.m}, n={self.data.n}, d={self.data.d}: "
                 f"{alive.size} alive in {ends} cells, {self.dead.sum()} dead, "
                 f"{self.crossings.sum()} crossings)")
        # Neurons of one sign in one cell end at one extremal vector.
        keys = np.column_stack([self.pattern, self.sign.astype(np.int8)])[alive]
        _, first, which, count = np.unique(keys, axis=0, return_index=True, return_inverse=True,
                                           return_counts=True)
        rows = []
        for g in np.argsort(-count, kind="stable"):
            i, own = alive[first[g]], alive[which.ravel() == g]
            rows.append((str(int(count[g])), "+" if self.sign[i] > 0 else "-", vector(self.D[i]),
                         vector(self.end_direction[i]),
                         indices(np.flatnonzero(self.pattern[i] == ON)),
                         indices(np.flatnonzero(self.pattern[i] == SLIDING)),
                         f"{self.arrival[own].max():.4g}"))
        return Table(title, ("neurons", "sign", "D", "direction", "points on", "sliding",
                             "last arrival"), rows)

    def __repr__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()

    def _codes(self, side: np.ndarray, zero: np.ndarray) -> np.ndarray:
        """Sides of hyperplanes as codes of points; off where ``w_i`` is ``zero``."""
        codes = point_codes(self.data.arrangement, side)
        codes[zero] = OFF
        return codes

    def _at(self, t: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Neurons (T, m, d + 1) and the logarithms (T, m) of their units."""
        times = one_or_more(t, "t")
        if times.size and times.min() < 0:
            raise ValueError(f"t = {times.min():g} is negative: the early flow starts at 0")
        order = np.argsort(times, kind="stable")
        ends, _ = self._follow(times[order])
        neurons = np.empty((times.size, *self._start.shape))
        log = np.empty(neurons.shape[:2])
        neurons[order], log[order] = ends.states.transpose(1, 0, 2), ends.logs.T
        if self._span is not None:
            W = self._span.weights(neurons[:, :, 1:])
            neurons = np.concatenate([neurons[:, :, :1], W], axis=2)
        return neurons, log + self.model.log_scale

    def _follow(self, times: np.ndarray) -> tuple[_Ends, list[np.ndarray]]:
        """Follow all neurons: to their ends with all events; or to the given times (T,)."""
        (m, e), C = self._start.shape, len(self.data.arrangement.normal)
        ends = _Ends(np.empty((3, m), dtype=np.int64), np.empty((2, m, C), dtype=np.int8),
                     np.empty((2, m, e - 1)), np.empty((m, 4)), np.empty((m, times.size, e)),
                     np.empty((m, times.size)))
        status, events, _ = ends.counts
        blocks = [slice(i, min(i + BLOCK, m)) for i in range(0, m, BLOCK)]

        def work(part: slice) -> list[Any]:
            room = 0 if times.size else 2 * C + 64
            left = np.arange(part.start, part.stop)
            found: dict[int, Any] = {}
            while left.size:
                log = (np.empty((left.size, room)), np.empty((left.size, room), dtype=np.int32),
                       np.empty((left.size, room), dtype=np.int8))
                polygon.follow_all(left, self._start, self._power, self._balance.sign,
                                   self._balance.offset, self._planes, times, *log, *ends)
                full = status[left] == polygon.FULL
                for j in np.flatnonzero(~full):
                    kept = min(events[left[j]], room)
                    found[left[j]] = [column[j, :kept].copy() for column in log]
                left, room = left[full], 4 * room
            return [found[i] for i in sorted(found)]

        if self._threads > 1 and len(blocks) > 1:
            parts = list(in_threads(work, blocks, self._threads))
        else:
            parts = [work(part) for part in blocks]
        rows = [row for part in parts for row in part]
        return ends, [np.concatenate(column) for column in zip(*rows)]


def _planes(data: Data) -> polygon.Planes:
    """The hyperplanes of the data, with the field along their normals on either side."""
    A = data.arrangement
    C = len(A.normal)
    live = A.label >= 0
    label, length = A.label[live], A.length[live]
    pull = data.y[live] * length / data.n
    up = length > 0

    def add(where: np.ndarray, what: np.ndarray) -> np.ndarray:
        total = np.zeros(C)
        np.add.at(total, label[where], what[where])
        return total

    one = np.ones(label.size)
    return polygon.Planes(
        A.normal, np.ascontiguousarray(A.normal.T), add(~up, one).astype(np.int64),
        add(up, one).astype(np.int64), add(up, pull)[:, None], add(~up, pull)[:, None],
        float(np.abs(pull).sum()))
