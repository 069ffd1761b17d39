"""Losses that never rest: closed forms far beyond any time, both engines, labels, files."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expi

import gflow
from gflow import TwoLayerReLU
from gflow.problem.clock import Clock
from gflow.problem.field import Field
from gflow.problem.loss import NAMED, as_loss
from problems import random_problem, relative_errors, same_events

LOSSES = ["exponential", "logistic"]
ENGINES = ["DOP853", "waveform"]
# V = a w of one balanced neuron of V(0) = 0.01 on the point x = y = 1, and the time of it.
TABLE = {"exponential": [(1.0, 2.9565236408913), (10.0, 1248.123452853652),
                         (20.0, 12807828.34099303), (30.0, 184486604705.6459),
                         (74.06181308212, 1e30), (236.41297961, 1e100)],
         "logistic": [(1.0, 5.2591087338853), (10.0, 1251.577330493143),
                      (20.0, 12807832.14144426), (30.0, 184486604709.6491)]}
DIRECTION = np.array([(1, 0, .5), (0, 2, .3), (-1, -.2, .4)]), np.array([1.0, 1.0, -1.0])
MARGIN = 0.2620617571


def log_ei(v):
    """Logarithm of the exponential integral, by its asymptotic series where that is exact."""
    if v < 40:
        return float(np.log(expi(v)))
    terms = np.cumprod(np.append(1.0, np.arange(1, 30) / v))
    return float(v - np.log(v) + np.log(terms.sum()))


def grown(time, loss, start):
    """V where Ei(V) - Ei(V0), plus ln(V/V0) for the logistic loss, is ``time``."""
    def off(v):
        rest = (np.log(v / start) if loss == "logistic" else 0.0) - expi(start)
        known = log_ei(v) if v > 1 else np.log(max(expi(v) + rest, 1e-300))
        return known + (np.log1p(rest * np.exp(-known)) if v > 1 else 0.0) - np.log(time)
    return brentq(off, start * (1 + 1e-12), 3000.0, xtol=1e-14, rtol=1e-15)


def problem(seed, n, m, d, kind, scale):
    """Random points with labels of two classes."""
    a, W, X, y, _ = random_problem(seed, n, m, d, "generic", "balanced", scale)
    y = np.where(y > 0, 1.0, -1.0)
    if kind == "separable":
        y = np.where(X[:, 0] > 0, 1.0, -1.0)
    elif kind == "one class":
        y = np.full(n, y[0])
    elif kind == "both labels":
        X, y = np.append(X, X[:1], axis=0), np.append(y, -y[0])
    return (a, W), (X, y)


@pytest.mark.parametrize("method", ENGINES)
@pytest.mark.parametrize("loss", LOSSES)
def test_one_point_up_to_1e300(loss, method):
    volumes, times = (list(column) for column in zip(*TABLE[loss]))
    assert np.allclose([grown(2 * t, loss, 0.01) for t in times], volumes, rtol=1e-9, atol=0)
    times += [1e200, 1e300]
    flow = gflow.integrate(([0.1], [[0.1]]), ([[1.0]], [1.0]), 1e300, loss=loss, method=method,
                           rtol=1e-11, t_eval=times)
    assert flow.status == "finished" and flow.t_end == 1e300 and flow.certificate(60).ok
    exact = [grown(2 * t, loss, 0.01) for t in times]
    np.testing.assert_allclose(flow.a[:, 0] * flow.W[:, 0, 0], exact, rtol=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n", [2, 5])
def test_orthonormal_points(loss, n):
    # A neuron on their mean: u = V / sqrt(n) takes the time (sqrt(n) / 2) (Ei(u) - Ei(u0) ...).
    w = 0.1 * np.ones((1, n)) / np.sqrt(n)
    times = np.array([1.0, 30.0, 1e6, 1e40])
    flow = gflow.integrate(([0.1], w), (np.eye(n), np.ones(n)), 1e40, loss=loss, rtol=1e-11,
                           t_eval=times)
    u = flow.a[:, 0] * np.sqrt((flow.W[:, 0]**2).sum(axis=1)) / np.sqrt(n)
    exact = [grown(2 * t / np.sqrt(n), loss, 0.01 / np.sqrt(n)) for t in times]
    np.testing.assert_allclose(u, exact, rtol=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_direction_of_three_points(loss):
    X, y = DIRECTION
    W = 0.1 * np.random.default_rng(0).standard_normal((4, 3))
    a = np.sqrt((W**2).sum(axis=1)) * np.array([1, 1, -1, -1])
    flow = gflow.integrate((a, W), (X, y), 1e114, loss=loss, t_eval=[10**12.8, 1e114])
    assert flow.certificate().ok
    size = (flow.a**2).sum(axis=1) + (flow.W**2).sum(axis=(1, 2))
    margin = [(y * net(X)).min() for net in flow(flow.t)] / size
    # An independent program with another start: 0.260161 and 0.261837.
    assert (np.abs(margin - [0.260161, 0.261837]) < [1e-3, 1e-4]).all() and margin[1] < MARGIN
    log = flow.field.log_value(flow.model(X))
    assert np.exp(np.log(1e114) + log + np.log(-log)) == pytest.approx(0.95804, abs=1e-4)
    assert 1 / (4 * MARGIN) == pytest.approx(0.95397, abs=1e-5)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 8), st.integers(2, 4),
       st.sampled_from(["generic", "separable", "one class", "both labels"]),
       st.sampled_from([1.0, 0.1, 1e-3]), st.sampled_from(LOSSES))
def test_engines_agree(seed, n, m, d, kind, scale, loss):
    start, data = problem(seed, n, m, d, kind, scale)
    one, two = (gflow.integrate(start, data, 30.0, loss=loss, method=method, rtol=1e-10,
                                max_events=2000) for method in ENGINES)
    if one.stats["ambiguous"] or two.stats["ambiguous"]:
        return
    assert one.success and two.success and one.certificate().ok and two.certificate().ok
    assert relative_errors(two, one, peak=True).max() < 1e-6
    same_events(one.events, two.events, 1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_clock_changes_nothing(loss, monkeypatch):
    start, data = problem(5, 8, 8, 3, "generic", 0.3)
    flow = gflow.integrate(start, data, 20.0, loss=loss, method="DOP853", rtol=1e-11)
    monkeypatch.setattr(Clock, "of", classmethod(lambda cls, *arguments: cls()))
    plain = gflow.integrate(start, data, 20.0, loss=loss, method="DOP853", rtol=1e-11)
    assert flow.path.clock.parts is not None and not hasattr(plain.path, "clock")
    assert relative_errors(flow, plain).max() < 1e-8 and len(plain.events) > 3
    same_events(flow.events, plain.events, 1e-7)


def test_points_that_no_neuron_sees_cost_nothing():
    # One neuron that leaves the second point: its pull stays, the others fall like 1/t.
    X, y = np.array([[2.0, 1.0], [-1.0, -2.0], [1.0, 2.0]]), np.array([1.0, 1.0, 1.0])
    flow = gflow.integrate(([0.5], [[0.3, 0.4]]), (X, y), 1e200, method="waveform", loss="logistic")
    assert flow.status == "finished" and flow.stats["steps"] < 300 and flow.certificate(40).ok
    assert flow.loss[-1] == pytest.approx(np.log(2) / 3)
    assert (y * flow.model(X))[[0, 2]].min() > 400


def test_a_neuron_that_comes_back_to_a_point():
    # Its pull was left away while no neuron saw it.
    X = [[-1.9, 1.1, 1.7, 0.3], [-0.6, -0.2, 1.0, -0.6], [0.8, -0.5, -0.5, -1.8],
         [-0.5, 2.0, -2.0, -0.6]]
    start = ([2.45e-4], [[-1.9e-4, 4.6e-5, -4.6e-5, 1.4e-4]])
    one, two = (gflow.integrate(start, (X, np.ones(4)), 1e4, loss="exponential", method=method,
                                rtol=1e-9) for method in ENGINES)
    assert len(one.events) >= 2 and two.stats["steps"] < 300
    same_events(one.events, two.events, 1e-4)
    np.testing.assert_allclose(one.W[-1], two.W[-1], rtol=1e-5, atol=1e-5)


def test_data_that_cannot_be_separated_come_to_rest():
    X, y = np.array([[1.0], [1.0], [1.0]]), np.array([1.0, 1.0, -1.0])
    for method in ENGINES:
        flow = gflow.integrate(([0.1], [[0.1]]), (X, y), 1e12, loss="logistic", method=method)
        assert flow.status == "finished"
        assert flow.model(X)[0] == pytest.approx(np.log(2.0), rel=1e-7)


@pytest.mark.parametrize("method", ["Radau", "BDF", "DOP853"])
def test_a_first_step_over_which_the_loss_overflows(method):
    # SciPy tries one of 1e5 here, and would then begin with one of 0.
    start = gflow.TwoLayerReLU([0.0035, 0.0, 0.0007], [[2e-3, 2e-3, -2e-3], [-2e-3, 1e-3, 0.0],
                                                       [-2e-3, 1e-3, 0.0]], slope=0.6)
    data = ([[-0.92, 3.2, -0.066], [-0.92, 3.2, -0.066]], [1, -1])
    flow = gflow.integrate(start, data, 1e300, method=method, rtol=1e-7, loss="exponential")
    # There is one way to balance both labels.
    assert flow.status == "finished" and flow.stats["steps"] < 500
    np.testing.assert_allclose(flow.model(np.array(data[0])), 0.0, atol=1e-9)


def test_labels():
    X = np.eye(3)
    for loss in LOSSES:
        flow = gflow.integrate(([0.1], [[0.1] * 3]), (X, [0, 1, 1]), 3.0, loss=loss)
        same = gflow.integrate(([0.1], [[0.1] * 3]), (X, [-1, 1, 1]), 3.0, loss=loss)
        assert flow.data.y.tolist() == [-1, 1, 1] and (flow.W == same.W).all()
        assert flow.model.loss(gflow.Data(X, [0, 1, 1]), loss) == flow.loss[-1]
        for y in ([0, 1, 1], [-1, 1, 1]):
            assert flow.test_loss((X, y))[-1] == flow([0.0, 3.0]).loss((X, y), loss)[-1]
            assert flow.test_loss((X, y))[-1] == pytest.approx(flow.loss[-1], rel=1e-14)
        of = [flow.model.gradient((X, y), loss) for y in ([0, 1, 1], [-1, 1, 1])]
        assert (of[0].a == of[1].a).all() and (of[0].W == of[1].W).all()
        assert flow.test_loss((X[:1], [0]))[-1] == flow.test_loss((X[:1], [-1]))[-1]
        with pytest.raises(ValueError, match="labels -1 and 1, or 0"):
            flow.test_loss((X, [0, 1, 2]))
        twin = gflow.descend(([0.1], [[0.1] * 3]), (X, [0, 1, 1]), 1e-3, 3000, loss=loss)
        assert gflow.descent.distances(same, twin).max() < 2e-3
        for wrong in ([0.5, 1, 1], [-1, 0, 1], [0, 1, 2]):
            with pytest.raises(ValueError, match=f"{loss} loss takes the labels -1 and 1, or 0"):
                gflow.integrate(([0.1], [[0.1] * 3]), (X, wrong), 3.0, loss=loss)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9), st.sampled_from(LOSSES))
def test_losses_and_their_logarithms(m, loss):
    h, y = np.array(m), np.where(np.arange(len(m)) % 2, 1.0, -1.0)
    found = NAMED[loss]
    assert np.isfinite(found.log_value(h, y)).all()
    assert np.isfinite(Field(gflow.Data(h[:, None], y), found).log_value(h))
    assert np.isfinite(found.pull(h, y, y * h)).all()
    assert np.isfinite(found.curvature(h, y, y * h)).all()
    h = h / 4
    assert as_loss(loss, y) is found
    np.testing.assert_allclose(np.exp(found.log_value(h, y)), found.value(h, y),
                               rtol=1e-11)
    np.testing.assert_allclose(found.margin(found.log_value(h, y)), (y * h),
                               rtol=1e-9, atol=1e-9)
    for name in ("pull", "curvature"):
        method = getattr(found, name)
        np.testing.assert_allclose(method(h, y, -3.0), np.exp(-3.0) * method(h, y),
                                   rtol=1e-11)
    e, near = 1e-6, np.abs(h) < 20
    h, y = h[near], y[near]
    slope = (found.value(h + e, y) - found.value(h - e, y)) / (2 * e)
    np.testing.assert_allclose(-found.pull(h, y), slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ENGINES)
def test_files_pickles_rules_and_cuts(method, tmp_path):
    start, data = problem(5, 8, 8, 3, "separable", 0.3)
    flow = gflow.integrate(start, data, 1e30, loss="logistic", method=method)
    flow.save(tmp_path / "run.npz")
    again = gflow.load(tmp_path / "run.npz")
    for other in (again, pickle.loads(pickle.dumps(flow)), copy.deepcopy(flow)):
        assert (other.W == flow.W).all() and (other.loss == flow.loss).all()
        assert (other(1e15).W == flow(1e15).W).all() and other.t_end == 1e30
        assert (other.events == flow.events).all()
    with pytest.raises(ValueError, match="logistic"):
        gflow.load(tmp_path / "run.npz", loss="exponential")
    # The first time of a loss, over decades in one step.
    below = gflow.integrate(start, data, 1e30, loss="logistic", method=method,
                            stop=gflow.stop.loss_below(1e-20))
    assert below.status == "loss_below" and below.loss[-1] == pytest.approx(1e-20, rel=1e-4)
    assert abs(below.certificate().energy) < 1e-7
    kept = gflow.integrate(start, data, 1e30, loss="logistic", method=method, save=["loss", "W"])
    np.testing.assert_allclose(kept.W, flow.W, rtol=1e-12)
    assert (kept.t == flow.t).all() and kept.t[-1] > 1.1 * kept.t[-2]


def test_energy_up_to_a_cut_inside_a_window():
    a, W, X, y, t_max = random_problem(5, 8, 8, 3, "generic", "balanced", 0.3)
    whole = gflow.integrate((a, W), (X, y), t_max, method="waveform")
    cut = gflow.integrate((a, W), (X, y), t_max, method="waveform",
                          stop=gflow.stop.loss_below(float(whole.loss[100])))
    assert cut.status == "loss_below" and abs(cut.certificate().energy) < 1e-7


@pytest.mark.parametrize("method", ENGINES)
def test_max_events_counts_where_clocks_round(method):
    start, data = problem(5, 8, 8, 3, "generic", 0.3)
    options = {"loss": "exponential", "rates": (1.0, 3.0), "method": method, "threads": 1}
    whole = gflow.integrate(start, data, 20.0, **options)
    assert len(whole.events) > 15
    for most in range(1, 16):
        flow = gflow.integrate(start, data, 20.0, max_events=most, **options)
        assert flow.status == "max_events" and len(flow.events) >= most
        assert flow.events["time"][-1] <= flow.t_end == flow.t[-1]


def test_neurons_at_zero_do_not_hide_what_others_see():
    # Of neurons that share their sides, the first ones are at w = 0 and see nothing.
    data = [[3.0], [0.3], [-0.05]], [-1.0, -1.0, 1.0]
    start = [0.0, 0.0, 1e-17], [[0.0], [0.0], [-1e-17]]
    flow = gflow.integrate(start, data, 1e4, loss="exponential", method="waveform")
    V = grown(2 * 0.05 * 1e4 / 3, "exponential", 0.05 * 1e-34)
    assert flow.success and flow.certificate().ok
    assert flow.model(np.array([[-0.05]]))[0] == pytest.approx(V, rel=1e-7)


@pytest.mark.parametrize("method", ENGINES)
@pytest.mark.parametrize("loss", LOSSES)
def test_neurons_that_put_out_nothing_shrink_by_what_the_clock_makes_of_pulls(loss, method):
    x = 0.87609013
    flow = gflow.integrate(([1e-17], [[1e-17]]), ([[x]], [-1.0]), 30.0, loss=loss, rtol=1e-10,
                           method=method)
    pull = x * (0.5 if loss == "logistic" else 1.0)
    np.testing.assert_allclose(np.log(flow.W[:, 0, 0] / 1e-17), -pull * flow.t, atol=3e-9)
    assert flow.certificate().ok


@pytest.mark.parametrize("method", ["Radau", "LSODA"])
def test_slides_while_the_clock_runs_ahead(method):
    # A stiff stepper takes one step for decades, on which times go faster by exp(60).
    start = gflow.TwoLayerReLU([-0.6], [[0.0, 0.3]], slope=-1.0)
    X, y = np.tile([2.0, 0.0], (3, 1)), [-1.0, 1.0, 1.0]
    flow = gflow.integrate(start, (X, y), 1e30, loss="logistic", method=method)
    assert flow.success and not len(flow.events) and (flow.W[-1] == flow.W[0]).all()


@pytest.mark.parametrize("method", ENGINES)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_weight_that_is_pulled_to_zero_stays_there_or_a_choice_is_told(method, loss):
    # Two labels on one point cancel: w shrinks towards 0 along a plane, and what is left of it then
    # is the rounding of what it was, which says nothing about sides.
    X = [[-1, 2, 1], [2, 0, 2], [1, -2, -1], [0, -1, -2], [2, 0, 2]]
    start = TwoLayerReLU([-5.657, -2.236, 0.0], [[2, 0, 2], [0, -1, -2], [0, -1, -2]])
    flow = gflow.integrate(start, (X, [1, 1, 1, -1, -1]), 10.0, loss=loss, method=method,
                           rtol=1e-9)
    told = flow.choices[flow.choices["neuron"] == 0]
    stays = np.abs(flow.W[-1, 0]).max() < 1e-10
    assert flow.success and (stays or told[["to", "other"]].tolist() == [(1, 0)]), told


def test_a_stepper_ends_at_rest_where_velocities_are_rounding():
    # Labels on a line that cannot be told apart: late the clock makes rounding of the pulls large.
    start = TwoLayerReLU([-0.6], [[-2.0]], slope=0.6)
    data = [[1.253897], [1.253897], [0.73257], [2.507794], [-0.19764]], [1, 1, 1, -1, 1]
    late, early = (gflow.integrate(start, data, t, loss="exponential", method=method, rtol=1e-7)
                   for t, method in ((1e30, "Radau"), (300.0, "DOP853")))
    assert late.success, late.message
    np.testing.assert_allclose(late.W[-1], early.W[-1], rtol=1e-6)


class Own:
    """The exponential loss, by a user."""

    endless = True

    def value(self, h, y):
        return np.exp(-y * h)

    def pull(self, h, y, log=0.0):
        return y * np.exp(log - y * h)

    def curvature(self, h, y, log=0.0):
        return np.exp(log - y * h)

    def log_value(self, h, y):
        return -y * h

    def margin(self, log_value):
        return -np.asarray(log_value)


def exp_first(self, h, y, log=0.0):
    return np.exp(log) * y * np.exp(-y * h)


@pytest.mark.parametrize("kind, words, methods", [
    (TypeError, "an? Wrong that is endless, without log_value and margin: give",
     {"log_value": None, "margin": None}),
    (ValueError, r"loss.pull fails on arrays of outputs \(5, 5\) .* and log \(5, 1\): ",
     {"pull": lambda self, h, y: y * np.exp(-y * h)}),
    (ValueError, r"loss.pull\(h, y, log\) is not e\^log times loss.pull\(h, y\)",
     {"pull": lambda self, h, y, log=0.0: y * np.exp(-y * h)}),
    (ValueError, r"loss.curvature\(h, y, log\) is not e\^log times",
     {"curvature": lambda self, h, y, log=0.0: np.exp(-y * h)}),
    (ValueError, "loss.log_value is not the logarithm of loss.value: at h",
     {"log_value": lambda self, h, y: -2 * y * h}),
    (ValueError, "loss.log_value is -inf where the label times the output is 1000",
     {"log_value": lambda self, h, y: np.log(np.exp(-y * h))}),
    (ValueError, r"loss.log_value returns shape \(\) for outputs",
     {"log_value": lambda self, h, y: 0.0}),
    (ValueError, r"loss.margin\(log_value\) is not the label times the output of that loss",
     {"margin": lambda self, log_value: -2 * np.asarray(log_value)}),
    (ValueError, r"loss.pull\(h, y, log\) overflows on its way where the loss is exp\(-1000\)",
     {"pull": exp_first})])
def test_what_endless_losses_of_users_have_is_tried(kind, words, methods):
    start = ([0.5, -0.5], [[0.4, 0.1], [0.1, 0.4]])
    data = ([[1.0, 0.0], [-0.5, 0.8]], [1.0, -1.0])
    with pytest.raises(kind, match=words):
        gflow.integrate(start, data, 100.0, loss=type("Wrong", (Own,), methods)())


def test_an_endless_loss_of_a_user_is_that_of_the_package():
    start = ([0.5, -0.5], [[0.4, 0.1], [0.1, 0.4]])
    data = ([[1.0, 0.0], [-0.5, 0.8]], [1.0, -1.0])
    own, ours = (gflow.integrate(start, data, 1e60, loss=loss) for loss in (Own(), "exponential"))
    assert (own.W == ours.W).all() and own.margin().since == ours.margin().since
