"""Random problems in which several extremes meet: ``python -m validation.faults --mixed``.

Those of `validation.faults` are extreme in one way each. Here small integers put neurons on
hyperplanes, inputs are narrow cones with a bias, orthogonal, or opposite and equal with labels that
contradict each other, neurons are twins, and proportions of all kinds come together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Start = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Weights a (m,) and W (m, d), inputs X (n, d) and labels y (n,)."""


def _weights(g: np.random.Generator, m: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    W = g.standard_normal((m, d)) * 10.0 ** g.uniform(-5, 0.3)
    return _balanced(g, W), W


def _balanced(g: np.random.Generator, W: np.ndarray) -> np.ndarray:
    return np.sqrt((W**2).sum(axis=1)) * g.choice([-1.0, 1.0], len(W))


def _sizes(g: np.random.Generator) -> tuple[int, int, int]:
    n, m, d = (int(g.integers(1, most + 1)) for most in (14, 8, 5))
    return n, m, d


def integers(g: np.random.Generator) -> Start:
    """Of inputs, labels and, in one unit, hidden weights."""
    n, m, d = _sizes(g)
    X, y = g.integers(-2, 3, (n, d)).astype(float), g.integers(-2, 3, n).astype(float)
    X[0, 0] += not X.any()
    W = np.ldexp(g.integers(-2, 3, (m, d)).astype(float), -int(g.integers(0, 20)))
    return _balanced(g, W), W, X, y


def cone(g: np.random.Generator) -> Start:
    """Inputs of almost one direction, as a table that was not standardised."""
    _, m, d = _sizes(g)
    n, d = int(g.integers(5, 60)), max(d, 2)
    X = g.uniform(1, 12) + g.standard_normal((n, d)) * 10.0 ** g.uniform(-3, 0)
    X[:, -1] = 1.0
    return *_weights(g, m, d), X, g.choice([np.sin(3 * X[:, 0]), g.standard_normal(n)])


def orthogonal(g: np.random.Generator) -> Start:
    """Inputs, of sizes from 1/100 to 100."""
    n, m, d = _sizes(g)
    d = max(d, 2)
    X = np.linalg.qr(g.standard_normal((d, d)))[0][:n]
    return (*_weights(g, m, d), X * 10.0 ** g.uniform(-2, 2, (len(X), 1)),
            g.standard_normal(len(X)))


def opposite(g: np.random.Generator) -> Start:
    """Inputs on few lines through 0, with labels of their own."""
    n, m, d = _sizes(g)
    base = g.standard_normal((max(1, n // 3), d))
    X = base[g.integers(0, len(base), n)] * g.choice([-1.0, 1.0, 2.0, -0.5, 1e-3], (n, 1))
    return *_weights(g, m, d), X, g.standard_normal(n)


def twins(g: np.random.Generator) -> Start:
    """Neurons of few directions, some of them opposite, or far smaller."""
    n, m, d = _sizes(g)
    _, W = _weights(g, m, d)
    W = W[g.integers(0, m, m)] * g.choice([1.0, 1.0, -1.0, 2.0, 1e-6], (m, 1))
    return _balanced(g, W), W, g.standard_normal((n, d)), g.standard_normal(n)


def heavy(g: np.random.Generator) -> Start:
    """Labels of very unlike size."""
    n, m, d = _sizes(g)
    return (*_weights(g, m, d), g.standard_normal((n, d)) * 10.0 ** g.uniform(-1, 1),
            g.standard_normal(n) * 10.0 ** g.uniform(-6, 6, n))


def many(g: np.random.Generator) -> Start:
    """Points in few dimensions, few neurons."""
    n, m, d = int(g.integers(40, 120)), int(g.integers(1, 5)), int(g.integers(2, 4))
    return *_weights(g, m, d), g.standard_normal((n, d)), g.standard_normal(n)


def proportions(g: np.random.Generator) -> Start:
    """Each of them with some probability: rows, near-parallel points, layers, dead neurons, labels
    0, sizes of neurons; sometimes of one point, one neuron or one dimension."""
    n, m, d = _sizes(g)
    alone = g.integers(6)
    n, m, d = 1 if alone == 0 else n, 1 if alone == 1 else m, 1 if alone == 2 else d
    X, y = g.standard_normal((n, d)), g.standard_normal(n)
    a, W = _weights(g, m, d)
    if g.random() < 0.4:
        X *= 10.0 ** g.uniform(-4, 4, (n, 1))
    if g.random() < 0.4:
        X = X[g.integers(0, max(1, n // 2), n)] + 10.0 ** g.uniform(-14, -3) * X
    if g.random() < 0.4:
        W *= 10.0 ** -g.uniform(0, 12, (m, 1))
    if g.random() < 0.4:
        a *= 10.0 ** -g.uniform(0, 12, m)
    if g.random() < 0.3:
        X = np.abs(X)
        W[g.random(m) < 0.5] *= -1
    if g.random() < 0.2:
        y *= 0.0
    if g.random() < 0.3:
        size = 10.0 ** -g.uniform(0, 80, m)
        a, W = a * size, W * size[:, None]
    return a, W, X, y


KINDS: tuple[Callable[[np.random.Generator], Start], ...] = (
    integers, cone, orthogonal, opposite, twins, heavy, many, proportions, proportions)
"""The last one twice: most can meet there."""


def draw(seed: int) -> tuple[str, Start, float]:
    """A problem: of what kind, start and data, and how far to go.

    Examples
    --------
    >>> kind, (a, W, X, y), t_max = draw(0)
    >>> kind, W.shape == (a.size, X.shape[1]), X.shape[0] == y.size, t_max > 0
    ('integers', True, True, True)
    """
    g = np.random.default_rng([77, seed])
    kind = KINDS[g.integers(len(KINDS))]
    start = kind(g)
    X, y = start[2:]
    lengths = np.sqrt((X**2).sum(axis=1))
    pull = float(np.abs(y) @ lengths + 1e-3 * lengths @ lengths) / len(y)
    t_max = 10.0 ** g.uniform(-0.5, 2.5) / pull
    return kind.__name__, start, t_max * 10.0 ** (g.uniform(0, 8) if g.random() < 0.25 else 0.0)
