"""Initialisations: their laws, their exact relations, and the published conventions."""

from fractions import Fraction

import numpy as np
import pytest

from gflow.init import (antisymmetric, balanced, clusters, dominated, exponential, sphere,
                        unbalanced, uniform)

KINDS = [antisymmetric, balanced, dominated, unbalanced]


@pytest.mark.parametrize("scale", [1e-300, 1e-20, 1.0])
@pytest.mark.parametrize("kind", [balanced, antisymmetric])
def test_balanced_to_rounding_at_any_scale(kind, scale):
    model = kind(50, 3, scale)
    np.testing.assert_allclose(np.abs(model.a), scale * kind(50, 3, 1.0).norms, rtol=1e-14)
    np.testing.assert_allclose(np.abs(model.a), model.norms, rtol=1e-15)
    assert {-1.0, 1.0} == set(np.sign(model.a))


@pytest.mark.parametrize("d", [1, 2, 7])
def test_dominated(d):
    model = dominated(500, d, 1e-3)
    s = 1e-3 / np.sqrt(500)
    assert (np.abs(model.a) >= model.norms).all()
    np.testing.assert_allclose(np.abs(model.a), s * np.sqrt(d), rtol=1e-15)
    assert 0.9 * s < np.abs(model.W).max() <= s and abs(model.W.mean()) < 0.1 * s


def test_antisymmetric_output_is_zero():
    X = np.random.default_rng(5).standard_normal((30, 4))
    model = antisymmetric(20, 4, 1e-3)
    size = np.maximum(X @ model.W.T, 0) @ np.abs(model.a)
    assert (np.abs(model(X)) <= 1e-14 * size).all()
    assert (model.a[:10] == -model.a[10:]).all() and (model.W[:10] == model.W[10:]).all()


@pytest.mark.parametrize("kind, spread", [(balanced, 1), (unbalanced, 1), (antisymmetric, 1),
                                          (dominated, 3)])
@pytest.mark.parametrize("scaling, factor", [("1/sqrt(m)", 4000), ("1/sqrt(m*d)", 20000)])
def test_variance_and_scaling(kind, spread, scaling, factor):
    model = kind(4000, 5, 2.0, scaling=scaling)
    assert np.mean(model.W ** 2) * factor / 4 == pytest.approx(1 / spread, rel=0.05)
    if kind is unbalanced:
        assert np.mean(model.a ** 2) * factor / 4 == pytest.approx(1, rel=0.1)


def test_published_scale_with_bias_is_reproduced():
    # std 1e-6 / sqrt(60 * 1): the dimension of the paper leaves the bias column out.
    first = balanced(60, 2, 1e-6)
    second = balanced(60, 2, 1e-6 * np.sqrt(2 / 1), scaling="1/sqrt(m*d)")
    np.testing.assert_allclose(first.W, second.W, rtol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_seeds(kind):
    model = kind(6, 3, 0.1)
    for same in (0, np.int64(0), np.random.default_rng(0)):
        again = kind(6, 3, 0.1, same)
        assert (again.W == model.W).all() and (again.a == model.a).all()
    assert not (kind(6, 3, 0.1, 1).W == model.W).any()
    np.testing.assert_allclose(kind(6, 3, 1e-300).W * 1e299, model.W, rtol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arguments, error, words", [
    ((0, 2, 1.0), ValueError, "m = 0"),
    ((2, -1, 1.0), ValueError, "d = -1"),
    ((2.0, 2, 1.0), TypeError, "m is 2.0"),
    ((True, 2, 1.0), TypeError, "m is True"),
    ((2, 2, 0.0), ValueError, "scale = 0.0"),
    ((2, 2, float("nan")), ValueError, "scale = nan"),
    ((2, 2, float("inf")), ValueError, "scale = inf"),
    ((2, 2, 1e-310), ValueError, "double precision"),
    ((2, 2, "1"), TypeError, "scale is '1'"),
    ((2, 2, 1.0, None), TypeError, "rng is None"),
    ((2, 2, 1.0, True), TypeError, "rng is True"),
    ((2, 2, 1.0, -1), ValueError, "rng = -1"),
    ((2, 2, 1.0, 0, "1/m"), ValueError, r"1/sqrt\(m\).*1/sqrt\(m\*d\)"),
])
def test_bad_arguments(kind, arguments, error, words):
    with pytest.raises(error, match=words) as caught:
        kind(*arguments)
    assert "\n" not in str(caught.value)


def test_antisymmetric_needs_pairs():
    with pytest.raises(ValueError, match="m = 3 is odd"):
        antisymmetric(3, 2, 1.0)


def test_uniform_is_that_of_linear_layers():
    model = uniform(4000, 5, 2.0**-7)
    for values, reach in ((model.W, 2.0**-7 / 5**0.5), (model.a, 2.0**-7 / 4000**0.5)):
        assert np.abs(values).max() <= reach
        assert np.var(values) == pytest.approx(reach**2 / 3, rel=0.05)


def test_sphere_and_clusters_are_balanced():
    model = sphere(3000, 3, 0.5)
    np.testing.assert_allclose(model.norms, 0.5 / 3000**0.5, rtol=1e-14)
    assert np.abs(model.W.mean(axis=0)).max() < 0.05 * model.norms[0]
    around = clusters(300, [[2.0, 0.0], [0.0, 1.0]], 0.5, spread=0.05)
    angles = np.arctan2(around.W[:, 1], around.W[:, 0])
    assert np.abs(angles[::2]).max() < 0.2 and np.abs(angles[1::2] - np.pi / 2).max() < 0.2
    assert angles[::2].std() == pytest.approx(0.05 / 2**0.5, rel=0.2)
    for made in (model, around):
        np.testing.assert_allclose(np.abs(made.a), made.norms, rtol=1e-15)
    with pytest.raises(ValueError, match="zero row"):
        clusters(3, [[0.0, 0.0]], 1.0)


def test_exponential_dominates():
    model = exponential(5000, 3, 0.1)
    more = np.abs(model.a) - model.norms
    assert (more >= 0).all() and np.median(more) == pytest.approx(0.1 * np.log(2.0), rel=0.05)
    assert np.abs(model.W).max() <= 0.1 / 3**0.5


def test_scales_of_other_kinds_and_wrong_scalings():
    half, same = exponential(3, 2, Fraction(1, 2)), exponential(3, 2, 0.5)
    assert np.array_equal(half.a, same.a) and np.array_equal(half.W, same.W)
    with pytest.raises(ValueError, match="unknown scaling"):
        balanced(3, 2, 0.5, scaling=np.array(["1/sqrt(m)", "1/sqrt(m*d)"]))
