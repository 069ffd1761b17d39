"""What may happen to the file of a sweep."""

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import gflow
import sweep_tasks
from gflow.sweeping import failures, session, status
from gflow.sweeping.codec import checksum, encode
from gflow.sweeping.database import Database
from gflow.sweeping.grid import tasks
from gflow.sweeping.store import Store
from gflow.sweeping.worker import Outcome


def test_files_that_are_no_store_are_left_alone(sweep, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("precious, and long enough to be looked at as a database header " * 20)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE cats (name)")
    db.close()
    newer = tmp_path / "newer.db"
    sweep(sweep_tasks.nap, {"n": [1]}, store=newer)
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before = {path: path.read_bytes() for path in (text, other, newer)}
    for path, sentence in ((text, "no store of a sweep"), (other, "no store of a sweep"),
                           (newer, "written by a newer gflow, in format 99: upgrade"),
                           (tmp_path, "is a directory"),
                           (tmp_path / "no" / "s.db", "make it first")):
        for call in (lambda: sweep(sweep_tasks.nap, {"n": [1]}, store=path),
                     lambda: gflow.load_sweep(path), lambda: status(path)):
            with pytest.raises((OSError, ValueError), match=f"{sentence}|there is no store"):
                call()
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("content", [b"5", b"\n", b"12345", b"\0" * 16, b"x" * 511])
def test_a_short_file_is_no_empty_store(sweep, tmp_path, content):
    path = tmp_path / "short"
    path.write_bytes(content)
    for call in (lambda: sweep(sweep_tasks.nap, {"n": [1]}, store=path),
                 lambda: gflow.load_sweep(path), lambda: status(path)):
        with pytest.raises(ValueError, match="damaged or no store of a sweep .*: give another"):
            call()
    assert path.read_bytes() == content and [*tmp_path.iterdir()] == [path]
    path.write_bytes(b"")
    assert len(sweep(sweep_tasks.nap, {"n": [1]}, store=path)) == 1


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="a directory that takes no files")
def test_a_read_only_place_is_refused_before_anything_runs(sweep):
    with pytest.raises(OSError, match="cannot be written to"):
        sweep(lambda n, rng: pytest.fail("not to be run"), {"n": [1]}, store="/proc/self/s.db")


def test_a_read_only_store_is_refused_and_can_be_read(sweep, tmp_path, monkeypatch):
    sweep(sweep_tasks.nap, {"n": [1]})
    # Root may write to any file: so look at what access says.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="cannot be written to"):
        sweep(sweep_tasks.nap, {"n": [1, 2]})
    assert len(gflow.load_sweep(tmp_path / "s.db")) == 1


def test_a_full_disk_is_waited_for(sweep, tmp_path, monkeypatch, capsys):
    """No task is started while the store is full; results are kept until there is room."""
    refused = []
    connect, exchange = Store._connect, Store.exchange

    def small(self):
        db = connect(self)
        db.execute("PRAGMA max_page_count = 24")
        return db

    def watched(self, finished, wanted, room):
        try:
            return exchange(self, finished, wanted, room)
        except OSError:
            refused.append(len(finished))
            if len(refused) == 3:
                self.db.execute("PRAGMA max_page_count = 1000000")
            raise

    monkeypatch.setattr(Store, "_connect", small)
    monkeypatch.setattr(Store, "exchange", watched)
    monkeypatch.setattr(session, "POLL", 0.05)
    table = sweep(sweep_tasks.bulky, {"n": list(range(20))}, workers=2, progress=True)
    assert len(table) == 20 and len(refused) == 3
    assert "database or disk is full" in capsys.readouterr().err


LIMITED = """
import resource, sys, gflow, sweep_tasks
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from gflow.sweeping import session
session.POLL, session.PATIENCE = 0.05, 0.2
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
with ThreadPoolExecutor(2) as pool:
    gflow.sweep(sweep_tasks.bulky, {"n": list(range(20))}, store=sys.argv[1], executor=pool,
                workers=2)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of the file size")
def test_a_disk_that_stays_full_is_an_error_and_what_is_done_is_kept(tmp_path):
    pytest.importorskip("resource")
    path = tmp_path / "s.db"
    run = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True,
                         env=sweep_tasks.environment())
    assert run.returncode == 1 and "check the disk" in run.stderr
    assert "finished tasks are not in the store and will be run again" in run.stderr
    done = len(gflow.load_sweep(path))
    assert 0 < done < 20
    table = gflow.sweep(sweep_tasks.bulky, {"n": list(range(20))}, store=path, progress=False,
                        executor=ThreadPoolExecutor(1))
    assert len(table) == 20


def committed(path, count):
    """A store in the middle of a sweep, open, with so many tasks done."""
    store = Store(path)
    todo = store.begin(tasks({"n": list(range(50))}), {"run": "x:run"}, "code")
    for task in list(todo)[:count]:
        scalars, arrays = encode({"x": np.arange(300.0)})
        store.exchange([(task, Outcome(scalars, arrays, None))], list(todo)[:1], 1)
    return store


def test_what_is_committed_is_in_the_file_itself(tmp_path):
    """Copied without its log in the middle of a sweep, as after kill -9."""
    store = committed(tmp_path / "s.db", 7)
    assert (tmp_path / "s.db-wal").exists()
    shutil.copy(tmp_path / "s.db", tmp_path / "copy.db")
    with pytest.warns(RuntimeWarning, match="copy.db-wal is not beside it"):
        assert len(gflow.load_sweep(tmp_path / "copy.db")) == 7
    store.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with committed(tmp_path / "whole.db", 3) as whole:
            assert len(gflow.load_sweep(tmp_path / "whole.db")) == 3
            whole.end()
        assert len(gflow.load_sweep(tmp_path / "whole.db")) == 3


def test_a_torn_copy_is_refused_and_the_sentence_names_the_log(tmp_path):
    store = committed(tmp_path / "s.db", 20)
    raw = (tmp_path / "s.db").read_bytes()
    store.close()
    (tmp_path / "copy.db").write_bytes(raw[:-8 * 4096])
    with pytest.raises(ValueError, match="copy.db is damaged"):
        gflow.load_sweep(tmp_path / "copy.db")


def test_a_store_beside_the_log_of_another_file_names_the_log(tmp_path):
    path = tmp_path / "s.db"
    path.write_bytes(b"SQLite format 3\0" + bytes(4080))
    (tmp_path / "s.db-wal").write_bytes(b"x")
    with pytest.raises(ValueError, match="if another file was put in its place, remove s.db-wal"):
        gflow.load_sweep(path)


def test_a_flipped_bit_is_noticed(tmp_path):
    """Nothing but the right table, or a sentence."""
    with committed(tmp_path / "s.db", 5) as store:
        store.end()
    raw, table = (tmp_path / "s.db").read_bytes(), gflow.load_sweep(tmp_path / "s.db")
    draw = np.random.default_rng(0)
    for place in draw.integers(0, len(raw), 40):
        flipped = bytearray(raw)
        flipped[place] ^= 1 << draw.integers(0, 8)
        (tmp_path / f"{place}.db").write_bytes(flipped)
        try:
            assert gflow.load_sweep(tmp_path / f"{place}.db").tobytes() == table.tobytes()
        except ValueError as error:
            assert f"{place}.db" in str(error)


@pytest.fixture
def small(sweep, tmp_path):
    """What to do with a store, and a small one that has done, failed and waiting tasks."""
    def run(n, rng):
        if n == 3:
            raise ValueError("three")
        return {"x": 0.5 * n, "label": "ab", "vector": rng.normal(size=3)}

    def resume(path, rng=0):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return sweep(run, {"n": [1, 2, 3]}, seeds=2, store=path, rng=rng,
                         executor=sweep_tasks.Recorder([])).tobytes()

    path = tmp_path / "small.db"
    resume(path)
    with Store(path) as store:
        store.db.execute("UPDATE tasks SET status = 'pending' WHERE id = 2")
    looks = [lambda path: gflow.load_sweep(path).tobytes(), failures,
             lambda path: status(path, True).partition("\n")[2], resume]
    return path, looks


def outcome(look, path):
    """What comes of it, or "damaged" if that is what the sentence says."""
    try:
        return look(path)
    except ValueError as error:
        assert f"{path} is damaged" in str(error) and "\n" not in str(error)
        return "damaged"


def test_a_flipped_bit_is_noticed_by_all_that_read_or_go_on(small, tmp_path, monkeypatch):
    """Keys, seeds, states, tracebacks, settings, the head of the file."""
    for name in ("store.ALIVE", "store.AHEAD", "database.BUSY", "database.BREATH"):
        monkeypatch.setattr(f"gflow.sweeping.{name}", 0.1)
    path, looks = small
    raw, other, draw = path.read_bytes(), tmp_path / "flipped.db", np.random.default_rng(0)
    shutil.copy(path, other)
    expected = [look(other) for look in looks]
    head, rest = np.arange(100), np.flatnonzero(np.frombuffer(raw, np.uint8)[100:]) + 100
    damaged = 0
    for place in [*draw.choice(head, 15), 63, 70, *draw.choice(rest, 120)]:
        flipped = bytearray(raw)
        flipped[place] ^= 1 << draw.integers(0, 8)
        for look, right in zip(looks, expected):
            other.write_bytes(flipped)
            found = outcome(look, other)
            assert found in (right, "damaged"), (place, found)
            damaged += found == "damaged"
    assert damaged > 200


@pytest.mark.parametrize("change", [
    "UPDATE tasks SET seed = 5 WHERE id = 1", "UPDATE tasks SET seed = 5 WHERE id = 2",
    "UPDATE tasks SET key = 'a' WHERE id = 1", "UPDATE tasks SET key = 'a' WHERE id = 2",
    "UPDATE tasks SET params = '{\"n\": 7}' WHERE id = 2", "UPDATE tasks SET status = 'dond'",
    "UPDATE tasks SET params = X'00' WHERE id = 2", "UPDATE tasks SET params = '{' WHERE id = 2",
    "UPDATE tasks SET error = 'b' WHERE status = 'failed'", "UPDATE tasks SET version = 'b'",
    "UPDATE tasks SET code = 'b'", "UPDATE tasks SET scalars = NULL WHERE status = 'done'",
    "UPDATE tasks SET status = 'pending' WHERE id = 1; UPDATE tasks SET seed = 7 WHERE id = 1",
    "DELETE FROM arrays WHERE task = 1", "UPDATE arrays SET npy = NULL WHERE task = 1",
    "UPDATE arrays SET npy = 'text' WHERE task = 1", "DELETE FROM sums WHERE task = 1",
    "UPDATE sums SET sum = NULL", "UPDATE settings SET value = '1' WHERE name = 'rng'",
    "UPDATE settings SET name = 'sng' WHERE name = 'rng'", "DELETE FROM settings",
    "UPDATE sweeps SET beat = 'late'", "UPDATE sweeps SET host = X'ff'",
    "UPDATE sweeps SET pid = CAST(X'ff' AS TEXT)", "PRAGMA user_version = 3",
    "PRAGMA user_version = 0", "PRAGMA application_id = 1734765686"])
def test_other_content_than_was_written_is_one_sentence(small, change):
    path, looks = small
    db = sqlite3.connect(path)
    db.executescript(change)
    db.close()
    assert [outcome(look, path) for look in looks] == ["damaged"] * 4


def as_before(path):
    """Make it a store of format 1."""
    db = sqlite3.connect(path, isolation_level=None)
    arrays = {}
    for task, name, npy in db.execute("SELECT * FROM arrays"):
        arrays.setdefault(task, {})[name] = npy
    rows = db.execute("SELECT id, params, scalars FROM tasks WHERE status = 'done'").fetchall()
    db.execute("DELETE FROM sums")
    db.executemany("INSERT INTO sums VALUES (?, ?)", [
        (task, checksum([params, scalars], arrays[task])) for task, params, scalars in rows])
    db.execute("DELETE FROM settings WHERE name = 'format'")
    db.execute("PRAGMA user_version = 1")
    db.close()


def version(path):
    db = sqlite3.connect(path)
    found = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return found


def test_a_store_of_the_first_format_is_read_and_gone_on_with(small, tmp_path):
    path, looks = small
    expected = [look(path) for look in looks[:3]]
    as_before(path)
    before = path.read_bytes()
    assert [look(path) for look in looks[:3]] == expected and path.read_bytes() == before
    for name, change in (("seed.db", "seed = 5"), ("key.db", "key = 'a'"),
                         ("scalars.db", "scalars = '{}'"), ("type.db", "scalars = X'00'")):
        shutil.copy(path, tmp_path / name)
        with sqlite3.connect(tmp_path / name) as db:
            db.execute(f"UPDATE tasks SET {change} WHERE id = 1")
        db.close()
        assert outcome(looks[0], tmp_path / name) == outcome(looks[3], tmp_path / name) == "damaged"
    with pytest.raises(ValueError, match="was made with rng = 0"):
        looks[3](path, rng=1)
    assert version(path) == 1
    table = looks[3](path)
    assert version(path) == 2 and looks[0](path) == table
    with sqlite3.connect(path) as db:
        db.execute("UPDATE tasks SET error = 'b' WHERE status = 'failed'")
    db.close()
    assert outcome(failures, path) == "damaged"


def test_a_sweep_of_an_older_gflow_is_not_disturbed(small):
    path, looks = small
    as_before(path)
    with Store(path) as store:
        # The process is there.
        store.db.execute("INSERT INTO sweeps (host, pid, started, beat) VALUES (?, ?, ?, ?)",
                         (socket.gethostname(), os.getppid(), time.time(), time.time()))
    with pytest.warns(RuntimeWarning), pytest.raises(ValueError, match="sweep of an older gflow"):
        with Store(path) as store:
            store.begin(tasks({"n": [1]}), {}, "")
    assert version(path) == 1


@pytest.mark.parametrize("host, ahead", [("elsewhere", 3600.0), ("elsewhere", -3600.0),
                                         (socket.gethostname(), 3600.0)])
def test_a_clock_that_ran_ahead_holds_up_no_other_sweep(tmp_path, monkeypatch, host, ahead):
    for module in ("store.AHEAD", "session.POLL"):
        monkeypatch.setattr(f"gflow.sweeping.{module}", 0.1)
    with Store(tmp_path / "s.db") as store:
        task, = store.begin(tasks({"n": [1]}), {}, "")
        store.exchange([], [task], 1)
        beat = time.time() + ahead
        # The process is there, but no sweep.
        store.db.execute("UPDATE sweeps SET host = ?, pid = ?, started = ?, beat = ?",
                         (host, os.getppid(), beat - 10, beat))
        assert "no sweep is running" in status(tmp_path / "s.db")
        start = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            assert len(gflow.sweep(sweep_tasks.nap, {"n": [1]}, store=tmp_path / "s.db",
                                   executor=pool, progress=False)) == 1
        assert time.monotonic() - start < 30


def test_progress_does_not_mind_a_clock_that_is_set(tmp_path, monkeypatch):
    clock = time.time
    with Store(tmp_path / "s.db") as store:
        todo = list(store.begin(tasks({"n": list(range(20))}), {"run": "x:run"}, ""))
        store.exchange([], todo, 20)
        store.begun -= 100.0
        for jump in (0.0, 7200.0, -7200.0):
            monkeypatch.setattr(time, "time", lambda: clock() + jump)
            done = [(todo.pop(), Outcome("{}", {}, None)) for _ in range(5)]
            store.exchange(done, [], 0)
            assert re.search("for 10[0-9] s", status(tmp_path / "s.db"))
        assert re.search(r"pace       (9|8\.\d+)/min, 3\d s left", status(tmp_path / "s.db"))


def test_a_sweep_that_was_taken_for_dead_goes_on(tmp_path):
    with committed(tmp_path / "s.db", 2) as store:
        store.db.execute("UPDATE sweeps SET ended = beat")
        assert not store.alive()
        store.exchange([], [], 0)
        assert [sweep.id for sweep in store.alive()] == [store.sweep]


def test_a_store_that_another_program_locks_is_one_sentence(sweep, tmp_path, monkeypatch):
    sweep(sweep_tasks.nap, {"n": [1]})
    for name in ("BUSY", "BREATH"):
        monkeypatch.setattr(f"gflow.sweeping.database.{name}", 0.1)
    db = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    with pytest.raises(OSError, match="since another program has locked it") as caught:
        sweep(sweep_tasks.nap, {"n": [1, 2]})
    assert "\n" not in str(caught.value) and len(gflow.load_sweep(tmp_path / "s.db")) == 1
    db.close()
    assert len(sweep(sweep_tasks.nap, {"n": [1, 2]})) == 2


@pytest.mark.parametrize("name", ["a?mode=ro#b%20.db", "\u00e9\U0001f600 '\".db", "\udcff.db",
                                  "new\nline.db", ":memory:", "link.db"])
def test_odd_names_of_stores(sweep, tmp_path, name, capsys):
    if name == "link.db":
        (tmp_path / name).symlink_to(tmp_path / "target.db")
    assert len(sweep(sweep_tasks.nap, {"n": [1]}, store=tmp_path / name, progress=True)) == 1
    assert len(gflow.load_sweep(tmp_path / name)) == 1
    with pytest.raises(ValueError, match="has a zero byte: give another"):
        gflow.load_sweep(f"{tmp_path}/a\0.db")


@pytest.mark.parametrize("name", ["~/s.db", b"~/s.db", b"bytes\xff.db"])
def test_names_of_stores_are_those_of_other_files(sweep, tmp_path, monkeypatch, name):
    """As `gflow.load` and `Flow.save` have them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert len(sweep(sweep_tasks.flow, {"n": [3]}, store=name)) == len(gflow.load_sweep(name)) == 1
    assert os.fsdecode(name) + ": " in status(name) and failures(name) == []
    assert (tmp_path / os.fsdecode(name).removeprefix("~/")).exists()


def test_long_names_of_stores_are_a_sentence(sweep, tmp_path):
    """SQLite needs some letters more."""
    assert len(sweep(sweep_tasks.flow, {"n": [3]}, store=tmp_path / ("a" * 247))) == 1
    for name in ("a" * 248, "a" * 300, "b/" * 3000 + "s.db"):
        with pytest.raises(ValueError, match="^the name of the (file|store) is too long: give "):
            sweep(sweep_tasks.flow, {"n": [3]}, store=tmp_path / name)
    with pytest.raises(ValueError, match="too long"):
        status(tmp_path / ("a" * 300))


def test_a_store_is_a_file(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)         # names of sockets are short
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    os.symlink("circle", "circle")
    os.mkfifo("pipe")
    (tmp_path / "link").symlink_to("pipe")
    names = ["folder", "pipe", "link", "socket", "circle", "file/s.db"]
    with socket.socket(socket.AF_UNIX) as server, open("other", "wb") as other:
        server.bind("socket")
        if os.path.exists("/dev/fd/1"):
            # Not the device itself: it may be written to, but not have a journal beside it.
            names.append(f"/dev/fd/{other.fileno()}")
        before = sorted(os.listdir())
        for name in names:
            for work in (lambda: sweep(sweep_tasks.nap, {"n": [1]}, store=name),
                         lambda: gflow.load_sweep(name)):
                with pytest.raises(OSError, match=f"{name} .* give ") as caught:
                    work()
                assert "\n" not in str(caught.value) and "Errno" not in str(caught.value)
        assert sorted(os.listdir()) == before
    assert not (tmp_path / "other").stat().st_size


def test_a_report_does_not_get_into_the_store(tmp_path):
    words = "sweep alignment --width 9 --workers 1 --out s.db"
    done = subprocess.run(["/bin/sh", "-c", f'"{sys.executable}" -m gflow {words} > s.db'],
                          cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(Path(gflow.__file__).parents[1])})
    assert done.returncode == 0 and "  done       1" in done.stderr
    assert len(gflow.load_sweep(tmp_path / "s.db")) == 1


def test_a_store_that_vanishes_is_noticed(sweep, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "PATIENCE", 0.0)
    path = tmp_path / "s.db"

    def run(n, rng):
        path.unlink(missing_ok=True)
        return {"x": n}

    with pytest.raises(OSError, match="was removed or replaced"):
        sweep(run, {"n": list(range(5))}, executor=sweep_tasks.Recorder([]), workers=1)


def test_looking_leaves_no_log_behind(tmp_path):
    path = tmp_path / "s.db"
    Store(path).close()
    with Store(path, read_only=True) as store:
        store.count()
    assert [file.name for file in tmp_path.iterdir()] == ["s.db"]
    # Not while somebody works on it.
    with Store(path):
        with Store(path, read_only=True) as store:
            store.count()
        assert (tmp_path / "s.db-wal").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["s.db"]


@pytest.mark.parametrize("at", range(3))
def test_a_store_that_another_sweep_makes_meanwhile_is_a_store(tmp_path, monkeypatch, at):
    execute, asked = Database._execute, []

    def meanwhile(self, statement, values=()):
        asked.append(statement)
        if len(asked) == at + 1:
            Database(tmp_path / "s.db").close()
        return execute(self, statement, values)

    monkeypatch.setattr(Database, "_execute", meanwhile)
    Database(tmp_path / "s.db").close()
    assert len(asked) > 3
