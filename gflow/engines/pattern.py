"""The activation pattern of a run: sides of all neurons, and what the field needs of them."""

from __future__ import annotations

from functools import cached_property
from typing import Callable, Iterable, NamedTuple

import numpy as np

from ..problem.activation import Activation
from ..problem.alike import distinct
from ..problem.data import Data
from ..kernels.algebra import orthonormal_rows
from ..kernels.crossings import ON_SURFACE, tighten_all
from ..kernels.switch import AT_REST, SMALL, switch
from ..problem.field import Field
from ..problem.loss import SQUARE, Loss, undefined
from ..problem.network import TwoLayer
from ..problem.units import exponent, mantissas
from ..problem.norms import row_norms
from .at_zero import stayed
from .events import OFF, ON, SLIDING, point_codes
from .run import Stop

APART = 250
"""Weights reach outputs above the labels by no more than this power of two: products of four
residuals must not underflow."""
VANISHED = 1e-5
"""Pulls below this part of the labels, where a slide ends, have passed 0 for all one can tell."""
LAUNCH = 3.0
"""A ``|w|`` far below ``|a|`` grows by no more than this a step, in units of itself."""


def start(field: Field, a: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and pulls of a start, shapes (n,); no pulls where the loss overflows, see
    `overflow`."""
    h = field.outputs(a, W)
    p = field.pulls(h)
    return h, p if _holds(field, h, p) else np.zeros_like(p)


def _holds(field: Field, h: np.ndarray, p: np.ndarray) -> bool:
    return bool(np.isfinite(field.value(h) * field.data.n + p @ p))


def overflow(model: TwoLayer, data: Data, loss: Loss = SQUARE) -> str:
    """A sentence if the weights or the loss of a start leave double precision, or nothing."""
    with np.errstate(all="ignore"):
        U, power = mantissas(model)
        start = np.ldexp(U, power[:, None])
        lost = (U[:, 1:].any(axis=1) != model.W.any(axis=1)) | ~np.isfinite(start).all(axis=1)
        if lost.any():
            return (f"the weights of neuron {int(np.argmax(lost))} overflow, or are too far from "
                    "each other for double precision; start smaller or less unbalanced")
        live = np.flatnonzero(U.any(axis=1))
        if loss == SQUARE and not model.smooth and live.size and data.X.any() and data.y.any():
            strongest = int(live[np.argmax(power[live])])
            reach = 2 * int(power[strongest]) + exponent(np.abs(data.X).max())
            if reach > exponent(np.abs(data.y).max()) + APART:
                return (f"the weights of neuron {strongest} are too large beside the labels for "
                        "double precision; rescale the data or start smaller")
        field = Field(data, loss, model.activation)
        each = field.activation(data.X @ start[:, 1:].T) * start[:, 0]
        h = each.sum(axis=1)
        if _holds(field, h, field.pulls(h)):
            return ""
        if unknown := undefined(loss, h, data.y):
            return unknown
        k, i = np.unravel_index(int(np.argmax(np.where(np.isnan(each), np.inf, np.abs(each)))),
                                each.shape)
        return (f"the loss of the start overflows, most of all through neuron {i} at point {k}; "
                "rescale the data or start smaller")


def stop_at_zero(activation: Activation, a: np.ndarray, W: np.ndarray, t: float) -> None:
    """End a run on which a leaky neuron has come to ``w = 0``: its field is not 0 there, and it
    could leave in several directions. In one dimension it just passes.

    Raises
    ------
    Stop
        If there is one.
    """
    if activation.slope and W.shape[1] > 1:
        there = (row_norms(W) <= AT_REST * np.abs(a)) & (a != 0)
        if there.any():
            raise leaky_at_zero(int(there.argmax()), t)


def leaky_at_zero(neuron: int, t: float) -> Stop:
    """What ends a run on which a leaky neuron has come to ``w = 0`` at ``t``."""
    return Stop("leaky_at_zero", f"neuron {neuron} is leaky and has reached w = 0 at t = {{t}}, "
                "where its way on is not unique; perturb the start", t)


def undecided(data: Data, planes: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Which of the hyperplanes ``planes`` (E,) have no pull left where neurons leave them, under
    pulls ``p`` (E, n): of a leaky kink both sides are solutions then."""
    A = data.arrangement
    jumps = np.empty(len(planes))
    for e, (plane, pulls) in enumerate(zip(planes, p)):
        points = A.member[A.start[plane]:A.start[plane + 1]]
        jumps[e] = abs(float((np.abs(A.length[points]) * pulls[points]).sum()))
    return np.asarray(jumps <= VANISHED * float(np.abs(A.length * data.y).max()))


class Slide:
    """A sliding neuron: its hyperplanes with normals ``V``, their basis, and the solver for its
    multipliers."""

    def __init__(self, hyperplanes: np.ndarray, V: np.ndarray, sign: float) -> None:
        self.hyperplanes, self.sign, self._V = hyperplanes, sign, V
        self.basis, _ = orthonormal_rows(V)

    @cached_property
    def solve(self) -> np.ndarray:
        """From a field (d,) to the multipliers that take its part along the normals off."""
        return np.asarray(np.linalg.pinv(self._V @ self._V.T) @ self._V)


class Geometry(NamedTuple):
    """Points whose ReLU neurons have the field of a problem: those of a leaky one, and their
    opposites; see `gflow.problem.activation.Activation.mirrored`."""

    X: np.ndarray
    label: np.ndarray
    length: np.ndarray
    activation: Activation

    @classmethod
    def of(cls, data: Data, activation: Activation) -> Geometry:
        """The points of these data."""
        A = data.arrangement
        if not activation.slope:
            return cls(data.X, A.label, A.length, activation)
        return cls(np.concatenate([data.X, -data.X]), np.tile(A.label, 2),
                   np.concatenate([A.length, -A.length]), activation)

    def pulls(self, p: np.ndarray) -> np.ndarray:
        """Pulls (..., N) of these points, where the points of the data have ``p`` (..., n)."""
        return self.activation.mirrored(p) if self.activation.slope else p


def codes_at(field: Field, a: np.ndarray, W: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Codes (m, n) of neurons under pulls ``p`` (n,), by Filippov's rule on hyperplanes.

    Neurons between, and on, the same hyperplanes whose output weights have one sign have one
    pattern, which is found once.

    Examples
    --------
    >>> data = Data([[1.0, 0.0]], [1.0])
    >>> W = np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0]])
    >>> codes_at(Field(data), np.array([-1.0, -1.0, 1.0]), W, np.array([1.0])).ravel()
    array([0, 0, 1], dtype=int8)
    """
    size, z = row_norms(W), W @ field.data.arrangement.normal.T
    edge = ON_SURFACE * size[:, None]
    sides = (z > edge).view(np.int8) - (z < -edge).view(np.int8)
    # Where an output weight is 0, its own field decides.
    own = np.flatnonzero(~(np.abs(a) > ON_SURFACE * size))
    first, of = distinct(np.column_stack([sides, np.sign(a).astype(np.int8)]))
    first, of[own] = np.append(first, own), len(first) + np.arange(own.size)
    return np.asarray(Pattern(field, a[first], W[first], p).codes[of])


class Pattern:
    """Sides of every neuron on every hyperplane, kept consistent with the arrays of the field.

    Parameters
    ----------
    field : Field
        Of the problem.
    a, W : ndarray, shapes (m,) and (m, d)
        Start of the run. Neurons on a hyperplane get their side from Filippov's rule.
    p : ndarray, shape (n,)
        Pulls at the start.
    shrinking : ndarray, shape (d,), or None
        Decay of hidden weights, if it turns them.

    Attributes
    ----------
    side : ndarray of int8, shape (m, C)
        -1 or 1, and 0 where the neuron slides.
    on : ndarray, shape (m, n)
        Derivative of the activation: 1.0 where the neuron is active at the point.
    codes : ndarray of int8, shape (m, n)
        0 off, 1 on, 2 sliding.
    loose : ndarray of bool, shape (m, C)
        Hyperplanes that a neuron has just been on and has not clearly left.
    slides : dict of int to Slide
        The sliding neurons.
    choices : list of ndarray
        What was chosen where the solution was not unique, see `gflow.engines.protocol.Engine`.
    """

    def __init__(self, field: Field, a: np.ndarray, W: np.ndarray, p: np.ndarray,
                 shrinking: np.ndarray | None = None) -> None:
        assert isinstance(field.activation, Activation)
        self.data, self.activation, self.shrinking = field.data, field.activation, shrinking
        self.arrangement = A = self.data.arrangement
        self.geometry = Geometry.of(self.data, self.activation)
        m = a.size
        z = W @ A.normal.T
        self.side = np.where(z > 0, 1, -1).astype(np.int8)
        self.rest = np.zeros(m, dtype=bool)
        self.codes = point_codes(A, self.side)
        self.on = self.activation.weights(self.codes)
        self.loose = np.zeros(self.side.shape, dtype=bool)
        self.slides: dict[int, Slide] = {}
        self.choices: list[np.ndarray] = []
        none = np.empty(0, dtype=np.int64)
        size = row_norms(W)
        self.begun = np.where((size > 0) & (size < SMALL * np.abs(a)), size, np.inf)
        touches = (np.abs(z) <= ON_SURFACE * size[:, None]).any(axis=1) | (size == 0)
        for i in np.flatnonzero(touches).tolist():
            self._settle(i, a, W, none, none, p, 0.0)
        self._pack()

    def take(self, codes: np.ndarray, a: np.ndarray, W: np.ndarray, D: np.ndarray,
             met: np.ndarray, band: float) -> None:
        """Go on with the ``codes`` (m, n) of a run, whatever led to them.

        Parameters
        ----------
        codes : ndarray of int8, shape (m, n)
            Pattern at a time at which a piece of it began.
        a, W : ndarray, shapes (m,) and (m, d)
            Weights there; ``W`` is put on the surfaces that neurons slide on.
        D : ndarray, shape (m, d)
            Fields of least norm there.
        met : ndarray of bool, shape (m, n)
            Points whose hyperplanes neurons have met on the run.
        band : float
            Part of its norm by which a neuron has to leave a hyperplane.
        """
        A = self.arrangement
        first = A.member[A.start[:-1]]
        on = codes[:, first]
        side = np.where(on == SLIDING, 0, np.where((on == ON) == (A.length[first] > 0), 1, -1))
        self.side, self.codes = side.astype(np.int8), codes.copy()
        self.on = self.activation.weights(codes)
        # A leaky neuron with an output is held at w = 0, and may be let go of it.
        self.rest = ~W.any(axis=1) & ((a == 0.0) | (not self.activation.slope))
        self.slides = {}
        for i in np.flatnonzero((side == 0).any(axis=1) & ~self.rest).tolist():
            size = float(np.sqrt(W[i] @ W[i]))
            along = a[i] if abs(a[i]) > ON_SURFACE * size else float(W[i] @ D[i])
            self._slide(i, np.flatnonzero(side[i] == 0), float(np.sign(along)))
        self.keep_on(W)
        self.loose = (side != 0) & met[:, first]
        self.tighten(W, band)
        self._pack()

    def switch(self, contacts: Iterable[tuple[int, int, int]], a: np.ndarray, W: np.ndarray,
               p: np.ndarray, t: float) -> list[tuple[int, int, int, int]]:
        """Apply contacts ``(neuron, hyperplane, kind)`` at the time ``t``; ``W`` is put on
        surfaces.

        Returns
        -------
        list of (neuron, point, code before, code after)
            Every change of the ternary pattern.
        """
        by_neuron: dict[int, list[tuple[int, int]]] = {}
        for i, h, kind in contacts:
            by_neuron.setdefault(i, []).append((h, kind))
        changes = []
        for i, touched in sorted(by_neuron.items()):
            before = self.codes[i].copy()
            hyperplanes, kinds = np.array(touched, dtype=np.int64).T
            real = hyperplanes >= 0
            self._settle(i, a, W, np.ascontiguousarray(hyperplanes[real]),
                         np.ascontiguousarray(kinds[real]), p, t)
            for k in np.flatnonzero(before != self.codes[i]):
                changes.append((i, int(k), int(before[k]), int(self.codes[i, k])))
        self._pack()
        return changes

    def keep_on(self, W: np.ndarray) -> None:
        """Put sliding neurons back on their hyperplanes, in place: what they are off does not
        shrink when they do, and is all that is left of them in the end."""
        for i, slide in self.slides.items():
            if len(slide.basis) < self.data.d:
                W[i] -= (W[i] @ slide.basis.T) @ slide.basis

    def launch(self, a: np.ndarray, W: np.ndarray, dW: Callable[[], np.ndarray]) -> float:
        """The longest step on which no ``|w|`` that began far below ``|a|`` grows manifold.

        Such a neuron turns while ``|w|`` is of the size that it began with; what comes after
        depends on the cones that it goes through then. ``dW`` gives the velocity of ``W``.
        """
        small = np.flatnonzero(self.begun < np.inf)
        if not small.size:
            return np.inf
        size = row_norms(W[small])
        self.begun[small[size >= SMALL * np.abs(a[small])]] = np.inf
        speed = row_norms(dW()[small])
        waiting = (self.begun[small] < np.inf) & (size > 0) & (speed > 0)
        return float(LAUNCH * (size[waiting] / speed[waiting]).min(initial=np.inf))

    def in_reach(self, W: np.ndarray) -> np.ndarray:
        """Sides (m, C), 0 also where neurons ``W`` (m, d) cannot come before they are at w = 0:
        of those that slide on a line, but for what they come to at the greatest angle. Rounding
        would have them meet those first that are close to the line."""
        on_line = [i for i, slide in self.slides.items() if len(slide.basis) == self.data.d - 1]
        if self.activation.slope or not on_line:
            return self.side
        side = self.side.copy()
        for i in on_line:
            along = np.where(side[i] != 0, np.abs(self.arrangement.normal @ W[i]), -1.0)
            side[i, np.arange(along.size) != along.argmax()] = 0
        return side

    def tighten(self, W: np.ndarray, band: float) -> None:
        """Forget the hyperplanes that neurons have clearly left; see `crossings.tighten`."""
        if self.loose.any():
            tighten_all(W, self.side, self.loose, self.arrangement.normal, band)

    def _settle(self, i: int, a: np.ndarray, W: np.ndarray, touched: np.ndarray,
                kinds: np.ndarray, p: np.ndarray, t: float) -> None:
        A = self.arrangement
        lowest = AT_REST * min(abs(a[i]), self.begun[i])
        side, w, sign, rest, on_it, choices, other = switch(
            a[i], W[i], self.side[i], touched, kinds, self.geometry.pulls(p), self.geometry.X,
            self.geometry.label, self.geometry.length, A.normal, lowest,
            bool(self.activation.slope),
            None if self.shrinking is None else self.shrinking * W[i])
        W[i] = w
        on_line = i in self.slides and len(self.slides[i].basis) == self.data.d - 1
        if rest and touched.size and not on_line and self.data.d > 1:
            # Slides on a line end at 0 itself; others pass it by as little as may be an error.
            self.choices.append(stayed(i, t, a[i], p, self.data))
        if choices != 1 and (t == 0.0 or (side != self.side[i]).any()):
            # One that changes nothing has been made before.
            planes = np.flatnonzero(on_it)
            row = np.empty((planes.size, 6))
            row[:, 0], row[:, 1], row[:, 2] = i, t, planes
            row[:, 3], row[:, 4], row[:, 5] = side[planes], other[planes], choices
            self.choices.append(row)
        if self.data.d == 1 and ((side * (A.normal @ w) < 0.0).any()
                                 or touched.size and abs(w[0]) <= AT_REST * abs(a[i])):
            # On a line all of w is what it has passed 0 by, and it would be there again at once.
            W[i] = 0.0
        self.side[i] = side
        self.rest[i] = rest
        self.loose[i] |= on_it
        sliding = np.flatnonzero(side == 0)
        if sliding.size and not rest:
            self._slide(i, sliding, float(sign))
        else:
            self.slides.pop(i, None)
        self.codes[i] = OFF if rest else point_codes(A, side[None])[0]
        self.on[i] = self.activation.weights(self.codes[i])

    def _slide(self, i: int, hyperplanes: np.ndarray, sign: float) -> None:
        self.slides[i] = Slide(hyperplanes, self.arrangement.normal[hyperplanes], sign)

    def _pack(self) -> None:
        """Arrays of the sliding neurons, as the compiled field takes them."""
        d = self.data.d
        self.slider = np.array(sorted(self.slides), dtype=np.int64)
        self.rank = np.array([len(self.slides[i].basis) for i in sorted(self.slides)],
                             dtype=np.int64)
        self.basis = np.zeros((self.slider.size, d, d))
        for j, i in enumerate(self.slider):
            self.basis[j, :self.rank[j]] = self.slides[int(i)].basis
