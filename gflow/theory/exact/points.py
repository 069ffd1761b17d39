"""Few points: a group on one point, a neuron that dies, slides for ever, or slides and is released.

All by boosts along one axis at a time, see `gflow.theory.exact.axis`.
"""

from __future__ import annotations

from typing import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from ...problem.checks import positive, real_array
from ...problem.data import Data
from ...problem.inputs import model_and_data
from ...problem.network import TwoLayerReLU
from ...problem.norms import row_norms
from ...problem.quiet import quiet
from .axis import Axis
from .solution import ExactFlow, State, event_table


@quiet
def one_point(a: ArrayLike = (-0.1, 0.5, 0.3, -0.2, 0.0),
              W: ArrayLike = ((0.9, 0.1, 0.3), (0.2, 0.5, 0.4), (0.3, 0.3, 0.0), (0.5, 0.9, 1.3),
                              (0.4, 0.0, 0.0)),
              x: ArrayLike = (1.5, -0.5, 1.0), y: float = 2.0) -> ExactFlow:
    """T1: any neurons on a single point.

    Active neurons share one boost along x, whatever their signs and balance; the others rest. One
    that the boost takes to ``w.x = 0`` dies there.

    Parameters
    ----------
    a : array_like, shape (m,)
        Output weights.
    W : array_like, shape (m, d)
        Hidden weights.
    x : array_like, shape (d,)
        The point, not zero.
    y : float
        Its label.

    Returns
    -------
    ExactFlow

    Raises
    ------
    TypeError, ValueError
        On bad input.

    References
    ----------
    Derived here, from the invariants of Boursier and Flammarion, "Early alignment in two-layer
    networks training is a two-edged sword", JMLR 2025, Lemma 1.

    Examples
    --------
    >>> case = one_point([0.1], [[0.1]], [1.0], 1.0)
    >>> model = case(4.0)
    >>> bool(np.isclose(model.a @ model.W[:, 0], 1 / (1 + 99 * np.exp(-8.0))))
    True
    """
    model, x = TwoLayerReLU(a, W), vector(x, "x")
    data = Data([x], [y])
    model_and_data(model, data)
    size = float(row_norms(x))
    if size == 0:
        raise ValueError("x is zero: give a point that neurons can see")
    e = x / size
    p = model.W @ e
    rest = model.W - np.outer(p, e)
    axis = Axis(model.a, p, size, float(data.y[0]), size)

    def state(t: np.ndarray) -> State:
        a_t, p_t = axis(t)
        return a_t, rest + p_t[:, :, None] * e, axis.gap(t)[:, None]

    deaths = [(float(t), i, 0, "deactivate", 0) for i, t in enumerate(axis.deaths)
              if np.isfinite(t)]
    return ExactFlow(model, data, event_table(deaths), np.inf, axis.settled, state)


@quiet
def dying_neuron(a: float = -0.6, w: ArrayLike = (0.3, 0.4), x: ArrayLike = (1.2, 0.5),
                 y: float = 1.0) -> ExactFlow:
    """T4: a neuron of the wrong sign, alone on its point, dies in finite time.

    It stays at ``w.x = 0`` with ``|a| = sqrt(a^2 - (w.x/|x|)^2)``.

    Parameters
    ----------
    a : float
        Output weight, of the other sign than ``y``.
    w : array_like, shape (d,)
        Hidden weight with ``0 < w.x/|x| < |a|``.
    x : array_like, shape (d,)
        The point.
    y : float
        Its label.

    Returns
    -------
    ExactFlow

    Raises
    ------
    TypeError, ValueError
        On bad input, or if the neuron does not die.

    References
    ----------
    Derived here; see `one_point`.

    Examples
    --------
    >>> case = dying_neuron()
    >>> str(case.events["kind"][0]), case.loss(100.0)
    ('deactivate', 0.5)
    """
    case = one_point([a], [vector(w, "w")], x, y)
    if not case.events.size:
        raise ValueError("this neuron does not die: give a and y of opposite signs and "
                         "0 < w.x/|x| < |a|")
    return case


@quiet
def slides_for_ever(a: float = 0.3, w: ArrayLike = (0.3, -0.2), x1: ArrayLike = (1.0, 0.3),
                    x2: ArrayLike = (0.4, 1.0), y: ArrayLike = (1.0, -1.2)) -> ExactFlow:
    """T5: a neuron fits its point, arrives at the hyperplane of another, and stays on it.

    First it moves along ``x1``, then along the projection of ``x1`` on the hyperplane of ``x2``.

    Parameters
    ----------
    a : float
        Output weight, of the sign of ``y[0]``.
    w : array_like, shape (d,)
        Hidden weight with ``w.x1 > 0 > w.x2``.
    x1, x2 : array_like, shape (d,)
        The points, with ``x1.x2 > 0``.
    y : array_like, shape (2,)
        Their labels, of opposite signs.

    Returns
    -------
    ExactFlow
        If the first point is fitted before the neuron arrives, it never does: no events.

    Raises
    ------
    TypeError, ValueError
        On bad input, or if the second point is too weak to hold the neuron.

    References
    ----------
    Derived here, from Filippov's rule: it slides if ``|r_1| x1.x2 < |y_2| |x2|^2`` on arrival.

    Examples
    --------
    >>> case = slides_for_ever()
    >>> str(case.events["kind"][0]), case.loss(200.0)
    ('slide', 0.36)
    """
    points, labels = two_points(x1, x2, y)
    model = TwoLayerReLU([a], [vector(w, "w")])
    data = Data(points, labels)
    first, second = points
    sizes = row_norms(points)
    across = float(first @ second)
    s = np.sign(labels[0])
    w0, e = model.W[0], first / sizes[0]
    p = float(w0 @ e)
    if not (s * labels[1] < 0 < s * model.a[0] and across > 0 and p > 0 > w0 @ second):
        raise ValueError("the neuron does not approach: give a of the sign of y[0], y[1] of the "
                         "other, x1.x2 > 0 and w.x1 > 0 > w.x2")
    # The mirror image has a positive output weight.
    before = Axis(s * model.a, [p], sizes[0] / 2, s * labels[0], sizes[0])
    at = p - float(w0 @ second) / float(e @ second)
    hit = before.time(at)
    records = []
    aside = w0 - p * e
    after, rest, tangent = before, w0, e
    if np.isfinite(hit):
        records.append((hit, 0, 1, "slide", 2))
        arrival = np.array([hit])
        if before.gap(arrival)[0] * across >= abs(labels[1]) * sizes[1]**2:
            raise ValueError("the neuron crosses the hyperplane of x2: give y[1] a larger size")
        tangent, along = tangent_to(first, second)
        w_hit = aside + at * e
        after = Axis(before(arrival)[0][0], [w_hit @ tangent], along / 2, s * labels[0], along)
        rest = w_hit - (w_hit @ tangent) * tangent
        rest -= (rest @ second) * second / sizes[1]**2

    def state(t: np.ndarray) -> State:
        early = t < hit
        a_1, p_1 = before(np.minimum(t, hit))
        late = np.where(early, 0.0, t - hit)
        a_2, p_2 = after(late)
        W = np.where(early[:, None], aside + p_1 * e, rest + p_2 * tangent)
        r = np.where(early, before.gap(np.minimum(t, hit)), after.gap(late))
        return (s * np.where(early[:, None], a_1, a_2), W[:, None, :],
                np.column_stack([s * r, np.full(t.size, labels[1])]))

    horizon = hit + after.settled if records else before.settled
    return ExactFlow(model, data, event_table(records), np.inf, horizon, state)


@quiet
def released(slide_a: ArrayLike = (0.05,), slide_p: ArrayLike = (0.05,), a: ArrayLike = (-0.4,),
             W: ArrayLike = ((-1.2, 0.9),), x1: ArrayLike = (1.0, 0.3), x2: ArrayLike = (0.4, 1.0),
             y: ArrayLike = (0.6, -1.0)) -> ExactFlow:
    """T6: neurons slide on the hyperplane of a point that others fit, until they are released.

    The closed form ends there, where the sliding multiplier reaches 1.

    Parameters
    ----------
    slide_a, slide_p : array_like, shape (k,)
        Sliding neurons, on the projection of ``x1`` on the hyperplane of ``x2``: output weights of
        the sign of ``y[0]``, and norms of the hidden weights.
    a, W : array_like, shapes (m - k,) and (m - k, d)
        The others, of the sign of ``y[1]``, active on ``x2`` only up to the end.
    x1, x2 : array_like, shape (d,)
        The points, with ``x1.x2 > 0``.
    y : array_like, shape (2,)
        Their labels, of opposite signs.

    Returns
    -------
    ExactFlow
        With ``until`` the time of release, infinity if they never are.

    Raises
    ------
    TypeError, ValueError
        On bad input, or if the closed form does not hold up to there.

    References
    ----------
    Derived here, from Filippov's rule: the multiplier is ``|r_1| x1.x2 / (|r_2| |x2|^2)``.

    Examples
    --------
    >>> round(released().until, 8)
    2.02444767
    """
    points, labels = two_points(x1, x2, y)
    first, second = points
    slide_a, slide_p = real_array(slide_a, "slide_a", 1), real_array(slide_p, "slide_p", 1)
    others = TwoLayerReLU(a, W)
    model_and_data(others, (points, labels))
    if slide_a.shape != slide_p.shape or not slide_a.size:
        raise ValueError(f"slide_a and slide_p have {slide_a.size} and {slide_p.size} entries: "
                         "give one each for every sliding neuron")
    tangent, along = tangent_to(first, second)
    s, size, across = np.sign(labels[0]), float(row_norms(second)), float(first @ second)
    e = second / size
    W_p = others.W @ e
    if not (s * labels[1] < 0 < across and (s * slide_a > 0).all() and (slide_p > 0).all()
            and (s * others.a < 0).all() and (W_p > 0).all() and (others.W @ first < 0).all()):
        raise ValueError("these neurons do not slide and fit: give slide_a of the sign of y[0], a "
                         "and y[1] of the other, slide_p > 0, x1.x2 > 0, and W x1 < 0 < W x2")
    sliding = Axis(s * slide_a, slide_p, along / 2, s * labels[0], along)
    fitting = Axis(-s * others.a, W_p, size / 2, -s * labels[1], size)

    def excess(t: ArrayLike) -> np.ndarray:
        """Logarithm of the multiplier."""
        t = np.atleast_1d(t)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(sliding.gap(t) * across)
                              - np.log(fitting.gap(t) * size**2))

    if sliding.gap(np.zeros(1))[0] <= 0 or fitting.gap(np.zeros(1))[0] <= 0 or excess(0.0)[0] >= 0:
        raise ValueError("nothing slides at the start: give residuals of the signs of y, and y[1] "
                         "a size that holds the neurons")
    until = first_zero(excess, 2 * max(sliding.settled, fitting.settled))
    horizon = min(until, max(sliding.settled, fitting.settled))
    if (others.W @ first + (fitting(np.array([horizon]))[1][0] - W_p) * (e @ first) >= 0).any():
        raise ValueError("a neuron that fits x2 meets the hyperplane of x1: give W x1 further "
                         "below zero")
    model = TwoLayerReLU(np.append(slide_a, others.a),
                         np.vstack([np.outer(slide_p, tangent), others.W]))

    def state(t: np.ndarray) -> State:
        (a_1, p_1), (a_2, p_2) = sliding(t), fitting(t)
        W_t = np.concatenate([p_1[:, :, None] * tangent,
                              others.W + (p_2 - W_p)[:, :, None] * e], axis=1)
        r = np.column_stack([s * sliding.gap(t), -s * fitting.gap(t)])
        return np.concatenate([s * a_1, -s * a_2], axis=1), W_t, r

    records = [(until, i, 1, "release", 1) for i in range(slide_a.size) if np.isfinite(until)]
    return ExactFlow(model, Data(points, labels), event_table(records), until, horizon, state)


def first_zero(f: Callable[[ArrayLike], np.ndarray], end: float) -> float:
    """First change of sign of ``f`` on [0, end], as far as 4000 samples show; infinity if none."""
    t = np.linspace(0.0, end, 4001)
    above = np.flatnonzero(f(t) >= 0)
    if not above.size:
        return np.inf
    return float(brentq(lambda s: f(s)[0], t[above[0] - 1], t[above[0]], xtol=1e-14, rtol=1e-15))


def tangent_to(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, float]:
    """Direction and length of the projection of ``first`` on the hyperplane of ``second``."""
    part = first - (first @ second) / (second @ second) * second
    part -= (part @ second) / (second @ second) * second
    length = float(row_norms(part))
    if length <= 1e-8 * float(row_norms(first)):
        raise ValueError("x1 and x2 are parallel: give points on two lines")
    return part / length, length


def two_points(x1: ArrayLike, x2: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Points (2, d) and labels (2,), checked."""
    first, second, labels = vector(x1, "x1"), vector(x2, "x2"), real_array(y, "y", 1)
    if first.shape != second.shape or labels.shape != (2,):
        raise ValueError(f"x1 has {first.size}, x2 {second.size} and y {labels.size} entries: "
                         "give two points of one dimension, and two labels")
    for x, name in ((first, "x1"), (second, "x2")):
        positive(float(row_norms(x)), f"|{name}|")
    return np.array([first, second]), labels


def vector(value: ArrayLike, name: str) -> np.ndarray:
    """A vector of at least one entry."""
    array = real_array(value, name, 1)
    if array.size == 0:
        raise ValueError(f"{name} is empty: give at least one number")
    return array
