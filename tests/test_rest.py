"""Flows at rest cost nothing, however long, and their loss does not creep."""

import numpy as np
import pytest

import gflow
from losses import LogCosh
from validation import faults

ONE = ([[1.0]], [2.0])


def random(n=3, seed=1):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((6, 3)), rng.standard_normal(6)
    W = 0.3 * rng.standard_normal((5, 3))
    a = np.sqrt((W**2).sum(axis=1)) * rng.choice([-1.0, 1.0], 5)
    return (a, W), (X[:n], y[:n])


@pytest.mark.parametrize("method", ["DOP853", "RK23", "Radau", "BDF", "LSODA", "waveform"])
@pytest.mark.parametrize("model, data", [
    (([1.0], [[-1.0]]), ONE), (([0.0, 0.0], [[0.0], [0.0]]), ONE),
    (([1.0], [[1.0]]), ([[0.0]], [2.0])), (([1.0], [[2.0]]), ONE),
    # Both points push as much: a saddle, which rounding would leave after some thirty units of
    # time.
    (([0.0], [[0.0, 0.2]]), ([[1.1, 1.0], [-1.7, 1.0]], [-1.0, 1.0]))],
    ids=["dead", "zero", "zero rows", "fits", "saddle"])
def test_nothing_moves_in_one_piece(model, data, method):
    flow = gflow.integrate(model, data, 1e306, method=method)
    assert flow.status == "finished" and flow.stats["steps"] == 1 and flow.t.size == 200
    assert (flow.a == flow.a[0]).all() and (flow.W == flow.W[0]).all()


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
@pytest.mark.parametrize("n", [3, 6], ids=["fits", "stuck"])
@pytest.mark.parametrize("loss", ["square", LogCosh()], ids=["square", "logcosh"])
def test_long_after_the_end(loss, method, n):
    model, data = random(n)
    ends = [gflow.integrate(model, data, t_max, method=method, loss=loss)
            for t_max in (1e7, 1e12, 1e300)]
    assert [flow.status for flow in ends] == ["finished"] * 3
    assert max(flow.stats["steps"] for flow in ends) < 1500
    assert ends[1].loss[-1] == ends[2].loss[-1]
    assert abs(ends[2].loss[-1] - ends[0].loss[-1]) < 1e-15


def test_a_neuron_that_died_hides_none_that_grows():
    # Both start on the points below 0. The first dies; the second turns round, and is small for
    # long after nothing else happens.
    a, W = [4e-20, 2e-14], [[-2e-20], [-4e-14]]
    data = ([[-2.0], [-1.0], [1.0]], [-1.0, -1.0, 1.0])
    ends = [gflow.integrate((a, W), data, 60.0, method=method) for method in ("DOP853", "waveform")]
    assert all((flow.W[-1, 0] == 0).all() and abs(flow.W[-1, 1, 0]) > 0.5 for flow in ends)
    np.testing.assert_allclose(ends[0].W[-1], ends[1].W[-1], rtol=1e-6)


def test_engines_rest_at_the_same_place():
    model, data = random(6)
    ends = [gflow.integrate(model, data, 1e12, method=method) for method in ("DOP853", "waveform")]
    np.testing.assert_allclose(ends[0].W[-1], ends[1].W[-1], atol=1e-6)


@pytest.mark.parametrize("method", ["DOP853", "RK23", "Radau", "BDF", "LSODA", "waveform"])
@pytest.mark.parametrize("t_max", [5e-324, 1e-300, 1e-100])
def test_no_time_at_all(method, t_max):
    flow = gflow.integrate(([1.0], [[1.0]]), ONE, t_max, method=method)
    assert flow.success and flow.t_end == flow.t[-1] == t_max


def test_a_slide_that_shrinks_stays_on_its_hyperplane():
    # Off the plane by rounding, while the neuron shrinks by seventeen orders of magnitude.
    g = np.random.default_rng([31, 60])
    d, n = int(g.integers(1, 6)), int(g.integers(1, 60))
    g.choice(8)
    X, _ = g.standard_normal((n, d)), g.standard_normal(d)
    g.choice(4)
    g.standard_normal(n)
    y = g.standard_normal(n)
    pull = y @ X
    w = 1e-3 * pull / np.linalg.norm(pull)
    model = ([1e-3, -1e-3], [w, -w])
    flow = gflow.integrate(model, (X, y), 3000.0, method="DOP853", rtol=1e-10)
    assert flow.status == "finished"
    other = gflow.integrate(model, (X, y), 3000.0, method="waveform", rtol=1e-10)
    assert flow.loss[-1] == pytest.approx(other.loss[-1], rel=1e-9)


def test_a_fitted_point_far_away_costs_nothing():
    # Its output settles some 10^5 times as fast as all else: transients that no window follows have
    # to die out in it, not to swing on.
    rng = np.random.default_rng(3)
    far, n = 1e3, 3
    X, turn = np.zeros((n + 1, 3)), np.linalg.qr(rng.standard_normal((3, 3)))[0]
    X[:n, :2], X[n, 2] = rng.standard_normal((n, 2)), far
    W = np.column_stack([0.1 * rng.standard_normal((4, 2)), np.full(4, -1e-3)])
    a = np.linalg.norm(W, axis=1) * [1, -1, 1, -1]
    W, a = np.vstack([W, [1e-3, 2e-3, 1.0]]) @ turn, np.append(a, 1.0)
    y = np.append(rng.standard_normal(n), far)
    for rtol in (1e-4, 1e-8):
        flow = gflow.integrate((a, W), (X @ turn, y), 100.0, method="waveform", rtol=rtol,
                               threads=1, max_events=5000)
        assert flow.success and flow.stats["steps"] + flow.stats["rejected_steps"] < 400


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_a_neuron_that_shrinks_for_ever_ends_no_rest(method):
    # The second neuron shrinks at a point that nobody can fit: with v = a |w|, v' = -v (1 + v).
    X, y = np.array([[1.0], [-1.0]]), np.array([1.0, -1.0])
    flow = gflow.integrate(([0.5, 0.5], [[0.5], [-0.5]]), (X, y), 1e12, method=method,
                           threads=1, t_eval=[20.0, 600.0, 1e12])
    most = 200 if method == "waveform" else 2000
    assert flow.success and flow.stats["steps"] + flow.stats["rejected_steps"] < most
    v = 0.2 * np.exp(-flow.t[:2])
    np.testing.assert_allclose(flow.a[:2, 1], np.sqrt(v / (1 - v)), rtol=1e-6)
    assert flow.a[-1, 1] == 0.0 and flow.a[-1, 0] == pytest.approx(1.0, rel=1e-7)


# The first neuron slides along the first axis, held by the second point, and shrinks.
HELD = np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.5], [1.0, -3.0]])


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_what_shrinks_on_a_ray_is_left_alone(method, tmp_path):
    # v' = -v (1.75 + 2.5 v), with v = a |w|; the second neuron fits the last point.
    X, y = np.vstack([HELD[:3], [[-1.0, 0.0]]]), np.array([-2.0, -3.0, 0.5, 1.0])
    W = [[0.5, 0.0], [-1.0, -0.5]]
    flow = gflow.integrate(([0.5, np.sqrt(1.25)], W), (X, y), 1e12, method=method, threads=1,
                           t_eval=[10.0, 500.0, 1e12])
    most = 200 if method == "waveform" else 2000
    assert flow.success and flow.stats["steps"] + flow.stats["rejected_steps"] < most
    left = 0.25 / (1.75 + 2.5 * 0.25) * np.exp(-1.75 * flow.t[:2])
    np.testing.assert_allclose(flow.a[:2, 0]**2, 1.75 * left / (1 - 2.5 * left), rtol=1e-6)
    np.testing.assert_allclose(flow.W[:2, 0, 0], flow.a[:2, 0], rtol=1e-14)
    assert (flow.W[:, 0, 1] == 0.0).all()
    assert flow.loss[-1] == pytest.approx((4 + 9 + 0.25) / 8, rel=1e-12)
    if method == "waveform":
        assert flow.log_norms[-1, 0] == pytest.approx(-0.875e12, rel=1e-12)
    flow.save(tmp_path / "flow.npz")
    assert (gflow.load(tmp_path / "flow.npz")([10.0, 500.0]).a == flow.a[:2]).all()


def test_what_shrinks_below_rounding_comes_back():
    # Until the second neuron, 1e-60 at first, has grown: then the field of the first one turns.
    w = 1e-60 * np.array([1.0, -2.0])
    model = ([0.5, -np.linalg.norm(w)], [[0.5, 0.0], w])
    ends = [gflow.integrate(model, (HELD, [-0.5, -60.0, 0.5, -9.0]), 60.0, method=method,
                            rtol=1e-10) for method in ("DOP853", "waveform")]
    assert ends[1].a[:, 0].min() < 1e-19 and ends[1].stats["steps"] < 120
    np.testing.assert_allclose(ends[0].a[-1], ends[1].a[-1], rtol=1e-6)


# Under decay

AGAINST_DECAY = (np.array([[1.0, 0.2], [0.5, 1.0], [0.8, 0.1]]), np.array([1.0, 1.5, -0.3]))


@pytest.mark.parametrize("slope, neurons", [(0.3, [0, 1, 2]), (0.0, [0, 1]), (0.0, [1]),
                                            (0.0, [0])])
def test_rest_under_decay_costs_nothing(slope, neurons, tmp_path):
    a = np.array([0.3, 0.7, -0.2])[neurons]
    W = np.array([[0.5, 0.1], [-0.4, -0.3], [0.4, -0.5]])[neurons]
    start = gflow.TwoLayerReLU(a, W, slope=slope)
    flow = gflow.integrate(start, AGAINST_DECAY, 1e12, decay=0.2, method="waveform")
    other = gflow.integrate(start, AGAINST_DECAY, 300.0, decay=0.2, method="DOP853")
    assert flow.success and flow.stats["steps"] < 300 and flow.certificate().ok
    np.testing.assert_allclose(flow.W[-1], other.W[-1], atol=1e-7)
    # A dead neuron loses 0.2 of the logarithm of its size in a unit of time, however late.
    dead = (slope == 0) & (W[:, 0] < 0)
    shrunk = flow.log_norms[:, dead] + 0.2 * flow.t[:, None]
    np.testing.assert_allclose(shrunk, np.log(0.5), atol=1e-9 + 1e-15 * 0.2e12)
    # What is dissipated is what the objective falls by, on the last pieces too.
    for p in range(flow.stats["steps"]) if dead.all() else ():
        t = np.array(flow.path.breaks[p:p + 2])
        size = np.exp(2 * (np.log(0.5) - 0.2 * t)) * (1 + 0.49 / 0.25)
        assert flow.path.dissipation(p) == pytest.approx(-0.1 * np.diff(size)[0], rel=1e-6)
    flow.save(tmp_path / "run.npz")
    longer = gflow.load(tmp_path / "run.npz").extend(3e12)
    assert longer.success and longer.stats["steps"] < 400
    np.testing.assert_allclose(longer(1e12).W, flow.W[-1], atol=1e-12)
    np.testing.assert_allclose(longer.W[-1], flow.W[-1], atol=1e-8)


@pytest.mark.parametrize("decay", [2.0, (2.0, 1.0)])
def test_networks_that_decay_to_nothing(decay):
    rng = np.random.default_rng(3)
    data = (rng.standard_normal((6, 2)), 0.3 * rng.standard_normal(6))
    W = rng.standard_normal((5, 2))
    a = np.sqrt((W**2).sum(axis=1)) * rng.choice([-1.0, 1.0], 5)
    times, flows = [0.0, 10.0, 50.0, 400.0, 1e6], {}
    for method in ("DOP853", "LSODA", "Radau", "BDF"):
        flows[method] = flow = gflow.integrate((a, W), data, 1e6, method=method, decay=decay,
                                               t_eval=times)
        # Low orders would take some 30 steps for each factor of e, of which there are 700.
        assert flow.status == "finished" and flow.stats["steps"] < 3000
        assert not flow.a[-1].any()
    # Relative to what is left of every neuron: 1e-42, 1e-174.
    exact = flows.pop("DOP853")
    size = np.hypot(exact.a, exact.norms)[:4]
    for flow in flows.values():
        off = np.hypot(flow.a - exact.a, np.linalg.norm(flow.W - exact.W, axis=2))[:4]
        assert (off <= 1e-5 * size).all()


@pytest.mark.parametrize("seed", [1101582, 1101950])
def test_a_sliding_neuron_at_rest_costs_nothing(seed):
    """One that is off its hyperplane by rounding: late windows were 1e6 long, and thousands."""
    _, problem = faults.draw(seed)
    flow = faults.run(problem, "waveform", 1e-8)
    assert flow.t_end > 1e10 and (flow.pattern(flow.t_end) == 2).any()
    assert flow.stats["steps"] < 100


def test_neurons_that_cancel_at_rest_cost_nothing():
    """Outputs that cancel are known to the rounding of their terms: from t = 1e7 to 5e9 windows
    were a million long."""
    _, problem = faults.draw(10003792)
    flow = faults.run(problem, "waveform", 1e-8)
    assert flow.t_end > 1e9 and flow.stats["steps"] < 100
    active = np.maximum(flow.data.X @ flow.W[-1].T, 0.0) * flow.a[-1]
    assert np.abs(active.sum(axis=1)).max() < 1e-9 * np.abs(active).sum(axis=1).max()


def cone(rng, ratio, n):
    w = rng.standard_normal((1, 4))
    return rng.standard_normal((n, 4)), ([-ratio * np.sqrt((w**2).sum())], w)


def apart(rng):
    X, W = rng.standard_normal((3, 2)), rng.standard_normal((2, 2))
    return X, (np.sqrt((W**2).sum(axis=1)) * [0.5, -2.0], W)


def line(rng):
    return rng.standard_normal((11, 1)), ([1.5, 6.0, 2.0], [[-3.0], [-3.0], [4.0]])


@pytest.mark.parametrize("rtol, draw, seeds", [
    (1e-8, lambda rng: cone(rng, 2.0, 10), (2, 12, 14)),
    (1e-12, lambda rng: cone(rng, 0.5, 5), (2, 13, 14)), (1e-8, line, (1, 4, 7)),
    (1e-8, apart, (0, 437, 451))], ids=["w", "a", "both", "apart"])
def test_outputs_that_vanish_cost_nothing(rtol, draw, seeds):
    """A weight vanishes in a cone, and nobody knows its direction any more; or an output weight
    does, and all else is slow; or both, at the same time, or of two neurons: their layers are
    unlike in the end, which is no reason to measure them by what they put out."""
    for seed in seeds:
        X, model = draw(np.random.default_rng(seed))
        fast, slow = (gflow.integrate(model, (X, np.zeros(len(X))), 1e15, method=method, rtol=rtol,
                                      max_events=200) for method in ("waveform", "DOP853"))
        assert fast.status == slow.status == "finished"
        assert fast.stats["steps"] < 100 and fast.stats["events"] < 20
        assert fast.certificate(50).ok
        assert np.abs(fast.a[-1] - slow.a[-1]).max() < 1e3 * rtol
        assert np.abs(fast.W[-1] - slow.W[-1]).max() < 1e3 * rtol


@pytest.mark.parametrize("seed", [10020224, 10022531])
def test_neurons_shrink_on_at_a_rest_between_events(seed):
    """As pulls that stay have them do: to nothing, where windows end otherwise."""
    _, problem = faults.draw(seed)
    fast, slow = (faults.run(problem, method, 1e-12) for method in ("waveform", "DOP853"))
    assert fast.status == slow.status == "finished" and fast.certificate(100).ok
    assert np.abs(faults.outputs(fast) - faults.outputs(slow)).max() < 1e-9
    last = fast.log_norms[-1]
    assert last[np.isfinite(last)].min() < -1e3
