"""Points of the literature with labels of their own: a few, on a line, orthogonal, by quadrant."""

from __future__ import annotations

import numpy as np

from ..problem.checks import flag, generator, sizes, whole
from ..problem.words import short
from ..problem.data import Data
from ..problem.quiet import quiet
from .common import STREAM, orthonormal, with_bias

KNOTS = ((-1.0, -0.7, -0.55, -0.4, 0.0, 0.5, 0.6, 0.7, 1.0),
         (0.0, 0.7, 0.5, 1.0, 0.0, 1.0, 0.6, 0.7, 0.0))


def three_points() -> Data:
    r"""Three points on a line, with a bias, that small starts fit by a single line.

    ``x = (-0.75, -0.5, 0.125)``, ``y = (1.1, 0.1, 0.8)``. From a small start the flow ends at a
    spurious stationary point, the least squares fit, of loss 0.0875.

    Returns
    -------
    Data
        n = 3, d = 2; the second column is the bias.

    References
    ----------
    Boursier and Flammarion, "Early alignment in two-layer networks training is a two-edged
    sword", 2025, arXiv:2401.10791, figures 1 and 2 (20000 or 200000 neurons, scale 1e-3).

    Examples
    --------
    >>> three_points().X[:, 0]
    array([-0.75 , -0.5  ,  0.125])
    """
    return Data(with_bias([-0.75, -0.5, 0.125]), [1.1, 0.1, 0.8])


def five_points() -> Data:
    """Five points on a line, with a bias; they are not orthogonal.

    ``x = (-1.5, -1, 0, 0.25, 2)``, ``y = (0.7, -0.3, -0.3, 0.4, 0.2)``.

    Returns
    -------
    Data
        n = 5, d = 2; the second column is the bias.

    References
    ----------
    Boursier, Pillaud-Vivien and Flammarion, "Gradient flow dynamics of shallow ReLU networks for
    square loss and orthogonal inputs", 2022, arXiv:2206.00939, published code (60 neurons,
    balanced, scale 1e-6).

    Examples
    --------
    >>> five_points()
    Data(n=5, d=2)
    """
    return Data(with_bias([-1.5, -1.0, 0.0, 0.25, 2.0]), [0.7, -0.3, -0.3, 0.4, 0.2])


@quiet
def stewart(n: int = 40, rng: int | np.random.Generator = 0) -> Data:
    """Points on a zigzag with seven kinks inside [-1, 1], with a bias.

    ``x ~ U(-1, 1)``; ``y`` interpolates linearly ``(0, 0.7, 0.5, 1, 0, 1, 0.6, 0.7, 0)`` at
    ``(-1, -0.7, -0.55, -0.4, 0, 0.5, 0.6, 0.7, 1)``.

    Parameters
    ----------
    n : int
        Number of points; 40 is published, their draw is not.
    rng : int or numpy.random.Generator
        Seed or generator.

    Returns
    -------
    Data
        d = 2; the second column is the bias.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    References
    ----------
    Boursier and Flammarion, "Early alignment in two-layer networks training is a two-edged
    sword", 2025, arXiv:2401.10791, figure 3 (data "stewart").

    Examples
    --------
    >>> stewart()
    Data(n=40, d=2)
    """
    sizes(n=n, d=2)
    x = generator(rng, STREAM).uniform(-1.0, 1.0, n)
    return Data(with_bias(x), np.interp(x, *KNOTS))


@quiet
def orthogonal(n: int | None = None, d: int | None = None,
               rng: int | np.random.Generator = 0) -> Data:
    """Orthogonal inputs: the published pair of points, or a random set.

    Without ``n``: ``x = (-0.5, 2)``, ``y = (-1, 1)`` and a bias, so that the rows (-0.5, 1) and
    (2, 1) are orthogonal. With ``n``: directions uniform among orthonormal ones, norms and
    ``|y_k|`` uniform on [1, 2], fair signs of ``y_k``, no bias.

    Parameters
    ----------
    n : int, optional
        Number of points.
    d : int, optional
        Input dimension, at least ``n``. Default: ``n``.
    rng : int or numpy.random.Generator
        Seed or generator.

    Returns
    -------
    Data
        With ``x_k . x_l = 0`` to rounding for k != l.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or ``d`` comes without ``n``.

    References
    ----------
    Boursier, Pillaud-Vivien and Flammarion, "Gradient flow dynamics of shallow ReLU networks for
    square loss and orthogonal inputs", 2022, arXiv:2206.00939 (the pair: 60 neurons, balanced,
    scale 1e-6). Dana, Bach and Pillaud-Vivien, "Convergence of shallow ReLU networks on weakly
    interacting data", 2025, arXiv:2502.16977 (the random set: d = 2000, n = 1000 to 2000).

    Examples
    --------
    >>> X = orthogonal().X
    >>> float(X[0] @ X[1])
    0.0
    >>> orthogonal(3, d=5)
    Data(n=3, d=5)
    """
    if n is None:
        if d is not None:
            raise ValueError(f"d = {short(d)} without n: give the number of points too")
        return Data(with_bias([-0.5, 2.0]), [-1.0, 1.0])
    n = whole(n, "n")
    d = n if d is None else whole(d, "d")
    sizes(n=n, d=d)
    if d < n:
        raise ValueError(f"d = {d} is below n = {n}: at most d points are orthogonal")
    draw = generator(rng, STREAM)
    directions = orthonormal(draw.standard_normal((d, n))).T
    X = draw.uniform(1.0, 2.0, (n, 1)) * directions
    return Data(X, draw.choice([-1.0, 1.0], n) * draw.uniform(1.0, 2.0, n))


@quiet
def xor(n: int, rng: int | np.random.Generator = 0, *, bias: bool = False) -> Data:
    """Gaussian points of the plane, labelled by quadrant: ``y = -sign(x_1) sign(x_2)``.

    Parameters
    ----------
    n : int
        Number of points, ``x ~ N(0, I_2)``.
    rng : int or numpy.random.Generator
        Seed or generator.
    bias : bool
        Whether to append a column of ones.

    Returns
    -------
    Data
        d = 2, or 3 with the bias.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    References
    ----------
    Boursier and Flammarion, "Early alignment in two-layer networks training is a two-edged
    sword", 2025, arXiv:2401.10791, appendix G.

    Examples
    --------
    >>> data = xor(100)
    >>> bool((data.y * data.X[:, 0] * data.X[:, 1] < 0).all())
    True
    """
    sizes(n=n, d=2)
    bias = flag(bias, "bias")
    X = generator(rng, STREAM).standard_normal((n, 2))
    return Data(with_bias(X) if bias else X, -np.sign(X[:, 0]) * np.sign(X[:, 1]))
