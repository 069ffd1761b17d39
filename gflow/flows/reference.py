"""The field of a finished run, in plain NumPy: what a path is compared with.

From states of the dense output and the data alone. Signs are those of ``w.x``, never those of the
events.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..engines.events import SLIDING
from ..kernels.filippov import box_least_squares
from ..problem.field import Field
from ..problem.lopsided import Lopsided
from ..problem.norms import row_norms
from ..problem.rates import Rates
from ..problem.smooth import Smooth

WIDTH, NARROWEST = 3.0, 1e-11
"""``|w.x|`` below ``max(WIDTH rtol, NARROWEST) |(a, w)| |x|`` is on the hyperplane: weights are
right to within ``rtol``, and a neuron that leaves a hyperplane along it is not seen to leave
before. 1.001 ``rtol`` is the most measured on right runs."""
SHARP = 4.0
"""Smooth activations bend as well: their fields are taken to change so many times as fast."""
BESIDE = np.linspace(-1e-3, 1e-3, 16)
"""So far beside outputs, relative to them or to labels, losses are compared with their pulls."""
SURELY = 4.0
"""Times the largest of these differences is what losses are rounded by."""
CHUNK = 16_000
"""Of neurons x points x states so many are looked at at once, beside what is asked for: what is
made of them on the way stays where it is quick to reach."""
FEWER_DIGITS = float(np.finfo(float).tiny / np.finfo(float).eps)
"""Weights below this have lost digits to underflow (a neuron may shrink for ever)."""
SUM_ROUNDING = 1e-13
"""Rounding of a multiplier, relative to the terms that it sums."""


class Sight(NamedTuple):
    """What the reference says of J states, and of s neurons in them.

    Attributes
    ----------
    a, W : ndarray, shapes (J, s) and (J, s, d)
    size : ndarray, shape (J, s)
        ``|(a, w)|``.
    wide : ndarray, shape (J, s)
        What errors of ``w`` are relative to: ``size``, as a rule.
    z : ndarray, shape (J, s, n)
        ``w.x / (wide |x|)``; 0 at points that are 0.
    h, p : ndarray, shape (J, n)
        Outputs and pulls, of all neurons.
    error : ndarray, shape (J, n)
        What errors of the weights by 1, relative to their neuron, do to pulls: ``l'' |x| sum
        (a^2 + |w|^2) / 2`` over the neurons that are active or may be, at least ``|a| |w|`` of
        each.
    """

    a: np.ndarray
    W: np.ndarray
    size: np.ndarray
    wide: np.ndarray
    z: np.ndarray
    h: np.ndarray
    p: np.ndarray
    error: np.ndarray


class Reference:
    """The field of a run at states, with the element of least norm on hyperplanes.

    Parameters
    ----------
    field : Field
    m : int
        Number of neurons.
    rtol : float
        Of the run: how close to a hyperplane is on it.
    """

    def __init__(self, field: Field, m: int, rtol: float) -> None:
        self.field, self.m, self.d = field, m, field.data.d
        setting, self.smooth = field.setting, field.activation.smooth
        slope = 1.0 if self.smooth else field.activation.slope
        # Of weights scaled so that one speed is both of the layers: those that errors are relative
        # to. See `gflow.problem.rates`.
        rates = Rates(*setting.rates)
        self.scale, self.pace, self.moves = 1 / rates.weights(m, self.d), rates.pace, setting.moves
        shrinking = setting.shrinking(1, self.d)
        self.two_times = setting.two_times
        speeds = (0.0, 0.0) if self.two_times else setting.rates
        self.decay = shrinking * np.append(speeds[0], np.full(self.d, speeds[1]))
        self.penalties = shrinking * rates.weights(1, self.d)**2 / 2
        # A decay of all entries alike leaves w on the hyperplanes where it is.
        own = self.decay[1:] / self.pace
        self.turning = own if np.ptp(own) > 0 else None
        self.steep, self.near = abs(slope), max(1.0, abs(slope))
        self.X, self.n = field.data.X, field.data.n
        self.lengths = row_norms(self.X)
        self.unit = self.X / np.where(self.lengths > 0, self.lengths, 1.0)[:, None]
        self.rtol, self.band = rtol, max(WIDTH * rtol, NARROWEST)
        length = field.data.arrangement.length
        plus, minus = np.maximum(length, 0.0) / self.n, np.minimum(length, 0.0) / self.n
        self._below, self._above = minus + slope * plus, plus + slope * minus
        self.lopsided: Lopsided | None = None

    def measure(self, start: np.ndarray) -> None:
        """Measure neurons as a run from this flat state does, if their layers are unlike."""
        if not (self.smooth or self.two_times):
            (a,), (W,) = self.split(start[None])
            found = Lopsided(self.field, a, W)
            self.lopsided = found if found.any else None

    def sizes(self, U: np.ndarray) -> np.ndarray:
        """What errors of neurons (..., d + 1) are relative to: their norms, as a rule."""
        size = np.broadcast_to(row_norms(U)[..., None], U.shape)
        if self.lopsided is None:
            return size
        each = U.reshape(-1, U.shape[-1])
        own = self.lopsided.sizes(each[:, 0], each[:, 1:])
        own = np.column_stack([own[:len(each)],
                               own[len(each):].reshape(len(each), U.shape[-1] - 1)])
        return np.asarray(np.minimum(size, own.reshape(U.shape)))

    def split(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights (J, m) and (J, m, d) of flat states, scaled to one speed of layers."""
        if (self.scale != 1.0).any():
            states = states * self.scale
        return states[:, :self.m], states[:, self.m:].reshape(len(states), self.m, self.d)

    def see(self, states: np.ndarray, who: np.ndarray | None = None) -> Sight:
        """Signs of the neurons ``who`` (all, if None), pulls and their errors, at states
        (J, m (d + 1))."""
        a, W = self.split(states)
        squares = a**2 + np.einsum("jmd,jmd->jm", W, W)
        h, reach = np.zeros((2, len(states), self.n))
        step, some = max(1, CHUNK // (self.m * self.n)), max(1, CHUNK // self.n)
        for j in range(0, len(states), step):
            for i in range(0, self.m, some):
                own = slice(j, j + step), slice(i, i + some)
                outputs, seen = self._puts_out(W[own], squares[own])
                h[j:j + step] += (a[own][:, None] @ outputs)[:, 0]
                reach[j:j + step] += ((squares[own] / 2)[:, None] @ seen)[:, 0]
        if who is not None:
            a, W = a[:, who], W[:, who]
        if not self.smooth:
            h *= self.lengths
        return self._sight(a, W, h, self.field.pulls(h),
                           self.field.curvature(h) * reach * self.lengths)

    def some(self, sight: Sight, a: np.ndarray, W: np.ndarray) -> Sight:
        """What is said of neurons ``a`` (J, s), ``W`` (J, s, d) of the states of a `Sight`."""
        return self._sight(a, W, sight.h, sight.p, sight.error)

    def _sight(self, a: np.ndarray, W: np.ndarray, *of_all: np.ndarray) -> Sight:
        return Sight(a, W, *self._stand(a, W), *of_all)

    def _puts_out(self, W: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the activation makes of weights ``W`` (J, s, d) at every point, and its slope there,
        (J, s, n), or the larger one of two that it may have. If it has a kink, then at points of
        length 1."""
        if self.smooth:
            z = W @ self.X.T
            return np.asarray(self.field.activation(z)), self.bends(z)
        z, beside = W @ self.unit.T, self.band * np.sqrt(squares)[..., None]
        # Who is off by less than errors may be on.
        seen = either(z > -beside, self.near, self.steep)
        if self.near > 1.0:
            seen[z > beside] = 1.0
        return np.asarray(self.field.activation(z)), seen

    def _stand(self, a: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``size``, ``wide`` and ``z`` of a `Sight`."""
        size = wide = np.hypot(a, row_norms(W))
        if self.lopsided is not None:
            wide = self.sizes(np.concatenate([a[..., None], W], axis=-1))[..., -1]
        return size, wide, (W / np.where(wide > 0, wide, 1.0)[..., None]) @ self.unit.T

    def fields(self, sight: Sight, on_plane: np.ndarray | None = None) -> np.ndarray:
        """Fields (J, s, d), with ``on_plane`` (J, s, n) left out of the sums."""
        if self.smooth:
            return self.bent(sight)[0]
        s = either(sight.z > 0, 1.0, self.field.activation.slope)
        if on_plane is not None and on_plane.any():
            s[on_plane] = 0.0
        return np.asarray((s * sight.p[:, None, :]) @ self.X / self.n)

    def hears(self, sight: Sight) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Slopes and values (J, s, n) of the activation: what pulls move hidden and output weights
        by. Values are over sizes (J, s) and lengths (n,)."""
        activation = self.field.activation
        if self.smooth:
            assert isinstance(activation, Smooth)
            z = sight.W @ self.X.T
            return (np.asarray(activation.derivative(z)), np.asarray(activation(z)),
                    np.ones_like(sight.wide), np.ones(self.n))
        slopes = either(sight.z > 0, 1.0, activation.slope)
        return slopes, slopes * sight.z, sight.wide, self.lengths

    def bends(self, z: np.ndarray) -> np.ndarray:
        """Slopes of a smooth activation, 1 at least: what errors of weights are multiplied by."""
        activation = self.field.activation
        assert isinstance(activation, Smooth)
        return np.asarray(np.maximum(np.abs(activation.derivative(z)), 1.0))

    def bent(self, sight: Sight) -> tuple[np.ndarray, np.ndarray]:
        """Fields (J, s, d) of smooth neurons, and how they move their output weights, (J, s)."""
        activation = self.field.activation
        assert isinstance(activation, Smooth)
        z, p = sight.W @ self.X.T, sight.p[:, None, :] / self.n
        return (np.asarray((activation.derivative(z) * p) @ self.X),
                np.asarray((activation(z) * p).sum(axis=2)))

    def sensitivity(self, sight: Sight) -> np.ndarray:
        """By how much fields move weights more, (J, s), if all weights are wrong by 1, relative."""
        seen = either(sight.z > -self.band, self.near, self.steep)
        moved = (seen @ (sight.error * self.lengths)[:, :, None])[:, :, 0] / self.n
        return np.asarray(self.pace * moved)

    def moving(self, sight: Sight) -> np.ndarray:
        """Neurons (s,) that are not off at every point; all of a leaky network."""
        if self.steep:
            return np.ones(sight.a.shape[1], dtype=bool)
        return np.asarray((sight.z > -self.band).any(axis=(0, 2)))

    def turned(self, a: np.ndarray, W: np.ndarray) -> np.ndarray:
        """What a decay that turns hidden weights ``W`` (..., d) takes off their fields; 0 where
        ``a`` (...) is, or if there is none."""
        if self.turning is None:
            return np.zeros_like(W)
        lost = self.turning * W
        return np.asarray(np.divide(lost, a[..., None], out=np.zeros_like(W),
                                    where=a[..., None] != 0))

    def velocities(self, a: np.ndarray, W: np.ndarray, D: np.ndarray,
                   along: np.ndarray | None = None) -> np.ndarray:
        """How neurons ``a`` (...), ``W`` (..., d) move in fields (..., d): (..., d + 1); output
        weights as ``along`` says, if they are not moved by ``w.D``."""
        U = np.concatenate([a[..., None], W], axis=-1)
        along = (W * D).sum(axis=-1) if along is None else along
        v = self.pace * np.concatenate([along[..., None], a[..., None] * D], axis=-1)
        if self.decay.any():
            v -= self.decay * U
        output, hidden = self.moves
        if not (output and hidden):
            v *= np.append(float(output), np.full(self.d, float(hidden)))
        return np.asarray(v)

    def conserved(self, sight: Sight) -> tuple[np.ndarray, np.ndarray]:
        """What neurons conserve, ``a^2 - |w|^2``, but for decay, and what that is relative to: the
        sum of its terms.

        Of layers of which one is fixed it is the square of that one alone. An error of ``rtol |u|``
        moves a fixed part of norm ``c`` by ``2 c rtol |u| + (rtol |u|)^2``, three times ``rtol
        max(c, rtol |u|) |u|`` at most: to that product it is relative.
        """
        output, hidden = self.moves
        if self.two_times:
            hidden = False
        one, other = hidden * sight.a**2, output * (sight.W**2).sum(axis=2)
        terms = one + other
        if not (self.two_times or output and hidden):
            terms = np.maximum(np.sqrt(terms), self.rtol * sight.size) * sight.size
        return np.asarray(one - other), np.asarray(terms)

    def penalty(self, sight: Sight) -> np.ndarray:
        """What decay adds to the loss, (J,)."""
        return np.asarray((sight.a**2).sum(axis=1) * self.penalties[0]
                          + (sight.W**2).sum(axis=1) @ self.penalties[1:])

    def rate(self, sight: Sight) -> np.ndarray:
        """How fast neurons turn or grow, (m,), at most in states that were seen."""
        fast = SHARP if self.smooth else 1.0
        return np.asarray(fast * self.pace * row_norms(self.fields(sight)).max(axis=0)
                          + self.decay.max())

    def rounding(self, h: np.ndarray) -> float:
        """What losses at outputs ``h`` (n,) are wrong by that a user wrote, as terms in them may
        cancel: what changes of outputs do to them beyond a rule of two nodes for the pulls, whose
        own error is ``1e-15 / 4320``."""
        field = self.field
        if hasattr(field.loss, "name"):
            return 0.0
        by = BESIDE[:, None] * np.maximum(np.abs(h), np.abs(field.data.y))
        x = np.sqrt(1 / 12)
        pulls = (field.pulls(h + (0.5 - x) * by) + field.pulls(h + (0.5 + x) * by)) / 2
        off = field.value(h + by) - field.value(h[None]) + (pulls * by).mean(axis=1)
        return SURELY * float(np.abs(off).max())

    def one_each(self, states: np.ndarray, row: np.ndarray, i: np.ndarray) -> Sight:
        """What is said of neuron ``i`` (K,) in state ``row`` (K,): a Sight of K states with one
        neuron each. Outputs of a state are summed once, however many neurons are asked for."""
        some, which = np.unique(row, return_inverse=True)
        seen = self.see(states[some], np.empty(0, dtype=np.intp))
        a, W = self.split(states[some])
        a, W, which = a[which, i][:, None], W[which, i][:, None], which.ravel()
        return self._sight(a, W, seen.h[which], seen.p[which], seen.error[which])

    def noise(self, sight: Sight, near: np.ndarray, normal: np.ndarray, held: np.ndarray
              ) -> np.ndarray:
        """What errors of the weights by 1, relative, do to the field across a hyperplane, (J,).

        Parameters
        ----------
        sight : Sight
            Of one neuron in every state.
        near, held : ndarray of bool, shape (J, n)
            Points on whose hyperplanes it is, and those of them whose hyperplanes are other ones.
        normal : ndarray, shape (J, d)
            Of the hyperplane.
        """
        across = normal.copy()
        for j in np.flatnonzero(held.any(axis=1)):
            # What the others hold back is not felt.
            others = self.X[held[j]]
            across[j] -= np.linalg.pinv(others) @ (others @ normal[j])
        seen = np.where(sight.z[:, 0] > 0, 1.0, self.steep)
        seen[near] = max(1.0, self.steep)
        seen[held] = 0.0
        return np.asarray((seen * np.abs(across @ self.X.T) * sight.error).sum(axis=1) / self.n)

    def across(self, k: np.ndarray, p: np.ndarray
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Points (K, n) of the hyperplane of each point ``k`` (K,), its normal (K, d), and what
        pulls (K, n) of these points add to the field along it on its negative side, (K,), and on
        its positive side."""
        A = self.field.data.arrangement
        own = A.label == A.label[k][:, None]
        return (own, A.normal[A.label[k]], np.where(own, p * self._below, 0.0).sum(axis=1),
                np.where(own, p * self._above, 0.0).sum(axis=1))

    def limits(self, points: np.ndarray, p: np.ndarray
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Normals (c, d) of the hyperplanes of some points (n,), and what pulls (J, n) of these
        add to the field along them on their negative side (J, c) and on their positive side."""
        A = self.field.data.arrangement
        planes, which = np.unique(A.label[points], return_inverse=True)
        k = np.flatnonzero(points)
        of = np.zeros((k.size, planes.size))
        of[np.arange(k.size), which.ravel()] = 1.0
        return (A.normal[planes], (p[:, k] * self._below[k]) @ of,
                (p[:, k] * self._above[k]) @ of)

    def excess(self, sight: Sight, j: int, i: int, codes: np.ndarray, rtol: float) -> float:
        """How far multipliers of a sliding neuron, one a hyperplane, leave [0, 1], beyond what
        errors of the weights do to the pulls that it sees.

        Parameters
        ----------
        sight : Sight
            Of all neurons.
        j, i : int
            State and neuron.
        codes : ndarray, shape (n,)
            Its side of every point.
        rtol : float
            Errors of the weights, relative.
        """
        points = codes == SLIDING
        active = (self.field.activation.weights(codes) * ~points) / self.n
        p, error = sight.p[j], rtol * sight.error[j]
        V, below, above = self.limits(points, p[None, :])
        if len(V) > np.linalg.matrix_rank(V):
            return 0.0
        solve = np.linalg.pinv(V.T)
        total = -solve @ ((active * p) @ self.X - self.turned(sight.a[j, i:i + 1],
                                                              sight.W[j, i:i + 1])[0])
        jump = (above - below)[0]
        # As in kernels.crossings.multiplier_errors: of the pulls on the active side, and its own.
        A = self.field.data.arrangement
        planes = np.unique(A.label[points])
        own = (A.label == planes[:, None]) * np.abs(A.length) / self.n
        leak = 1 + self.steep
        slack = np.abs(solve @ self.X.T) @ (np.abs(active) * error) + leak * own @ error
        low, high = np.minimum(below[0], above[0]), np.maximum(below[0], above[0])
        size = np.abs(solve @ self.X.T) @ (np.abs(active) * np.abs(p)) + leak * own @ np.abs(p)
        slack = slack + SUM_ROUNDING * size
        over = np.maximum(low - total, total - high) - slack
        return float(np.max(np.where(over > 0, over, 0.0) / (np.abs(jump) + slack + FEWER_DIGITS)))

    def _told_apart(self, V: np.ndarray, below: np.ndarray, above: np.ndarray
                    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Hyperplanes as `limits` gives them, one for those that almost agree.

        Of two whose normals differ by less than twice the width of one, a neuron along one is on
        both, and not where they meet, which is all that the least norm on both would leave it.
        """
        apart = np.minimum(*(np.linalg.norm(V[:, None] - s * V, axis=2) for s in (1.0, -1.0)))
        one = np.argmax(apart <= 2 * self.band, axis=1)
        if (one == np.arange(len(V))).all():
            return V, below, above
        kept, of = np.unique(one, return_inverse=True)
        turned = (V * V[one]).sum(axis=1) < 0
        low, high = np.zeros((2, len(below), kept.size))
        for j, g in enumerate(of.ravel()):
            low[:, g] += -above[:, j] if turned[j] else below[:, j]
            high[:, g] += -below[:, j] if turned[j] else above[:, j]
        return V[kept], low, high

    def least(self, D: np.ndarray, sign: np.ndarray, points: np.ndarray, p: np.ndarray
              ) -> tuple[np.ndarray, np.ndarray]:
        """Elements of least norm (J, d) for neurons on the hyperplanes of ``points`` (n,).

        Parameters
        ----------
        D : ndarray, shape (J, d)
            Fields without these points.
        sign : ndarray, shape (J,)
            Of the output weights.
        points : ndarray of bool, shape (n,)
        p : ndarray, shape (J, n)
            Pulls.

        Returns
        -------
        least : ndarray, shape (J, d)
        known : ndarray of bool, shape (J,)
            False where a hyperplane repels, on which there is no sliding.
        """
        V, below, above = self.limits(points, p)
        known = (sign[:, None] * (above - below) <= 0).all(axis=1)
        V, below, above = self._told_apart(V, below, above)
        jump = above - below
        base = D + below @ V
        if len(V) == 1:
            across = base @ V[0]
            eta = np.divide(-across, jump[:, 0], out=np.zeros(len(D)), where=jump[:, 0] != 0)
            return base + (np.clip(eta, 0.0, 1.0) * jump[:, 0])[:, None] * V[0], known
        known &= (jump != 0).all(axis=1)
        total = -base @ np.linalg.pinv(V)
        out: np.ndarray = base + total @ V
        eta = np.divide(total, jump, out=np.zeros_like(total), where=jump != 0)
        for j in np.flatnonzero(known & ((eta < 0) | (eta > 1)).any(axis=1)):
            out[j] = box_least_squares(base[j].copy(), V.copy(), jump[j].copy(), 0.0)[1]
        return out, known


def either(mask: np.ndarray, yes: float, no: float) -> np.ndarray:
    """One of two numbers wherever a mask says so.

    Examples
    --------
    >>> either(np.array([True, False]), 1.0, 0.5).tolist()
    [1.0, 0.5]
    """
    # A cast is several times as fast.
    return mask.astype(float) if (yes, no) == (1.0, 0.0) else np.where(mask, yes, no)
