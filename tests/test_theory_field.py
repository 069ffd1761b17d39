"""The alignment field against its definition, solved another way, and against a run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

import gflow
from gflow.theory import alignment_field, alignment_potential

SEEDS = st.integers(0, 2**32 - 1)


def lattice(seed, n=8, d=3):
    """Small whole numbers: vectors on many hyperplanes, repeated and opposite and zero points."""
    rng = np.random.default_rng(seed)
    X, y = rng.integers(-2, 3, (n, d)).astype(float), rng.integers(-2, 3, n).astype(float)
    return rng.integers(-2, 3, (6, d)).astype(float), X, y


def least_element(w, X, y):
    """Minimise over one multiplier a line of points; exact integers make the zero sets exact."""
    n, d = X.shape
    D = (y * (X @ w > 0)) @ X / n
    columns, taken = [], np.zeros(n, dtype=bool)
    for k in np.flatnonzero((X @ w == 0) & X.any(axis=1)):
        if taken[k]:
            continue
        line = np.array([np.linalg.matrix_rank(np.array([X[k], x])) == 1 and x.any() for x in X])
        taken |= line
        ahead = X @ X[k] > 0
        D += (y * (line & ~ahead)) @ X / n
        columns.append((y * line * np.where(ahead, 1, -1)) @ X / n)
    if not columns:
        return D
    A = np.array(columns).T
    return D + A @ lsq_linear(A, -D, (0, 1), method="bvls", tol=1e-14).x


@given(SEEDS)
def test_least_element_of_the_set(seed):
    W, X, y = lattice(seed)
    D = alignment_field(W, (X, y))
    for w, got in zip(W, D):
        expected = least_element(w, X, y) if w.any() else np.zeros(3)
        np.testing.assert_allclose(got, expected, atol=1e-12)


@given(SEEDS)
def test_identities(seed):
    rng = np.random.default_rng(seed)
    W, X, y = rng.standard_normal((20, 4)), rng.standard_normal((9, 4)), rng.standard_normal(9)
    D, G = alignment_field(W, (X, y)), alignment_potential(W, (X, y))
    total = y @ X / 9
    np.testing.assert_allclose(D + alignment_field(-W, (X, y)), np.tile(total, (20, 1)), atol=1e-14)
    np.testing.assert_allclose(G - alignment_potential(-W, (X, y)), W @ total, atol=1e-13)
    np.testing.assert_allclose(G, (W * D).sum(axis=1), atol=1e-13)
    np.testing.assert_array_equal(alignment_field(2.0**-1000 * W, (X, y)), D)


@given(SEEDS)
def test_potential_has_this_subgradient(seed):
    """On hyperplanes too: with positive labels G is convex and D(w) its least subgradient."""
    W, X, y = lattice(seed)
    y = np.abs(y) + 1
    D, G = alignment_field(W, (X, y)), alignment_potential(W, (X, y))
    away = np.random.default_rng(seed).standard_normal((50, 3))
    for w, slope, height in zip(W, D, G):
        gain = alignment_potential(away, (X, y)) - height - (away - w) @ slope
        assert not w.any() or gain.min() >= -1e-12


def test_a_run_starts_with_this_velocity():
    """Sliding starts: the least element is what `integrate` follows."""
    X, y = np.array([[1.0, 0.3], [0.4, 1.0]]), np.array([1.0, -1.2])
    w = np.array([1.0, -0.4])
    flow = gflow.integrate(([np.hypot(*w)], [w]), (X, y), 1e-6)
    h = np.maximum(X @ w, 0) * np.hypot(*w)
    expected = alignment_field([w], (X, y - h))[0]
    assert flow.pattern(0.0)[0, 1] == 2
    np.testing.assert_allclose((flow.W[-1, 0] - w) / 1e-6 / np.hypot(*w), expected, atol=1e-5)


@pytest.mark.parametrize("W, data, error", [
    ([1.0, 2.0], ([[1.0, 2.0]], [1.0]), "W has shape"),
    ([[1.0, 2.0]], ([[1.0]], [1.0]), "same dimension"),
    ([[1.0]], 3, "give a Data or a pair"),
    ([[1.0]], ([[1e160], [0.0]], [-1e160, 1.0]), "reach 1e320, outside the range"),
    ([[1.0]], ([[1e-160]], [1e-160]), "reach 1e-320, outside the range"),
])
def test_bad_input(W, data, error):
    for function in (alignment_field, alignment_potential):
        with pytest.raises((TypeError, ValueError), match=error):
            function(W, data)


def test_far_out_scales():
    W, (X, y) = np.eye(2), (np.array([[1.0, 2.0], [-1.0, 1.0]]), np.array([1.0, -3.0]))
    D, G = alignment_field(W, (X, y)), alignment_potential(W, (X, y))
    for size, label in ((2.0**900, 2.0**-900), (2.0**-900, 2.0**900), (2.0**900, 1.0)):
        np.testing.assert_array_equal(alignment_field(W, (size * X, label * y)), size * label * D)
        np.testing.assert_array_equal(alignment_potential(W, (size * X, label * y)),
                                      size * label * G)
    assert not alignment_field(W, (2.0**900 * X, np.zeros(2))).any()
    with pytest.raises(ValueError, match="^W is too large"):
        alignment_potential(2.0**500 * W, (2.0**900 * X, y))
