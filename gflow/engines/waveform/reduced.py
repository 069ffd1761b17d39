"""Late in a run: few patterns, no events, and a step that knows no neurons, and perhaps no points.

While no pattern changes, the network enters only through ``v_g = sum a_i w_i`` over every pattern,
and the data only through the pulls. On a quadratic loss these are affine in outputs, and
``D_g = b_g - sum_h H_gh v_h`` with Gram blocks ``H_gh``: with the triangular factor of the active
points, ``n`` pulls become at most ``G d`` of them. On another loss the points stay. The rounds are
those of `rounds`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import qr

from .calm import Calm, Stretch
from ...problem.field import Field
from ...problem.loss import is_quadratic
from ...kernels import bundles
from ...kernels.crossings import ON_SURFACE, RESIDUAL_ERROR, SUM_ROUNDING
from ...kernels.algebra import orthonormal_rows
from ...kernels.chebyshev import from_unit, halves, monomials, nodes, to_series
from ...kernels.slides import slide_exit, turning
from ...problem.norms import row_norms
from ...problem.theirs import theirs
from ..rest import NOISE, ROUNDS, terms
from ..run import Run
from .fading import EPS, keep_shrinking, lost, lowered, mantissa, shrink_for_ever
from .guess import DEGREE, Guess
from .marcher import Marcher, Patterns
from .pace import next_length
from .response import Quadratic, shrinking
from .rounds import relax
from .tangent import Tangent

MOST = 600
"""Most components of the fields of all patterns."""
FAR = 100.0
"""Propagators as large as this are left for a new stretch, before they cancel."""
SHRUNK = 50.0
"""Stretches end before weights have shrunk by exp of this."""
CREEPING = 1e-2
"""Rounds end this much later under decay: pulls are never done, and what is wrong with them at the
end of a window comes back as a transient that the next one must resolve."""
STEEP = 4.0
"""Neurons that grow by more than this on a window cannot be certified."""
ACCURACY = 1e-16
"""Of Taylor series: a long window multiplies errors of the weights by its length."""
SHARP = 5.0
"""Residuals of a reduced system cancel less than those of all points."""


class Sliding:
    """The points on which a pattern slides, and their pulls.

    Parameters
    ----------
    field : Field
    planes : ndarray of int
        The hyperplanes.
    on : ndarray, shape (n, G)
        Which points are active in which pattern.
    side : ndarray of int8, shape (C,)
        The pattern.
    """

    def __init__(self, field: Field, planes: np.ndarray, on: np.ndarray, side: np.ndarray) -> None:
        data, self.loss = field.data, field.loss
        self.slope = field.activation.slope
        A = data.arrangement
        self.planes = np.arange(planes.size)
        # All that it is beside, too: errors of their pulls move it.
        self.all = np.append(planes, np.flatnonzero(side))
        self.normal, self.side = np.ascontiguousarray(A.normal[self.all]), side[self.all]
        self.basis, self.rank = orthonormal_rows(A.normal[planes])
        self.points = np.flatnonzero(np.isin(A.label, planes))
        self.plane = np.searchsorted(planes, A.label[self.points])
        self.length = A.length[self.points]
        self.X, self.y, self.on = data.X[self.points], data.y[self.points], on[self.points]

    def pulls(self, v: np.ndarray, factor: float, left: np.ndarray | float,
              log: Any) -> tuple[np.ndarray, np.ndarray]:
        """Jumps along the normals, where points on side 1 and on side -1 are active, as `march`
        takes them; ``v`` (J, G, d) at the nodes, of which there is so much ``left`` (J, 1), ``log``
        as in `Field.pulls`."""
        h = np.einsum("jgd,kd,kg->jk", v, self.X, self.on) * left
        loss: Any = self.loss
        with theirs:
            pull = loss.pull(h, self.y) if log is None else loss.pull(h, self.y, log)
        pull = monomials(DEGREE) @ to_series(DEGREE) @ pull * factor
        pull = (pull * self.length).T
        plus, minus = np.zeros((2, self.planes.size, DEGREE + 1))
        for row, plane, length in zip(pull, self.plane, self.length):
            (plus if length > 0 else minus)[plane] += row
        if self.slope:
            plus, minus = plus + self.slope * minus, minus + self.slope * plus
        return plus, minus


class Reduced:
    """The flow under way while every neuron keeps its pattern.

    Parameters
    ----------
    field : Field
    marcher : Marcher
    U, power : ndarray, shapes (m, d + 1) and (m,)
        Neurons, in units of ``2 ** power``.
    side, key : ndarray, shapes (m, C) and (m,)
        Their sides, and equal numbers for equal patterns.
    of_points : Quadratic
        Pulls of the points, see `response`.
    t : float
        Time of the engine.
    balanced : ndarray of bool, shape (m,)
        Neurons with ``|a| = |w|``.

    Attributes
    ----------
    fits : bool
        Whether there are few enough patterns.
    gone : ndarray of bool, shape (G,)
        Patterns whose neurons shrink for ever, and add nothing to outputs any more: see `fading`.
    fades : bool
        Whether there are any.
    """

    def __init__(self, field: Field, marcher: Marcher, U: np.ndarray, power: np.ndarray,
                 side: np.ndarray, key: np.ndarray, of_points: Quadratic, t: float,
                 balanced: np.ndarray) -> None:
        data, self.balanced = field.data, balanced
        self.decay = marcher.decay
        n, d = data.n, data.d
        self.field, self.data, self.marcher, self.rtol = field, data, marcher, marcher.rtol
        # A neuron at rest has w = 0.
        moving = np.flatnonzero(U[:, 1:].any(axis=1))
        _, first, group, _ = Patterns.by(key[moving])
        first = moving[first]
        on = marcher.active(side[first]).T
        live = on.any(axis=0) | (side[first] == 0).any(axis=1)
        # A leaky neuron at w = 0 may be let go of it, which only a march sees.
        held = bool(field.activation.slope) and bool(U[~U[:, 1:].any(axis=1), 0].any())
        self.fits = bool(0 < int(live.sum()) * d <= MOST) and not held
        if not self.fits:
            return
        self.of = np.full(len(U), -1)
        self.of[moving] = np.where(live, np.cumsum(live) - 1, -1)[group]
        self.first, on = first[live], on[:, live]
        self.side = side
        G = self.first.size
        self.P = np.tile(np.eye(d), (G, 1, 1))
        self.slides: dict[int, Sliding] = {}
        for g, i in enumerate(self.first):
            planes = np.flatnonzero(side[i] == 0)
            if planes.size:
                sliding = Sliding(field, planes, on, side[i])
                self.slides[g] = sliding
                self.P[g] -= sliding.basis[:sliding.rank].T @ sliding.basis[:sliding.rank]
        self.sliding = np.isin(np.arange(G), list(self.slides))
        self.on, self.lengths = np.abs(on), np.abs(data.arrangement.length)
        features = (on[:, :, None] * data.X[:, None, :]).reshape(n, G * d)
        self.R, self.response = features, of_points
        if is_quadratic(field.loss):
            triangle = qr(np.column_stack([features, self.response.target]), mode="r",
                          check_finite=False)[0]
            # The last row is what no output reaches.
            self.R, self.response = triangle[:G * d, :-1], Quadratic(triangle[:G * d, -1])
        self.begin(U, power, t)

    def begin(self, U: np.ndarray, power: np.ndarray, t: float) -> None:
        """A new stretch from neurons ``U``, in units of ``2 ** power``, at time ``t``."""
        G, d = self.first.size, self.data.d
        real = np.ldexp(U, power[:, None])
        moments = np.array([real[self.of == g].T @ real[self.of == g] for g in range(G)])
        self.stretch, self.t, self.settled = Stretch(U, power, self.of, moments, t), t, False
        self.lam = np.tile(np.eye(d + 1), (G, 1, 1))
        self.ties = bundles.tie(self.of, U, self.first, self.side,
                                self.marcher.geometry.columns)
        self.N = moments
        self.guess = self.response.at(t).guess(self.R @ self.N[:, 0, 1:].ravel())
        self.guess.most += self.reserve()
        self.gone, self.lost, self.follows = self._gone(U), np.zeros(G), self.P
        self.fades = bool(self.gone.any())
        if self.fades:
            self.N, self.follows = (np.where(self.gone[:, None, None], 0.0, each)
                                    for each in (moments, self.P))

    def _gone(self, U: np.ndarray) -> np.ndarray:
        """Patterns whose neurons only shrink, and add less to outputs than the rounding of pulls;
        none under decay, which bounds windows anyway."""
        G, d = self.P.shape[:2]
        if self.decay:
            return np.zeros(G, dtype=bool)
        added = np.abs(self.R.reshape(-1, G, d) * self.N[:, 0, 1:]).sum(axis=2)
        size = self._terms(self.guess, self.N)
        little = (added <= EPS / G * size[:, None]).all(axis=0)
        if not little.any():
            return np.zeros(G, dtype=bool)
        D = ((self.guess.r @ self.R).reshape(G, 1, d) @ self.P)[:, 0]
        return np.asarray(little & shrink_for_ever(U, self.of, self.balanced, D, self.P,
                                                   self._noise(size)))

    def reserve(self) -> float:
        """What decay can add to the sum of squared pulls: the objective falls, not the loss."""
        return self.data.n * self.decay * float(np.trace(self.N, axis1=1, axis2=2).sum())

    @property
    def grown(self) -> bool:
        """Whether a new stretch should begin."""
        decayed = self.decay * (self.t - self.stretch.t0)
        # Decay shrinks all alike, and hides how far they have gone apart.
        return bool(decayed > SHRUNK or np.abs(self.lam).max() * np.exp(decayed) > FAR
                    or self.lost.max() > SHRUNK)

    def neurons(self) -> tuple[np.ndarray, np.ndarray]:
        """Neurons (m, d + 1) now, in units of 2 to the power (m,)."""
        left = np.exp(-self.decay * np.array([self.t - self.stretch.t0])) if self.decay else None
        U, power = self.stretch.neurons(self.lam[:, None], left)[:, 0], self.stretch.power
        if self.fades:
            gone = np.append(self.lost, 0.0)[self.of]
            U, power = U * mantissa(gone)[:, None], lowered(power, gone)
        return U, power

    @property
    def at_rest(self) -> bool:
        """Whether no field is more than rounding, see `gflow.engines.rest`, or the stretch has come
        to rest; see `settle`."""
        # Under decay fields do not vanish where nothing moves.
        return self.settled or not self.decay and bool(self._resting(self.guess, self.N).all())

    def _resting(self, guess: Guess, N: np.ndarray) -> np.ndarray:
        """Patterns (G,) whose fields are no more than rounding."""
        return np.asarray(row_norms(self._fields(guess)[:, 0])
                          <= self._noise(self._terms(guess, N)))

    def _fields(self, guess: Guess) -> np.ndarray:
        """n times the fields (G, 1, d) that patterns follow."""
        G, d = self.P.shape[:2]
        return np.asarray((guess.r @ self.R).reshape(G, 1, d) @ self.follows)

    def _terms(self, guess: Guess, N: np.ndarray) -> np.ndarray:
        """Sums of the magnitudes of the terms of pulls, at most."""
        # Of neurons of one pattern that cancel: sum |a_i w_ij| <= sqrt(sum a_i^2 sum w_ij^2).
        sizes = np.sqrt(np.maximum(N[:, :1, 0] * N.diagonal(axis1=1, axis2=2)[:, 1:], 0.0))
        reached = np.abs(self.R) @ np.maximum(np.abs(N[:, 0, 1:]), sizes).ravel()
        return terms(self.response.target, guess.r, guess.weight, reached)

    def _noise(self, size: np.ndarray) -> np.ndarray:
        """Rounding (G,) of n times the fields, where pulls have terms of this ``size``."""
        return row_norms(NOISE * (size @ np.abs(self.R)).reshape(len(self.P), -1))

    def stay(self, t0: float, t1: float) -> Calm:
        """A piece from ``t0`` to ``t1`` on which nothing moves but what only shrinks, under pulls
        that stay."""
        return self._constant(t0, t1, np.zeros((len(self.P), 1, self.data.d)))

    def _constant(self, t0: float, t1: float, field: np.ndarray) -> Calm:
        """A piece with this constant ``field`` (G, 1, d), and that of now where neurons shrink."""
        if self.fades:
            D = (self.guess.r @ self.R).reshape(field.shape) @ self.P
            field = np.where(self.gone[:, None, None], D * (t1 - t0) / (2 * self.data.n), field)
        return self._piece(t0, t1, field)

    def _piece(self, t0: float, t1: float, field: np.ndarray) -> Calm:
        """A piece with this ``field``, before the neurons move; those that shrink do."""
        if not self.fades:
            return Calm(t0, t1, self.stretch, self.lam, field, ACCURACY, self.decay)
        before = np.where(self.gone, self.lost, np.nan)
        self.lost[self.gone] += lost(field[self.gone], np.ones(1))[:, 0]
        return Calm(t0, t1, self.stretch, self.lam, field, ACCURACY, self.decay, before)

    def settle(self, t0: float, t1: float, time: float) -> Calm | None:
        """A piece from ``t0`` to ``t1`` that ends at rest, where the flow would be after ``time``
        but for less than ``rtol``; None if there is none.

        Near rest pulls decay by the tangent kernel ``K`` and the curvature ``C``, as
        ``p' = -C K p``: fields have the integrals ``P_g R_g^T K^-1 C^-1 p / n``, by which neurons
        move, relative to what they are. Roots of ``C`` on both sides of ``K`` make that symmetric.
        At rest these integrals move neurons by rounding, or fields are rounding: where outputs
        vanish their rounding does too, and where they do not it adds up.
        """
        if self.decay:
            return None
        G, d = self.P.shape[:2]
        n, N, guess = self.data.n, self.N, self.guess
        most = float(np.trace(N, axis1=1, axis2=2).max()) * float((self.R**2).sum()) / n
        if not float(row_norms(self._fields(guess) / n).max()) <= self.rtol * most:
            return None
        phi = np.zeros((G, 1, d))
        step = np.empty((G, DEGREE + 1, d + 1, d + 1))
        for _ in range(ROUNDS):
            # Weights are off the hyperplanes that they slide on by rounding, or by more.
            roots = _roots(N[:, :1, :1] * self.follows
                           + self.follows @ N[:, 1:, 1:] @ self.follows, 1 / n, NOISE)
            bend = np.ones_like(guess.r) if guess.weight is None else np.sqrt(guess.weight)
            if not (bend > 0).all():
                return None
            features = np.einsum("qgc,gce->qge", self.R.reshape(-1, G, d), roots)
            left, values, _ = np.linalg.svd(bend[:, None] * features.reshape(-1, G * d),
                                            full_matrices=False)
            moves = (values**2 * time > 1.0) & (values > NOISE * values.max())
            part = np.where(moves, guess.r / bend @ left, 0.0)
            gone, move = (((bend * (left @ each)) @ self.R).reshape(G, 1, d) @ self.follows / n
                          for each in (part, part / np.where(moves, values**2, 1.0)))
            slow = self._stays(self._fields(guess) / n - gone, time)
            phi += move
            if not float(row_norms(phi).max()) <= self.rtol:
                return None
            bundles.propagate(np.ascontiguousarray(phi / 2), nodes(DEGREE), ACCURACY, step)
            N = step[:, -1].swapaxes(1, 2) @ self.N @ step[:, -1]
            guess = self.response.at(t0).guess(self.R @ N[:, 0, 1:].ravel())
            still = slow & (self._turns(move) <= NOISE)
            if (still | self._resting(guess, N)).all():
                if self._crosses(self.lam @ step[:, -1]):
                    return None
                piece = self._constant(t0, t1, phi / 2)
                self.lam, self.N = self.lam @ step[:, -1], N
                self.guess = self.response.at(t1).guess(self.R @ N[:, 0, 1:].ravel())
                self.settled = True
                return piece
        return None

    def _stays(self, D: np.ndarray, time: float) -> np.ndarray:
        """Patterns (G,) that fields ``D`` (G, 1, d) do not move in a ``time``, or that are no more
        than what rounding of the neurons makes of outputs."""
        sizes = np.repeat(np.trace(self.N, axis1=1, axis2=2), D.shape[2])
        blur = self._noise(np.abs(self.R) @ sizes) / self.data.n
        return np.asarray((row_norms(D[:, 0]) <= blur) | (self._turns(D * time) <= NOISE))

    def _turns(self, phi: np.ndarray) -> np.ndarray:
        """How far integrals ``phi`` (G, 1, d) of fields move neurons of the patterns, at most,
        relative to what they are; infinity if they are no small rotations."""
        U, of = self.neurons()[0], np.flatnonzero(self.of >= 0)
        each = phi[self.of[of], 0]
        moved = np.hypot((each * U[of, 1:]).sum(axis=1), np.abs(U[of, 0]) * row_norms(each))
        most = np.zeros(len(phi))
        np.maximum.at(most, self.of[of], moved / row_norms(U[of]))
        return np.where(row_norms(phi[:, 0]) <= 1.0, most, np.inf)

    def _crosses(self, lam: np.ndarray) -> bool:
        """Whether a neuron crosses a hyperplane on the way to where the propagators ``lam`` lead,
        by more than rounding: one at rest on a hyperplane, or at w = 0, may be off by as much."""
        normal = self.marcher.geometry.normal
        now, then = (self.side * (self.stretch.neurons(each[:, None])[:, 0, 1:] @ normal.T)
                     for each in (self.lam, lam))
        edge = ON_SURFACE * row_norms(self.stretch.neurons(lam[:, None])[:, 0])[:, None]
        return bool(((now >= 0.0) & (then < -edge)).any())

    def window(self, t0: float, t1: float, run: Run) -> tuple[Calm | None, float, int]:
        """A window from ``t0``; the length to try next, and the rounds it took.

        None if it was too long; and a length of 0 if something may switch on it.
        """
        H = t1 - t0
        frame = _Frame(self, H)
        scale, log = H / self.data.n, self.response.on(t0, t1).log
        # Neurons that put out nothing shrink by pulls that the clock changes all the same.
        moves = self.follows if log is None or np.ptp(log) == 0.0 else self.P

        def size(r: np.ndarray) -> np.ndarray:
            # What is projected away moves no neuron.
            D = (r @ self.R).reshape(len(r), *self.P.shape[:2]).transpose(1, 0, 2) @ moves
            return np.asarray(SHARP * scale * np.sqrt((D**2).sum(axis=2)).max(axis=0))

        strength = float(np.trace(self.N, axis1=1, axis2=2).sum())
        if self.guess.weight is not None:
            strength *= float(self.guess.weight.max())
        slack = float(np.square(self.rtol * strength) * (self.R**2).sum())
        pulls, left = shrinking(self.response.on(t0, t1), self.decay, H)
        sure = self.rtol * (CREEPING if self.decay else 1.0)
        outcome = relax(frame, self.guess, H, pulls, size, slack, sure, run, self.rtol)
        length = next_length(outcome, H, self.rtol, 0, 0, 0)
        if outcome.diverged:
            self.guess.forget()
            return None, length, outcome.rounds
        if outcome.error > self.rtol:
            self.guess.reject(outcome.first, H, outcome.known)
            return None, length, outcome.rounds
        if np.abs(frame.step[:, -1]).max() > STEEP:
            self.guess.reject(outcome.first, H, outcome.known)
            return None, H / 2, outcome.rounds
        lam = self.lam[:, None] @ frame.step
        geometry = self.marcher.geometry
        # Weights are off by more, as on windows of neurons: where these have them is what counts.
        band = 10.0 * ON_SURFACE
        met, _ = bundles.all_clear(self.ties, lam, self.first, self.side, self.sliding,
                                   geometry.normal, geometry.columns, to_series(DEGREE), band)
        if (met >= 0 or self._released(frame, left, log)
                or self.fades and not keep_shrinking(frame.field[self.gone])):
            return None, 0.0, outcome.rounds
        piece = self._piece(t0, t1, frame.field)
        shrunk = float(np.exp(-self.decay * H))
        self.lam = lam[:, -1] * shrunk
        self.N = frame.moments(-1) * shrunk**2
        self.t = t1
        p, h = outcome.values[-1], (left * outcome.outputs)[-1]
        here = self.response.at(t1)
        self.guess.accept(p, outcome.known, H, outcome.last, outcome.contraction,
                          here.curvature(h), here.most(h, p) + self.reserve())
        return piece, length, outcome.rounds

    def _released(self, frame: _Frame, left: np.ndarray | float, log: Any) -> bool:
        """Whether a slide ends on the window."""
        factor = frame.length / (2 * self.data.n)
        # |a| |w| is at most (a^2 + |w|^2) / 2.
        strength = max(self.rtol, 1e-12) * np.trace(self.N, axis1=1, axis2=2) / 2
        wrong = RESIDUAL_ERROR * self.on @ strength * self.lengths
        if self.guess.weight is not None:
            wrong *= self.guess.weight
        pulls = (np.abs(self.field.first_pulls) if log is None else np.abs(self.guess.r))
        wrong = self.marcher.wrong(SUM_ROUNDING * pulls + wrong, factor)
        d, p = self.data.d, DEGREE + 1
        for g, sliding in self.slides.items():
            plus, minus = sliding.pulls(frame.v, factor, left, log)
            count = sliding.planes.size
            own = self.ties.state[self.ties.pattern == g] @ self.lam[g]
            a, turns = float(own[0, 0]), max(turning(each) for each in own)
            led = np.full((1, 3), 2.0)
            until, _, _ = slide_exit(
                -1.0, np.sign(a), sliding.planes, count, sliding.rank, sliding.basis,
                frame.full[g], plus, minus, sliding.side, *(each[sliding.all] for each in wrong),
                from_unit(p - 1), halves(p - 1), sliding.normal, np.empty((d, p)),
                np.empty((d, d)), np.empty(p), np.empty(p), turns,
                max(self.rtol, ON_SURFACE), led, 0)
            if min(until, led[0, 0]) <= 1.0 or a == 0.0:
                return True
        return False


class _Frame:
    """A window under way, as `rounds.relax` takes it."""

    kinked = False

    def __init__(self, system: Reduced, length: float) -> None:
        self.system, self.length = system, length
        G, d = system.P.shape[:2]
        self.step = np.empty((G, DEGREE + 1, d + 1, d + 1))
        self.full = self.field = np.empty((G, DEGREE + 1, d))
        self.v = np.empty((DEGREE + 1, G, d))

    def run(self, used: np.ndarray) -> np.ndarray:
        """Outputs (J, q) under pulls (J, q)."""
        system = self.system
        G, d = system.P.shape[:2]
        D = used @ system.R * (self.length / (2 * system.data.n))
        D = (monomials(DEGREE) @ to_series(DEGREE) @ D).reshape(-1, G, d).transpose(1, 0, 2)
        self.full = np.ascontiguousarray(D)
        self.field = np.ascontiguousarray(D @ system.P)
        field = (np.where(system.gone[:, None, None], 0.0, self.field) if system.fades
                 else self.field)
        bundles.propagate(field, nodes(DEGREE), ACCURACY, self.step)
        # v = sum a_i w_i is the first row of lam^T N lam.
        half = np.einsum("gjb,gbc->gjc", self.step[:, :, :, 0], system.N)
        self.v = np.einsum("gjb,gjbc->jgc", half, self.step[:, :, :, 1:])
        return np.asarray(self.v.reshape(len(used), -1) @ system.R.T)

    def moments(self, j: int) -> np.ndarray:
        """``sum u u^T`` (G, d + 1, d + 1) at node ``j``."""
        return np.asarray(self.step[:, j].swapaxes(1, 2) @ self.system.N @ self.step[:, j])

    def tangent(self) -> Tangent:
        """The tangent kernel at the start."""
        return self._tangent(self.system.N)

    def tangent_after(self) -> Tangent:
        """The same at the end."""
        return self._tangent(self.moments(-1))

    def _tangent(self, N: np.ndarray) -> Tangent:
        P = self.system.follows
        G, d = P.shape[:2]
        kernel = N[:, :1, :1] * P + N[:, 1:, 1:]
        root = _roots(kernel, self.length / (2 * self.system.data.n))
        features = np.einsum("qgc,gce->qge", self.system.R.reshape(-1, G, d), root)
        return Tangent(self.length, features.reshape(-1, G * d))


def _roots(kernel: np.ndarray, factor: float, known: float = 0.0) -> np.ndarray:
    """Matrices (G, d, d) with ``root @ root.T = factor * kernel``, but for eigenvalues that are no
    more than ``known`` of the largest."""
    values, vectors = np.linalg.eigh(kernel)
    values = np.where(values > known * values[:, -1:], values, 0.0)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0) * factor)[:, None, :])
