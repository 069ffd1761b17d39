"""Sweeps that are killed, interrupted, run twice at once, or on a Dask cluster."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import gflow
import sweep_tasks
from gflow.sweeping import status
from gflow.sweeping.store import Store
from sweep_tasks import environment
from test_sweep import contents

GRID = json.dumps(sweep_tasks.GRID)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


def start(run, grid, store, *more, **variables):
    """A sweep in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", "import sweep_tasks, sys\n"
                             "sweep_tasks.main(*sys.argv[1:])", run, grid, store, *more],
                            stderr=subprocess.PIPE, text=True, env=environment(**variables),
                            start_new_session=True)


def wait_until(condition, seconds=120):
    """Wait, but not for ever."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def done(store):
    """Number of tasks that are done, 0 if there is no store yet."""
    try:
        return len(gflow.load_sweep(store))
    except (OSError, ValueError):
        return 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What an uninterrupted sweep leaves."""
    store = tmp_path_factory.mktemp("undisturbed") / "s.db"
    assert start("draw", GRID, store).wait() == 0
    return contents(store)


def kill_ten_times(run, grid, store, pids, most, nap, seeds=sweep_tasks.SEEDS, **variables):
    """Kill a sweep ten times, each after up to ``most`` more tasks and ``nap`` more seconds.

    Returns how many tasks were done after each.
    """
    draw = np.random.default_rng()
    pids.mkdir()
    grown = [0]
    for _ in range(10):
        sweep = start(run, grid, store, str(seeds), SWEEP_PIDS=str(pids), **variables)
        enough = grown[-1] + draw.integers(0, most + 1)
        wait_until(lambda: done(store) >= enough or sweep.poll() is not None)
        time.sleep(draw.uniform(0, nap))
        sweep.kill()
        sweep.wait()
        sweep.stderr.close()
        grown.append(done(store))
    assert grown == sorted(grown)
    return grown


def test_killed_at_ten_random_moments(tmp_path, undisturbed):
    """What an uninterrupted sweep leaves is what is left in the end, bit for bit."""
    store, pids = tmp_path / "s.db", tmp_path / "pids"
    grown = kill_ten_times("draw", GRID, store, pids, 5, 0.3, SWEEP_NAP="0.1")
    # The moments were in the middle of the work, most of them.
    assert sum(0 < n < 72 for n in grown) >= 5, grown
    # Workers do not outlive their sweep.
    assert any(pids.iterdir())
    wait_until(lambda: not any(Path("/proc", p.name).exists() for p in pids.iterdir()))
    sweep = start("draw", GRID, store)
    assert sweep.wait() == 0, sweep.stderr.read()
    assert contents(store) == undisturbed, grown


@pytest.mark.slow
def test_killed_at_a_hundred_random_moments(tmp_path):
    """Nothing that was reported done is lost, neither in place nor in a copy of the one file."""
    store, seeds = tmp_path / "s.db", "400"
    draw, counts, torn = np.random.default_rng(), [], 0
    for kill in range(100):
        sweep = start("draw", GRID, store, seeds, SWEEP_NAP="0.25")
        wait_until(lambda: done(store) > (counts or [0])[-1] or sweep.poll() is not None)
        time.sleep(draw.uniform(0, 0.3))
        reported = done(store)
        sweep.kill()
        sweep.wait()
        sweep.stderr.close()
        counts.append(len(gflow.load_sweep(store)))
        assert counts[-1] >= reported
        copy = tmp_path / f"copy{kill}.db"
        shutil.copy(store, copy)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert len(gflow.load_sweep(copy)) >= reported
        except ValueError as error:
            # Killed between two pages: it is refused, and whole with its log.
            assert f"copy {copy.name}-wal together with it" in str(error)
            torn += 1
            shutil.copy(f"{store}-wal", f"{copy}-wal")
            assert len(gflow.load_sweep(copy)) >= reported
    print(f"done after each kill: {counts}; {torn} torn copies")
    assert counts == sorted(counts) and sum(0 < count < 3600 for count in counts) >= 50
    assert start("draw", GRID, store, seeds, SWEEP_NAP="0").wait() == 0
    whole = tmp_path / "whole.db"
    assert start("draw", GRID, whole, seeds, SWEEP_NAP="0").wait() == 0
    assert contents(store) == contents(whole)


@pytest.mark.slow
def test_a_phase_diagram_killed_at_ten_random_moments(tmp_path):
    """The same on the experiment of the diagram."""
    grid = json.dumps({"d": [2, 3], "n": [4, 10, 25, 60], "width": [50]})
    whole, store = tmp_path / "whole.db", tmp_path / "s.db"
    sweep = start("threshold", grid, whole, "5")
    assert sweep.wait() == 0, sweep.stderr.read()
    grown = kill_ten_times("threshold", grid, store, tmp_path / "pids", 4, 2.0, seeds=5)
    assert sum(0 < n < 40 for n in grown) >= 4, grown
    sweep = start("threshold", grid, store, "5")
    assert sweep.wait() == 0, sweep.stderr.read()
    assert contents(store) == contents(whole), grown
    assert len(gflow.load_sweep(store)) == 40 and (gflow.load_sweep(store)["limit"] == "none").all()


def test_two_processes_on_one_store_and_one_is_killed(tmp_path, undisturbed):
    store = tmp_path / "s.db"
    both = [start("draw", GRID, store) for _ in range(2)]
    wait_until(lambda: done(store) >= 5)
    both[0].kill()
    both[0].wait()
    assert both[1].wait() == 0, both[1].stderr.read()
    with warnings.catch_warnings():
        # The other one was cut off, but nothing is missing.
        warnings.simplefilter("error")
        assert contents(store) == undisturbed


def test_ctrl_c_keeps_what_is_done_and_ends_the_workers(tmp_path):
    store = tmp_path / "s.db"
    # The tasks of n = 5 sleep for a minute.
    sweep = start("nap", '{"n": [1, 2, 3, 5]}', store, "8", "progress")
    wait_until(lambda: done(store) >= 2)
    assert "under way" in status(store) and f"process {sweep.pid}" in status(store)
    # As a terminal does it: to the whole group.
    os.killpg(sweep.pid, signal.SIGINT)
    error = sweep.communicate(timeout=60)[1]
    assert "of 32 tasks are done and kept in" in error and "goes on from there" in error
    assert done(store) >= 2 and "no sweep is running" in status(store)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_sweep_also_in_code_that_hears_nothing(tmp_path, number):
    """A pattern that backtracks for hours keeps the interpreter: no thread of the worker runs."""
    store, pids = tmp_path / "s.db", tmp_path / "pids"
    pids.mkdir()
    sweep = start("stuck", '{"n": [1, 2]}', store, "1", SWEEP_PIDS=str(pids))
    wait_until(lambda: len(list(pids.iterdir())) == 2)
    time.sleep(0.2)
    sweep.send_signal(number)
    sweep.communicate(timeout=30)
    wait_until(lambda: not any(Path("/proc", p.name).exists() for p in pids.iterdir()))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_tasks_have_started_ends_with_their_sweep(tmp_path, number):
    store, pids = tmp_path / "s.db", tmp_path / "pids"
    pids.mkdir()
    # Those of n = 1 are over, and have left a program too.
    sweep = start("starts", '{"n": [1, 5]}', store, "3", SWEEP_PIDS=str(pids))
    wait_until(lambda: len(list(pids.iterdir())) >= 2 + done(store) and done(store))
    sweep.send_signal(number)
    sweep.communicate(timeout=30)
    wait_until(lambda: not any(Path("/proc", p.name).exists() for p in pids.iterdir()), 10)


def test_ctrl_c_is_heard_while_another_program_locks_the_store(tmp_path):
    store = tmp_path / "s.db"
    assert start("nap", '{"n": [1]}', store, "1").wait() == 0
    db = sqlite3.connect(store, isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    sweep = start("nap", '{"n": [1, 2]}', store, "1")
    with pytest.raises(subprocess.TimeoutExpired):
        sweep.wait(5)
    sweep.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in sweep.communicate(timeout=20)[1]
    db.close()


def test_a_sweep_that_ignores_ctrl_c_goes_on(tmp_path):
    """As under nohup, or in the background of a script."""
    store = tmp_path / "s.db"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        sweep = start("draw", GRID, store, SWEEP_NAP="0.05")
    finally:
        signal.signal(signal.SIGINT, before)
    wait_until(lambda: done(store) >= 3)
    os.killpg(sweep.pid, signal.SIGINT)
    assert sweep.wait() == 0 and done(store) == 72


def test_a_child_that_a_task_forked_does_not_answer_for_it(tmp_path):
    store = tmp_path / "s.db"
    assert start("forks", '{"n": [1, 2, 3]}', store, "4").wait() == 0
    table = gflow.load_sweep(store)
    assert len(table) == 12 and table["parent"].all()


def test_an_executor_that_runs_tasks_at_once_loses_no_more_than_others(tmp_path):
    """What is done when it comes back is in the store before the next task begins."""
    store, seen = tmp_path / "s.db", []

    class Looking(sweep_tasks.Recorder):
        def submit(self, fn, *args):
            seen.append(done(store))
            return super().submit(fn, *args)
    gflow.sweep(lambda n, rng: time.sleep(0.06) or {"x": n}, {"n": [*range(8)]}, store=store,
                progress=False, executor=Looking([]))
    # The first is a greeting.
    assert seen == [0, *range(8)] and done(store) == 8


def test_a_full_disk_stops_an_executor_that_runs_tasks_at_once(tmp_path, monkeypatch):
    """Nothing new is started until there is room; then all that was held is written."""
    store, ran, refused, exchange = tmp_path / "s.db", [], [], Store.exchange

    def full(self, finished, wanted, room):
        if finished and len(refused) < 2:
            refused.append(len(ran))
            raise OSError("full")
        return exchange(self, finished, wanted, room)
    monkeypatch.setattr(Store, "exchange", full)
    monkeypatch.setattr("gflow.sweeping.session.POLL", 0.01)
    gflow.sweep(lambda n, rng: time.sleep(0.06) or {"x": n}, {"n": [*range(4)]}, store=store,
                progress=False, executor=sweep_tasks.Recorder(ran))
    assert refused == [1, 1] and len(ran) == 4 == done(store)


# Before the first task ----------------------------------------------------------------------------

TOUCHY = """
import os, pathlib, signal
started = pathlib.Path(__file__).with_name("started")
if multiprocessing.parent_process() is not None:
    started.write_text("x" * (len(started.read_text()) + 1))
    if len(started.read_text()) <= {deaths}:
        os.kill(os.getpid(), signal.SIGKILL)
def run(n, rng):
    return {{"n2": n * n}}
"""


@pytest.mark.parametrize("deaths", [1, 2, 9])
def test_a_worker_that_is_killed_as_it_starts_is_replaced(tmp_path, monkeypatch, deaths):
    """As others are: three times, and the sentence says what it was."""
    (tmp_path / "touchy.py").write_text("import multiprocessing" + TOUCHY.format(deaths=deaths))
    (tmp_path / "started").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delitem(sys.modules, "touchy", raising=False)
    import touchy

    def go():
        return gflow.sweep(touchy.run, {"n": [1, 2]}, store=tmp_path / "s.db", workers=1,
                           progress=False)
    if deaths > 2:
        with pytest.raises(gflow.sweeping.SweepError,
                           match=r"killed as they start, 3 times by now \(signal 9\)"):
            go()
        (tmp_path / "started").write_text("x" * deaths)
    assert sorted(go()["n2"]) == [1, 4]


def test_a_greeting_that_is_cancelled_is_given_again(sweep):
    class Fickle(ThreadPoolExecutor):
        cancelled, most = 0, 5

        def submit(self, fn, *args):
            if fn.__name__ == "greet" and self.cancelled < self.most:
                self.cancelled += 1
                future = Future()
                future.cancel()
                future.set_running_or_notify_cancel()
                return future
            return super().submit(fn, *args)

    with Fickle(1) as pool:
        assert len(sweep(sweep_tasks.flow, {"n": [3]}, executor=pool)) == 1
        pool.most = 1000
        with pytest.raises(gflow.sweeping.SweepError, match="cancels what it is given"):
            sweep(sweep_tasks.flow, {"n": [3, 4]}, executor=pool)


def test_a_pool_of_someone_else_that_breaks_before_its_first_task_is_one_sentence(sweep):
    class Broken(ProcessPoolExecutor):
        def submit(self, fn, *args):
            future = Future()
            future.set_exception(BrokenProcessPool("abrupt"))
            return future

    with Broken(1) as pool, pytest.raises(gflow.sweeping.SweepError, match="the executor broke"):
        sweep(sweep_tasks.flow, {"n": [3]}, executor=pool)


# Dask ---------------------------------------------------------------------------------------------

@pytest.fixture
def cluster(tmp_path):
    """The address of a scheduler, and its two workers: processes on loopback."""
    pytest.importorskip("distributed")
    file = tmp_path / "scheduler.json"
    common = ["--scheduler-file", str(file), "--host", "127.0.0.1"]
    log = open(tmp_path / "dask.log", "w")

    def launch(*words):
        return subprocess.Popen([sys.executable, "-m", *words, *common], stdout=log, stderr=log,
                                env=environment())

    scheduler = launch("distributed.cli.dask_scheduler", "--no-dashboard", "--port", "0")
    wait_until(file.exists)
    workers = [launch("distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny",
                      "--no-dashboard", "--name", name) for name in ("one", "two")]
    from distributed import Client
    with Client(scheduler_file=str(file)) as client:
        client.wait_for_workers(2, timeout=120)
        address = client.scheduler.address
    yield address, scheduler, workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait()
    log.close()


def test_a_dask_cluster_that_loses_a_worker_gives_the_same_store(tmp_path, cluster, undisturbed):
    address, _, workers = cluster
    store = tmp_path / "s.db"

    def kill_one():
        wait_until(lambda: done(store) >= 8)
        workers[0].kill()

    killer = threading.Thread(target=kill_one)
    killer.start()
    with pytest.warns(RuntimeWarning, match="three b"):
        table = gflow.sweep(sweep_tasks.draw, sweep_tasks.GRID, seeds=sweep_tasks.SEEDS,
                            store=store, executor=address, progress=False)
    killer.join()
    assert workers[0].wait() != 0 and workers[1].poll() is None
    assert len(table) == 72 and contents(store) == undisturbed


def test_a_dask_client_stays_open(tmp_path, cluster):
    from distributed import Client
    with Client(cluster[0]) as client:
        table = gflow.sweep(sweep_tasks.nap, {"n": [1, 2, 3]}, store=tmp_path / "s.db",
                            executor=client, progress=False)
        assert table["n2"].tolist() == [1, 4, 9] and client.status == "running"


def test_a_scheduler_that_dies_is_an_error_and_what_is_done_is_kept(tmp_path, cluster, monkeypatch):
    address, scheduler, _ = cluster
    monkeypatch.setattr("gflow.sweeping.executors.PATIENCE", 0.5)
    store = tmp_path / "s.db"

    def kill():
        wait_until(lambda: done(store) >= 2)
        scheduler.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(gflow.sweeping.SweepError, match="of 40 tasks are done and kept in"):
        gflow.sweep(sweep_tasks.nap, {"n": [1, 2, 3, 0]}, seeds=10, store=store, executor=address,
                    progress=False)
    killer.join()
    assert 2 <= done(store) < 40


def test_no_scheduler_there(tmp_path):
    pytest.importorskip("distributed")
    import dask
    with dask.config.set({"distributed.comm.timeouts.connect": "0.2s"}):
        with pytest.raises(OSError, match="no Dask scheduler answers at tcp://127.0.0.1:1"):
            gflow.sweep(sweep_tasks.nap, {"n": [1]}, store=tmp_path / "s.db",
                        executor="tcp://127.0.0.1:1", progress=False)
