"""The activation pattern of a run: sides of all neurons, and what the field needs of them."""

from __future__ import annotations

from typing import Callable, Iterable, NamedTuple

import numpy as np

from ..problem.data import Data
from ..kernels.algebra import orthonormal_rows
from ..kernels.crossings import ON_SURFACE
from ..kernels.switch import AT_REST, SMALL, switch
from ..problem.field import Field
from ..problem.loss import SQUARE, Loss
from ..problem.network import TwoLayerReLU
from ..problem.units import exponent, mantissas
from ..problem.norms import row_norms
from .events import OFF, ON, SLIDING, point_codes

APART = 250
"""Weights reach outputs above the labels by no more than this power of two: products of four
residuals must not underflow."""
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


def overflow(model: TwoLayerReLU, data: Data, loss: Loss = SQUARE) -> str:
    """A sentence if the weights or the loss of a start leave double precision, or nothing."""
    with np.errstate(all="ignore"):
        U, power = mantissas(model)
        start = np.ldexp(U, power[:, None])
        lost = (U[:, 1:].any(axis=1) != model.W.any(axis=1)) | ~np.isfinite(start).all(axis=1)
        if lost.any():
            return (f"the weights of neuron {int(np.argmax(lost))} overflow, or are too far from "
                    "each other for double precision; start smaller or less unbalanced")
        live = np.flatnonzero(U.any(axis=1))
        if loss == SQUARE and live.size and data.X.any() and data.y.any():
            strongest = int(live[np.argmax(power[live])])
            reach = 2 * int(power[strongest]) + exponent(np.abs(data.X).max())
            if reach > exponent(np.abs(data.y).max()) + APART:
                return (f"the weights of neuron {strongest} are too large beside the labels for "
                        "double precision; rescale the data or start smaller")
        field = Field(data, loss)
        each = field.activation(data.X @ start[:, 1:].T) * start[:, 0]
        h = each.sum(axis=1)
        if _holds(field, h, field.pulls(h)):
            return ""
        k, i = np.unravel_index(int(np.argmax(np.where(np.isnan(each), np.inf, np.abs(each)))),
                                each.shape)
        return (f"the loss of the start overflows, most of all through neuron {i} at point {k}; "
                "rescale the data or start smaller")


class Slide(NamedTuple):
    """A sliding neuron: its hyperplanes, their basis, and the solver for its multipliers."""

    hyperplanes: np.ndarray
    basis: np.ndarray
    solve: np.ndarray
    sign: float


class Pattern:
    """Sides of every neuron on every hyperplane, kept consistent with the arrays of the field.

    Parameters
    ----------
    data : Data
        The points.
    a, W : ndarray, shapes (m,) and (m, d)
        Start of the run. Neurons on a hyperplane get their side from Filippov's rule.
    p : ndarray, shape (n,)
        Pulls at the start.

    Attributes
    ----------
    side : ndarray of int8, shape (m, C)
        -1 or 1, and 0 where the neuron slides.
    on : ndarray, shape (m, n)
        1.0 where the neuron is active at the point.
    codes : ndarray of int8, shape (m, n)
        0 off, 1 on, 2 sliding.
    loose : ndarray of bool, shape (m, C)
        Hyperplanes that a neuron has just been on and has not clearly left.
    slides : dict of int to Slide
        The sliding neurons.
    ambiguous : int
        Instants at which the solution was not unique and a choice was made.
    """

    def __init__(self, data: Data, a: np.ndarray, W: np.ndarray, p: np.ndarray) -> None:
        self.data = data
        self.arrangement = data.arrangement
        m = a.size
        A = self.arrangement
        z = W @ A.normal.T
        self.side = np.where(z > 0, 1, -1).astype(np.int8)
        self.rest = np.zeros(m, dtype=bool)
        self.codes = point_codes(A, self.side)
        self.on = (self.codes == ON).astype(float)
        self.loose = np.zeros(self.side.shape, dtype=bool)
        self.slides: dict[int, Slide] = {}
        self.ambiguous = 0
        none = np.empty(0, dtype=np.int64)
        size = row_norms(W)
        self.begun = np.where((size > 0) & (size < SMALL * np.abs(a)), size, np.inf)
        touches = (np.abs(z) <= ON_SURFACE * size[:, None]).any(axis=1) | (size == 0)
        for i in np.flatnonzero(touches).tolist():
            self._settle(i, a, W, none, none, p)
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
        self.on = (codes == ON).astype(float)
        self.rest = np.asarray(~W.any(axis=1))
        self.slides = {}
        for i in np.flatnonzero((side == 0).any(axis=1) & ~self.rest).tolist():
            size = float(np.sqrt(W[i] @ W[i]))
            along = a[i] if abs(a[i]) > ON_SURFACE * size else float(W[i] @ D[i])
            self._slide(i, np.flatnonzero(side[i] == 0), float(np.sign(along)))
        self.keep_on(W)
        z = self.side * (W @ A.normal.T)
        self.loose = (side != 0) & (z <= band * row_norms(W)[:, None]) & met[:, first]
        self._pack()

    def switch(self, contacts: Iterable[tuple[int, int, int]], a: np.ndarray, W: np.ndarray,
               p: np.ndarray) -> list[tuple[int, int, int, int]]:
        """Apply contacts ``(neuron, hyperplane, kind)`` at one instant; ``W`` is put on surfaces.

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
                         np.ascontiguousarray(kinds[real]), p)
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

    def tighten(self, W: np.ndarray, band: float) -> None:
        """Forget the hyperplanes that neurons have left by more than ``band`` of their norm."""
        i, h = np.nonzero(self.loose)
        if i.size:
            z = self.side[i, h] * (W[i] * self.arrangement.normal[h]).sum(axis=1)
            self.loose[i, h] = z <= band * row_norms(W[i])

    def _settle(self, i: int, a: np.ndarray, W: np.ndarray, touched: np.ndarray,
                kinds: np.ndarray, p: np.ndarray) -> None:
        A = self.arrangement
        lowest = AT_REST * min(abs(a[i]), self.begun[i])
        side, w, sign, rest, on_it, choices = switch(
            a[i], W[i], self.side[i], touched, kinds, p, self.data.X, A.label, A.length, A.normal,
            lowest)
        W[i] = w
        self.side[i] = side
        self.rest[i] = rest
        self.loose[i] |= on_it
        self.ambiguous += choices > 1
        sliding = np.flatnonzero(side == 0)
        if sliding.size and not rest:
            self._slide(i, sliding, float(sign))
        else:
            self.slides.pop(i, None)
        self.codes[i] = OFF if rest else point_codes(A, side[None])[0]
        self.on[i] = self.codes[i] == ON

    def _slide(self, i: int, hyperplanes: np.ndarray, sign: float) -> None:
        V = self.arrangement.normal[hyperplanes]
        basis, _ = orthonormal_rows(V)
        self.slides[i] = Slide(hyperplanes, basis, np.linalg.pinv(V @ V.T) @ V, sign)

    def _pack(self) -> None:
        """Arrays of the sliding neurons, as the compiled field takes them."""
        d = self.data.d
        self.slider = np.array(sorted(self.slides), dtype=np.int64)
        self.rank = np.array([len(self.slides[i].basis) for i in sorted(self.slides)],
                             dtype=np.int64)
        self.basis = np.zeros((self.slider.size, d, d))
        for j, i in enumerate(self.slider):
            self.basis[j, :self.rank[j]] = self.slides[int(i)].basis
