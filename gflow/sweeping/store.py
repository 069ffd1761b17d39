"""The store of a sweep: one SQLite file.

``tasks`` and ``arrays`` hold what was computed, and nothing that differs between two sweeps of the
same grid; clocks and hosts are in ``work`` and ``sweeps``. Only the process that called
`gflow.sweep` writes, so that the file must be on a disk of its machine, and workers need not see
it.

What is committed is in the file itself at once, and not only in SQLite's log beside it (checkpoint
after every commit: 12 ms instead of 4 on a disk that syncs, against minutes of work lost when the
one file is copied after a crash). Other sweeps count as dead when their signs of life stop by our
own watch: clocks may be set while a sweep runs.
"""

from __future__ import annotations

import functools
import json
import os
import socket
import time
from typing import Any, Iterable, NamedTuple, Sequence

from .._version import __version__
from .grid import Task
from .database import FORMAT, Database
from .soundness import renew, sum_settings, sum_task
from .worker import Outcome

ALIVE = 60.0
"""Seconds after which a sweep that gives no sign of life counts as dead."""
AHEAD = 10.0
"""The same, if its last sign is in the future: a clock has been set back since."""
OURS: set[tuple[int, int, int]] = set()
"""Sweeps that go on in this process: file, whatever its name, and number."""
WANTED = "JOIN wanted USING (key)"


class Sweep(NamedTuple):
    """A run of `gflow.sweep` on a store, under way or not.

    Attributes
    ----------
    id, pid : int
        Its number in the store, and its process.
    host : str
        Its machine.
    started, beat : float
        When it began and last gave a sign of life (seconds of the epoch). Their difference is
        the time that it has run, also if the clock was set meanwhile.
    ended : float or None
        When it ended in good order.
    code : str or None
        Version of gflow and fingerprint of ``run``; None if it is of an older gflow.
    place : str or None
        Where its process number counts: containers may have the host name in common.
    """

    id: int
    host: str
    pid: int
    started: float
    beat: float
    ended: float | None
    code: str | None
    place: str | None


class Row(NamedTuple):
    """A task as the store holds it; ``scalars`` is JSON, ``error`` a traceback."""

    id: int
    params: str
    seed: int
    scalars: str
    error: str


class Store(Database):
    """An open store; use as a context manager.

    Parameters
    ----------
    path : str, bytes or path-like
        The file, ``~`` written out; made if it does not exist, unless ``read_only``.
    read_only : bool
        For looking at it.

    Raises
    ------
    OSError
        If it cannot be opened, or written to.
    ValueError
        If it is another kind of file, damaged, or of a newer format.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Store(f"{folder}/a.db") as store:
    ...     store.count()
    {'pending': 0, 'done': 0, 'failed': 0}
    """

    def __init__(self, path: str | os.PathLike[str] | bytes, read_only: bool = False) -> None:
        self.sweep = -1
        self.signs: dict[int, tuple[float, float]] = {}
        self.begun = time.monotonic()
        super().__init__(path, read_only)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *details: Any) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self.sweep >= 0:
            OURS.discard(self._number(self.sweep))
        super().close()

    # Beginning ------------------------------------------------------------------------------------

    def begin(self, tasks: Sequence[Task], settings: dict[str, str], code: str,
              changed: str = "raise", retry_failed: bool = False) -> dict[int, Task]:
        """Register a sweep and its tasks; return those to run, by id.

        Parameters
        ----------
        tasks : sequence of Task
            What is wanted.
        settings : dict of str
            What a store has one of: the title of ``run``, the root seed, shared parameters.
        code : str
            Fingerprint of ``run``.
        changed : {"raise", "keep", "rerun"}
            What to do with tasks done by another version of gflow or of ``run``.
        retry_failed : bool
            Whether to run failed tasks again; those of another version are in any case.

        Raises
        ------
        ValueError
            If the store is of another sweep, holds tasks of other code, or is in use by a sweep of
            such.
        """
        self.code = code
        with self._transaction():
            self._renew()
            self._settle(settings)
            self.db.executemany("INSERT OR IGNORE INTO tasks (key, params, seed, status) "
                                "VALUES (?, ?, ?, 'pending')",
                                [(task.key, task.params, task.seed) for task in tasks])
            self._wanted(tasks)
            self._check_names()
            this = (__version__, code)
            if changed == "raise":
                self._check_done(*this)
            other = f"FROM tasks {WANTED} WHERE status = ? AND (version <> ? OR code <> ?)"
            for status in ("failed", "done") if changed == "rerun" else ("failed",):
                self.db.execute("UPDATE tasks SET status = 'pending' WHERE id IN "
                                f"(SELECT id {other})", (status, *this))
            if retry_failed:
                self.db.execute("UPDATE tasks SET status = 'pending' WHERE status = 'failed' "
                                "AND key IN (SELECT key FROM wanted)")
            self._start()
            # Keys are hashes: in their order tasks are well shuffled.
            by_key = {task.key: task for task in tasks}
            return {row[0]: by_key[row[1]] for row in self.db.execute(
                f"SELECT id, key FROM tasks {WANTED} WHERE status = 'pending' ORDER BY key")}

    def _check_names(self) -> None:
        """A table has one column of a name."""
        parameters = {*self.parameters()}
        for (scalars,) in self.db.execute("SELECT scalars FROM tasks WHERE status = 'done'"):
            for name in parameters & json.loads(scalars).keys():
                raise ValueError(f"{self.path} has results called {name!r}, which is a parameter "
                                 "of the grid: rename one of them, and use another store")

    def _check_done(self, version: str, code: str) -> None:
        """Refuse a store that has tasks of other code, be they of this grid or not."""
        question = ("SELECT count(*), group_concat(DISTINCT version) FROM tasks {} "
                    "WHERE status = 'done' AND (version <> ? OR code <> ?)")
        for join, which, more in ((WANTED, "these tasks", "changed=\"rerun\" to run them again, "),
                                  ("", "its tasks, none of them of this grid,", "")):
            count, versions = self.db.execute(question.format(join), (version, code)).fetchone()
            if count:
                author = (f"gflow {versions}, and this is {version}" if versions != version else
                          "other code of run, or with other data that it carries or reads")
                raise ValueError(f"{self.path} holds {count} of {which} as done by {author}: "
                                 f"give changed=\"keep\" to keep them, {more}or another store")

    def _start(self) -> None:
        """Write down that this sweep has begun, and that dead ones have ended."""
        columns = self._columns()
        for name in {"code", "place"} - columns:
            # Of an older gflow, which asks for its own columns only.
            self.db.execute(f"ALTER TABLE sweeps ADD COLUMN {name} TEXT")
        going_on = self.alive(wait=True)
        self._check_others(going_on)
        self.db.executemany("UPDATE sweeps SET ended = beat WHERE id = ?", [
            (sweep.id,) for sweep in self.sweeps()
            if sweep.ended is None and sweep not in going_on])
        now = time.time()
        self.sweep = self.db.execute(
            "INSERT INTO sweeps (host, pid, started, beat, code, place) VALUES (?, ?, ?, ?, ?, ?)",
            (socket.gethostname(), os.getpid(), now, now, f"{__version__} {self.code}", _place()),
        ).lastrowid or 0
        OURS.add(self._number(self.sweep))
        self.begun = time.monotonic()

    def _check_others(self, going_on: Iterable[Sweep]) -> None:
        """Refuse to work beside a sweep of other code: each would take tasks of the other."""
        for sweep in going_on:
            # One whose last sign lies in the future is dead, most likely.
            if sweep.code not in (None, f"{__version__} {self.code}") and \
                    sweep.beat < time.time() + ALIVE:
                raise ValueError(f"{self.path} is in use by a sweep of other code or data of run, "
                                 f"or of another gflow (on {sweep.host}, process {sweep.pid}): "
                                 "wait until it ends, end it, or use another store")

    def _check_later(self) -> None:
        """Refuse to go on where a sweep of other code has come since, taking this one for dead."""
        for sweep in self.sweeps():
            if sweep.id > self.sweep and sweep.code not in (None, f"{__version__} {self.code}"):
                raise ValueError(f"{self.path} was used by a sweep of other code or data of run, "
                                 f"or of another gflow (on {sweep.host}, process {sweep.pid}), "
                                 "while this one stood still: start it anew, with another store")

    def _number(self, sweep: int) -> tuple[int, int, int]:
        return self._file.st_dev, self._file.st_ino, sweep

    def _columns(self) -> set[str]:
        return {row[1] for row in self._ask("PRAGMA table_info(sweeps)")}

    def _wanted(self, tasks: Sequence[Task]) -> None:
        self.db.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (key TEXT PRIMARY KEY)")
        self.db.execute("DELETE FROM wanted")
        self.db.executemany("INSERT INTO wanted VALUES (?)", [(task.key,) for task in tasks])

    def _settle(self, settings: dict[str, str]) -> None:
        """Write the settings of a new store, or compare with those of an old one."""
        known = self.settings()
        for name, value in settings.items():
            if name not in known:
                self.db.execute("INSERT INTO settings VALUES (?, ?)", (name, value))
                sum_settings(self.db)
            # A function may move to another module: its code is looked at elsewhere.
            elif known[name].rpartition(":")[2] != value.rpartition(":")[2]:
                raise ValueError(f"{self.path} was made with {name} = {known[name]}, and this is "
                                 f"{name} = {value}: use another store")

    def _renew(self) -> None:
        """Give a store of an older format the sums of this one; it has been looked at."""
        if self._format() == FORMAT:
            return
        if self.alive():
            raise ValueError(f"{self.path} is in use by a sweep of an older gflow: wait until it "
                             "ends, or end it")
        renew(self.db, FORMAT)

    # Under way ------------------------------------------------------------------------------------

    def exchange(self, finished: Iterable[tuple[int, Outcome]],
                 wanted: Sequence[int], room: int) -> dict[int, str]:
        """Commit outcomes, and ask for tasks to run, in one transaction.

        Parameters
        ----------
        finished : iterable of (int, Outcome)
            Task ids and what came of them; the first outcome of a task is kept.
        wanted : sequence of int
            Ids of tasks that this sweep would run, best first.
        room : int
            How many it can run now.

        Returns
        -------
        dict
            For the wanted ids, until there is no room: "ours", "theirs" (another sweep has it
            under way) or "done".

        Raises
        ------
        OSError
            If the file cannot be written; nothing has changed then.
        """
        now = time.time()
        if not self.path.exists() or not os.path.samestat(self._file, os.stat(self.path)):
            raise FileNotFoundError(f"{self.path} was removed or replaced while the sweep ran")
        with self._transaction():
            for task, outcome in finished:
                self._record(task, outcome, now)
            # Another sweep may have taken this one for dead.
            self.db.execute("UPDATE sweeps SET started = ?, beat = ?, ended = NULL WHERE id = ?",
                            (now - (time.monotonic() - self.begun), now, self.sweep))
            going_on = [sweep for sweep in self.alive(wait=True) if sweep.id != self.sweep]
            self._check_others(going_on)
            self._check_later()
            others = {sweep.id for sweep in going_on}
            answers: dict[int, str] = {}
            for task in wanted:
                if room <= 0:
                    break
                answers[task] = self._claim(task, others, now)
                room -= answers[task] == "ours"
            return answers

    def _record(self, task: int, outcome: Outcome, now: float) -> None:
        status = "failed" if outcome.scalars is None else "done"
        changed = self.db.execute(
            "UPDATE tasks SET status = ?, version = ?, code = ?, scalars = ?, error = ? "
            "WHERE id = ? AND status = 'pending'",
            (status, __version__, self.code, outcome.scalars, outcome.error, task)).rowcount
        if not changed:
            return
        self.db.execute("DELETE FROM arrays WHERE task = ?", (task,))
        self.db.executemany("INSERT INTO arrays VALUES (?, ?, ?)",
                            [(task, name, npy) for name, npy in outcome.arrays.items()])
        sum_task(self.db, task)
        self.db.execute("UPDATE work SET sweep = ?, finished = ?, wall = ?, worker = ? "
                        "WHERE task = ?", (self.sweep, now, outcome.wall, outcome.worker, task))

    def _claim(self, task: int, others: set[int], now: float) -> str:
        status, sweep, finished = self.db.execute(
            "SELECT status, sweep, finished FROM tasks LEFT JOIN work ON task = id WHERE id = ?",
            (task,)).fetchone()
        if status != "pending":
            return "done"
        if sweep in others and finished is None:
            return "theirs"
        self.db.execute("INSERT OR REPLACE INTO work (task, sweep, started) VALUES (?, ?, ?)",
                        (task, self.sweep, now))
        return "ours"

    def end(self) -> None:
        """Give back what was not finished, and say goodbye."""
        with self._transaction():
            self.db.execute("DELETE FROM work WHERE sweep = ? AND finished IS NULL", (self.sweep,))
            self.db.execute("UPDATE sweeps SET ended = ? WHERE id = ?", (time.time(), self.sweep))

    # Looking --------------------------------------------------------------------------------------

    def sweeps(self) -> list[Sweep]:
        """All sweeps that have worked on the store."""
        known = self._columns()
        more = ", ".join(name if name in known else "NULL" for name in ("code", "place"))
        return [Sweep(*row) for row in self._ask(
            f"SELECT id, host, pid, started, beat, ended, {more} FROM sweeps ORDER BY id")]

    def alive(self, wait: bool = False) -> list[Sweep]:
        """Sweeps that go on; with ``wait`` also those that may, until they have had their time."""
        return [sweep for sweep in self.sweeps() if self._alive(sweep, wait)]

    def _alive(self, sweep: Sweep, wait: bool) -> bool:
        if sweep.ended is not None:
            return False
        if sweep.host == socket.gethostname() and sweep.place in (None, _place()):
            if sweep.pid == os.getpid():
                return self._number(sweep.id) in OURS
            if not _exists(sweep.pid):
                return False
        now, age = time.monotonic(), time.time() - sweep.beat
        if sweep.id not in self.signs:
            left = ALIVE - age if age >= 0 else AHEAD if wait or age > -ALIVE else 0.0
            self.signs[sweep.id] = sweep.beat, now + left
        elif self.signs[sweep.id][0] != sweep.beat:
            self.signs[sweep.id] = sweep.beat, now + ALIVE
        return now < self.signs[sweep.id][1]

    def count(self, wanted: bool = False) -> dict[str, int]:
        """Tasks by status; those of this sweep only if ``wanted``."""
        found = dict(self._ask("SELECT status, count(*) FROM tasks "
                               f"{WANTED if wanted else ''} GROUP BY status"))
        return {status: found.get(status, 0) for status in ("pending", "done", "failed")}

    def under_way(self, sweep: int) -> int:
        """Number of tasks that a sweep has started and not finished."""
        return int(self._ask("SELECT count(*) FROM work WHERE sweep = ? AND finished IS NULL",
                             sweep)[0][0])

    def finished(self, sweep: int) -> int:
        """Number of tasks that a sweep has finished."""
        return int(self._ask("SELECT count(*) FROM work WHERE sweep = ? AND finished IS NOT NULL",
                             sweep)[0][0])

    def rows(self, status: str, wanted: bool = False) -> list[Row]:
        """Tasks of a status in the order in which they were first asked for; those of this sweep
        in that of its grid."""
        join, order = (WANTED, "wanted.rowid") if wanted else ("", "id")
        return [Row(*row) for row in self._ask(
            f"SELECT id, params, seed, scalars, error FROM tasks {join} "
            f"WHERE status = ? ORDER BY {order}", status)]

    def parameters(self) -> list[str]:
        """Names of the parameters of all tasks."""
        return list(dict.fromkeys(name for (params,) in self._ask("SELECT params FROM tasks")
                                  for name in json.loads(params)))

    def arrays(self, wanted: bool = False) -> dict[int, dict[str, bytes]]:
        """Arrays by task and name; those of this sweep only if ``wanted``."""
        join = f"JOIN tasks ON id = task {WANTED}" if wanted else ""
        found: dict[int, dict[str, bytes]] = {}
        for task, name, npy in self._ask(f"SELECT task, name, npy FROM arrays {join}"):
            found.setdefault(task, {})[name] = npy
        return found


@functools.cache
def _place() -> str:
    """Which run of which kernel it is, and whose process numbers; "" where that is not told."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except (OSError, ValueError):
        return ""


def _exists(pid: int) -> bool:
    if os.name == "nt":
        # Signal 0 is Ctrl-C there; signs of life have to do.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
