"""Grids, seeds, results and tables of sweeps; most of it in this process."""

import asyncio
import copy
import functools
import io
import itertools
import json
import math
import os
import pickle
import subprocess
import sys
import threading
import types
import warnings
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import gflow
import sweep_tasks
from gflow.sweeping import failures, session, status, task_rng
from gflow.sweeping.codec import decode, encode
from gflow.sweeping.executors import LocalPool
from gflow.sweeping.grid import tasks
from gflow.sweeping.records import _column
from gflow.sweeping.store import Store


def contents(path):
    """All that a store holds, without clocks and hosts."""
    with Store(path, read_only=True) as store:
        return [store.db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
                for table in ("settings", "tasks", "arrays")]


# Grids and seeds ----------------------------------------------------------------------------------

def test_a_grid_in_its_three_forms_is_the_same():
    grid = {"n": range(1, 3), "kind": np.array([0.5, 1.5])}
    points = [{"n": n, "kind": k} for n in (1, 2) for k in (0.5, 1.5)]
    assert tasks(grid, 3) == tasks(points, 3) == tasks(lambda: iter(points), 3)
    assert len({task.key for task in tasks(grid, 3)}) == 12


def test_seeds_do_not_depend_on_the_rest_of_the_grid():
    small = {task.key: task.spawn for task in tasks({"n": [5], "d": [2]}, 2)}
    large = {task.key: task.spawn for task in tasks({"d": [1, 2], "n": [1, 5, 7]}, 4)}
    assert small.items() <= large.items() and len(set(large.values())) == 24


def test_a_task_can_be_run_alone_bit_for_bit(sweep):
    table = sweep(sweep_tasks.draw, {"n": [1, 2], "kind": ["a", "b"]}, seeds=2, rng=7)
    for row in table:
        params = {"n": row["n"], "kind": str(row["kind"])}
        alone = sweep_tasks.draw(**params, rng=task_rng(params, row["seed"], rng=7))
        assert alone["mean"] == row["mean"] and (alone["vector"] == row["vector"]).all()
    assert len(set(table["mean"])) == 8


def test_shared_parameters_leave_the_draws_alone(sweep):
    table = sweep(sweep_tasks.scale, {"scale": [1.0, 2.0, 4.0], "n": [1, 2]}, shared=["scale"])
    x = np.array([table["x"][table["scale"] == s] / s for s in (1.0, 2.0, 4.0)])
    assert (x == x[0]).all() and x[0, 0] != x[0, 1]


@pytest.mark.parametrize("grid, seeds, sentence", [
    ({}, 0, "seeds is 0: give at least one"),
    ({"n": []}, 1, r"grid\['n'\] is empty"),
    ([], 1, "grid is empty"),
    ({"n": [1, 1]}, 1, "twice"),
    ({"n": [float("nan")]}, 1, "finite"),
    ({"n": [object()]}, 1, "has an object"),
    ({"n": {"a": 1}}, 1, "give a list of values"),
    ({"rng": [1]}, 1, "taken by the sweep"),
    ({"not a name": [1]}, 1, "identifier"),
    ({"m": [1]}, 1, "run cannot be called as run"),
    ([{"n": 1}, 5], 1, "has an int in its list"),
    ("n=1", 1, "grid is a str"),
    ({"n": [1]}, [1, 1], "every index once"),
    ({"n": [1]}, -1, "at least one"),
    ({"n": [1]}, "3", "number of seeds"),
    ({"n": [1]}, [2**63], "from 0 to 2"), ({"n": [1]}, 10**12, "give at most"),
    ({"n": [10**6000]}, 1, "a number of 19932 bits: give whole numbers up to"),
    ({"n": [np.uint64(2**63)]}, 1, "up to 2"), ({"n": [np.ma.masked]}, 1, "has a Masked"),
])
def test_bad_grids_are_refused_before_a_store_is_made(sweep, tmp_path, grid, seeds, sentence):
    def run(n, rng):
        raise AssertionError("not to be run")
    with pytest.raises((TypeError, ValueError), match=sentence):
        sweep(run, grid, seeds=seeds)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option, sentence", [
    ({"run": threading.Lock().acquire}, "cannot be pickled"),
    ({"run": 5}, "give a function"),
    ({"rng": np.random.default_rng()}, "whole number as the root seed"),
    ({"rng": -1}, "not negative"), ({"rng": 10**6000}, "below 2"),
    ({"workers": 0}, "positive whole number"),
    ({"changed": "ignore"}, "choose one of raise, keep, rerun"),
    ({"shared": "n"}, "list of names"),
    ({"shared": ["m"]}, "no parameter of the grid"),
    ({"executor": 3}, "executor is an int"),
    ({"executor": "nonsense"}, "no address of a scheduler"),
    ({"progress": "no"}, "progress is 'no': give True or False"),
    ({"retry_failed": "no"}, "retry_failed is 'no': give True or False"),
    ({"run": functools.partial(sweep_tasks.nap, rng={"a": 1}.keys())}, "run carries"),
])
def test_bad_arguments_are_one_sentence_before_a_store_is_made(sweep, tmp_path, option, sentence):
    """The settings of a store bind: a call that was refused must leave none."""
    option = {"run": sweep_tasks.nap, **option}
    with pytest.raises((TypeError, ValueError), match=sentence):
        sweep(option.pop("run"), {"n": [1]}, **option)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", [{"workers": 0}, {"executor": 3}])
def test_bad_arguments_leave_a_store_as_it_is(sweep, tmp_path, option):
    sweep(sweep_tasks.flow, {"n": [3]})
    before = contents(tmp_path / "s.db")
    with pytest.raises((TypeError, ValueError)):
        sweep(sweep_tasks.flow, {"n": [3, 6]}, **option)
    assert contents(tmp_path / "s.db") == before


def test_an_executor_that_is_shut_down_is_a_sentence(sweep):
    with ThreadPoolExecutor(1) as pool:
        pass
    with pytest.raises(gflow.sweeping.SweepError, match="takes no tasks .*: give one that runs"):
        sweep(sweep_tasks.nap, {"n": [1]}, executor=pool)


# Results ------------------------------------------------------------------------------------------

LETTERS = st.text(st.characters())
"""Halves of pairs too, as in names of files that are not UTF-8."""
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), LETTERS,
                    st.integers(0, 20_000).map(lambda bits: -2**bits + 1))
ARRAYS = npst.arrays(st.one_of(npst.floating_dtypes(endianness="="), npst.integer_dtypes(),
                               npst.complex_number_dtypes(endianness="="), npst.boolean_dtypes()),
                     npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))


@given(st.dictionaries(st.text(min_size=1).filter(lambda name: name not in ("rng", "seed")),
                       st.one_of(SCALARS, ARRAYS)))
def test_results_come_back_as_they_were(result):
    text, arrays = encode(result)
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    back = decode(text, arrays)
    assert list(back) == list(result) and encode(back) == (text, arrays)
    for name, value in result.items():
        assert type(back[name]) is type(value)
        np.testing.assert_array_equal(back[name], value, strict=isinstance(value, np.ndarray))


@pytest.mark.parametrize("value", [1j, np.complex64(2 - 1j), np.longdouble(1) / 3, b"a"])
def test_arrays_without_axes_have_none_when_they_come_back(value):
    array = np.array(value)
    back = decode(*encode({"x": array, "y": np.asfortranarray([[value] * 2] * 3)}))
    np.testing.assert_array_equal(back["x"], array, strict=True)
    assert back["y"].shape == (3, 2) and _column([back["x"]] * 2).shape == (2,)


@pytest.mark.parametrize("result, sentence", [
    (5, "return a mapping"), ({1: 2}, "names are strings"), ({"n": 1}, "name of a parameter"),
    ({"seed": 1}, "name of a parameter or of the seed"), ({"x": object()}, "'x' as an object"),
    ({"x": [[1], [1, 2]]}, "ragged"), ({"x": np.array([None])}, "returned 'x'"),
    ({"x": np.zeros(2 * 10 ** 7)}, "save large arrays"), ({"x": {}}, "returned 'x' as a dict"),
    ({"x": "a" * 10**8}, "save large arrays"), ({"\udcff": 1}, "cannot be written to a file"),
    ({"x": np.ma.masked_equal([1, 2], 1)}, "masked"), ({"x": np.ma.masked}, "masked"),
    ({"x": [1, "a"]}, "something else"), ({"x": [-1, 2**63 + 1]}, "something else"),
    ({"x": [2**60 + 1, 0.5]}, "something else"), ({"x": ["a\0"]}, "something else"),
    ({"x": [np.ma.masked, 1.0]}, "something else"),
    ({"x": [np.array([2**62 + 1]), np.array([0.5])]}, "something else"),
    ({"x": [2**70]}, "arrays of numbers"), ({"x": b"a"}, "as a bytes"),
])
def test_bad_results_fail_their_task_only(sweep, tmp_path, result, sentence):
    with pytest.warns(RuntimeWarning, match="1 of 2 tasks failed"):
        table = sweep(lambda n, rng: result if n == 1 else {"y": 3}, {"n": [1, 2]})
    assert table["y"] == [3] and len(table) == 1
    assert sentence in failures(tmp_path / "s.db")[0].error


EXTREME = [2**53 + 1, -2**63, 2**63, 2**64 - 1, math.comb(2000, 1000), 10**6000, -0.0, 5e-324,
           1.7e308, float("inf"), "", "a\0", "\udcff", "\U0001f600", "x" * 10**6, None, True]


def test_extreme_results_come_back_exactly_from_a_table():
    for pair in itertools.combinations(EXTREME, 2):
        column = _column([decode(*encode({"x": value}))["x"] for value in pair])
        for before, after in zip(pair, column):
            gap = before is None and (after == "" or after != after)
            assert gap or after == before
            assert before != 0 or isinstance(before, str) or np.signbit(float(after))


@pytest.mark.parametrize("error, name", [
    (asyncio.CancelledError, "CancelledError"), (CancelledError, "CancelledError"),
    (KeyboardInterrupt, "KeyboardInterrupt"), (GeneratorExit, "GeneratorExit"),
    (StopIteration, "StopIteration"), (SystemExit, "SystemExit"),
    (UnicodeError("mess\udcff.csv \0"), r"mess\udcff.csv")])
def test_whatever_a_task_raises_it_fails_and_the_others_go_on(sweep, tmp_path, error, name):
    def run(n, rng):
        if n == 2:
            raise error
        return {"x": n}
    with pytest.warns(RuntimeWarning, match="1 of 3 tasks failed"):
        assert sweep(run, {"n": [1, 2, 3]})["x"].tolist() == [1, 3]
    assert name in failures(tmp_path / "s.db")[0].error


@pytest.mark.parametrize("grid", [{"n": ["\udcff", "a\0", "\U0001f600", "x" * 10**6, ""]},
                                  {"n": [-0.0, 0.0, 5e-324, 1.7e308, 2**53, -2**53, np.float16(0.1),
                                         np.uint64(7), True, None, [1, ["a", -0.0]]]}])
def test_extreme_parameters_are_kept_exactly(sweep, tmp_path, grid):
    table = sweep(lambda n, rng: {"x": repr(n)}, grid)
    plain = [value.item() if isinstance(value, np.generic) else value for value in grid["n"]]
    assert list(table["n"]) == plain and list(table["x"]) == [repr(value) for value in plain]
    assert "complete" in status(tmp_path / "s.db")


def test_records_pandas_and_xarray(sweep, tmp_path):
    with pytest.warns(RuntimeWarning, match="three b"):
        table = sweep(sweep_tasks.draw, sweep_tasks.GRID, seeds=2)
    again = gflow.load_sweep(tmp_path / "s.db")
    assert isinstance(again, np.recarray) and len(again) == 18
    assert again.tobytes() == table.tobytes() and again.dtype == table.dtype
    types = {"n": "<i8", "kind": "<U1", "mean": "<f8", "label": "<U5", "flag": "|b1"}
    assert {name: again.dtype[name].str for name in types} == types
    assert again["matrix"].shape == (18, 2, 3) and again["matrix"].dtype == np.int16
    assert np.isposinf(again["special"][again["n"] == 3]).all() and again["none"][0] is None

    frame = gflow.load_sweep(tmp_path / "s.db", "pandas")
    assert (frame["mean"] == again["mean"]).all() and frame["vector"][3].shape == (3,)
    cube = gflow.load_sweep(tmp_path / "s.db", "xarray")
    assert dict(cube.sizes) == {"n": 5, "kind": 2, "seed": 2, "vector_0": 3, "matrix_0": 2,
                                "matrix_1": 3}
    for row in again:
        cell = cube.sel(n=row["n"], kind=row["kind"], seed=row["seed"])
        assert cell["mean"] == row["mean"] and (cell["vector"] == row["vector"]).all()
    assert cube["mean"].isnull().sum() == 2 and cube["matrix"].isnull().sum() == 12


def test_axes_of_arrays_are_named_beside_parameters_and_results(sweep, tmp_path):
    sweep(lambda n, a_0, rng: {"a": np.ones(2), "a_0_": n}, {"n": [1, 2], "a_0": [1, 2, 3]})
    cube = gflow.load_sweep(tmp_path / "s.db", "xarray")
    assert cube["a"].dims == ("n", "a_0", "seed", "a_0__") and (cube["a"] == 1).all()
    assert (cube["a_0_"].sel(n=2) == 2).all()


def test_mixed_parameters_and_results_have_gaps(sweep):
    table = sweep(lambda rng, n=0, k="": {"x": 1} if n == 2 else {"y": [1.0] * n, "x": 1.5},
                  [{"n": 1}, {"n": 2, "k": "q"}, {"n": 3}])
    assert table["k"].tolist() == ["", "q", ""] and table["x"].tolist() == [1.5, 1.0, 1.5]
    assert table["y"][1] is None and table["y"][2].tolist() == [1.0, 1.0, 1.0]


# Going on -----------------------------------------------------------------------------------------

def test_only_what_is_missing_is_run(sweep, tmp_path):
    ran = []
    executor = sweep_tasks.Recorder(ran)
    first = sweep(sweep_tasks.nap, {"n": [1, 2]}, seeds=2, executor=executor)
    assert len(ran) == 4
    before = contents(tmp_path / "s.db")[1]
    larger = sweep(sweep_tasks.nap, {"n": [1, 2, 3]}, seeds=3, executor=executor)
    assert len(ran) == 9 and contents(tmp_path / "s.db")[1][:4] == before
    assert len(first) == 4 and len(larger) == 9
    assert len(sweep(sweep_tasks.nap, {"n": [3]}, executor=executor)) == 1 and len(ran) == 9


def test_failed_tasks_keep_their_traceback_until_asked_again(sweep, tmp_path, monkeypatch):
    # Not a global: that would be another function to the store.
    monkeypatch.setenv("SWEEP_BROKEN", "yes")
    for calls in range(2):
        with pytest.warns(RuntimeWarning, match="1 of 2 tasks failed, .*ZeroDivisionError"):
            assert len(sweep(sometimes, {"n": [1, 2]})) == 1
    failure, = failures(tmp_path / "s.db")
    assert failure.params == {"n": 2} and "in sometimes" in failure.error
    assert "worker.py" not in failure.error
    assert "ZeroDivisionError" in status(tmp_path / "s.db", tracebacks=True)
    monkeypatch.delenv("SWEEP_BROKEN")
    assert len(sweep(sometimes, {"n": [1, 2]}, retry_failed=True)) == 2
    assert failures(tmp_path / "s.db") == []


def sometimes(n, rng):
    return {"x": 1 / (n - 2) if n == 2 and os.environ.get("SWEEP_BROKEN") else 0.0}


def test_changed_code_is_noticed(sweep, tmp_path, monkeypatch):
    def version_one():
        def run(n, rng):
            return {"x": 1}
        return run

    def version_two():
        def run(n, rng):
            return {"x": 2}
        return run

    sweep(version_one(), {"n": [1]})
    before = contents(tmp_path / "s.db")
    # Other qualified names would be noticed as well.
    two = version_two()
    two.__qualname__ = version_one().__qualname__
    with pytest.raises(ValueError, match="1 of these tasks as done by other code of run"):
        sweep(two, {"n": [1, 2]})
    assert contents(tmp_path / "s.db") == before
    assert sweep(two, {"n": [1, 2]}, changed="keep")["x"].tolist() == [1, 2]
    assert sweep(two, {"n": [1, 2]}, changed="rerun")["x"].tolist() == [2, 2]
    for module in ("store", "worker"):
        monkeypatch.setattr(f"gflow.sweeping.{module}.__version__", "9.9")
    with pytest.raises(ValueError, match="by gflow 0.1.0, and this is 9.9"):
        sweep(two, {"n": [1, 2]})


def test_workers_of_another_version_are_refused(sweep, monkeypatch):
    greet, perform = session.greet, session.perform
    for module, name, function in (("session", "greet", greet), ("session", "perform", perform)):
        with monkeypatch.context() as patch:
            patch.setattr(session, name, lambda job, *task: function(
                job._replace(version="9.9"), *task))
            with pytest.raises(gflow.sweeping.SweepError, match="is 0.1.0 and the sweep's 9.9"):
                sweep(sweep_tasks.nap, {"n": [1]})


@pytest.mark.parametrize("option", [{"rng": 1}, {"shared": ["n"]}, {"run": sweep_tasks.flow}])
def test_a_store_is_of_one_sweep(sweep, option):
    sweep(sweep_tasks.nap, {"n": [1]})
    with pytest.raises(ValueError, match="was made with .* use another store"):
        sweep(option.pop("run", sweep_tasks.nap), {"n": [1]}, **option)


def test_two_sweeps_on_one_store_share_the_work(tmp_path):
    ran = [[], []]

    def work(i):
        gflow.sweep(sweep_tasks.draw, {"n": [1, 2, 4, 5], "kind": ["a"]}, seeds=10,
                    store=tmp_path / "s.db", executor=Counting(ran[i]), workers=2, progress=False)

    with ThreadPoolExecutor(2) as both:
        assert list(both.map(work, range(2))) == [None, None]
    assert len(ran[0]) + len(ran[1]) == 40 and not set(ran[0]) & set(ran[1])
    gflow.sweep(sweep_tasks.draw, {"n": [1, 2, 4, 5], "kind": ["a"]}, seeds=10,
                store=tmp_path / "alone.db", executor=Counting([]), progress=False)
    assert contents(tmp_path / "s.db") == contents(tmp_path / "alone.db")


class Counting(ThreadPoolExecutor):
    """Notes the keys of its tasks."""

    def __init__(self, ran):
        super().__init__(2)
        self.ran = ran

    def submit(self, fn, *args):
        self.ran += [args[1].key] if fn.__name__ == "perform" else []
        return super().submit(fn, *args)


# Terminals ----------------------------------------------------------------------------------------

class Lost(io.StringIO):
    """A terminal whose other end is gone."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def isatty(self):
        return True

    def write(self, text):
        raise self.error


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [closed(), Lost(OSError(5, "EIO")), Lost(BrokenPipeError()),
                                    types.SimpleNamespace(write=len), object(), None])
def test_a_sweep_does_not_die_with_its_terminal(sweep, monkeypatch, stream):
    def run(n, rng):
        return {"x": 1 / n}
    monkeypatch.setattr("gflow.sweeping.report.LINE", 0.0)
    monkeypatch.setattr("sys.stderr", stream)
    with warnings.catch_warnings():
        # To the terminal too, and not to pytest.
        warnings.showwarning = show
        assert len(sweep(run, {"n": [0, 1, 2]}, progress=True)) == 2


def show(message, *details):
    sys.stderr.write(str(message))


# Processes ----------------------------------------------------------------------------------------

def test_processes_give_what_threads_give(sweep, tmp_path):
    here = sweep(sweep_tasks.flow, {"n": [3, 6]}, store=tmp_path / "threads.db")
    there = gflow.sweep(sweep_tasks.flow, {"n": [3, 6]}, store=tmp_path / "p.db", progress=False)
    assert (there["loss"] == here["loss"]).all() and (there["W"] == here["W"]).all()
    assert (there["threads"] == 1).all()


def test_a_task_that_kills_its_worker_fails_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_FLAG", str(tmp_path / "flag"))
    with pytest.warns(RuntimeWarning, match="1 of 5 tasks failed"):
        table = gflow.sweep(sweep_tasks.deadly, {"n": [1, 2, 3, 4, 5]}, store=tmp_path / "s.db",
                            workers=2, progress=False)
    assert sorted(table["n2"]) == [1, 9, 16, 25]
    failure, = failures(tmp_path / "s.db")
    assert failure.params == {"n": 2} and "did it kill its worker?" in failure.error


def test_a_pool_of_someone_else_that_breaks_is_an_error(tmp_path, monkeypatch):
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context
    monkeypatch.setenv("SWEEP_FLAG", str(tmp_path / "flag"))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.raises(gflow.sweeping.SweepError, match="of 3 tasks are done and kept in"):
            gflow.sweep(sweep_tasks.deadly, {"n": [1, 2, 4]}, store=tmp_path / "s.db",
                        executor=pool, progress=False)


def test_a_cancelled_task_runs_again(sweep):
    class Fickle(ThreadPoolExecutor):
        cancelled = 0

        def submit(self, fn, *args):
            if fn.__name__ == "perform" and Fickle.cancelled < 5:
                Fickle.cancelled += 1
                future = Future()
                future.cancel()
                future.set_running_or_notify_cancel()
                return future
            return super().submit(fn, *args)

    with Fickle(2) as pool:
        assert len(sweep(sweep_tasks.nap, {"n": [1, 2, 3]}, executor=pool)) == 3
    assert Fickle.cancelled == 5


def test_a_task_that_is_cancelled_every_time_has_failed(sweep, tmp_path):
    class Cancelling(ThreadPoolExecutor):
        def submit(self, fn, *args):
            future = super().submit(fn, *args)
            if fn.__name__ == "perform" and json.loads(args[1].params)["n"] == 2:
                future = Future()
                future.cancel()
                future.set_running_or_notify_cancel()
            return future

    with Cancelling(1) as pool, pytest.warns(RuntimeWarning, match="1 of 3 tasks failed"):
        assert len(sweep(sweep_tasks.nap, {"n": [1, 2, 3]}, executor=pool)) == 2
    assert "cancelled again and again" in failures(tmp_path / "s.db")[0].error


@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy,
                                   copy.deepcopy])
def test_errors_of_gflow_come_back_from_a_pool(again):
    """An error that cannot be unpickled breaks the pool that it comes from."""
    with pytest.raises(gflow.IntegrationError) as caught:
        gflow.integrate(([0.1], [[0.1]]), ([[1.0]], [1e200]), 10.0, strict=True)
    for error in (caught.value, gflow.sweeping.SweepError("a sentence")):
        error.add_note("a note")
        back = again(error)
        assert type(back) is type(error) and str(back) == str(error)
        assert back.__notes__ == ["a note"] and set(vars(back)) == set(vars(error))
    assert again(caught.value).flow.status == caught.value.flow.status


def test_idle_workers_that_die_are_replaced():
    with LocalPool(1) as pool:
        pid = pool.submit(os.getpid).result()
        os.kill(pid, 9)
        while os.path.exists(f"/proc/{pid}/stat") and pool.submit(os.getpid).exception() is None:
            pass
        assert pool.submit(os.getpid).result() != pid


def test_a_script_without_a_guard_is_told(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import gflow, sweep_tasks\n"
                      f"store = {str(tmp_path / 's.db')!r}\n"
                      "gflow.sweep(sweep_tasks.nap, {'n': [1]}, store=store)\n")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True,
                         env=sweep_tasks.environment())
    assert run.returncode == 1 and run.stderr.rstrip().endswith('__name__ == "__main__":')
