"""The making of a certificate: a run is looked at piece by piece."""

from __future__ import annotations

import numpy as np

from ..engines.events import OFF, ON, SLIDING
from ..engines.record import Record
from ..engines.run import Unreadable
from ..engines.trajectory import by_neuron
from ..problem.checks import whole
from ..problem.loss import is_endless
from ..problem.norms import row_norms
from ..theory.lorentz import local_lorentz
from .certificate import DEFECT, DEFECT_ROUNDING, Certificate, jumping, tolerance
from .contacts import Contacts, spread_out
from .margins import FAINT, smoothed_margin
from .defect import AT_ZERO, NODES, Kinks, Look, choose, defects
from .offsets import Offsets
from .pieces import pieces
from .reference import FEWER_DIGITS, Reference, Sight

GONE = 1e-15
"""Weights carry rounding of this part of the largest that their neuron has been. One below that
over the width of a hyperplane has no direction left to judge, and is left out: at ``rtol`` 1e-8
below 3e-8 of its largest. Jumps that are no more than that are none: a balanced neuron on a ray
shrinks for ever, and by 1e-5 on a piece, which is no more accurate at its end than at its start."""
MOST_PIECES = 500
"""Of more pieces than this an even sample is checked; for the energy identity only if asked to."""
MOST_PAIRS = 500
"""So many intervals of pairs of neurons are checked."""
MOST_EVENTS = 600
"""So many events are compared with the weights, about."""
MOST_BETWEEN = 20
"""In so many states of a piece, beside its middle and end, patterns are compared, too."""
FEWEST_INTERVALS = 200
"""On so many intervals of a run, about, the field is integrated; one a piece at least."""
SEED = 20
"""Of the random intervals."""
RATIO = 1.25
"""The rule of `gflow.flows.defect` integrates 1 / t to 3e-13 where t grows by this factor."""
ENOUGH = 8
"""Of so many intervals the mean of the defects of a neuron is judged."""
LASTING, OUTLIERS, SPARE = 0.5, 3, 1
"""Of the mean of many intervals, with what exceeds `CLIP` ``rtol`` cut to that: errors of a right
run come and go, so that it is ``LASTING`` at most, but for so many outliers, each a whole piece:
what a long step errs by is of one sign on all intervals in it. They are left out, those first that
add most to the sum, and one more is granted where there are few pieces: 0.2 of all that was the
largest of 621 right runs."""
LONG, STIFF, STIFFER, SWINGS = 0.5, 0.9, 2.0, 4.0
"""Of steps longer than the first, in units of the fastest rate, it is the third times as much:
those of `EXPLICIT` steppers all err the same way then, by what they may. Of energies it is the
fourth times as much beyond the second, where they are at their limit of stability (``|a|`` much
larger than ``|w|``). At a small `rtol` steps are shorter; windows of the fast engine are longer and
have no such limit."""
EXPLICIT = frozenset(["RK23", "RK45", "DOP853", "LSODA"])
CLIP, CLIP_ROUNDING = 10.0, 3e-10
MARGIN, MARGIN_EACH = 0.1, 1e-2
"""Losses are judged by this part of what errors of the weights do to them, if that is more than
the first loss: ``100 rtol`` of weights, as they are judged with ``1000 rtol``. Energies by 10
``rtol`` for every piece, if that is more: errors of weights may all be of one sign, and reach 5
``rtol`` a piece on the average where ``|a|`` is much larger than ``|w|``; `SWINGS` times that for
pieces at the limit of stability, where velocities swing and their squares add up: 32 ``rtol`` have
been measured at ``|w|`` much larger than ``|a|``."""
PULLS, SWUNG = 2.0, 100.0
"""Error of the weights, over ``rtol``, that multipliers are judged with; the second where explicit
steppers are at their limit of stability, near an interpolation, and pulls are what is left of
swings."""
MOST_ASKED = 4000
"""So often, about, the field is asked for a single pair or neuron, and for multipliers."""
WORK = 4e8
"""So many numbers of whole states are computed, about (some seconds), ``m (n + 6 (d + 1))`` each:
on wide networks fewer pieces, intervals and events are looked at."""
STATES, INTERVAL = 35, 22
"""Of these states a piece takes so many at least, an interval about so many."""
TOGETHER = 500_000
"""Numbers of so many neurons at a time, about: all of them would not stay where they are quick to
reach."""
OUTSIDE = np.zeros(3)
OUTSIDE[OFF], OUTSIDE[ON] = 1.0, -1.0
"""A side is wrong by as much of ``w.x``, by code."""
MANY, FEW = 100_000, 64
"""Numbers of which intervals are integrated: those of `FEW` neurons at least, of a half of them
always, of the others in turn."""


def certify(flow: Record, most: int | None = None, progress: bool = False) -> Certificate:
    """Check a run with plain NumPy, from the dense output, the events and the data alone.

    Parameters
    ----------
    flow : Flow
        The run.
    most : int, optional
        Look at no more than so many pieces of the trajectory (two at least) and pairs of neurons:
        an even sample, for the energy identity too. Default: 500, or less on wide networks, but
        the energy identity on all.
    progress : bool
        Draw a text meter on standard error.

    Returns
    -------
    Certificate

    Raises
    ------
    TypeError, ValueError
        If ``most`` is not a positive whole number.

    References
    ----------
    Boursier and Flammarion, "Early alignment in two-layer networks training is a two-edged sword",
    JMLR 2025, Lemma 1 (balancedness); `gflow.theory.local_lorentz` for pairs; the chain rule for
    the energy identity.
    """
    limit = MOST_PIECES if most is None else whole(most, "most")
    path = flow.path
    count = len(path.pieces)
    states = int(WORK / (path.m * (flow.data.n + 6 * (path.d + 1))))
    limit = min(limit, max(2, states // STATES))
    sampled = set(range(count))
    if count > limit:
        # Pieces beside each other, so that jumps between them show.
        first = np.linspace(0, count - 2, max(limit // 2, 1)).astype(int)
        sampled = set(first) | set(first + 1)
    audit = _Audit(flow, len(sampled), states)
    dissipated = 0.0
    for p in pieces(flow, progress):
        try:
            if most is None or p in sampled:
                dissipated += path.dissipation(p)
            if p in sampled:
                audit.look(p)
        except Unreadable:
            # What it dissipates is not known: the energy is in doubt.
            dissipated = np.nan
    whole_run = most is None or len(sampled) == count
    return audit.verdict(dissipated, whole_run, min(limit, MOST_PAIRS), len(sampled))


class _Audit:
    """Running maxima of the checks, and the pattern replayed along the events.

    Parameters
    ----------
    flow : Record
    pieces : int
        So many will be looked at.
    states : int
        So many states may be computed, about.
    """

    def __init__(self, flow: Record, pieces: int, states: int) -> None:
        self.flow, path = flow, flow.path
        self.rtol = float(flow.settings["rtol"])
        self.m, self.d = path.m, path.d
        self.field = flow.field
        self.reference = Reference(flow.field, self.m, self.rtol)
        self.contacts = Contacts(flow, self.reference)
        self.clip = max(CLIP * self.rtol, CLIP_ROUNDING)
        self.step = max(DEFECT * self.rtol, DEFECT_ROUNDING)
        self.codes = flow.initial_pattern.copy()
        self.next_event = 0
        rng = np.random.default_rng(SEED)
        self.marks, self.order = rng.random(flow.data.n), rng.permutation(self.m)
        self.few = min(self.m, max(FEW, MANY // (flow.data.n + 6 * (self.d + 1))))
        pieces = max(pieces, 1)
        self.intervals = int(np.clip(min(FEWEST_INTERVALS, 0.6 * states / INTERVAL) // pieces,
                                     1, 6))
        # Every such event of the pieces that are looked at: some pieces have most of them.
        met = len(flow.events) * pieces / max(len(path.pieces), 1)
        self.every = int(np.ceil(max(1.0, met / min(MOST_EVENTS, max(1, states // 10)))))
        self.asked_each = -(-min(MOST_ASKED, states // 5) // (3 * pieces))
        self.reference.measure(path.start)
        start = self.reference.see(path.start[None])
        self.drift, self.defect = np.zeros(self.m), np.zeros(self.m)
        self.invariant, self.terms = (part[0] for part in self.reference.conserved(start))
        self.peak = start.size[0]
        self.largest = by_neuron(np.abs(path.start), self.m)
        self.first_loss = self.last_loss = float(self._objective(start)[0])
        self.margin = self._margin(start)
        self.parts: list[tuple[np.ndarray, np.ndarray]] = []
        self.offsets = Offsets(self.reference, path.t_end)
        self.count, self.granted = np.zeros((2, self.m))
        self.swings: list[float] = []
        self.alive, self.met = np.zeros((2, self.m), dtype=bool)
        self.shown = self.looked = 0
        self.last_margin = self.fall = 0.0
        self.lost = self.rise = self.gap = self.wrong = self.multiplier = 0.0
        self.last_piece, self.last_state = -1, path.start
        self.pair, self.off_range = (-1, -1), -1
        self.checked = 1
        self._first(start)

    def _first(self, start: Sight) -> None:
        """The initial pattern is that of the start, where that is off every hyperplane."""
        z, codes = start.z[0], self.codes
        if self.reference.smooth:
            return
        clear = np.abs(z) > self.reference.band
        wrong = clear & (codes != (z > 0))
        wrong[:, self.reference.lengths == 0] |= codes[:, self.reference.lengths == 0] != OFF
        for i, k in np.argwhere(wrong)[:1]:
            self.contacts.contradict(int(i), int(k), 0.0, "starts with another pattern",
                                     int(wrong.sum()))

    def _margin(self, sight: Sight) -> float:
        """What errors of the weights by ``rtol`` do to the loss, over ``rtol``: what a difference
        of losses is judged by where they cancel, as at a loss of 0."""
        found = self.reference.lopsided
        error = sight.error / (1.0 if found is None else found.sharper)
        h = (np.abs(sight.p) * error + self.rtol * error**2).mean(axis=1)
        return float((h + 2 * self.reference.penalty(sight)).max())

    def _objective(self, sight: Sight) -> np.ndarray:
        """What the flow descends, (J,)."""
        return np.asarray(self.field.value(sight.h) + self.reference.penalty(sight))

    def look(self, p: int) -> None:
        """Check a piece: in its middle, at its end, on random intervals and at its events."""
        path = self.flow.path
        t0, t1 = path.breaks[p], min(path.breaks[p + 1], path.t_end)
        # Of a piece that spans decades the middle in the logarithm.
        middle = np.sqrt(t0) * np.sqrt(t1) if 4 * t0 < t1 and t0 > 0 else (t0 + t1) / 2
        times = np.array([t0, middle, t1])
        states = path.evaluate(p, times)
        self._replay(t0)
        codes = self.codes.copy()
        most = by_neuron(np.abs(states).max(axis=0), self.m)
        if p == self.last_piece + 1:
            # Smooth neurons may start at 0; a piece errs by the same all over.
            self.gap = worst(self.gap, self._apart(states[0], self.last_state,
                                                   most if self.reference.smooth else 0.0))
        self.last_piece, self.last_state = p, states[-1]
        self.largest = np.maximum(self.largest, most)
        sight = self.reference.see(states)
        # One that an event has cut short swings as those beside it.
        longest = float(np.diff(path.breaks[max(p - 1, 0):p + 3]).max())
        self.pulls = SWUNG if self._long(sight, longest) > STIFF else PULLS
        losses = self._objective(sight)
        self.lost += float(losses[0])
        self.margin = worst(self.margin, self._margin(sight))
        self.peak = np.maximum(self.peak, sight.size.max(axis=0))
        floor = self.contacts.floor = np.maximum(
            GONE / self.reference.band * self.peak, FEWER_DIGITS)
        self.gone = (sight.size <= floor).any(axis=0)
        self.alive |= ~self.gone & self._moving(sight)
        for j in (1, 2):
            self._replay(times[j])
            self.rise = worst(self.rise, float(losses[j]) - self.last_loss)
            self.last_loss = float(losses[j])
            self._margins(sight, j)
            self._state(states[j], sight, j, times[j])
        self.lost -= self.last_loss
        self._closely(p, t0, t1, sight, codes)

    def _margins(self, sight: Sight, j: int) -> None:
        """The smoothed margin of a loss without rest never falls, once that is low enough, where
        outputs grow in proportion with weights and these do not decay."""
        if (not is_endless(self.field.loss) or self.field.setting.decays
                or self.field.activation.smooth):
            return
        top = float(smoothed_margin(self.field, self.field.log_value(sight.h[j])))
        output, hidden = self.reference.moves
        squares = output * (sight.a[j]**2).sum() + hidden * (sight.W[j]**2).sum()
        # Of one layer alone outputs are a linear function, not a quadratic one. Squares of weights
        # that die out may be 0, as their margin is.
        margin = top / (float(squares if output and hidden else np.sqrt(squares)) or 1.0)
        if self.last_margin > 0:
            self.fall = worst(self.fall, 1 - margin / self.last_margin)
        self.last_margin = margin if top > FAINT else 0.0

    def _apart(self, one: np.ndarray, other: np.ndarray, least: np.ndarray | float = 0.0) -> float:
        """Largest difference of two states, relative to neurons, at least to those of which it is
        too much if it is more than rounding, and to ``least`` (m,)."""
        size = np.maximum(by_neuron(np.abs(one), self.m), GONE / jumping(self.rtol) * self.largest)
        size = np.maximum(size, least)
        off = by_neuron(np.abs(one - other), self.m)
        return float((off / np.where(size > 0, size, 1.0)).max())

    def _replay(self, t: float) -> None:
        events = self.flow.events
        upto = int(np.searchsorted(events["time"], t, side="right"))
        past = events[self.next_event:upto]
        self.codes[past["neuron"], past["point"]] = past["to"]
        self.next_event = max(upto, self.next_event)

    def _chosen(self, p: int) -> np.ndarray:
        """The neurons of which intervals of a piece are integrated, in order."""
        half = self.few // 2
        rest = self.order[half:]
        turn = (p * (self.few - half) + np.arange(self.few - half)) % rest.size
        return np.sort(np.append(self.order[:half], rest[turn]))

    def _closely(self, p: int, t0: float, t1: float, sight: Sight, codes: np.ndarray) -> None:
        """The field on random intervals of a piece, and its events; ``codes`` at its start."""
        if not t1 > t0:
            return
        reference, contacts, path = self.reference, self.contacts, self.flow.path
        events = self.flow.events
        first, last = np.searchsorted(events["time"], [t0, np.nextafter(t1, np.inf)])
        here, begun = events[first:last], t0
        turning = reference.rate(sight)
        rng = np.random.default_rng([SEED, p])
        if is_endless(self.field.loss):
            t0, t1 = self._decade(rng, t0, t1, turning)
            sight = reference.see(path.evaluate(p, np.array([t0, (t0 + t1) / 2, t1])))
            first, last = np.searchsorted(events["time"], [t0, np.nextafter(t1, np.inf)])
            here, turning = events[first:last], reference.rate(sight)
        rate, who = self._rate(sight), self._chosen(p)
        # The output at a point changes its slope by |a| |w'.x| when a neuron crosses there, w'
        # being a D at most.
        i, k = here["neuron"], here["point"]
        jolts = (sight.size.max(axis=0)**2 * turning)[i] * (
            self.field.curvature(sight.h).max(axis=0) * reference.lengths**2)[k] / reference.n
        jolts *= reference.pace * (1 + reference.steep)
        long = self._long(sight, t1 - t0)
        granted = STIFFER if long > LONG else 1.0
        self.swings.append(SWINGS if long > STIFF else 1.0)
        look = choose(rng, t0, t1,
                      Kinks(here["time"], jolts, np.isin(i, who), who.size == self.m), rate,
                      self.intervals, self.step)
        which = np.arange(first, last)
        which = which[which % self.every == 0]
        moments = contacts.times(which, t0, t1, turning)
        times = np.concatenate([look.ends[:, 0], look.ends[:, 1], look.nodes,
                                moments[np.isfinite(moments)]])
        if not times.size:
            # Turns that double precision does not resolve so late.
            return
        states = path.evaluate(p, times)
        count, nodes = len(look.ends), len(look.nodes)
        if count:
            self._follow(look, who, granted, *self._neurons(states[:2 * count], who),
                         states[2 * count:2 * count + nodes])
        contacts.look(which, moments, states[2 * count + nodes:], turning, self.asked_each)
        if not reference.smooth:
            # One state of each part between kinks, and those beside events.
            some = np.append(2 * count + np.arange(NODES // 2, nodes, NODES),
                             np.arange(2 * count + nodes, times.size))
            some = spread_out(some[np.argsort(times[some], kind="stable")],
                              min(1 + here.size, MOST_BETWEEN))
            self._between(begun, times[some], states[some], codes)

    def _rate(self, sight: Sight) -> float:
        """The fastest rate in states that were seen."""
        reference = self.reference
        return max(float(reference.sensitivity(sight).max()), float(reference.rate(sight).max()))

    def _long(self, sight: Sight, length: float) -> float:
        """How long a piece is in units of the fastest rate, if an explicit stepper took it; 0."""
        return length * self._rate(sight) if self.flow.stats.get("method") in EXPLICIT else 0.0

    def _between(self, t0: float, times: np.ndarray, states: np.ndarray, codes: np.ndarray) -> None:
        """Sides of all neurons in some states of a piece, in time order, from ``codes`` at ``t0``
        on."""
        events = self.flow.events
        upto = np.searchsorted(events["time"], np.append(t0, times), side="right")
        for j, t in enumerate(times):
            past = events[upto[j]:upto[j + 1]]
            codes[past["neuron"], past["point"]] = past["to"]
            # One by one: of all neurons and points.
            sight = self.reference.see(states[j:j + 1])
            self._sides(states[j], sight, 0, codes, float(t))

    def _decade(self, rng: np.random.Generator, t0: float, t1: float, rate: np.ndarray
                ) -> tuple[float, float]:
        """A part of a piece [t0, t1] on which time, from the first turn of a neuron on, grows by no
        more than `RATIO`: late rates fall like 1 / t."""
        turn = 1.0 / max(float(rate.max()), 1e-300)
        turn = min(turn, t0) if t0 > 0 else turn
        if not t1 + turn > RATIO * (t0 + turn):
            return t0, t1
        low, high = np.log(t0 + turn), np.log(t1 + turn) - np.log(RATIO)
        begin = max(float(np.exp(low + rng.random() * (high - low))) - turn, t0)
        return begin, min(RATIO * (begin + turn) - turn, t1)

    def _neurons(self, states: np.ndarray, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Neurons (I, s, d + 1) at the starts and at the ends of intervals."""
        a, W = self.reference.split(states)
        both = np.concatenate([a[:, who, None], W[:, who]], axis=2)
        return both[:len(both) // 2], both[len(both) // 2:]

    def _moving(self, sight: Sight) -> np.ndarray:
        """Neurons (s,) that are not off at every point; all of a leaky network."""
        if self.reference.steep:
            return np.ones(sight.a.shape[1], dtype=bool)
        return np.asarray((sight.z > -self.reference.band).any(axis=(0, 2)))

    def _follow(self, look: Look, who: np.ndarray, granted: float, first: np.ndarray,
                last: np.ndarray, nodes: np.ndarray) -> None:
        """Compare neurons ``first`` and ``last`` (I, s, d + 1) on intervals with what the field
        says in the states ``nodes`` (J, m (d + 1))."""
        reference = self.reference
        all_, (a, W) = reference.see(nodes, who[:0]), reference.split(nodes)
        some = max(1, TOGETHER // (len(nodes) * reference.n))
        parts = []
        for i in range(0, who.size, some):
            own = who[i:i + some]
            sight = reference.some(all_, a[:, own], W[:, own])
            parts.append((*defects(reference, look, first[:, i:i + some], last[:, i:i + some],
                                   sight), *self.offsets.effects(look, sight),
                          (self._moving(sight) & (np.abs(sight.a).max(axis=0) > 0))[None]))
        found, spread, measure, *effects, moving = (np.concatenate(part, axis=1)
                                                    for part in zip(*parts))
        for j in np.flatnonzero(look.crossed):
            # Those that have an event inside are not compared.
            upto = np.searchsorted(self.flow.events["time"], look.ends[j], side="right")
            found[j, np.isin(who, self.flow.events["neuron"][slice(*upto)])] = np.nan
        gone = self.gone[who]
        living = np.tile(moving[0] & ~gone, (len(first), 1))
        left = np.isnan(found).any(axis=2) & np.isfinite(first).all() & np.isfinite(last).all()
        seen = living & ~left
        self.shown += int(living.sum())
        self.looked += int(seen.sum())
        self.met[who] |= seen.any(axis=0)
        # Halves of an interval as the whole one.
        grants = 1 + spread / look.share[:, None] + look.blur[:, None] / self.step
        found /= grants[..., None]
        self.offsets.add(tuple(effects), found, grants[..., None] * measure, seen)
        sizes = np.where(gone, 0.0, np.sqrt((found**2).sum(axis=2)))
        sizes[left] = 0.0
        self.defect[who] = np.maximum(self.defect[who], sizes.max(axis=0))
        clip = self.clip * look.share[:, None]
        cut = np.minimum(1.0, clip / np.maximum(sizes, clip))
        self.parts.append((who, np.where(seen[..., None], found * cut[..., None], 0.0).sum(axis=0)))
        self.count[who] += look.share @ seen
        self.granted[who] += granted * (look.share @ seen)

    def _state(self, state: np.ndarray, sight: Sight, j: int, t: float) -> None:
        uniform = self.flow.setting.uniform
        if uniform is not None and not self.reference.smooth:
            now, terms = (part[j] for part in self.reference.conserved(sight))
            left = np.exp(-2 * uniform * t) * self.invariant
            self.drift = np.maximum(self.drift, np.abs(now - left))
            self.terms = np.maximum(self.terms, terms)
        self.checked += 1
        if self.reference.smooth:
            return
        self._sides(state, sight, j, self.codes, t)
        sliding = np.flatnonzero((self.codes == SLIDING).any(axis=1))
        if sliding.size:
            # Neurons of one pattern have the same multipliers.
            marks = self.codes[sliding].astype(float) @ self.marks
            for i in spread_out(sliding[np.unique(marks, return_index=True)[1]], self.asked_each):
                off = self.reference.excess(sight, j, int(i), self.codes[i], self.pulls * self.rtol)
                # NaN stays.
                if not off <= self.multiplier and not np.isnan(self.multiplier):
                    self.multiplier, self.off_range = off, int(i)

    def _sides(self, state: np.ndarray, sight: Sight, j: int, codes: np.ndarray, t: float) -> None:
        """Compare ``codes`` with the sides of a state, and ask the field about neurons that are on
        hyperplanes and do not slide."""
        a, z, norms = sight.a[j], sight.z[j], row_norms(sight.W[j])
        # A neuron that has reached w = 0 is on every hyperplane.
        known = (norms > np.maximum(AT_ZERO * np.abs(a), FEWER_DIGITS)) & ~self.gone
        if not known.all():
            z = np.where(known[:, None], z, 0.0)
        wrong = OUTSIDE[codes] * z
        slide = codes == SLIDING
        wrong[slide] = np.abs(z[slide])
        at = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        if not (wrong[at] <= self.wrong or np.isnan(self.wrong)):
            self.wrong, self.pair = float(wrong[at]), (int(at[0]), int(at[1]))
        i, k = np.divmod(np.flatnonzero(np.abs(z) <= self.reference.band), self.reference.n)
        there = (codes[i, k] != SLIDING) & known[i] & (self.reference.lengths > 0)[k] & (a != 0)[i]
        i, k = spread_out(np.column_stack([i, k])[there], self.asked_each).T
        if i.size:
            self.contacts.sides(state[None], np.zeros(i.size, dtype=int), i, k,
                                np.full(i.size, t), codes[i, k], self.contacts.since(i, k, t),
                                self.asked_each)

    def _sums(self) -> np.ndarray:
        """Norms of the sums (m,) of all defects of a neuron, but for `OUTLIERS` pieces of each."""
        total = np.zeros((self.m, self.d + 1))
        for who, part in self.parts:
            total[who] += part
        left = [part.copy() for _, part in self.parts]
        for _ in range(OUTLIERS):
            # By how much the square of a sum falls without a piece, and which one does most.
            most, which = np.zeros(self.m), np.full(self.m, -1)
            for p, ((who, _), part) in enumerate(zip(self.parts, left)):
                falls = (part * (2 * total[who] - part)).sum(axis=1)
                more = falls > most[who]
                most[who[more]], which[who[more]] = falls[more], p
            for p in np.unique(which[which >= 0]):
                who = self.parts[p][0]
                own = which[who] == p
                total[who[own]] -= left[p][own]
                left[p][own] = 0.0
        return row_norms(total)

    def _stored(self) -> float:
        """Largest difference of what is stored of the weights from the path."""
        flow, path = self.flow, self.flow.path
        last = len(path.pieces) - 1
        if last < 0:
            return 0.0
        ends = np.array([path.t_end])
        pairs = [(path(ends)[0], path.evaluate(last, ends)[0])]
        known = flow.__dict__.get("_states")
        if known is not None and flow.t.size:
            rows = np.unique(np.linspace(0, flow.t.size - 1, min(flow.t.size, 20)).astype(int))
            pairs += [(np.append(known.a[r], known.W[r]), path(flow.t[r:r + 1])[0]) for r in rows]
        off = 0.0
        for one, other in pairs:
            off = worst(off, self._apart(other, one))
        return off

    def verdict(self, dissipated: float, whole_run: bool, pairs: int, seen: int) -> Certificate:
        """The certificate at the end of the run, on which, or on the pieces looked at, so much was
        ``dissipated``; so many ``pairs`` are checked, so many pieces were ``seen``."""
        flow, m, d = self.flow, self.m, self.d
        end = flow.path(np.array([flow.t_end]))[0]
        a, W = end[:m], end[m:].reshape(m, d)
        codes, field = flow.pattern(flow.t_end), self.field
        p, p0 = field.pulls(field.outputs(a, W, codes)), field.first_pulls
        gradient = float(row_norms(field.gradient(a, W, codes)))
        # If labels and outputs did not cancel: |y| + |h| in place of |y - h|.
        terms = np.abs(field.activation.weights(codes)) @ (
            (np.abs(p0) + np.abs(p - p0)) * self.reference.lengths) / len(p)
        lost = flow.setting.shrinking(m, d) * np.abs(end)
        largest = float(row_norms(np.append(terms * row_norms(np.column_stack([a, W])), lost)))
        pieces = len(flow.path.pieces) if whole_run else seen
        each = MARGIN_EACH * float(np.mean(self.swings or [1.0]))
        rises, energies = (max(self.first_loss, part * self.margin) or 1.0
                           for part in (MARGIN, max(MARGIN, each * pieces)))
        value = float(field.value(field.outputs(a, W))) + flow.setting.penalty(a, W)
        fallen = self.first_loss - value if whole_run else self.lost
        rounding = max(self.reference.rounding(field.outputs(*net)) for net in (
            (flow.path.start[:m], flow.path.start[m:].reshape(m, d)), (a, W)))
        rounding /= tolerance(self.rtol)
        rises, energies = max(rises, rounding), max(
            energies, rounding * (1 if whole_run else pieces))
        size = np.where(self.terms > 0, self.terms, 1.0)
        # Over what it may be: sums, so that an outlier weighs the less the more there are.
        most = LASTING * self.granted + CLIP * SPARE * self.intervals
        sums = self._sums() / (self.clip / CLIP * most)
        point, offset = self.offsets.found()
        return Certificate(
            balance=self.drift / size, lorentz=local_lorentz(flow, most=pairs).largest,
            energy=(fallen - dissipated) / energies, loss_rise=worst(0.0, self.rise) / rises,
            margin_fall=self.fall, gap=self.gap, wrong_side=self.wrong, wrong_pair=self.pair,
            multiplier=self.multiplier, multiplier_neuron=self.off_range, defect=self.defect,
            lasting=np.where(self.count >= ENOUGH, sums, 0.0),
            offset=offset, offset_point=point, off_event=self.contacts.off,
            contradictions=self.contacts.count, first=tuple(self.contacts.found),
            stored=self._stored(),
            stationarity=gradient / largest if largest > 0 else 0.0, gradient=gradient,
            rtol=self.rtol, checked=self.checked, pieces=(seen, len(flow.path.pieces)),
            events=(min(self.contacts.looked, len(flow.events)), len(flow.events)),
            neurons=(int((self.met & self.alive).sum()), int(self.alive.sum())),
            looked=self.looked / self.shown if self.shown else 1.0)


def worst(one: float, other: float) -> float:
    """The larger; NaN if either is."""
    return float(np.maximum(one, other))
