"""Margins of flows that never rest, and the conditions of the largest one."""

import numpy as np
import pytest

import gflow
from test_endless import DIRECTION, LOSSES, MARGIN, problem


@pytest.fixture(scope="module", params=LOSSES)
def flow(request):
    W = 0.1 * np.random.default_rng(0).standard_normal((4, 3))
    a = np.sqrt((W**2).sum(axis=1)) * np.array([1, 1, -1, -1])
    return gflow.integrate((a, W), DIRECTION, 1e300, loss=request.param)


def test_margins(flow):
    margin, y = flow.margin(), DIRECTION[1]
    k = 150
    net = flow(flow.t[k])
    size = (net.a**2).sum() + (net.W**2).sum()
    np.testing.assert_allclose(margin.points[k], y * net(DIRECTION[0]) / size, rtol=1e-12)
    np.testing.assert_allclose(flow.log_loss[:100], np.log(flow.loss[:100]), rtol=1e-12)
    late = flow.t >= margin.since
    assert 100 < late.sum() < 200 and (np.diff(margin.smoothed[late]) > 0).all()
    one = 1.0 if flow.settings["loss"] == "exponential" else np.log(2.0)
    assert (late == (3 * flow.loss < one)).all()
    # Within log n over the squares of the hard margin.
    gap = (margin.hard - margin.smoothed) * margin.squares
    assert (gap >= -1e-9).all() and (gap <= np.log(3) + 1e-9)[late].all()
    assert f"hard {margin.hard[-1]:.9g}" in repr(margin) and len(repr(margin)) < 150


def test_margins_are_drawn_from_where_there_are_some(flow):
    from matplotlib.figure import Figure
    axes, margin = gflow.plot.margins(flow, ax=Figure().subplots(), lw=3), flow.margin()
    smoothed, hard = axes.lines
    late = flow.t >= margin.since
    assert smoothed.get_linewidth() == hard.get_linewidth() == 3
    np.testing.assert_allclose(smoothed.get_xdata(), np.log10(flow.t[late]), rtol=1e-12)
    assert np.array_equal(hard.get_ydata(), margin.hard[late])
    other = gflow.integrate(([-0.5], [[0.3]]), ([[1.0]], [1.0]), 1.0, loss="logistic")
    with pytest.raises(ValueError, match="does not separate"):
        gflow.plot.margins(other)


def test_the_limit_is_a_stationary_point(flow):
    # The multipliers of the two class-wise problems; residuals fall like 1/|theta|.
    end, before = flow.kkt(), flow.kkt(1e75)
    assert end.support.all() and end.residual < 0.01 and end.complementarity < 1e-3
    assert before.residual / end.residual == pytest.approx(2.0, rel=0.1)
    assert MARGIN - 2e-4 < end.margin < MARGIN
    assert end.multipliers.sum() == pytest.approx(1 / (2 * MARGIN), rel=1e-3)
    limit = np.array([0.7740668, 0.21611002])
    np.testing.assert_allclose(end.multipliers[:2] / end.multipliers[0], limit / limit[0],
                               rtol=0.02)


def test_multipliers_of_neurons_that_slide():
    # Each class has a neuron, which ends on the hyperplane of the other's point.
    X = np.array([[1.0, 0.3], [0.4, 1.0]])
    flow = gflow.integrate(([0.4, -0.4], [[0.3, 0.0], [0.0, 0.3]]), (X, [1, -1]), 1e250,
                           loss="logistic")
    assert flow.pattern(flow.t_end).tolist() == [[1, 2], [2, 1]]
    kkt = flow.kkt()
    inner, squares = X[0] @ X[1], (X**2).sum(axis=1)
    length = np.sqrt(squares - inner**2 / squares[::-1])
    np.testing.assert_allclose(kkt.multipliers, 1 / length, rtol=1e-6)
    assert kkt.residual < 1e-4 and flow.certificate().ok
    assert kkt.margin == pytest.approx(1 / (2 * (1 / length).sum()), rel=1e-4)


@pytest.mark.parametrize("slope", [-1.0, -0.7])
def test_multipliers_of_a_slide_reach_from_the_slope_to_one(slope):
    # An obtuse angle: neurons are held by less than nothing of the other class's point.
    X = np.array([[1.0, 0.0], [-0.5, 0.75**0.5]])
    start = gflow.TwoLayerReLU([0.5, -0.5], [[0.4, 0.1], [0.1, 0.4]], slope=slope)
    flow = gflow.integrate(start, (X, [1, -1]), 1e100, loss="exponential")
    assert flow.pattern(flow.t_end).tolist() == [[1, 2], [2, 1]]
    kkt = flow.kkt()
    assert kkt.residual < 1e-3 and kkt.complementarity < 1e-6
    np.testing.assert_allclose(kkt.multipliers, 0.75**-0.5, rtol=1e-5)
    assert kkt.multipliers.sum() == pytest.approx(1 / (2 * kkt.margin), rel=1e-5)


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_margins_of_smooth_networks_may_fall(activation):
    # Outputs are no power of weights: no theorem says what margins do, and there is no KKT.
    start = gflow.init.balanced(6, 3, 1.0, rng=0)
    start = gflow.TwoLayer(start.a, start.W, activation=activation)
    flow = gflow.integrate(start, DIRECTION, 1e4, loss="logistic")
    smoothed = flow.margin().smoothed
    assert flow.certificate().ok and 0 < smoothed[-1] < 0.95 * smoothed.max()
    assert flow.margin().since == np.inf
    with pytest.raises(ValueError, match=f"the activation is {activation}"):
        flow.kkt()


def test_margins_of_finite_steps_may_fall():
    start = [0.5, 0.5, -0.5, -0.5], [[.4, .1, .3], [.1, .4, .3], [-.5, 0, .1], [-.3, -.1, .3]]
    twin = gflow.descend(start, DIRECTION, 0.5, 1000, loss="logistic", noise=0.5, rng=0,
                         save_every=1)
    margin = twin.margin()
    low = np.flatnonzero(3 * twin.loss > np.log(2.0))[-1] + 1
    assert (np.diff(margin.smoothed[low:]) < -0.01 * margin.smoothed.max()).any()
    assert margin.since == np.inf and "cannot fall" not in repr(margin)


def test_points_beyond_the_margin_have_no_multiplier():
    start, data = ([0.5], [[0.3, 0.2]]), ([[1.0, 0.0], [3.0, 1.0]], [1, 1])
    flow = gflow.integrate(start, data, 1e300, loss="exponential")
    assert flow.kkt().support.tolist() == [True, False] and flow.kkt().residual < 0.05
    # Allowed to have one, it takes little.
    multipliers = flow.kkt(slack=5.0).multipliers
    assert multipliers[1] < 0.02 * multipliers[0]


def test_a_margin_that_falls_is_seen(monkeypatch):
    start, data = problem(5, 8, 8, 3, "separable", 0.3)
    flow = gflow.integrate(start, data, 1e6, loss="logistic")
    assert flow.certificate().margin_fall < 1e-9
    # Time backwards: all that grew falls.
    path, end = flow.path, flow.t_end
    monkeypatch.setattr(type(path), "evaluate", lambda self, p, t: path(end - t))
    assert flow.certificate().margin_fall > 1e-3 and not flow.certificate().ok


def test_a_point_that_is_zero_leaves_no_margin():
    flow = gflow.integrate(([0.5], [[0.3]]), ([[1.0], [0.0]], [1, 1]), 1e40, loss="logistic")
    assert flow.certificate().ok and flow.margin().since == np.inf and flow.margin().hard[-1] == 0


def test_losses_that_rest_have_none():
    flow = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), 1.0)
    for ask in (flow.margin, flow.kkt):
        with pytest.raises(ValueError, match="the loss square has no margins"):
            ask()
    assert flow.certificate().margin_fall == 0.0


@pytest.mark.parametrize("scale", [1e-170, 1e-3])
def test_margins_do_not_depend_on_the_size_of_the_start(scale):
    a, W = np.array([1.0, -1.0]), np.array([[0.6, 0.8, 0.0], [-1.0, 0.0, 0.5]])
    flow = gflow.integrate((scale * a, scale * W), DIRECTION, 1.0, loss="logistic")
    right = DIRECTION[1] * gflow.TwoLayerReLU(a, W)(DIRECTION[0]) / 4.25
    np.testing.assert_allclose(flow.margin().points[0], right, rtol=1e-12, atol=1e-15)
    assert flow.kkt(0.0).margin == pytest.approx(right.min(), rel=1e-12)
    assert 0.1 < flow.kkt(0.0).residual <= 1.0


def test_a_network_that_is_zero_has_no_margin():
    start = gflow.TwoLayerReLU([1.0], [[0.6, 0.8, 0.0]], log_scale=-900.0)
    flow = gflow.integrate(start, DIRECTION, 1.0, loss="logistic")
    assert np.isnan(flow.margin().points[0]).all() and flow.margin().since == np.inf
    with pytest.raises(ValueError, match="has no direction"):
        flow.kkt(0.0)


@pytest.mark.filterwarnings("error")
def test_the_picture_takes_a_time_and_makes_a_film():
    from matplotlib.figure import Figure
    start = gflow.TwoLayerReLU([-0.1], [[0.3]])
    flow = gflow.integrate(start, ([[1.0], [2.0]], [-1, -1]), 1e30, loss="exponential")
    axes = gflow.plot.margins(flow, 1e15, ax=Figure().subplots())
    assert list(axes.lines[-1].get_xdata()) == [15.0, 15.0] and axes.get_legend() is not None
    # On top of each other runs are told apart.
    gflow.plot.margins(flow, ax=axes)
    assert len({line.get_color() for line in axes.lines}) == 5
    # Before the data are separated there is no place for a time.
    assert np.isnan(gflow.plot.margins(flow, 0.0, ax=Figure().subplots()).lines[-1].get_xdata()[0])
    first, _, last = gflow.plot.animate(flow, "margins", [0.0, 1e10, 1e30], dpi=50).frames()
    assert (first != last).any()
    with pytest.raises(TypeError, match="write ax="):
        gflow.plot.margins(flow, Figure().subplots())
