"""Sweeps on one store: of other code, of other containers, under other names."""

import functools
import os
import sqlite3

import pytest

import gflow
import sweep_tasks
from gflow.sweeping import status
from gflow.sweeping.grid import tasks
from gflow.sweeping.store import OURS, Store
from gflow.sweeping.worker import Outcome


# Other code ---------------------------------------------------------------------------------------

def test_new_points_do_not_hide_that_run_has_changed(sweep, tmp_path):
    """Of a store all tasks are looked at, or tables would mix two codes."""
    def run(n, rng):
        return {"x": n}
    old = functools.partial(run)
    new = functools.partial(run)
    new.version = 2
    sweep(old, {"n": [1, 2]})
    before = gflow.load_sweep(tmp_path / "s.db").tobytes()
    with pytest.raises(ValueError, match="holds 2 of its tasks, none of them of this grid, as done "
                                         "by other code of run"):
        sweep(new, {"n": [3]})
    with pytest.raises(ValueError, match="holds 2 of these tasks"):
        sweep(new, {"n": [1, 2, 3]})
    assert gflow.load_sweep(tmp_path / "s.db").tobytes() == before
    assert sweep(new, {"n": [3]}, changed="keep")["x"].tolist() == [3]


@pytest.mark.parametrize("changed", ["raise", "keep", "rerun"])
@pytest.mark.parametrize("done", [0, 2])
def test_a_sweep_of_other_code_that_goes_on_is_not_joined(tmp_path, changed, done):
    path, wanted = tmp_path / "s.db", tasks({"n": [1, 2, 3]})
    with Store(path) as old, Store(path) as new, Store(path) as same:
        todo = list(old.begin(wanted, {"run": "x:run"}, "old"))
        for task in todo[:done]:
            old.exchange([(task, Outcome("{}", {}, None))], [], 0)
        if not done or changed != "raise":
            with pytest.raises(ValueError, match="in use by a sweep of other code .*process "
                                                 f"{os.getpid()}\\): wait until it ends"):
                new.begin(wanted, {"run": "x:run"}, "new", changed)
        assert len(same.begin(wanted, {"run": "x:run"}, "old", changed)) == 3 - done
        for store in (old, same):
            store.end()
            store.close()
        if changed != "raise":
            assert len(new.begin(wanted, {"run": "x:run"}, "new", changed)) == \
                3 - done * (changed == "keep")


def test_a_sweep_that_was_taken_for_dead_writes_nothing_beside_other_code(tmp_path):
    path, wanted = tmp_path / "s.db", tasks({"n": [1]})
    with Store(path) as old, Store(path) as new:
        task, = old.begin(wanted, {"run": "x:run"}, "old")
        OURS.clear()
        assert list(new.begin(wanted, {"run": "x:run"}, "new")) == [task]
        with pytest.raises(ValueError, match="in use by a sweep of other code"):
            old.exchange([(task, Outcome("{}", {}, None))], [], 0)
        assert new.count() == {"pending": 1, "done": 0, "failed": 0}
        assert new.exchange([], [task], 1) == {task: "ours"}


def test_a_sweep_that_stood_still_does_not_go_on_after_one_of_other_code(tmp_path):
    path, wanted = tmp_path / "s.db", tasks({"n": [1]})
    with Store(path) as old, Store(path) as new:
        task, = old.begin(wanted, {"run": "x:run"}, "old")
        OURS.clear()
        new.begin(wanted, {"run": "x:run"}, "new")
        new.end()
        with pytest.raises(ValueError, match="used by a sweep of other code .* stood still"):
            old.exchange([(task, Outcome("{}", {}, None))], [], 0)
        assert new.count() == {"pending": 1, "done": 0, "failed": 0}


def test_a_store_without_the_code_of_its_sweeps_is_gone_on_with(sweep, tmp_path):
    """As an older gflow leaves it."""
    sweep(sweep_tasks.nap, {"n": [1]})
    with sqlite3.connect(tmp_path / "s.db") as db:
        for name in ("code", "place"):
            db.execute(f"ALTER TABLE sweeps DROP COLUMN {name}")
    db.close()
    assert "complete" in status(tmp_path / "s.db")
    assert len(sweep(sweep_tasks.nap, {"n": [1, 2]})) == 2
    with Store(tmp_path / "s.db", read_only=True) as store:
        assert [sweep.code is None for sweep in store.sweeps()] == [True, False]


# Which sweeps are alive ---------------------------------------------------------------------------

@pytest.mark.parametrize("place, alive", [("another kernel pid:[1]", True), (None, False)])
def test_processes_of_another_container_are_not_looked_for_here(tmp_path, place, alive):
    """It may have the same host name, and other processes have its numbers."""
    with Store(tmp_path / "s.db") as store:
        store.begin(tasks({"n": [1]}), {"run": "x:run"}, "code")
        store.db.execute("UPDATE sweeps SET pid = 2147483600, place = ?", (place,))
        assert bool(store.alive()) == alive


def test_a_store_with_two_names_is_one_store(tmp_path):
    (tmp_path / "b.db").symlink_to(tmp_path / "a.db")
    with Store(tmp_path / "a.db") as one, Store(tmp_path / "b.db") as two:
        task, = one.begin(tasks({"n": [1]}), {"run": "x:run"}, "code")
        assert one.exchange([], [task], 1) == {task: "ours"}
        two.begin(tasks({"n": [1]}), {"run": "x:run"}, "code")
        assert two.exchange([], [task], 1) == {task: "theirs"}
