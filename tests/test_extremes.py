"""Starts and data of extreme proportions: right, or no success."""

import subprocess
import sys

import numpy as np
import pytest

import gflow
from gflow.engines.waveform.limits import FADINGS, fading
from validation import faults
from validation.checks import solver_engines

ENGINES = ["DOP853", "waveform"]


def problem(seed):
    rng = np.random.default_rng(seed)
    X, y, W = rng.standard_normal((8, 3)), rng.standard_normal(8), rng.standard_normal((4, 3))
    return np.sqrt((W**2).sum(axis=1)) * rng.choice([-1.0, 1.0], 4), W, X, y


@pytest.mark.parametrize("method", [*ENGINES, "Radau"])
@pytest.mark.parametrize("x, u", [(-300, 150), (300, 0), (-300, -150), (60, -200)])
def test_units_of_powers_of_two_change_no_bit(method, x, u):
    a, W, X, y = problem(0)
    ends = []
    for x, u in ((60, 0), (x, u)):
        flow = gflow.integrate((np.ldexp(a, u), np.ldexp(W, u)),
                               (np.ldexp(X, x), np.ldexp(y, x + 2 * u)),
                               float(np.ldexp(5.0, -2 * x - 2 * u)), method=method)
        assert flow.status == "finished" and flow.t_end == np.ldexp(5.0, -2 * x - 2 * u)
        ends.append((np.ldexp(flow.a, -u), np.ldexp(flow.events["time"], 2 * x + 2 * u)))
    assert (ends[0][0] == ends[1][0]).all() and (ends[0][1] == ends[1][1]).all()


@pytest.mark.parametrize("method", ENGINES)
def test_units_and_none_agree(method, tmp_path):
    a, W, X, y = problem(1)
    plain = gflow.integrate((a, W), (X, y), 5.0, method=method)
    flow = gflow.integrate((a, W), (2.0**200 * X, 2.0**200 * y), 2.0**-400 * 5.0, method=method)
    np.testing.assert_allclose(flow.W[-1], plain.W[-1], atol=1e-6)
    flow.save(tmp_path / "flow.npz")
    assert (gflow.load(tmp_path / "flow.npz").W == flow.W).all()
    assert flow(flow.t[50]).a == pytest.approx(flow.a[50], rel=1e-12)


@pytest.mark.parametrize("method", ENGINES)
@pytest.mark.parametrize("ratio", [1e-12, 1e-17, 1e-100])
def test_hidden_weights_far_below_output_weights(method, ratio):
    # The limit is reached at 1e-8 to that accuracy: only the first cones count.
    for seed in (0, 3):
        a, W, X, y = problem(seed)
        loss = [gflow.integrate((a, small * W), (X, y), 3.0, method=method).loss[-1]
                for small in (1e-8, ratio)]
        assert loss[1] == pytest.approx(loss[0], rel=1e-5)


def test_rounding_of_a_step_brings_no_contact_back_for_ever():
    # On a step on which |w| grows a millionfold, dense output is off by more than 1e-12 of its
    # start: beyond the hyperplane that the neuron has just passed.
    problem = faults.draw(20091)[1]._replace(t_max=1.0)
    ends = [faults.run(problem, method, rtol) for method, rtol in (("DOP853", 1e-12),
                                                                   ("waveform", 1e-8))]
    assert [flow.status for flow in ends] == ["finished"] * 2
    np.testing.assert_allclose(ends[0].W[-1], ends[1].W[-1], atol=1e-6)


@pytest.mark.parametrize("rtol, events", [(1e-8, (5,)), (1e-11, (5, 7))])
def test_a_single_contact_that_changes_nothing_is_no_rounding(rtol, events):
    # A slow neuron that noise lets go of (that depends on the processor) meets its hyperplane
    # again, is held there as before, and not let go of a second time; at 1e-8 it is not let go of
    # at all, as it should be.
    model, data = solver_engines.workload("W9", 5)
    flow = gflow.integrate(model, data, 1200.0, method="DOP853", rtol=rtol)
    assert len(flow.events) in events
    assert flow.certificate().wrong_side <= 1.5 * rtol


@pytest.mark.parametrize("method", ENGINES)
def test_overflow_is_not_recorded_as_a_perfect_fit(method):
    flow = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1e200]), 5.0, method=method, save=["loss"])
    assert flow.status == "non_finite" and "point 0" in flow.message
    assert flow.saved["loss"].tolist() == [np.inf]


def test_weights_below_a_stepper():
    start = gflow.TwoLayerReLU([1.0], [[1e-305]])
    flow = gflow.integrate(start, ([[1.0]], [1.0]), 1.0, method="DOP853")
    assert flow.status == "refused" and "neuron 0" in flow.message


def test_a_window_on_which_curvatures_overflow_is_too_long():
    # A loss of 1e31 at the start, and kernels in single precision.
    problem = faults.draw_setting(300095)[1]
    ends = [faults.run(problem, method, 1e-7) for method in ("DOP853", "waveform")]
    assert [flow.status for flow in ends] == ["finished"] * 2
    assert ends[0].loss[-1] == pytest.approx(ends[1].loss[-1], rel=1e-6)


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_a_slide_crosses_hyperplanes_closer_to_it_than_errors(method):
    """Points 7, 9, 10 are 1e-11 apart: on the hyperplane of 9 errors move a neuron along, not off
    that of 10, which it has to meet. From a tolerance of 1e-11 on it did not (by 1.5e-2)."""
    problem = faults.draw(10025662)[1]
    exact = faults.run(problem, "DOP853", 1e-12)
    for rtol in (1e-3, 1e-6, 1e-8, 1e-10):
        flow = faults.run(problem, method, rtol)
        assert np.abs(faults.outputs(flow) - faults.outputs(exact)).max() < 1e2 * rtol
        times = {(int(i), int(k)): t for t, i, k, kind, _ in flow.events if kind == "activate"}
        # It comes near that hyperplane along it.
        assert 3.7 < times[4, 10] < 3.9


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_a_slide_crosses_them_on_its_first_step(method):
    """Points 1e-7 apart: the slide on 2 ends at the hyperplane of 6, at t = 3.309, in a step that
    began beside it; the stepper saw it at the end of that, at 4.339 (outputs off by 2.4e-3)."""
    flow = faults.run(faults.draw(10026977)[1], method, 1e-8)
    (release,) = [t for t, _, k, kind, _ in flow.events if kind == "release" and k == 2]
    assert abs(release - 3.3090428) < 1e-6


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_a_slide_on_a_line_meets_hyperplanes_of_almost_its_direction_at_zero(method):
    """Points 4e-7 apart: where |w| is 1e-12 rounding had the neuron meet their hyperplanes, and go
    on beside them, without a word."""
    problem = faults.draw(20082575)[1]
    exact = faults.outputs(faults.run(problem, "waveform", 1e-12))
    for rtol in (1e-8, 1e-9, 1e-10, 1e-11):
        flow = faults.run(problem, method, rtol)
        assert np.abs(faults.outputs(flow) - exact).max() < 1e2 * rtol and len(flow.events) == 14


def test_the_search_for_faults_reports_what_it_finds(monkeypatch):
    steps = []
    assert faults.examine(*faults.draw(0), steps.append) is not None and len(steps) >= 2
    honest = faults.outputs
    # A loose run of an ordinary problem that is off is found out.
    monkeypatch.setattr(faults, "outputs",
                        lambda flow: honest(flow) + (flow.settings["rtol"] > 1e-9))
    problem = faults.Problem(np.ones(1), np.ones((1, 1)), np.zeros(1), np.ones((1, 1)),
                             np.full(1, 2.0), 3.0)
    assert [said.split()[:2] for said in faults.examine("plain", problem, steps.append)] == [
        ["wrong", "DOP853:"], ["wrong", "waveform:"]]
    # And told apart from one that small changes of the inputs move as far.
    monkeypatch.setattr(faults, "well_conditioned", lambda *asked: ("X",) not in asked)
    assert [said.split()[:2] for said in faults.examine("plain", problem, steps.append)] == [
        ["inputs", "DOP853:"], ["inputs", "waveform:"]]


def test_settings_are_part_of_the_search():
    drawn = [faults.draw_setting(seed) for seed in range(30)]
    assert {problem.options["loss"] for _, problem in drawn} == {
        "square", "logistic", "exponential"}
    assert any(problem.slope and problem.options["decay"] for _, problem in drawn)
    kind, problem = next((kind, problem) for kind, problem in drawn if "plain logistic" in kind)
    assert not [said for said in faults.examine(kind, problem, lambda step: None)
                if not said.startswith("unclear")]


@pytest.mark.parametrize("size, log_scale", [(1e-200, 500.0), (1e200, -450.0), (1.0, -300.0)])
def test_scales_and_weights_that_make_up_for_each_other(size, log_scale):
    model = gflow.TwoLayerReLU([size], [[size]], log_scale=log_scale)
    right = 2 * (np.log(size) + log_scale)
    assert np.log(model([[1.0]])[0]) == pytest.approx(right, abs=1e-9)
    assert np.log(model.gradient(([[1.0]], [-1e200])).a[0]) == pytest.approx(
        right / 2 + np.log(1e200), abs=1e-9)


def test_distances_of_tiny_networks():
    start, data = ([1e-170], [[1e-170]]), ([[1.0]], [1.0])
    flow, twin = gflow.integrate(start, data, 1.0), gflow.descend(start, data, 0.5, 2, save_every=1)
    assert gflow.descent.distances(flow, twin)[1:] == pytest.approx(
        [(np.exp(0.5) - 1.5) / np.e, (np.e - 2.25) / np.e], rel=1e-6)
    with pytest.raises(ValueError, match="start from different weights"):
        gflow.descent.distances(flow, gflow.descend(([2e-170], [[2e-170]]), data, 0.5, 2))


@pytest.mark.parametrize("method", ["DOP853", "Radau", "waveform"])
@pytest.mark.parametrize("width", [1e2, 1e4, 1e8, 1e20])
def test_layers_that_are_unlike_are_right_or_no_success(method, width):
    """a = 0 beside a large w: a' = w (s - 5/2 a w) with s = 3/2, and w stays; rtol of the neuron is
    more than a ever is."""
    rate = 2.5 * width**2
    for t_max in (0.5 / rate, 1.0):
        flow = gflow.integrate(([0.0], [[width]]), ([[1.0], [2.0]], [1.0, 1.0]), t_max,
                               method=method)
        if not flow.success:
            assert (method, flow.status) == ("waveform", "refused") and width > 1e2
            assert "method=\"auto\"" in flow.message
            continue
        a = 0.6 / width * -np.expm1(-rate * flow.t)
        np.testing.assert_allclose(flow.a[:, 0], a, rtol=0, atol=0.6e-5 / width)
        assert flow.certificate().ok
    assert method != "DOP853" or flow.success


@pytest.mark.parametrize("method", ["DOP853", "Radau", "waveform"])
def test_neurons_that_no_point_activates_put_out_nothing_to_measure_others_by(method):
    """Label 0 and one neuron that sees its point: a' = -w^2 a, and w stays."""
    dead = gflow.TwoLayerReLU([1e-10, 1.0], [[1.0], [-1.0]])
    flow = gflow.integrate(dead, ([[1.0]], [0.0]), 3.0, method=method)
    if method == "waveform":
        assert flow.status == "refused"
    else:
        np.testing.assert_allclose(flow.a[:, 0], 1e-10 * np.exp(-flow.t), rtol=1e-5)
    alike = gflow.TwoLayerReLU([1e-5, 1e-9], [[1e-5], [-1.0]])
    assert gflow.integrate(alike, ([[1.0]], [0.0]), 3.0, method=method).success


@pytest.mark.parametrize("seed", [0, 1, 2, 15])
def test_engines_agree_on_layers_that_are_unlike(seed):
    g = np.random.default_rng(seed)
    n, m, d = (int(g.integers(1, most)) for most in (7, 5, 4))
    X, y, big = g.standard_normal((n, d)), g.standard_normal(n), 10.0**g.uniform(1, 7, m)
    W = g.standard_normal((m, d))
    W *= (big / np.linalg.norm(W, axis=1))[:, None]
    a = g.standard_normal(m) * 10.0**g.uniform(-3, 1, m) / big
    if seed == 2:
        a, W = np.linalg.norm(W, axis=1), W * (a / big**2)[:, None]
    t_max = 3.0 / max(big.max()**2, 1.0)
    runs = [gflow.integrate((a, W), (X, y), t_max, method=method, rtol=rtol)
            for method, rtol in [("auto", 1e-8), ("Radau", 1e-8), ("DOP853", 1e-12)]]
    out = [np.einsum("tmk,tm->tk", np.maximum(run.W @ X.T, 0.0), run.a) for run in runs]
    for found, run in zip(out[:2], runs):
        np.testing.assert_allclose(found, out[2], rtol=0, atol=1e-5 * np.abs(y).max())
        assert run.loss[-1] <= run.loss[0] and np.diff(run.loss).max() < 1e-6 * run.loss[0]


def test_the_search_for_faults_ends_what_computes_for_too_long():
    # A run that waits, or what a worker did before, does not count.
    code = ("import time; from validation import faults; faults.HUNG = 0.5; faults.GLANCE = 0.01\n"
            "while time.process_time() < 1.0: pass\n"
            "faults.Watch().begin(); time.sleep(0.8)\n"
            "print(time.process_time(), flush=True)\n"
            "while True: last = time.process_time()")
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                           timeout=120)
    assert ended.returncode == faults.LATE and float(ended.stdout) >= 1.0, ended.stderr


@pytest.mark.parametrize("rtol", [1e-7, 1e-8, 1e-9])
def test_what_the_last_point_of_a_neuron_is_met_with_is_not_rounding_of_those_before(rtol):
    # 46 points of a cone have pulled at a neuron on the same window. Whether it slides on the
    # hyperplane of its last one, from which it may return, or is dead, was decided by their sum.
    problem = faults.draw_mixed(8279)[1]._replace(t_max=10.0)
    flow = faults.run(problem, "waveform", rtol)
    own = flow.events[flow.events["neuron"] == 0]
    assert own[-1].tolist()[1:4] == (0, 4, "deactivate") and not len(flow.choices)
    assert flow.pattern(10.0)[0].max() == 0


def test_a_balanced_neuron_that_shrinks_along_a_ray_keeps_its_sign():
    # Two orthogonal points. Neuron 2 is let go of by the first on the ray of the second, against
    # which that pushes it for ever; with a of the wrong sign it would grow, and fit it.
    problem = faults.draw_mixed(8363)[1]._replace(t_max=200.0)
    for rtol in (1e-7, 1e-8, 1e-9):
        flow = faults.run(problem, "waveform", rtol)
        assert flow.a[-1, 2] >= 0 and flow.loss[-1] == pytest.approx(0.0112398452, rel=1e-8)


def test_windows_are_limited_by_what_shrinks_along_a_ray():
    normal, side = np.eye(3), np.array([[1, 1, 0], [1, 1, 1]], dtype=np.int8)
    U = np.array([[1.0, 0.6, 0.8, 0.0], [1.0, 0.6, 0.0, 0.8], [-1.0, 0.6, 0.8, 0.0]])
    field = np.array([[-1.2, -1.6, 5.0], [-1.0, 0.0, 0.0]])

    def window(balanced, within=100.0, of=(0, 1, 0)):
        return fading(U, side, np.array(of), np.array(balanced), lambda side: field[:len(side)],
                      normal, within, 0.0)

    # What is across its ray in the field of the first neuron is taken off by its slide; it shrinks
    # at a rate of 2. The second one turns away, the third one grows.
    assert window([True, True, True]) == FADINGS / 2
    assert window([False, True, True]) == np.inf
    assert window([True, True, True], within=1.0) == np.inf
    assert window([True, True, True], of=(1, 1, 1)) == np.inf


@pytest.mark.parametrize("a, W", [([1.0], [[-1.0]]), ([0.0], [[0.0]]), ([1.0], [[0.0]])])
@pytest.mark.parametrize("decay, t_max", [(1e-12, 1e10), (1e-16, 1e10), (1e-12, 1e13)])
def test_a_dead_network_under_a_decay_of_nearly_nothing_is_done_at_once(a, W, decay, t_max):
    # One window was made again for ever, at t = 0: what it could not know are pulls nobody sees.
    flow = gflow.integrate((a, W), ([[1.0]], [1.0]), t_max, method="waveform", decay=decay,
                           stop=gflow.stop.wall_time(20.0))
    assert flow.status == "finished" and flow.stats["steps"] <= 5
    left = np.exp(-decay * t_max)
    np.testing.assert_allclose([flow.a[-1], flow.W[-1, :, 0]], [np.multiply(a, left),
                               np.multiply(W, left)[:, 0]], rtol=1e-12)


@pytest.mark.parametrize("method", ["DOP853", "RK45", "RK23", "Radau"])
@pytest.mark.parametrize("a, W, X, y", [
    ([1.0], [[1e160]], [[1.0]], [-1.0]), ([1e160], [[1.0]], [[1.0], [1.0]], [1.0, -1.0])])
def test_steps_of_nan_are_not_tried_for_ever(a, W, X, y, method):
    # Squares of weights overflow, times a curvature of 0.
    flow = gflow.integrate((a, W), (X, y), 1.0, loss="logistic", method=method,
                           stop=gflow.stop.wall_time(20.0))
    assert flow.status == "finished"


@pytest.mark.parametrize("c", [1e-300, 1e-160, 1e150])
def test_conditioning_does_not_depend_on_units(c):
    data, start = gflow.datasets.linear_teacher(10, 2, noise=0.5, rng=3), gflow.init.balanced(
        6, 2, 0.1, rng=3)

    def most(c):
        flow = gflow.integrate((start.a * c**0.5, start.W * c**0.5), (data.X, data.y * c), 20 / c,
                               rtol=1e-8)
        return np.nanmax(flow.conditioning().amplification)

    assert most(c) == pytest.approx(most(1.0), rel=1e-3)


@pytest.mark.parametrize("call", [
    lambda: gflow.integrate(([1e-300], [[1e10, 1.0]]), ([[1.0, 0.5], [0.0, 1.0]], [1.0, -1.0]),
                            1e-22),
    lambda: gflow.integrate(([0.1], [[0.1, 0.2]]), ([[1.0, 0.5], [0.0, 1.0]], [1.0, -1.0]), 1e-310,
                            loss="logistic"),
    lambda: gflow.integrate(
        ([-3e199, 1e200], [[-4.7e-101, 2.8e-101], [-5.7e-101, -2.1e-101]]),
        ([[-6.8e149, 1.3e150], [1.3e150, 6e149]], [1.0, -1.0]), 1e200, loss="logistic",
        method="DOP853"),
    lambda: gflow.integrate(([0.1], [[0.1, 0.2]]), ([[1e-320, 1.0], [1.0, 1e-200]], [1e-310, 1.0]),
                            10.0)])
@pytest.mark.filterwarnings("error")
def test_errors_of_numpy_that_a_script_has_set_do_not_reach_what_is_made_ready(call):
    with np.errstate(all="raise"):
        assert isinstance(call(), gflow.Flow)


@pytest.mark.parametrize("method", ["DOP853", "RK45", "RK23", "Radau"])
def test_long_steps_at_rest_do_not_drift(method):
    # Output weights are solved for, and their rounding moves the others by 1e-12 in a unit of time.
    X = np.abs(np.random.default_rng(5).normal(size=(6, 2))) + 0.1
    y = np.random.default_rng(5).normal(size=18)[12:]
    start = [0.3, 0.5], [[0.2, 0.1], [-0.3, 0.4]]
    flow = gflow.integrate(start, (X, y), 1e8, method=method, rates=("fast", 1), rtol=1e-8)
    np.testing.assert_allclose(flow.W[-1], flow(1e3).W, rtol=0, atol=1e-9)
    assert flow.status == "finished" and flow.certificate().ok


def test_the_engine_that_is_chosen_can_hold_the_start():
    flow = gflow.integrate(([1e-310], [[1e-310]]), ([[1.0]], [1.0]), 20.0)
    assert (flow.status, flow.stats["method"]) == ("finished", "waveform")
    # It grows by e^20: what it is, is known to the bits that such numbers have.
    assert flow.a[-1, 0] == pytest.approx(1e-310 * np.exp(20.0), rel=1e-12)
