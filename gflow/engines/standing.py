"""When the reference engine can see the end of a run from where it is: one last piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

import numpy as np

from ..problem.activation import Activation
from ..problem.norms import row_norms
from . import rest
from .events import OFF, SLIDING
from .run import Stop
from .trajectory import by_neuron, by_weight

if TYPE_CHECKING:
    from .stepping import Stepping

EPS = float(np.finfo(float).eps)
LOST = 2.0**-1000
"""Smaller neurons have no room below for errors."""
ROOM = 10.0
"""Of a direction that still turns to hyperplanes, in units of what it turns by."""

DROWNED = 10.0
"""Decay of so many times what fields are known to is not to be told from rounding."""
SHRUNK, CLOSED = 4.0, 16
"""Neurons shrink to no less than exp(-SHRUNK) on a piece: a polynomial of degree CLOSED is off by
no more than some I_16(SHRUNK / 2) = 5e-14 of the middle then, and 3e-12 of the end. Those of most
steppers would need a hundred times as many pieces."""


def last_piece(engine: Stepping) -> tuple[Callable[[np.ndarray], np.ndarray], float, int] | None:
    """Dense output to where nothing is left to do, where that is and of what degree to take it, if
    that is already known; see `rest`."""
    t0, t1, state = engine.t, engine.run.t_max, engine.state
    v, span = engine.velocity(t0, state), engine.clock.span(t0, t1)
    if not np.isfinite(v).all():
        return None
    a, W = engine.split(state)
    h = engine.outputs(state)
    p = engine.pulls(state, t0)
    curvature = (None if engine.square else
                 engine.field.curvature(h, engine.clock.log_rate(t0)))
    move, shrink = np.zeros_like(state), np.zeros_like(state)
    if fastest(engine) * span <= rest.INSTANT:
        move = v * span
    elif v.any():
        terms = rest.terms(engine.first, p, curvature, rest.reach(
            a, W, engine.data.X, engine.pattern.activation))
        dead = dead_neurons(engine.pattern.codes, engine.pattern.activation)
        shrink = by_weight(np.where(dead, engine.drift.uniform or 0.0,
                                    _gone(engine, v, a, W, p, terms)), engine.d)
        # Neurons at 0 stay there, to the last bit.
        still = by_weight(by_neuron(np.abs(state), engine.m) == 0.0, engine.d)
        found = to_rest(engine, v, a, W, terms, span, still | (shrink > 0))
        if found is None:
            return _dying(engine, p, terms)
        if drowned(engine, terms, span, still | (shrink > 0)):
            # The fast engine knows only one decay.
            instead = (", or use method=\"waveform\"" if engine.field.setting.uniform is not None
                       else "")
            raise Stop("step_too_small", "all that moves weights at t = {t} is decay, by less than "
                       "rounding does and by more than rtol until t_max; leave it out" + instead,
                       t0)
        move = found
        # Neurons at 0 shrink no more.
        shrink = np.where(still, 0.0, shrink)
        t1 = min(t1, t0 + engine.longest) if move.any() or shrink.any() else t1
        t1 = min(t1, t0 + SHRUNK / shrink.max()) if shrink.any() else t1
    # What no stepper can follow any more, and nothing brings back, has shrunk to nothing.
    lost = (shrink > 0) & by_weight(by_neuron(np.abs(state), engine.m) < LOST, engine.d)
    engine.state = state = np.where(lost, 0.0, state)
    whole = engine.clock.span(t0, t1)
    return lambda t: (state[:, None] * np.exp(-shrink[:, None] * (t - t0))
                      + move[:, None] * (engine.clock.span(t0, t) / whole)), t1, (
                          CLOSED if shrink.any() else engine.degree)


def fastest(engine: Stepping) -> float:
    """A bound for how fast anything changes now, relative to what it is."""
    t, state = engine.t, engine.state
    curvature = (None if engine.square else
                 engine.field.curvature(engine.outputs(state), engine.clock.log_rate(t)))
    return (rest.rate(*engine.split(state), engine.pulls(state, t), engine.data.X, curvature)
            * engine.pattern.activation.steepest + engine.drift.fastest)


def dead_neurons(codes: np.ndarray, activation: Activation) -> np.ndarray:
    """Neurons (m,) of patterns ``codes`` (m, n) that no point moves: none of a leaky network.

    Examples
    --------
    >>> codes = np.array([[0, 0], [0, 1]])
    >>> dead_neurons(codes, Activation()), dead_neurons(codes, Activation(0.1))
    (array([ True, False]), array([False, False]))
    """
    return np.asarray((codes == OFF).all(axis=1) & (activation.slope == 0.0))


def bury(engine: Stepping) -> None:
    """Put neurons that decay has left less of than a stepper can follow at 0, if nothing brings
    them back: no point moves dead ones, and decay may be stronger than all points."""
    drift, pattern = engine.drift, engine.pattern
    if not drift.fastest or drift.turning is not None:
        return
    size = by_neuron(np.abs(engine.state), engine.m)
    lost = (size < LOST) & (size > 0.0)
    if lost.any():
        lost &= dead_neurons(pattern.codes, pattern.activation) | _doomed(engine)
    if lost.any():
        engine.state = np.where(by_weight(lost, engine.d), 0.0, engine.state)
        if engine.balance is not None:
            engine.balance.offset[lost] = engine.balance.sign[lost] = 0.0


def _dying(engine: Stepping, p: np.ndarray, terms: np.ndarray
           ) -> tuple[Callable[[np.ndarray], np.ndarray], float, int] | None:
    """Dense output of a network that can put out no more than the rounding of pulls ``p`` of these
    ``terms``, now and later, as decay shrinks it: pulls stay, and every neuron obeys ``u' = A u``
    with a symmetric ``A`` until it meets a hyperplane. Steppers of low order would take some 30
    steps for every factor of e, down to 1e-300; None if it is none."""
    drift, pattern, m, d = engine.drift, engine.pattern, engine.m, engine.d
    a, W = engine.split(engine.state)
    if not drift.fastest or drift.turning is not None or not drift.moves.all():
        return None
    # Not what it puts out now: a layer that is 0 grows out of the other.
    if (_most(engine) > EPS * terms).any() or not _doomed(engine):
        return None
    D = (pattern.on * p) @ engine.data.X / engine.data.n
    for i, slide in pattern.slides.items():
        D[i] -= (D[i] @ slide.basis.T) @ slide.basis
    output, hidden = engine.split(drift.decay)
    A = np.zeros((m, d + 1, d + 1))
    A[:, 0, 1:], A[:, 1:, 0] = D, D
    A[:, np.arange(d + 1), np.arange(d + 1)] = -np.column_stack([output, hidden])
    rates, modes = np.linalg.eigh(A)
    part = np.einsum("icr,ic->ir", modes, np.column_stack([a, W]))

    def dense(t: np.ndarray, t0: float = engine.t) -> np.ndarray:
        U = np.einsum("icr,irt->ict", modes, part[..., None] * np.exp(rates[..., None] * (t - t0)))
        return np.concatenate([U[:, 0], U[:, 1:].reshape(m * d, -1)])

    return dense, min(engine.run.t_max, engine.t + engine.longest,
                      engine.t + SHRUNK / float(np.abs(rates).max())), CLOSED


def _most(engine: Stepping) -> np.ndarray:
    """What neurons of these sizes put out at most (n,): ``|a| |w| |x|``, half of ``|u|^2 |x|``."""
    steep = engine.pattern.activation.steepest
    return np.asarray(steep * row_norms(engine.data.X) * float(engine.state @ engine.state) / 2)


def _doomed(engine: Stepping) -> bool:
    """Whether decay shrinks every neuron from now on, whatever its pattern will be.

    ``|u|^2' <= 2 (|D| - decay) |u|^2`` for every neuron ``u = (a, w)``, and ``|h_k|`` is in an
    interval (`_most`). Pulls are largest at one end of it, the loss being convex; if they are less
    than the decay there, the interval shrinks.
    """
    lengths, steep = row_norms(engine.data.X), engine.pattern.activation.steepest
    most = _most(engine)
    p = np.maximum(*(np.abs(engine.field.pulls(h)) for h in (-most, most)))
    weakest = float((engine.drift.decay * engine.drift.moves).min())
    return steep * float(p @ lengths) / engine.data.n < weakest


def to_rest(engine: Stepping, v: np.ndarray, a: np.ndarray, W: np.ndarray, terms: np.ndarray,
            span: float, gone: np.ndarray) -> np.ndarray | None:
    """By how much the state, moving with ``v``, is off its rest, but for weights that have
    ``gone`` (m (d + 1),) or are of neurons at 0; None if it will not be there in the time ``span``,
    or is far from it. ``terms`` are those of `rest.terms`."""
    state, move = engine.state, np.zeros_like(v)
    D = _known(engine, terms)
    noise = np.append(D * row_norms(W), np.repeat(D * np.abs(a), engine.d))
    noise += engine.drift.rounding(state)
    limit = engine.rtol * engine.sizes(state)
    for _ in range(rest.ROUNDS):
        v = np.where(gone, 0.0, v)
        if (np.abs(v) <= noise).all():
            return move
        if state.size > rest.MOST:
            return None
        J = np.where(gone | gone[:, None], 0.0, engine.symmetric(state + move))
        if not np.isfinite(J).all():
            return None
        more, settled = rest.newton(v, J, noise, span)
        move += more
        if not (np.abs(move) <= limit).all():
            return None
        if settled:
            return move
        v = engine.velocity(engine.t, state + move)
    return None


def _known(engine: Stepping, terms: np.ndarray) -> np.ndarray:
    """To what fields of neurons (m,) are known, from `rest.terms`."""
    seen = np.abs(engine.pattern.on) + (engine.pattern.codes == SLIDING)
    return np.asarray(seen @ rest.rounding(terms, engine.data.X))


def drowned(engine: Stepping, terms: np.ndarray, span: float, gone: np.ndarray) -> bool:
    """Whether a state at rest is none: in the time ``span`` decay moves weights by more than
    ``rtol`` along directions that the loss leaves free, and by less in a unit of it than fields are
    known to. Weights that have ``gone`` (m (d + 1),) do not count."""
    fastest, known = engine.drift.fastest, DROWNED * float(_known(engine, terms).max())
    if not (fastest * span > engine.rtol and fastest < known):
        return False
    state = np.where(gone, 0.0, engine.state)
    if state.size > rest.MOST:
        return True
    rates, vectors = np.linalg.eigh(np.where(gone | gone[:, None], 0.0, engine.symmetric(state)))
    # The state, and with it how fast the slow directions are, is known to rtol.
    free = vectors[:, np.abs(rates) <= max(known, engine.rtol * float(np.abs(rates).max()))]
    moved = free @ (free.T @ (engine.drift.decay * state)) * span
    return bool((np.abs(moved) > engine.rtol * engine.sizes(state)).any())


def little(U: np.ndarray, D: np.ndarray, codes: np.ndarray, X: np.ndarray, decay: float,
           noise: np.ndarray, rtol: float) -> np.ndarray:
    """Rates (m,) at which neurons shrink that put out nothing, under fields ``D`` (m, d) that stay
    and are known but for ``noise`` (m,), 0 for those that do not move; NaN where the direction
    turns, or the neuron grows.

    In a cone directions come to that of the largest eigenvalue, ``w`` along ``a D``, from nearby;
    any other that does not turn by more than noise is on a ray.

    Examples
    --------
    One that a field of 1 keeps from shrinking at 2:

    >>> one = np.array([[1.0]])
    >>> little(np.array([[1.0, 1.0]]), one, np.array([[1]]), one, 2.0, np.array([1e-15]), 1e-8)
    array([1.])
    """
    a, W = U[:, :1], U[:, 1:]
    v = np.column_stack([(W * D).sum(axis=1), a * D]) - decay * U
    square = (U**2).sum(axis=1)
    rate = -(v * U).sum(axis=1) / square
    aside = row_norms(v + rate[:, None] * U) / np.sqrt(square)
    far = np.abs(W @ X.T) > ROOM * rtol * row_norms(W)[:, None] * row_norms(X)
    settles = (a[:, 0] * (W * D).sum(axis=1) > 0) & (far | (codes == SLIDING)).all(axis=1)
    straight = aside <= np.where(settles, np.maximum(noise, rtol * row_norms(D)), noise)
    rate = np.where(straight & (rate > noise), rate, np.nan)
    # Under decay one may be held where it is, however small, like those that put out something.
    return np.where(row_norms(v) <= noise * np.sqrt(square), 0.0, rate)


def _gone(engine: Stepping, v: np.ndarray, a: np.ndarray, W: np.ndarray, p: np.ndarray,
          terms: np.ndarray) -> np.ndarray:
    """How fast neurons shrink (m,) that do nothing else, as things are, and put out less than
    the rounding of pulls ``p`` of these ``terms``; 0 for others. See `waveform.fading`, and
    `little` under decay."""
    rate, X = np.zeros(engine.m), engine.data.X
    if engine.balance is None or not engine.clock.after(engine.t)[1]:
        return rate
    small = (np.abs(a[:, None] * engine.pattern.on * (W @ X.T)) <= EPS / engine.m * terms
             ).all(axis=1)
    known = np.abs(engine.pattern.on) @ rest.rounding(terms, X)
    if engine.drift:
        i = np.flatnonzero(small & (W.any(axis=1) | (a != 0.0)))
        U, decay = np.column_stack([a, W])[i], float(engine.drift.uniform or 0.0)
        codes = engine.pattern.codes[i]
        D, size = engine.field.fields(codes, p), np.abs(U).max(axis=1, initial=0.0)
        found = little(U / size[:, None], D, codes, X, decay, known[i] + rest.NOISE * decay,
                       engine.rtol)
        # Of the smallest not even the direction is known.
        least = np.where(size < LOST, np.maximum(decay - row_norms(D), 0.0), 0.0)
        rate[i] = np.where(np.isnan(found), least, found)
        return rate
    ray = np.full(engine.m, engine.d == 1)
    for slider, slide in engine.pattern.slides.items():
        ray[slider] = len(slide.basis) == engine.d - 1
    i = np.flatnonzero(small & ray & (engine.balance.sign == 0) & (np.sign(a) * v[:engine.m] < 0))
    i = i[np.abs(v[i]) > known[i] * np.abs(a[i])]
    rate[i] = -v[i] / a[i]
    return rate
