"""By how much a run amplifies errors of its neurons: `gflow.Flow.conditioning`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from scipy.linalg import expm

from ..engines.events import OFF, ON, SLIDING
from ..engines.origin import origin
from ..engines.record import Record
from ..kernels.chebyshev import nodes, to_series
from ..problem.checks import whole
from ..problem.clock import Clock
from ..problem.field import Field
from ..problem.norms import row_norms
from ..problem.rates import Rates
from ..problem.value import Value
from .misses import Misses
from .pieces import pieces

TURN = 0.3
"""Longest step of a propagator, in units of the rate of its neuron: the method of fourth order then
errs by some 1e-4 of the amplification."""
MANY = 10.0
"""So many turns under pulls that stay are made by squaring one step."""
STEADY = 1e-14
"""Pulls stay if they change by no more than this part of them: by rounding."""
LONGEST = 1e6
"""Turns on one piece under other pulls, or under decay, at most."""
DEGREE = 8
"""Of the pulls on a piece, as in the windows of the fast engine."""
MOST_CLOSE = 500
"""So many pairs of crossings that undo each other are looked at, those closest in time first."""
CROSSING = np.dtype([("time", "f8"), ("neuron", "i8"), ("point", "i8"), ("ratio", "f8")])
CLOSE = np.dtype([("time", "f8"), ("neuron", "i8"), ("point", "i8"), ("depth", "f8"),
                  ("rtol", "f8"), ("met", "?")])


@dataclass(frozen=True, eq=False)
class Conditioning(Value):
    """How errors of single neurons grow, under pulls that do not answer to them.

    Attributes
    ----------
    neurons : ndarray of int, shape (s,)
        The neurons looked at.
    t : ndarray, shape (P + 1,)
        The start and the ends of the pieces of the run.
    amplification : ndarray, shape (P + 1, s)
        Relative error of the neuron at that time over that at the start, at most: the norm of its
        propagator times ``|u(0)| / |u(t)|``, with ``u = (a, w)``, or with speeds of layers the
        neuron ``(q a, w / q)`` that ``rtol`` is relative to (`gflow.problem.rates`); 0 where that
        is 0. Infinite beyond the range of double precision, where there is its logarithm.
    log_amplification : ndarray, shape (P + 1, s)
        Natural logarithm of it, at any size.
    crossings : structured ndarray
        ``time``, ``neuron``, ``point`` and ``ratio``, the normal velocity after over that before:
        what is off the hyperplane is multiplied by it. Large ones are grazing.
    close : structured ndarray
        Crossings that are undone soon: ``depth`` is how far the neuron goes beyond,
        ``|w.x| / (|u| |x|)``, in the middle between the two, and ``rtol`` the tolerance at
        which errors are a tenth of that, so that it decides whether there is a crossing at all.
        And, where ``met`` is false, times at which the neuron turns back that far from a hyperplane
        that it does not meet: of these the 200 that seem nearest.
    rtol : float
        Of the run.
    m : int
        How many neurons there are.
    """

    neurons: np.ndarray
    t: np.ndarray
    amplification: np.ndarray
    log_amplification: np.ndarray
    crossings: np.ndarray
    close: np.ndarray
    rtol: float
    m: int

    @property
    def largest(self) -> float:
        """The largest amplification; 1 if no neuron was looked at."""
        return float(self.amplification.max(initial=1.0))

    @property
    def undecided(self) -> np.ndarray:
        """Rows of ``close`` that the ``rtol`` of the run is too large for."""
        return np.asarray(self.close[self.close["rtol"] < self.rtol])

    def __repr__(self) -> str:
        where = ""
        by = f"{self.largest:.3g}"
        if self.amplification.size:
            log = self.log_amplification
            j, i = np.unravel_index(int(np.argmax(log)), log.shape)
            where = f" (neuron {self.neurons[i]}, t = {self.t[j]:.6g})"
            if not np.isfinite(self.largest):
                by = f"exp({log[j, i]:.6g})"
        lines = [f"Conditioning: errors are amplified by {by} at most{where}; "
                 f"{self.neurons.size} of {self.m} neurons looked at"]
        if self.crossings.size:
            worst = self.crossings[np.argmax(np.abs(self.crossings["ratio"]))]
            lines.append(f"  steepest crossing  {abs(worst['ratio']):.3g} (neuron "
                         f"{worst['neuron']}, point {worst['point']}, t = {worst['time']:.6g})")
        for row in self.undecided[:5]:
            lines.append(f"  undecided          neuron {row['neuron']} at point {row['point']}, "
                         f"t = {row['time']:.6g}: {'' if row['met'] else 'not met, '}"
                         f"rtol = {row['rtol']:.1e} would decide")
        return "\n".join(lines)


def condition(flow: Record, most: int = 50, progress: bool = False) -> Conditioning:
    """How errors of single neurons grow on a run.

    Between events a neuron obeys ``u' = [[0, D'], [D, 0]] u``, which is linear whatever the loss
    is, less ``decay u``, and with rows times the speeds of the layers. At a crossing its
    error is multiplied by ``I + (D+ - D-) v' / (v.D-)`` on ``w``. So it is at the arrival at a
    slide, where that is a projection on the hyperplane, unless the neuron leaves another slide
    there; at a release by itself it goes on. Pulls are those of the run: what errors of
    one neuron do to the others, and those to it, is left out.

    Parameters
    ----------
    flow : Flow
        The run.
    most : int
        Look at no more than so many neurons: those that move, evenly.
    progress : bool
        Draw a text meter on standard error.

    Returns
    -------
    Conditioning

    Raises
    ------
    TypeError, ValueError
        If ``most`` is not a positive whole number, the activation is smooth, output weights are
        optimal at every time, or the bias has a decay of its own; or if the run is too long.

    References
    ----------
    Aizerman and Gantmakher, "Determination of stability by linear approximation of a periodic
    solution of a system of differential equations with discontinuous right-hand sides", 1958
    (saltation); Filippov, "Differential Equations with Discontinuous Righthand Sides", 1988.
    """
    _suits(flow)
    moves = (flow.initial_pattern != OFF).any(axis=1) | (flow.field.activation.slope != 0.0)
    moves[flow.events["neuron"]] = True
    who = np.flatnonzero(moves)
    most = whole(most, "most")
    if who.size > most:
        who = who[np.linspace(0, who.size - 1, most).astype(int)]
    track = _Track(flow, who)
    found = [track.amplification(*track.first)]
    for p in pieces(flow, progress):
        found.append(track.amplification(*track.follow(p)))
    # No neuron may move at all.
    grown, log = np.array(found).reshape(len(found), 2, who.size).transpose(1, 0, 2)
    t = np.append(flow.path.breaks[:-1], flow.t_end)
    crossings = np.sort(np.array(track.crossings, dtype=CROSSING), order=["time", "neuron"])
    return Conditioning(who, t, grown, log, crossings,
                        _close(flow, track, t, log),
                        float(flow.settings["rtol"]), flow.path.m)


def _suits(flow: Record) -> None:
    """Refuse a run whose neurons obey other equations.

    Raises
    ------
    ValueError
        In one sentence.
    """
    setting, d = flow.field.setting, flow.path.d
    has = ("a smooth activation" if flow.field.activation.smooth else
           "output weights that are optimal at every time" if setting.two_times else
           "a decay of its own for the bias" if np.ptp(setting.shrinking(1, d)[1:]) > 0 else "")
    if has:
        raise ValueError(f"conditioning is not known for a run with {has}: compare runs instead "
                         "(check=True)")


class _Track:
    """Propagators of some neurons, piece by piece, by the clock of the run: in units of powers of
    two, as neurons are, since both leave double precision."""

    def __init__(self, flow: Record, who: np.ndarray) -> None:
        self.flow, self.who = flow, who
        self.field: Field = flow.field
        self.origin, d = origin(flow.path), flow.path.d
        self.clocked = self.origin.clock.parts is not None
        self.speeds = np.repeat(np.array(self.field.setting.rates, dtype=float), [1, d])
        self.decay = self.field.setting.shrinking(1, d) * self.speeds
        # Errors are relative to the neuron of the flow with one speed.
        self.unit = 1 / Rates(*self.field.setting.rates).weights(1, d)
        self.Phi = np.tile(np.eye(d + 1), (who.size, 1, 1))
        self.power = np.zeros(who.size)
        self.codes = flow.initial_pattern[who].copy()
        self.events = flow.events[np.isin(flow.events["neuron"], who)].copy()
        self.times = self.events["time"].copy()
        self.events["time"] = self.inside(self.times)
        self.next = 0
        start, unit = flow.path.scaled(np.array(flow.path.breaks[:1]))
        self.first = self.sizes(start[0], unit[0])
        self.crossings: list[tuple[float, int, int, float]] = []
        A = flow.data.arrangement
        self.misses = Misses(who, A.normal, float(flow.settings["rtol"]), self.unit)
        self.slides = self.codes[:, A.member[A.start[:-1]]] == SLIDING

    def inside(self, t: np.ndarray) -> np.ndarray:
        """Times of the clock, if there is one."""
        return np.asarray(self.origin.inside(t) if self.clocked else t)

    def log_rate(self, s: np.ndarray) -> np.ndarray | None:
        """``log dt/ds`` at times ``s`` (J,) of one piece, (J, 1); None where they are t."""
        parts = self.origin.clock.parts
        if parts is None:
            return None
        now = int(np.searchsorted(parts[:, 0], s[len(s) // 2], side="right"))
        unit = float(self.origin.rates.outside(self.origin.units.outside(1.0)))
        return np.asarray(np.log(unit) + Clock(parts[:max(now, 1)]).log_rate(s))[:, None]

    def sizes(self, neurons: np.ndarray, power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Norms of ``(a, w)`` (s,) at one of the times of ``path.scaled``, in units of 2 to the
        power (s,)."""
        U = neurons[self.who] * self.unit
        return np.hypot(U[:, 0], row_norms(U[:, 1:])), power[self.who]

    def amplification(self, size: np.ndarray, power: np.ndarray) -> np.ndarray:
        """Of the neurons, and its logarithm (2, s), at the sizes that they have come to."""
        Phi = self.unit[:, None] * self.Phi / self.unit
        norm = np.linalg.norm(Phi, 2, axis=(1, 2)) if self.who.size else np.empty(0)
        first, unit = self.first
        part = np.where(size > 0, norm * first / np.where(size > 0, size, 1.0), 0.0)
        exponent = self.power + unit - power
        whole = np.ldexp(part, exponent.clip(-5000, 5000).astype(int))
        return np.array([whole, np.log(part) + exponent * np.log(2.0)])

    def rate(self, D: Any) -> Any:
        """At which neurons move in fields of these norms."""
        output, hidden = self.speeds[0], self.speeds[-1]
        return (D * (np.sqrt(output * hidden) if output * hidden else max(output, hidden))
                + self.decay.max())

    def grow(self, i: np.ndarray | list[int], steps: np.ndarray,
             power: np.ndarray | float = 0.0) -> None:
        """Multiply propagators ``i`` (S,) by ``steps`` (S, d + 1, d + 1), in units of 2 to the
        power (S,)."""
        self.Phi[i], more = _scaled(steps @ self.Phi[i])
        self.power[i] += more + power

    def follow(self, p: int) -> tuple[np.ndarray, np.ndarray]:
        """Take the propagators through a piece; `sizes` of the neurons at its end."""
        path, field = self.flow.path, self.field
        t0, t1 = path.breaks[p], min(path.breaks[p + 1], path.t_end)
        s0, s1 = self.inside(np.array([t0, t1]))
        s = s0 + (nodes(DEGREE) + 1) / 2 * (s1 - s0)
        t = np.clip(self.origin.outside(s), t0, t1) if self.clocked else s
        # A break is the end of the piece before.
        neurons, power = path.scaled(np.maximum(t, min(np.nextafter(t0, np.inf), t1)))
        V = neurons[:, self.who, 1:]
        a, W = np.ldexp(neurons[:, :, 0], power), np.ldexp(neurons[:, :, 1:], power[:, :, None])
        log = self.log_rate(s)
        pulls = field.pulls(np.array([field.outputs(*now) for now in zip(a, W)]), log)
        last = int(np.searchsorted(self.times, t1, side="right"))
        own = self.events[self.next:last]
        own["time"] = own["time"].clip(s0, s1)
        self.next = last
        parts = np.split(own, np.searchsorted(own["time"], s[:-1], side="right"))
        for now, u, met in zip(t, neurons[:, self.who], parts):
            self.misses.look(float(now), u, self._met(met))
        rates = np.zeros(self.who.size)
        for w, pull in zip(V, pulls):
            seen = np.where(w @ self.flow.data.X.T > 0, ON, OFF)
            rates = np.maximum(rates, row_norms(field.sums(seen, pull)))
        rates = self.rate(rates)
        course = _Pulls(s0, s1, to_series(DEGREE) @ pulls)
        busy = np.isin(self.who, own["neuron"])
        for i in np.flatnonzero(busy):
            self._carry(int(i), own[own["neuron"] == self.who[i]], course, float(rates[i]))
        if not busy.all():
            (size, unit), (end, now) = (self.sizes(neurons[j], power[j]) for j in (0, -1))
            moved = np.log(end) - np.log(size) + (now - unit) * np.log(2.0)
            self._pass(np.flatnonzero(~busy), course, float(rates[~busy].max()), moved)
        return self.sizes(neurons[-1], power[-1])

    def _met(self, events: np.ndarray) -> np.ndarray:
        """Pairs (s, C) of a neuron and a hyperplane that it slides on until the first of these
        ``events``, or that it meets in them."""
        met = self.slides.copy()
        pairs = (np.searchsorted(self.who, events["neuron"]),
                 self.flow.data.arrangement.label[events["point"]])
        met[pairs] = True
        self.slides[pairs] = events["to"] == SLIDING
        return np.asarray(met)

    def _pass(self, i: np.ndarray, course: _Pulls, rate: float, moved: np.ndarray) -> None:
        """Take the propagators of neurons without events through a piece, all in the same steps;
        the logarithms of their norms change by ``moved`` (s,)."""
        length, each = course.t1 - course.t0, np.ones(i.size)
        if length * rate > MANY:
            # Of sliding neurons that is more than the rate at which they turn.
            pulls = course(np.linspace(course.t0, course.t1, DEGREE + 1))
            D = np.array([self.field.fields(self.codes[i], now) for now in pulls])
            still = self._still(D, length, moved[i])
            D[:, still] = 0.0
            rate = self.rate(float(row_norms(D).max()))
            if length * rate > LONGEST and (self.decay.any() or D.any() and not course.steady):
                self._refuse(course)
            if course.steady or not D.any():
                self._pass_long(i, course, rate, D[0])
                return
            if still.any():
                self._pass(i[~still], course, rate, moved)
                return
        ends = np.linspace(course.t0, course.t1, 1 + max(1, int(np.ceil(length * rate / TURN))))
        for t, h in zip(ends[:-1], np.diff(ends)):
            self.grow(i, self._steps(self.codes[i], t * each, h * each, course))

    def _still(self, D: np.ndarray, length: float, moved: np.ndarray) -> np.ndarray:
        """Which neurons (S,) rest on a piece, for longer than they could in fields ``D``
        (J, S, d): these are what rounding leaves of none."""
        turns = row_norms(D).max(axis=0) * length
        rest = (turns > 1) & ~(np.abs(moved) > turns / 10) & (not self.decay.any())
        return np.asarray(rest)

    def _refuse(self, course: _Pulls) -> NoReturn:
        """Say on what piece too many steps would be needed, or more than can be said.

        Raises
        ------
        ValueError
            Always.
        """
        t0, t1 = (float(self.origin.outside(t)) if self.clocked else t
                  for t in (course.t0, course.t1))
        raise ValueError(f"conditioning is not known from t = {t0:.6g} to {t1:.6g}, more than "
                         f"{LONGEST:g} turns of a neuron: end the run before")

    def _pass_long(self, i: np.ndarray, course: _Pulls, rate: float, D: np.ndarray) -> None:
        """The same, in fields (S, d) that stay, by squaring a step."""
        length = course.t1 - course.t0
        k = max(0, int(np.ceil(np.log2(length) + np.log2(max(rate / TURN, 1e-300)))))
        step, power = expm(length * 0.5**k * self._matrices(D)), np.zeros(i.size)
        for _ in range(k):
            step, more = _scaled(step @ step)
            power = 2 * power + more
        self.grow(i, step, power)

    def _carry(self, i: int, events: np.ndarray, course: _Pulls, rate: float) -> None:
        """Take the propagator of one neuron through its ``events`` on a piece, and to its end."""
        # On a stepper the piece ends with them.
        stops = np.unique(np.append(events["time"], course.t1))
        begun = np.append(course.t0, stops[:-1])
        if (course.t1 - course.t0) * rate > LONGEST:
            self._refuse(course)
        counts = np.maximum(1, np.ceil((stops - begun) * (rate / TURN))).astype(int)
        codes, now = [], self.codes[i]
        for t in stops:
            codes.append(now)
            own = events[events["time"] == t]
            now = now.copy()
            now[own["point"]] = own["to"]
        codes.append(now)
        part = np.repeat(np.arange(stops.size), counts)
        h = ((stops - begun) / counts)[part]
        inside = np.arange(part.size) - np.repeat(np.cumsum(counts) - counts, counts)
        step = self._steps(np.array(codes)[part], begun[part] + inside * h, h, course)
        at = course(stops)
        for q, t in enumerate(stops):
            for E in step[part == q]:
                self.grow([i], E[None])
            own = events[events["time"] == t]
            if own.size:
                self._jump(i, own, codes[q], codes[q + 1], at[q])
        self.codes[i] = now

    def _steps(self, codes: np.ndarray, t: np.ndarray, h: np.ndarray,
               course: _Pulls) -> np.ndarray:
        """Steps (S, d + 1, d + 1) of the method of Magnus of fourth order from times ``t`` (S,), of
        lengths ``h``, on patterns ``codes`` (S, n)."""
        M = [self._matrices(self.field.fields(codes, course(t + node * h)))
             for node in (0.5 - 3**-0.5 / 2, 0.5 + 3**-0.5 / 2)]
        # By lengths first: fields and times may be tiny and huge.
        first, last = (h[:, None, None] * part for part in M)
        return np.asarray(expm((first + last) / 2 + 3**0.5 / 12 * (last @ first - first @ last)))

    def _matrices(self, D: np.ndarray) -> np.ndarray:
        """Of ``u' = M u`` (S, d + 1, d + 1) in fields (S, d)."""
        e = self.Phi.shape[1]
        M = np.zeros((len(D), e, e))
        M[:, 0, 1:], M[:, 1:, 0] = self.speeds[0] * D, self.speeds[-1] * D
        M[:, np.arange(e), np.arange(e)] = -self.decay
        return M

    def _jump(self, i: int, own: np.ndarray, before: np.ndarray, after: np.ndarray,
              p: np.ndarray) -> None:
        """Take a propagator through simultaneous events of its neuron, pulls there being ``p``."""
        arrangement = self.flow.data.arrangement
        old, new = self.field.fields(np.array([before, after]), p)
        meets = own[before[own["point"]] != SLIDING]
        arrives = meets[meets["to"] == SLIDING]
        crosses = meets[meets["to"] != SLIDING]
        w = self.Phi[i, 1:]
        if meets.size:
            # What is met may release from another slide.
            point = (crosses if crosses.size else arrives)["point"][0]
            v = arrangement.normal[arrangement.label[point]]
            speed = float(v @ old)
            if crosses.size:
                ratio = float(v @ new) / speed if speed != 0 else np.inf
                t = self.origin.outside(own["time"][0]) if self.clocked else own["time"][0]
                self.crossings.append((float(t), int(own["neuron"][0]), int(point), ratio))
            if speed != 0:
                w += np.outer(new - old, v @ w) / speed
        if arrives.size:
            on = np.unique(arrangement.label[after == SLIDING])
            basis = np.linalg.svd(arrangement.normal[on], full_matrices=False)
            Q = basis[2][basis[1] > 1e-9 * basis[1][0]]
            w -= Q.T @ (Q @ w)


@dataclass(frozen=True)
class _Pulls:
    """Pulls on a piece from ``t0`` to ``t1``: Chebyshev series (DEGREE + 1, n)."""

    t0: float
    t1: float
    series: np.ndarray

    @property
    def steady(self) -> bool:
        """Whether they change by no more than rounding."""
        size = np.abs(self.series)
        return bool(size[1:].sum(axis=0).max() <= STEADY * size[0].max())

    def __call__(self, t: np.ndarray) -> np.ndarray:
        """Pulls (J, n) at times (J,)."""
        s = 2 * (t - self.t0) / max(self.t1 - self.t0, 1e-300) - 1
        return np.asarray(chebvander(s, DEGREE) @ self.series)


def _scaled(Phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matrices (S, e, e) in units of 2 to the power (S,)."""
    power = np.frexp(np.abs(Phi).max(axis=(1, 2)))[1]
    return np.ldexp(Phi, -power[:, None, None]), power


def _close(flow: Record, track: _Track, t: np.ndarray, log: np.ndarray) -> np.ndarray:
    """Crossings that are undone, and hyperplanes that are nearly met. ``log`` is that of the
    amplification."""
    A, who = flow.data.arrangement, track.who
    rows = _undone(flow, who, track.unit) + [
        (miss.time, miss.time, miss.neuron, int(A.member[A.start[miss.plane]]), miss.depth, False)
        for miss in track.misses.found(flow)]
    found = np.zeros(len(rows), dtype=CLOSE)
    for row, (time, middle, i, k, depth, met) in enumerate(rows):
        at = min(int(np.searchsorted(t, middle)), len(t) - 1)
        grown = log[at, np.searchsorted(who, i)]
        found[row] = time, i, k, depth, np.exp(np.log(max(depth / 10, 1e-300)) - grown), met
    return found[np.argsort(found["rtol"], kind="stable")]


def _undone(flow: Record, who: np.ndarray, unit: np.ndarray
            ) -> list[tuple[float, float, int, int, float, bool]]:
    """Crossings that are undone: the first of a pair that follow one another, on and off; the time
    in the middle of them, neuron, point, how far it goes beyond, and that it is met. Neurons are
    measured times ``unit`` (d + 1,)."""
    events = flow.events[np.isin(flow.events["neuron"], who) & (flow.events["to"] != SLIDING)]
    events = events[np.lexsort((events["time"], events["point"], events["neuron"]))]
    one, other = events[:-1], events[1:]
    undone = ((one["neuron"] == other["neuron"]) & (one["point"] == other["point"])
              & (one["to"] != other["to"]) & (one["kind"] != "release")
              & np.isin(other["to"], (ON, OFF)) & (other["kind"] != "release"))
    one, other = one[undone], other[undone]
    order = np.argsort(other["time"] - one["time"], kind="stable")[:MOST_CLOSE]
    one, other = one[order], other[order]
    middle = (one["time"] + other["time"]) / 2
    i, k = one["neuron"], one["point"]
    u = np.zeros((middle.size, flow.path.d + 1))
    piece = np.searchsorted(flow.path.breaks, middle, side="right") - 1
    piece = np.clip(piece, 0, len(flow.path.pieces) - 1)
    for p in np.unique(piece):
        # A wide network is evaluated as a whole: once for all that is asked of a piece.
        rows = np.flatnonzero(piece == p)
        u[rows] = flow.path.scaled(middle[rows])[0][np.arange(rows.size), i[rows]]
    x, u = flow.data.X[k], u * unit
    depth = np.abs((u[:, 1:] * x).sum(axis=1)) / np.maximum(row_norms(u) * row_norms(x), 1e-300)
    return [(*row, True) for row in zip(one["time"].tolist(), middle.tolist(), i.tolist(),
                                        k.tolist(), depth.tolist())]
