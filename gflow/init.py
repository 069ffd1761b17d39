"""Random initialisations of the literature, all proportional to one ``scale``.

The same ``rng`` gives the same draw at every scale: two scales differ by a factor only.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from .problem.checks import generator, non_negative, positive, real_array, sizes
from .problem.network import TwoLayerReLU
from .problem.norms import row_norms, unit_rows
from .problem.words import short
from .problem.quiet import quiet

__all__ = ["antisymmetric", "balanced", "clusters", "dominated", "exponential", "sphere",
           "unbalanced", "uniform"]

Scaling = Literal["1/sqrt(m)", "1/sqrt(m*d)"]
SCALINGS: tuple[str, ...] = get_args(Scaling)
TINY = float(np.finfo(float).tiny)


@quiet
def balanced(m: int, d: int, scale: float, rng: int | np.random.Generator = 0,
             scaling: Scaling = "1/sqrt(m)", log_scale: float = 0.0) -> TwoLayerReLU:
    r"""Balanced start: Gaussian hidden weights, :math:`a_i = \pm|w_i|`.

    With ``s = scale / sqrt(m)``, each coordinate of ``W`` is N(0, s^2); signs are fair coins.

    Parameters
    ----------
    m : int
        Number of neurons.
    d : int
        Number of input columns, the bias column included.
    scale : float
        Positive; the lambda of the papers. Down to 1e-300 is fine.
    rng : int or numpy.random.Generator
        Seed (0 is one like any other) or generator.
    scaling : {"1/sqrt(m)", "1/sqrt(m*d)"}
        Factor that turns ``scale`` into ``s``. The second is that of Boursier, Pillaud-Vivien
        and Flammarion, whose ``d`` does not count the bias column: to reproduce it with a bias,
        multiply their scale by ``sqrt(d / (d - 1))``. For one-dimensional inputs with a bias
        theirs is the first: their 1e-6 with 60 neurons is ``balanced(60, 2, 1e-6)``.
    log_scale : float
        The start is ``exp(log_scale)`` times as large: for scales below 1e-300, which
        ``gflow.integrate`` follows without underflow.

    Returns
    -------
    TwoLayerReLU
        With ``|a_i| = |w_i|`` to rounding.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If ``m``, ``d`` or ``scale`` is not positive, ``scaling`` is unknown, or the weights
        leave the range of double precision.

    References
    ----------
    Boursier, Pillaud-Vivien and Flammarion, "Gradient flow dynamics of shallow ReLU networks for
    square loss and orthogonal inputs", 2022, arXiv:2206.00939 (scaling "1/sqrt(m*d)"). Boursier
    and Flammarion, "Early alignment in two-layer networks training is a two-edged sword", 2025,
    arXiv:2401.10791 (scaling "1/sqrt(m)").

    Examples
    --------
    >>> model = balanced(4, 2, scale=1e-3)
    >>> model, bool(np.allclose(np.abs(model.a), model.norms, rtol=1e-15))
    (TwoLayerReLU(m=4, d=2), True)
    """
    s, draw = _prepare(m, d, scale, rng, scaling)
    W = s * draw.standard_normal((m, d))
    return TwoLayerReLU(_signs(draw, m) * row_norms(W), W, log_scale)


@quiet
def dominated(m: int, d: int, scale: float, rng: int | np.random.Generator = 0,
              scaling: Scaling = "1/sqrt(m)", log_scale: float = 0.0) -> TwoLayerReLU:
    r"""Dominated start: :math:`|a_i| \ge |w_i|`, so that no output weight changes sign.

    With ``s = scale / sqrt(m)``, each coordinate of ``W`` is uniform on [-s, s] and
    ``a_i = +-s sqrt(d)``; signs are fair coins.

    Parameters
    ----------
    m, d, scale, rng, scaling, log_scale
        As for `balanced`.

    Returns
    -------
    TwoLayerReLU
        With ``|a_i| >= |w_i|``.

    Raises
    ------
    TypeError, ValueError
        As `balanced`.

    References
    ----------
    Boursier and Flammarion, "Early alignment in two-layer networks training is a two-edged
    sword", 2025, arXiv:2401.10791; theirs is ``d = 2``, a one-dimensional input and a bias.

    Examples
    --------
    >>> model = dominated(4, 2, scale=1.0)
    >>> bool((np.abs(model.a) >= model.norms).all())
    True
    """
    s, draw = _prepare(m, d, scale, rng, scaling)
    W = s * draw.uniform(-1.0, 1.0, (m, d))
    return TwoLayerReLU(_signs(draw, m) * (s * np.sqrt(d)), W, log_scale)


@quiet
def unbalanced(m: int, d: int, scale: float, rng: int | np.random.Generator = 0,
               scaling: Scaling = "1/sqrt(m)", log_scale: float = 0.0) -> TwoLayerReLU:
    """Unbalanced start: every weight is N(0, s^2), with ``s = scale / sqrt(m)``.

    Parameters
    ----------
    m, d, scale, rng, scaling, log_scale
        As for `balanced`.

    Returns
    -------
    TwoLayerReLU
        With hidden weights equal to those of `balanced`.

    Raises
    ------
    TypeError, ValueError
        As `balanced`.

    References
    ----------
    Boursier and Flammarion, "Early alignment in two-layer networks training is a two-edged
    sword", 2025, arXiv:2401.10791.

    Examples
    --------
    >>> unbalanced(3, 2, scale=1.0).a.shape
    (3,)
    """
    s, draw = _prepare(m, d, scale, rng, scaling)
    W = s * draw.standard_normal((m, d))
    return TwoLayerReLU(s * draw.standard_normal(m), W, log_scale)


@quiet
def antisymmetric(m: int, d: int, scale: float, rng: int | np.random.Generator = 0,
                  scaling: Scaling = "1/sqrt(m)", log_scale: float = 0.0) -> TwoLayerReLU:
    """Start with zero output: balanced neurons, then the same with ``a`` negated.

    Neurons ``i`` and ``i + m/2`` cancel for every input; in floating point the output is zero to
    the rounding of their sum.

    Parameters
    ----------
    m : int
        Number of neurons, even; it is also the ``m`` of ``scaling``.
    d, scale, rng, scaling, log_scale
        As for `balanced`.

    Returns
    -------
    TwoLayerReLU
        With ``|a_i| = |w_i|`` to rounding.

    Raises
    ------
    TypeError, ValueError
        As `balanced`, and if ``m`` is odd.

    References
    ----------
    Boursier and Flammarion, "Early alignment in two-layer networks training is a two-edged
    sword", 2025, arXiv:2401.10791 (option "zero output" of their code). Chizat, Oyallon and
    Bach, "On lazy training in differentiable programming", 2019, arXiv:1812.07956.

    Examples
    --------
    >>> model = antisymmetric(4, 2, scale=1.0)
    >>> bool((model.a[:2] == -model.a[2:]).all() and (model.W[:2] == model.W[2:]).all())
    True
    """
    s, draw = _prepare(m, d, scale, rng, scaling)
    if m % 2:
        raise ValueError(f"m = {m} is odd: antisymmetric pairs up neurons, so give an even m")
    W = s * draw.standard_normal((m // 2, d))
    a = _signs(draw, m // 2) * row_norms(W)
    return TwoLayerReLU(np.concatenate([a, -a]), np.concatenate([W, W]), log_scale)


@quiet
def uniform(m: int, d: int, scale: float = 1.0, rng: int | np.random.Generator = 0,
            log_scale: float = 0.0) -> TwoLayerReLU:
    """The start of ``torch.nn.Linear``, times ``scale``: ``W`` is uniform on ``[-1, 1] / sqrt(d)``,
    ``a`` on ``[-1, 1] / sqrt(m)``.

    Parameters
    ----------
    m, d, scale, rng, log_scale
        As for `balanced`. A bias of PyTorch has the same law with a ``d`` that does not count it.

    Returns
    -------
    TwoLayerReLU

    Raises
    ------
    TypeError, ValueError
        As `balanced`.

    References
    ----------
    PyTorch, ``torch.nn.Linear``; Tsoy and Konstantinov, arXiv:2405.17299 (times 2^-7).

    Examples
    --------
    >>> model = uniform(4, 2)
    >>> bool(np.abs(model.W).max() <= 0.5**0.5), bool(np.abs(model.a).max() <= 0.5)
    (True, True)
    """
    s, draw = _prepare(m, d, scale, rng, "1/sqrt(m)")
    W = draw.uniform(-1.0, 1.0, (m, d)) * (s * np.sqrt(m / d))
    return TwoLayerReLU(s * draw.uniform(-1.0, 1.0, m), W, log_scale)


@quiet
def sphere(m: int, d: int, scale: float, rng: int | np.random.Generator = 0,
           scaling: Scaling = "1/sqrt(m)", log_scale: float = 0.0) -> TwoLayerReLU:
    """Neurons of one norm ``s``, in directions uniform on the sphere, with ``a_i = +-s``.

    Parameters
    ----------
    m, d, scale, rng, scaling, log_scale
        As for `balanced`.

    Returns
    -------
    TwoLayerReLU
        With ``|a_i| = |w_i|`` to rounding.

    Raises
    ------
    TypeError, ValueError
        As `balanced`.

    Examples
    --------
    >>> sphere(4, 3, scale=2.0).norms
    array([1., 1., 1., 1.])
    """
    s, draw = _prepare(m, d, scale, rng, scaling)
    W = s * unit_rows(draw.standard_normal((m, d)))
    return TwoLayerReLU(_signs(draw, m) * row_norms(W), W, log_scale)


@quiet
def exponential(m: int, d: int, scale: float, rng: int | np.random.Generator = 0,
                log_scale: float = 0.0) -> TwoLayerReLU:
    """Dominated start with ``a_i = +-(|w_i| + scale E_i)``, ``E_i`` exponential of mean 1.

    ``W`` is uniform on ``[-1, 1] scale / sqrt(d)``, that of ``torch.nn.Linear``; signs are fair
    coins.

    Parameters
    ----------
    m, d, scale, rng, log_scale
        As for `balanced`.

    Returns
    -------
    TwoLayerReLU
        With ``|a_i| >= |w_i|``.

    Raises
    ------
    TypeError, ValueError
        As `balanced`.

    References
    ----------
    Dana, Bach and Pillaud-Vivien, "Convergence of shallow ReLU networks on weakly interacting
    data", 2025, published code; their networks are divided by their width.

    Examples
    --------
    >>> model = exponential(5, 2, scale=0.1)
    >>> bool((np.abs(model.a) > model.norms).all())
    True
    """
    _, draw = _prepare(m, d, scale, rng, "1/sqrt(m)")
    scale = float(scale)
    W = draw.uniform(-1.0, 1.0, (m, d)) * (scale / np.sqrt(d))
    size = row_norms(W) + scale * draw.exponential(size=m)
    return TwoLayerReLU(_signs(draw, m) * size, W, log_scale)


@quiet
def clusters(m: int, directions: ArrayLike, scale: float, rng: int | np.random.Generator = 0,
             spread: float = 0.1, scaling: Scaling = "1/sqrt(m)",
             log_scale: float = 0.0) -> TwoLayerReLU:
    """Balanced neurons around given directions, which take turns.

    ``w_i`` has the norm ``s`` and the direction of ``u + spread g / sqrt(d)``, with ``u`` the unit
    vector of the neuron's cluster and ``g`` standard Gaussian.

    Parameters
    ----------
    m : int
        Number of neurons.
    directions : array_like, shape (k, d)
        Of the clusters; their lengths do not matter. Neuron i belongs to cluster ``i % k``.
    scale, rng, scaling, log_scale
        As for `balanced`.
    spread : float
        Width of a cluster, an angle in radians if it is small; 0 puts all neurons on the centre.

    Returns
    -------
    TwoLayerReLU
        With ``|a_i| = |w_i|`` to rounding.

    Raises
    ------
    TypeError, ValueError
        As `balanced`; if a direction is zero, or ``spread`` negative.

    Examples
    --------
    >>> model = clusters(4, [[1.0, 0.0], [0.0, 2.0]], scale=2.0, spread=0.0)
    >>> model.W
    array([[1., 0.],
           [0., 1.],
           [1., 0.],
           [0., 1.]])
    """
    centre = real_array(directions, "directions", 2)
    if not centre.size or not centre.any(axis=1).all():
        raise ValueError("directions has a zero row, or none: give vectors to gather around")
    spread = non_negative(spread, "spread")
    d = centre.shape[1]
    s, draw = _prepare(m, d, scale, rng, scaling)
    around = unit_rows(centre)[np.arange(m) % len(centre)]
    W = s * unit_rows(around + spread / np.sqrt(d) * draw.standard_normal((m, d)))
    return TwoLayerReLU(_signs(draw, m) * row_norms(W), W, log_scale)


def __dir__() -> list[str]:
    return sorted(__all__)


def _prepare(m: int, d: int, scale: float, rng: int | np.random.Generator,
             scaling: str) -> tuple[float, np.random.Generator]:
    """Check the arguments; return the standard deviation ``s`` and the generator."""
    sizes(m=m, d=d)
    scale = positive(scale, "scale")
    if not isinstance(scaling, str) or scaling not in SCALINGS:
        raise ValueError(f"unknown scaling {short(scaling)}: choose "
                         "\"1/sqrt(m)\" or \"1/sqrt(m*d)\"")
    s = scale / float(np.sqrt(m if scaling == "1/sqrt(m)" else m * d))
    if s < TINY:
        raise ValueError(f"scale = {scale} with {m} neurons gives weights of size {s}: "
                         f"double precision needs at least {TINY:.3g}")
    return s, generator(rng)


def _signs(rng: np.random.Generator, m: int) -> np.ndarray:
    return rng.choice([-1.0, 1.0], m)
