"""Extremal vectors against a brute-force search over all sign vectors, and the certificate."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, lsq_linear, milp, nnls

import gflow
from gflow.theory import alignment_field, alignment_potential, early_flow, extremal_vectors
from gflow.theory.criterion import _index
from gflow.theory.fans import centre, faces, rays

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


def by_linear_program(A):
    """A vector w with A w > 0, or None: the widest margin as a linear program."""
    k, p = A.shape
    found = milp(np.append(np.zeros(p), -1.0), bounds=Bounds(-1, 1),
                 constraints=LinearConstraint(np.column_stack([A, -np.ones(k)]), 0, np.inf))
    return found.x[:p] if found.x[-1] > 1e-9 else None


def by_gordan(A):
    """The same by the theorem of the alternative: no convex combination of rows is zero."""
    k, p = A.shape
    M, b = np.vstack([A.T, np.ones(k)]), np.append(np.zeros(p), 1.0)
    rest = b - M @ nnls(M, b)[0]
    return -rest[:p] if np.linalg.norm(rest) > 1e-7 else None


def sign_vectors(N, interior):
    """Sign vectors of all faces of the arrangement N (lines are distinct), plane by plane.

    Each comes with a point of the face. The first sign that is not zero is +; opposite faces
    follow.
    """
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
            if not any(signs):
                larger += [(signs + (1,), Q.T @ Q @ N[c]), (signs + (0,), w)]
                continue
            strict = np.array([signs[i] * N[i] for i in range(c) if signs[i] != 0])
            found = {}
            for sign in (1, -1):
                if sign * (N[c] @ w) > 1e-6 * np.linalg.norm(w):
                    found[sign] = w
                else:
                    inside = interior(np.vstack([strict, sign * N[c]]) @ Q.T)
                    if inside is not None:
                        found[sign] = inside @ Q
            larger += [(signs + (sign,), inside) for sign, inside in found.items()]
            if len(found) == 2:
                middle = found[1] * -(N[c] @ found[-1]) + found[-1] * (N[c] @ found[1])
                larger.append((signs + (0,), middle / np.linalg.norm(middle)))
        level = larger
    half = [np.array(signs, dtype=int) for signs, _ in level]
    return half + [-signs for signs in half if signs.any()]


def brute_force(X, y, interior):
    """All (codes of points, orientation, D) with D the least element, not zero, in its own face."""
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
        u = np.append(signs, 0)[label] * ahead.astype(int)
        D = (y * (u > 0)) @ X / n
        columns = []
        for c in np.flatnonzero(signs == 0):
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
                codes = np.where((u == 0) & (label >= 0), 2, u > 0)
                found.append((tuple(codes), E, D))
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


def ends_are_listed(X, y, found, rng):
    """Assert that every living neuron of an early flow ends at a vector found, of its kind."""
    W = rng.standard_normal((40, X.shape[1]))
    a = np.linalg.norm(W, axis=1) * rng.choice([1.0, 1.5, 0.5], 40) * rng.choice([-1.0, 1.0], 40)
    early = early_flow((a, W), (X, y))
    assert early.settled.all()
    special = "special position" in found.message or np.linalg.matrix_rank(X) == 1
    for i in np.flatnonzero(~early.dead):
        # A direction may end on hyperplanes that the neuron itself does not reach.
        same = ((found.pattern == 2) | (found.pattern == early.pattern[i])).all(axis=1)
        same &= np.isclose(found.D, early.D[i], rtol=0, atol=1e-10 * np.abs(y).max()).all(axis=1)
        (j,) = np.flatnonzero(same & (found.orientation == np.sign(
            early.D[i] @ early.end_direction[i])))
        if not special and found.margin[j] > 1e-12:
            assert found.kind[j] == ("max" if early.sign[i] > 0 else "min")


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
        low, high = range_around(found.w[j], X[found.pattern[j] == 2], X, y, rng, 1e-4)
        kind = "max" if high <= 1e-14 else "min" if low >= -1e-14 else "saddle"
        assert found.kind[j] == kind
    ends_are_listed(X, y, found, rng)


@pytest.mark.parametrize("seed", range(60))
def test_equals_brute_force(seed):
    rng = np.random.default_rng([1, seed])
    compare(*random_data(rng, {2: 14, 3: 9, 4: 7}), by_gordan, rng)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_equals_linear_programming(part):
    for seed in range(100):
        rng = np.random.default_rng([2, part, seed])
        compare(*random_data(rng, {2: 14, 3: 14, 4: 14}), by_linear_program, rng)


@pytest.mark.parametrize("n, d", [(40, 2), (300, 3), (25, 4), (14, 5), (10, 6)])
def test_larger_sets_are_certified(n, d):
    rng = np.random.default_rng([3, n, d])
    X, y = rng.standard_normal((n, d)), rng.standard_normal(n)
    found = extremal_vectors((X, y))
    assert found.certified
    np.testing.assert_allclose(alignment_field(found.w, (X, y)), found.D, atol=1e-12)
    np.testing.assert_allclose(alignment_potential(found.w, (X, y)), found.value, atol=1e-12)
    z = found.w @ X.T
    np.testing.assert_array_equal(found.pattern, np.where(np.abs(z) < 1e-12, 2, z > 0))
    # Types by counting dimensions, as for points in general position.
    zeros, up = (found.pattern == 2).sum(axis=1), ((found.pattern == 2) & (y > 0)).sum(axis=1)
    rising = up + np.where(found.orientation > 0, 0, d - 1 - zeros)
    falling = d - 1 - rising
    np.testing.assert_array_equal(found.index, (-1) ** falling)
    np.testing.assert_array_equal(found.kind, np.select([rising == 0, falling == 0],
                                                        ["max", "min"], "saddle"))


@pytest.mark.slow
def test_sixty_points_in_five_dimensions(capsys):
    resource = pytest.importorskip("resource")
    # In bounded memory: 200 million faces are looked at, none is kept.
    rng = np.random.default_rng(7)
    X, y = rng.standard_normal((60, 5)), rng.standard_normal(60)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = extremal_vectors((X, y), progress=True)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024
    assert found.certified and "34220 of 34220 planes" in capsys.readouterr().err
    np.testing.assert_allclose(alignment_field(found.w, (X, y)), found.D, atol=1e-12)


def almost_one_line(rng, n, d, apart):
    """Points that are on one line but for the distance ``apart``."""
    return rng.standard_normal(d) + apart * rng.standard_normal((n, d))


@pytest.mark.parametrize("n, d, apart, note", [
    (4, 3, 1e-11, "dependent to 1e-10 only"), (8, 4, 1e-8, "a small field was taken for none"),
    (6, 2, 1e-9, "decisions on incidence were close")])
def test_almost_special_position_is_reported(n, d, apart, note):
    rng = np.random.default_rng([n, d])
    found = extremal_vectors((almost_one_line(rng, n, d, apart), rng.choice([-1.0, 1.0], n)))
    assert note in found.message
    apart = extremal_vectors((almost_one_line(rng, n, d, 0.1), rng.choice([-1.0, 1.0], n)))
    assert "close to special position" not in apart.message


@pytest.mark.parametrize("seed", range(40))
def test_ends_on_inexact_rays_are_listed_or_announced(seed):
    # Hyperplanes that are 1e-8 apart meet in rays that are known to 1e-8, as are fields there.
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((2, 3))[rng.integers(0, 2, 6)] + 1e-8 * rng.standard_normal((6, 3))
    y, W = rng.choice([-1.0, 1.0], 6), rng.standard_normal((60, 3))
    found = extremal_vectors((X, y))
    early = early_flow((np.linalg.norm(W, axis=1) * rng.choice([-1.0, 1.0], 60), W), (X, y))
    ends = np.unique(early.pattern[~early.dead], axis=0)
    assert "close to special position" in found.message or all(
        (found.pattern == end).all(axis=1).any() for end in ends)


def test_points_that_contradict_each_other():
    # Hyperplanes of rank 3 by their singular values, with one line in all of them.
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        data = almost_one_line(rng, 7, 3, 1e-10), rng.choice([-1.0, 1.0], 7)
        try:
            assert extremal_vectors(data).message
        except ValueError as error:
            assert "too close to special position" in str(error)
            assert not extremal_vectors(data, complete=False, starts=20).complete
            refused += 1
    assert refused


def test_units_and_order_of_points_do_not_matter():
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal((30, 3)), rng.standard_normal(30)
    found, order = extremal_vectors((X, y)), rng.permutation(30)
    again = extremal_vectors((2.0**-600 * X[order], 2.0**-300 * y[order]))
    np.testing.assert_allclose(again.D * 2.0**900, found.D, atol=1e-13)
    np.testing.assert_array_equal(again.pattern, found.pattern[:, order])


def test_symmetric_data_are_linear():
    """Odd labels: the field is half the least squares gradient everywhere."""
    data = gflow.datasets.symmetric(20, 3, rng=1)
    found = extremal_vectors(data)
    half = data.y @ data.X / 40
    np.testing.assert_allclose(found.D, [half, half], rtol=1e-12)
    assert list(found.kind) == ["max", "min"] and found.certified


def test_orthogonal_data():
    """Every vector is that of a set of points; all points of one sign of label attract."""
    data = gflow.datasets.orthogonal(4, rng=3)
    found = extremal_vectors(data)
    positive, negative = data.y > 0, data.y < 0
    expected = {positive.tobytes(): "max", negative.tobytes(): "min"}
    for D, kind in zip(found.D, found.kind):
        active = np.abs(data.X @ D) > 1e-12
        if kind != "saddle":
            assert expected.pop(active.tobytes()) == kind
        np.testing.assert_allclose(D, (data.y * active) @ data.X / 4, atol=1e-14)
    assert not expected and found.certified and "borderline" in found.message


@pytest.mark.parametrize("X, y, D, kind, note", [
    ([[2.0]], [3.0], [[6.0]], ["max"], "vanishes"),
    ([[2.0], [-1.0]], [3.0, 1.0], [[3.0], [-0.5]], ["max", "max"], ""),
    ([[1.0, 0.0], [1.0, 0.0]], [1.0, -1.0], np.empty((0, 2)), [], "0 of 2 dimensions"),
    ([[1.0, 2.0], [3.0, 4.0]], [0.0, 0.0], np.empty((0, 2)), [], "0 of 2 dimensions"),
    ([[0.0, 0.0], [3.0, 4.0]], [1.0, 2.0], [[3.0, 4.0]], ["max"], "1 of 2 dimensions"),
])
def test_small_sets(X, y, D, kind, note):
    found = extremal_vectors((X, y))
    np.testing.assert_allclose(found.D, D)
    assert list(found.kind) == kind and found.certified and note in found.message


def test_faces_are_counted():
    """Cells and faces of a general arrangement, by Cover's formula; a special one by hand."""
    rng = np.random.default_rng(0)
    for q, p in ((5, 2), (6, 3), (6, 4)):
        N = rng.standard_normal((q, p))
        N /= np.linalg.norm(N, axis=1)[:, None]
        F = faces(N)
        for zeros in range(p):
            cells = 2 * sum(comb(q - zeros - 1, i) for i in range(p - zeros))
            assert ((F == 0).sum(axis=1) == zeros).sum() == comb(q, zeros) * cells
    star = np.array([[np.cos(a), np.sin(a), 0.0] for a in (0.0, 1.0, 2.0)] + [[0.0, 0.0, 1.0]])
    assert len(rays(star)) == 8 and len(faces(star)) == 13 * 3


def test_index_of_kinks_in_special_position():
    """Several lines in a plane: the index counts the arcs in which the function falls."""
    rng, turn = np.random.default_rng(1), np.linspace(0, 2 * np.pi, 4001)
    z, seen = np.column_stack([np.cos(turn), np.sin(turn)]), set()
    for _ in range(200):
        angle = np.arange(5) * np.pi / 5
        V, J = np.column_stack([np.cos(angle), np.sin(angle)]), rng.standard_normal(5)
        p = (rng.random(5) * J) @ V
        found = centre(V, J, p, 1e-12, False)
        index = _index(V, J, p, found, 1e-12, False)
        down = np.maximum(z @ V.T, 0.0) @ J < z @ p
        arcs = int((down[1:] & ~down[:-1]).sum())
        assert index == 1 - arcs and found.slack > 0
        assert (found.rises, found.falls) == ((~down).any(), down.any())
        seen.add(index)
    assert seen == {1, 0, -1, -2}


def test_attractors_without_a_complete_search():
    pytest.importorskip("gflow.theory.early")
    for seed in range(5):
        rng = np.random.default_rng([5, seed])
        data = gflow.Data(rng.standard_normal((12, 3)), rng.standard_normal(12))
        found, some = extremal_vectors(data), extremal_vectors(data, complete=False, starts=300)
        assert not some.complete and some.morse_expected is None and not some.certified
        table = {tuple(u): (D, kind) for u, D, kind in zip(found.pattern, found.D, found.kind)}
        for u, D, kind in zip(some.pattern, some.D, some.kind):
            np.testing.assert_allclose(table[tuple(u)][0], D, atol=1e-13)
            assert table[tuple(u)][1] == kind != "saddle"
        for kind in ("max", "min"):
            assert 0 < some.share[some.kind == kind].sum() <= 1
            assert (some.kind == kind).sum() <= (found.kind == kind).sum()


def test_too_large_or_wrong(capsys):
    rng = np.random.default_rng(6)
    with pytest.raises(ValueError, match="use complete=False"):
        extremal_vectors((rng.standard_normal((300, 8)), rng.standard_normal(300)))
    with pytest.raises(ValueError, match="use complete=False"):
        extremal_vectors((rng.standard_normal((20, 20)), rng.standard_normal(20)))
    with pytest.raises(TypeError, match="give a Data or a pair"):
        extremal_vectors(7)
    extremal_vectors(gflow.datasets.three_points(), progress=True)
    assert "1 of 1 planes" in capsys.readouterr().err
