"""Extremal vectors against a brute-force search over all sign vectors, and the certificate."""

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linprog, lsq_linear, nnls

import gflow
from gflow.theory import alignment_field, alignment_potential, extremal_vectors

KINDS = ("generic", "generic", "duplicates", "opposite", "multiples", "zero labels", "zero rows",
         "positive", "bias", "teacher", "few points", "subspace", "lattice", "grid")


def random_data(rng, largest):
    """A data set of d = 2 to 4 and up to largest[d] points, repeated ones and others among them."""
    d = int(rng.integers(2, 5))
    n = int(rng.integers(1, largest[d] + 1))
    kind = KINDS[rng.integers(len(KINDS))]
    if kind == "few points":
        n = int(rng.integers(1, d + 1))
    X, y = rng.standard_normal((n, d)), rng.standard_normal(n)
    if kind in ("duplicates", "opposite", "multiples"):
        X = X[rng.integers(0, n, n)]
        if kind == "opposite":
            X *= rng.choice([-1.0, 1.0], (n, 1))
        if kind == "multiples":
            X *= rng.uniform(-2.0, 2.0, (n, 1))
    elif kind == "zero labels":
        y[rng.random(n) < 0.4] = 0.0
    elif kind == "zero rows":
        X[rng.random(n) < 0.3] = 0.0
    elif kind == "positive":
        y = np.abs(y)
    elif kind == "bias":
        X[:, -1] = 1.0
    elif kind == "teacher":
        y = X[:, 0] + 0.5 * y
    elif kind == "lattice":
        X, y = rng.integers(-2, 3, (n, d)).astype(float), rng.integers(-2, 3, n).astype(float)
    elif kind == "grid":
        X = np.column_stack([rng.integers(-1, 2, (n, d - 1)), np.ones(n)])
    elif kind == "subspace":
        X = X[:, :d - 1] @ rng.standard_normal((d - 1, d))
    return X, y


def by_linprog(A):
    """A vector w with A w > 0, or None: the widest margin as a linear program."""
    k, p = A.shape
    found = linprog(np.append(np.zeros(p), -1.0), A_ub=np.column_stack([-A, np.ones(k)]),
                    b_ub=np.zeros(k), bounds=[(-1, 1)] * p + [(None, 1)])
    return found.x[:p] if found.x[-1] > 1e-9 else None


def by_gordan(A):
    """The same by the theorem of the alternative: no convex combination of rows is zero."""
    k, p = A.shape
    M, b = np.vstack([A.T, np.ones(k)]), np.append(np.zeros(p), 1.0)
    rest = b - M @ nnls(M, b)[0]
    return -rest[:p] if np.linalg.norm(rest) > 1e-7 else None


def sign_vectors(N, interior):
    """Sign vectors of all faces of the arrangement N (lines are distinct), one by one."""
    p = N.shape[1]
    level = [((), np.zeros(p))]
    for c in range(len(N)):
        larger = []
        for signs, w in level:
            zero = np.array([N[i] for i in range(c) if signs[i] == 0]).reshape(-1, p)
            Q = np.eye(p)
            if len(zero):
                _, sizes, rows = np.linalg.svd(zero)
                Q = rows[(sizes > 1e-9).sum():]
            if not len(Q) or np.linalg.norm(Q @ N[c]) < 1e-9:
                larger.append((signs + (0,), w))
                continue
            strict = np.array([signs[i] * N[i] for i in range(c) if signs[i] != 0]).reshape(-1, p)
            found = {}
            for sign in (1, -1):
                if sign * (N[c] @ w) > 1e-6 * np.linalg.norm(w):
                    found[sign] = w
                else:
                    inside = interior(np.vstack([strict, sign * N[c]]) @ Q.T)
                    if inside is not None:
                        found[sign] = inside @ Q
            for sign, inside in found.items():
                larger.append((signs + (sign,), inside))
            if len(found) == 2:
                up, down = found[1], found[-1]
                middle = up * -(N[c] @ down) + down * (N[c] @ up)
                larger.append((signs + (0,), middle / max(np.linalg.norm(middle), 1e-300)))
        level = larger
    return [signs for signs, _ in level]


def brute_force(X, y, interior):
    """All (pattern, orientation, D) with D the least element, not zero, in its own face."""
    n, d = X.shape
    lines, label, ahead = [], np.full(n, -1), np.zeros(n)
    for k in range(n):
        if X[k].any():
            x = X[k] / np.linalg.norm(X[k])
            for c, v in enumerate(lines):
                if abs(abs(x @ v) - 1) < 1e-12:
                    break
            else:
                c = len(lines)
                lines.append(x)
            label[k], ahead[k] = c, np.sign(lines[c] @ x)
    found = []
    for signs in sign_vectors(np.array(lines).reshape(-1, d), interior):
        u = np.append(signs, 0)[label].astype(int) * ahead.astype(int)
        D = (y * (u > 0)) @ X / n
        columns = []
        for c in np.flatnonzero(np.array(signs) == 0):
            own = label == c
            D = D + (y * (own & (ahead < 0))) @ X / n
            columns.append((y * own * ahead) @ X / n)
        if columns:
            A = np.array(columns).T
            D = D + A @ lsq_linear(A, -D, (0, 1), method="bvls", tol=1e-15).x
        size = np.linalg.norm(D)
        if size < 1e-12:
            continue
        z = X @ D / (size * np.maximum(np.linalg.norm(X, axis=1), 1e-300))
        s = np.where(np.abs(z) < 1e-9, 0, np.sign(z)).astype(int)
        for E in (1, -1):
            if (s == E * u).all():
                found.append((tuple(u), E, D))
    return found


def range_around(w, Z, X, y, rng, radius):
    """Least and largest change of the potential around a unit vector, on the sphere.

    Some of the steps keep to hyperplanes of points ``Z``: a saddle may rise or fall only there.
    """
    change = []
    Z = Z[Z.any(axis=1)]
    Z = Z / np.array([x[x != 0][0] for x in Z]).reshape(-1, 1)
    Z = Z[np.unique(Z.round(9), axis=0, return_index=True)[1]]
    for kept in (list(c) for q in range(len(w) - 1) for c in combinations(range(len(Z)), q)):
        fixed = np.vstack([w, Z[kept]])
        _, sizes, rows = np.linalg.svd(fixed)
        free = rows[(sizes > 1e-9).sum():]
        step = rng.standard_normal((20, len(free))) @ free
        around = w + radius * step / np.linalg.norm(step, axis=1, keepdims=True).clip(1e-300)
        around /= np.linalg.norm(around, axis=1)[:, None]
        change += list(alignment_potential(around, (X, y)) - alignment_potential([w], (X, y)))
    return min(change), max(change)


def compare(X, y, interior, rng):
    found = extremal_vectors((X, y))
    expected = brute_force(X, y, interior)
    table = {(tuple(u), E): D for u, E, D in zip(found.pattern, found.orientation, found.D)}
    assert len(table) == len(found)
    assert set(table) == {(u, E) for u, E, _ in expected}
    for u, E, D in expected:
        np.testing.assert_allclose(table[u, E], D, atol=1e-10 * np.abs(y).max())
    assert found.certified
    for j in np.flatnonzero((found.margin > 1e-3) | (found.margin < 1e-12)):
        low, high = range_around(found.w[j], X[found.pattern[j] == 0], X, y, rng, 1e-4)
        kind = "max" if high <= 1e-14 else "min" if low >= -1e-14 else "saddle"
        assert found.kind[j] == kind
    return len(expected)


@pytest.mark.parametrize("seed", range(60))
def test_equals_brute_force(seed):
    rng = np.random.default_rng([1, seed])
    compare(*random_data(rng, {2: 14, 3: 9, 4: 7}), by_gordan, rng)
