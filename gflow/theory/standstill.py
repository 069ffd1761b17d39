r"""What a network would do next if it stood still: relax, turn, wake, or nothing.

Near a rest a flow has two kinds of neurons. Those that carry the output relax: on their pattern
the pulls obey :math:`\dot p = -C K p`, with the curvature of the loss and the tangent kernel, to a
limit that is known at once. The others are too small for that, and follow the early flow of the
data with these limits for labels (`early_flow`), size and all: each dies, shrinks for ever, or
grows at a rate that tends to ``|D|`` of an extremal vector. The first kind ends as predicted unless
a neuron leaves its pattern on the way; the second is exact until one of them wakes. (Derived here;
saddles and dormant neurons: Boursier, Pillaud-Vivien and Flammarion, "Gradient flow dynamics of
shallow ReLU networks for square loss and orthogonal inputs", 2022.)
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..engines import rest
from ..engines.events import ON, SLIDING
from ..engines.pattern import codes_at
from ..kernels.algebra import orthonormal_rows
from ..problem.alike import distinct
from ..problem.data import Data
from ..problem.field import Field
from ..problem.loss import is_endless, is_quadratic
from ..problem.network import TwoLayer, TwoLayerReLU
from ..problem.norms import row_norms, unit_rows
from .early import EarlyFlow, early_flow
from .least import EPS, RANK, least_over
from .nearly import CLOSE, balanced, flat_near, on_surfaces

SECANT = 1e-6
"""Part of the terms of an output below which it is rounding, that says nothing about pulls."""
LIGHT = 1e-3
"""Neurons below this part of the largest one that is on somewhere, in ``a^2 + |w|^2``, do not carry
the output, unless they put out more than this part of what any does at a point that matters."""
LEAST = 1e-200
"""Curvature below which there is none."""
NEAR = 0.1
"""A loss is near enough to quadratic if pulls on the way to rest are off by less than this part of
their change."""
NONE = 1e-9
"""Fields below this part of the sum of the terms of all of them are none: what is left of a limit
by rounding."""
KNOWN = 1e-13
"""Part of its terms to which an output is known: rounding of sums and of weights."""
EIGENVALUE = 1e-13
"""Eigenvalues below this part of the largest one are rounding."""
OWN = 0.5
"""Part of a rate of growth that may come from outputs that count as none."""
MOVES = 0.1
"""Neurons that move by more than this part of themselves are not near where they rest: there a flow
is not linear."""


def plain_only(field: Field, what: str) -> None:
    """Refuse what is foreseen for ReLU networks alone, that move with their losses alone.

    Raises
    ------
    ValueError
        If there is a slope, weight decay, or a speed of a layer that is not 1.

    Examples
    --------
    >>> plain_only(Field(Data([[1.0]], [1.0])), "this")
    """
    has = ("a smooth activation" if field.activation.smooth else "a slope"
           if field.activation.slope else "weight decay" if field.setting.decays else
           "speeds of layers" if field.setting.rates != (1.0, 1.0) else
           "a loss without rest" if is_endless(field.loss) else "")
    if has:
        raise ValueError(f"{what} is known for plain ReLU networks only and this one has {has}: "
                         "leave that away, or judge by the gradient")


class Standstill:
    """The near future of a network, if its pulls rest where they are heading.

    Parameters
    ----------
    model : TwoLayerReLU
    field : Field
        Data and loss.
    horizon : float
        Time to look ahead; infinite for the limit.

    Attributes
    ----------
    loss : float
        Now.
    pulls : ndarray, shape (n,)
        Where those of the network relax to, within the horizon.
    fall : float
        What the loss loses on the way, if the pattern stays; infinite if that is not known.
    linear : bool
        Whether the loss is near enough to quadratic on the way for rates to be known. If not, what
        is on the way is left out, and pulls and ``fall`` are those of the limit for any horizon.
    rates, amounts : ndarray, shape (r,)
        The loss at a time t is ``loss - sum amounts (1 - exp(-2 rates t))``.
    stable : bool
        Whether no neuron that carries the output leaves its pattern on the way.
    move : float
        How far one of these moves at most, over its size.
    codes : ndarray of int8, shape (m, n)
        Pattern: 0 off, 1 on, 2 sliding.
    live : ndarray of bool, shape (m,)
        Neurons that carry the output.
    mobile : ndarray of int
        The other neurons with a field at these pulls.
    gain : float
        Sum of ``|a_i w_i.D_i|`` over them: what they can take off the loss as they are now.
    early : EarlyFlow or None
        Their early flow.
    scale : float
        Sum of the terms of all fields, ``sum |p_k| |x_k| / n``.

    Raises
    ------
    ValueError
        If the loss overflows or underflows, or squares of weights overflow.

    Examples
    --------
    >>> model = TwoLayerReLU([1.0, 1e-6], [[1.0, 0.0], [0.0, 1e-6]])
    >>> stand = Standstill(model, Field(Data([[1.0, 0.0], [-1.0, 1.0]], [1.0, 2.0])))
    >>> round(stand.loss, 9), stand.fall, stand.live, stand.mobile, stand.growing
    (1.0, 0.0, array([ True, False]), array([1]), array([0]))
    >>> stand.early.rate.round(3)
    array([1.414])
    """

    def __init__(self, model: TwoLayer, field: Field, horizon: float = np.inf) -> None:
        self.model, self.field, self.horizon = model, field, horizon
        unit = np.exp(model.log_scale)
        # Directions as they are; sizes may be below the range of double precision.
        self.W = balanced(model.a, on_surfaces(field.data, model.W))
        a, W = model.a * unit, self.W * unit[:, None]
        # Outputs are those of the network as it is: residuals may be less than what this moves.
        h = field.outputs(a, model.W * unit[:, None])
        p = field.pulls(h)
        self.loss, self.h = float(field.value(h)), h
        with np.errstate(over="ignore"):
            size = a**2 + row_norms(W)**2
            if not np.isfinite(self.loss + p @ p + size.sum()):
                raise ValueError("the loss of this network overflows, or squares of its weights: "
                                 "rescale the data, or give smaller weights")
        self._before = codes_at(field, model.a, self.W, p)
        on = (self._before != 0).any(axis=1)
        self.live = on & self._carries(a, W, p, size > LIGHT * size[on].max(initial=0.0))
        self._sizes = np.abs(a), W
        if is_quadratic(field.loss) and self.loss == 0 and (
                np.abs(p).max() > KNOWN * self._terms.max()):
            raise ValueError("the loss of this network is below the range of double precision, and "
                             "its labels are not fitted: rescale the data")
        self._stays = self._relax(a, W, p)
        self.scale = float(np.abs(self.pulls) @ row_norms(field.data.X)) / field.data.n

    @cached_property
    def codes(self) -> np.ndarray:
        """Pattern at rest (m, n): 0 off, 1 on, 2 sliding."""
        return codes_at(self.field, self.model.a, self.W, self.pulls)

    @cached_property
    def stable(self) -> bool:
        """Whether no neuron that carries the output leaves its pattern on the way."""
        # At rest on a surface it is rounding that says in which pattern.
        return self._stays and all(
            flat_near(self.field.data, self.pulls, self.model.a[i], self.W[i])
            for i in np.flatnonzero((self.codes != self._before).any(axis=1) & self.live))

    @cached_property
    def D(self) -> np.ndarray:
        """Fields (m, d) at rest."""
        return self.field.fields(self.codes, self.pulls)

    @cached_property
    def mobile(self) -> np.ndarray:
        """The neurons that do not carry the output and have a field at rest."""
        moves = row_norms(self.D) > NONE * self.scale
        return np.flatnonzero(moves & ~self.live & (self.model.W != 0).any(axis=1))

    @cached_property
    def gain(self) -> float:
        """Sum of ``|a_i w_i.D_i|`` over them: what they can take off the loss as they are now."""
        a, W = self._sizes
        return float((a * np.abs((W * self.D).sum(axis=1)))[self.mobile].sum())

    def _carries(self, a: np.ndarray, W: np.ndarray, p: np.ndarray,
                 large: np.ndarray) -> np.ndarray:
        """Which neurons carry the output: the ``large`` ones, if what neurons put out changes the
        largest pull (at a small start none of them carries any), and those that put out much of
        what is put out at a point where that matters, however small they are beside others."""
        field, tiny, width = self.field, np.finfo(float).tiny, row_norms(self.field.data.X)
        out = np.abs(field.activation(field.data.X @ W.T)) * np.abs(a)
        self._reach = reach = out.sum(axis=1)
        bend = field.curvature(self.h)
        changed = np.zeros(field.data.n)
        if not is_quadratic(field.loss):
            # There may be no curvature where outputs are: what they have changed counts as well.
            first = field.first_pulls
            known = np.abs(self.h) > SECANT * reach
            chord = np.abs(first - p)[known] / np.abs(self.h)[known]
            bend[known] = np.maximum(bend[known], chord)
            # And pulls may be the same for all outputs, as far from labels: the loss has changed.
            changed = np.maximum(np.abs(first), np.abs(p)) * reach / field.data.n
        effect, least = reach * bend, LIGHT * max(self.loss, tiny)
        any_does = (effect.max() > LIGHT * max(float(np.abs(p).max()), tiny)
                    or changed.sum() > least)
        matters = (effect * width > LIGHT * float((np.abs(p) * width).max())) | (changed > least)
        much = out[matters] > LIGHT * out[matters].max(axis=1, initial=0.0)[:, None]
        return np.asarray(large & any_does | much.any(axis=0))

    def _relax(self, a: np.ndarray, W: np.ndarray, p: np.ndarray) -> bool:
        """Where the pulls ``p`` (n,) relax to, and how the weights move with them: whether they
        stay in their pattern."""
        field, n = self.field, self.field.data.n
        X, live = field.data.X, np.flatnonzero(self.live)
        curvature = field.curvature(self.h)
        bend = np.sqrt(np.maximum(curvature, np.finfo(float).tiny))
        F, projectors, of = self._features(a[live], W[live], self._before[live])
        U, s, _ = np.linalg.svd(bend[:, None] * F / np.sqrt(n), full_matrices=False)
        least = s.max(initial=0.0)
        if not is_quadratic(field.loss):
            # Where no point has curvature, that of a loss which answers to outputs as they are.
            strongest = max(np.abs(p).max(), np.abs(field.first_pulls).max())
            usual = LEAST + strongest / max(np.abs(self.h).max(), np.finfo(float).tiny)
            least = max(least, np.sqrt(usual / n) * float(np.abs(F).max(initial=0.0)))
        kept = s > RANK * least
        U, self.rates = U[:, kept], s[kept]**2
        # There pulls stay as they are, to the last digit.
        U[curvature == 0] = 0.0
        b = np.asarray((p / bend) @ U)
        self._basis, self._bend, self._parts, self._from = U, bend, b, p
        gone = -np.expm1(-self.rates * self.horizon)
        self.amounts = b**2 / (2 * n)
        # Twice: a limit that is 0 in the cells of the live neurons must be so to rounding.
        q = p / bend - U @ (gone * b)
        self.pulls = bend * (q - U @ (U.T @ q) if np.isinf(self.horizon) else q)
        if is_quadratic(field.loss):
            # What is left of sums of larger terms by rounding pulls nobody.
            rounding = EPS * bend * (bend * self._terms + np.abs(U) @ np.abs(b))
            self.pulls[np.abs(self.pulls) <= rounding] = 0.0
        self.fall = float(self.amounts @ (1 - (1 - gone)**2))
        # Integral of the pulls less their limit; weights move by its field.
        rho = bend * (U @ (gone / self.rates * b))
        self.linear = is_quadratic(field.loss) or self._near(F, p, rho)
        if not self.linear:
            rho = self._least(F, p)
        fields = np.einsum("gcd,gd->gc", projectors, (self._on * rho) @ X / n)[of]
        step = a[live, None] * fields
        turn = X @ (W[live] + step).T
        strict = self._before[live] != SLIDING
        # What comes to rest on a hyperplane may pass it by rounding.
        edge = CLOSE * row_norms(W[live])[:, None] * row_norms(X)
        wrong = np.where(self._before[live] == ON, turn.T < -edge, turn.T > edge)
        lift = (W[live] * fields).sum(axis=1)
        moved = np.hypot(lift, row_norms(step))
        self._ahead = a.copy(), W.copy()
        self._ahead[0][live] += lift
        self._ahead[1][live] += step
        self.move = float((moved / np.hypot(a[live], row_norms(W[live]))).max(initial=0.0))
        return not bool((wrong & strict).any())

    def _near(self, F: np.ndarray, p: np.ndarray, rho: np.ndarray) -> bool:
        """Whether the loss is near enough to quadratic where the pulls ``p`` (n,) relax with the
        integral ``rho`` (n,): pulls there are as foreseen, and none is left that features ``F``
        (n, r) would follow for ever, along which there is no curvature. Takes ``fall`` from
        there."""
        field, size = self.field, row_norms(self.field.data.X)
        self._end = h = self.h + F @ (F.T @ rho) / field.data.n
        there = field.pulls(h)
        # That of the quadratic may be more than there is.
        self.fall = max(self.loss - float(field.value(h)), 0.0)
        off, change = np.abs(there - self.pulls) @ size, np.abs(p - self.pulls) @ size
        left = np.abs(F.T @ (p - self._bend * (self._basis @ self._parts)))
        return bool(off <= NEAR * change + NONE * (np.abs(p) @ size)
                    and (left <= NONE * (np.abs(F).T @ np.abs(p)).max(initial=0.0)).all())

    def _least(self, F: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Take pulls and ``fall`` from where the loss itself is least over features ``F`` (n, r):
        the integral of the pulls (n,) to there."""
        found = least_over(self.field, self.h, F)
        self._parts = np.zeros_like(self._parts)
        if found is None:
            self.pulls, self.fall, self._end = p, np.inf, np.full(len(p), np.nan)
        else:
            self.pulls, self._end = found.pulls, self.h + found.change
            self.fall = max(self.loss - float(self.field.value(self._end)), 0.0)
        self._from = self.pulls
        return np.zeros_like(p) if found is None else found.effort

    def _features(self, a: np.ndarray, W: np.ndarray, codes: np.ndarray
                  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``F`` (n, G d) with the tangent kernel ``F F^T``, from neurons by pattern; projectors on
        what they may move in (G, d, d), and the pattern of each (m,)."""
        X, d = self.field.data.X, self.field.data.d
        first, of = distinct(codes)
        sets = codes[first]
        self._on = self.field.activation.weights(sets)
        F, projectors = np.empty((len(sets), len(X), d)), np.empty((len(sets), d, d))
        for g, pattern in enumerate(sets):
            own, P = of == g, np.eye(d)
            if (pattern == SLIDING).any():
                rows, _ = orthonormal_rows(unit_rows(X[pattern == SLIDING]))
                P -= rows.T @ rows
            size, axes = np.linalg.eigh((a[own] @ a[own]) * P + W[own].T @ W[own])
            # Roots of rounding are not small.
            size[size <= EIGENVALUE * size.max()] = 0.0
            F[g] = self._on[g][:, None] * (X @ axes) * np.sqrt(size)
            projectors[g] = P
        return F.transpose(1, 0, 2).reshape(len(X), -1), projectors, of

    def pulls_between(self, begin: float, end: float) -> np.ndarray:
        """Mean of the pulls (n,) on their way to rest between two times from now."""
        during = self.rates * (end - begin)
        left = np.exp(-self.rates * begin) * -np.expm1(-during) / during
        return np.asarray(self._from - self._bend * (self._basis @ ((1.0 - left) * self._parts)))

    def off(self, time: float) -> float:
        """Bound for what the pulls add to ``log |w|`` of a neuron until a time, on their way to
        rest, over what they would at rest."""
        rho = self._bend * (self._basis @ (-np.expm1(-self.rates * time) / self.rates
                                           * self._parts))
        return float(np.abs(rho) @ row_norms(self.field.data.X)) / self.field.data.n

    def slowing(self, w: np.ndarray, rate: float) -> float:
        """``kappa``: a group of mass M on the unit vector ``w`` (d,), that grows like
        ``exp(2 rate t)``, slows itself down by ``kappa M``.

        By what it adds to the outputs: all of it where the live neurons cannot make up for it, and
        elsewhere what they lag behind, ``2 rate / (2 rate + r)`` of it if they relax at rate r.
        """
        X, n = self.field.data.X, self.field.data.n
        added = self.field.activation(X @ w) * self._bend
        parts = self._basis.T @ added
        left = added - self._basis @ parts
        lag = 2 * rate / (2 * rate + self.rates)
        return float(left @ left + lag @ parts**2) / n

    @cached_property
    def limit(self) -> float:
        """The loss at rest, from the outputs there: the difference of two losses knows nothing of
        one that is far less than they are. NaN if it is not known."""
        field, first = self.field, self.field.first_pulls
        if not is_quadratic(field.loss):
            return float(field.value(self._end))

        def left(h: np.ndarray) -> np.ndarray:
            for _ in range(2):
                h = h - self._basis @ (self._basis.T @ h)
            return h

        # Outputs of live neurons are made up for; where they are large, they hide labels.
        kept = left(self.h - self._small)
        kept[np.abs(kept) <= KNOWN * self._terms.max()] = 0.0
        return float(field.value(first - left(first - self._small - kept)))

    def known(self, rtol: float = 0.0) -> float:
        """By how much losses at rest may be wrong: by rounding of labels and outputs, and by the
        relative tolerance of the run that has led here. That moves weights along features, to
        which the pulls at rest are orthogonal: its square counts."""
        field, sure, wide = self.field, KNOWN * self._terms, self.vague(rtol)
        bend = field.curvature(self.h)
        known = float(np.mean(np.abs(self.pulls) * sure + bend * wide**2 / 2))
        # Other losses may be made of differences of larger terms.
        return known if is_quadratic(field.loss) else (
            known + 8 * EPS * float(field.value(np.zeros(field.data.n))))

    def vague(self, rtol: float = 0.0) -> np.ndarray:
        """By how much each output (n,) may be wrong, for the same reasons."""
        terms = self._terms
        return np.asarray(np.maximum(KNOWN * terms.max(),
                                     rtol * (terms - np.abs(self.field.data.y))))

    @cached_property
    def emptied(self) -> Standstill | None:
        """The same without what neurons put out that will put out nothing: those that shrink for
        ever or die, and those that only fit what small ones put out. None if that is nothing, or if
        the others then do not rest on their pattern."""
        if (early := self.early) is None:
            return None
        off = early.dead & ~(early.pattern != 0).any(axis=1)
        fits = self._rising(early)
        fits[self.growing] = False
        gone = self.mobile[off | fits | (early.rate < 0) | np.isneginf(early.offset)]
        W = self.model.W.copy()
        W[gone] = 0.0
        if not rest.reach(self._sizes[0][gone], self._sizes[1][gone], self.field.data.X).any():
            return None
        end = Standstill(self.model.like(self.model.a, W, self.model.log_scale), self.field)
        return end if end.stable and end.move <= MOVES else None

    @property
    def _terms(self) -> np.ndarray:
        """Sum of the magnitudes of a label and of what neurons put out (n,)."""
        return np.asarray(np.abs(self.field.data.y) + self._reach)

    @cached_property
    def _small(self) -> np.ndarray:
        """Outputs (n,) of the neurons that do not carry the output."""
        a = np.sign(self.model.a) * self._sizes[0]
        return self.field.outputs(np.where(self.live, 0.0, a), self._sizes[1])

    @cached_property
    def _aside(self) -> np.ndarray:
        """What neurons that do not carry the output do to the pulls (n,), beyond what the live
        ones make up for."""
        small = self._small
        if is_quadratic(self.field.loss):
            small = small * self._bend
        else:
            # From pulls without them: curvature may vanish where they have led.
            small = (self.field.pulls(self.h - small) - self.field.pulls(self.h)) / self._bend
        return np.asarray(self._bend * (small - self._basis @ (self._basis.T @ small)))

    def own(self, V: np.ndarray) -> np.ndarray:
        """Part of the rate of growth along unit vectors (k, d), up to its sign, that comes from
        the outputs of neurons that do not carry the output, as they are now."""
        X = self.field.data.X
        return np.asarray(np.abs(self.field.activation(V @ X.T) @ self._aside) / len(X))

    @property
    def foreseen(self) -> bool:
        """Whether ``fall`` is near what it will be: always taken for so if the loss is quadratic,
        for others only where features hardly change."""
        return is_quadratic(self.field.loss) or bool(np.isfinite(self.fall) and self.move <= MOVES)

    @property
    def ahead(self) -> TwoLayerReLU:
        """The network with the neurons that carry the output where they relax to."""
        return TwoLayerReLU(*self._ahead)

    def rests(self, share: float) -> bool:
        """Whether this is a rest, but for neurons that are small: what carries the output loses
        less than ``share`` of the loss, in its pattern, and the others as they are no more."""
        # What is known first: most networks that are asked are on their way.
        return bool(self._stays and self.move <= MOVES and self.fall <= share * self.loss
                    and self.stable and self.gain <= share * self.loss)

    @cached_property
    def early(self) -> EarlyFlow | None:
        """Early flow of the mobile neurons, with the pulls at rest for labels."""
        return self.follow(self.part(self.mobile), self.pulls) if self.mobile.size else None

    @cached_property
    def turning(self) -> np.ndarray:
        """The `mobile` neurons, and those that are so as long as the pulls do not rest."""
        now = row_norms(self.field.fields(self.codes, self._from)) > NONE * self.scale
        now &= ~self.live & (self.model.W != 0).any(axis=1)
        return np.union1d(self.mobile, np.flatnonzero(now))

    def part(self, neurons: np.ndarray) -> TwoLayerReLU:
        """The network of some of the neurons."""
        return TwoLayerReLU(self.model.a[neurons], self.W[neurons], self.model.log_scale[neurons])

    def follow(self, small: TwoLayer, pulls: np.ndarray) -> EarlyFlow:
        """Early flow of small neurons under pulls (n,) that do not change."""
        return early_flow(small, Data(self.field.data.X, pulls), threads=1)

    @cached_property
    def growing(self) -> np.ndarray:
        """Those of `mobile` that grow in the end, as positions there."""
        early = self.early
        return np.empty(0, dtype=np.int64) if early is None else self.grow(early)

    def grow(self, early: EarlyFlow) -> np.ndarray:
        """Positions of those of small neurons that grow in the end.

        Not those that owe more than `OWN` of their rate to what small neurons put out: these pulls
        are on their way like the neurons, and where they alone pull, all is being fitted already.
        """
        return np.flatnonzero(self._rising(early)
                              & (self.own(early.end_direction) <= OWN * early.rate))

    def _rising(self, early: EarlyFlow) -> np.ndarray:
        """Which of small neurons grow under these pulls, whatever makes them."""
        soon = early.arrival * NONE * self.scale < 1.0
        return np.asarray(~early.dead & early.settled & soon & (early.rate > NONE * self.scale))

    @property
    def fitting(self) -> bool:
        """Whether small neurons grow on what small neurons put out, which `grow` leaves out."""
        early = self.early
        return early is not None and bool(self._rising(early).sum() > self.growing.size)

    @property
    def decided(self) -> bool:
        """Whether rounding, and what the pulls are still off, leave no doubt who grows."""
        early = self.early
        if early is None:
            return True
        off = self.scale * (self.fall / self.loss if self.loss > 0 else 0.0)
        doubtful = (early.rate > NONE * self.scale) & (early.rate < off) & ~early.dead
        return bool(early.settled.all() and not doubtful.any())
