"""Slides end where neurons are led away, which errors of multipliers hide, and not by errors."""

import itertools
import signal
from types import SimpleNamespace

import numpy as np
import pytest

import gflow
from gflow.engines.gear import Gear
from gflow.engines.held import LOUD, STEADY, Held, Strays
from gflow.engines.sliding import OfStep
from gflow.engines.stepping import Stepping
from gflow.kernels.chebyshev import nodes
from gflow.kernels.crossings import RELEASE_BELOW
from gflow.kernels.roots import led_away
from validation import faults
from validation.checks import solver_engines


@pytest.mark.parametrize("method, rtol", [("waveform", 1e-6), ("waveform", 1e-8),
                                          ("DOP853", 1e-8), ("Radau", 1e-8)])
def test_errors_known_from_above_only_hold_no_neuron(method, rtol):
    # Points in a cone of width 0.03 at a distance of 10: errors of their pulls cancel in what
    # holds two neurons, which is 0.003 of what errors of each are. Both leave at t = 4310; held
    # until they are clear of that, at t = 6164, they come to a loss of 0.086.
    problem = faults.draw_mixed(2634)[1]
    flow = faults.run(problem, method, rtol)
    assert flow.status == "finished"
    last = flow.events[flow.events["kind"] == "release"]
    assert last["neuron"].tolist() == [3, 4] and (last["point"] == 4).all()
    np.testing.assert_allclose(last["time"], 4309.75, atol=100 if rtol > 1e-7 else 20)
    assert flow.loss[-1] == pytest.approx(0.231026413002, rel=1e-9)
    # What holds its end, and what is read again, is what was run.
    assert flow.certificate().ok
    again = gflow.integrate((problem.a, problem.W), (problem.X, problem.y), 5000.0,
                            method=method, rtol=rtol)
    np.testing.assert_allclose(again(4800.0).W, flow(4800.0).W, rtol=0, atol=1e-9)


def test_a_release_between_two_windows_is_kept(tmp_path):
    problem = faults.draw_mixed(2634)[1]._replace(t_max=4500.0)
    flow = faults.run(problem, "waveform", 1e-8)
    flow.save(tmp_path / "run.npz")
    again, t = gflow.load(tmp_path / "run.npz"), float(flow.events["time"][-1])
    assert t in flow.path.breaks
    for run in (flow, again):
        assert run.pattern(np.nextafter(t, 0))[3:5, 4].tolist() == [2, 2]
        assert run.pattern(t)[3:5, 4].tolist() == [1, 1]
    for s in (t - 5.0, t, t + 50.0):
        np.testing.assert_array_equal(again(s).W, flow(s).W)
    longer = faults.run(problem._replace(t_max=t + 0.5), "waveform", 1e-8).extend(4500.0)
    np.testing.assert_allclose(longer.W[-1], flow.W[-1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", ["DOP853", "Radau"])
def test_errors_that_margins_do_not_have_hold_no_neuron(method):
    # A point of length 123 beside some of 0.1: what an error of rtol does to its pull is more than
    # all that holds a neuron on its hyperplane. But that pull settles in 1e-4 units of time.
    problem = faults.draw_mixed(8108)[1]._replace(t_max=950.0)
    flow = faults.run(problem, method, 1e-8)
    exact = faults.run(problem, "waveform", 1e-11)
    assert np.abs(faults.outputs(flow) - faults.outputs(exact)).max() < 1e-7
    # What is certain is not called a choice: of neuron 4 there is none.
    assert not (flow.choices["neuron"] == 4).any()
    for run in (flow, exact):
        own = run.events[(run.events["neuron"] == 4) & (run.events["point"] == 2)
                         & (run.events["kind"] == "release")]["time"]
        np.testing.assert_allclose(own[-2:], [274.515, 917.7], rtol=1e-3)


def test_errors_of_margins_by_what_they_do():
    # Margins that decline along a line, and swing by 1e-3 as a step begins.
    swing, line, strays = 1e-3, (nodes(8) + 1) / 2, Strays()
    for step in range(STEADY):
        both = np.stack([1.0 - step - line, 2.0 + 0 * line], axis=1)
        both[0] += swing
        assert strays.seen((0, 0), both) == np.inf
        strays.note((0, 0), both)
    after = both - [1.0, 0.0]
    assert swing <= strays.seen((0, 0), after) <= 2 * LOUD * swing
    # One that is not where it was, and one that has not been seen.
    assert strays.seen((0, 0), both) == pytest.approx(LOUD * (1 + swing), rel=1e-3)
    assert strays.seen((0, 1), both) == np.inf
    strays.keep([])
    assert strays.seen((0, 0), after) == np.inf


@pytest.mark.parametrize("rtol", [1e-7, 5e-8, 1e-8, 3e-9, 1e-9])
def test_swings_of_a_stepper_let_no_neuron_go(rtol):
    # Four points are fitted to 1e-8 for 300 units of time, and steps are at the limit of
    # stability: what is left of pulls is noise, and which side one neuron takes by it decides.
    flow = faults.run(faults.draw(20090789)[1], "DOP853", rtol)
    exact = faults.run(faults.draw(20090789)[1], "waveform", 1e-10)
    apart = np.abs(faults.outputs(flow) - faults.outputs(exact)).max()
    assert apart <= 1e3 * rtol
    # 39 in truth; 295 at 1e-8 if every swing counts.
    assert len(exact.events) == 39 and len(flow.events) <= 60
    # On a knife's edge all the same, and that is told.
    assert flow.choices[["neuron", "point"]].tolist() == [(1, 0)]
    assert flow.choices["to"].tolist() == [0]


@pytest.mark.parametrize("method, rtol", [
    ("DOP853", 1e-8), ("DOP853", 1e-9), ("DOP853", 1e-10), ("waveform", 1e-6), ("Radau", 1e-8)])
def test_a_pull_that_fades_ends_no_slide(method, rtol):
    # What holds neuron 0 falls by a factor of ten in fifteen units of time, for ever.
    model, data = solver_engines.workload("W9", 5)
    flow = gflow.integrate(model, data, 1200.0, method=method, rtol=rtol)
    assert [event.tolist()[1:4] for event in flow.events] == [
        (4, 0, "slide"), (1, 0, "slide"), (0, 4, "slide"), (1, 0, "release"), (4, 0, "release")]


@pytest.mark.parametrize("method, rtol", [("Radau", 1e-6), ("DOP853", 1e-6), ("waveform", 1e-6)])
def test_rounding_of_a_weight_of_0_moves_nobody(method, rtol):
    # In one dimension neurons slide to w = 0, where |a| / |w| is what rounding has left of it.
    flow = faults.run(faults.draw_setting(500075)[1], method, rtol)
    assert flow.status == "finished" and len(flow.events) == 12 and flow.certificate().ok


def test_where_all_pulls_are_errors_an_implicit_stepper_lets_go_of_nobody():
    flow = faults.run(faults.draw_setting(500037)[1], "Radau", 1e-6)
    assert flow.status == "finished" and len(flow.events) == 26 and not len(flow.choices)


@pytest.mark.parametrize("h", [1.0, 0.1, 1e-2, 1e-3])
def test_small_steps_hold_nobody_for_ever(h):
    # A margin of -90 errors of 0.2 rtol moves a balanced neuron off by 18 rtol in a unit of time.
    rtol, step = 1e-8, OfStep.__new__(OfStep)
    step.engine = SimpleNamespace(gear=SimpleNamespace(asked="DOP853"), rtol=rtol)
    step.fine, step.fall, one = 16, False, np.ones(17)
    held, key, t = Held(), (0, 0, RELEASE_BELOW), 0.0
    while t < 20.0:
        s, way = step.lets_go(-90 * 0.2 * rtol * one, one, 0.2 * rtol, h / 2 * one,
                              held.off.get(key, 0.0))
        if s <= 1.0:
            break
        held.look(t, h)
        held.ways[key] = way
        held.accept(t + h, 100 * rtol)
        t += h
    assert s == -1.0 and t <= 100 / 18
    # What moves it back is counted, too, and nobody who has been off is let go of while it does.
    held.off[key] = 100 * rtol
    s, way = step.lets_go(90 * 0.2 * rtol * one, one, 0.2 * rtol, h / 2 * one, 100 * rtol)
    held.look(t, h)
    held.ways[key] = way
    held.accept(t + h, 100 * rtol)
    assert s == 2.0 and held.off[key] == pytest.approx((100 - 18 * h) * rtol, rel=1e-6)


def test_one_that_is_pushed_back_is_not_let_go_of_again_and_again():
    # A step was cut where another release on it had come close.
    flow = faults.run(faults.draw(20090562)[1], "DOP853", 1e-8)
    assert flow.status == "finished" and len(flow.events) == 7


@pytest.mark.parametrize("z, most, expected", [
    ([-1.0], 0.1, 0.0), ([-1.0], 1.1, 2.0), ([0.25, -1.0], 0.1, 0.25), ([0.25, -1.0], 0.3, 2.0),
    ([1.0, -3.0, 2.0], 0.02, 0.5), ([1.0, -3.0, 2.0], 0.05, 2.0), ([0.0, 1.0], 1e-9, 2.0),
    ([0.1, 0.0, -1.0], 0.01, 0.1**0.5)])
def test_led_away(z, most, expected):
    # 1 - 3 y + 2 y^2 is below 0 between 1/2 and 1, where it integrates to -1/24.
    assert led_away(np.array(z), len(z) - 1, most) == pytest.approx(expected, abs=1e-9)


def test_an_explicit_stepper_begins_within_its_limit():
    gear = Gear("DOP853", 30)
    gear.limit = 0.5
    assert gear.first(3.0) == 0.5 and gear.first(0.1) == 0.1
    gear.method = "Radau"
    assert gear.first(3.0) == 3.0


@pytest.mark.parametrize("rtol", [1e-5, 1e-6, 3e-7])
def test_a_neuron_that_comes_back_at_once_is_let_go_of_less_and_less(rtol):
    # At rest on its hyperplane but for 1e-16, while others die out: on steps of 1e5 of an implicit
    # stepper errors of what holds it seem to lead it away, thousands of times.
    problem = faults.draw_setting(502038)[1]
    flow = faults.run(problem, "DOP853", rtol)
    assert flow.status == "finished" and len(flow.events) < 60
    assert flow.loss[-1] == pytest.approx(0.0315751115933, rel=1e-9)


def test_a_neuron_that_leaves_is_let_go_of_as_before():
    held, normal = Held(), np.eye(2)
    for _ in range(3):
        held.forget([(0, 1, RELEASE_BELOW)])
        held.part(np.array([[1.0, 1e-9]]), normal, 1e-8)
        held.forget([(0, 1, 0)])
    assert held.doubt(0, 1) == 8.0 and held.doubt(0, 0) == 1.0
    # To its side, or over it.
    for there in ([], [(0, 1, 0)]):
        held.forget([(0, 1, RELEASE_BELOW)])
        held.forget(there)
        held.part(np.array([[1.0, 0.1]]), normal, 1e-8)
        held.forget([(0, 1, 0)])
        assert held.doubt(0, 1) == 1.0


@pytest.mark.parametrize("rtol", [1e-8, 3e-9])
def test_late_steps_are_as_good_as_times_are(rtol):
    # At t = 1e10 times are 2e-6 apart, in which a neuron that starts to grow then changes by 4e-7:
    # no step is more accurate than that, and DOP853 made one again for ever, smaller and larger.
    problem = faults.draw_setting(502038)[1]
    flow = faults.run(problem, "DOP853", rtol)
    assert flow.stats["rejected_steps"] < 50 and flow.t_end > 1.2e10
    assert flow.loss[-1] == pytest.approx(0.0315751115933, rel=1e-9) or not flow.success


def test_ctrl_c_is_heard_among_steps_that_are_rejected(monkeypatch):
    tries, accept = itertools.count(), Stepping.accept

    def reject(engine, *step):
        last = next(tries)
        assert last < 200
        if last == 100:
            signal.raise_signal(signal.SIGINT)
        return accept(engine, *step) if last < 5 else None

    monkeypatch.setattr(Stepping, "accept", reject)
    flow = gflow.integrate(([0.5], [[0.5]]), ([[1.0]], [1.0]), 10.0, method="DOP853")
    assert flow.status == "interrupted" and 0 < flow.t_end < 10.0


@pytest.mark.parametrize("rtol, rounds", [(1e-6, 375), (1e-7, 770)])
def test_slides_on_many_hyperplanes(rtol, rounds):
    # Where points are fitted pulls are small, and slides end within a few hundred errors that are
    # known from above only. What is decided by these is no choice, and most of it can wait until it
    # is clear: a window that ends for it costs as much as three.
    g = np.random.default_rng(1)
    data = g.standard_normal((120, 40)), g.standard_normal(120)
    start = gflow.init.balanced(20, 40, 1e-2, rng=1)
    flow = gflow.integrate(start, data, 100.0, method="waveform", rtol=rtol, threads=1)
    assert flow.stats["slide"] > 500 and not len(flow.choices)
    assert flow.stats["nfev"] <= rounds
