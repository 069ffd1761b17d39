"""Random points labelled by a teacher: linear, a ReLU network, or one neuron."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaincinv

from ..problem.inputs import ModelLike
from ..problem.checks import flag, generator, non_negative, real_array, sizes
from ..problem.data import Data, note
from ..problem.network import TwoLayerReLU
from ..problem.norms import row_norms
from ..problem.quiet import quiet
from ..problem.words import counted, kind_of
from .common import STREAM, orthonormal, unit

SMALLEST_SHARE = 1e-280
"""Of all directions, that a margin may leave."""


@quiet
def symmetric(n: int, d: int, rng: int | np.random.Generator = 0, *, beta: ArrayLike | None = None,
              whiten: bool = False) -> Data:
    """Points x and -x with odd labels ``y = x.beta``: the network learns as a linear one.

    Parameters
    ----------
    n : int
        Number of points, even: rows ``k`` and ``k + n/2`` are opposite.
    d : int
        Input dimension.
    rng : int or numpy.random.Generator
        Seed or generator; half of the points are N(0, I).
    beta : array_like, shape (d,), optional
        Linear teacher, not zero. Default: the first basis vector.
    whiten : bool
        Whether to make ``(1/n) sum x x^T`` the identity, to rounding; needs n >= 2d.

    Returns
    -------
    Data
        The set; its ``teacher`` is a network.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    References
    ----------
    Zhang, Saxe and Latham, "When are bias-free ReLU networks effectively linear networks?",
    2024, arXiv:2406.12615. Lyu, Li, Wang and Arora, "Gradient descent on two-layer nets: margin
    maximization and simplicity bias", 2021, arXiv:2110.13905.

    Examples
    --------
    >>> data = symmetric(6, 2, whiten=True)
    >>> bool(np.allclose(data.X.T @ data.X / 6, np.eye(2)))
    True
    """
    sizes(n=n, d=d)
    if n % 2:
        raise ValueError(f"n = {n} is odd: symmetric points come in pairs, so give an even n")
    teacher = _teacher(beta, d)
    half = generator(rng, STREAM).standard_normal((n // 2, d))
    if flag(whiten, "whiten"):
        if n < 2 * d:
            raise ValueError(f"n = {n} is below 2d = {2 * d}: too few points to whiten")
        half = orthonormal(half) * np.sqrt(n // 2)
    labels = half @ teacher
    data = Data(np.concatenate([half, -half]), np.concatenate([labels, -labels]))
    return _taught(data, _linear(teacher))


@quiet
def linear_teacher(n: int, d: int, noise: float = 0.5, rng: int | np.random.Generator = 0, *,
                   beta: ArrayLike | None = None, margin: float = 0.0) -> Data:
    r"""Gaussian points labelled by a linear teacher, with noise: ``y = x.beta + noise N(0, 1)``.

    Parameters
    ----------
    n : int
        Number of points, ``x ~ N(0, I)`` but for the margin.
    d : int
        Input dimension.
    noise : float
        Standard deviation of the label noise; 0 for none.
    rng : int or numpy.random.Generator
        Seed or generator.
    beta : array_like, shape (d,), optional
        Teacher, not zero. Default: the first basis vector, no restriction among those of norm 1
        since the law of x is rotation invariant.
    margin : float
        Least ``|x . beta| / (|x| |beta|)``, a cosine from 0 to below 1: directions of x have the
        uniform law under this condition, norms that of Gaussian points.

    Returns
    -------
    Data
        The set; its ``teacher`` is a network.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    References
    ----------
    Boursier and Flammarion, "Simplicity bias and optimization threshold in two-layer ReLU
    networks", 2024, arXiv:2410.02348; assumption (3) there is a margin of c / sqrt(d).

    Examples
    --------
    >>> data = linear_teacher(100, 5, noise=0.0, margin=0.4)
    >>> bool((np.abs(data.y) >= 0.4 * np.linalg.norm(data.X, axis=1)).all())
    True
    """
    sizes(n=n, d=d)
    noise = non_negative(noise, "noise")
    margin = non_negative(margin, "margin")
    if margin >= 1:
        raise ValueError(f"margin = {margin:g}: it is the cosine of an angle, so give less than 1")
    teacher = _teacher(beta, d)
    draw = generator(rng, STREAM)
    X = draw.standard_normal((n, d))
    if margin and d > 1:
        X = _turned(X, unit(teacher), margin)
    return _taught(Data(X, X @ teacher + noise * draw.standard_normal(n)), _linear(teacher))


@quiet
def relu_teacher(n: int, d: int, teachers: ModelLike | None = None, noise: float = 0.0,
                 rng: int | np.random.Generator = 0) -> Data:
    r"""Gaussian points labelled by a ReLU network: ``y = sum_t a_t relu(v_t.x)`` and noise.

    Parameters
    ----------
    n : int
        Number of points, ``x ~ N(0, I)``.
    d : int
        Input dimension.
    teachers : TwoLayerReLU or (a, V), optional
        Teacher network: output weights (T,) and hidden weights (T, d). Default: one neuron, with
        output weight 1 and the first basis vector. A random one is a start from `gflow.init`;
        give it another seed than the student, or it shares neurons with it.
    noise : float
        Standard deviation of the label noise; 0 for none.
    rng : int or numpy.random.Generator
        Seed or generator.

    Returns
    -------
    Data
        The set; its ``teacher`` is a network.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or the teacher has another input dimension, or a bias.

    References
    ----------
    Chistikov, Englert and Lazic, "Learning a neuron by a shallow ReLU network: dynamics and
    implicit bias for correlated inputs", 2023, arXiv:2306.06479 (one teacher neuron). Boursier,
    Pillaud-Vivien and Flammarion, "Gradient flow dynamics of shallow ReLU networks for square
    loss and orthogonal inputs", 2022, arXiv:2206.00939, published code (six teacher neurons,
    unbalanced with scale 1; n = 75, d = 150).

    Examples
    --------
    >>> from gflow.init import unbalanced
    >>> teacher = unbalanced(6, 150, scale=1.0, rng=4, scaling="1/sqrt(m*d)")
    >>> relu_teacher(75, 150, teacher)
    Data(n=75, d=150)
    """
    sizes(n=n, d=d)
    noise = non_negative(noise, "noise")
    if teachers is None:
        teachers = TwoLayerReLU([1.0], np.eye(1, d))
    if not isinstance(teachers, TwoLayerReLU):
        if not isinstance(teachers, tuple | list) or len(teachers) != 2:
            raise TypeError(f"teachers is {kind_of(teachers)}: give a TwoLayerReLU or a "
                            "pair (a, V)")
        teachers = TwoLayerReLU(*teachers)
    if teachers.bias:
        raise ValueError("teachers has a bias, a column of ones beside the inputs, and these "
                         "points are Gaussian in every column: give a network without")
    if teachers.d != d:
        raise ValueError(f"teachers has input dimension {teachers.d} but d = {d}: "
                         "they must be the same")
    draw = generator(rng, STREAM)
    X = draw.standard_normal((n, d))
    return _taught(Data(X, teachers(X) + noise * draw.standard_normal(n)), teachers)


@quiet
def one_neuron(n: int, d: int, rng: int | np.random.Generator = 0, *, centred: bool = True,
               cone: bool = False) -> Data:
    r"""Correlated points labelled by one ReLU neuron: ``y = relu(v.x)`` with ``|v| = 1``.

    The angle between ``v`` and a point is close to pi/4 in high dimension. Centred: v is a uniform
    unit vector and ``x ~ N(v, I/d)``. Otherwise the points and v stray from a uniform unit vector
    u alike: ``x ~ N(u, (sqrt(2) - 1) I/d)``, and v is the direction of one more such draw.

    Parameters
    ----------
    n : int
        Number of points.
    d : int
        Input dimension.
    rng : int or numpy.random.Generator
        Seed or generator.
    centred : bool
        Whether the points scatter around the teacher itself.
    cone : bool
        Draw again the points at an angle of pi/4 or more from v. What is proved of this setting
        asks for that; about half of all points are dropped.

    Returns
    -------
    Data
        The set; its ``teacher`` is a network. With ``cone`` all labels are positive, and all
        angles between points acute.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    References
    ----------
    Chistikov, Englert and Lazic, "Learning a neuron by a shallow ReLU network: dynamics and
    implicit bias for correlated inputs", 2023, arXiv:2306.06479, section on experiments (n = d = 4
    to 1024, 200 neurons; data not restricted to the cone).

    Examples
    --------
    >>> data = one_neuron(30, 3, cone=True)
    >>> bool((data.y > 0).all() and (data.X @ data.X.T > 0).all())
    True
    """
    sizes(n=n, d=d)
    centred, cone = flag(centred, "centred"), flag(cone, "cone")
    draw = generator(rng, STREAM)
    centre = unit(draw.standard_normal(d))
    spread = np.sqrt((1.0 if centred else np.sqrt(2.0) - 1.0) / d)
    teacher = centre if centred else unit(centre + spread * draw.standard_normal(d))
    X = centre + spread * draw.standard_normal((n, d))
    while cone and (far := X @ teacher <= np.sqrt(0.5) * row_norms(X)).any():
        X[far] = centre + spread * draw.standard_normal((far.sum(), d))
    return _taught(Data(X, np.maximum(X @ teacher, 0.0)), TwoLayerReLU([1.0], teacher[None]))


def _taught(data: Data, teacher: TwoLayerReLU) -> Data:
    # Its own: the user may go on with the arrays of his network.
    note(data, teacher=teacher.like(teacher.a, teacher.W, teacher.log_scale))
    return data


def _linear(beta: np.ndarray) -> TwoLayerReLU:
    """``x.beta`` as a network: of both signs."""
    return TwoLayerReLU([1.0, -1.0], np.stack([beta, -beta]))


def _turned(X: np.ndarray, e: np.ndarray, least: float) -> np.ndarray:
    """Turn Gaussian points to or from ``e`` until ``|cos(x, e)| >= least``, norms kept.

    ``1 - cos^2`` has the law Beta((d-1)/2, 1/2), with distribution function F, and is independent
    of the norm, of the sign of the cosine, and of the direction across ``e``. So
    ``F^{-1}(F(1 - least^2) F(1 - cos^2))`` has the law under the condition, and replaces it.
    """
    size, along = row_norms(X), X @ e
    across = X - along[:, None] * e
    width = row_norms(across)
    law = (e.size - 1) / 2, 0.5
    most = (1 - least) * (1 + least)
    share = betainc(*law, most)
    # Below this, products with it lose digits.
    if share < SMALLEST_SHARE:
        raise ValueError(f"margin = {least:g} leaves hardly any direction in {e.size} dimensions: "
                         "give a smaller one")
    sine2 = np.minimum(betaincinv(*law, share * betainc(*law, np.minimum((width / size)**2, 1.0))),
                       most)
    return np.asarray(np.copysign(size * np.sqrt(1 - sine2), along)[:, None] * e
                      + (size * np.sqrt(sine2) / width)[:, None] * across)


def _teacher(beta: ArrayLike | None, d: int) -> np.ndarray:
    if beta is None:
        return np.asarray(np.eye(1, d)[0])
    teacher = real_array(beta, "beta", 1)
    if teacher.shape != (d,):
        raise ValueError(f"beta has {counted(teacher.size, 'entry')} but d = {d}: give one a "
                         "column")
    if not teacher.any():
        raise ValueError("beta is zero: a teacher needs a direction")
    return teacher
