"""Rest between events or under decay, where windows would go on for ever.

Under decay points hold large neurons against it, and fields do not vanish; a weight that vanishes
in a cone is less than the error of its neuron in the end, and turns and meets hyperplanes at
random. Where a Newton step finds the rest within ``rtol`` of every large neuron the run stays at
it. Pulls are constant then, and a neuron that puts out nothing any more, and whose velocity is
against itself, keeps its direction and shrinks at a constant rate: a dead one at that of the decay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...kernels.algebra import orthonormal_rows
from ...kernels.crossings import ON_SURFACE
from ...problem.activation import Activation
from ...problem.field import Field
from ...problem.norms import row_norms
from .. import rest
from ..events import OFF
from ..standing import EPS, dead_neurons, drowned, little, to_rest
from ..stepping import Stepping
from .calm import Stretch
from .marcher import Patterns

if TYPE_CHECKING:
    from .engine import Waveform

FAINT = 10.0
"""Errors of a window that a weight is made of whose direction nobody knows."""


class Rest(NamedTuple):
    """A flow at rest.

    Attributes
    ----------
    U : ndarray, shape (m, d + 1)
        Neurons, in the units that were given.
    rate : ndarray, shape (m,)
        At which they shrink; 0 if they stay.
    """

    U: np.ndarray
    rate: np.ndarray

    def stretch(self, power: np.ndarray, t: float) -> Stretch:
        """What is there from ``t`` on: every neuron that shrinks is a pattern by itself."""
        m, e = self.U.shape
        i = np.flatnonzero(self.rate)
        of, moments = np.full(m, -1), np.zeros((i.size, e, e))
        of[i] = np.arange(i.size)
        # As if all was output weight: what a neuron dissipates goes with the square of its norm.
        moments[:, 0, 0] = np.ldexp((self.U[i]**2).sum(axis=1), 2 * power[i])
        return Stretch(self.U.copy(), power.copy(), of, moments, t)

    def fields(self, length: float) -> np.ndarray:
        """Fields (G, 1, d), per unit of s on a window of this ``length``, under which the neurons
        of `stretch` shrink as they do."""
        rate = self.rate[self.rate > 0.0]
        field = np.zeros((rate.size, 1, self.U.shape[1] - 1))
        field[:, 0, 0] = rate * length / 2
        return field


def stationary(engine: Waveform) -> bool:
    """Whether nothing moves, to the last bit: a saddle that rounding must not leave."""
    moving = engine.U[:, 1:].any(axis=1)
    if engine.activation.slope and not moving.all():
        return False
    D = engine.marcher.active(engine.side[moving]) @ (engine.guess.r[:, None] * engine.data.X)
    a, W = engine.U[moving, :1], engine.U[moving, 1:]
    return not ((a * D).any() or (W * D).sum(axis=1).any())


def at_rest(engine: Waveform) -> bool:
    """Whether no neuron moves, or none by more than rounding; see `rest`."""
    _, _, on, D, a, W = _moving(engine)
    terms = rest.terms(engine.response.target, engine.guess.r, engine.guess.weight,
                       rest.reach(a, W, engine.data.X, engine.activation))
    return bool((row_norms(D) <= np.abs(on) @ rest.rounding(terms, engine.data.X)).all())


def slow(engine: Waveform) -> bool:
    """Whether the flow may come to rest within ``rtol`` of every neuron: none moves by more in the
    time of what is fastest, at least."""
    if engine.clock.parts is not None:
        return False
    moving, of, _, D, a, W = _moving(engine)
    size = np.hypot(a, row_norms(W))
    fastest = rest.rate(a, W, engine.guess.r, engine.data.X, engine.guess.weight)
    return bool((row_norms(D)[of] * size[moving] <= engine.rtol * fastest * size.max()).all())


def _moving(engine: Waveform) -> tuple[np.ndarray, ...]:
    """Which neurons move, their patterns, and of each pattern the activations (G, n) and the
    projected field (G, d); output weights (m,) and weights (m, d) of all neurons."""
    X = engine.data.X
    # One that has come to rest at w = 0 does not stand for those that share its sides.
    moving = np.flatnonzero((engine.U[:, 1:] != 0.0).any(axis=1))
    _, first, of, _ = Patterns.by(engine.patterns.key[moving])
    patterns = engine.side[moving[first]]
    on = engine.marcher.active(patterns)
    D = on @ (engine.guess.r[:, None] * X) / engine.data.n
    for g in np.flatnonzero((patterns == 0).any(axis=1)):
        basis, _ = orthonormal_rows(engine.data.arrangement.normal[patterns[g] == 0])
        D[g] -= (D[g] @ basis.T) @ basis
    return (moving, of, on, D, np.ldexp(engine.U[:, 0], engine.power),
            np.ldexp(engine.U[:, 1:], engine.power[:, None]))


def near(field: Field, decay: float, U: np.ndarray, power: np.ndarray, codes: np.ndarray,
         rtol: float, span: float) -> Rest | None:
    """Where a flow comes to rest, if it is there but for ``rtol`` of every neuron.

    Parameters
    ----------
    field : Field
        Of the problem.
    decay : float
        Of all weights; may be 0.
    U, power : ndarray, shapes (m, d + 1) and (m,)
        Neurons now, in units of ``2 ** power``.
    codes : ndarray of int8, shape (m, n)
        Their patterns.
    rtol : float
    span : float
        Time left.
    """
    X, real = field.data.X, np.ldexp(U, power[:, None])
    assert isinstance(field.activation, Activation)
    reach = rest.reach(real[:, 0], real[:, 1:], X, field.activation)
    lives = ~dead_neurons(codes, field.activation) & U[:, 1:].any(axis=1)
    out = np.abs(real[:, :1] * field.activation(real[:, 1:] @ X.T))
    large = lives & (out > EPS / len(U) * reach).any(axis=1)
    there, p = U.copy(), field.pulls(np.zeros(field.data.n))
    if large.any():
        found = _large(field, real[large], codes[large], rtol, span)
        if found is None:
            return None
        there[large] = np.ldexp(found, -power[large, None])
        p = field.pulls(field.outputs(found[:, 0], found[:, 1:], codes[large]))
    if field.activation.slope and not _held(field, U, p, reach):
        return None
    rate = np.where(U.any(axis=1) & ~lives, decay, 0.0)
    i = np.flatnonzero(lives & ~large)
    seen = (codes[i] != OFF) | (field.activation.slope != 0.0)
    noise = seen @ rest.rounding(np.abs(p) + reach, X) + rest.NOISE * decay
    rate[i] = little(U[i], field.fields(codes[i], p), codes[i], X, decay, noise, rtol)
    return None if np.isnan(rate).any() else Rest(there, rate)


def _held(field: Field, U: np.ndarray, p: np.ndarray, reach: np.ndarray) -> bool:
    """Whether the leaky neurons of ``U`` (m, d + 1) that are at ``w = 0``, if any, stay there under
    pulls ``p`` (n,) that stay: in one dimension, where both ways lead back."""
    assert isinstance(field.activation, Activation)
    a = U[~U[:, 1:].any(axis=1), 0]
    if not a.any():
        return True
    X = field.data.X
    ways = field.activation(np.outer([1.0, -1.0], X[:, 0])) @ p / field.data.n
    noise = rest.rounding(np.abs(p) + reach, X).sum() * field.activation.steepest
    return X.shape[1] == 1 and bool((np.outer(np.sign(a[a != 0.0]), ways) < -noise).all())


def _large(field: Field, real: np.ndarray, codes: np.ndarray, rtol: float,
           span: float) -> np.ndarray | None:
    """The rest (m, d + 1) of neurons ``real`` that put out something; None if it is not near.

    Where a weight is 0 within the errors of its neuron its sides say nothing: it is at rest at 0 if
    no point pulls it away from there.
    """
    assert isinstance(field.activation, Activation)
    faint = row_norms(real[:, 1:]) <= FAINT * rtol * np.abs(real[:, 0])
    if faint.any() and not field.activation.slope:
        put, off = real.copy(), codes.copy()
        put[faint, 1:], off[faint] = 0.0, OFF
        found = _same_sides(field, put, off, FAINT * rtol, span)
        if found is not None:
            p = field.pulls(field.outputs(found[:, 0], found[:, 1:], off))
            # Pulls are known but for the rounding of neurons.
            known = rest.NOISE * ((found**2).sum() * row_norms(field.data.X) + np.abs(p))
            if (np.sign(found[faint, :1]) * p <= known).all():
                return found
    return _same_sides(field, real, codes, rtol, span)


def _same_sides(field: Field, real: np.ndarray, codes: np.ndarray, rtol: float,
                span: float) -> np.ndarray | None:
    """The rest (m, d + 1) of neurons ``real`` that put out something; None if it is not near, or
    on other sides."""
    if real.size > rest.MOST:
        return None
    a, W = real[:, 0].copy(), real[:, 1:].copy()
    engine = Stepping(field, np.append(a, W), "DOP853", rtol)
    # Layers may be unlike here that were not at the start, which is what tolerances are made for.
    engine.lopsided = None
    p = field.pulls(field.outputs(a, W, codes))
    engine.pattern.take(codes, a, W, field.fields(codes, p), np.zeros(codes.shape, dtype=bool),
                        rtol)
    engine.state = np.append(a, W)
    terms = rest.terms(engine.first, p, None if engine.square else field.curvature(
        field.outputs(a, W, codes)), rest.reach(a, W, field.data.X, engine.pattern.activation))
    v = engine.velocity(0.0, engine.state)
    move = to_rest(engine, v, a, W, terms, span, np.zeros(v.size, dtype=bool))
    if move is None or drowned(engine, terms, span, np.zeros(v.size, dtype=bool)):
        return None
    a, W = engine.split(engine.state + move)
    there = np.column_stack([a, W])
    # At w = 0, or on a hyperplane, it may be off by rounding.
    beside = engine.pattern.side * (W @ field.data.arrangement.normal.T)
    return None if (beside < -ON_SURFACE * row_norms(there)[:, None]).any() else there
