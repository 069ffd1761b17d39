"""Whether events are what the weights say: at their times, a little before and a little after."""

from __future__ import annotations

import numpy as np

from ..engines.events import OFF, ON, SLIDING
from ..engines.record import Record
from .defect import Reference, Sight

STEP = 1e-3
"""Sides are looked at so long before and after an event, in units of the time in which the neuron
turns or grows, and at most `GAP` of the way to the next event of the pair."""
ARRIVAL = 0.3
"""Of that time for the arrival at a slide: one recorded late is there already."""
GAP = 0.3
CLEAR = 30.0
"""Of a neuron whose ``|w|`` is not so many widths it is not known which hyperplanes hold it."""
SURE = 5.0
"""A neuron that is pushed onto a hyperplane should have been so many widths of it away."""


class Contacts:
    """The records of a run by pair, and what contradicts them.

    Attributes
    ----------
    before : ndarray of int8, shape (E,)
        Code of the pair of every event before it.
    gap : ndarray, shape (E, 2)
        Time since the last event of the pair, or the start, and until the next, or the end.
    found : list of str
        Contradictions: the first of every kind as a sentence.
    count : int
        How many records are contradicted.
    off : float
        Largest ``|w.x| / (|(a, w)| |x|)`` at an event.
    looked : int
        At how many events.
    floor : ndarray, shape (m,)
        Neurons smaller than this are gone.
    """

    def __init__(self, flow: Record, reference: Reference) -> None:
        self.events, self.reference, self.width = flow.events, reference, reference.band
        self.end, self.floor = flow.t_end, np.zeros(flow.path.m)
        self.found: list[str] = []
        self.count, self.off, self.looked = 0, 0.0, 0
        events, n = flow.events, flow.data.n
        pair = events["neuron"] * n + events["point"]
        order = np.argsort(pair, kind="stable")
        now, time, owner = events["to"][order], events["time"][order], pair[order]
        fresh = np.append(True, owner[1:] != owner[:-1])[:owner.size]
        first = flow.initial_pattern.reshape(-1)[owner]
        self.before = np.empty(owner.size, dtype=np.int8)
        self.before[order] = np.where(fresh, first, np.roll(now, 1))
        self.gap = np.empty((owner.size, 2))
        self.gap[order, 0] = time - np.where(fresh, 0.0, np.roll(time, 1))
        last = np.append(fresh[1:], True)[:owner.size]
        self.gap[order, 1] = np.where(last, flow.t_end, np.roll(time, -1)) - time
        self.pair, self.by_pair, self.pair_order = pair, owner, order
        self._chain(flow)

    def _chain(self, flow: Record) -> None:
        """Every record changes the code of its pair, is called what it is, and time runs on."""
        events, before = self.events, self.before
        to = events["to"]
        kind = np.select([to == SLIDING, before == SLIDING, to == ON],
                         ["slide", "release", "activate"], "deactivate")
        self._note("has a record that does not follow from the one before",
                   np.flatnonzero((to == before) | (kind != events["kind"])
                                  | ~((0 <= to) & (to <= SLIDING))))
        t = events["time"]
        self._note("has a record that is not in time order, or at no time of the run",
                   np.flatnonzero(~((t >= 0) & (t <= flow.t_end)
                                    & (np.diff(t, prepend=0.0) >= 0))))

    def _note(self, what: str, where: np.ndarray) -> None:
        if where.size:
            e = self.events[where[0]]
            self.contradict(int(e["neuron"]), int(e["point"]), float(e["time"]), what,
                            int(where.size))

    def contradict(self, i: int, k: int, t: float, what: str, count: int = 1) -> None:
        """Count a contradiction; of each kind the first is told."""
        self.count += count
        if not any(what in told for told in self.found):
            self.found.append(f"neuron {i} {what} (point {k}, t = {t:.9g})")

    def times(self, which: np.ndarray, t0: float, t1: float, rate: np.ndarray) -> np.ndarray:
        """Times (3, E) at, before and after events; NaN outside of the piece [t0, t1].

        ``rate`` (m,) is how fast neurons turn or grow.
        """
        t = self.events["time"][which]
        turn = STEP / np.maximum(rate[self.events["neuron"][which]], STEP / max(t1 - t0, 1e-300))
        arrives = self.events["to"][which] == SLIDING
        early = t - np.minimum(np.where(arrives, ARRIVAL, 1.0) * turn, GAP * self.gap[which, 0])
        late = t + np.minimum(turn, GAP * self.gap[which, 1])
        out = np.array([t, early, late])
        out[(out < t0) | (out > t1)] = np.nan
        out[1:][out[1:] == t] = np.nan
        return out

    def look(self, which: np.ndarray, times: np.ndarray, sight: Sight) -> None:
        """Compare events with the weights at `times`, seen in the order of those not NaN."""
        codes = np.array([self.before[which], self.before[which], self.events["to"][which]])
        row = np.cumsum(np.isfinite(times).ravel()).reshape(times.shape) - 1
        for moment in range(3):
            for e in np.flatnonzero(np.isfinite(times[moment])):
                i, k = (int(self.events[name][which[e]]) for name in ("neuron", "point"))
                j, t = int(row[moment, e]), float(times[moment, e])
                z = float(sight.z[j, i, k])
                if moment == 0:
                    if not sight.size[j, i] <= self.floor[i]:
                        self.off = float(np.maximum(self.off, abs(z)))
                    self.looked += 1
                else:
                    self.side(sight, j, i, k, t, int(codes[moment, e]),
                              abs(t - float(self.events["time"][which[e]])))

    def side(self, sight: Sight, j: int, i: int, k: int, t: float, code: int,
             since: float) -> None:
        """Compare the code of a pair with state ``j``, ``since`` its last or next event."""
        z = float(sight.z[j, i, k])
        if sight.size[j, i] <= self.floor[i] or not sight.W[j, i].any():
            return
        wrong = {OFF: z, ON: -z, SLIDING: abs(z)}[code]
        if not wrong <= self.width:
            self.contradict(i, k, t, "is not on its recorded side")
        elif (abs(z) <= self.width and code != SLIDING and np.abs(sight.W[j, i]).max()
              > CLEAR * self.width * sight.size[j, i]):
            push = self.push(sight, j, i, k)
            if push * since > SURE * self.width:
                self.contradict(i, k, t, "slides, and no record says so")

    def since(self, i: int, k: int, t: float) -> float:
        """Time from the event of a pair that is nearest to ``t``, or from the start or the end:
        the next may come just after it."""
        pair = i * self.reference.n + k
        lo, hi = np.searchsorted(self.by_pair, [pair, pair + 1])
        own = self.events["time"][self.pair_order[lo:hi]]
        return float(np.abs(np.append(own, [0.0, self.end]) - t).min())

    def push(self, sight: Sight, j: int, i: int, k: int) -> float:
        """The weaker of the speeds at which a neuron on a hyperplane is pushed onto it from
        either side, relative to its size; negative if one of them leads away."""
        reference = self.reference
        A = reference.field.data.arrangement
        near = np.abs(sight.z[j, i]) <= self.width
        near &= reference.lengths > 0
        D = reference.fields(Sight(*(x[j:j + 1] for x in sight)),
                             np.broadcast_to(near, (1, *sight.z.shape[1:])))[:, i]
        own = A.label == A.label[k]
        rest = near & ~own
        a, p = float(sight.a[j, i]), sight.p[j:j + 1]
        V, below, above = reference.limits(own, p)
        speeds = []
        for limit in (below, above):
            # What the other hyperplanes hold back is another thing on either side.
            side = D + limit @ V
            least = reference.least(side, np.sign(a), rest, p) if rest.any() else side
            if least is None:
                return -1.0
            speeds.append(a * float(least[0] @ V[0]) / float(sight.size[j, i]))
        return min(speeds[0], -speeds[1])
