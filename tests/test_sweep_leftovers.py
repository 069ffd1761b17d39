"""What a task leaves behind: in its worker, in the environment, in words."""

import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

import gflow
import sweep_tasks
from gflow.commands.cli import main
from gflow.sweeping import SweepError, executors, status
from gflow.sweeping.executors import ONE_THREAD, LocalPool
from gflow.sweeping.grid import tasks
from gflow.sweeping.notice import headline
from gflow.sweeping.worker import Job, greet, pack, perform
from test_sweep_crash import done
from test_sweep_store import committed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


# Workers that do not end --------------------------------------------------------------------------

def leaves(kind):
    """Something for which Python waits at its end, or not."""
    if kind == "thread":
        threading.Thread(target=time.sleep, args=(1e5,)).start()
    elif kind == "child":
        import multiprocessing
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1e5,))
        child.start()
        return child.pid
    elif kind == "program":
        return subprocess.Popen(["sleep", "100000"]).pid
    elif kind == "deaf":
        before = signal.signal(signal.SIGIO, signal.SIG_IGN)
        child = subprocess.Popen(["sleep", "100000"])
        signal.signal(signal.SIGIO, before)
        return child.pid
    elif kind == "exit":
        import atexit
        atexit.register(time.sleep, 1e5)
    return os.getpid()


def gone(pid, seconds=20):
    """Whether a process ends in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("kind", ["thread", "child", "program", "deaf", "exit", "nothing"])
@pytest.mark.parametrize("end", [LocalPool.finish, LocalPool.stop, LocalPool.shutdown])
def test_workers_end_whatever_their_tasks_have_left(monkeypatch, kind, end):
    monkeypatch.setattr(executors, "PARTING", 0.5)
    if end is LocalPool.shutdown and kind in ("thread", "child", "exit"):
        pytest.skip("it waits for these")
    pool = LocalPool(1)
    left = pool.submit(leaves, kind).result()
    start = time.monotonic()
    end(pool)
    assert gone(left) and time.monotonic() - start < 20


def leaves_and_dies(path):
    path.write_text(str(leaves("program")))
    os._exit(3)


def test_what_a_worker_has_left_that_died_ends_at_once(tmp_path):
    with LocalPool(1) as pool:
        assert isinstance(pool.submit(leaves_and_dies, tmp_path / "pid").exception(),
                          BrokenProcessPool)
        assert gone((tmp_path / "pid").read_text())
        # The next worker is another's business.
        assert pool.submit(max, 1, 2).result() == 2


def test_a_worker_without_a_group_of_its_own_ends_alone():
    """The session's other children are in that group."""
    beside = subprocess.Popen(["sleep", "100000"])
    try:
        with LocalPool(1) as pool:
            assert pool.submit(joins, os.getpgrp()).result() == os.getpgrp()
            pool.stop()
        assert not gone(beside.pid, 0.5)
    finally:
        beside.kill()
        beside.wait()


def joins(group):
    os.setpgid(0, group)
    return os.getpgrp()


def test_a_worker_may_close_its_files(tmp_path):
    pool = LocalPool(1)
    pool.submit(registers, tmp_path / "told").result()
    pool.finish()
    assert (tmp_path / "told").read_text() == "the end"


def registers(path):
    import atexit
    atexit.register(lambda: (time.sleep(0.3), path.write_text("the end")))


def test_a_sweep_ends_though_its_tasks_have_left_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "PARTING", 0.5)
    run = functools.partial(sweep_tasks.thread, seconds=1e5)
    assert len(gflow.sweep(run, {"n": [1, 2]}, store=tmp_path / "s.db", workers=1,
                           progress=False)) == 2 == done(tmp_path / "s.db")


def test_the_environment_is_as_before_after_pools_in_many_threads(monkeypatch):
    for name in ONE_THREAD:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    gate = executors._Environment(ONE_THREAD)
    first, second = threading.Event(), threading.Event()

    def overlap():
        with gate:
            first.set()
            second.wait()

    thread = threading.Thread(target=overlap)
    with gate:
        thread.start()
        first.wait()
    # The other one is still inside.
    assert os.environ["OMP_NUM_THREADS"] == "1" == os.environ["MKL_NUM_THREADS"]
    os.environ.pop("MKL_NUM_THREADS")
    second.set()
    thread.join()
    assert {name: os.environ.get(name) for name in ONE_THREAD} == {
        **dict.fromkeys(ONE_THREAD), "OMP_NUM_THREADS": "7"}
    assert isinstance(executors._one_thread, executors._Environment)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), ImportError("no")])
def test_a_module_that_ends_python_when_a_worker_imports_it_is_a_sentence(sweep, error):
    with pytest.raises(SweepError, match=f"it cannot load run .{type(error).__name__}"):
        sweep(Loaded(error), {"n": [1]})
    assert "cannot load run" in greet(Job(pack(Loaded(error)), 0))


class Loaded:
    """Raises when it is unpickled."""

    def __init__(self, error):
        self.error = error

    def __call__(self, n, rng):
        return {"x": n}

    def __reduce__(self):
        return throw, (self.error,)


def throw(error):
    raise error


def test_a_task_begins_in_the_directory_of_the_session(tmp_path, monkeypatch):
    def run(n, rng):
        before = os.getcwd()
        os.mkdir(f"{n}")
        os.chdir(f"{n}")
        if n == 2:
            os.rmdir(os.getcwd())
        return {"x": before}
    monkeypatch.chdir(tmp_path)
    job = Job(pack(run), 0)
    for task in tasks({"n": [1, 2, 3]}):
        assert perform(job, task).scalars == f'{{"x": "{tmp_path}"}}'
    # Threads have one directory in common: there it is the task's own business.
    task, = tasks({"n": [4]})
    with ThreadPoolExecutor(1) as pool:
        pool.submit(perform, job, task).result()
    assert os.getcwd() == str(tmp_path / "4")


# Words --------------------------------------------------------------------------------------------

def noted():
    error = ValueError("the reason\nin two lines")
    error.add_note("a note")
    return error


@pytest.mark.parametrize("error, words", [
    (ExceptionGroup("two", [ValueError("a"), ExceptionGroup("in", [KeyError("b")])]),
     "ExceptionGroup: two (2 sub-exceptions)"), (noted(), "ValueError: the reason"),
    (ValueError("first\n\n   "), "ValueError: first"), (KeyError(), "KeyError")])
def test_the_error_itself_is_announced(sweep, tmp_path, error, words):
    def run(n, rng):
        try:
            1 / n
        except ZeroDivisionError:
            raise error
    with pytest.warns(RuntimeWarning) as caught:
        sweep(run, {"n": [0]})
    assert f"the first with {words!r};" in str(caught[0].message)
    assert f'{{"n": 0}} seed 0: {words}' in status(tmp_path / "s.db").splitlines()[-1]


def test_a_message_does_not_steer_the_terminal(sweep, tmp_path, capsys):
    def run(n, rng):
        raise ValueError("\x1b[31mred\r\x9b2J\u202e and \u00e9\tthe rest")
    with pytest.warns(RuntimeWarning, match="tasks failed"):
        sweep(run, {"n": ["\x7f"]}, store=tmp_path / "\x1b.db")
    assert main(["sweep", "status", str(tmp_path / "\x1b.db"), "--tracebacks"]) == 0
    text = capsys.readouterr().out
    assert "ValueError: \\x1b[31mred" in text and "\u00e9\tthe rest" in text
    assert all(c.isprintable() or c in "\n\t" for c in text) and len(text.splitlines()) > 10
    assert text.endswith(status(tmp_path / "\x1b.db", True).partition("\n")[2] + "\n")


def test_words_without_a_traceback():
    assert headline("the task was cancelled again") == "the task was cancelled again"
    assert headline("Traceback (most recent call last):\n  File 1\n    x(\n     ^\n"
                    "SyntaxError: bad\n") == "SyntaxError: bad"
    assert headline("") == "" and headline("\n  a") == "a"


def test_failures_are_told_of_every_time(sweep):
    def run(n, rng):
        return {"x": 1 / n}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            sweep(run, {"n": [0, 1]})
    assert [str(one.message)[:20] for one in caught] == ["1 of 2 tasks failed,"] * 3
    # As from the line that calls, for filters by module.
    assert {os.path.basename(one.filename) for one in caught} == {"conftest.py"}


def test_a_copy_that_may_lack_results_is_told_of_every_time(tmp_path):
    store = committed(tmp_path / "s.db", 3)
    shutil.copy(tmp_path / "s.db", tmp_path / "copy.db")
    store.close()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            gflow.load_sweep(tmp_path / "copy.db")
    assert len(caught) == 3 and {one.filename for one in caught} == {__file__}
