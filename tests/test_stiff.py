"""Stiff stretches: an explicit stepper sees them, and nothing swings while it is on them."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import RK45

import gflow
from gflow.engines.gear import Gear
from validation.doubts import Drawn
from validation.faults import draw, draw_setting, outputs, run

START = ([0.3, -0.4, 0.5], [[0.2, 0.2], [-0.1, 0.4], [0.3, -0.4]])
APART = ([[3.0, 0.5], [0.4, -0.1], [-0.2, 0.3]], [1.0, 0.5, -0.4])
"""One point is fitted a thousand times as fast as the slowest direction relaxes."""


def test_explicit_steppers_hand_over_where_a_run_is_stiff():
    # Steps of 6.4 over the fastest rate, some 4, would be 1700 to t = 1e4.
    exact = gflow.integrate(START, APART, 1e4, method="waveform", rtol=1e-12)
    for method, rtol in (("DOP853", 1e-8), ("RK45", 1e-8), ("RK23", 1e-6)):
        flow = gflow.integrate(START, APART, 1e4, method=method, rtol=rtol)
        assert flow.stats["stiff_steps"] > 10 and flow.stats["steps"] < 600
        assert flow.stats["method"] == method and f"{flow.stats['stiff_steps']} of Radau" in repr(
            flow)
        np.testing.assert_allclose(flow.W[-1], exact.W[-1], rtol=0, atol=30 * rtol)
        assert flow.certificate().ok
    # Up to where it is not stiff nothing has changed, and implicit steppers are what they were.
    assert not gflow.integrate(START, APART, 3.0, method="DOP853").stats["stiff_steps"]
    assert not gflow.integrate(START, APART, 1e4, method="Radau").stats["stiff_steps"]


def test_a_stepper_that_saves_nothing_is_left():
    gear, limit = Gear("RK45", 12), 0.05
    stepper = RK45(lambda t, y: -60.0 * y, 0.0, np.ones(12), 1e9, first_step=limit,
                   atol=1e9)
    stepper.step()
    assert [gear.shift(stepper, 1e9) for _ in range(15)] == [False] * 14 + [True]
    assert gear.stiff and gear.method == "Radau"
    # Steps three times as long are worth it, shorter ones are not.
    lengths = [1.0] * 14 + [4.0] + [2.0] * 15
    steps = [SimpleNamespace(step_size=length * limit) for length in lengths]
    assert [gear.shift(step, 1e9) for step in steps] == [False] * 29 + [True]
    assert not gear.stiff and gear.method == "RK45"
    # The next time it takes longer to be sure, and near the end there is nothing to save.
    assert not any(gear.shift(stepper, 1e9) for _ in range(29))
    assert not gear.shift(stepper, 200 * limit) and gear.shift(stepper, 400 * limit)


# Leaky neurons on a line slide at w = 0 while others fit what can be fitted: of all pulls there
# nothing is left but what an explicit stepper swings by.
LINE = [
    ([1.3, 0.51, 0.27, -0.4, 0.09], [-0.65, 0.51, 0.27, 0.2, -0.18], 0.9,
     [-0.31, 0.34, 0.92, -1.86, -0.56, -0.93, 0.43, -0.96],
     [1, -1, 1, 1, 1, -1, 1, -1], 3681.0, (1.0, 1.0)),
    ([0.52, -0.07, -0.53, -0.94, -0.1], [0.26, -0.15, 0.53, -0.47, -0.19], 0.9,
     [-0.28, -0.69, 0.58, 1.96, 0.02], [-1, 1, -1, 1, 1], 83885.0, (1.0, 1.0)),
    ([-2.1e-3, 2.0e-4, 1.4e-3, -8.3e-4, 1.4e-3], [-1.1e-3, -1.1e-3, 1.4e-3, -1.1e-3, -1.1e-3], -0.5,
     [1.2, 1.5, 1.1], [1, -1, -1], 4e4, (1.0, 1024.0))]


@pytest.mark.parametrize("a, W, slope, X, y, t_max, rates", LINE)
def test_slides_on_a_line_do_not_end_by_swings(a, W, slope, X, y, t_max, rates):
    start = gflow.TwoLayerReLU(a, np.array(W)[:, None], slope=slope)
    flows = [gflow.integrate(start, (np.array(X)[:, None], y), t_max, method=method, rates=rates,
                             loss="exponential", max_events=400) for method in ("DOP853", "Radau")]
    assert [flow.status for flow in flows] == ["finished", "finished"]
    assert len(flows[0].events) <= 12 * len(flows[1].events)
    np.testing.assert_allclose(flows[0].W[-1], flows[1].W[-1], rtol=0, atol=1e-5)


def test_a_slide_ends_at_the_limit_of_stability_too():
    # Its margin falls for good and does not come back, by less than swings might be.
    drawn = Drawn(8021)
    flow = drawn.run("RK45", drawn.rtol, None)
    ends = flow.events["time"][(flow.events["neuron"] == 2) & (flow.events["kind"] == "release")]
    assert ends[0] < 9.0 and flow.certificate().multiplier == 0.0


@pytest.mark.parametrize("naught", [0.0, 0.1, 1.0, 3.0])
def test_neurons_of_weight_0_on_a_line_do_not_meet_it_for_ever(monkeypatch, naught):
    # Slides that end by swings: the dense output errs by rtol of |a|, and no part of w is so much.
    # On which of these a neuron meets it from where it stays depends on the processor.
    monkeypatch.setattr("gflow.engines.sliding.NAUGHT", naught)
    assert run(draw_setting(50135)[1], "DOP853", 1e-8).status == "finished"


@pytest.mark.parametrize("a, W, loss", [
    ([1e-300], [[1e10, 1.0]], 0.25), ([0.0], [[1e5, 1e5]], 0.480769230762)])
def test_stiff_beside_a_layer_that_is_far_larger(a, W, loss):
    # What is fast is 1e-10 of its neuron, and steps 1e-20.
    flow = gflow.integrate((a, W), ([[1.0, 0.5], [0.0, 1.0]], [1.0, -1.0]), 10.0, method="DOP853",
                           stop=gflow.stop.wall_time(20.0))
    assert flow.status == "finished" and flow.stats["steps"] < 200
    assert flow.loss[-1] == pytest.approx(loss, rel=1e-8)


@pytest.mark.parametrize("rtol", [1e-6, 1e-8])
def test_a_slide_does_not_end_by_the_swing_of_a_step(rtol):
    # A step of DOP853 near its limit of stability, cut where a slide ends: in between its dense
    # output was off by 50 rtol, and the outputs by 2000 rtol for good.
    ends = [run(draw(22039963)[1], method, own) for method, own in (
        ("DOP853", rtol), ("waveform", 1e-12))]
    assert all(flow.status == "finished" for flow in ends)
    assert np.abs(outputs(ends[0]) - outputs(ends[1])).max() < 100 * rtol
