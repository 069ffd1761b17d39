"""Runs that are killed, and taken up; signals."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import gflow
from gflow.engines import interrupts

DATA = gflow.datasets.five_points()
MODEL = gflow.init.balanced(10, 2, 0.1, rng=2)


def killed_at(t, path, method, t_eval=None):
    """The file of a run as it was when its time had passed ``t``."""
    kept = []

    def copy(state):
        if state.t > t and not kept:
            kept.append(path.read_bytes())
            return True
        return False

    gflow.integrate(MODEL, DATA, 40.0, method=method, checkpoint=path, every=1e-9, stop=copy,
                    t_eval=t_eval)
    path.write_bytes(kept[0])


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
@pytest.mark.parametrize("t", [0.5, 3.0, 20.6])
def test_what_is_killed_goes_on(method, t, tmp_path, monkeypatch):
    # Files are written as often as can be: time is not what is looked at here.
    monkeypatch.setattr("gflow.engines.run.RARELY", 0.0)
    one = gflow.integrate(MODEL, DATA, 40.0, method=method)
    path = tmp_path / "run.npz"
    killed_at(t, path, method)
    part = gflow.load(path)
    assert part.status == "interrupted" and "resume" in part.message and part.t_end < 40
    whole = gflow.resume(path)
    assert whole.status == "finished" and (whole.t == one.t).all()
    assert len(whole.events) == len(one.events)
    size = np.hypot(one.a, one.norms)
    assert (np.abs(whole.a - one.a) <= 1e-7 * size).all()
    again = gflow.resume(path)
    assert again.t_end == 40 and (again.events == whole.events).all()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_kill_minus_nine_at_random_moments(method, tmp_path):
    """Twenty real ones: of a process that dies wherever it is, also while it writes."""
    path, script = tmp_path / "run.npz", f"""
import sys
import gflow
import gflow.engines.run
gflow.engines.run.RARELY = 0.0
start, data = gflow.init.balanced(10, 2, 0.1, rng=2), gflow.datasets.five_points()
gflow.integrate(start, data, 40.0, method="{method}", checkpoint=sys.argv[1], every=1e-9,
                stop=lambda state: print(state.t, flush=True))
"""
    one = gflow.integrate(MODEL, DATA, 40.0, method=method)
    size = np.hypot(one.a, one.norms)
    waits = np.random.default_rng(0).uniform(0.0, 1.0, 20)
    cut = []
    for wait in waits:
        path.unlink(missing_ok=True)
        run = subprocess.Popen([sys.executable, "-c", script, str(path)],
                               stdout=subprocess.PIPE, text=True)
        while not path.exists():
            assert run.stdout.readline()
        # As far on as a part of the run, and then some part of a step.
        while float(run.stdout.readline() or 40.0) < 39.0 * wait:
            pass
        time.sleep(wait * 0.01)
        run.kill()
        run.wait()
        cut.append(gflow.load(path).t_end)
        whole = gflow.resume(path)
        assert whole.t_end == 40.0 and (whole.t == one.t).all()
        assert len(whole.events) == len(one.events)
        assert (np.abs(whole.a - one.a) <= 1e-7 * size).all()
    assert sum(0 < t < 40 for t in cut) >= 15, cut


def test_times_of_ones_own_are_those_of_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("gflow.engines.run.RARELY", 0.0)
    killed_at(5.0, tmp_path / "run.npz", "DOP853", t_eval=[0.0, 1.0, 30.0])
    assert gflow.resume(tmp_path / "run.npz").t.tolist() == [0.0, 1.0, 30.0]


SCRIPT = """
import gflow, sys, time
flow = gflow.integrate(gflow.init.balanced(10, 2, 0.1, rng=2), gflow.datasets.five_points(), 40.0,
                       checkpoint=sys.argv[1], every=0.05,
                       stop=lambda state: print(state.t, flush=True) or time.sleep(0.1))
print(flow.status)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_signals_of_a_batch_system(number, tmp_path):
    path = tmp_path / "run.npz"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(path)], stdout=subprocess.PIPE,
                               text=True, cwd=os.getcwd())
    while float(process.stdout.readline()) < 2.0 or not path.exists():
        pass
    process.send_signal(number)
    rest = process.communicate()[0]
    if number == signal.SIGTERM:
        assert process.returncode == 0 and rest.split()[-1] == "interrupted"
    part = gflow.load(path)
    assert part.status == "interrupted" and part.t_end < 40
    assert gflow.resume(path).status == "finished"


LOOP = """
import gflow, time
try:
    for k in range(100):
        status = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), 1.0,
                                 stop=lambda state: print(k, flush=True) or time.sleep(0.1)).status
        print("ended", status, flush=True)
finally:
    print("left", k)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_after_sigterm_there_is_no_next_run():
    process = subprocess.Popen([sys.executable, "-c", LOOP], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=60)[0].split()
    assert process.returncode == 143
    # What it has reached could be saved, and other things be put away.
    assert rest[-4:] == ["ended", "interrupted", "left", "1"]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal")
@pytest.mark.parametrize("method", ["DOP853", "waveform"])
@pytest.mark.parametrize("before", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_terminal_that_is_closed(method, before):
    """The shell tells it, and so does the system; nohup has it ignored."""
    def closed(state):
        if state.t > 2:
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGHUP)

    # A failure must not end the tests themselves.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signal, "raise_signal", lambda number, send=signal.raise_signal: (
            send(number) if signal.getsignal(number) != signal.SIG_DFL else pytest.fail("ended")))
        patch.setattr(interrupts, "_ended", [])
        theirs = signal.signal(signal.SIGHUP, before)
        try:
            flow = gflow.integrate(MODEL, DATA, 40.0, method=method, stop=closed)
        finally:
            ours = signal.signal(signal.SIGHUP, theirs)
    assert ours == before
    assert flow.status == ("finished" if before == signal.SIG_IGN else "interrupted")
    assert before == signal.SIG_IGN or 2 < flow.t_end < 40


def test_what_is_refused(tmp_path):
    start, data = ([0.5], [[0.3]]), ([[1.0]], [1.0])
    with pytest.raises(ValueError, match="leave save="):
        gflow.integrate(start, data, 1.0, save=["loss"], checkpoint=tmp_path / "run.npz")
    with pytest.raises(FileNotFoundError):
        gflow.integrate(start, data, 1.0, checkpoint=tmp_path / "no" / "run.npz")
    with pytest.raises(ValueError, match="every"):
        gflow.integrate(start, data, 1.0, checkpoint=tmp_path / "run.npz", every=0)
    with pytest.raises(ValueError, match="^every = 1 is said of no checkpoint: give checkpoint="):
        gflow.integrate(start, data, 1.0, every=1)


def test_a_disk_that_is_full_does_not_end_the_run(tmp_path, monkeypatch):
    def full(*parts):
        raise OSError("no room")
    monkeypatch.setattr("gflow.flows.checkpoint.save", full)
    with pytest.warns(RuntimeWarning, match="no room"):
        flow = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), 1.0,
                               checkpoint=tmp_path / "run.npz")
    assert flow.status == "finished"


@pytest.mark.filterwarnings("error")
def test_nor_where_warnings_are_errors(tmp_path, monkeypatch):
    def full(*parts):
        raise OSError("no room")
    monkeypatch.setattr("gflow.flows.checkpoint.save", full)
    assert gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), 1.0,
                           checkpoint=tmp_path / "run.npz").success


def test_a_checkpoint_is_never_replaced_by_a_shorter_one(tmp_path):
    file = tmp_path / "run.npz"
    flow = gflow.integrate(MODEL, DATA, 20.0, checkpoint=file, stop=lambda state: state.t > 10)
    again = gflow.resume(file, stop=gflow.stop.loss_below(2 * flow.loss[0]))
    assert gflow.load(file).t_end == again.t_end == flow.t_end > 10
    limited = gflow.integrate(MODEL, DATA, 20.0, checkpoint=file, max_events=4)
    assert limited.status == "max_events" and gflow.resume(file).t_end == limited.t_end
    gflow.descend(MODEL, DATA, lr=0.1, steps=50, stop=lambda state: state.t > 2).save(file)
    with pytest.raises(ValueError, match="gflow.descend"):
        gflow.resume(file)


def test_a_run_that_had_failed_and_does_not_go_on_is_no_success(tmp_path):
    file = tmp_path / "run.npz"
    flow = gflow.integrate(MODEL, DATA, 20.0, checkpoint=file, max_events=4)
    with pytest.raises(gflow.IntegrationError, match="max_events") as caught:
        gflow.resume(file, strict=True)
    assert caught.value.flow.t_end == flow.t_end and len(caught.value.flow.events) == 4
    assert gflow.resume(file).status == "max_events"
    gflow.integrate(MODEL, DATA, 20.0, checkpoint=file)
    assert gflow.resume(file, strict=True).status == "finished"
    for wrong in ({"strict": 2}, {"progress": "no"}, {"threads": 0}, {"stop": 3}, {"every": -1.0}):
        with pytest.raises((TypeError, ValueError), match=f"{next(iter(wrong))}"):
            gflow.resume(file, **wrong)


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_what_has_reached_its_end_is_not_kept_as_under_way(method, tmp_path, monkeypatch):
    monkeypatch.setattr("gflow.engines.run.RARELY", 0.0)
    kept = []
    monkeypatch.setattr("gflow.flows.checkpoint.save",
                        lambda record, name: kept.append((record.status, record.t_end)))
    gflow.integrate(MODEL, DATA, 20.0, method=method, checkpoint=tmp_path / "run.npz", every=1e-9)
    assert len(kept) > 2 and kept[-1] == ("finished", 20.0)
    assert all(status == "interrupted" and t < 20.0 for status, t in kept[:-1])


def press(state):
    signal.raise_signal(signal.SIGINT)


def run(**options):
    return gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), 1.0, **options)


def test_a_second_press_in_a_loop_leaves_it():
    seen = []
    with pytest.raises(KeyboardInterrupt) as caught:
        for _ in range(5):
            seen.append(run(stop=press).status)
    assert seen == ["interrupted"] and caught.value.flow.status == "interrupted"


def test_presses_that_are_far_apart_end_a_run_each(monkeypatch):
    monkeypatch.setattr(interrupts, "TWICE", 0.0)
    assert [run(stop=press).status for _ in range(3)] == 3 * ["interrupted"]


@pytest.mark.parametrize("number", range(3))
def test_one_press_each_in_other_places(number):
    # Runs that no common function nearby calls are no loop.
    assert run(stop=press).status == "interrupted"


def test_no_frame_is_held_for_long(monkeypatch):
    run(stop=press)
    assert interrupts._last.callers
    monkeypatch.setattr(interrupts, "TWICE", 0.0)
    run()
    assert not interrupts._last.callers
