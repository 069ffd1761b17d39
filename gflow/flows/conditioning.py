"""By how much a run amplifies errors of its neurons: `gflow.Flow.conditioning`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm

from ..engines.events import OFF, ON, SLIDING
from ..engines.record import Record
from ..problem.checks import whole
from ..problem.field import Field
from ..problem.norms import row_norms
from ..problem.value import Value
from .reference import Reference

TURN = 0.3
"""Longest step of a propagator, in units of the rate of its neuron: the method of fourth order then
errs by some 1e-4 of the amplification."""
MOST_CLOSE = 500
"""So many pairs of crossings that undo each other are looked at, those closest in time first."""
CROSSING = np.dtype([("time", "f8"), ("neuron", "i8"), ("point", "i8"), ("ratio", "f8")])
CLOSE = np.dtype([("time", "f8"), ("neuron", "i8"), ("point", "i8"), ("depth", "f8"),
                  ("rtol", "f8")])


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
        propagator times ``|u(0)| / |u(t)|``, with ``u = (a, w)``.
    crossings : structured ndarray
        ``time``, ``neuron``, ``point`` and ``ratio``, the normal velocity after over that before:
        what is off the hyperplane is multiplied by it. Large ones are grazing.
    close : structured ndarray
        Crossings that are undone soon: ``depth`` is how far the neuron goes beyond,
        ``|w.x| / (|(a, w)| |x|)``, in the middle between the two, and ``rtol`` the tolerance at
        which errors are a tenth of that, so that it decides whether there is a crossing at all.
    rtol : float
        Of the run.
    m : int
        How many neurons there are.
    """

    neurons: np.ndarray
    t: np.ndarray
    amplification: np.ndarray
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
        if self.amplification.size:
            j, i = np.unravel_index(int(np.argmax(self.amplification)), self.amplification.shape)
            where = f" (neuron {self.neurons[i]}, t = {self.t[j]:.6g})"
        lines = [f"Conditioning: errors are amplified by {self.largest:.3g} at most{where}; "
                 f"{self.neurons.size} of {self.m} neurons looked at"]
        if self.crossings.size:
            worst = self.crossings[np.argmax(np.abs(self.crossings["ratio"]))]
            lines.append(f"  steepest crossing  {abs(worst['ratio']):.3g} (neuron "
                         f"{worst['neuron']}, point {worst['point']}, t = {worst['time']:.6g})")
        for row in self.undecided[:5]:
            lines.append(f"  undecided          neuron {row['neuron']} at point {row['point']}, "
                         f"t = {row['time']:.6g}: rtol = {row['rtol']:.1e} would decide")
        return "\n".join(lines)


def condition(flow: Record, most: int = 50) -> Conditioning:
    """How errors of single neurons grow on a run.

    Between events a neuron obeys ``u' = [[0, D'], [D, 0]] u``, which is linear. At a crossing its
    error is multiplied by ``I + (D+ - D-) v' / (v.D-)`` on ``w``, at the arrival at a slide it is
    projected on the hyperplane, at a release it goes on. Pulls are those of the run: what errors of
    one neuron do to the others, and those to it, is left out.

    Parameters
    ----------
    flow : Flow
        The run.
    most : int
        Look at no more than so many neurons: those that move, evenly.

    Returns
    -------
    Conditioning

    Raises
    ------
    TypeError, ValueError
        If ``most`` is not a positive whole number.

    References
    ----------
    Aizerman and Gantmakher, "Determination of stability by linear approximation of a periodic
    solution of a system of differential equations with discontinuous right-hand sides", 1958
    (saltation); Filippov, "Differential Equations with Discontinuous Righthand Sides", 1988.
    """
    moves = (flow.initial_pattern != OFF).any(axis=1)
    moves[flow.events["neuron"]] = True
    who = np.flatnonzero(moves)
    most = whole(most, "most")
    if who.size > most:
        who = who[np.linspace(0, who.size - 1, most).astype(int)]
    track = _Track(flow, who)
    amplification = [track.amplification(flow.path.start)]
    for p in range(len(flow.path.pieces)):
        amplification.append(track.amplification(track.follow(p)))
    grown = np.array(amplification).reshape(-1, who.size)
    t = np.append(flow.path.breaks[:-1], flow.t_end)
    crossings = np.array(track.crossings, dtype=CROSSING)
    return Conditioning(who, t, grown, crossings, _close(flow, who, t, grown),
                        float(flow.settings["rtol"]), flow.path.m)


class _Track:
    """Propagators of some neurons, piece by piece."""

    def __init__(self, flow: Record, who: np.ndarray) -> None:
        self.flow, self.who = flow, who
        self.field: Field = flow.field
        self.reference = Reference(flow.field, flow.path.m, float(flow.settings["rtol"]))
        d = flow.path.d
        self.Phi = np.tile(np.eye(d + 1), (who.size, 1, 1))
        self.codes = flow.initial_pattern[who].copy()
        self.events = flow.events[np.isin(flow.events["neuron"], who)]
        self.next = 0
        self.first = self.sizes(flow.path.start)
        self.crossings: list[tuple[float, int, int, float]] = []

    def sizes(self, state: np.ndarray) -> np.ndarray:
        """Norms of ``(a, w)``, (s,)."""
        a, W = self.reference.split(state[None])
        return np.asarray(np.hypot(a[0, self.who], row_norms(W[0, self.who])))

    def amplification(self, state: np.ndarray) -> np.ndarray:
        """Of the neurons (s,), at the state that they have come to."""
        size = self.sizes(state)
        norm = (np.linalg.norm(self.Phi, 2, axis=(1, 2)) if self.who.size
                else np.empty(0))
        return np.where(size > 0, norm * self.first / np.where(size > 0, size, 1.0), 0.0)

    def follow(self, p: int) -> np.ndarray:
        """Take the propagators through a piece; the state at its end."""
        path = self.flow.path
        t0, t1 = path.breaks[p], min(path.breaks[p + 1], path.t_end)
        last = int(np.searchsorted(self.events["time"], t1, side="right"))
        own = self.events[self.next:last]
        self.next = last
        state = path.evaluate(p, np.array([t0, t1]))
        rate = row_norms(self.reference.fields(self.reference.see(state, self.who)))
        step = TURN / max(float(rate.max(initial=0.0)), TURN / max(t1 - t0, 1e-300))
        marks = [t0]
        for t in np.append(np.unique(own["time"]), t1):
            count = max(1, int(np.ceil((t - marks[-1]) / step)))
            marks += np.linspace(marks[-1], t, count + 1)[1:].tolist()
        ends = np.array(marks)
        half = np.diff(ends) / 2
        nodes = ((ends[:-1] + half)[:, None] + half[:, None] * np.array([-1, 1]) / 3**0.5).ravel()
        states = path.evaluate(p, np.append(nodes, ends))
        pulls = self.reference.see(states, self.who).p
        for j in range(half.size):
            self.jump(own[own["time"] == ends[j]], states[nodes.size + j], pulls[nodes.size + j])
            self.step(2 * half[j], pulls[2 * j:2 * j + 2])
        self.jump(own[own["time"] == t1] if t1 > t0 else own, states[-1], pulls[-1])
        return np.asarray(states[-1])

    def step(self, h: float, pulls: np.ndarray) -> None:
        """A step of the method of Magnus of fourth order, pulls (2, n) being those at its nodes."""
        if h <= 0 or not self.who.size:
            return
        M = np.zeros((2, *self.Phi.shape))
        for k in range(2):
            D = self.field.fields(self.codes, pulls[k])
            M[k, :, 0, 1:], M[k, :, 1:, 0] = D, D
        turned = M[1] @ M[0] - M[0] @ M[1]
        self.Phi = expm(h / 2 * (M[0] + M[1]) + 3**0.5 / 12 * h**2 * turned) @ self.Phi

    def jump(self, events: np.ndarray, state: np.ndarray, p: np.ndarray) -> None:
        """Take the propagators through simultaneous events, pulls there being ``p``."""
        arrangement = self.flow.data.arrangement
        for neuron in np.unique(events["neuron"]):
            own, i = events[events["neuron"] == neuron], int(np.searchsorted(self.who, neuron))
            before = self.codes[i].copy()
            self.codes[i, own["point"]] = own["to"]
            old, new = self.field.fields(np.array([before, self.codes[i]]), p)
            arrives = own[(own["to"] == SLIDING) & (before[own["point"]] != SLIDING)]
            crosses = own[(own["to"] != SLIDING) & (before[own["point"]] != SLIDING)]
            w = self.Phi[i, 1:]
            if crosses.size:
                v = arrangement.normal[arrangement.label[crosses["point"][0]]]
                speed = float(v @ old)
                ratio = float(v @ new) / speed if speed != 0 else np.inf
                self.crossings.append((float(own["time"][0]), int(neuron),
                                       int(crosses["point"][0]), ratio))
                if speed != 0:
                    w += np.outer(new - old, v @ w) / speed
            if arrives.size:
                on = np.unique(arrangement.label[self.codes[i] == SLIDING])
                basis = np.linalg.svd(arrangement.normal[on], full_matrices=False)
                Q = basis[2][basis[1] > 1e-9 * basis[1][0]]
                w -= Q.T @ (Q @ w)


def _close(flow: Record, who: np.ndarray, t: np.ndarray, grown: np.ndarray) -> np.ndarray:
    """Crossings that are undone: those of a pair that follow one another, on and off."""
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
    m, d = flow.path.m, flow.path.d
    u = np.zeros((middle.size, d + 1))
    for j in range(middle.size):
        state = flow.path(middle[j:j + 1])[0]
        u[j, 0], u[j, 1:] = state[i[j]], state[m + i[j] * d:m + (i[j] + 1) * d]
    x = flow.data.X[k]
    depth = np.abs((u[:, 1:] * x).sum(axis=1)) / np.maximum(row_norms(u) * row_norms(x), 1e-300)
    at = np.minimum(np.searchsorted(t, middle), len(t) - 1)
    found = np.zeros(middle.size, dtype=CLOSE)
    for name, column in (("time", one["time"]), ("neuron", i), ("point", k), ("depth", depth),
                         ("rtol", depth / 10 / np.maximum(
                             grown[at, np.searchsorted(who, i)], 1e-300))):
        found[name] = column
    return found[np.argsort(found["rtol"], kind="stable")]
