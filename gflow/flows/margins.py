r"""Margins of a flow on an endless loss, and how far its direction is from that of the largest.

With :math:`m_k = y_k h(x_k)`, :math:`\rho = |\theta|` and the loss :math:`\ell` of a margin, the
hard margin is :math:`\min_k m_k / \rho^2`; the smoothed one, :math:`\ell^{-1}(n L) / \rho^2`, is
that of one point with the loss of all. It is the smaller one, and never falls once
:math:`n L < \ell(0)`. Limits of directions are stationary points (KKT) of the problem of the
largest margin. Lyu and Li, "Gradient descent maximizes the margin of homogeneous neural networks",
ICLR 2020, Theorems 4.1 and 4.4; Ji and Telgarsky, "Directional convergence and alignment in deep
learning", NeurIPS 2020 (proved there).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import nnls

from ..engines.events import SLIDING
from ..engines.record import Record, read_only
from ..problem.checks import finite, positive
from ..problem.field import Field
from ..problem.loss import is_endless, loss_label
from ..problem.rates import Rates
from ..problem.value import Value

HEAVY = 1e6
"""Weight of the equations by which the two ends of a sliding neuron share a multiplier."""
FAINT = 1e-6
"""Smoothed margins, times the squares, below this are rounding of a loss that is l(0) for ever: a
point that is 0 has that."""


@dataclass(frozen=True, eq=False)
class Margins(Value):
    """Margins over time.

    Attributes
    ----------
    t : ndarray, shape (T,)
        Reported times of the flow.
    squares : ndarray, shape (T,)
        ``|theta|^2``, the sum of all weights squared: of the layer that moves, if one stays, and
        of ``(q a, w / q)`` with ``q = (rates[1] / rates[0])^(1/4)`` for other speeds.
    degree : int
        By which power of ``|theta|`` margins are divided: 2, or 1 if a layer stays.
    points : ndarray, shape (T, n)
        Margins ``y_k h(x_k)`` over ``|theta|^degree``; NaN where the network is 0 in double
        precision.
    hard, smoothed : ndarray, shape (T,)
        Of the data set, over ``|theta|^degree``.
    since : float
        From this reported time on the smoothed margin cannot fall; infinite if the loss is not yet
        low at the last one, and with decay, a smooth activation or finite steps, where it may fall.
    """

    t: np.ndarray
    squares: np.ndarray
    degree: int
    points: np.ndarray
    hard: np.ndarray
    smoothed: np.ndarray
    since: float

    def __repr__(self) -> str:
        falls = (f", which cannot fall from t = {self.since:.3g} on" if np.isfinite(self.since)
                 else "")
        return (f"Margins({self.t.size} times to {self.t[-1]:g}: at the end hard "
                f"{self.hard[-1]:.9g}, smoothed {self.smoothed[-1]:.9g}{falls})")


@dataclass(frozen=True, eq=False)
class KKT(Value):
    r"""How far a direction is from the conditions (Karush, Kuhn, Tucker) for the largest margin.

    Of :math:`\hat\theta = \theta / |\theta|`, with weights as in `Margins`: multipliers
    :math:`\lambda_k \ge 0` with :math:`\hat\theta = \sum_k \lambda_k y_k g_k`, where :math:`g_k`
    is in Clarke's subdifferential of the output at :math:`x_k`, and :math:`\lambda_k > 0` only at
    points of the least margin.

    Attributes
    ----------
    residual : float
        Distance of the direction from the nearest such sum; 0 if the first condition holds.
    complementarity : float
        ``sum lambda_k (m_k - min m) / sum lambda_k m_k``; 0 if the last one does.
    margin : float
        Least ``y_k h(x_k)`` of the direction.
    multipliers : ndarray, shape (n,)
        ``lambda``; where both conditions hold they sum to ``1 / (2 margin)``, or ``1 / margin`` if
        a layer stays.
    support : ndarray of bool, shape (n,)
        Points with a multiplier.
    t : float
        Time.
    """

    residual: float
    complementarity: float
    margin: float
    multipliers: np.ndarray
    support: np.ndarray
    t: float

    def __repr__(self) -> str:
        return (f"KKT(t={self.t:g}: residual {self.residual:.3g}, complementarity "
                f"{self.complementarity:.3g}, margin {self.margin:.9g}, "
                f"{self.support.sum()} of {self.support.size} points support)")


def smoothed_margin(field: Field, log_value: Any) -> Any:
    """The margin at which one point alone has the loss ``n L``; ``log_value`` is ``log L``."""
    loss: Any = field.loss
    return loss.margin(log_value + np.log(field.data.n))


def margins(flow: Record) -> Margins:
    """See `gflow.Flow.margin`."""
    field = _endless(flow)
    units = _in_units(field, flow.a, flow.W)
    seen = np.array([field.outputs(*net) for net in zip(units.a, units.W)])
    size = units.squares ** (units.degree / 2)
    # A network that is 0 has no direction.
    points = np.divide(field.data.y * seen, size[:, None], where=size[:, None] > 0,
                       out=np.full(seen.shape, np.nan))
    squares = np.ldexp(units.squares, 2 * units.power)
    scale = np.where(size > 0, np.ldexp(size, units.degree * units.power), np.nan)
    h = np.array([field.outputs(*net) for net in zip(flow.a, flow.W)])
    top = smoothed_margin(field, field.log_value(h))
    low = np.flatnonzero(top <= FAINT)
    first = 0 if not low.size else int(low[-1]) + 1
    proved = not (field.setting.decays or field.activation.smooth)
    since = float(flow.t[first]) if proved and first < flow.t.size else np.inf
    return Margins(flow.t, read_only(squares), units.degree, read_only(points),
                   read_only(points.min(axis=1)), read_only(top / scale), since)


def kkt(flow: Record, t: float | None = None, slack: float = 0.1) -> KKT:
    """See `gflow.Flow.kkt`."""
    field, slack = _endless(flow), positive(slack, "slack")
    if field.activation.smooth:
        raise ValueError("conditions for the largest margin are those of ReLU and leaky networks, "
                         f"and the activation is {field.activation}: give a TwoLayerReLU")
    t = flow.t_end if t is None else finite(t, "t")
    net = flow(t)
    units = _in_units(field, net.a[None], net.W[None])
    size = float(np.sqrt(units.squares[0]))
    if not size > 0:
        raise ValueError(f"the network at t = {t:g} is 0 in double precision and has no direction: "
                         "give a later time")
    output, hidden = field.setting.moves
    a, W = units.a[0] / (size if output else 1.0), units.W[0] / (size if hidden else 1.0)
    codes = flow.pattern(t)
    m = field.data.y * field.outputs(a, W)
    least = float(m.min())
    near = np.flatnonzero(m <= least + slack * abs(least))
    found, residual = _multipliers(field, a, W, codes, near)
    total = float(found @ np.abs(m))
    return KKT(residual, float(found @ (m - least)) / total if total > 0 else 0.0, least,
               read_only(found), read_only(found > 1e-9 * found.max()), t)


class _Units(NamedTuple):
    """Weights (T, m) and (T, m, d) as in `Margins`, what moves of them over ``2**power`` (T,), the
    squares (T,) of that part, and in which power of it outputs are homogeneous."""

    a: np.ndarray
    W: np.ndarray
    power: np.ndarray
    squares: np.ndarray
    degree: int


def _in_units(field: Field, a: np.ndarray, W: np.ndarray) -> _Units:
    """Units in which no square of the largest leaves the range of double precision. (Margins of
    smooth activations are no ratios of powers of weights: these stay as they are.)"""
    factor = Rates(*field.setting.rates).factor
    a, W, (output, hidden) = a * factor, W / factor, field.setting.moves
    largest = np.maximum(output * np.abs(a).max(axis=1), hidden * np.abs(W).max(axis=(1, 2)))
    power = np.frexp(largest)[1] * (not field.activation.smooth)
    a, W = np.ldexp(a, -output * power[:, None]), np.ldexp(W, -hidden * power[:, None, None])
    squares = output * (a**2).sum(axis=1) + hidden * (W**2).sum(axis=(1, 2))
    return _Units(a, W, power, squares, output + hidden)


def _endless(flow: Record) -> Field:
    field = flow.field
    if not is_endless(field.loss):
        raise ValueError(f"a run on the loss {loss_label(field.loss)} has no margins: these are "
                         "of losses that fall for ever, \"logistic\" and \"exponential\"")
    return field


def _multipliers(field: Field, a: np.ndarray, W: np.ndarray, codes: np.ndarray,
                 near: np.ndarray) -> tuple[np.ndarray, float]:
    """Multipliers (n,) at the points ``near`` that come closest to the weights, and how close.

    A neuron that slides on a point adds ``mu y_k a_i x_k``, with ``mu`` between ``slope lambda_k``
    and ``lambda_k``, to the sum: shares of the two ends, which add up to ``lambda_k``.
    """
    X, y, (m, d) = field.data.X, field.data.y, W.shape
    slope = field.activation.weights(codes)[:, near]
    X, y = X[near], y[near]
    # Columns are y_k g_k; rows are a, then W row by row.
    columns = np.concatenate([slope * (W @ X.T) * y,
                              ((slope * a[:, None])[:, None, :] * (X.T * y)[None]
                               ).reshape(m * d, near.size)])
    i, k = np.nonzero((codes[:, near] == SLIDING) & (a != 0)[:, None])
    shares = np.zeros((m * (d + 1), i.size))
    for j in range(i.size):
        shares[m + i[j] * d:m + (i[j] + 1) * d, j] = a[i[j]] * y[k[j]] * X[k[j]]
    ends = np.hstack([shares, field.activation.slope * shares])
    # A layer that stays has no condition.
    moves = np.repeat(field.setting.moves, [m, m * d])
    columns, theta = columns * moves[:, None], np.append(a, W.ravel()) * moves
    system = np.hstack([columns, ends * moves[:, None]])
    tie = np.zeros((i.size, system.shape[1]))
    row = np.arange(i.size)
    tie[row, k], tie[row, near.size + row], tie[row, near.size + i.size + row] = 1.0, -1.0, -1.0
    right = np.append(theta, np.zeros(i.size))
    whole = np.vstack([system, HEAVY * tie])
    if len(whole) > 2 * whole.shape[1]:
        Q, whole = np.linalg.qr(whole)
        right = Q.T @ right
    solution, _ = nnls(whole, right, maxiter=30 * max(whole.shape[1], 10))
    found = np.zeros(field.data.n)
    found[near] = solution[:near.size]
    left = theta - system @ solution
    return found, float(np.sqrt(left @ left))
