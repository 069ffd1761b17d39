"""What pairs of neurons conserve while they share a pattern: a check on runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..problem.checks import whole
from ..problem.norms import row_norms
from ..engines.record import Record
from ..problem.quiet import quiet
from ..problem.value import Value
from ..problem.words import kind_of


BATCH = 2_000_000
"""So many numbers are evaluated at once."""


@dataclass(frozen=True, eq=False)
class LocalLorentz(Value):
    """Drift of ``a_i a_j - w_i.w_j`` of pairs of neurons, on intervals with a common pattern.

    Attributes
    ----------
    pairs : ndarray of int, shape (P, 2)
        Neurons.
    intervals : ndarray, shape (P, 2)
        Start and end of each interval.
    drift : ndarray, shape (P,)
        Largest change from the start of the interval to its middle and end, relative to the product
        of the norms of the neurons ``(a, w)`` there; of runs with one fixed layer to the mean of
        both products of the norm of one neuron and that of the fixed weights of the other, these
        taken as ``rtol`` of their neuron at least.
    complete : bool
        Whether these are all pairs and intervals there are.
    """

    pairs: np.ndarray
    intervals: np.ndarray
    drift: np.ndarray
    complete: bool

    @property
    def largest(self) -> float:
        """The largest drift; 0 if no two neurons ever shared a pattern."""
        return float(self.drift.max(initial=0.0))

    @property
    def worst(self) -> int:
        """Index of the largest drift; -1 if there is no pair."""
        return int(np.argmax(self.drift)) if self.drift.size else -1

    def __repr__(self) -> str:
        where = ""
        if self.drift.size:
            (i, j), (t0, t1) = self.pairs[self.worst], self.intervals[self.worst]
            where = f" (neurons {i} and {j}, t = {t0:.6g} to {t1:.6g})"
        return (f"LocalLorentz: {self.drift.size} intervals of pairs"
                f"{'' if self.complete else ', a sample'}, largest drift {self.largest:.2e}{where}")


@quiet
def local_lorentz(flow: Record, *, most: int = 1000) -> LocalLorentz:
    r"""Check that neurons with one activation pattern are transformed alike.

    While neurons i and j share their pattern, sliding included, both follow the same linear
    equation :math:`(a, w)' = (w \cdot D, a D)`, whose propagator is a Lorentz transformation:
    :math:`a_i a_j - w_i \cdot w_j` is conserved (with speeds of layers and a decay of all
    weights alike what `gflow.problem.setting` says; with decays that differ nothing). The
    certificate looks at a sample of pairs; i = j is its balancedness. Neurons that are off
    everywhere do not move, unless they are leaky, and are left out.

    Parameters
    ----------
    flow : Flow
        A run.
    most : int
        Look at no more than so many intervals of pairs: of neurons that come to share a pattern
        one after the other first.

    Returns
    -------
    LocalLorentz

    Raises
    ------
    TypeError, ValueError
        If ``flow`` is no run, or kept no weights, or ``most`` is not a positive whole number.

    References
    ----------
    Derived here; for i = j, Boursier and Flammarion, "Early alignment in two-layer networks
    training is a two-edged sword", JMLR 2025, Lemma 1.

    Examples
    --------
    >>> import gflow
    >>> data = gflow.datasets.three_points()
    >>> flow = gflow.integrate(gflow.init.balanced(10, 2, 1e-2), data, 30.0)
    >>> check = local_lorentz(flow)
    >>> check.complete, bool(check.largest < 1e-6)
    (True, True)
    """
    if not isinstance(flow, Record):
        raise TypeError(f"flow is {kind_of(flow)}: give a run, from gflow.integrate")
    flow._whole("what the invariants of pairs need")
    first, second, start, end, complete = _meetings(_segments(flow), whole(most, "most"))
    times, where = np.unique(np.concatenate([start, (start + end) / 2, end]), return_inverse=True)
    where = where.reshape(3, -1)
    m, d = flow.path.m, flow.path.d
    U = np.empty((3, 2, start.size, d + 1))
    step = max(1, BATCH // (m * (d + 1)))
    for at in range(0, times.size, step):
        states = flow.path(times[at:at + step])
        a, W = states[:, :m], states[:, m:].reshape(-1, m, d)
        for moment in range(3):
            here = np.flatnonzero((where[moment] >= at) & (where[moment] < at + step))
            for side, neuron in enumerate((first[here], second[here])):
                U[moment, side, here, 0] = a[where[moment, here] - at, neuron]
                U[moment, side, here, 1:] = W[where[moment, here] - at, neuron]
    setting = flow.setting
    one, other = setting.rates
    if one and other and not setting.two_times:
        # With these lengths products are those of the plain flow.
        U *= np.sqrt(np.append(other, np.full(d, one)))
    # In units of the largest norm of each neuron, so that products of tiny weights do not vanish.
    size = row_norms(U).max(axis=0)
    U /= np.where(size > 0, size, 1.0)[None, :, :, None]
    part = np.ones_like(size)
    if setting.moves != (True, True):
        # What is conserved is of the fixed weights alone, but they err as their neuron does.
        U *= np.append(float(other > 0), np.full(d, float(one > 0)))
        part = np.maximum(row_norms(U).max(axis=0), float(flow.settings["rtol"]))
    products = U[:, 0] * U[:, 1]
    invariant = products[..., 0] - products[..., 1:].sum(axis=-1)
    since = np.outer([0.5, 1.0], end - start)
    expected = np.exp(-2 * (setting.uniform or 0.0) * since) * invariant[0]
    drift = np.abs(invariant[1:] - expected).max(axis=0) if start.size else np.empty(0)
    drift /= part.mean(axis=0)
    if setting.uniform is None or setting.two_times:
        drift = np.zeros_like(drift)
    return LocalLorentz(np.column_stack([first, second]), np.column_stack([start, end]), drift,
                        complete)


class Segments(NamedTuple):
    """Intervals of constant pattern, a row each: neuron, a number for the pattern, start, end."""

    neuron: np.ndarray
    key: np.ndarray
    start: np.ndarray
    end: np.ndarray


def _segments(flow: Record) -> Segments:
    """Intervals of constant pattern of all neurons that may move."""
    events = flow.events[np.lexsort((flow.events["time"], flow.events["neuron"]))]
    neuron, point, now = events["neuron"], events["point"], events["to"].astype(np.int64)
    m, n = flow.initial_pattern.shape
    # The code before an event is that after the last one of the same pair.
    pair = neuron * n + point
    order = np.argsort(pair, kind="stable")
    before = np.empty_like(now)
    before[order[1:]] = now[order[:-1]]
    fresh = np.append(True, np.diff(pair[order]) != 0)[:pair.size]
    before[order[fresh]] = flow.initial_pattern[neuron[order[fresh]], point[order[fresh]]]
    marks = np.random.default_rng(0).integers(-2**62, 2**62, size=(n,))
    key = flow.initial_pattern.astype(np.int64) @ marks
    # All starts come first of their neuron; keys are running sums of the changes.
    owner = np.concatenate([np.arange(m), neuron])
    order = np.argsort(owner, kind="stable")
    owner = owner[order]
    start = np.concatenate([np.zeros(m), events["time"]])[order]
    total = np.cumsum(np.concatenate([key, (now - before) * marks[point]])[order])
    head = np.searchsorted(owner, np.arange(m))
    total -= (total[head] - key)[owner]
    end = np.append(start[1:], 0.0)
    end[np.append(head[1:], owner.size) - 1] = flow.t_end
    activation = flow.field.activation
    # Off everywhere, leaky ones move alike, and smooth ones have no pattern.
    keep = (end > start) & ((total != 0) | (not activation.smooth and activation.slope != 0))
    return Segments(owner[keep], total[keep], start[keep], end[keep])


def _meetings(segments: Segments, most: int
              ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]:
    """Pairs with one pattern: neurons (P,) twice, starts, ends, and whether these are all."""
    neuron, key, start, end = segments
    order = np.lexsort((start, key))
    neuron, key, start, end = neuron[order], key[order], start[order], end[order]
    found: list[np.ndarray] = []
    count, stride = 0, 0
    i = np.arange(key.size)
    while True:
        stride += 1
        i = i[i + stride < key.size]
        # Later ones of this pattern start later: who misses this one misses them all.
        i = i[(key[i] == key[i + stride]) & (end[i] > start[i + stride])]
        if not i.size or count == most:
            break
        chosen = i
        if count + i.size > most:
            chosen = i[np.linspace(0, i.size - 1, most - count).astype(int)]
        count += chosen.size
        found.append(np.array([chosen, chosen + stride]))
        if chosen.size < i.size:
            break
    first, second = np.concatenate([np.empty((2, 0), dtype=np.intp), *found], axis=1)
    return (neuron[first], neuron[second], start[second],
            np.minimum(end[first], end[second]), not i.size)
