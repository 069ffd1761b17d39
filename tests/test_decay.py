"""Weight decay: closed forms, invariants, networks that die out, engines against each other."""

import itertools

import numpy as np
import pytest

import gflow
from gflow import Data, TwoLayerReLU
from gflow.problem.balance import Balance
from problems import drawn, logistic, random_problem
from validation import agreement
from validation.doubts import Drawn

ENGINES = ["DOP853", "waveform"]


@pytest.mark.parametrize("method", ["DOP853", "Radau", "waveform"])
@pytest.mark.parametrize("x, lam", [(1.0, 0.1), (2.0, 0.5), (0.5, 0.6)])
def test_decay_of_one_balanced_neuron_is_logistic(method, x, lam):
    # (a |w|)' = 2 (x y - lam) V - 2 x^2 V^2; with lam > x y the neuron dies out.
    flow = gflow.integrate(([0.1], [[0.1]]), ([[x]], [1.0]), 10.0, decay=lam, method=method,
                           rtol=1e-11)
    end = (1.0 - lam / x) / x
    np.testing.assert_allclose(flow.a[:, 0] * flow.W[:, 0, 0],
                               logistic(0.01, end, 2 * (x - lam), flow.t), rtol=1e-9)
    np.testing.assert_allclose(flow.objective, flow.loss + lam / 2 * (
        flow.a[:, 0]**2 + flow.W[:, 0, 0]**2), rtol=1e-14)
    assert flow.certificate().ok


@pytest.mark.parametrize("method", ENGINES)
def test_decay_leaves_surfaces_and_shrinks_what_is_conserved(tmp_path, method):
    a, W, X, y = drawn(4, 10)
    a *= 1.7
    lam, rates = 0.2, (4.0, 1.0)
    flow = gflow.integrate(TwoLayerReLU(a, W), (X, y), 6.0, decay=(lam / 4, lam), rates=rates,
                           rtol=1e-11, method=method)
    c = flow.a**2 / 4 - (flow.W**2).sum(axis=2)
    np.testing.assert_allclose(c, c[0] * np.exp(-2 * lam * flow.t)[:, None], atol=1e-10)
    certificate = flow.certificate()
    assert certificate.ok and certificate.balance.max() < 1e-9 and abs(certificate.energy) < 1e-10
    off = (flow.pattern(6.0) == 0).all(axis=1) & (flow.initial_pattern == 0).all(axis=1)
    shrunk = flow.log_norms[-1, off] - flow.log_norms[0, off]
    np.testing.assert_allclose(shrunk, -lam * 6.0, atol=1e-9)
    flow.save(tmp_path / "run.npz")
    again = gflow.load(tmp_path / "run.npz")
    assert np.array_equal(again.objective, flow.objective)
    assert again.certificate().energy == certificate.energy


def test_dead_neurons_shrink_for_ever(tmp_path):
    # Far below what double precision holds, in its log; a living one goes where it should.
    start = [0.1, 0.7, 0.0], [[0.1], [-0.4], [-0.3]]
    flow = gflow.integrate(start, ([[1.0]], [1.0]), 2e4, decay=0.1, method="waveform", rtol=1e-10)
    assert flow.status == "finished"
    np.testing.assert_allclose(flow.log_norms[-1, 1:] - np.log([0.4, 0.3]), -2000.0, rtol=1e-12)
    assert flow.a[-1, 0] * flow.W[-1, 0, 0] == pytest.approx(0.9, abs=1e-9)
    assert flow.certificate().ok
    flow.save(tmp_path / "run.npz")
    again = gflow.load(tmp_path / "run.npz")
    assert np.array_equal(again.log_norms, flow.log_norms)


def test_decay_for_so_long_that_nothing_is_left():
    # What is left of lengths is beyond C's integers as a power of 2.
    a, W = np.array([0.5]), np.array([[0.3, 0.0]])
    balance = Balance(a, W)
    balance.restore(a, W, log_left=-1e30)
    assert a[0] == pytest.approx(0.3)               # a^2 - |w|^2 = 0
    # A network that is 0 has no margin, and a certificate all the same.
    still = gflow.integrate(([0.0], [[0.0]]), ([[1.0]], [1.0]), 1.0, loss="logistic")
    assert still.certificate().margin_fall == 0.0


def test_one_decay_in_other_units_is_one_decay():
    # 0.1 / 0.3 * 0.3 is not 0.1.
    a, W, X, y = drawn(2)
    rates = 0.3, 7.0
    flows = [gflow.integrate((a, W), (X, y), 3.0, method=method, rates=rates, rtol=1e-10,
                             decay=(0.1 / rates[0], 0.1 / rates[1])) for method in ENGINES]
    np.testing.assert_allclose(flows[0].W[-1], flows[1].W[-1], atol=1e-7)
    c = flows[1].a**2 / rates[0] - (flows[1].W**2).sum(axis=2) / rates[1]
    np.testing.assert_allclose(c, c[0] * np.exp(-0.2 * flows[1].t)[:, None], atol=1e-9)


def test_a_slide_under_a_decay_that_differs_ends_where_its_multiplier_does():
    # The multiplier has a pole where the output weight passes 0, soon after the release.
    problem = agreement.draw(1, "settings")[1]
    for method in ("DOP853", "Radau"):
        flow = agreement.run(problem, method, 1e-9)
        released = flow.events[flow.events["kind"] == "release"]
        assert released["time"][-1] == pytest.approx(17.00895406, abs=1e-6)


@pytest.mark.parametrize("loss", ["square", "logistic"])
def test_networks_that_die_out(loss):
    # Under so much decay outputs are rounding soon, and windows may be long: directions go on.
    a, W, X, y, _ = random_problem(3, 6, 5, 3, "generic", "balanced", 0.5)
    y = np.sign(y)
    one, two = (gflow.integrate((a, W), (X, y), 300.0, decay=2.0, loss=loss, method=method,
                                rtol=1e-10, t_eval=[0.0, 1.0, 10.0, 30.0, 100.0, 300.0])
                for method in ("DOP853", "waveform"))
    assert one.success and two.success and not one.stats["ambiguous"]
    assert two.certificate().ok and two.stats["steps"] < 250
    np.testing.assert_allclose(two.directions, one.directions, atol=1e-7)
    np.testing.assert_allclose(two.log_norms, one.log_norms, atol=1e-7)


def test_decay_beyond_doubles():
    # Late a neuron that sees its point grows at |D| = 1/2, less the decay, and a dead one decays.
    flow = gflow.integrate(([0.5, 0.5], [[0.5], [-0.5]]), ([[1.0]], [0.5]), 1e4, decay=2.0,
                           t_eval=[1e3, 2e3, 1e4])
    assert flow.success and flow.stats["method"] == "waveform" and flow.stats["steps"] < 400
    assert "decay leaves" in flow.stats["choice"]
    slopes = np.diff(flow.log_norms, axis=0) / np.diff(flow.t)[:, None]
    np.testing.assert_allclose(slopes, [[-1.5, -2.0], [-1.5, -2.0]], rtol=1e-12)


@pytest.mark.parametrize("decay, rest", [(0.2, 0.8), ((0.1, 0.4), 0.8)])
def test_dead_neurons_do_not_end_a_stepper(decay, rest):
    # a lam_a = w D and w lam_w = a D at the end of the living one.
    flow = gflow.integrate(([0.3, 0.7], [[0.5], [-0.4]]), ([[1.0]], [1.0]), 1e5, decay=decay,
                           method="DOP853")
    assert flow.success and flow.a[-1, 1] == 0.0 == flow.W[-1, 1, 0]
    assert flow.a[-1, 0] * flow.W[-1, 0, 0] == pytest.approx(rest, abs=1e-7)
    assert (np.diff(np.abs(flow.W[:, 1, 0])) <= 0).all()
    # Until then at its rate, though it is nothing beside the rounding of the other.
    if np.ndim(decay) == 0:
        np.testing.assert_allclose(flow(3e3).W[1, 0], -0.4 * np.exp(-3e3 * decay), rtol=1e-6)


@pytest.mark.parametrize("method", ENGINES)
def test_a_leak_of_nearly_nothing_wakes_neurons_under_decay(method):
    # On the side of the leak of every point, all but dead, and never at rest there.
    start = TwoLayerReLU([-0.5, 0.4], [[-0.6], [-0.6]], slope=1e-4)
    flow = gflow.integrate(start, ([[1.0], [0.4]], [0.3, 2.0]), 1e7, decay=1e-8, method=method)
    short = gflow.integrate(start, ([[1.0], [0.4]], [0.3, 2.0]), 1e6, method="DOP853")
    assert flow.success and flow.loss[-1] == pytest.approx(short.loss[-1], rel=1e-3)


@pytest.mark.parametrize("method", ["RK45", "LSODA"])
def test_decay_stronger_than_all_points_ends_a_stepper_at_zero(method):
    X, y = np.array([[1.0, 0.5], [0.3, -1.0], [-0.7, 0.2]]), np.array([0.1, -0.05, 0.02])
    start = ([0.5, -0.3], [[0.3, 0.2], [0.2, -0.4]])
    flow = gflow.integrate(start, (X, y), 1e9, decay=1.0, method=method, rtol=1e-4)
    assert flow.success and not flow.W[-1].any() and not flow.a[-1].any()
    # Under a decay that the points outweigh a neuron comes back from however little.
    flow = gflow.integrate(([1.5 * 2.0**-1001], [[1.5 * 2.0**-1001]]), ([[1.0]], [1.0]), 3e3,
                           decay=0.5, method=method, rtol=1e-4)
    assert flow.success and flow.a[-1, 0] * flow.W[-1, 0, 0] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("rates", [(1.0, 1.0), (1.0, 0.07)])
@pytest.mark.parametrize("slope", [0.0, -0.3])
def test_a_layer_that_is_zero_grows_out_of_the_other_under_strong_decay(rates, slope):
    # It puts out nothing at the start, and decay outweighs all points: outputs come all the same.
    data = Data([[0.75, 0.3], [0.7, 0.9]], [-1.3, -0.04])
    start = TwoLayerReLU([0.0], [[0.25, 0.1]], slope=slope)
    decay = 0.9 / rates[0], 0.9 / rates[1]
    times = np.linspace(0.0, 3.0, 20)
    one, two = (gflow.integrate(start, data, 3.0, method=method, decay=decay, rates=rates,
                                rtol=1e-10, t_eval=times) for method in ENGINES)
    np.testing.assert_allclose(one.a, two.a, atol=1e-9)
    np.testing.assert_allclose(one.W, two.W, atol=1e-9)
    assert one.certificate().ok and np.abs(one.a).max() > 0.01


def test_what_a_dead_network_loses_is_known_on_long_windows():
    # Its windows are as long as they like: each loses all that there is in their first part.
    X = [[-0.2, -0.026, 1.0], [0.2, 0.026, 1.0], [0.07, -0.055, 1.0]]
    flow = gflow.integrate(([1.8], [[-0.63, 0.63, 0.0]]), (X, -np.ones(3)), 1e4,
                           loss="exponential", decay=0.1, method="waveform", rtol=1e-9)
    assert flow.stats["steps"] < 50 and not flow.pattern(1e4).any()
    lost = sum(flow.path.dissipation(p) for p in range(len(flow.path.pieces)))
    assert lost == pytest.approx(flow.objective[0] - flow.objective[-1], rel=1e-7)


def test_a_last_piece_that_ends_before_the_run_does():
    # All neurons lie on the hyperplane of the one point to rounding, and die out; LSODA, which has
    # made no step yet, goes on from where the first piece ends.
    problem = Drawn(2015)
    flow = problem.run("LSODA", problem.rtol, None)
    assert flow.success and flow.stats["steps"] == 2 and flow.certificate().ok


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
@pytest.mark.parametrize("loss, decay, slope, d, seed", [
    ("logistic", 0.01, 0.0, 2, 5), ("exponential", 0.03, 0.0, 2, 19), ("square", 0.003, 0.0, 1, 10),
    ("square", 0.003, 0.2, 1, 10), ("exponential", 0.5, 0.2, 1, 8)])
def test_neurons_that_shrink_in_a_cone_keep_nobody_awake(method, loss, decay, slope, d, seed):
    # Beside large neurons at rest; in one dimension also on a surface, where a leaky one is held at
    # w = 0, and in the cell of a large one, where nothing shrinks or grows.
    g = np.random.default_rng(seed)
    n, m = int(g.integers(1, 9)), int(g.integers(1, 6))
    X, y = g.standard_normal((n, d)), g.standard_normal(n)
    W = g.standard_normal((m, d))
    a = np.linalg.norm(W, axis=1) * g.choice([-1.0, 1.0], m)
    y = y if loss == "square" else np.sign(y)
    start = gflow.TwoLayerReLU(a, W, slope=slope)
    early, late = (gflow.integrate(start, (X, y), t, loss=loss, decay=decay, method=method)
                   for t in (1e3 / decay, 1e12))
    assert late.status == "finished"
    assert late.stats["steps"] < (250 if method == "waveform" else 1000)
    np.testing.assert_allclose(late.W[-1], early.W[-1], rtol=0, atol=1e-7)
    proof = late.certificate()
    # Stretches end before |a| and |w| of a neuron that shrinks have gone apart by rounding.
    assert proof.ok and (method != "waveform" or proof.gap < 1e-9)


@pytest.mark.parametrize("method", ["DOP853", "Radau", "waveform"])
@pytest.mark.parametrize("decay, t", [(1e-9, 1e8), (1e-15, 1e14)])
def test_decay_that_is_less_than_rounding_is_no_rest(method, decay, t):
    # Two neurons fit one point on the hyperbola a_1^2 - a_2^2 = 1. Along it, at a_1 = cosh(v),
    # nothing but decay moves them: v' = -decay tanh(2 v). A velocity of 1e-15 is rounding, and
    # after 1e14 it has gone a fifth of the way.
    v = 0.8
    start = ([np.cosh(v), -np.sinh(v)], [[np.cosh(v)], [np.sinh(v)]])
    flow = gflow.integrate(start, ([[1.0]], [1.0]), t, decay=decay, method=method)
    if method == "waveform" or decay == 1e-9:
        assert flow.status == "finished"
        a, b = flow.model.a
        assert -2 * a * b == pytest.approx(np.sinh(2 * v) * np.exp(-2 * decay * t), rel=1e-7)
    else:
        assert flow.status == "step_too_small" and "is decay, by less than rounding" in flow.message
        assert flow.t_end < t


def test_only_what_can_be_used_is_named_instead():
    v = 0.8
    start = ([np.cosh(v), -np.sinh(v)], [[np.cosh(v)], [np.sinh(v)]])
    for decay, named in ((1e-15, True), ((1e-15, 2e-15), False)):
        flow = gflow.integrate(start, ([[1.0]], [1.0]), 1e14, decay=decay, method="DOP853")
        assert flow.status == "step_too_small"
        assert ("waveform" in flow.message) == named


def test_a_fast_run_under_such_a_decay_goes_on():
    v = 0.8
    start = ([np.cosh(v), -np.sinh(v)], [[np.cosh(v)], [np.sinh(v)]])
    windows = itertools.count()
    flow = gflow.integrate(start, ([[1.0]], [1.0]), 1e16, decay=1e-15, method="waveform",
                           stop=gflow.stop.Rule(lambda s: next(windows) > 50, "enough", "it did"))
    assert flow.status == "enough"
    a, b = flow.model.a
    assert -2 * a * b == pytest.approx(np.sinh(2 * v) * np.exp(-2e-15 * flow.t_end), rel=1e-2)
