"""What theory takes and gives: data with a bias, inputs out of range, words for what is wrong."""

import numpy as np
import pytest

import gflow

X = np.linspace(-1.0, 1.0, 7)[:, None]
BENT = gflow.Data(X, np.abs(X[:, 0]) + 0.1 * np.sin(9.0 * X[:, 0]), bias=True)
SIDES = gflow.Data(X, np.sign(BENT.y - 0.5), bias=True)
POINTS = [[1.0, 2.0], [-1.0, 1.0]], [1.0, 2.0]


@pytest.mark.parametrize("make", [
    lambda: gflow.theory.two_cone_least_squares(BENT).model,
    lambda: gflow.theory.two_cone_least_squares((X, BENT.y), gflow.TwoLayerReLU(
        [0.1, -0.1], [[0.1, 0.2], [0.1, 0.1]], bias=True)).model,
    lambda: gflow.theory.least_norm(BENT).model, lambda: gflow.theory.max_margin(SIDES).model,
    lambda: gflow.theory.least_norm(gflow.Data(X, np.zeros(7), bias=True)).model,
    lambda: gflow.theory.escape(None, BENT),
    lambda: gflow.theory.escape(gflow.init.balanced(2, 2, 1e-3), BENT),
    lambda: gflow.theory.early_flow(gflow.init.balanced(2, 2, 1e-3), SIDES, loss="logistic")(0.5)])
def test_networks_of_data_with_a_bias_take_inputs_without_it(make):
    model = make()
    assert np.array_equal(model(X), model(BENT.X))


def test_pulls_for_labels_keep_bias_and_names():
    data = gflow.theory.at_output_zero(SIDES, "logistic")
    assert data.bias and np.array_equal(data.X, SIDES.X)


def test_a_bias_is_no_gaussian_input():
    pair = gflow.theory.two_cone_least_squares(BENT)
    for risk in (lambda: pair.test_risk([1.0, 0.0]),
                 lambda: gflow.theory.population.field(pair.model, [1.0, 0.0]),
                 lambda: gflow.theory.population.test_loss(([1.0], [[1.0, 0.0]]), pair.model)):
        with pytest.raises(ValueError, match="Gaussian inputs and the network a bias"):
            risk()


@pytest.mark.parametrize("compute", [
    lambda law: law.arc_cosine_kernel([[1e200, 0.0]], [[1e200, 1e200]]),
    lambda law: law.arc_cosine_field([[1.0, 0.0]], [[1e200, 0.0]], np.full((2, 2), 1e300)),
    lambda law: law.test_loss(([1e200], [[1e200, 0.0]]), [1.0, 0.0]),
    lambda law: law.test_loss(([1.0], [[1.0, 0.0]]), [1.0, 0.0], noise=1e200),
    lambda law: law.field(([1e200], [[1e200, 0.0]]), [1.0, 0.0]),
    lambda law: law.flow(([1e150], [[1e150, 0.0]]), [1.0, 0.0], 1.0)])
def test_populations_out_of_range_are_refused(compute):
    with pytest.raises(ValueError, match="leaves the range of double precision"):
        compute(gflow.theory.population)


def test_a_population_flow_that_cannot_make_a_step_says_so():
    with pytest.raises(ValueError, match="start smaller"):
        gflow.theory.population.flow(([1e100], [[1e100, 0.0]]), [1.0, 0.0], 1.0)


@pytest.mark.parametrize("make, what", [
    (lambda exact: exact.early_polygon(gflow.TwoLayerReLU([0.3], [[0.1, 0.2]], slope=0.2), POINTS),
     "the polygon is known for ReLU only"),
    (lambda exact: exact.early_polygon(gflow.TwoLayer([0.3], [[0.1, 0.2]], activation="gelu"),
                                       POINTS), "the activation is gelu"),
    (lambda exact: exact.early_polygon(([0.2], [[0.1]]), POINTS), "X has 2 columns but W has 1"),
    (lambda exact: exact.one_point([1.0], [[1.0, 0.0]], [1.0], 1.0), "X has 1 column but W has 2"),
    (lambda exact: exact.released(W=[[-1.2, 0.9, 0.0]]), "X has 2 columns but W has 3")])
def test_exact_cases_refuse_other_networks(make, what):
    with pytest.raises(ValueError, match=what):
        make(gflow.theory.exact)


def test_a_polygon_takes_pairs():
    exact = gflow.theory.exact
    pairs = exact.early_polygon(([0.3], [[0.1, 0.2]]), POINTS)
    one = exact.early_polygon(gflow.TwoLayerReLU([0.3], [[0.1, 0.2]]), gflow.Data(*POINTS))
    assert np.array_equal(pairs(1.0).W, one(1.0).W)


def test_a_neuron_that_has_decayed_is_0():
    model = gflow.theory.exact.orthogonal_points(decay=5.0)(1e3)
    assert not model.a.any() and not model.W.any()


def test_an_early_flow_beyond_all_networks_says_what_to_ask_for():
    early = gflow.theory.early_flow(([0.1], [[0.1, 0.2]]), POINTS)
    with pytest.raises(ValueError, match=r"t = 1e\+300 takes neurons beyond .* directions\(t\)"):
        early(1e300)
    assert np.isfinite(early.directions(1e300)).all()


def test_underflow_is_looked_after_whatever_a_script_has_set():
    exact, flow = gflow.theory.exact, gflow.theory.population.flow
    with np.errstate(all="raise"):
        for make in (exact.one_point, exact.symmetric_pair, exact.group_on_one_axis,
                     lambda: exact.orthogonal_points(decay=5.0)):
            assert make()(1e4).a.size and make().loss(1e4) >= 0.0
        exact.one_point([1e-200], [[1e-200]], [1.0], 1.0)
        tiny = flow(([0.1, -1e-200], [[0.1, 0.0], [1e-200, 0.0]]), [1.0, 0.0], 1.0)
        assert tiny.loss[-1] < tiny.loss[0]
        gflow.datasets.linear_teacher(3, 2, beta=[1e-300, 0.0])
        run = gflow.experiments.orthogonal_jumps(n=2, width=8, scale=1e-300, rng=0)
        assert run["jumps"] > 0
