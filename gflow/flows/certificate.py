"""A-posteriori evidence: what must hold on an exact flow, recomputed from the trajectory."""

from __future__ import annotations

from dataclasses import dataclass
import numpy as np

from ..problem.checks import whole
from ..problem.field import speed
from ..problem.loss import is_endless
from ..problem.norms import row_norms
from ..engines.events import OFF, SLIDING
from ..engines.record import Record
from ..kernels.crossings import RESIDUAL_ERROR
from ..theory.lorentz import local_lorentz
from .margins import FAINT, smoothed_margin
from ..engines.trajectory import by_neuron


AT_ZERO = 1e-9
"""``|w| <= AT_ZERO |a|`` counts as ``w = 0``, where signs mean nothing."""
FEWER_DIGITS = float(np.finfo(float).tiny / np.finfo(float).eps)
"""Weights below this have lost digits to underflow (a neuron may shrink for ever)."""
MOST_PIECES = 500
"""Of more pieces than this an even sample is checked; for the energy identity only if asked to."""
MOST_PAIRS = 500
"""So many intervals of pairs of neurons are checked."""


@dataclass(frozen=True)
class Certificate:
    """Checks of a run. All are relative; small is good.

    Attributes
    ----------
    balance : ndarray, shape (m,)
        Largest drift of ``a_i^2 - |w_i|^2`` on the run, relative to the largest ``a_i^2 + |w_i|^2``
        of that neuron.
    lorentz : float
        Largest drift of ``a_i a_j - w_i.w_j`` while neurons i and j share their pattern, of a
        sample of pairs, relative to the two; see `gflow.theory.local_lorentz`.
    energy : float
        ``L(0) - L(t) - int |grad L|^2`` relative to ``L(0)``; of the pieces looked at, if there is
        a limit on them.
    loss_rise : float
        Largest rise of the loss between consecutive checked times, relative to ``L(0)``; 0 on a
        monotone loss.
    margin_fall : float
        Largest fall of the smoothed margin between consecutive checked times, relative to it, once
        the loss is so low that it cannot fall (`gflow.Flow.margin`); 0 on other losses.
    gap : float
        Largest jump between consecutive pieces of the dense output, relative to the neuron.
    wrong_side : float
        Largest ``|w_i.x_k| / (|w_i| |x_k|)`` on the wrong side of the recorded pattern (off the
        hyperplane, for a sliding neuron).
    wrong_pair : tuple of int
        Neuron and point where that is, (-1, -1) if nowhere.
    multiplier : float
        How far a sliding multiplier leaves [0, 1] at most; 0 if none does.
    stationarity : float
        Norm of the min-norm gradient at the end, relative to what it would be if labels and
        outputs did not cancel: near 0 at a stationary point, an interpolation or not.
    gradient : float
        Norm of the min-norm gradient at the end.
    tolerance : float
        What ``balance``, ``lorentz``, ``energy``, ``loss_rise``, ``margin_fall``, ``gap`` and
        ``wrong_side`` are judged against.
    checked : int
        Number of times looked at.
    """

    balance: np.ndarray
    lorentz: float
    energy: float
    loss_rise: float
    margin_fall: float
    gap: float
    wrong_side: float
    wrong_pair: tuple[int, int]
    multiplier: float
    stationarity: float
    gradient: float
    tolerance: float
    checked: int

    @property
    def ok(self) -> bool:
        """Whether every check is within tolerance."""
        worst = max(float(self.balance.max()), self.lorentz, abs(self.energy), self.loss_rise,
                    self.margin_fall, self.gap, self.wrong_side)
        return bool(worst <= self.tolerance and self.multiplier <= np.sqrt(self.tolerance))

    def __repr__(self) -> str:
        worst = int(np.argmax(self.balance))
        pair = ("" if self.wrong_pair[0] < 0 else
                f" (neuron {self.wrong_pair[0]}, point {self.wrong_pair[1]})")
        return "\n".join([
            f"Certificate: {'ok' if self.ok else 'DOUBTFUL'} "
            f"(tolerance {self.tolerance:.1e}, {self.checked} times checked)",
            f"  balancedness drift       {self.balance[worst]:.2e} (neuron {worst})",
            f"  pairs of one pattern     {self.lorentz:.2e}",
            f"  energy identity          {self.energy:+.2e}",
            f"  largest rise of loss     {self.loss_rise:.2e}",
            f"  fall of smoothed margin  {self.margin_fall:.2e}",
            f"  largest jump             {self.gap:.2e}",
            f"  wrong side of pattern    {self.wrong_side:.2e}{pair}",
            f"  multipliers off [0, 1]   {self.multiplier:.2e}",
            f"  stationarity at the end  {self.stationarity:.2e} (|grad| = {self.gradient:.2e})"])


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
    audit = _Audit(flow)
    path = flow.path
    count = len(path.pieces)
    sampled = set(range(count))
    if count > limit:
        # Pieces beside each other, so that jumps between them show.
        first = np.linspace(0, count - 2, max(limit // 2, 1)).astype(int)
        sampled = set(first) | set(first + 1)
    dissipated = 0.0
    for p in range(count):
        if most is None or p in sampled:
            dissipated += path.dissipation(p)
        if p in sampled:
            audit.look(p)
    whole_run = most is None or len(sampled) == count
    return audit.verdict(dissipated, whole_run, min(limit, MOST_PAIRS))


class _Audit:
    """Running maxima of the checks, and the pattern replayed along the events."""

    def __init__(self, flow: Record) -> None:
        self.flow = flow
        self.X, self.y = flow.data.X, flow.data.y
        self.field = flow.field
        self.m, self.d = flow.path.m, flow.path.d
        self.lengths = row_norms(self.X)
        self.codes = flow.initial_pattern.copy()
        self.next_event = 0
        self.marks = np.random.default_rng(0).random(self.X.shape[0])
        a, W = self._split(flow.path.start)
        self.invariant = a**2 - (W**2).sum(axis=1)
        self.drift = np.zeros(self.m)
        self.size = a**2 + (W**2).sum(axis=1)
        self.first_loss = self.last_loss = self._loss(a, W)
        self.lost = 0.0
        self.rise = self.fall = self.gap = self.wrong = self.multiplier = 0.0
        self.last_margin = 0.0
        self.last_piece, self.last_state = -1, flow.path.start
        self.pair = (-1, -1)
        self.checked = 1

    def _split(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return state[:self.m], state[self.m:].reshape(self.m, self.d)

    def _loss(self, a: np.ndarray, W: np.ndarray) -> float:
        return float(self.field.value(self.field.outputs(a, W)))

    def look(self, p: int) -> None:
        """Check a piece in its middle and at its end."""
        path, events = self.flow.path, self.flow.events
        t0, t1 = path.breaks[p], min(path.breaks[p + 1], path.t_end)
        # Of a piece that spans decades the middle in the logarithm.
        middle = np.sqrt(t0) * np.sqrt(t1) if 4 * t0 < t1 and t0 > 0 else (t0 + t1) / 2
        times = np.array([t0, middle, t1])
        states = path.evaluate(p, times)
        if p == self.last_piece + 1:
            size = by_neuron(np.abs(states[0]), self.m)
            jump = by_neuron(np.abs(states[0] - self.last_state), self.m)
            self.gap = max(self.gap, float((jump / np.where(size > 0, size, 1.0)).max()))
        self.last_piece, self.last_state = p, states[-1]
        self.lost += self._loss(*self._split(states[0]))
        for t, state in zip(times[1:], states[1:]):
            upto = int(np.searchsorted(events["time"], t, side="right"))
            past = events[self.next_event:upto]
            self.codes[past["neuron"], past["point"]] = past["to"]
            self.next_event = upto
            self._state(state)
        self.lost -= self.last_loss

    def _state(self, state: np.ndarray) -> None:
        a, W = self._split(state)
        squares = (W**2).sum(axis=1)
        self.drift = np.maximum(self.drift, np.abs(a**2 - squares - self.invariant))
        self.size = np.maximum(self.size, a**2 + squares)
        loss = self._loss(a, W)
        if is_endless(self.field.loss):
            top = float(smoothed_margin(self.field, self.field.log_value(self.field.outputs(a, W))))
            margin = top / (squares.sum() + a @ a)
            if self.last_margin > 0:
                self.fall = max(self.fall, 1 - margin / self.last_margin)
            self.last_margin = margin if top > FAINT else 0.0
        self.rise = max(self.rise, loss - self.last_loss)
        self.last_loss = loss
        self.checked += 1
        norms = row_norms(W)
        # A neuron that has reached w = 0 is on every hyperplane.
        known = norms > np.maximum(AT_ZERO * np.abs(a), FEWER_DIGITS)
        scale = np.where(known, norms, 0.0)[:, None] * self.lengths
        z = np.divide(W @ self.X.T, scale, out=np.zeros((self.m, len(self.y))), where=scale > 0)
        wrong = np.where(self.codes == 1, -z, np.where(self.codes == 0, z, np.abs(z)))
        worst = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        if wrong[worst] > self.wrong:
            self.wrong, self.pair = float(wrong[worst]), (int(worst[0]), int(worst[1]))
        sliding = np.flatnonzero((self.codes == 2).any(axis=1))
        if sliding.size:
            h = self.field.outputs(a, W, self.codes)
            p = self.field.pulls(h)
            # Without the projection these fields are what multipliers take away.
            D = self.field.fields(np.where(self.codes == SLIDING, OFF, self.codes), p)
            curvature = float(self.field.curvature(h).max())
            # Neurons of one pattern have the same multipliers.
            marks = self.codes[sliding].astype(float) @ self.marks
            for i in sliding[np.unique(marks, return_index=True)[1]]:
                self.multiplier = max(self.multiplier, self._multiplier(
                    int(i), curvature * float(np.abs(a) @ norms), p, D[i]))

    def _multiplier(self, i: int, strength: float, p: np.ndarray, D: np.ndarray) -> float:
        """How far sliding multipliers of one neuron, one a hyperplane, leave [0, 1].

        Where pulls have decayed to the error of the weights (``rtol`` of the network, which may
        change them by ``strength`` times as much for a point of length one), the
        jumps that multipliers are fractions of mean nothing, and only the excess beyond counts.
        """
        arrangement = self.flow.data.arrangement
        noise = (2 * RESIDUAL_ERROR * self.flow.settings["rtol"] * strength
                 * float(self.lengths @ self.lengths) / len(p))
        planes = np.unique(arrangement.label[self.codes[i] == 2])
        V = arrangement.normal[planes]
        total = np.linalg.lstsq(V.T, -D, rcond=None)[0]
        excess = 0.0
        for lam, h in zip(total, planes):
            own = arrangement.label == h
            pull = p * arrangement.length * own / len(p)
            minus, plus = pull[arrangement.length < 0].sum(), pull[arrangement.length > 0].sum()
            low, high = min(minus, plus), max(minus, plus)
            excess = max(excess, (max(low - lam, lam - high) - noise) / (high - low + noise))
        return excess

    def verdict(self, dissipated: float, whole_run: bool, pairs: int) -> Certificate:
        """The certificate at the end of the run, on which, or on the pieces looked at, so much was
        ``dissipated``; so many ``pairs`` are checked."""
        flow = self.flow
        a, W = self._split(flow.path(np.array([flow.t_end]))[0])
        codes, field = flow.pattern(flow.t_end), self.field
        p, p0 = field.pulls(field.outputs(a, W, codes)), field.first_pulls
        gradient = speed(a, W, field.fields(codes, p))
        # If labels and outputs did not cancel: |y| + |h| in place of |y - h|.
        terms = np.abs(field.activation.weights(codes)) @ (
            (np.abs(p0) + np.abs(p - p0)) * self.lengths) / len(p)
        largest = float(row_norms(np.append(terms * row_norms(np.column_stack([a, W])), 0.0)))
        reference = self.first_loss or 1.0
        lost = self.first_loss - self._loss(a, W) if whole_run else self.lost
        size = np.where(self.size > 0, self.size, 1.0)
        return Certificate(
            balance=self.drift / size, lorentz=local_lorentz(flow, most=pairs).largest,
            energy=(lost - dissipated) / reference,
            loss_rise=max(self.rise, 0.0) / reference, margin_fall=self.fall, gap=self.gap,
            wrong_side=self.wrong, wrong_pair=self.pair, multiplier=self.multiplier,
            stationarity=gradient / largest if largest > 0 else 0.0, gradient=gradient,
            tolerance=max(1000 * flow.settings["rtol"], 1e-11), checked=self.checked)
