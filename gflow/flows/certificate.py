"""A-posteriori evidence: what must hold on an exact flow, recomputed from the trajectory."""

from __future__ import annotations

from dataclasses import dataclass
import numpy as np

from ..problem.checks import whole
from ..problem.field import speed
from ..problem.norms import row_norms
from ..engines.events import OFF, ON, SLIDING
from ..engines.record import Record
from ..engines.trajectory import by_neuron
from ..theory.lorentz import local_lorentz
from .contacts import Contacts
from .defect import AT_ZERO, NARROWEST, WIDTH, Look, Reference, Sight, choose, defects


FEWER_DIGITS = float(np.finfo(float).tiny / np.finfo(float).eps)
"""Weights below this have lost digits to underflow (a neuron may shrink for ever)."""
GONE = 1e-15
"""Weights carry rounding of this part of the largest that their neuron has been. One below that
over the width of a hyperplane has no direction left to judge, and is left out: at ``rtol`` 1e-8
below 3e-8 of its largest."""
MOST_PIECES = 500
"""Of more pieces than this an even sample is checked; for the energy identity only if asked to."""
MOST_PAIRS = 500
"""So many intervals of pairs of neurons are checked."""
MOST_EVENTS = 600
"""So many events are compared with the weights, about."""
FEWEST_INTERVALS = 200
"""On so many intervals of a run, about, the field is integrated; one a piece at least."""
SEED = 20
"""Of the random intervals."""
ENOUGH = 8
"""Of so many intervals the mean of the defects of a neuron is judged."""
DEFECT, DEFECT_ROUNDING = 100.0, 3e-9
"""A defect is ``max(DEFECT rtol, DEFECT_ROUNDING)`` at most. Pulls of the fast engine err by
``20 rtol`` of a neuron on a window (`gflow.engines.waveform.rounds.ALLOWANCE`), those of steppers
by some ``rtol`` a step: 42 is the most measured on right runs, most are below 10."""
JUMP, JUMP_ROUNDING = 10.0, 3e-10
"""The same for jumps between pieces: 1.8 ``rtol`` is the most measured on right runs."""
LASTING, OUTLIERS = 1.5, 3
"""Of the mean of many intervals, with what exceeds `CLIP` ``rtol`` cut to that: errors of a right
run come and go, so that it is ``LASTING`` at most, and so many outliers."""
CLIP, CLIP_ROUNDING = 10.0, 3e-10
MARGIN = 0.1
"""Losses are judged by this part of what errors of the weights do to them, if that is more than
the first loss: ``100 rtol`` of weights, as they are judged with ``1000 rtol``."""
PULLS = 2.0
"""Error of the weights, over ``rtol``, that multipliers are judged with."""
SUM_ROUNDING = 1e-13
"""Rounding of a multiplier, relative to the terms that it sums."""


@dataclass(frozen=True)
class Certificate:
    """Checks of a run. All are relative; small is good, and NaN is doubt.

    Attributes
    ----------
    defect : ndarray, shape (m,)
        Largest ``|u(t2) - u(t1) - int F dt|`` of a neuron ``u = (a, w)``, relative to ``|u|``, on
        random intervals of the pieces looked at, ``F`` being the field of
        `gflow.problem.field.Field` with the signs of ``w.x``; divided by 1 plus what an error of 1
        of all weights would do to the integral.
    lasting : ndarray, shape (m,)
        Norm of the mean of these defects, signs kept, each cut to `CLIP` ``rtol``, over what it
        may be; 0 of less than 8 intervals.
    off_event : float
        Largest ``|w_i.x_k| / (|(a_i, w_i)| |x_k|)`` at the time of an event.
    contradictions : int
        Records that do not follow from one another, or whose sides weights do not have a little
        before and after; slides without a record; a pattern that is not that of the start.
    first : tuple of str
        The first contradiction of every kind.
    stored : float
        Largest difference of what is stored (the end, states at reported times) from the path.
    balance : ndarray, shape (m,)
        Largest drift of ``a_i^2 - |w_i|^2`` on the run, relative to the largest ``a_i^2 + |w_i|^2``
        of that neuron.
    lorentz : float
        Largest drift of ``a_i a_j - w_i.w_j`` while neurons i and j share their pattern, of a
        sample of pairs, relative to the two; see `gflow.theory.local_lorentz`.
    energy : float
        ``L(0) - L(t) - int |grad L|^2`` relative to ``L(0)``, or to `MARGIN` times what relative
        errors of the weights do to ``L``; of the pieces looked at, if there is a limit on them.
    loss_rise : float
        Largest rise of the loss between consecutive checked times, relative to the same.
    gap : float
        Largest jump between consecutive pieces of the dense output, relative to the neuron.
    wrong_side : float
        Largest ``|w_i.x_k| / (|(a_i, w_i)| |x_k|)`` on the wrong side of the recorded pattern (off
        the hyperplane, for a sliding neuron).
    wrong_pair : tuple of int
        Neuron and point where that is, (-1, -1) if nowhere.
    multiplier : float
        How far a sliding multiplier leaves [0, 1] at most, beyond what errors of the weights do to
        the pulls that this neuron sees; 0 if none does.
    stationarity : float
        Norm of the min-norm gradient at the end, relative to what it would be if labels and
        outputs did not cancel: near 0 at a stationary point, an interpolation or not.
    gradient : float
        Norm of the min-norm gradient at the end.
    rtol : float
        Of the run: what `limits` are made of.
    checked : int
        Number of times looked at, those of intervals and events not counted.
    pieces, events : tuple of int
        How many of how many were looked at.
    looked : float
        Share of moving neurons x intervals that was looked at; on the others a sign changed.
    """

    defect: np.ndarray
    lasting: np.ndarray
    off_event: float
    contradictions: int
    first: tuple[str, ...]
    stored: float
    balance: np.ndarray
    lorentz: float
    energy: float
    loss_rise: float
    gap: float
    wrong_side: float
    wrong_pair: tuple[int, int]
    multiplier: float
    stationarity: float
    gradient: float
    rtol: float
    checked: int
    pieces: tuple[int, int]
    events: tuple[int, int]
    looked: float

    @property
    def tolerance(self) -> float:
        """What ``balance``, ``lorentz``, ``energy`` and ``loss_rise`` are judged against."""
        return max(1000 * self.rtol, 1e-11)

    @property
    def limits(self) -> dict[str, tuple[float, float]]:
        """What was found, at worst, and what it may be at most: `DEFECT` and the constants beside
        it say why."""
        wide, plane = self.tolerance, max(WIDTH * self.rtol, NARROWEST)
        step, jump = max(DEFECT * self.rtol, DEFECT_ROUNDING), max(JUMP * self.rtol, JUMP_ROUNDING)
        return {"defect": (peak(self.defect), step),
                "lasting": (peak(self.lasting), 1.0),
                "off_event": (self.off_event, plane),
                "contradictions": (float(self.contradictions), 0.0),
                "stored": (self.stored, jump), "gap": (self.gap, jump),
                "wrong_side": (self.wrong_side, plane),
                "multiplier": (self.multiplier, wide),
                "balance": (peak(self.balance), wide), "lorentz": (self.lorentz, wide),
                "energy": (abs(self.energy), wide), "loss_rise": (self.loss_rise, wide)}

    @property
    def doubts(self) -> tuple[str, ...]:
        """Names of the checks that are not within their limit: NaN is not."""
        return tuple(name for name, (found, most) in self.limits.items() if not found <= most)

    @property
    def ok(self) -> bool:
        """Whether every check is within tolerance."""
        return not self.doubts

    def __repr__(self) -> str:
        limits = self.limits

        def line(title: str, name: str, more: str = "", sign: str = "") -> str:
            value = self.energy if name == "energy" else limits[name][0]
            mark = "  <-- doubt" if name in self.doubts else ""
            return f"  {title:24s} {value:{sign}.2e} (at most {limits[name][1]:.1e}){more}{mark}"

        def neuron(values: np.ndarray) -> str:
            return f" (neuron {int(np.argmax(values))})" if values.size else ""

        pair = ("" if self.wrong_pair[0] < 0 else
                f" (neuron {self.wrong_pair[0]}, point {self.wrong_pair[1]})")
        (seen, pieces), (met, events) = self.pieces, self.events
        return "\n".join([
            f"Certificate: {'ok' if self.ok else 'DOUBTFUL'} "
            f"(rtol {self.rtol:.1e}, {self.checked} times checked)",
            line("defect of the field", "defect", neuron(self.defect)),
            line("its mean over the run", "lasting", neuron(self.lasting)),
            line("off the plane at events", "off_event"),
            f"  contradictions           {self.contradictions}"
            + (f"  <-- doubt: {self.first[0]}" if self.first else ""),
            line("balancedness drift", "balance", neuron(self.balance)),
            line("pairs of one pattern", "lorentz"),
            line("energy identity", "energy", sign="+"),
            line("largest rise of loss", "loss_rise"),
            line("largest jump", "gap"),
            line("stored states", "stored"),
            line("wrong side of pattern", "wrong_side", pair),
            line("multipliers off [0, 1]", "multiplier"),
            f"  stationarity at the end  {self.stationarity:.2e} (|grad| = {self.gradient:.2e})",
            f"  looked at {seen} of {pieces} pieces ({self.looked:.0%} of neurons x intervals in "
            f"them), {met} of {events} events: one wrong piece would be missed in "
            f"{1 - seen / max(pieces, 1):.0%} of cases, one event moved in "
            f"{1 - met / max(events, 1):.0%}"])


def peak(values: np.ndarray) -> float:
    """The largest, NaN if there is one."""
    return float(values.max()) if values.size else 0.0


def certify(flow: Record, most: int | None = None) -> Certificate:
    """Check a run with plain NumPy, from the dense output, the events and the data alone.

    Parameters
    ----------
    flow : Flow
        The run.
    most : int, optional
        Look at no more than so many pieces of the trajectory (two at least) and pairs of neurons:
        an even sample, for the energy identity too. Default: 500, but the energy identity on all.

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
    sampled = set(range(count))
    if count > limit:
        # Pieces beside each other, so that jumps between them show.
        first = np.linspace(0, count - 2, max(limit // 2, 1)).astype(int)
        sampled = set(first) | set(first + 1)
    audit = _Audit(flow, len(sampled))
    dissipated = 0.0
    for p in range(count):
        if most is None or p in sampled:
            dissipated += path.dissipation(p)
        if p in sampled:
            audit.look(p)
    whole_run = most is None or len(sampled) == count
    return audit.verdict(dissipated, whole_run, min(limit, MOST_PAIRS), len(sampled))


class _Audit:
    """Running maxima of the checks, and the pattern replayed along the events."""

    def __init__(self, flow: Record, pieces: int) -> None:
        self.flow, path = flow, flow.path
        self.rtol = float(flow.settings["rtol"])
        self.m, self.d = path.m, path.d
        self.field = flow.field
        self.reference = Reference(flow.field, self.m, self.rtol)
        self.contacts = Contacts(flow, self.reference)
        self.clip = max(CLIP * self.rtol, CLIP_ROUNDING)
        self.codes = flow.initial_pattern.copy()
        self.next_event = 0
        self.marks = np.random.default_rng(0).random(flow.data.n)
        self.intervals = int(np.clip(FEWEST_INTERVALS // max(pieces, 1), 1, 6))
        self.events_each = -(-MOST_EVENTS // max(pieces, 1))
        start = self.reference.see(path.start[None, :])
        self.invariant = self._invariant(start)[0]
        self.size = start.size[0]**2
        self.first_loss = self.last_loss = self._losses(path.start[None, :])[0]
        self.scale = max(self.first_loss, MARGIN * self._margin(start))
        self.drift, self.defect = np.zeros(self.m), np.zeros(self.m)
        self.total, self.count = np.zeros((self.m, self.d + 1)), np.zeros(self.m)
        self.shown = self.looked = 0
        self.lost = self.rise = self.gap = self.wrong = self.multiplier = 0.0
        self.last_piece, self.last_state = -1, path.start
        self.pair = (-1, -1)
        self.checked = 1
        self.peak = start.size[0]
        self._first(start)

    def _first(self, start: Sight) -> None:
        """The initial pattern is that of the start, where that is off every hyperplane."""
        z, codes = start.z[0], self.codes
        clear = np.abs(z) > self.reference.band
        wrong = clear & (codes != (z > 0))
        wrong[:, self.reference.lengths == 0] |= codes[:, self.reference.lengths == 0] != OFF
        for i, k in np.argwhere(wrong)[:1]:
            self.contacts.contradict(int(i), int(k), 0.0, "starts with another pattern",
                                     int(wrong.sum()))

    def _losses(self, states: np.ndarray) -> np.ndarray:
        m, d = self.m, self.d
        return np.array([float(self.field.value(self.field.outputs(s[:m], s[m:].reshape(m, d))))
                         for s in states])

    def _margin(self, sight: Sight) -> float:
        """What errors of the weights by ``rtol`` do to the loss, over ``rtol``: what a difference
        of losses is judged by where they cancel, as at a loss of 0."""
        h = (np.abs(sight.p) * sight.error + self.rtol * sight.error**2).mean(axis=1)
        return float(h.max())

    @staticmethod
    def _invariant(sight: Sight) -> np.ndarray:
        return np.asarray(sight.a**2 - (sight.W**2).sum(axis=2))

    def look(self, p: int) -> None:
        """Check a piece: in its middle, at its end, on random intervals and at its events."""
        path = self.flow.path
        t0, t1 = path.breaks[p], min(path.breaks[p + 1], path.t_end)
        times = np.array([t0, (t0 + t1) / 2, t1])
        states = path.evaluate(p, times)
        if p == self.last_piece + 1:
            self._jump(states[0], self.last_state)
        self.last_piece, self.last_state = p, states[-1]
        losses = self._losses(states)
        self.lost += losses[0]
        sight = self.reference.see(states)
        self.scale = max(self.scale, MARGIN * self._margin(sight))
        self.peak = np.maximum(self.peak, sight.size.max(axis=0))
        floor = self.contacts.floor = np.maximum(
            GONE / self.reference.band * self.peak, FEWER_DIGITS)
        self.gone = (sight.size <= floor).any(axis=0)
        for j in (1, 2):
            self._replay(times[j])
            self.rise = worst(self.rise, losses[j] - self.last_loss)
            self.last_loss = losses[j]
            self._state(sight, j, times[j])
        self.lost -= self.last_loss
        self._closely(p, t0, t1, sight)

    def _jump(self, one: np.ndarray, other: np.ndarray) -> None:
        size = by_neuron(np.abs(one), self.m)
        jump = by_neuron(np.abs(one - other), self.m)
        self.gap = worst(self.gap, (jump / np.where(size > 0, size, 1.0)).max())

    def _replay(self, t: float) -> None:
        events = self.flow.events
        upto = int(np.searchsorted(events["time"], t, side="right"))
        past = events[self.next_event:upto]
        self.codes[past["neuron"], past["point"]] = past["to"]
        self.next_event = max(upto, self.next_event)

    def _closely(self, p: int, t0: float, t1: float, sight: Sight) -> None:
        """The field on random intervals of a piece, and its events."""
        if not t1 > t0:
            return
        reference, contacts, path = self.reference, self.contacts, self.flow.path
        time = self.flow.events["time"]
        first, last = np.searchsorted(time, t0, "left"), np.searchsorted(time, t1, "right")
        turning = row_norms(reference.fields(sight, np.zeros(sight.z.shape, dtype=bool)))
        rate = max(float(reference.sensitivity(sight).max()), float(turning.max()))
        look = choose(np.random.default_rng([SEED, p]), t0, t1, np.unique(time[first:last]), rate,
                      self.intervals)
        which = np.arange(first, last)
        if which.size > self.events_each:
            which = which[np.linspace(0, which.size - 1, self.events_each).astype(int)]
        moments = contacts.times(which, t0, t1, turning.max(axis=0))
        moments_known = moments[np.isfinite(moments)]
        states = path.evaluate(p, np.concatenate([look.ends[:, 0], look.ends[:, 1], look.nodes,
                                                  moments_known]))
        count, nodes = len(look.ends), len(look.nodes)
        if count:
            self._follow(look, states[:count], states[count:2 * count],
                         reference.see(states[2 * count:2 * count + nodes]))
        contacts.look(which, moments, reference.see(states[2 * count + nodes:]))

    def _follow(self, look: Look, first: np.ndarray, last: np.ndarray, sight: Sight) -> None:
        found, spread = defects(self.reference, look, first, last, sight)
        moves = (np.abs(sight.a).max(axis=0) > 0) & ~self.gone
        living = np.tile(moves & (sight.z > -self.reference.band).any(axis=(0, 2)),
                         (len(first), 1))
        left = np.isnan(found).any(axis=2) & np.isfinite(first).all() & np.isfinite(last).all()
        seen = living & ~left
        self.shown += int(living.sum())
        self.looked += int(seen.sum())
        found /= 1 + spread[:, :, None]
        sizes = np.where(self.gone, 0.0, np.sqrt((found**2).sum(axis=2)))
        sizes[left] = 0.0
        self.defect = np.maximum(self.defect, sizes.max(axis=0))
        cut = np.minimum(1.0, self.clip / np.maximum(sizes, self.clip))
        self.total += np.where(seen[..., None], found * cut[..., None], 0.0).sum(axis=0)
        self.count += seen.sum(axis=0)

    def _state(self, sight: Sight, j: int, t: float) -> None:
        self.drift = np.maximum(self.drift, np.abs(self._invariant(sight)[j] - self.invariant))
        self.size = np.maximum(self.size, sight.size[j]**2)
        self.checked += 1
        norms = row_norms(sight.W[j])
        # A neuron that has reached w = 0 is on every hyperplane.
        known = (norms > np.maximum(AT_ZERO * np.abs(sight.a[j]), FEWER_DIGITS)) & ~self.gone
        z = np.where(known[:, None], sight.z[j], 0.0)
        wrong = np.where(self.codes == ON, -z, np.where(self.codes == OFF, z, np.abs(z)))
        at = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        if not (wrong[at] <= self.wrong or np.isnan(self.wrong)):
            self.wrong, self.pair = float(wrong[at]), (int(at[0]), int(at[1]))
        there = (np.abs(z) <= self.reference.band) & (self.codes != SLIDING) & known[:, None]
        there &= (self.reference.lengths > 0) & (sight.a[j] != 0)[:, None]
        for i, k in np.argwhere(there)[:MOST_PAIRS]:
            self.contacts.side(sight, j, i, k, t, int(self.codes[i, k]),
                               self.contacts.since(i, k, t))
        sliding = np.flatnonzero((self.codes == SLIDING).any(axis=1))
        if sliding.size:
            # Neurons of one pattern have the same multipliers.
            marks = self.codes[sliding].astype(float) @ self.marks
            for i in sliding[np.unique(marks, return_index=True)[1]]:
                self.multiplier = worst(self.multiplier, self._excess(sight, j, int(i)))

    def _excess(self, sight: Sight, j: int, i: int) -> float:
        """How far multipliers of one neuron, one a hyperplane, leave [0, 1], beyond what errors
        of the weights by `PULLS` ``rtol`` do to the pulls that this neuron sees."""
        reference, X = self.reference, self.flow.data.X
        points = self.codes[i] == SLIDING
        active = (self.field.activation.weights(self.codes[i]) * ~points) / reference.n
        p, error = sight.p[j], PULLS * self.rtol * sight.error[j]
        V, below, above = reference.limits(points, p[None, :])
        solve = np.linalg.pinv(V.T)
        total = -solve @ ((active * p) @ X)
        jump = (above - below)[0]
        # As in kernels.crossings.multiplier_errors: of the pulls on the active side, and its own.
        A = self.flow.data.arrangement
        planes = np.unique(A.label[points])
        own = (A.label == planes[:, None]) * np.abs(A.length) / reference.n
        slack = np.abs(solve @ X.T) @ (active * error) + own @ error
        low, high = np.minimum(below[0], above[0]), np.maximum(below[0], above[0])
        size = np.abs(solve @ X.T) @ (active * np.abs(p)) + own @ np.abs(p)
        slack = slack + SUM_ROUNDING * size
        over = np.maximum(low - total, total - high) - slack
        if len(V) > np.linalg.matrix_rank(V):
            return 0.0
        return float(np.max(np.where(over > 0, over, 0.0) / (np.abs(jump) + slack + FEWER_DIGITS)))

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
            size = by_neuron(np.abs(other), self.m)
            off = worst(off, (by_neuron(np.abs(one - other), self.m)
                              / np.where(size > 0, size, 1.0)).max())
        return off

    def verdict(self, dissipated: float, whole_run: bool, pairs: int, seen: int) -> Certificate:
        """The certificate at the end of the run, on which, or on the pieces looked at, so much was
        ``dissipated``; so many ``pairs`` are checked, so many pieces were ``seen``."""
        flow, m, d = self.flow, self.m, self.d
        end = flow.path(np.array([flow.t_end]))[0]
        a, W = end[:m], end[m:].reshape(m, d)
        codes, field = flow.pattern(flow.t_end), self.field
        p, p0 = field.pulls(field.outputs(a, W, codes)), field.first_pulls
        gradient = speed(a, W, field.fields(codes, p))
        # If labels and outputs did not cancel: |y| + |h| in place of |y - h|.
        terms = np.abs(field.activation.weights(codes)) @ (
            (np.abs(p0) + np.abs(p - p0)) * self.reference.lengths) / len(p)
        largest = float(row_norms(np.append(terms * row_norms(np.column_stack([a, W])), 0.0)))
        scale = self.scale or 1.0
        lost = self.first_loss - self._losses(end[None, :])[0] if whole_run else self.lost
        size = np.where(self.size > 0, self.size, 1.0)
        # Over what it may be: sums, so that three outliers weigh the less the more there are.
        sums = row_norms(self.total) / (self.clip / CLIP * (LASTING * self.count
                                                            + CLIP * OUTLIERS))
        return Certificate(
            balance=self.drift / size, lorentz=local_lorentz(flow, most=pairs).largest,
            energy=(lost - dissipated) / scale, loss_rise=worst(0.0, self.rise) / scale,
            gap=self.gap, wrong_side=self.wrong, wrong_pair=self.pair,
            multiplier=self.multiplier, defect=self.defect,
            lasting=np.where(self.count >= ENOUGH, sums, 0.0), off_event=self.contacts.off,
            contradictions=self.contacts.count, first=tuple(self.contacts.found),
            stored=self._stored(),
            stationarity=gradient / largest if largest > 0 else 0.0, gradient=gradient,
            rtol=self.rtol, checked=self.checked, pieces=(seen, len(flow.path.pieces)),
            events=(min(self.contacts.looked, len(flow.events)), len(flow.events)),
            looked=self.looked / self.shown if self.shown else 1.0)


def worst(one: float, other: float) -> float:
    """The larger; NaN if either is."""
    return float(np.maximum(one, other))
