"""How the outputs answer to the pulls, to first order: what speeds up the rounds.

On a window with frozen patterns and weights ``dh/dt = K p / n`` with the neural tangent kernel
``K_kl = sum_i 1_ik 1_il (a_i^2 x_k.x_l + (w_i.x_k)(w_i.x_l))`` (Jacot, Gabriel and Hongler, "Neural
tangent kernel", 2018), and ``dp = -l'' dh``, so that an error of the pulls is nearly known from the
error that a round leaves (waveform Newton: Saleh, White, "Accelerating relaxation algorithms for
circuit simulation using waveform-Newton", 1990).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable

import numpy as np

from ...kernels.algebra import orthonormal_rows
from ...kernels.neumann import NONE, series
from ...kernels.groups import tangent_features
from ...kernels.workspace import Geometry
from ...kernels.chebyshev import integration, nodes

WEAK = 1e-3
"""Outputs that answer to residuals by less than this need no kernel."""
FEWEST, MOST = 8, 128
"""Patterns of the kernel; each of the others counts as the one of these most like it."""
STRONG = 1e3
"""Weaker kernels are kept in single precision: they are not known better."""
UNLIKE = 0.02
"""Part of the hyperplanes on which a pattern may differ from the one that it counts as, in the
mean."""
MERGED = 0.2
"""The same times the strength of the kernel. A round multiplies an error by what the kernel is
wrong by, over one and what it should be: where that is nothing, two percent of a strong kernel have
rounds diverge."""
SAMPLE = 100
"""Most hyperplanes that tell how unlike patterns are."""
FRESH = 3
"""Modes of an older kernel that take more terms than this are not used again."""
FAINT = 0.2
"""Eigenvalues below this are left to the series."""
ALONE = 200_000
"""Multiplications of a product that BLAS does alone; it starts threads for more, which wait
actively for each other on the processors that neurons need."""


ROWS = 64
"""Of many rows so many are multiplied at a time."""
TILE = 64
"""Rows and columns of a part of a Gram matrix, at least."""
WIDE = 20
"""Dimension from which on neurons may be taken one by one."""
PULLS = 360
"""Rows of residuals that a kernel is applied to on a window, about."""


def product(r: np.ndarray, A: np.ndarray) -> np.ndarray:
    """``r @ A`` for rows (p, k) and a matrix (k, q), on this thread alone."""
    width = max(1, ALONE // max(min(len(r), ROWS) * r.shape[1], 1))
    if len(r) <= ROWS and A.shape[1] <= width:
        return np.asarray(r @ A)
    out = np.empty((len(r), A.shape[1]), dtype=np.result_type(r, A))
    for j in range(0, len(r), ROWS):
        for c in range(0, A.shape[1], width):
            np.matmul(r[j:j + ROWS], A[:, c:c + width], out=out[j:j + ROWS, c:c + width])
    return out


def gram(rows: np.ndarray) -> np.ndarray:
    """``rows.T @ rows`` (n, n) for rows (q, n), on this thread alone.

    Examples
    --------
    >>> gram(np.array([[1.0, 2.0]]))
    array([[1., 2.],
           [2., 4.]])
    """
    q, n = rows.shape
    out = np.zeros((n, n), dtype=rows.dtype)
    # Narrow tiles of many rows are mostly copied about.
    width = max(TILE, int(np.sqrt(ALONE / max(q, 1))))
    deep = ALONE // width**2
    columns = np.ascontiguousarray(rows.T)
    for i in range(0, n, width):
        for j in range(0, i + 1, width):
            tile = out[i:i + width, j:j + width]
            for k in range(0, q, deep):
                tile += columns[i:i + width, k:k + deep] @ rows[k:k + deep, j:j + width]
            out[j:j + width, i:i + width] = tile.T
    return out


def pays(n: int, d: int, patterns: int, rows: Callable[[], int]) -> bool:
    """Whether a kernel as a matrix of the neurons, of so many patterns and with so many rows, takes
    less work than as features of the patterns."""
    heavy = min(patterns, MOST)
    return d >= WIDE and n * (heavy + rows() + PULLS) < 2 * PULLS * heavy * d


class Tangent:
    """The tangent kernel of a window, per unit of s.

    Parameters
    ----------
    length : float
        Length of the window.
    features : ndarray, shape (n, q), optional
        The kernel is ``features @ features.T`` ...
    matrix : ndarray, shape (n, n), optional
        ... or this.

    Attributes
    ----------
    rows : ndarray, shape (q, n)
        ``features`` transposed, if there are any.
    modes : Modes or None
        The eigenvectors of this kernel, or of one that was like it.
    """

    def __init__(self, length: float, features: np.ndarray | None = None,
                 matrix: np.ndarray | None = None) -> None:
        self.length, self.features, self.matrix = length, features, matrix
        self.modes: Modes | None = None
        if features is not None:
            # Both layouts: products of few rows with the other one take twice as long.
            self.features = np.ascontiguousarray(features)
            self.rows = np.ascontiguousarray(features.T)

    @classmethod
    def of_patterns(cls, geometry: Geometry, moments: np.ndarray, side: np.ndarray,
                    length: float) -> Tangent:
        """The kernel of the patterns ``side`` (G, C), where ``moments`` (G, d + 1, d + 1) are
        ``sum u u^T`` over the neurons ``u = (a, w)`` of each; nothing if it is certainly weak."""
        d, n = geometry.rows.shape
        mass = moments[:, 0, 0] * (d - 1) + np.einsum("gcc->g", moments)
        steepest = max(1.0, geometry.slope**2)
        strength = length * np.square(geometry.length).mean() * mass.sum() * steepest
        if strength < WEAK:
            return cls(length, np.zeros((n, 0)))
        heavy, to = _heaviest(mass, side, strength)
        rows = np.empty((heavy.size * d, n))
        tangent_features(moments, to, side[heavy], geometry, length / (2 * n), rows)
        flat = rows.reshape(-1)
        if flat @ flat < STRONG:
            rows = rows.astype(np.float32)
        if n < len(rows) <= ALONE / n**2:
            return cls(length, matrix=rows.T @ rows)
        return cls(length, rows.T)

    @classmethod
    def of_neurons(cls, geometry: Geometry, square: np.ndarray, U: np.ndarray, of: np.ndarray,
                   side: np.ndarray, length: float) -> Tangent:
        """The same from the neurons ``U`` (m, d + 1) themselves, of patterns ``of`` (m,): without
        a matrix of d^2 numbers for any of them. ``square`` (n, n) are products of the points.

        ``sum 1 1 (a^2 x.x' + w.x w.x')``, less, where a pattern slides, ``a^2 q.x q.x'`` for an
        orthonormal basis of the normals.
        """
        d, n = geometry.rows.shape
        squares = np.bincount(of, U[:, 0]**2, len(side))
        mass = squares * d + np.bincount(of, np.einsum("ic,ic->i", U[:, 1:], U[:, 1:]), len(side))
        strength = length * np.square(geometry.length).mean() * mass.sum()
        if strength < WEAK:
            return cls(length, np.zeros((n, 0)))
        heavy, to = _heaviest(mass, side, strength)
        at = side[heavy][:, np.maximum(geometry.label, 0)] * geometry.length
        on = ((at > 0) & (geometry.label >= 0)).astype(float)
        factor = np.sqrt(length / (2 * n))
        root = factor * np.sqrt(np.bincount(to, squares, heavy.size))[:, None] * on
        own = factor * on[to[of]] * product(U[:, 1:], geometry.rows)
        weak = (root**2).sum(axis=0) @ geometry.length**2 + (own**2).sum() < STRONG
        kind = np.float32 if weak else np.float64
        matrix = gram(root.astype(kind))
        matrix *= square
        matrix += gram(own.astype(kind))
        bases = [(g, orthonormal_rows(geometry.normal[side[h] == 0])[0])
                 for g, h in enumerate(heavy) if (side[h] == 0).any()]
        if bases:
            along = product(np.concatenate([basis for _, basis in bases]), geometry.rows)
            along *= np.repeat(root[[g for g, _ in bases]], [len(b) for _, b in bases], axis=0)
            matrix -= gram(along.astype(kind))
        return cls(length, matrix=matrix)

    def scaled(self, length: float) -> Tangent:
        """The same for a window of another length."""
        factor = length / self.length
        if self.features is not None:
            other = Tangent(length, self.features * self.dtype.type(np.sqrt(factor)))
        else:
            other = Tangent(length, matrix=self.dense() * self.dtype.type(factor))
        other.modes = self.modes
        return other

    @property
    def dtype(self) -> Any:
        """Of its numbers."""
        return self.dense().dtype if self.features is None else self.features.dtype

    def strength(self, weight: np.ndarray | None = None) -> float:
        """A bound on the answer to a pull of size one, by pulls that change by ``weight`` (n,), 1
        if None, of what outputs do."""
        if weight is not None:
            own = ((self.features**2).sum(axis=1) if self.features is not None
                   else np.diag(self.dense()))
            return 2 * float(own @ weight)
        return 2 * float((self.features**2).sum() if self.features is not None
                         else np.trace(self.dense()))

    def dense(self) -> np.ndarray:
        """The kernel as a matrix (n, n)."""
        if self.matrix is None:
            assert self.features is not None
            self.matrix = self.features @ self.features.T
        return self.matrix

    def factors(self, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
        """The kernel as a product of two matrices of this type, the second one empty for 1."""
        if self.features is None:
            return np.ascontiguousarray(self.dense(), dtype), np.empty((0, 0), dtype)
        return self.features.astype(dtype, copy=False), self.rows.astype(dtype, copy=False)

    def pull(self, r: np.ndarray) -> np.ndarray:
        """Rates (p, n) of the outputs, per unit of s, under residuals (p, n)."""
        if self.features is not None:
            return product(product(r, self.features), self.rows)
        return product(r, self.dense())

    def mean(self, other: Tangent) -> Tangent:
        """The mean of two kernels of one window."""
        if self.features is not None and other.features is not None:
            return Tangent(self.length, self.dtype.type(np.sqrt(0.5)) * np.concatenate(
                [self.features, other.features], axis=1))
        return Tangent(self.length, matrix=(self.dense() + other.dense()) / 2)


def _heaviest(mass: np.ndarray, side: np.ndarray, strength: float
              ) -> tuple[np.ndarray, np.ndarray]:
    """The patterns of most ``mass`` (G,), and which of them each pattern counts as, in a kernel of
    this ``strength``."""
    order = np.argsort(-mass, kind="stable")
    if order.size <= FEWEST:
        return order, np.argsort(order)
    sample = side[:, ::side.shape[1] // SAMPLE + 1]
    sorted_side = sample[order].astype(np.float32)
    count, to = FEWEST, np.arange(order.size)
    most = min(UNLIKE, MERGED / strength) * mass.sum()
    while count < order.size:
        alike = product(sorted_side[:count], sorted_side[count:].T)
        unlike = (1.0 - alike.max(axis=0) / max(sample.shape[1], 1)) / 2
        to[order[count:]] = alike.argmax(axis=0)
        if count >= MOST or unlike @ mass[order[count:]] <= most:
            break
        count *= 2
    heavy = order[:count]
    to[heavy] = np.arange(heavy.size)
    return heavy, to


def solve(defect: np.ndarray, first: Tangent, last: Tangent | None = None,
          kind: str = "smooth", weight: np.ndarray | None = None) -> np.ndarray:
    """The change (p, n) of the pulls that takes a ``defect`` away; ``kind``: see `integration`.

    By a Neumann series (`kernels.neumann`); where the window is long for the kernel, exactly for a
    kernel whose eigenvectors are known, and what the kernel is more than that is iterated. The
    kernel is that of the start, or goes from ``first`` to ``last`` linearly. ``weight``, (n,) or
    (p, n), is the curvature of the loss; None if that is 1. NaN where numbers overflow.
    """
    degree, dtype = len(defect) - 1, first.dtype
    before, after, none, empty = _integrals(degree, kind, last is not None, dtype)
    if last is None:
        kernels = (*first.factors(dtype), before), none
    else:
        kernels = (*first.factors(dtype), before), (*last.factors(dtype), after)
    scale = empty if weight is None else np.atleast_2d(weight).astype(dtype)

    def undo(factors: tuple[np.ndarray, ...] | None) -> tuple[np.ndarray, bool, int]:
        found, end, terms = series(defect, *kernels, scale, factors)
        return found, end != NONE, terms

    if first.modes is None:
        found, done, terms = undo(None)
    else:
        found, done, terms = undo(first.modes.inverse(degree, first.length, kind, dtype))
        if terms > FRESH:
            first.modes = None
    if done:
        return found
    try:
        first.modes = Modes.of(first if last is None else first.mean(last),
                               None if weight is None else np.atleast_2d(weight).mean(axis=0))
    except np.linalg.LinAlgError:
        # Curvatures overflow on a window that is much too long, which this tells.
        return np.full_like(defect, np.nan)
    return undo(first.modes.inverse(degree, first.length, kind, dtype))[0]


@lru_cache(maxsize=None)
def _integrals(degree: int, kind: str, both: bool, dtype: Any) -> tuple[Any, ...]:
    """What integrates the rates of the kernels at the start and at the end; no kernel; and no
    matrix."""
    integral, empty = integration(degree, kind), np.empty((0, 0), dtype)
    part = (nodes(degree) + 1) / 2 if both else np.zeros(degree + 1)
    before, after = (np.ascontiguousarray(integral * share, dtype) for share in (1 - part, part))
    return before, after, (empty, empty, empty), empty


def _phases(dtype: Any) -> Any:
    """Complex numbers of the precision of real ones."""
    return np.complex64 if dtype == np.float32 else np.complex128


class Modes:
    """A kernel by its eigenvectors, per unit of time: what it was some windows ago will do.

    With weights ``C`` on the diagonal, ``C K`` has the eigenvalues ``v`` and vectors of the
    symmetric ``S K S``, ``S = sqrt(C)``: for ``K = F F^T`` and eigenvectors ``R`` of ``F^T C F``,
    ``f(C K) = C V f(v) V^T`` for any ``f`` with ``f(0) = 0``, where ``V = F R / sqrt(v)``. No
    weight is divided by.

    Parameters
    ----------
    vectors : ndarray, shape (n, k)
        ``V``.
    values : ndarray, shape (k,)
        Eigenvalues over the length of the window.
    weight : ndarray, shape (n,), or None
        The weights; None if they are 1.
    """

    _kept: tuple[Any, tuple[np.ndarray, ...]] = (None, ())

    def __init__(self, vectors: np.ndarray, values: np.ndarray,
                 weight: np.ndarray | None = None) -> None:
        self.vectors, self.values, self.weight = vectors, values, weight

    @classmethod
    def of(cls, kernel: Tangent, weight: np.ndarray | None = None) -> Modes:
        """The modes of a kernel."""
        features = kernel.features
        scale = None if weight is None else np.sqrt(weight).astype(kernel.dtype)[:, None]
        if features is not None and features.shape[1] < features.shape[0]:
            inside = features if scale is None else features * scale
            values, right = np.linalg.eigh(inside.T @ inside)
            keep = values > np.maximum(FAINT, 1e-12 * values[-1])
            vectors = features @ right[:, keep] / np.sqrt(values[keep])
        else:
            dense = kernel.dense()
            values, vectors = np.linalg.eigh(dense if scale is None else scale * dense * scale.T)
            keep = values > np.maximum(FAINT, 1e-12 * values[-1])
            vectors = vectors[:, keep]
            if scale is not None:
                # S K S V = V v, and so F R / sqrt(v) = K S V / v.
                vectors = dense @ (scale * vectors) / values[keep]
        return cls(np.ascontiguousarray(vectors), values[keep] / kernel.length, weight)

    def inverse(self, degree: int, length: float, kind: str, dtype: Any) -> tuple[np.ndarray, ...]:
        """The inverse of ``1 + integral C K`` on a window of this length, less the identity, as
        `kernels.neumann.series` takes it; ``kind`` as in `integration`."""
        asked = degree, length, kind, dtype
        if self._kept[0] != asked:
            # All solutions on a window ask for the same.
            self._kept = asked, self._factors(*asked)
        return self._kept[1]

    def _factors(self, degree: int, length: float, kind: str,
                 dtype: Any) -> tuple[np.ndarray, ...]:
        rates, there, back = _spectrum(degree, kind)
        strength = np.outer(rates, length * self.values)
        weight = np.empty((0, 0)) if self.weight is None else self.weight[None]
        vectors, rows, weight = (np.ascontiguousarray(array, dtype) for array in
                                 (self.vectors, self.vectors.T, weight))
        there, shrink, back = (np.ascontiguousarray(array, _phases(dtype)) for array in
                               (there, -strength / (1 + strength), back))
        return vectors, rows, there, shrink, back, weight


@lru_cache(maxsize=None)
def _spectrum(degree: int, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eigenvalues of `integration`, its eigenvectors and their inverse."""
    rates, vectors = np.linalg.eig(integration(degree, kind))
    return rates, vectors, np.linalg.inv(vectors)
