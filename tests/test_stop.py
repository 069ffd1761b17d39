"""Stopping rules: what they test, how they are normalised, what they refuse."""

import signal

import numpy as np
import pytest
import scipy.integrate

import gflow
from gflow.stop import (Rule, State, as_rules, converged, gradient_below, loss_below, settled,
                        wall_time)

STATE = State(t=2.0, a=np.ones(3), W=np.ones((3, 2)), loss=0.1, grad_norm=0.01, wall=5.0)


@pytest.mark.parametrize("make, above, below, status, locate", [
    (loss_below, 0.11, 0.1, "loss_below", True),
    (gradient_below, 0.011, 0.01, "gradient_below", True),
    (wall_time, 5.0, 5.1, "wall_time", False),
])
def test_rules(make, above, below, status, locate):
    assert make(above)(STATE) is True and make(below)(STATE) is False
    rule = make(np.float64(above))
    assert (rule.status, rule.locate) == (status, locate)
    assert f"{above:g}" in rule.message


def test_nan_does_not_stop():
    state = State(2.0, STATE.a, STATE.W, float("nan"), float("nan"), 5.0)
    assert not loss_below(1.0)(state) and not gradient_below(1.0)(state)


def test_the_gradient_is_taken_when_asked_for():
    asked = []
    state = State(2.0, STATE.a, STATE.W, 0.1, lambda: asked.append(1) or 0.2, 5.0)
    assert wall_time(1.0)(state) and not asked
    assert gradient_below(1.0)(state) and state.grad_norm == 0.2 and len(asked) == 1


def test_as_rules():
    class Late:
        def __call__(self, state):
            return state.t > 1

    def weights(state):
        return np.abs(state.W).max() > 9

    first = loss_below(1.0)
    assert as_rules(None) == () == as_rules([])
    assert as_rules(first) == as_rules([first]) == as_rules((first,)) == (first,)
    rules = as_rules([first, Late(), weights])
    assert [rule.status for rule in rules] == ["loss_below", "callback", "callback"]
    assert [rule(STATE) for rule in rules] == [True, True, False]
    assert [rule.locate for rule in rules] == [True, False, False]
    assert "Late" in rules[1].message and "weights" in rules[2].message


@pytest.mark.parametrize("stop, words", [
    (1e-3, "stop has a float"), ("loss", "stop has a str"), ([None], "stop has a NoneType"),
    ([[loss_below(1.0)]], "stop has a list"), (np.ones(2), "stop has a ndarray"),
    (loss_below, r"write loss_below\(1e-06\)"), ([wall_time], r"write wall_time\(60\)"),
])
def test_not_a_rule(stop, words):
    with pytest.raises(TypeError, match=words) as caught:
        as_rules(stop)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [loss_below, gradient_below, wall_time])
@pytest.mark.parametrize("value, error", [
    (0, ValueError), (-1.0, ValueError), (float("nan"), ValueError), (float("inf"), ValueError),
    ("1", TypeError), (None, TypeError), (True, TypeError),
])
def test_bad_values(make, value, error):
    with pytest.raises(error, match="give a positive"):
        make(value)


def test_rules_cannot_be_changed():
    with pytest.raises(AttributeError):
        Rule(bool, "mine", "my rule held").status = "yours"


@pytest.mark.parametrize("parts, error, words", [
    ((None, "x", "y"), TypeError, "test of a rule is None: give"),
    ((bool, None, "y"), TypeError, "status of a rule is None: give"),
    ((bool, "x", None), TypeError, "message of a rule is None: give"),
    ((bool, "", "y"), ValueError, "status of a rule is empty"),
    ((bool, "late", ""), ValueError, "message of a rule is empty"),
    ((bool, "x", "y", "no"), TypeError, "locate of a rule is 'no': give"),
])
def test_rules_that_would_fail_when_they_fire(parts, error, words):
    with pytest.raises(error, match=words):
        Rule(*parts)


@pytest.mark.parametrize("name", ["t", "a", "W", "loss", "grad_norm", "wall", "field", "mine"])
def test_states_cannot_be_set(name):
    state = State(2.0, STATE.a, STATE.W, lambda: 0.1, 0.2, 5.0)
    for change in (lambda: setattr(state, name, -1.0), lambda: delattr(state, name)):
        with pytest.raises(AttributeError, match=f"^{name} of a State cannot be .* a value"):
            change()
    assert (state.t, state.loss, state.wall) == (2.0, 0.1, 5.0)


def test_settled_looks_ahead():
    def at(t, grad, loss=0.1):
        return State(t, STATE.a, STATE.W, loss, grad, 0.0)

    rule = settled(1e-3, 10.0)
    assert not rule(at(1.0, 1e-6))                  # the first saddle: it has never been larger
    assert not rule(at(2.0, 1.0)) and not rule(at(3.0, 0.2))
    assert not rule(at(4.0, 1.6e-3))                # 10 * 4 * 2.56e-6 > 1e-3 * 0.1
    assert not rule(at(4.5, 1.4e-3))                # perhaps it only passes a saddle
    assert not rule(at(6.0, 2e-3))                  # and so it did
    assert not rule(at(7.0, 1e-4)) and not rule(at(13.9, 1e-4))
    assert rule(at(14.7, 1e-4)) and rule.status == "settled"
    assert not rule(at(1.0, 1e-6))                  # a new run knows nothing of the old one
    with pytest.raises(ValueError, match="share"):
        settled(0.0)


def test_settled_is_not_fooled_by_a_saddle():
    # A run of `threshold` (d = 5, n = 236) whose gradient dips below the bound at t = 43 only.
    rule = settled()
    times, grads = [8.3, 15.0, 26.1, 43.0, 48.0, 79.5], [6.5e-2, 9.6e-2, 1.2e-2, 5e-4, 8e-4, 2.9e-3]
    assert not any(rule(State(t, STATE.a, STATE.W, 0.128, grad, 0.0))
                   for t, grad in zip(times, grads))


def saddle():
    """A run of `threshold` (d = 2, n = 6, seed 1) that passes a saddle from t = 100 to 1100."""
    rng = np.random.default_rng([1, 6, 2])
    data = gflow.datasets.linear_teacher(6, 2, 0.5, rng)
    return gflow.init.balanced(200, 2, 1e-3, rng), data


def test_dormant_neurons_are_foreseen():
    model, data = saddle()
    flow = gflow.integrate(model, data, 900.0, rtol=1e-6, stop=[settled(), converged()])
    assert flow.status == "finished"        # at rest, but for a neuron that wakes by 10 times 900
    flow = gflow.integrate(model, data, 1e4, rtol=1e-6,
                           stop=[converged(), loss_below(1e-6 * model.loss(data))])
    assert flow.status == "loss_below"
    passed = flow.plateaus()
    assert len(passed) == 2 and 1000 < passed["left"][1] < 1200
    assert np.allclose(passed["predicted"], passed["left"], rtol=0.01)


def test_settled_looks_as_far_as_it_says():
    """A dormant neuron wakes at 1107: within twice the time it does not yet matter at 200."""
    model, data = saddle()
    flow = gflow.integrate(model, data, 900.0, rtol=1e-6, stop=settled(1e-3, 2.0))
    assert flow.status == "settled" and 90 < flow.t_end < 400


def test_converged_runs_stay():
    model, data = (gflow.init.balanced(30, 2, 1e-3, rng=2), gflow.datasets.three_points())
    flow = gflow.integrate(model, data, 1e6, stop=converged())
    longer = gflow.integrate(model, data, 100 * flow.t_end)
    assert flow.status == "converged" and flow.t_end < 200
    assert longer.loss[-1] > 0.995 * flow.loss[-1]
    with pytest.raises(ValueError, match="share"):
        converged(-1.0)


@pytest.mark.parametrize("rule", [converged, settled])
@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_gradients_whose_squares_are_beyond_doubles_end_runs(method, rule):
    start, data = gflow.init.balanced(6, 2, 1e-2, rng=0), gflow.datasets.orthogonal()
    flow = gflow.integrate((1e75 * start.a, 1e75 * start.W), (data.X, 1e150 * data.y), 1e-146,
                           stop=rule(), method=method)
    assert flow.status == rule.__name__ and flow.loss[-1] < 1e-10 * flow.loss[0]
    # So do states that are shown without their data.
    test = rule()
    seen = [test(State(t=t, a=np.ones(3), W=np.ones((3, 2)), loss=1e290, grad_norm=g, wall=0.0))
            for t, g in ((1e-150, 1e225), (2e-150, 1e200), (1e-149, 1e200))]
    assert seen[:2] == [False, False]


def test_converged_looks_where_neurons_go_now_and_then_only(monkeypatch):
    times, look = [], gflow.stop._Ended._by_structure
    monkeypatch.setattr(gflow.stop._Ended, "_by_structure", lambda self, state, field: (
        times.append(state.t) or look(self, state, field)))
    flow = gflow.integrate(gflow.init.balanced(60, 3, 1e-3, rng=2),
                           gflow.datasets.linear_teacher(60, 3, noise=0.5, rng=2), 1e6, rtol=1e-6,
                           stop=converged())
    assert flow.status == "converged" and len(times) > 5
    assert min(np.divide(times[1:], times[:-1])) >= gflow.stop.WAITS > 1.1


def test_rules_see_their_problem():
    model, data = (gflow.init.balanced(3, 2, 1e-3, rng=2), gflow.datasets.three_points())
    seen = []
    gflow.integrate(model, data, 1.0, stop=lambda state: seen.append(state.field.data) or False)
    assert all(one is data or np.array_equal(one.X, data.X) for one in seen) and seen


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_a_rule_that_held_before_the_run_failed_is_heard(method):
    data, start = gflow.datasets.three_points(), gflow.init.balanced(20, 2, 0.3, rng=1)
    whole = gflow.integrate(start, data, 5.0, method=method)
    event = whole.events["time"][0]
    t = (max(at for at in whole.path.breaks if at < event) + event) / 2
    options = {"method": method, "max_events": 1}
    for rule in (loss_below(whole(t).loss(data)), Rule(lambda s: s.t > t, "late", "late", True)):
        flow = gflow.integrate(start, data, 5.0, stop=rule, **options)
        assert flow.status == rule.status and flow.t_end == pytest.approx(t, rel=1e-5)
    # One that is asked at ends only does not hide how a run has ended inside a window.
    flow = gflow.integrate(start, data, 5.0, stop=lambda state: state.t > t, **options)
    assert flow.status == ("max_events" if method == "waveform" else "callback")


@pytest.mark.parametrize("method", ["DOP853", "Radau", "LSODA", "waveform"])
def test_a_rule_that_holds_at_the_start_stops_there(method):
    model, data = gflow.init.balanced(5, 2, 1e-2, rng=0), gflow.datasets.linear_teacher(6, 2, rng=0)
    for stop in loss_below(1e9), gradient_below(1e9):
        flow = gflow.integrate(model, data, 2.0, method=method, stop=stop)
        assert flow.status == stop.status and flow.t_end == 0.0 and flow.t.tolist() == [0.0]
        np.testing.assert_array_equal(flow(0.0).W, model.W)
        assert flow.certificate().ok
        longer = flow.extend(2.0)
        assert longer.success and np.allclose(
            longer.W[-1], gflow.integrate(model, data, 2.0, method=method).W[-1], rtol=1e-6)


class Late(Exception):
    pass


def late(*_):
    raise Late("time is up")


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no such signal")
@pytest.mark.parametrize("method", ["DOP853", "LSODA"])
def test_what_a_signal_handler_raises_comes_out(method, monkeypatch):
    # Wherever it comes in: in SciPy, too, which is not to blame.
    steps, step = [], getattr(scipy.integrate, method).step

    def interrupted(self):
        steps.append(step(self))
        if len(steps) == 5:
            signal.raise_signal(signal.SIGALRM)

    monkeypatch.setattr(getattr(scipy.integrate, method), "step", interrupted)
    before = signal.signal(signal.SIGALRM, late)
    try:
        with pytest.raises(Late) as caught:
            gflow.integrate(([0.1], [[0.1]]), ([[1.0]], [1.0]), 100.0, method=method)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert caught.value.flow.status == "exception" and caught.value.flow.t_end > 0


def test_faults_of_engines_and_of_others_are_told_apart():
    from gflow.engines.run import Stop
    from gflow.engines.waveform.crew import Crew
    with Crew(1) as crew:
        with pytest.raises(Late):
            crew.share(late, 1)
        with pytest.raises(Stop, match="worker_failed"):
            crew.share(lambda i: np.linalg.inv(np.zeros((2, 2))), 1)


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
@pytest.mark.parametrize("where", ["handler", "rule", "saved"])
def test_an_interrupt_that_is_not_the_run_s_own_comes_out(method, where):
    def mine(*_):
        raise KeyboardInterrupt("mine")

    def signalled(state):
        signal.raise_signal(signal.SIGTERM)

    options = {"handler": {"stop": signalled}, "rule": {"stop": mine}, "saved": {"save": mine}}
    before = signal.signal(signal.SIGTERM, mine)
    try:
        with pytest.raises(KeyboardInterrupt, match="mine") as caught:
            gflow.integrate(([0.1], [[0.1]]), ([[1.0]], [1.0]), 9.0, method=method, t_eval=[0, 9],
                            **options[where])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught.value.flow.status == "exception"


@pytest.mark.parametrize("method", ["RK23", "DOP853", "BDF", "waveform"])
def test_the_rule_that_holds_first_ends_a_run_in_any_order(method):
    """Both begin to hold in one step, be it long or short."""
    start, data = ([0.1], [[0.1]]), ([[1.0]], [1.0])
    flow = gflow.integrate(start, data, 9.0, method=method)
    losses = np.interp([2.0, 2.01, 2.02], flow.t, flow.loss)
    rules = [loss_below(value) for value in losses]
    ends = [gflow.integrate(start, data, 9.0, method=method, stop=order)
            for order in (rules, rules[::-1], [lambda state: state.loss < losses[2], *rules])]
    assert {end.message for end in ends} == {rules[0].message}
    assert np.ptp([end.t_end for end in ends]) < 1e-5


def test_rules_are_asked_once_about_a_time():
    # On this problem the fast engine begins a quarter of its windows again, shorter.
    times = []
    flow = gflow.integrate(gflow.init.balanced(50, 2, 1e-3, rng=1), gflow.datasets.linear_teacher(
        20, 2, noise=0.5, rng=0), 50.0, method="waveform",
        stop=lambda state: times.append(state.t))
    assert flow.stats["rejected_steps"] > 5 and np.diff(times).min() > 0


def test_threads_that_cannot_be_had_are_done_without(monkeypatch):
    import threading
    from gflow.engines.waveform.crew import Crew
    from gflow.problem.threads import in_threads

    begin, started = threading.Thread.start, []

    def start(thread):
        started.append(thread)
        if len(started) > 1:
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    done = []
    with Crew(4) as crew:
        crew.busy = True
        assert crew.share(lambda i: done.append(i) or i, 5) == list(range(5))
        assert crew.threads == 1 and sorted(done) == list(range(5))
    assert list(in_threads(abs, range(9), 4)) == list(range(9))


@pytest.mark.parametrize("given, threads", [("3", 3), ("3,2", 3), (" 3 , 1", 3)])
def test_threads_of_the_environment(monkeypatch, given, threads):
    # A list has the numbers of nested levels.
    from gflow.problem.inputs import thread_count
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert thread_count() == threads and thread_count(2) == 2
