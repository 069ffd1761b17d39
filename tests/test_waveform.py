"""The fast engine: the same flow as the steppers, whatever the width and the scale."""

import signal

import numpy as np
import pytest
from hypothesis import assume, given

import gflow
from gflow.engines.waveform.marcher import Marcher
from gflow.engines.waveform.window import Window
from gflow.kernels import rounds
from gflow.engines.run import Stop
from problems import NAMES, problems, reference, relative_errors, same_events, solve


@pytest.mark.parametrize("name", NAMES)
def test_references(name):
    ref = reference(name)
    flow = solve(ref.problem, method="waveform", rtol=1e-11, t_eval=ref.t)
    assert flow.success and relative_errors(flow, ref).max() <= 1e-9
    same_events(flow.events, ref.events, rtol=1e-7)
    assert flow.certificate().ok


@given(problems(dims=6))
def test_agrees_with_the_stepper(problem):
    exact = solve(problem, rtol=1e-11)
    # Where the solution is not unique, or residuals reach rounding, there is nothing to agree on.
    assume(not exact.stats["ambiguous"] and exact.loss[-1] > 1e-10)
    flow = solve(problem, method="waveform", rtol=1e-9)
    assert flow.success and flow.certificate().ok
    assert relative_errors(flow, exact).max() < 1e-5


def wide():
    """Eighty neurons, some hundreds of events."""
    data = gflow.datasets.linear_teacher(15, 3, rng=3)
    return gflow.init.balanced(80, 3, 1e-3, rng=4), data


def test_threads_change_nothing():
    model, data = wide()
    one, two = (gflow.integrate(model, data, 15.0, method="waveform", threads=k) for k in (1, 2))
    assert len(one.events) > 300 and (one.events == two.events).all()
    assert (one.a == two.a).all() and (one.W == two.W).all()


def test_saved_and_loaded(tmp_path):
    model, data = wide()
    flow = gflow.integrate(model, data, 10.0, method="waveform")
    flow.save(tmp_path / "run.npz")
    again = gflow.load(tmp_path / "run.npz")
    assert (again.events == flow.events).all() and (again.W == flow.W).all()
    assert (again(3.3).W == flow(3.3).W).all() and (again.pattern(3.3) == flow.pattern(3.3)).all()


def test_no_scale_is_too_small():
    data = gflow.datasets.linear_teacher(20, 3, rng=0)
    small, tiny = (gflow.integrate(gflow.init.balanced(30, 3, scale, rng=1), data, 12.0,
                                   method="waveform", rtol=1e-10) for scale in (1e-8, 1e-300))
    assert small.success and tiny.success and tiny.norms[-1].max() < 1e-290
    np.testing.assert_allclose(tiny.directions, small.directions, atol=1e-6)
    assert len(tiny.events) == len(small.events) > 50


def test_stops_and_interrupts():
    model, data = wide()
    flow = gflow.integrate(model, data, 50.0, method="waveform",
                           stop=gflow.stop.loss_below(0.5 * model.loss(data)))
    assert flow.status == "loss_below"
    np.testing.assert_allclose(flow.loss[-1], 0.5 * model.loss(data), rtol=1e-3)
    assert not len(flow.events) or flow.events["time"][-1] <= flow.t_end

    def interrupt(state):
        signal.raise_signal(signal.SIGINT)
        return False

    flow = gflow.integrate(model, data, 50.0, method="waveform", stop=interrupt)
    assert flow.status == "interrupted" and 0 < flow.t_end < 50 and not flow.success
    flow = gflow.integrate(model, data, 50.0, method="waveform", max_events=40)
    assert flow.status == "max_events" and len(flow.events) >= 40
    assert flow.t_end == flow.events["time"][39]


def test_the_default_chooses():
    model, data = wide()
    flow = gflow.integrate(model, data, 1.0)
    assert flow.stats["method"] == "waveform" and "1200 pairs" in flow.stats["choice"]
    assert flow.settings["method"] == "auto"
    small = gflow.datasets.three_points()
    start = gflow.init.balanced(4, 2, 1e-3, rng=0)
    assert gflow.integrate(start, small, 1.0).stats["method"] == "DOP853"
    late = gflow.integrate(start, small, 1e5)
    assert late.stats["method"] == "waveform" and "turns" in late.stats["choice"]
    assert gflow.integrate(start, small, 1.0, method="RK45").stats["choice"] == "as asked"


@pytest.mark.parametrize("n, d", [(30, 2), (3, 4)])
def test_the_long_tail_ends_at_a_stationary_point(n, d):
    # Non-interpolation and interpolation; the fast modes have died out long before the end.
    data = gflow.datasets.linear_teacher(n, d, noise=0.5, rng=1)
    flow = gflow.integrate(gflow.init.balanced(20, d, 1e-2, rng=2), data, 1e6, method="waveform")
    certificate = flow.certificate()
    assert flow.success and certificate.ok and certificate.stationarity < 1e-9
    assert flow.stats["nfev"] < 6000


def test_overflow_is_named():
    model, data = wide()
    flow = gflow.integrate(model, (data.X, 1e160 * data.y), 50.0, method="waveform")
    assert flow.status == "non_finite" and not flow.success
    assert np.isfinite(flow.W).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_failing_thread_leaves_what_was_reached(threads, monkeypatch):
    model, data = wide()
    whole = gflow.integrate(model, data, 15.0, method="waveform")
    march_round, calls = rounds.march_round, []

    def dies(*arguments):
        calls.append(1)
        if len(calls) > 12:
            raise MemoryError("no room")
        return march_round(*arguments)

    monkeypatch.setattr(rounds, "march_round", dies)
    flow = gflow.integrate(model, data, 15.0, method="waveform", threads=threads)
    monkeypatch.undo()
    assert flow.status == "worker_failed" and not flow.success and "no room" in flow.message
    assert 0 < flow.t_end < 15.0 and len(flow.events)
    np.testing.assert_allclose(flow.model.W, whole(flow.t_end).W, rtol=1e-9, atol=1e-12)


def test_nan_in_a_window_is_named(monkeypatch):
    model, data = wide()
    force, calls = Marcher.force, []

    def poisoned(self, values, half, strength):
        calls.append(1)
        if len(calls) > 12:
            values = values.copy()
            values[4, 2] = np.nan
        return force(self, values, half, strength)

    monkeypatch.setattr(Marcher, "force", poisoned)
    flow = gflow.integrate(model, data, 15.0, method="waveform")
    monkeypatch.undo()
    assert flow.status == "non_finite" and "point 2" in flow.message and flow.t_end > 0
    assert np.isfinite(flow.W).all()


def test_a_window_on_which_neurons_fail_is_tried_again(monkeypatch):
    model, data = wide()
    whole = gflow.integrate(model, data, 15.0, method="waveform")
    force, calls = Marcher.force, []

    def fails_once(self, values, half, strength):
        calls.append(1)
        if len(calls) == 12:
            raise Stop("sliding_unresolved", "neuron 1 is lost")
        return force(self, values, half, strength)

    monkeypatch.setattr(Marcher, "force", fails_once)
    flow = gflow.integrate(model, data, 15.0, method="waveform")
    assert flow.success and len(calls) > 12
    np.testing.assert_allclose(flow.model.W, whole.model.W, atol=1e-6)


def test_log_scales_go_below_double_precision():
    data = gflow.datasets.linear_teacher(20, 3, rng=0)
    small = gflow.integrate(gflow.init.balanced(30, 3, 1e-8, rng=1), data, 12.0,
                            method="waveform", rtol=1e-10)
    start = gflow.init.balanced(30, 3, 1.0, rng=1, log_scale=-5000.0)
    tiny = gflow.integrate(start, data, 12.0, rtol=1e-10)
    assert tiny.success and tiny.stats["method"] == "waveform" and not tiny.W.any()
    np.testing.assert_allclose(tiny.directions, small.directions, atol=1e-6)
    np.testing.assert_allclose(tiny.log_norms + 5000.0, small.log_norms - np.log(1e-8), atol=1e-6)
    assert len(tiny.events) == len(small.events) > 50
    # A scale that both forms reach is the same start.
    one = gflow.integrate(gflow.init.balanced(5, 3, 1.0, rng=1, log_scale=np.log(1e-3)), data, 9.0,
                          method="DOP853")
    other = gflow.integrate(gflow.init.balanced(5, 3, 1e-3, rng=1), data, 9.0, method="waveform")
    np.testing.assert_allclose(one.W, other.W, rtol=1e-4, atol=1e-9)
    with pytest.raises(ValueError, match="log_scale = -5000.*waveform"):
        gflow.integrate(start, data, 1.0, method="DOP853")


def test_a_neuron_that_points_along_a_normal_watches_it_too():
    X = [[1, 2, 1], [1, 1, -1], [-2, 2, 1], [-1, 2, 2], [0, -1, 1]]
    problem = ([1e-8], [[0.5e-8, 0.5e-8, -0.5e-8]]), (X, [-1, -2, 1, -1, -2])
    one, other = (gflow.integrate(*problem, 2.0, method=method) for method in ("waveform",
                                                                               "DOP853"))
    assert one.certificate().ok and len(one.events) == len(other.events) > 0
    np.testing.assert_allclose(one.events["time"], other.events["time"], rtol=1e-6)


@pytest.mark.parametrize("seed, rtol", [(0, 1e-7), (6, 1e-9), (14, 1e-7)])
def test_growth_from_far_below_the_residuals(seed, rtol):
    # What grows out of rounding, extrapolated, is a guess under which neurons would run off.
    data = gflow.datasets.orthogonal(8, rng=seed)
    start = gflow.init.balanced(5, 8, 1.0, rng=100 + seed)
    model = gflow.TwoLayerReLU(start.a, start.W, -64 * np.log(10))
    flow = gflow.integrate(model, data, 1000.0, method="waveform", rtol=rtol, t_eval=[0.0])
    assert flow.status == "finished"


@pytest.mark.parametrize("seed", [872, 1483])
def test_points_that_almost_coincide(seed):
    # Neurons that slide on some of them were moved far, or lost: sliding_unresolved at loose rtol.
    rng = np.random.default_rng(seed)
    d, k, apart = int(rng.integers(3, 6)), int(rng.integers(3, 7)), 10 ** rng.uniform(-5, -3)
    copies = int(rng.integers(2, 4))
    base = rng.standard_normal((k, d))
    X = np.concatenate([base * rng.uniform(0.5, 1.5, (k, 1)) + apart * rng.standard_normal((k, d))
                        for _ in range(copies)])
    if rng.random() < 0.5:
        X[::3] *= -1
    y, m, scale = rng.standard_normal(len(X)), int(rng.integers(8, 30)), 10 ** rng.uniform(-2, 0)
    a, W = rng.standard_normal(m) * scale, rng.standard_normal((m, d)) * scale
    t_max = float(rng.choice([2.0, 6.0, 20.0]))
    flow = gflow.integrate((a, W), (X, y), t_max, method="waveform", rtol=1e-5)
    assert flow.success and flow.certificate().wrong_side <= 1e-4


def test_rules_see_the_loss_of_the_state():
    data = gflow.datasets.linear_teacher(20, 3, noise=0.5, rng=0)
    seen = []
    gflow.integrate(gflow.init.balanced(20, 3, 1e-2, rng=1), data, 60.0, method="waveform",
                    rtol=1e-9, stop=lambda state: seen.append(state))
    assert len(seen) > 20
    for state in seen:
        exact = gflow.TwoLayerReLU(state.a, state.W).loss(data)
        assert state.loss == pytest.approx(exact, rel=1e-7)


def test_weights_that_lose_their_digits_are_certified():
    # It slides along the hyperplane of the first point and shrinks like exp(-t / 3).
    c, s = np.cos(0.4), np.sin(0.4)
    X = np.array([[0.0, 1.0], [1.0, -1.0], [1.0, 0.3]]) @ [[c, s], [-s, c]]
    start = gflow.TwoLayerReLU([-0.1], [[0.1 * c, 0.1 * s]], log_scale=-715.0)
    flow = gflow.integrate(start, (X, [2.0, 1.0, 0.0]), 60.0, method="waveform")
    assert flow.success and (flow.pattern(60.0) == [[2, 1, 1]]).all()
    norms = np.abs(flow.W).max(axis=(1, 2))
    assert 0.0 < norms[-1] < 1e-318
    assert flow.certificate().ok


@pytest.mark.parametrize("n, d, width", [(33, 2, 1e-3), (40, 2, 1.0), (60, 4, 0.1)])
def test_progress_where_all_hyperplanes_are_near(n, d, width):
    # Inputs from 10 to 10 + width with a bias: one narrow cone of normals.
    rng = np.random.default_rng(n)
    X = np.column_stack([10 + width * rng.random((n, d - 1)), np.ones(n)])
    start = gflow.init.balanced(8, d, 1e-3, rng=1)
    one, other = (gflow.integrate(start, (X, np.ones(n)), 0.5, method=method)
                  for method in ("waveform", "DOP853"))
    assert one.success and other.success
    np.testing.assert_allclose(one.W[-1], other.W[-1], atol=1e-5)


def test_rounding_that_pushes_a_neuron_against_a_hyperplane_ends():
    # Two points 2e-10 apart in direction, and an output weight 1e4 times the hidden one: the field
    # along their normals is rounding once the neuron lies on both.
    x = np.array([1.7598046388339341, 0.9180491826042463, -0.5285940716136105, -1.1953828859869986,
                  -2.2692828430560725])
    near = np.array([1.7598046389711222, 0.9180491819834031, -0.528594071772554,
                     -1.1953828861079663, -2.269282842615526])
    start = [-64.12667082473948], [[0.004114922757818151, -0.0006666161951247446,
                                    -0.0043615159565414795, 0.002107646059403168,
                                    -0.0006470478589796042]]
    data = [x, near], [28.951779434713508, -2.1761291347376734]
    one, other = (gflow.integrate(start, data, 1.348363359658651, method=method, rtol=1e-11)
                  for method in ("waveform", "DOP853"))
    assert one.success and other.success
    np.testing.assert_allclose(one.W[-1], other.W[-1], rtol=1e-6, atol=1e-6)


def test_many_slides_in_high_dimension_as_the_stepper():
    # More neurons than dimensions would be groups; here kernels and choices are made neuron by
    # neuron, with several hyperplanes at once.
    data = gflow.datasets.linear_teacher(n=40, d=24, noise=0.5, rng=3)
    start = gflow.init.balanced(8, 24, 1e-2, rng=4)
    fast, plain = (gflow.integrate(start, data, 12.0, method=method, rtol=1e-8)
                   for method in ("waveform", "DOP853"))
    assert fast.success and plain.success and fast.certificate().ok
    together = max((fast.pattern(t) == 2).sum(axis=1).max() for t in fast.t)
    assert together > 3
    np.testing.assert_allclose(fast.W, plain.W, rtol=0, atol=1e-6 * np.abs(plain.W).max())
    np.testing.assert_allclose(fast.loss, plain.loss, rtol=1e-6)


def test_a_neuron_at_rest_does_not_stand_for_others():
    # Neuron 0 comes to w = 0; neuron 1 is on the same side of the only hyperplane, and goes on.
    start = ([-1.0, 0.5], [[0.2], [0.2]])
    data = ([[1.0], [2.0]], [1.0, 1.0])
    run = gflow.integrate(start, data, 20.0, method="waveform", rtol=1e-9)
    other = gflow.integrate(start, data, 20.0, method="DOP853", rtol=1e-9)
    assert not run.W[-1, 0].any() and run.loss[-1] < run.loss[len(run.t) // 20]
    np.testing.assert_allclose(run.W[-1], other.W[-1], atol=1e-7)
    assert run.certificate().ok
    steps = gflow.integrate(start, data, 20.0, method="waveform", rtol=1e-9, save=["grad_norm"])
    assert steps.saved["grad_norm"][-1] < 1e-6


def test_a_neuron_that_shrinks_for_ever_on_a_ray():
    """Balanced, on a hyperplane on which both sides hold it: exp(-|D.e| t), without end. On long
    windows rounding must not turn it round: it would grow by as much."""
    X, y = np.array([[1.0, -1.0], [0.4, 1.0]]), np.array([-0.3, -1.2])
    e = np.array([1.0, -0.4]) / np.hypot(1.0, 0.4)
    size, rate = np.array([1e-3, 1.7e-3]), 0.15 * X[0] @ e
    flow = gflow.integrate((size, size[:, None] * e), (X, y), 2e3, method="waveform", rtol=1e-6)
    assert len(flow.events) == 0 and flow.success
    assert np.allclose(flow.log_norms[-1], np.log(size) - rate * 2e3, atol=1e-3)


def test_a_neuron_that_has_died_stops_no_other():
    """On a line: two reach w = 0 and rest, with the sides of the other, which grows."""
    rng = np.random.default_rng(213)
    rng.integers(9, size=3)
    X, y = rng.standard_normal((5, 1)), rng.standard_normal(5)
    start = [0.18, -0.011, 0.22], [[0.14], [0.006], [-0.12]]
    runs = [gflow.integrate(start, (X, y), t, method=method, rtol=1e-9)
            for t, method in ((1e5, "waveform"), (200.0, "DOP853"))]
    assert (runs[0].W[-1, [0, 2]] == 0.0).all() and abs(runs[1].W[-1, 1, 0]) > 0.5
    # And they do not count in the gradient.
    last = []
    gflow.integrate(start, (X, y), 1e3, method="waveform", rtol=1e-9,
                    stop=lambda state: last.append(state.grad_norm) or False)
    assert last[-1] < 1e-8
    assert np.allclose(runs[0].W[-1], runs[1].W[-1], rtol=1e-6)


def test_slides_on_columns_of_unlike_size_end_in_time():
    # Their normals are nearly dependent, and late everything is slow: multipliers that have left
    # [0, 1] by little stay there for long.
    rng = np.random.default_rng([6, 3])
    X = rng.normal(size=(20, 3)) * [1, 10, 0.3] + [0, 5, 0]
    y = 30 + 4 * X[:, 0] - 2 * X[:, 1] + 20 * np.sin(8 * X[:, 2]) + rng.normal(size=20)
    flow = gflow.integrate(gflow.init.balanced(12, 4, 1e-2, rng=0), gflow.Data(X, y, bias=True),
                           600.0, method="waveform")
    # All pieces: the multipliers are off on few of them.
    certificate = flow.certificate()
    assert flow.stats["release"] > 20 and certificate.ok, certificate
    assert flow.certificate(200).ok, flow.certificate(200)


def test_sides_are_the_same_in_whatever_order_windows_are_asked():
    flow = gflow.integrate(gflow.init.balanced(30, 3, 1e-2, rng=1),
                           gflow.datasets.linear_teacher(40, 3, noise=0.5, rng=2), 50.0,
                           method="waveform", rtol=1e-6)
    path, side, sides = flow.path, flow.path.first_side, []
    for window in path.pieces:
        sides.append(side)
        if isinstance(window, Window):
            side = side.copy()
            for i, _, h, _, now in window.events:
                side[int(i), int(h)] = now
    order = np.random.default_rng(0).permutation(len(sides))
    assert len(sides) > 20 and any((one != sides[0]).any() for one in sides)
    for p in [*order, *order[::-1]]:
        assert np.array_equal(path.side_at(p), sides[p]), p
    assert np.array_equal(path.first_side, sides[0])
