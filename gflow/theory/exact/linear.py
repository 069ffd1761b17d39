"""Where the network is a linear one: orthonormal points under one neuron, symmetric data.

There ``v = a w`` turns towards a target in the plane of the two (Dana, Bach and Pillaud-Vivien,
"Convergence of shallow ReLU networks on weakly interacting data", 2025, arXiv:2502.16977, has the
aligned case; the turning one is derived here): with ``c = cos(v, target)`` and Y the length of the
target, ``c' = k Y (1 - c^2)`` and ``|v|' = 2 k |v| (Y c - |v|)``, a Bernoulli equation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ...problem.checks import generator, non_negative, positive, real_array, whole
from ...problem.data import Data
from ...datasets import symmetric
from ...problem.network import TwoLayerReLU
from ...problem.norms import row_norms
from ...problem.quiet import quiet
from .groups import direction
from .points import vector
from .solution import ExactFlow, State, event_table


class Turning:
    """Path of ``v`` from ``v0`` to ``target`` at rate k.

    Examples
    --------
    >>> path = Turning(np.array([0.0, 1e-3]), np.array([2.0, 0.0]), 1.0)
    >>> v, gap = path(np.array([0.0, 9.0]))
    >>> bool(np.allclose(v, [[0, 1e-3], [2, 0]], atol=1e-6))
    True
    """

    def __init__(self, v0: np.ndarray, target: np.ndarray, k: float) -> None:
        self.k = k
        self.length, self.goal = float(row_norms(v0)), float(row_norms(target))
        if self.length == 0 or self.goal == 0:
            raise ValueError("the start or the target is zero: it has no direction")
        self.ahead = target / self.goal
        along = float(v0 @ self.ahead)
        side = v0 - along * self.ahead
        side -= (side @ self.ahead) * self.ahead
        across = float(row_norms(side))
        if across <= 1e-14 * self.length:
            across = 0.0
        self.aside = side / across if across > 0 else np.zeros_like(side)
        if across == 0 and along < 0:
            raise ValueError("the start is opposite to the target, where the flow is unstable: "
                             "turn it a little")
        # Tangent of half the angle to the target.
        self.half = (across / (self.length + along) if along >= 0 else
                     (self.length - along) / across)

    def __call__(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``v`` and ``target - v``, each (T, d), at the times ``t`` (T,)."""
        f, Y = self.half**2, self.goal
        tau = self.k * Y * t
        E = np.exp(-2 * tau)
        start = (1 + f)**2 / (2 * self.length)
        below = start * E + (2 * tau * f * E - np.expm1(-2 * tau) * (1 + f**2 * E) / 2) / Y
        along = (1 - f * E) * (1 + f * E) / 2 / below
        across = self.half * np.exp(-tau) * (1 + f * E) / below
        left = E * (Y * start + 2 * tau * f + (f - 1) * (f + 1) / 2) / below
        aside = np.outer(across, self.aside)
        return np.outer(along, self.ahead) + aside, np.outer(left, self.ahead) - aside

    def time(self, x: np.ndarray) -> tuple[float, int]:
        """When ``v.x`` changes sign, and its sign then; infinity and 0 if never."""
        alpha, gamma = float(self.ahead @ x), float(self.aside @ x)
        sign = int(np.sign(alpha))
        if sign == 0 or self.half == 0:
            return np.inf, 0
        half = np.tan(np.arctan2(abs(alpha), -sign * gamma) / 2)
        if half >= self.half:
            return np.inf, 0
        return float(np.log(self.half / half)) / (self.k * self.goal), sign

    @property
    def settled(self) -> float:
        """A time by which ``v`` is close to the target."""
        growth = abs(np.log(self.goal / self.length)) / 2 + 6 + np.log1p(self.half)
        return float(growth / (self.k * self.goal))


def decayed_length(path: Turning, decay: float, t: np.ndarray) -> np.ndarray:
    """``|v|`` (T,) under weight decay, which leaves the directions of a `Turning` as they are.

    ``|v|' = 2 |v| (k Y c - decay - k |v|)`` is Bernoulli's: with ``A = exp(int 2 (k Y c - decay))``
    it is ``A / (1/|v(0)| + 2 k int A)``, and ``A`` is a sum of three exponentials.
    """
    K, M = path.k * path.goal, max(2 * (path.k * path.goal - decay), 0.0)
    c = (1 - path.half**2) / (1 + path.half**2)
    A, integral = np.zeros_like(t), np.zeros_like(t)
    for part, rate in (((1 + c)**2, 2 * (K - decay)), (2 * (1 - c**2), -2 * decay),
                       ((1 - c)**2, -2 * (K + decay))):
        # All terms times exp(-M t): nothing overflows.
        A = A + part / 4 * np.exp((rate - M) * t)
        if rate == 0:
            step = t * np.exp(-M * t)
        elif rate > 0:
            step = -np.exp((rate - M) * t) * np.expm1(-rate * t) / rate
        else:
            step = np.exp(-M * t) * np.expm1(rate * t) / rate
        integral = integral + part / 4 * step
    return np.asarray(A / (np.exp(-M * t) / path.length + 2 * path.k * integral))


@quiet
def orthogonal_points(y: ArrayLike = (1.0, 2.0), start: ArrayLike = (0.3, 0.02), rho: float = 1.0,
                      d: int | None = None, rng: int | np.random.Generator = 0, *,
                      decay: float = 0.0) -> ExactFlow:
    """T2: one balanced neuron that fits orthogonal points of one length.

    Parameters
    ----------
    y : array_like, shape (n,)
        Labels, all of one sign.
    start : array_like, shape (n,)
        ``a w.x_k / rho`` at the start: of the sign of ``y``.
    rho : float
        Length of the points.
    d : int, optional
        Input dimension, at least n. Default: n + 1.
    rng : int or numpy.random.Generator
        Seed or generator of the directions of the points.
    decay : float
        Weight decay: the neuron turns as without, and its size tends to ``|y| / rho - n decay /
        rho^2``, or to 0.

    Returns
    -------
    ExactFlow

    Raises
    ------
    TypeError, ValueError
        On bad input.

    References
    ----------
    Derived here. Boursier, Pillaud-Vivien and Flammarion, "Gradient flow dynamics of shallow ReLU
    networks for square loss and orthogonal inputs", 2022, arXiv:2206.00939, for the setting.

    Examples
    --------
    >>> case = orthogonal_points()
    >>> case.loss(0.0) > case.loss(5.0) > case.loss(50.0) > 0
    True
    """
    labels, v0, rho = vector(y, "y"), vector(start, "start"), positive(rho, "rho")
    n, decay = labels.size, non_negative(decay, "decay")
    d = n + 1 if d is None else whole(d, "d")
    if v0.size != n or d < n:
        raise ValueError(f"y has {n} entries, start {v0.size} and d = {d}: give as many of each, "
                         "and at least as many dimensions")
    s = np.sign(labels[0])
    if not ((s * labels > 0).all() and (s * v0 > 0).all()):
        raise ValueError("y and start have mixed signs: one neuron fits points of one sign only")
    Q, R = np.linalg.qr(generator(rng).standard_normal((d, n)))
    units = (Q * np.sign(np.diag(R))).T
    path = Turning(v0, labels / rho, rho**2 / n)

    def state(t: np.ndarray) -> State:
        v, gap = path(t)
        if decay:
            v *= (decayed_length(path, decay, t) / row_norms(v))[:, None]
            gap = labels / rho - v
        a = s * np.sqrt(row_norms(v))
        # What has decayed below the range of double precision is 0.
        w = v @ units / np.where(a != 0, a, s)[:, None]
        return a[:, None], w[:, None, :], rho * gap

    a, W, _ = state(np.zeros(1))
    return ExactFlow(TwoLayerReLU(a[0], W[0]), Data(rho * units, labels), event_table([]), np.inf,
                     path.settled, state, decay)


@quiet
def symmetric_pair(beta: ArrayLike = (1.0, 0.2, 0.0), start: ArrayLike = (-1e-3, 1e-4, 2e-4),
                   n: int = 10,
                   scale: float = 1.0, rng: int | np.random.Generator = 0) -> ExactFlow:
    """T3: an antipodal pair on symmetric white data, a linear network through all its events.

    Neurons ``(a, w)`` and ``(-a, -w)``, balanced, give ``h(x) = a w.x``. They exchange points as
    they turn, with no trace in the output.

    Parameters
    ----------
    beta : array_like, shape (d,)
        Linear teacher: labels are ``y = x.beta``.
    start : array_like, shape (d,)
        ``a w`` at the start, not opposite to ``beta``.
    n : int
        Number of points, even, at least 2d, from `gflow.datasets.symmetric` with ``whiten=True``.
    scale : float
        The points are multiplied by this, so that ``(1/n) sum x x^T = scale^2 I``.
    rng : int or numpy.random.Generator
        Seed or generator of the points.

    Returns
    -------
    ExactFlow

    Raises
    ------
    TypeError, ValueError
        On bad input.

    References
    ----------
    Zhang, Saxe and Latham, "When are bias-free ReLU networks effectively linear networks?", 2024,
    arXiv:2406.12615 (symmetric data; known from its abstract); the closed form is derived here.

    Examples
    --------
    >>> case = symmetric_pair()
    >>> len(case.events) > 0, bool(np.allclose(case(200.0).W[0] * case(200.0).a[0], [1, 0.2, 0]))
    (True, True)
    """
    beta, v0 = vector(beta, "beta"), vector(start, "start")
    if v0.size != beta.size:
        raise ValueError(f"beta has {beta.size} and start {v0.size} entries: give as many of each")
    direction(beta)
    scale = positive(scale, "scale")
    X = scale * symmetric(whole(n, "n"), beta.size, rng, beta=beta, whiten=True).X
    path = Turning(v0, real_array(beta, "beta", 1), scale**2 / 2)

    def state(t: np.ndarray) -> State:
        v, gap = path(t)
        a = np.sqrt(row_norms(v))
        w = v / a[:, None]
        return np.column_stack([a, -a]), np.stack([w, -w], axis=1), gap @ X.T

    a, W, _ = state(np.zeros(1))
    records = []
    for k, x in enumerate(X):
        t, sign = path.time(x)
        if sign:
            for i, on in ((0, sign > 0), (1, sign < 0)):
                records.append((t, i, k, "activate" if on else "deactivate", int(on)))
    return ExactFlow(TwoLayerReLU(a[0], W[0]), Data(X, X @ beta), event_table(records), np.inf,
                     path.settled, state)
