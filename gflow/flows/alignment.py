"""How neurons align on a run: with their fields, with extremal vectors, with each other, and when.

Boursier and Flammarion, "Early alignment in two-layer networks training is a two-edged sword",
JMLR 2025: from a small start neurons first turn towards extremal vectors of the data, or die, then
grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Callable, Iterator, NamedTuple

import numpy as np

from ..problem.bisection import bisect
from ..problem.checks import finite, positive
from ..problem.data import relabelled
from ..problem.loss import SQUARE
from ..problem.network import TwoLayerReLU
from ..problem.norms import row_norms, unit_rows
from ..problem.rates import Rates
from ..engines.record import Record, losses
from ..engines.origin import origin
from ..engines.waveform.calm import Calm
from ..engines.waveform.windows import Windows
from ..kernels.chebyshev import nodes
from ..theory.early import EarlyFlow, early_flow
from ..problem.quiet import quiet
from ..problem.value import Value, lock


ACCURATE = 1e-7
"""Relative accuracy of the times of phases."""
CLOSE = 0.1
"""Angle in which directions count as one, in radians."""
ALIGNED = 0.95
"""Share of the living neurons that must be aligned."""
LITTLE = 0.01
"""Part of the whole fall of the loss that is little."""
SLOW = 0.1
"""Speed of the loss on a plateau, over the mean speed up to convergence."""
SOME = 20
"""Times at which directions are looked at together."""
PARTS = 8
"""Of a piece of a stepper, between times that resolve it."""
ROUNDING = 1e-13
"""Relative fall of the loss that is none."""
CELLS, SHORTEST = 2000, 40
"""The way to convergence in cells of equal length, and the fewest cells of a plateau."""


@dataclass(frozen=True, eq=False)
class Phases(Value):
    """When the phases of a run begin and end.

    With ``F = |L(0) - L(end)|``, the whole fall of the loss on the run:

    Attributes
    ----------
    alignment : float
        End of the alignment: first time at which 95% of the neurons that do not die in the early
        flow are within 0.1 rad of where that leads them; infinite if it never comes, NaN without
        such neurons. (With saddles single neurons may take as long as they like.)
    escape : float
        Escape from the start: first time at which the loss has fallen by 1% of ``F``; infinite if
        it does not fall.
    plateaus : ndarray, shape (P, 3)
        Begin, end and mean loss of the plateaus before convergence: longest intervals, of at least
        2% of the time to convergence, on which the loss falls at least ten times slower than on
        average up to there. Times are multiples of 0.05% of the time to convergence. The whole run
        if its loss is the same all the time; none if the loss ends no lower than it began, as it
        may with weight decay.
    convergence : float
        First time at which the loss is within 1% of ``F`` of its last value. It means
        something only if the run was long enough.

    The definitions are ours; they use no scale but those of the run itself.
    """

    alignment: float
    escape: float
    plateaus: np.ndarray
    convergence: float


class Groups(NamedTuple):
    """Neurons by direction and sign, heaviest group first.

    Attributes
    ----------
    label : ndarray of int, shape (m,)
        Group of each neuron, -1 for those that are dead.
    direction : ndarray, shape (G, d)
        Unit vectors of ``sum |a_i| w_i``.
    size : ndarray of int, shape (G,)
        Number of neurons.
    weight : ndarray, shape (G,)
        ``sum a_i |w_i|``: what the group contributes to the network.
    """

    label: np.ndarray
    direction: np.ndarray
    size: np.ndarray
    weight: np.ndarray

    def __reduce__(self) -> tuple[Callable[..., Groups], tuple[np.ndarray, ...]]:
        """Arrays that come out of a pickle can be written to."""
        return _locked, tuple(self)


def _locked(*parts: np.ndarray) -> Groups:
    return lock(Groups(*parts))


class Alignment(Value):
    """Measures of alignment on a run, each computed when first asked for.

    Made by `gflow.Flow.alignment`.

    Parameters
    ----------
    flow : Flow

    Attributes
    ----------
    t : ndarray, shape (T,)
        The reported times of the run.
    early : EarlyFlow
        The early flow of the start (`gflow.theory.early_flow`).
    D : ndarray, shape (T, m, d)
        ``D_n(w_i, theta)``, the field of every neuron with the pulls of the time (residuals, for
        the square loss): the element of least norm of ``(1/n) sum_k eta_k p_k x_k``.
    cosine : ndarray, shape (T, m)
        Cosine of ``w_i`` to it; NaN where one of both is zero. Neurons with ``a_i < 0`` turn away
        from their field: to -1.
    cosine_extremal : ndarray, shape (T, m)
        Cosine of ``w_i`` to the extremal vector that its early flow ends with; NaN for neurons
        that die in the early flow.
    dead : ndarray of bool, shape (T, m)
        Whether the neuron is off at every point: it does not move again. None is with a slope.
    living : ndarray of int, shape (T,)
        Number of the others.
    phases : Phases
        Ends of the phases of the run.

    References
    ----------
    Boursier and Flammarion, "Early alignment in two-layer networks training is a two-edged sword",
    JMLR 2025, section 3 (``D_n``, extremal vectors).

    Examples
    --------
    >>> import gflow
    >>> data = gflow.datasets.three_points()
    >>> flow = gflow.integrate(gflow.init.balanced(20, 2, 1e-6, rng=1), data, t_max=80.0)
    >>> alignment = flow.alignment()
    >>> alignment
    Alignment: 10 of 20 neurons alive at the end, in 1 groups
      alignment    until t = 5.142
      escape       at t = 15.87
      plateaus     0 to 15.07
      convergence  at t = 21.49
    >>> j = np.searchsorted(flow.t, alignment.phases.escape)
    >>> bool((alignment.cosine_extremal[j, ~alignment.early.dead] > 0.999).all())
    True
    """

    def __init__(self, flow: Record) -> None:
        self.flow = flow
        self.t = flow.t

    @cached_property
    @quiet
    def early(self) -> EarlyFlow:
        """The early flow of the start; with speeds of layers that in which both are 1, see
        `gflow.problem.rates`."""
        a, W, unit = self._neurons(np.zeros(1))
        data, setting = self.flow.data, self.flow.setting
        if not all(setting.moves) or setting.two_times or setting.uniform is None:
            has = ("output weights that are optimal at every time" if setting.two_times else
                   "a fixed layer, or decays that differ")
            raise ValueError(f"the run has {has}, and no early flow is known of these")
        if self.flow.loss_function != SQUARE:
            # Neurons see nothing of a loss but its pulls, and of a small start those at output 0:
            # the labels themselves, for the square loss.
            data = relabelled(data, self.flow.field.first_pulls)
        start = TwoLayerReLU(a[0], W[0], unit[0], slope=self.flow.activation.slope)
        return early_flow(Rates(*setting.rates).model(start), data)

    @cached_property
    @quiet
    def D(self) -> np.ndarray:
        """Fields at the reported times, shape (T, m, d)."""
        field = self.flow.field
        if field.activation.smooth:
            raise ValueError("fields are those of patterns of ReLU and leaky networks, and the "
                             f"activation is {field.activation}: give a TwoLayerReLU")
        D = np.empty((self.t.size, self.flow.path.m, self.flow.path.d))
        for j, (a, W, codes) in enumerate(zip(self.flow.a, self.flow.W, self._patterns())):
            D[j] = field.fields(codes, field.pulls(field.outputs(a, W, codes)))
        return lock(D)

    @cached_property
    @quiet
    def cosine(self) -> np.ndarray:
        """Cosines of neurons to their fields, shape (T, m)."""
        return lock(_cosines(self.flow.directions, self.D))

    @cached_property
    @quiet
    def cosine_extremal(self) -> np.ndarray:
        """Cosines of neurons to their final extremal vectors, shape (T, m)."""
        return lock(_cosines(self.flow.directions, self.early.D))

    @cached_property
    def dead(self) -> np.ndarray:
        """Whether neurons are off at every point, shape (T, m)."""
        leaky = bool(self.flow.activation.slope)
        return lock(np.array([~(codes.any(axis=1) | leaky) for codes in self._patterns()]))

    @cached_property
    def living(self) -> np.ndarray:
        """Number of neurons that are not dead, shape (T,)."""
        return lock(np.asarray((~self.dead).sum(axis=1)))

    @cached_property
    @quiet
    def phases(self) -> Phases:
        """Ends of the phases of the run."""
        t, loss = _loss_curve(self.flow)
        fall = loss[0] - loss[-1]
        aligned = self._alignment_end(t)
        if np.ptp(loss) <= ROUNDING * loss.max():
            return Phases(aligned, np.inf,
                          np.array([[0.0, self.flow.t_end, loss[0]]]), 0.0)
        near = loss[-1] + LITTLE * fall
        if fall <= 0:
            return Phases(aligned, np.inf, np.empty((0, 3)),
                          self._first(t, loss, lambda value: value >= near))
        escape = self._first(t, loss, lambda value: value <= loss[0] - LITTLE * fall)
        convergence = self._first(t, loss, lambda value: value <= near)
        return Phases(aligned, escape, _plateaus(t, loss, fall, convergence), convergence)

    @quiet
    def groups(self, t: float | None = None, angle: float = CLOSE) -> Groups:
        """Neurons grouped by direction and sign of the output weight.

        A group is the heaviest neuron (by ``|a_i| |w_i|``) that has none yet and all others
        without one within ``angle`` of it.

        Parameters
        ----------
        t : float, optional
            Time reached; the end if None.
        angle : float
            In radians.

        Returns
        -------
        Groups

        Raises
        ------
        TypeError, ValueError
            If ``t`` is no time that was reached or ``angle`` is not positive.
        """
        angle = positive(angle, "angle")
        time = self.flow.t_end if t is None else finite(t, "t")
        alive = self.flow.pattern(time).any(axis=1) | bool(self.flow.activation.slope)
        a, W, unit = (part[0] for part in self._neurons(np.array([time])))
        norms = row_norms(W)
        alive &= (norms > 0) & (a != 0)
        u = unit_rows(W)
        with np.errstate(divide="ignore"):
            log = np.log(np.abs(a)) + np.log(norms) + 2 * unit
        label = np.full(a.size, -1)
        directions: list[np.ndarray] = []
        weights: list[float] = []
        # |u - v| is the chord of the angle.
        chord = 2 * np.sin(min(angle, np.pi) / 2)
        for i in np.argsort(-log, kind="stable"):
            if not alive[i] or label[i] >= 0:
                continue
            own = alive & (label < 0) & (np.sign(a) == np.sign(a[i]))
            own &= np.linalg.norm(u - u[i], axis=1) <= chord
            label[own] = len(weights)
            directions.append(np.exp(log[own] - log[i]) @ u[own])
            weights.append(np.sign(a[i]) * np.exp(log[own]).sum())
        direction = np.array(directions).reshape(-1, W.shape[1])
        direction /= np.where(direction.any(axis=1), row_norms(direction), 1.0)[:, None]
        weight = np.array(weights)
        size = np.bincount(label[label >= 0], minlength=weight.size)
        order = np.argsort(-np.abs(weight), kind="stable")
        rank = np.append(np.argsort(order), -1)
        return lock(Groups(rank[label], direction[order], size[order], weight[order]))

    def _neurons(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``a`` (T, m), ``W`` (T, m, d) in units of exp of the third (T, m)."""
        neurons, power = self.flow.path.scaled(t)
        return neurons[:, :, 0], neurons[:, :, 1:], power * np.log(2.0)

    def _patterns(self) -> Iterator[np.ndarray]:
        """Patterns (m, n) at the reported times, the same array every time."""
        codes, events, begin = self.flow.initial_pattern.copy(), self.flow.events, 0
        for end in np.searchsorted(events["time"], self.t, side="right"):
            past = events[begin:end]
            codes[past["neuron"], past["point"]] = past["to"]
            begin = int(end)
            yield codes

    def _alignment_end(self, t: np.ndarray) -> float:
        """See `Phases`; ``t`` are times that resolve the run."""
        early = self.early
        alive = ~early.dead
        if not alive.any():
            return np.nan
        ends, chord = early.end_direction[alive], 2 * np.sin(CLOSE / 2)

        def aligned(u: np.ndarray) -> bool:
            return bool((np.linalg.norm(u[alive] - ends, axis=1) <= chord).mean() >= ALIGNED)

        def at(t: np.ndarray) -> list[bool]:
            return [aligned(u) for u in unit_rows(self._neurons(t)[1])]

        # Of a long run most comes after that, and of a wide network little is held at a time.
        for k in range(0, t.size, SOME):
            hits = np.flatnonzero(at(t[k:k + SOME]))
            if hits.size:
                j = k + int(hits[0])
                return 0.0 if j == 0 else \
                    bisect(lambda s: at(np.array([s]))[0], t[j - 1], t[j], ACCURATE)
        return np.inf

    def _first(self, t: np.ndarray, loss: np.ndarray,
               holds: Callable[[np.ndarray], np.ndarray]) -> float:
        """First time at which something holds of the loss; ``loss`` brackets it."""
        j = int(np.argmax(holds(loss)))
        return 0.0 if j == 0 else bisect(
            lambda s: bool(holds(losses(self.flow, np.array([s])))[0]), t[j - 1], t[j], ACCURATE)

    def __repr__(self) -> str:
        # Of some runs there are no phases, or no groups; what can be said is said.
        try:
            groups = len(self.groups().size)
        except ValueError as error:
            return f"Alignment: none ({error})"
        seen = self.flow.pattern(self.flow.t_end).any(axis=1)
        alive = seen.size if self.flow.activation.slope else int(seen.sum())
        words = (f"Alignment: {alive} of {self.flow.path.m} neurons alive at the end, in {groups} "
                 "groups")
        try:
            phases = self.phases
        except ValueError as error:
            return f"{words}\n  phases       none: {error}"
        flats = ", ".join(f"{s:.4g} to {e:.4g}" for s, e, _ in phases.plateaus) or "none"
        return "\n".join([
            words,
            f"  alignment    until t = {phases.alignment:.4g}",
            f"  escape       at t = {phases.escape:.4g}",
            f"  plateaus     {flats}",
            f"  convergence  at t = {phases.convergence:.4g}"])


def _cosines(u: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Cosines of unit (or zero) vectors to others, NaN where one is zero."""
    norms = row_norms(D)
    valid = (norms > 0) & u.any(axis=-1)
    along = (u * D).sum(axis=-1)
    cosine = np.divide(along, norms, out=np.full(along.shape, np.nan), where=valid)
    return np.asarray(np.clip(cosine, -1, 1))


def _loss_curve(flow: Record) -> tuple[np.ndarray, np.ndarray]:
    """The loss at times that resolve the run: those of its pieces, whatever times are reported."""
    field, inner = flow.field, origin(flow.path)
    path, units = inner.path, inner.units
    if isinstance(path, Windows):
        times, found = [np.zeros(1)], [losses(flow, np.zeros(1))]
        for window in path.pieces:
            s = nodes(4 if isinstance(window, Calm) else len(window.values) - 1)[1:]
            inside = window.t0 + (s + 1) / 2 * (window.t1 - window.t0)
            times.append(inner.outside(inside))
            if isinstance(window, Calm) or field.loss != SQUARE:
                inside = times[-1] <= flow.t_end
                times[-1] = times[-1][inside]
                found.append(losses(flow, times[-1]))
            else:
                # Its pulls are the residuals: nothing needs to be marched again.
                residuals = np.ldexp(window.values[1:], units.labels)
                found.append(field.value(field.data.y - residuals))
        t, loss = np.concatenate(times), np.concatenate(found)
        inside = t < flow.t_end
        return (np.append(t[inside], flow.t_end),
                np.append(loss[inside], losses(flow, np.array([flow.t_end]))))
    breaks = np.append(flow.path.breaks[:-1], flow.t_end)
    t = breaks[:-1, None] + (nodes(PARTS) + 1) / 2 * np.diff(breaks)[:, None]
    t = np.unique(np.append(t.clip(0.0, flow.t_end), flow.t_end))
    return t, losses(flow, t)


def _plateaus(t: np.ndarray, loss: np.ndarray, fall: float, convergence: float) -> np.ndarray:
    """Begin, end and mean loss (P, 3) of the plateaus, see `Phases`."""
    grid = np.linspace(0.0, convergence, CELLS + 1)
    at = np.interp(grid, t, loss)
    slow = np.concatenate([[False], at[:-1] - at[1:] <= SLOW * fall / CELLS, [False]])
    edges = np.flatnonzero(slow[1:] != slow[:-1]).reshape(-1, 2)
    edges = edges[(edges[:, 1] - edges[:, 0] >= SHORTEST) & (edges[:, 1] < CELLS)]
    return np.array([[grid[b], grid[e], at[b:e + 1].mean()] for b, e in edges]).reshape(-1, 3)
