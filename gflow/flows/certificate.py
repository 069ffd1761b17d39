"""A-posteriori evidence: what must hold on an exact flow, recomputed from the trajectory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..problem.value import Value
from .reference import NARROWEST, WIDTH

DEFECT, DEFECT_ROUNDING = 200.0, 6e-9
"""A defect is ``max(DEFECT rtol, DEFECT_ROUNDING)`` at most. Pulls of the fast engine err by
``20 rtol`` of a neuron on a window (`gflow.engines.waveform.rounds.ALLOWANCE`), those of steppers
by some ``rtol`` a step: of 420 right runs the largest was 51, and 90% were below 10."""
OFFSET, OFFSET_ROUNDING = 2.0, 6e-11
"""The same for constants at one point that explain the defects: 0.75 ``rtol`` was the most of 1000
right runs, and 2.4 the least of 290 with a label changed by 1e-5 at ``rtol`` 1e-8 but two."""
JUMP, JUMP_ROUNDING = 30.0, 9e-10
"""The same for jumps between pieces: 9.4 ``rtol`` was the largest of those, as steppers put weights
back on their invariants after every step."""


@dataclass(frozen=True, eq=False)
class Certificate(Value):
    """Checks of a run. All are relative; small is good, and NaN is doubt.

    Attributes
    ----------
    defect : ndarray, shape (m,)
        Largest ``|u(t2) - u(t1) - int F dt|`` of a neuron ``u = (a, w)``, relative to ``|u|``, on
        random intervals of the pieces looked at, ``F`` being the field of
        `gflow.problem.field.Field` with the signs of ``w.x``; divided by 1 plus what an error of 1
        of all weights would do to the integral.
    lasting : ndarray, shape (m,)
        Norm of the mean of these defects, signs kept, each cut to `CLIP` ``rtol``, and without
        those of the three pieces that add most to it, over what it may be; 0 of less than 8
        intervals.
    offset : float
        If a constant at one point, added to its pull (to its label, for the square loss), explains
        most of these defects that it has a part in, of all pieces or without the three that it
        explains worst: by how much it moves a neuron on an interval at most, relative to it, and
        in proportion on less than four pieces; else 0.
    offset_point : int
        That point, -1 if there is none.
    off_event : float
        Largest ``|w_i.x_k| / (|(a_i, w_i)| |x_k|)`` at the time of an event.
    contradictions : int
        Records that do not follow from one another, are of another time than weights say, or whose
        sides weights do not have a little before and after; slides without a record; sides that
        errors of the weights decide, of hyperplanes that repel, where no choice is told; a pattern
        that is not that of the start.
    first : tuple of str
        The first contradiction of every kind.
    stored : float
        Largest difference of what is stored (the end, states at reported times) from the path.
    balance : ndarray, shape (m,)
        Largest drift of ``a_i^2 - |w_i|^2`` on the run, relative to the largest ``a_i^2 + |w_i|^2``
        of that neuron. With speeds of layers (``rates``) it is ``rates[1] a_i^2 - rates[0]
        |w_i|^2``, with a decay of all weights alike what that has left of it; with decays that
        differ, or a smooth activation, nothing is conserved, and this is 0. Of a fixed layer
        relative to the norms of these weights and of the neuron.
    lorentz : float
        Largest drift of ``a_i a_j - w_i.w_j`` while neurons i and j share their pattern, of a
        sample of pairs, relative to the two; see `gflow.theory.local_lorentz`. With speeds and
        decay as above.
    energy : float
        ``L(0) - L(t) - int |grad L|^2`` relative to ``L(0)``, or to what relative errors of the
        weights do to ``L``: of 0.1, or of 0.01 for every piece, if that is more; of the pieces
        looked at, if there is a limit on them. With weight decay ``L`` is the objective.
    loss_rise : float
        Largest rise of the loss between consecutive checked times, relative to ``L(0)``, or to what
        errors of 0.1 do.
    margin_fall : float
        Largest fall of the smoothed margin between consecutive checked times, relative to it, once
        the loss is so low that it cannot fall (`gflow.Flow.margin`); 0 on other losses, with decay
        and with a smooth activation.
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
    multiplier_neuron : int
        Whose that is, -1 if none does.
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
    neurons : tuple of int
        How many of how many that move were compared with the field: on wide networks those looked
        at change from piece to piece.
    looked : float
        Share of moving neurons x intervals that was looked at; on the others a sign changed.
    """

    defect: np.ndarray
    lasting: np.ndarray
    offset: float
    offset_point: int
    off_event: float
    contradictions: int
    first: tuple[str, ...]
    stored: float
    balance: np.ndarray
    lorentz: float
    energy: float
    loss_rise: float
    margin_fall: float
    gap: float
    wrong_side: float
    wrong_pair: tuple[int, int]
    multiplier: float
    multiplier_neuron: int
    stationarity: float
    gradient: float
    rtol: float
    checked: int
    pieces: tuple[int, int]
    events: tuple[int, int]
    neurons: tuple[int, int]
    looked: float

    @property
    def tolerance(self) -> float:
        """What ``balance``, ``lorentz``, ``energy`` and ``loss_rise`` are judged against."""
        return tolerance(self.rtol)

    @property
    def limits(self) -> dict[str, tuple[float, float]]:
        """What was found, at worst, and what it may be at most: `DEFECT` and the constants beside
        it say why."""
        wide, plane = self.tolerance, max(WIDTH * self.rtol, NARROWEST)
        step, jump = max(DEFECT * self.rtol, DEFECT_ROUNDING), jumping(self.rtol)
        return {"defect": (peak(self.defect), step),
                "lasting": (peak(self.lasting), 1.0),
                "offset": (self.offset, max(OFFSET * self.rtol, OFFSET_ROUNDING)),
                "off_event": (self.off_event, plane),
                "contradictions": (float(self.contradictions), 0.0),
                "stored": (self.stored, jump), "gap": (self.gap, jump),
                "wrong_side": (self.wrong_side, plane),
                "multiplier": (self.multiplier, wide),
                "balance": (peak(self.balance), wide), "lorentz": (self.lorentz, wide),
                "energy": (abs(self.energy), wide), "loss_rise": (self.loss_rise, wide),
                "margin_fall": (self.margin_fall, wide)}

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

        label = f" (point {self.offset_point})" if self.offset_point >= 0 else ""
        slides = f" (neuron {self.multiplier_neuron})" if self.multiplier_neuron >= 0 else ""
        pair = ("" if self.wrong_pair[0] < 0 else
                f" (neuron {self.wrong_pair[0]}, point {self.wrong_pair[1]})")
        (seen, pieces), (met, events), (some, m) = self.pieces, self.events, self.neurons
        return "\n".join([
            f"Certificate: {'ok' if self.ok else 'DOUBTFUL'} "
            f"(rtol {self.rtol:.1e}, {self.checked} times checked)",
            line("defect of the field", "defect", neuron(self.defect)),
            line("its mean over the run", "lasting", neuron(self.lasting)),
            line("as of one wrong label", "offset", label),
            line("off the plane at events", "off_event"),
            f"  contradictions           {self.contradictions}"
            + (f"  <-- doubt: {self.first[0]}" if self.first else ""),
            line("balancedness drift", "balance", neuron(self.balance)),
            line("pairs of one pattern", "lorentz"),
            line("energy identity", "energy", sign="+"),
            line("largest rise of loss", "loss_rise"),
            line("fall of smoothed margin", "margin_fall"),
            line("largest jump", "gap"),
            line("stored states", "stored"),
            line("wrong side of pattern", "wrong_side", pair),
            line("multipliers off [0, 1]", "multiplier", slides),
            f"  stationarity at the end  {self.stationarity:.2e} (|grad| = {self.gradient:.2e})",
            f"  looked at {seen} of {pieces} pieces, {some} of {m} neurons ({self.looked:.0%} of "
            f"neurons x intervals), {met} of {events} events: one wrong piece would be missed in "
            f"{unseen(seen, pieces):.0%} of cases, one wrong neuron in {unseen(some, m):.0%}, one "
            f"event moved in {unseen(met, events):.0%}"])


def tolerance(rtol: float) -> float:
    """Of what is conserved, and of losses."""
    return max(1000 * rtol, 1e-11)


def jumping(rtol: float) -> float:
    """Of what is between pieces, and of what is stored."""
    return max(JUMP * rtol, JUMP_ROUNDING)


def unseen(some: int, of: int) -> float:
    """Share that was not looked at; of nothing that is nothing.

    Examples
    --------
    >>> unseen(1, 4), unseen(0, 0)
    (0.75, 0.0)
    """
    return 1 - some / of if of else 0.0


def peak(values: np.ndarray) -> float:
    """The largest, NaN if there is one."""
    return float(values.max()) if values.size else 0.0
