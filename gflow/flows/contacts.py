"""Whether events are what the weights say: at their times, a little before and a little after."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..engines.events import OFF, ON, SLIDING
from ..engines.waveform.kinks import BLUR
from ..engines.record import Record
from ..problem.norms import row_norms
from .reference import Reference

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
PULLS = 30.0
"""Error of the weights at an instant, over ``rtol``, that pushes are judged with: that of jumps
between pieces (`gflow.flows.certificate.JUMP`). Where steppers are at their limit of stability,
dense output swings by some 20 ``rtol``, and what is left of the pulls with it."""
BEFORE = np.array([0.3, 0.6, 0.9])
"""Parts of the time since its last event, or of `ENOUGH` times that in which it is pushed so far as
`SURE` says, at which it should have been pushed, too."""
ENOUGH = 2.0
STAYED = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
"""Parts of the time since its last event at which one that is still on the hyperplane has been."""
EXACT, EXACT_ROUNDING = 0.03, 1e-12
"""Paths are cut off at 1e-3 ``rtol`` of a neuron (`gflow.engines.stepping.TRIM`), and events are
their roots: so far, over ``rtol``, ``w.x`` may be off at a crossing or a release, if more than
rounding."""
TIMELY = 1e-5
"""Of the time in which the neuron turns or grows: events may be as early or late as that."""
CLOCK = 100.0
"""So many times the last digit of their time, too: late in a run steps are hardly longer."""
SWING = 3.0
"""A side that leads nowhere has so much less of a push than errors say in the end, one that clearly
leads away the square of that more: engines tell choices from 20 and 200 ``rtol`` on
(`gflow.engines.sliding.NAUGHT`)."""
LATER = np.geomspace(1e-4, 1.0, 9)
"""Parts of the time in which a neuron turns, or of `GAP` of that to the next event of the pair, at
which a neuron is looked at that was let go."""
AT_ONCE, LEFT = 1e-3, 1e-14
"""After this part of the time looked ahead one that has left is farther than that from the plane:
one that slides is not, but for rounding."""
ONE = 1e-14
"""Hyperplanes that are so near one another, relative to the neuron, are not told apart."""
LATE = "has a record at another time than its weights say"
UNDECIDED = "is on a hyperplane that it leaves to either side, and no choice is told"
SOONEST = 1e-6
"""Before a slide a neuron is looked at so much of that time earlier, at least."""
EXPECTED = 4.0
"""A neuron that slides from now on should have been so many times ``EXACT rtol`` away a moment ago;
one part in so many of it is asked for."""


class Pushes(NamedTuple):
    """Of K neurons on hyperplanes, how they are pushed onto them.

    Attributes
    ----------
    below, above : ndarray, shape (K,)
        Speeds from the negative and from the positive side, relative to the neuron's size; NaN of
        one that does not move, or if another hyperplane on which it is repels it.
    noise : ndarray, shape (K,)
        What the speeds may be wrong by: errors of the weights by `PULLS` ``rtol``, through the
        pulls that the neuron sees.
    rest : ndarray of bool, shape (K, n)
        Points of other hyperplanes on which it is, too.
    """

    below: np.ndarray
    above: np.ndarray
    noise: np.ndarray
    rest: np.ndarray

    @property
    def inward(self) -> np.ndarray:
        """The weaker of the two speeds, at least; negative if one side may lead away, and where
        nothing is known."""
        weaker = np.minimum(self.below, self.above) - self.noise
        return np.asarray(np.where(np.isnan(weaker), -1.0, weaker))

    def leads_away(self, own_above: np.ndarray) -> np.ndarray:
        """At which speed the other side of a hyperplane leads away from it, at least, where on
        its own, the positive one if ``own_above`` (K,), a neuron moves no more than errors say;
        else not positive."""
        own = np.where(own_above, self.above, self.below)
        other = np.where(own_above, self.below, self.above)
        still = np.abs(own) <= self.noise
        return np.asarray(np.where(still, -other - self.noise, 0.0))


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
        self.path, self.error = flow.path, PULLS * float(flow.settings["rtol"])
        self.first, self.choices = flow.initial_pattern, flow.choices
        self.exact = max(EXACT * float(flow.settings["rtol"]), EXACT_ROUNDING)
        # Slides end where pulls balance, and so well are these known.
        self.blurred = max(TIMELY, BLUR * float(flow.settings["rtol"]))
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

    def look(self, which: np.ndarray, times: np.ndarray, states: np.ndarray, rate: np.ndarray,
             most: int) -> None:
        """Compare events with the weights at `times`: ``states`` (K, m (d + 1)) at those that are
        not NaN, in their order. ``rate`` (m,) is how fast neurons turn or grow. The field is asked
        of ``most`` pairs at most."""
        moment, event = np.nonzero(np.isfinite(times))
        e = self.events[which[event]]
        at = moment == 0
        size, z, _ = self._stands(states, np.arange(len(states)), e["neuron"], e["point"])
        judged = np.abs(z[at & ~(size <= self.floor[e["neuron"]])])
        self.off = float(np.max(judged, initial=self.off))
        self.looked += int(at.sum())
        stands = np.full(times.shape, np.nan)
        stands[moment, event] = np.where(size <= self.floor[e["neuron"]], np.nan, z)
        # At the end of a piece there is one side to look at.
        (t0, t1), (z0, z1) = (np.where(np.isfinite(stands[1:]), part[1:], part[0])
                              for part in (times, stands))
        with np.errstate(invalid="ignore", divide="ignore"):
            self._exactly(which, stands[0], (z1 - z0) / (t1 - t0), rate)
        for j in spread_out(np.flatnonzero(np.isfinite(stands[0])), most):
            row = int(np.flatnonzero(at & (event == j))[0])
            self._timely(int(which[j]), states[row], rate)
        codes = np.where(moment == 1, self.before[which[event]], e["to"])
        t = times[moment, event]
        beside = np.flatnonzero(~at)
        self.sides(states, beside, e["neuron"][beside], e["point"][beside], t[beside],
                   codes[beside], np.abs(t - e["time"])[beside], most)

    def _exactly(self, which: np.ndarray, stands: np.ndarray, slopes: np.ndarray, rate: np.ndarray
                 ) -> None:
        """Crossings and releases are roots of ``w.x``: ``stands`` (E,) at events, with slopes."""
        e = self.events[which]
        off = np.abs(stands)
        with np.errstate(invalid="ignore", divide="ignore"):
            late = off / np.abs(slopes)
            timely = (late * rate[e["neuron"]] <= TIMELY) | (late <= CLOCK * np.spacing(e["time"]))
        for j in np.flatnonzero((off > self.exact) & ~timely & (e["to"] != SLIDING)):
            # Steppers put one that hardly moves onto the hyperplane that it is not far from. (The
            # next number of another clock may be some of time's further on.)
            i, k, t = int(e["neuron"][j]), int(e["point"][j]), float(e["time"][j])
            after = self.path(np.array([t + CLOCK * np.spacing(t)]))
            if abs(self._stands(after, *np.array([[0], [i], [k]]))[1][0]) <= self.exact:
                continue
            # Nor has one crossed the hyperplane that has not left it since, as far as errors say.
            if self.before[which[j]] == SLIDING or not self._stays(
                    i, k, t - float(self.gap[which[j], 0]) * STAYED):
                self.contradict(i, k, t, LATE)

    def _timely(self, j: int, state: np.ndarray, rate: np.ndarray) -> None:
        """A neuron that begins to slide comes to the hyperplane then and not before, and one that
        is let go is not pushed back."""
        e = self.events[j]
        i, k, t = int(e["neuron"]), int(e["point"]), float(e["time"])
        turn = 1 / max(float(rate[i]), 1 / max(self.end, 1e-300))
        if e["to"] == SLIDING:
            back = self._inward(state, j, t, int(self.before[j]), turn)
            if not back > 0:
                return
            # Twice what is asked for, as speeds change.
            wait = min(max(2 * EXPECTED * self.exact / back, SOONEST * turn), STEP * turn,
                       GAP * float(self.gap[j, 0]))
            earlier = self.path(np.array([t - wait]))[0]
            back = min(back, self._inward(earlier, j, t - wait, int(self.before[j]), turn))
            _, z, _ = self._stands(earlier[None], *np.array([[0], [i], [k]]))
            if back * wait >= EXPECTED * self.exact and not abs(z[0]) >= back * wait / EXPECTED:
                self.contradict(i, k, t, LATE)
        elif self.before[j] == SLIDING:
            back = self._inward(state, j, t, int(e["to"]), turn)
            if back * turn > self.blurred and not self._leaves(j, back, turn):
                self.contradict(i, k, t, LATE)
            elif self._needless(state, j, turn):
                self.contradict(i, k, t, UNDECIDED)

    def _leaves(self, j: int, back: float, turn: float) -> bool:
        """Whether a neuron that is let go at event ``j`` leaves at once all the same: what pushes
        it ``back`` is gone before it has moved it by what errors do. (Slides end where the pulls of
        a window balance, which the weights that follow from them miss by some ``rtol``.)"""
        e = self.events[j]
        i, k, t, code = int(e["neuron"]), int(e["point"]), float(e["time"]), int(e["to"])
        wait = min(self.width / back, GAP * float(self.gap[j, 1]))
        states = self.path(np.array([t + AT_ONCE * wait, t + wait]))
        z = self._stands(states, np.arange(2), np.full(2, i), np.full(2, k))[1]
        z = z if code == ON else -z
        return bool(z[0] > LEFT and z[1] > self.exact
                    and not self._inward(states[1], j, t + wait, code, turn) > 0)

    def _needless(self, state: np.ndarray, j: int, turn: float) -> bool:
        """Whether a neuron that is let go at event ``j`` could as well have stayed: where its own
        side clearly leads away, and all the while before, the other would not have pushed it back.
        No choice is told."""
        e = self.events[j]
        i, k, t, code = int(e["neuron"]), int(e["point"]), float(e["time"]), int(e["to"])
        if self._chosen(i, k) or not self.codes_at(i, np.arange(self.reference.n), t).any():
            return False
        last, above = min(turn, GAP * float(self.gap[j, 1])), self._is_above(k, code)
        for wait in (0.0, *(last * LATER)):
            now = state if wait == 0.0 else self.path(np.array([t + wait]))[0]
            pushes = self._pushes(now[None], i, k)
            noise = float(pushes.noise[0])
            own, other = (float(side[0]) for side in
                          (pushes.above, pushes.below)[::1 if above else -1])
            if pushes.rest.any() or not other <= noise:
                return False
            # Explicit steppers let go in the middle of a swing.
            if -own > SWING**2 * noise and other <= noise / SWING:
                return True
        return False

    def _inward(self, state: np.ndarray, j: int, t: float, code: int, turn: float) -> float:
        """At which speed the neuron of event ``j`` is pushed onto its hyperplane from the side
        where its code is ``code``, at least; NaN if that is not clear."""
        i, k = int(self.events["neuron"][j]), int(self.events["point"][j])
        pushes = self._pushes(state[None], i, k)
        side = pushes.above if self._is_above(k, code) else pushes.below
        rest = np.flatnonzero(pushes.rest[0])
        # Others may have been met just now, and not hold the neuron before or after.
        if rest.size and not ((self.codes_at(i, rest, t) == SLIDING).all()
                              and (self.since(np.full(rest.size, i), rest, t) > STEP * turn).all()):
            return np.nan
        return float(side[0] - pushes.noise[0])

    def _is_above(self, k: Any, code: Any) -> Any:
        """Whether the side where the code of point ``k`` is ``code`` is the positive one."""
        return (code == ON) == (self.reference.field.data.arrangement.length[k] > 0)

    def _stands(self, states: np.ndarray, row: np.ndarray, i: np.ndarray, k: np.ndarray
                ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of pairs (K,) in states: size of the neuron, ``w.x / (wide |x|)`` as in `Sight`, and
        ``|w|`` over the same."""
        m, d = self.reference.m, self.reference.d
        own = m + i[:, None] * d + np.arange(d)
        scale = self.reference.scale
        a, w = states[row, i] * scale[i], states[row[:, None], own] * scale[own]
        norm = row_norms(w)
        size = np.hypot(a, norm)
        wide = size
        if self.reference.lopsided is not None:
            wide = self.reference.sizes(np.column_stack([a, w]))[:, -1]
        scale = np.where(wide > 0, wide, 1.0)
        return size, ((w / scale[:, None]) * self.reference.unit[k]).sum(axis=1), norm / scale

    def sides(self, states: np.ndarray, row: np.ndarray, i: np.ndarray, k: np.ndarray,
              t: np.ndarray, code: np.ndarray, since: np.ndarray, most: int) -> None:
        """Compare codes of pairs (K,) with the weights.

        Parameters
        ----------
        states : ndarray, shape (J, m (d + 1))
        row, i, k, t, code : ndarray, shape (K,)
            State, neuron, point, time and code of each pair.
        since : ndarray, shape (K,)
            Time from the last or to the next event of the pair.
        most : int
            Of pairs that stand on a hyperplane and do not slide so many are compared with the
            field.
        """
        size, z, norm = self._stands(states, row, i, k)
        there = ~(size <= self.floor[i]) & ~(norm == 0)
        wrong = np.select([code == OFF, code == ON], [z, -z], np.abs(z))
        for j in np.flatnonzero(there & ~(wrong <= self.width)):
            self.contradict(int(i[j]), int(k[j]), float(t[j]), "is not on its recorded side")
        near = np.flatnonzero(there & (np.abs(z) <= self.width) & (wrong <= self.width)
                              & (code != SLIDING) & (norm > CLEAR * self.width))
        if near.size > most:
            near = near[np.linspace(0, near.size - 1, most).astype(int)]
        pushes = self.pushes(states, row[near], i[near], k[near])
        held, away = pushes.inward, pushes.leads_away(self._is_above(k[near], code[near]))
        for j, push, leads in zip(near, held, away):
            moment = int(i[j]), int(k[j]), float(t[j]), float(since[j])
            if self._held(*moment, float(push)):
                self.contradict(*moment[:3], "slides, and no record says so")
            elif self._open(*moment, states[row[j]], int(code[j]), float(leads)):
                self.contradict(*moment[:3], UNDECIDED)

    def _held(self, i: int, k: int, t: float, since: float, push: float) -> bool:
        """Whether a neuron on a hyperplane, which is pushed onto it now, must be sliding: all the
        while, as one that has just begun to be pushed is not to be found out yet."""
        if not push * since > SURE * self.width:
            return False
        since = min(since, ENOUGH * SURE * self.width / push)
        earlier = t - since * BEFORE
        return self._stays(i, k, earlier) and bool(
            (self._pushes(self.path(earlier), i, k).inward * since > SURE * self.width).all())

    def _open(self, i: int, k: int, t: float, since: float, state: np.ndarray, code: int,
              away: float) -> bool:
        """Whether a neuron is on a hyperplane whose other side leads away from it, and on its own
        side nothing beyond errors moves it to or fro: all the while, and with no choice told. It
        would be far off by now, had rounding put it on the other side. A dead neuron stays where
        it left its last point, by convention."""
        if not away * since > SURE * self.width or self._chosen(i, k) or not (
                self.reference.steep or self.codes_at(i, np.arange(self.reference.n), t).any()):
            return False
        if self._beside(state, i, k, t):
            return False
        met = self._met(i, k, t)
        # One that has not met it, or was farther off since, is near because it has grown.
        if not np.isfinite(met) or not self._stays(i, k, t - (t - met) * STAYED):
            return False
        since = min(since, ENOUGH * SURE * self.width / away)
        earlier = t - since * BEFORE
        above = self._is_above(np.array([k]), np.array([code]))
        return self._stays(i, k, earlier) and bool(
            (self._pushes(self.path(earlier), i, k).leads_away(above) * since
             > SURE * self.width).all())

    def _beside(self, state: np.ndarray, i: int, k: int, t: float) -> bool:
        """Whether a neuron that slides is clearly on one side of hyperplane ``k`` all the same: as
        far as it can go where it slides, which is known far better if the two are almost one."""
        unit = self.reference.unit
        held = np.flatnonzero(self.codes_at(i, np.arange(self.reference.n), t) == SLIDING)
        if not held.size:
            return False
        parts = np.linalg.lstsq(unit[held].T, unit[k], rcond=None)[0]
        some = np.append(held, k)
        z = self._stands(state[None], np.zeros_like(some), np.full(some.size, i), some)[1]
        free = float(row_norms(unit[k] - parts @ unit[held]))
        return bool(abs(z[-1] - parts @ z[:-1]) > max(self.width * free, ONE))

    def _met(self, i: int, k: int, t: float) -> float:
        """When the last event of a pair up to ``t`` was; infinite if there was none."""
        pair = i * self.reference.n + k
        lo, hi = np.searchsorted(self.by_pair, [pair, pair + 1])
        own = self.events["time"][self.pair_order[lo:hi]]
        return float(np.max(own[own <= t], initial=-np.inf))

    def _stays(self, i: int, k: int, times: np.ndarray) -> bool:
        """Whether a neuron is on a hyperplane at all of these times, as far as errors say."""
        states = self.path(times)
        some = np.arange(len(states))
        z = self._stands(states, some, np.full(some.size, i), np.full(some.size, k))[1]
        return bool((np.abs(z) <= self.width).all())

    def _chosen(self, i: int, k: int) -> bool:
        label = self.reference.field.data.arrangement.label
        own = self.choices[self.choices["neuron"] == i]
        return bool((label[own["point"]] == label[k]).any())

    def since(self, i: np.ndarray, k: np.ndarray, t: float) -> np.ndarray:
        """Time from the event of pairs that is nearest to ``t``, or from the start: the next may
        come just after it. At the end nothing is left out: `_held` looks back, and who arrives just
        then was far off before."""
        nearest = np.full(i.size, t)
        for j, pair in enumerate(i * self.reference.n + k):
            lo, hi = np.searchsorted(self.by_pair, [pair, pair + 1])
            own = self.events["time"][self.pair_order[lo:hi]]
            nearest[j] = np.abs(own - t).min(initial=nearest[j])
        return nearest

    def codes_at(self, i: int, points: np.ndarray, t: float) -> np.ndarray:
        """Codes of a neuron at some points, just after ``t``."""
        codes = self.first[i, points].copy()
        for j, pair in enumerate(i * self.reference.n + points):
            lo, hi = np.searchsorted(self.by_pair, [pair, pair + 1])
            own = self.pair_order[lo:hi]
            past = own[self.events["time"][own] <= t]
            if past.size:
                codes[j] = self.events["to"][past[-1]]
        return np.asarray(codes)

    def pushes(self, states: np.ndarray, row: np.ndarray, i: np.ndarray, k: np.ndarray) -> Pushes:
        """How neurons ``i`` (K,) are pushed onto the hyperplanes of points ``k`` (K,) in the
        states (J, m (d + 1)) ``row`` (K,)."""
        reference = self.reference
        sight = reference.one_each(states, row, i)
        near = (np.abs(sight.z[:, 0]) <= self.width) & (reference.lengths > 0)
        own, V, below, above = reference.across(k, sight.p)
        D = reference.fields(sight, (near | own)[:, None])[:, 0]
        D = D - reference.turned(sight.a, sight.W)[:, 0]
        rest = near & ~own
        a = sight.a[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            speed = reference.pace * a / sight.wide[:, 0]
        if not reference.moves[1]:
            speed = np.full_like(speed, np.nan)
        at = (D * V).sum(axis=1)
        ways = np.array([at + below, at + above])
        for j in np.flatnonzero(rest.any(axis=1)):
            # What the other hyperplanes hold back is another thing on either side.
            for way, limit in zip(ways, (below[j], above[j])):
                least, known = reference.least((D[j] + limit * V[j])[None], np.sign(a[j:j + 1]),
                                               rest[j], sight.p[j:j + 1])
                way[j] = float(least[0] @ V[j]) if known[0] else np.nan
        noise = np.abs(speed) * self.error * reference.noise(sight, near, V, rest)
        return Pushes(speed * ways[0], -speed * ways[1], noise, rest)

    def _pushes(self, states: np.ndarray, i: int, k: int) -> Pushes:
        """`pushes` of one pair in every state (J, m (d + 1))."""
        every = np.arange(len(states))
        return self.pushes(states, every, np.full(every.size, i), np.full(every.size, k))


def spread_out(rows: np.ndarray, most: int) -> np.ndarray:
    """So many rows at most, evenly.

    Examples
    --------
    >>> spread_out(np.arange(10), 3)
    array([0, 4, 9])
    """
    if len(rows) <= most:
        return rows
    return np.asarray(rows[np.linspace(0, len(rows) - 1, most).astype(int)])
