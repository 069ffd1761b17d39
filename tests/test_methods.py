"""All steppers give one flow, at a cost that does not depend on chattering."""

import gc
import weakref

import pytest

import gflow
from gflow.datasets import linear_teacher
from gflow.engines.stepping import DEGREE, Stepping
from gflow.init import balanced
from problems import reference, relative_errors, same_events, solve
from validation import agreement


@pytest.mark.parametrize("name", ["tiny", "teacher_d2", "unbalanced"])
def test_steppers_agree(name):
    ref = reference(name)
    first = solve(ref.problem, rtol=1e-8, t_eval=ref.t)
    for method in ("Radau", "BDF", "LSODA", "RK45", "RK23"):
        flow = solve(ref.problem, method=method, rtol=1e-8, t_eval=ref.t)
        assert flow.success and flow.stats["method"] == method
        assert relative_errors(flow, first).max() < 1e-6, method
        # Late releases move with slow residuals: their times err more than states do.
        same_events(flow.events, ref.events, rtol=1e-5)
        assert method not in ("Radau", "BDF") or flow.stats["njev"] > 0


@pytest.mark.parametrize("seed", range(4))
def test_sliding_costs_nothing(seed):
    # An explicit stepper without sliding takes 650,000 right-hand sides at rtol 1e-6.
    data = linear_teacher(20, 2, 0.5, seed)
    start = balanced(50, 2, 1e-3, seed)
    flow = gflow.integrate(start, data, 50.0, rtol=1e-9, max_events=5000)
    assert flow.success and flow.stats["nfev"] <= 12_000
    certificate = flow.certificate()
    assert certificate.ok and certificate.balance.max() < 1e-7
    assert flow.stats["slide"] > 0 and flow.loss[-1] < 0.6 * flow.loss[0]


def test_implicit_steppers_take_the_long_tail_in_large_steps():
    problem = reference("tiny").problem._replace(t_max=1e12)
    for method in ("Radau", "BDF"):
        flow = solve(problem, method=method, rtol=1e-8)
        assert flow.success and flow.stats["nfev"] < 5000 and flow.certificate().ok
        assert flow.loss[-1] < 1e-18


def test_a_step_that_strays_before_an_event_is_made_again():
    # What is left of a long step before its event is a short polynomial, whatever it errs by.
    problem = agreement.draw(81003, "endless")[1]
    exact, flow = (agreement.run(problem, *how) for how in (("Radau", 1e-10), ("DOP853", 1e-6)))
    assert flow.stats["rejected_steps"] > 0 and agreement.apart(flow, exact) < 1e-5
    assert flow.certificate().ok


def test_a_leaky_neuron_ends_the_run_where_it_reaches_zero():
    # Within a window: at its end the neuron is at 0 as well.
    problem = agreement.draw(1000347, "endless")[1]
    one, two = (agreement.run(problem, method, 1e-7) for method in problem.engines)
    assert one.status == two.status == "leaky_at_zero"
    assert two.t_end == pytest.approx(one.t_end, rel=1e-5) and two.certificate().ok


@pytest.mark.parametrize("method", [*DEGREE, "waveform"])
def test_what_a_dropped_run_held_goes_at_once(method):
    """Steppers of SciPy are circles, which are looked for once in a while only."""
    gc.collect()
    gc.disable()
    try:
        flow = gflow.integrate(([0.1], [[0.1, 0.2]]), ([[1.0, 0.0]], [1.0]), 3.0, method=method)
        path = weakref.ref(flow.path)
        del flow
        assert path() is None
    finally:
        gc.enable()


def test_a_tolerance_of_zero_ends_a_run(monkeypatch):
    # A step of such a one never ends in SciPy, where a processor flushes small numbers to zero too.
    monkeypatch.setattr(Stepping, "tolerance", lambda engine, state: 0.0 * state)
    flow = gflow.integrate(([0.1], [[0.1]]), ([[1.0]], [1.0]), 3.0, method="DOP853")
    assert flow.status == "step_too_small" and "a tolerance" in flow.message
