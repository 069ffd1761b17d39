"""The result of a run: what it holds, how it stops, how it is saved."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import gflow
from gflow.engines.events import KINDS
from gflow.flows.archive import checksum
from gflow.stop import gradient_below, loss_below, wall_time
from problems import random_problem, reference, solve

REF = reference("teacher_d2")


@pytest.fixture(scope="module")
def flow():
    return solve(REF.problem, t_eval=REF.t)


# What it holds

def test_shapes_and_derived_arrays(flow):
    T, m, d = REF.W.shape
    assert (flow.t == REF.t).all() and flow.t_end == REF.t[-1]
    assert flow.a.shape == (T, m) and flow.W.shape == (T, m, d)
    np.testing.assert_allclose(flow.norms, np.sqrt((flow.W**2).sum(axis=-1)), rtol=1e-14)
    np.testing.assert_allclose(flow.directions * flow.norms[..., None], flow.W, rtol=1e-14)
    np.testing.assert_allclose(flow.loss, [flow(t).loss(flow.data) for t in flow.t], rtol=1e-12)
    assert flow.status == "finished" and flow.success and flow.message == "reached t_max"
    assert (flow.model.a == flow.a[-1]).all() and (flow.model.W == flow.W[-1]).all()
    for words in ("finished", f"m={m}, d={d}", f"{len(flow.events)}: ", "DOP853"):
        assert words in repr(flow)


def test_default_times():
    flow = solve(REF.problem)
    assert 190 <= flow.t.size <= 210 and flow.t[0] == 0 and flow.t[-1] == REF.problem.t_max
    assert (np.diff(flow.t, 2) > 0).all() and flow.t[1] < 1e-4 * flow.t[-1]
    assert (flow.a[0] == REF.problem.a).all() and (flow.W[0] == REF.problem.W).all()


def test_dense_output_is_continuous_and_exact_in_time(flow):
    one = flow(3.7)
    assert isinstance(one, gflow.TwoLayerReLU)
    path = flow([0.0, 3.7, flow.t_end])
    assert len(path) == 3 and path.W.shape == (3, *REF.W.shape[1:])
    assert (path[1].a == one.a).all() and (path.W[1] == one.W).all()
    assert len(flow([])) == 0
    again = solve(REF.problem, t_eval=[3.7])
    assert again.t.tolist() == [3.7] and (again.W[0] == one.W).all()
    breaks = np.array(flow.path.breaks[1:-1])
    before, after = flow(breaks), flow(np.nextafter(breaks, np.inf))
    assert (np.abs(after.W - before.W) <= 1e-8 * flow.norms.max()).all()


@pytest.mark.parametrize("t, words", [(-1e-9, "outside"), (100.1, "outside"),
                                      ([1.0, np.nan], "NaN"), ([[1.0]], "axis")])
def test_times_that_were_not_reached(flow, t, words):
    with pytest.raises(ValueError, match=words):
        flow(t)
    with pytest.raises(ValueError):
        flow.pattern(t)


def test_pattern_is_that_of_the_weights(flow):
    edges = np.unique([0.0, *flow.events["time"], flow.t_end])
    for t in (edges[1:] + edges[:-1]) / 2:
        model = flow(t)
        z = model.W @ flow.data.X.T / model.norms[:, None]
        codes = flow.pattern(t)
        assert codes.dtype == np.int8
        assert (z[codes == 1] > 0).all() and (z[codes == 0] < 0).all()
        assert (np.abs(z[codes == 2]) < 1e-12).all()


def test_events_are_the_changes_of_the_pattern(flow):
    events = flow.events
    assert events.dtype.names == ("time", "neuron", "point", "kind", "to")
    assert (np.diff(events["time"]) >= 0).all() and flow.stats["events"] == len(events)
    kind = {(0, 1): "activate", (1, 0): "deactivate", (0, 2): "slide", (1, 2): "slide",
            (2, 0): "release", (2, 1): "release"}
    codes = flow.pattern(0)
    for time, i, k, name, to in events:
        assert name == kind[codes[i, k], to]
        codes[i, k] = to
    assert (codes == flow.pattern(flow.t_end)).all()
    for name in set(kind.values()):
        assert flow.stats[name] == (events["kind"] == name).sum() > 0


# Saving

def test_saved_and_loaded_is_the_same(flow, tmp_path):
    flow.save(tmp_path / "run.npz")
    again = gflow.load(str(tmp_path / "run.npz"))
    for name in ("t", "a", "W", "loss", "events", "initial_pattern"):
        first, second = getattr(flow, name), getattr(again, name)
        assert first.dtype == second.dtype and first.tobytes() == second.tobytes()
    t = np.linspace(0, flow.t_end, 77)
    assert (flow(t).W == again(t).W).all() and (flow(t).a == again(t).a).all()
    assert (again.data.X == flow.data.X).all() and (again.data.y == flow.data.y).all()
    for name in ("status", "message", "success", "stats", "settings"):
        assert getattr(again, name) == getattr(flow, name)
    assert repr(again) == repr(flow) and repr(again.certificate()) == repr(flow.certificate())
    with np.load(tmp_path / "run.npz", allow_pickle=False) as content:
        header = json.loads(str(content["header"]))
    assert header["version"] == gflow.__version__ and header["settings"]["rtol"] == 1e-8
    assert os.listdir(tmp_path) == ["run.npz"]


def test_run_that_stopped_at_once_is_saved(tmp_path):
    flow = solve(REF.problem, stop=lambda state: True)
    flow.save(tmp_path / "run.npz")
    again = gflow.load(tmp_path / "run.npz")
    assert again.status == "callback" and (again.W == flow.W).all() and (again.t == flow.t).all()


def damaged(flow, path, how):
    """A file that is no run."""
    flow.save(path)
    content = path.read_bytes()
    if how == "text":
        path.write_text("loss, 1\n")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(content[:len(content) // 2])
    elif how == "bad stream":
        at = 30 + sum(content[26:30:2])         # past the first local header, its name and extra
        path.write_bytes(content[:at] + b"\xff" + content[at + 1:])
    elif how == "bad checksum":
        np.savez(path, header=np.array('{"format": 1}'), X=np.ones(9))
        path.write_bytes(path.read_bytes().replace(np.ones(9).tobytes(), np.zeros(9).tobytes()))
    elif how == "array":
        with open(path, "wb") as file:
            np.save(file, np.ones(3))
    elif how == "other arrays":
        np.savez(path, a=np.ones(3))
    elif how == "other header":
        np.savez(path, header=np.array("[1, 2]"))
    elif how == "header only":
        np.savez(path, header=np.array('{"format": 1}'))
    elif how == "pickle":
        np.savez(path, header=np.array([{}], dtype=object))


@pytest.mark.parametrize("how", ["text", "empty", "truncated", "bad stream", "bad checksum",
                                 "array", "other arrays", "other header", "header only",
                                 "pickle"])
def test_loading_what_is_no_run(flow, tmp_path, how):
    damaged(flow, tmp_path / "run.npz", how)
    with pytest.raises(ValueError, match="not a run saved by gflow") as caught:
        gflow.load(tmp_path / "run.npz")
    assert "run.npz" in str(caught.value) and "\n" not in str(caught.value)


def test_loading_a_newer_format(flow, tmp_path):
    flow.save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as content:
        arrays = dict(content)
    header = json.loads(str(arrays["header"]))
    arrays["header"] = np.array(json.dumps({**header, "format": 99}))
    np.savez(tmp_path / "run.npz", **arrays)
    with pytest.raises(ValueError, match="newer format"):
        gflow.load(tmp_path / "run.npz")


def test_missing_files_and_directories(flow, tmp_path):
    with pytest.raises(FileNotFoundError):
        gflow.load(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError, match="make it first"):
        flow.save(tmp_path / "none" / "run.npz")
    assert os.listdir(tmp_path) == []


def test_existing_file_survives_a_failing_save(flow, tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    path.write_text("precious")

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError("disk full")
    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="disk full"):
        flow.save(path)
    assert path.read_text() == "precious" and os.listdir(tmp_path) == ["run.npz"]


# Stopping

def test_loss_below_is_hit(flow):
    value = 0.4 * flow.loss[0] + 0.6 * flow.loss[-1]
    stopped = solve(REF.problem, stop=loss_below(value))
    assert stopped.status == "loss_below" and stopped.success
    assert f"{value:g}" in stopped.message
    assert (1 - 1e-4) * value < stopped.loss[-1] < value and (stopped.loss[:-1] >= value).all()
    assert stopped.t[-1] == stopped.t_end < flow.t_end and (np.diff(stopped.t) > 0).all()
    assert (stopped.events["time"] <= stopped.t_end).all()
    np.testing.assert_allclose(stopped.W[-1], flow(stopped.t_end).W, atol=1e-7)


def test_several_rules(flow):
    value = 0.4 * flow.loss[0] + 0.6 * flow.loss[-1]
    late = solve(REF.problem, stop=[loss_below(1e-30), lambda state: state.loss < value])
    assert late.status == "callback" and late.success and late.loss[-1] < value
    calm = solve(reference("lazy").problem, stop=gradient_below(0.05))
    assert calm.status == "gradient_below" and calm.t_end > 0
    assert 0.05 * (1 - 1e-3) < calm.certificate().gradient < 0.05
    at_once = solve(REF.problem, stop=wall_time(1e-9))
    assert at_once.status == "wall_time" and at_once.success and at_once.stats["steps"] == 1


def test_states_that_rules_see(flow):
    seen = []
    solve(REF.problem, stop=lambda state: seen.append(state))
    assert len(seen) == flow.stats["steps"] - flow.stats["rejected_steps"]
    for state in seen[::10]:
        model = flow(state.t)
        np.testing.assert_allclose(state.W, model.W, atol=1e-9)
        assert state.loss == pytest.approx(model.loss(flow.data), rel=1e-9)
    # dL/dt = -|grad|^2, away from the kinks of the gradient at events.
    smooth = [state for state in seen if state.grad_norm > 0.03
              and (np.abs(flow.events["time"] - state.t) > 1e-3).all()]
    assert len(smooth) > 5
    for state in smooth:
        drop = [flow(state.t + h).loss(flow.data) for h in (-1e-3, 1e-3)]
        assert state.grad_norm**2 == pytest.approx((drop[0] - drop[1]) / 2e-3, rel=1e-4)


def test_max_events(flow):
    stopped = solve(REF.problem, max_events=7)
    assert stopped.status == "max_events" and not stopped.success and len(stopped.events) == 7
    assert stopped.t_end == stopped.events["time"][-1] == stopped.t[-1]
    np.testing.assert_allclose(stopped.events["time"], flow.events["time"][:7], rtol=1e-12)
    assert (stopped.pattern(stopped.t_end) == flow.pattern(stopped.t_end)).all()
    assert "raise it" in stopped.message


def test_strict_raises_with_what_was_reached():
    with pytest.raises(gflow.IntegrationError, match="max_events") as caught:
        solve(REF.problem, max_events=7, strict=True)
    assert len(caught.value.flow.events) == 7 and caught.value.flow.t_end > 0
    assert solve(REF.problem, strict=True).success
    assert solve(REF.problem, strict=True, stop=lambda state: state.t > 1).success


def test_interrupt_keeps_what_was_reached(flow):
    before = signal.getsignal(signal.SIGINT)

    def press(state):
        if state.t > 1:
            signal.raise_signal(signal.SIGINT)
    stopped = solve(REF.problem, stop=press)
    assert stopped.status == "interrupted" and not stopped.success
    assert 1 < stopped.t_end < flow.t_end and stopped.t[-1] == stopped.t_end
    np.testing.assert_allclose(stopped.W[-1], flow(stopped.t_end).W, atol=1e-7)
    assert signal.getsignal(signal.SIGINT) is before


def test_errors_of_callbacks_pass_through():
    before = signal.getsignal(signal.SIGINT)

    def fail(state):
        raise ZeroDivisionError("mine")
    with pytest.raises(ZeroDivisionError, match="mine"):
        solve(REF.problem, stop=fail)
    assert signal.getsignal(signal.SIGINT) is before


def test_runs_in_another_thread(flow):
    found = []
    thread = threading.Thread(target=lambda: found.append(solve(REF.problem, t_eval=REF.t)))
    thread.start()
    thread.join()
    assert (found[0].W == flow.W).all()


def test_a_run_is_pickled_while_another_thread_reads_it():
    # What was found out on the way made a pickle fail in one of nine cases.
    names = "events", "loss", "norms", "directions", "log_norms", "residuals", "log_loss"
    one = gflow.integrate(([0.5, 0.2], [[0.3, 0.1], [-0.1, 0.4]]), (np.eye(2), [1, -1]), 3.0)
    whole = pickle.dumps(one)
    failed, often = [], sys.getswitchinterval()

    def keep(result, together):
        together.wait()
        try:
            for _ in range(30):
                result.__getstate__()
        except RuntimeError as error:
            failed.append(error)

    sys.setswitchinterval(1e-6)
    try:
        for _ in range(100):
            result, together = pickle.loads(whole), threading.Barrier(3)
            others = [threading.Thread(target=keep, args=(result, together)) for _ in range(2)]
            for thread in others:
                thread.start()
            together.wait()
            for name in names:
                getattr(result, name)
            for thread in others:
                thread.join()
    finally:
        sys.setswitchinterval(often)
    assert not failed


# Extremes

def test_start_of_scale_1e_200():
    small = REF.problem._replace(a=1e-200 * REF.problem.a, W=1e-200 * REF.problem.W, t_max=5.0)
    flow = solve(small, rtol=1e-10)
    # As long as h vanishes the flow is linear in the start.
    other = solve(small._replace(a=1e10 * small.a, W=1e10 * small.W), rtol=1e-10)
    assert flow.success and len(flow.events) == len(other.events) > 20
    np.testing.assert_allclose(1e10 * flow.W, other.W, rtol=1e-7, atol=1e-7 * other.norms.min())
    np.testing.assert_allclose(np.linalg.norm(flow.directions, axis=-1), 1, rtol=1e-12)
    # Relative accuracy is kept over 460 e-foldings, and the neuron fits in the end.
    one = gflow.integrate(([1e-200], [[1e-200]]), ([[1.0]], [1.0]), 600.0, t_eval=[440.0, 600.0],
                          rtol=1e-10)
    assert one.a[0, 0] == pytest.approx(1e-200 * np.exp(440.0), rel=1e-7)
    assert one.a[1, 0] == pytest.approx(1.0, rel=1e-7)


@pytest.fixture
def patience():
    """Turns a run that hangs into a failure."""
    def late(number, frame):
        raise AssertionError("the run hangs")
    if not hasattr(signal, "SIGALRM"):
        # Windows: what hangs there hangs elsewhere too.
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("what, factor", [("X", 1e160), ("y", 1e160), ("W", 1e160), ("X", 1e100)])
def test_overflow_is_a_failure_and_no_wrong_number(patience, what, factor):
    problem = REF.problem._replace(**{what: factor * getattr(REF.problem, what)})
    flow = solve(problem)
    assert not flow.success and "neuron" in flow.message and flow.t_end < problem.t_max
    assert np.isfinite(flow.a).all() and np.isfinite(flow.W).all()


# Evidence

def tampered(tmp_path, change):
    """A run whose saved arrays were changed, loaded again."""
    solve(REF.problem).save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as content:
        arrays = dict(content)
    change(arrays)
    np.savez(tmp_path / "run.npz", **{**arrays, "checksum": checksum(arrays)})
    return gflow.load(tmp_path / "run.npz").certificate()


def stretch(array, factor):
    array *= factor


@pytest.mark.parametrize("change, doubts", [
    (lambda arrays: None, ()),
    # Output weights that grow on their own, and one of the wrong sign.
    (lambda arrays: stretch(arrays["path_series"][-40:, :12], 1.001), ("balance",)),
    (lambda arrays: stretch(arrays["path_series"][:, 0], -1.0), ("energy", "loss_rise")),
    # Labels of another problem.
    (lambda arrays: stretch(arrays["y"], 1.001), ("energy",)),
    # One event that was missed.
    (lambda arrays: arrays.update(events=np.delete(arrays["events"], 30)), ("wrong_side",)),
])
def test_certificate_doubts_what_is_wrong(tmp_path, change, doubts):
    certificate = tampered(tmp_path, change)
    assert certificate.ok == (not doubts) and ("DOUBTFUL" in repr(certificate)) == bool(doubts)
    for name in doubts:
        assert np.max(np.abs(getattr(certificate, name))) > certificate.tolerance


@pytest.mark.parametrize("most", [1, 2, 9, 10])
def test_certificate_of_a_sample(most):
    flow = solve(REF.problem)
    whole, sample = flow.certificate(), flow.certificate(most)
    # At the start, and in the middle and at the end of every piece: all of them by default.
    assert whole.checked == 1 + 2 * len(flow.path.pieces)
    assert sample.ok and 1 < sample.checked <= 1 + 2 * max(most, 2)
    assert flow.certificate(len(flow.path.pieces)).energy == whole.energy
    assert sample.stationarity == whole.stationarity
    # What is wrong everywhere is wrong there.
    flow.path.pieces[:] = [1.01 * series for series in flow.path.pieces]
    assert not flow.certificate(most).ok
    with pytest.raises(ValueError, match="most"):
        flow.certificate(most=0)


# Side effects

def test_import_is_light_and_silent():
    code = ("import sys, gflow\n"
            "print([m for m in ('numba', 'matplotlib', 'scipy') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          cwd=Path(gflow.__file__).parents[1], check=True)
    assert done.stdout == "[]\n" and done.stderr == ""


def test_progress_goes_to_standard_error_when_asked(capsys):
    solve(REF.problem)
    assert capsys.readouterr() == ("", "")
    solve(REF.problem, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "t = 100 of 100" in err and f"{len(REF.events)} events" in err
    assert err.endswith("\n")


def test_input_is_not_changed_and_not_shared():
    a, W, X, y, _ = problem = random_problem(2, 6, 5, 2, "collinear", "unbalanced", 0.1)
    copies = [v.copy() for v in (a, W, X, y)]
    flow = solve(problem)
    assert all((v == c).all() for v, c in zip((a, W, X, y), copies))
    W[:] = 0
    assert (flow(0.0).W == copies[1]).all()
    with pytest.raises(ValueError):
        flow.data.X[0, 0] = 1.0


def test_runs_repeat_to_the_last_bit(flow):
    assert (solve(REF.problem, t_eval=REF.t).W == flow.W).all()


def test_the_table_of_events_is_made_when_somebody_asks_for_it():
    flow = gflow.integrate(gflow.init.balanced(6, 3, 0.1, rng=2),
                           gflow.datasets.linear_teacher(20, 3, noise=0.5, rng=1), 15.0)
    kept = pickle.dumps(flow)
    one = pickle.loads(kept)
    for run in (flow, one):
        assert "events" not in vars(run)
        assert len(run.events) == run.stats["events"] > 0 and not run.events.flags.writeable
        assert {kind: int((run.events["kind"] == kind).sum()) for kind in KINDS} == {
            kind: run.stats[kind] for kind in KINDS}
    assert np.array_equal(one.events, flow.events)
    assert pickle.dumps(flow) == kept
    # What tests put there instead stays, also in copies.
    flow.events = flow.events[:1]
    assert len(flow.events) == len(pickle.loads(pickle.dumps(flow)).events) == 1
    with pytest.raises(AttributeError, match="part of a result"):
        del flow.events
