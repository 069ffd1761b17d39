"""The least squares pair against the end of long runs, and against plain least squares."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gflow
from gflow.datasets import linear_teacher, three_points
from gflow.theory import two_cone_least_squares
from gflow.theory.population import test_loss as population_loss


def start(seed, scale=1e-4):
    """30 neurons."""
    return gflow.init.balanced(30, 3, scale, rng=1000 + seed)


def end_of_run(data, seed, scale=1e-4):
    """The network at convergence."""
    flow = gflow.integrate(start(seed, scale), data, 1e4, stop=gflow.stop.gradient_below(1e-9),
                           t_eval=[0.0])
    assert flow.status == "gradient_below"
    return flow


def groups(flow):
    """Number of different patterns among the grown neurons, signs apart."""
    model = flow.model
    grown = np.abs(model.a) * model.norms > 1e-3
    patterns = np.column_stack([np.sign(model.a), flow.pattern(flow.t_end)])[grown]
    return len(np.unique(patterns, axis=0))


def compare(n, seed):
    """Assert that a run ends at the pair."""
    data = linear_teacher(n, 3, noise=0.5, rng=seed, margin=0.4)
    pair, flow = two_cone_least_squares(data), end_of_run(data, seed)
    assert pair.converged and pair.full_rank and groups(flow) == 2
    assert np.abs(flow.model(data.X) - pair(data.X)).max() < 1e-6


@pytest.mark.parametrize("n, seed", [(40, 0), (40, 7), (100, 1), (250, 7)])
def test_end_state(n, seed):
    compare(n, seed)


@pytest.mark.slow
@pytest.mark.parametrize("n", [40, 100, 250])
@pytest.mark.parametrize("seed", range(10))
def test_end_state_of_ten_seeds(n, seed):
    compare(n, seed)


def test_a_start_that_is_too_large_ends_elsewhere():
    # There are two ends to go to, but at scale 1e-4 a third group is made.
    data = linear_teacher(40, 3, noise=0.5, rng=33, margin=0.4)
    pair = two_cone_least_squares(data, start(33))
    assert pair.groups == (1, 1) and pair.message == "self-consistent"
    flow = end_of_run(data, 33)
    assert groups(flow) == 3 and np.abs(flow.model(data.X) - pair(data.X)).max() > 0.05
    flow = end_of_run(data, 33, scale=1e-6)
    assert groups(flow) == 2 and np.abs(flow.model(data.X) - pair(data.X)).max() < 1e-6


@pytest.mark.parametrize("seed, margin", [(2, 0.0), (37, 0.0), (218, 0.4)])
def test_several_ends_of_one_sign_can_stay_apart(seed, margin):
    # The last one stays so at scale 1e-8: 40 points can be too few even with a margin.
    data = linear_teacher(40, 3, noise=0.5, rng=seed, margin=margin)
    pair, flow = two_cone_least_squares(data, start(seed)), end_of_run(data, seed)
    assert pair.converged and max(pair.groups) > 1 and "may end elsewhere" in pair.message
    assert groups(flow) > 2 and np.abs(flow.model(data.X) - pair(data.X)).max() > 0.1
    assert flow.model.loss(data) < pair.loss


@pytest.mark.parametrize("n, seed, margin, kind", [
    (40, 0, 0.0, "both"), (100, 0, 0.0, "none"), (250, 3, 0.0, "both"), (40, 23, 0.0, "edge"),
    (40, 9, 0.2, "edge")])
def test_end_state_where_cones_do_not_fit(n, seed, margin, kind):
    # They overlap (a joint fit), leave points out, or a group slides along a point.
    data = linear_teacher(n, 3, noise=0.5, rng=seed, margin=margin)
    pair, flow = two_cone_least_squares(data), end_of_run(data, seed)
    assert groups(flow) == 2 and pair.converged
    assert np.abs(flow.model(data.X) - pair(data.X)).max() < 1e-6
    found = {"both": (pair.plus == 1) & (pair.minus == 1),
             "edge": (pair.plus == 2) | (pair.minus == 2),
             "none": (pair.plus == 0) & (pair.minus == 0)}
    assert found[kind].any()


def drawn(seed, n, d):
    return linear_teacher(n, d, noise=0.5, rng=seed, margin=0.2)


@given(seed=st.integers(0, 10**6), n=st.integers(10, 60), d=st.integers(1, 4))
@settings(max_examples=settings().max_examples // 2)
def test_pair_solves_its_own_least_squares(seed, n, d):
    data = drawn(seed, n, d)
    pair = two_cone_least_squares(data)
    X, y = data.X, data.y
    np.testing.assert_allclose(pair.residual, y - pair(X), atol=1e-12 * np.abs(y).max())
    assert pair.loss == pytest.approx(np.mean((pair(X) - y)**2) / 2)
    if not pair.converged:
        assert "self-consistent" not in repr(pair)
        return
    assert ((X @ pair.beta_plus > 0) == (pair.plus == 1))[pair.plus != 2].all()
    assert ((X @ pair.beta_minus < 0) == (pair.minus == 1))[pair.minus != 2].all()
    slides = (pair.plus == 2).any() or (pair.minus == 2).any()
    if pair.full_rank and not slides and not ((pair.plus == 1) & (pair.minus == 1)).any():
        for beta, cone in ((pair.beta_plus, pair.plus == 1), (pair.beta_minus, pair.minus == 1)):
            if cone.any():
                own = np.linalg.lstsq(X[cone], y[cone], rcond=None)[0]
                np.testing.assert_allclose(beta, own, atol=1e-9 * np.linalg.norm(own))


@given(seed=st.integers(0, 10**6), factor=st.sampled_from([1e-150, 1e-6, 0.1, 1e6, 1e150]))
@settings(max_examples=settings().max_examples // 4)
def test_pair_follows_symmetries(seed, factor):
    data = drawn(seed, 40, 3)
    pair = two_cone_least_squares(data)
    larger = two_cone_least_squares((data.X, factor * data.y))
    wider = two_cone_least_squares((factor * data.X, data.y))
    negated = two_cone_least_squares((data.X, -data.y))
    size = np.linalg.norm(pair.beta_plus)
    for other, plus, minus in ((larger, factor * pair.beta_plus, factor * pair.beta_minus),
                               (wider, pair.beta_plus / factor, pair.beta_minus / factor),
                               (negated, -pair.beta_minus, -pair.beta_plus)):
        scale = 1e-9 * size * np.linalg.norm(plus) / size
        np.testing.assert_allclose(other.beta_plus, plus, atol=scale)
        np.testing.assert_allclose(other.beta_minus, minus, atol=scale)


def test_without_noise_it_is_the_teacher():
    beta = np.array([1.0, -2.0, 0.5])
    pair = two_cone_least_squares(linear_teacher(60, 3, noise=0.0, beta=beta))
    np.testing.assert_allclose([pair.beta_plus, pair.beta_minus], [beta, beta], rtol=1e-10)
    assert pair.loss < 1e-20 and pair.converged and pair.full_rank
    assert pair.test_risk(beta) < 1e-18 and pair.test_risk(beta, noise=0.5) == pytest.approx(0.25)


def test_one_cone_where_labels_have_one_sign():
    # Boursier and Flammarion, JMLR 2025, Theorem 2: least squares on all points.
    data = three_points()
    pair = two_cone_least_squares(data)
    np.testing.assert_allclose(pair.beta_plus, [-4 / 65, 251 / 390], rtol=1e-12)
    assert not pair.beta_minus.any() and not pair.minus.any() and pair.plus.all()
    assert pair.loss == pytest.approx(0.08752136752, rel=1e-9)


def test_risk_against_samples():
    beta = np.array([1.0, 0.0, 0.0])
    pair = two_cone_least_squares(linear_teacher(30, 3, rng=4))
    Sigma = np.diag([1.0, 2.0, 0.5])
    x = np.random.default_rng(0).standard_normal((10**6, 3)) * np.sqrt(np.diag(Sigma))
    squares = (pair(x) - x @ beta)**2
    assert pair.test_risk(beta, Sigma=Sigma) == pytest.approx(squares.mean(), rel=0.01)
    assert pair.test_risk(beta) == 2 * population_loss(pair.model, beta)


def test_groups_of_a_start():
    # The ends of an early flow, as extremal vectors count them.
    data = linear_teacher(40, 3, noise=0.5, rng=2)
    plain, pair = two_cone_least_squares(data), two_cone_least_squares(data, start(2))
    found = gflow.theory.extremal_vectors(data)
    assert plain.groups is None and plain.message == "self-consistent"
    assert pair.groups == (2, 2) and (pair.beta_plus == plain.beta_plus).all()
    assert (found.kind == "max").sum() == 2 <= (found.kind == "min").sum()
    alone = two_cone_least_squares(three_points(), gflow.init.balanced(20, 2, 1.0))
    assert alone.groups == (1, 0) and alone.message == "self-consistent"
    # Without a negative neuron no second cone.
    half = start(0)
    half = two_cone_least_squares(data, (np.abs(half.a), half.W))
    assert half.groups[1] == 0 and "may end elsewhere" in half.message


def test_a_neuron_that_waits_for_the_other_is_waited_for():
    # All labels are positive: the negative neuron shrinks, and grows when the other fits too much.
    X, y = np.array([[3.0, 3.0], [-2.0, 1.0], [1.0, -3.0], [2.0, 1.0]]), np.array([3.0, 2, 3, 3])
    pair = two_cone_least_squares((X, y))
    e = 1e-6 * y @ X / np.linalg.norm(y @ X)
    flow = gflow.integrate(([1e-6, -1e-6], [e, -e]), (X, y), 1e5, rtol=1e-9)
    assert pair.converged and pair.minus.any()
    np.testing.assert_allclose(pair(X), flow.model(X), atol=1e-6)
    assert np.isclose(pair.loss, 0.5)


def test_too_few_points_are_flagged():
    pair = two_cone_least_squares(linear_teacher(4, 3, rng=1))
    assert not pair.full_rank and "do not determine 3 coefficients" in pair.message


def test_bad_input():
    with pytest.raises(ValueError, match="no direction leads"):
        two_cone_least_squares(([[1.0, 0.0], [-1.0, 0.0]], [1.0, 1.0]))
    with pytest.raises(ValueError, match="no direction leads"):
        two_cone_least_squares(([[1.0, 0.0]], [0.0]))
    with pytest.raises(ValueError, match="leaves the range of double precision"):
        two_cone_least_squares(([[1e-300, 0.0], [0.0, 1e-300]], [1e300, 1e300]))
    with pytest.raises(ValueError, match="same dimension"):
        two_cone_least_squares(three_points(), start(0))
    with pytest.raises(TypeError, match="pair"):
        two_cone_least_squares([[1.0, 0.0]])
