"""What functions of the user see and do while a run is under way, and what is left after it."""

import copy
import io
import os
import pickle
import signal
import sys
import threading
import warnings

import numpy as np
import pytest

import gflow
from gflow.stop import Rule, loss_below

DATA = gflow.datasets.linear_teacher(12, 3, noise=0.5, rng=0)
START = gflow.init.balanced(6, 3, 1e-2, rng=1)
METHODS = pytest.mark.parametrize("method", ["DOP853", "waveform"])


def run(**options):
    return gflow.integrate(START, DATA, **{"t_max": 20.0, **options})


# States are values

@METHODS
@pytest.mark.parametrize("save", [None, ["loss"]])
def test_states_that_are_kept_stay_right(method, save):
    whole, kept = run(method=method), []
    run(method=method, save=save, stop=[kept.append, loss_below(0.6 * whole.loss[0])])
    assert len(kept) > 5
    for state in kept:
        model = whole(state.t)
        np.testing.assert_allclose(state.W, model.W, atol=1e-7)
        np.testing.assert_allclose(state.a, model.a, atol=1e-7)
        assert state.loss == pytest.approx(model.loss(DATA), rel=1e-7)
        assert state.grad_norm > 0
        with pytest.raises(ValueError, match="read-only"):
            state.W[0] = 0
        for again in (pickle.loads(pickle.dumps(copy.copy(state))), copy.deepcopy(state)):
            assert (again.W == state.W).all() and again.loss == state.loss
            for array in (again.a, again.W):
                with pytest.raises(ValueError, match="read-only"):
                    array[0] = 0


@pytest.mark.parametrize("options", [{}, {"decay": 0.1}, {"rates": (0, 1)}, {"rates": (1, 0)},
                                     {"rates": (0, 1), "decay": 0.1}, {"rates": (2, 1)}])
def test_the_gradient_norm_is_that_of_the_objective_in_what_moves(options):
    decay, moves = options.get("decay", 0.0), np.array(options.get("rates", (1, 1))) > 0
    seen = []
    # Nothing slides where these begin.
    gflow.integrate(START, DATA, 0.1, method="DOP853", stop=seen.append, **options)
    gflow.descend(START, DATA, 0.05, 40, stop=seen.append, **options)
    assert len(seen) > 5
    for state in seen:
        Z = DATA.X @ state.W.T
        part = (np.maximum(Z, 0.0) @ state.a - DATA.y) / DATA.n
        g_a = part @ np.maximum(Z, 0.0) + decay * state.a
        g_W = state.a[:, None] * (((Z > 0) * part[:, None]).T @ DATA.X) + decay * state.W
        norms = np.array([np.linalg.norm(g_a), np.linalg.norm(g_W)])
        assert state.grad_norm == pytest.approx(np.linalg.norm(norms * moves), rel=1e-9)


def test_states_made_by_hand_leave_arrays_to_their_owner():
    W = np.ones((1, 2))
    state = gflow.stop.State(0.0, np.ones(1), W, 0.1, 0.2, 0.3)
    with pytest.raises(ValueError, match="read-only"):
        state.W[0] = 2
    W[0] = 3


@METHODS
def test_states_that_nobody_keeps_are_not_made(method, monkeypatch):
    from gflow.engines.run import Run
    made, collect = [], Run.collect

    def counted(self, *args, **options):
        made.append(len(self._handed))
        return collect(self, *args, **options)
    monkeypatch.setattr(Run, "collect", counted)
    run(method=method, save=["loss"], stop=lambda state: False)
    assert len(made) > 5 and set(made) == {0}


def test_states_seen_by_save_are_values_too():
    kept = []
    flow = run(save=lambda state: kept.append(state) or state.a)
    assert all((state.a == row).all() for state, row in zip(kept, flow.saved["value"]))
    room = np.empty(6)

    def reused(state):
        room[:] = state.a
        return room
    assert (run(save=reused).saved["value"] == flow.saved["value"]).all()


# Rules

class Odd(RuntimeError):
    """Nobody else's."""


@METHODS
@pytest.mark.parametrize("where", ["stop", "save"])
def test_what_was_reached_survives_a_function_that_raises(method, where, tmp_path):
    def late(state):
        if state.t > 10:
            raise Odd("late")
        return {"t": state.t} if where == "save" else False
    with pytest.raises(Odd) as caught:
        run(method=method, **{where: late})
    flow = caught.value.flow
    assert str(caught.value) == "late"
    assert flow.status == "exception" and not flow.success and "Odd" in flow.message
    assert "attribute flow" in caught.value.__notes__[0]
    if where == "save":
        assert flow.t.size == flow.saved["t"].size > 100 and (flow.saved["t"] == flow.t).all()
        assert flow.t[-1] <= 10 < flow.t_end
        flow.save(tmp_path / "run.npz")
        assert (gflow.load(tmp_path / "run.npz").t == flow.t).all()
    else:
        np.testing.assert_allclose(flow(9.0).W, run()(9.0).W, atol=1e-7)
        assert type(pickle.loads(pickle.dumps(caught.value))) is Odd


def strict_flow(state=None):
    gflow.integrate(START, DATA, 50.0, max_events=1, strict=True)


def strict_steps(state=None):
    gflow.descend(START, DATA, 1e3, 50, strict=True)


def odd(state=None):
    raise Odd("here")


def odd_within(state=None):
    gflow.integrate(START, DATA, 50.0, stop=odd)


@pytest.mark.parametrize("inner", [strict_flow, strict_steps, odd_within])
@pytest.mark.parametrize("outer", [
    lambda **what: gflow.integrate(START, DATA, 20.0, **what),
    lambda **what: gflow.descend(START, DATA, 0.1, 200, save_every=1, **what)])
def test_runs_within_runs_keep_what_each_has_reached(inner, outer):
    with pytest.raises((gflow.IntegrationError, Odd)) as alone:
        inner()
    assert alone.value.outer_flows == ()

    def between(state):
        if state.t > 0.5:
            gflow.integrate(START, DATA, 30.0, stop=lambda state: state.t > 0.1 and inner())

    with pytest.raises(type(alone.value)) as caught:
        outer(stop=between)
    error = caught.value
    assert error.flow.settings == alone.value.flow.settings
    assert error.flow.status == alone.value.flow.status
    first, last = error.outer_flows
    assert first.settings["t_max"] == 30.0 and last.settings["t_max"] == 20.0
    assert first.status == last.status == "exception" and 0.5 < last.t_end < 20.0
    for k, note in enumerate(error.__notes__[-2:]):
        assert f"outer_flows[{k}]" in note
    if isinstance(error, gflow.IntegrationError):
        back = pickle.loads(pickle.dumps(error))
        assert [flow.t_end for flow in back.outer_flows] == [first.t_end, last.t_end]


def test_an_exception_that_is_raised_again_belongs_to_its_last_run():
    error = Odd("one for all runs")

    def fail(state):
        raise error

    for t_max in (10.0, 20.0):
        with pytest.raises(Odd):
            gflow.integrate(START, DATA, t_max, stop=fail)
        assert error.flow.settings["t_max"] == t_max and error.outer_flows == ()


def test_a_check_that_raises_leaves_the_run():
    seen = []

    def second(state):
        seen.append(state.t)
        if len(seen) > 2 and state.t < seen[-2]:
            raise Odd("in the second run")

    with pytest.raises(Odd) as caught:
        run(stop=second, check=True)
    whole, = caught.value.outer_flows
    assert whole.status == "finished" and whole.t_end == 20.0
    assert caught.value.flow.settings["rtol"] < whole.settings["rtol"]


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize("where", ["stop", "save"])
def test_an_exception_without_words_comes_out(where):
    def late(state):
        if state.t > 10:
            raise Mute
        return 0
    with pytest.raises(Mute) as caught:
        run(**{where: late})
    flow = caught.value.flow
    assert flow.t_end > 10 and flow.message.startswith("Mute was raised after t = ")


def test_what_training_reached_survives_too():
    def late(state):
        if state.t > 1:
            raise Odd("late")
    with pytest.raises(Odd) as caught:
        gflow.descend(START, DATA, 0.01, 1000, stop=late)
    flow = caught.value.flow
    assert flow.t_end > 0.9 and (flow.W[-1] != flow.W[0]).any() and flow.status == "exception"


@pytest.mark.parametrize("answer", [np.nan, "no", np.ones(2, dtype=bool), [], object(),
                                    np.ma.masked, 1j])
def test_an_answer_that_is_none_is_refused(answer):
    with pytest.raises(TypeError, match="return True to stop") as caught:
        run(stop=lambda state: answer)
    assert "\n" not in str(caught.value) and caught.value.flow.t_end > 0
    rule = Rule(lambda state: answer, "mine", "my rule held")
    with pytest.raises(TypeError, match="'mine'"):
        rule(None)


@pytest.mark.parametrize("answer, stops", [(np.True_, True), (np.array([False]), False), (1, True),
                                           (None, False), (np.array(1), True), (0.0, False)])
def test_answers_that_are_taken(answer, stops):
    assert (run(stop=lambda state: answer).status == "callback") == stops


def test_a_rule_may_have_a_begin_of_its_own():
    class Rule:
        begin = 3.0

        def __call__(self, state):
            return state.t > self.begin
    assert run(stop=Rule()).status == "callback"


# What save keeps

@METHODS
def test_quantities_of_changing_shape_and_name(method, tmp_path):
    def some(state):
        big = np.flatnonzero(state.W[:, 0] > 0.01 * state.t)
        return {"big": big, **({"late": state.a[:2, None]} if state.t > 5 else {})}
    flow = run(method=method, save=some, t_eval=np.linspace(0, 20, 30))
    big, late = flow.saved["big"], flow.saved["late"]
    whole = run(method=method)
    assert big.dtype == late.dtype == object and big.shape == (30,) and big[0].size != big[-1].size
    for t, one, other in zip(flow.t, big, late):
        assert (one == np.flatnonzero(whole(t).W[:, 0] > 0.01 * t)).all()
        assert other.shape == ((2, 1) if t > 5 else (0,))
    with pytest.raises(ValueError, match="read-only"):
        big[-1][:] = 0
    flow.save(tmp_path / "run.npz")
    again = gflow.load(tmp_path / "run.npz")
    for name in flow.saved:
        for one, other in zip(flow.saved[name], again.saved[name], strict=True):
            assert one.dtype == other.dtype and one.shape == other.shape and (one == other).all()


HIDDEN = np.ma.array([1.0, -9999.0], mask=[0, 1])


class Gives:
    def __array__(self, dtype=None, copy=None):
        return HIDDEN


@pytest.mark.parametrize("value", [None, "text", object(), [[1], [1, 2]], np.ma.masked, 10**30,
                                   {1: 2.0}, {"a": None}, {"a": np.array(["x"])},
                                   HIDDEN, [HIDDEN], [np.ma.masked, 1.0], {"a": ([[HIDDEN]],)},
                                   {"a": [Gives()]}, Gives()])
def test_what_is_no_number_is_refused_at_once(value):
    asked = []
    with warnings.catch_warnings(), pytest.raises(TypeError, match="save= has") as caught:
        warnings.simplefilter("error")
        run(save=lambda state: asked.append(state.t) or value)
    assert asked == [0.0] and len(str(caught.value)) < 250


def test_complex_and_odd_names_are_kept(tmp_path):
    flow = run(save=lambda state: {"a/b.npy": 1j * state.a, "": state.t > 5, "ä\n": np.int8(3)})
    flow.save(tmp_path / "run.npz")
    again = gflow.load(tmp_path / "run.npz")
    assert list(again.saved) == ["a/b.npy", "", "ä\n"]
    assert all((again.saved[k] == flow.saved[k]).all() for k in flow.saved)


# Ctrl-C

def press():
    os.kill(os.getpid(), signal.SIGINT)


def pressed_at(t):
    done = []
    return lambda state: state.t > t and not done and (done.append(1) or press())


@pytest.fixture
def handlers():
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@METHODS
@pytest.mark.parametrize("handler, status", [
    (signal.default_int_handler, "interrupted"), (signal.SIG_DFL, "interrupted"),
    (signal.SIG_IGN, "finished"), (lambda number, frame: heard.append(number), "finished")])
def test_who_owns_interrupts(handlers, method, handler, status):
    heard.clear()
    signal.signal(signal.SIGINT, handler)
    flow = run(method=method, stop=pressed_at(1.0))
    assert flow.status == status and (flow.t_end < 20) == (status == "interrupted")
    assert signal.getsignal(signal.SIGINT) is handler
    assert len(heard) == (callable(handler) and handler.__name__ == "<lambda>")


heard = []


def test_a_handler_of_the_host_may_raise(handlers):
    def shut_down(number, frame):
        raise Odd("host")
    signal.signal(signal.SIGINT, shut_down)
    with pytest.raises(Odd, match="host") as caught:
        run(stop=pressed_at(1.0))
    assert caught.value.flow.t_end >= 1


def test_a_run_inside_a_run(handlers):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    inner = []

    def nested(state):
        if state.t > 1 and not inner:
            inner.append(run(stop=pressed_at(1.0)))
    outer = run(stop=nested)
    assert inner[0].status == outer.status == "interrupted"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_at_the_very_end_is_heard(handlers):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    flow = run(save=lambda state: (press() if state.t == 20 else None) or state.t)
    assert flow.status == "interrupted" and flow.t_end == 20


def test_a_second_interrupt_acts_at_once(handlers):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    after = []

    def twice(state):
        press()
        press()
        after.append(state)
    assert run(stop=twice).status == "interrupted" and not after


@METHODS
@pytest.mark.parametrize("how", ["raised", "pressed twice"])
def test_times_are_those_of_what_was_kept(handlers, method, how, tmp_path):
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def late(state):
        if state.t > 10:
            if how == "raised":
                raise KeyboardInterrupt
            press()
            press()
        return {"t": state.t, "loss": state.loss}
    if how == "raised":
        # Not of Ctrl-C: it comes out, as any other exception of the function does.
        with pytest.raises(KeyboardInterrupt) as caught:
            run(method=method, save=late)
        flow = caught.value.flow
    else:
        flow = run(method=method, save=late)
    assert flow.status == ("exception" if how == "raised" else "interrupted")
    assert flow.t[-1] <= 10 < flow.t_end
    assert flow.t.size == flow.loss.size > 100 and (flow.saved["t"] == flow.t).all()
    flow.save(tmp_path / "run.npz")
    assert (gflow.load(tmp_path / "run.npz").t == flow.t).all()


def test_a_handler_that_is_not_of_python(handlers, monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    assert run().status == "finished"


def test_other_threads_leave_handlers_alone(handlers):
    found = []
    thread = threading.Thread(target=lambda: found.append(run().status))
    before = signal.getsignal(signal.SIGINT)
    thread.start()
    thread.join()
    assert found == ["finished"] and signal.getsignal(signal.SIGINT) is before


def test_progress_on_a_closed_terminal(monkeypatch):
    closed = io.StringIO()
    closed.close()
    for stream in (closed, None):
        monkeypatch.setattr(sys, "stderr", stream)
        assert run(progress=True).status == "finished"


# Numbers that are not there

@METHODS
def test_a_loss_that_overflows_is_not_zero(method):
    for save in (None, ["loss", "grad_norm"]):
        flow = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1e200]), 5.0, method=method, save=save)
        assert flow.status == "non_finite" and not np.isfinite(flow.loss[-1])


@pytest.mark.parametrize("method", ["DOP853", "RK45", "RK23", "Radau", "BDF", "LSODA", "waveform"])
@pytest.mark.parametrize("start, data, t_max", [
    (([1.0], [[1.0]]), ([[1e77]], [1.0]), 1e-77), (([1.0], [[1e150]]), ([[1.0]], [1.0]), 1.0),
    (([1.0], [[1.0]]), ([[1.0]], [2.0]), 1e-300)])
def test_steppers_raise_nothing_of_their_own(method, start, data, t_max):
    flow = gflow.integrate(start, data, t_max, method=method, stop=gflow.stop.wall_time(2))
    assert flow.success or "neuron 0" in flow.message or "t = " in flow.message
    assert len(flow.message) < 300 and "\n" not in flow.message


def test_error_states_of_the_script_stay_outside():
    start = gflow.init.balanced(3, 3, 1e-200, rng=0)
    with np.errstate(all="raise"):
        for method in ("DOP853", "waveform"):
            flow = run(method=method)
            flow = gflow.integrate(start, DATA, 20.0, method=method)
            for name in ("W", "loss", "norms", "directions", "log_norms"):
                getattr(flow, name)
            repr(flow.certificate())
            alignment = flow.alignment()
            repr(alignment)
            alignment.cosine, alignment.cosine_extremal
        gflow.descend(start, DATA, 0.1, 5)
        gflow.theory.early_flow(start, DATA)
        tiny = gflow.Data([[1e-320, 0.0], [1e-320, 1e-320]], [1.0, 1.0])
        assert len(tiny.arrangement.normal) == 2
        gflow.theory.at_output_zero(([[1e-200], [1e200]], [0, 1]), "logistic")
        gflow.theory.class_margins(([[1e-200], [1e200]], [1, 1]))


# Editing in place

def test_nothing_edited_reaches_a_result():
    model = gflow.TwoLayerReLU(START.a, START.W)
    X, y = DATA.X.copy(), DATA.y.copy()
    data = gflow.Data(X, y)
    times = np.linspace(0, 20, 5)
    flows = [gflow.integrate(model, data, 20.0, method=method, t_eval=times)
             for method in ("DOP853", "waveform")]
    early = gflow.theory.early_flow(model, data)
    before = ([flow(3.0).W for flow in flows], [flow.t.copy() for flow in flows],
              early.log_norms(1.0))
    for array in (model.a, model.W, model.log_scale, X, y, times):
        array[:] = 9.0
    flows[0].model.W[:] = 9.0
    flows[0]([1.0, 2.0]).W[:] = 9.0
    after = [flow(3.0).W for flow in flows], [flow.t for flow in flows], early.log_norms(1.0)
    for one, other in zip(before, after):
        np.testing.assert_array_equal(one, other)
    vectors = gflow.theory.extremal_vectors(data)
    pair = gflow.theory.two_cone_least_squares(data)
    for array in (flows[0].events, flows[0].W, flows[1].loss, flows[0].path.start, data.X, early.D,
                  early.offset, vectors.D, pair.beta_plus, pair.residual):
        assert not array.flags.writeable
