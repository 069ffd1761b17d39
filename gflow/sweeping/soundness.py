"""Whether a store holds what was written: a flipped bit on a disk would be another result.

SQLite knows when its pages and indices do not fit together, rows are compared with their checksums,
and those without one with their keys, which are hashes of what they name.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from typing import Any, Iterator

from .codec import checksum
from .grid import make_task

KEYED = 1
"""The first format: its sums are of parameters and scalars alone, or missing."""
SETTINGS = 0
"""Where ``sums`` has that of the settings: tasks count from 1."""
ROW = "SELECT key, params, seed, status, version, code, scalars, error FROM tasks"
"""What the sum of a task is of, besides its arrays."""
CLOCKS = ("SELECT count(*) FROM sweeps WHERE typeof(host) <> 'text' OR typeof(pid) <> 'integer' "
          "OR typeof(started) <> 'real' OR typeof(beat) <> 'real' "
          "OR typeof(ended) NOT IN ('real', 'null')")


def sum_task(db: sqlite3.Connection, task: int) -> None:
    """Write the checksum of a task that is done or has failed."""
    row = db.execute(f"{ROW} WHERE id = ?", (task,)).fetchone()
    arrays = db.execute("SELECT name, npy FROM arrays WHERE task = ?", (task,))
    _write(db, task, checksum(row, dict(arrays) if row[3] == "done" else {}))


def sum_settings(db: sqlite3.Connection) -> None:
    """Write the checksum of the settings."""
    _write(db, SETTINGS, _of_settings(db))


def renew(db: sqlite3.Connection, version: int) -> None:
    """Write the format and all checksums, into a new store or one of an older format."""
    db.execute(f"PRAGMA user_version = {version}")
    # Once more, since nothing else tells a flipped bit there from a newer gflow.
    db.execute("INSERT OR REPLACE INTO settings VALUES ('format', ?)", (str(version),))
    db.execute("DELETE FROM sums")
    for (task,) in db.execute("SELECT id FROM tasks WHERE status <> 'pending'").fetchall():
        sum_task(db, task)
    sum_settings(db)


def _write(db: sqlite3.Connection, task: int, text: str) -> None:
    db.execute("INSERT OR REPLACE INTO sums VALUES (?, ?)", (task, text))


def _of_settings(db: sqlite3.Connection) -> str:
    return checksum(db.execute("SELECT name, value FROM settings ORDER BY name"), {})


def flaw(db: sqlite3.Connection, version: int) -> str | None:
    """What is wrong with the content of a store; None if nothing is.

    Parameters
    ----------
    db : sqlite3.Connection
        In a transaction, so that nothing changes meanwhile.
    version : int
        Format of the store.

    Raises
    ------
    sqlite3.Error
        If SQLite cannot make sense of the file.
    """
    found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        return str(found).strip().splitlines()[-1]
    try:
        return _of_rows(db, version)
    except sqlite3.Error:
        raise
    except Exception as error:
        # Anything may be where a number or a text should be.
        return f"{type(error).__name__}: {error}"


def _of_rows(db: sqlite3.Connection, version: int) -> str | None:
    there = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'sums'").fetchone()[0]
    sums = dict(db.execute("SELECT task, sum FROM sums")) if there else {}
    arrays = _arrays(db)
    for number, *row in db.execute(f"{ROW.replace('key', 'id, key')} ORDER BY id"):
        key, params, seed, status, *_, scalars, error = row
        text = {"pending": "", "done": scalars, "failed": error}.get(status)
        own = arrays(number) if status == "done" else {}
        if status == "pending" or version <= KEYED:
            sound = make_task(json.loads(params), seed).key == key
            if status != "pending" and number in sums:
                sound = sound and sums[number] == checksum([params, scalars], own)
        else:
            sound = sums.get(number) == checksum(row, own)
        if not sound or not isinstance(text, str):
            return f"the task {str(params)[:200]} seed {seed} is not what was written"
    named = db.execute("SELECT count(*) FROM settings").fetchone()[0]
    if version > KEYED and (named or SETTINGS in sums) and sums.get(SETTINGS) != _of_settings(db):
        return "its settings are not what was written"
    if db.execute(CLOCKS).fetchone()[0]:
        return "there are no times where the times of a sweep should be"
    return None


def _arrays(db: sqlite3.Connection) -> Any:
    """Arrays of a task, for tasks in order: they may be large together."""
    groups: Iterator[tuple[int, Any]] = itertools.groupby(
        db.execute("SELECT task, name, npy FROM arrays ORDER BY task, name"), lambda row: row[0])
    number, rows = next(groups, (None, ()))

    def of(task: int) -> dict[str, bytes]:
        nonlocal number, rows
        while number is not None and number < task:
            number, rows = next(groups, (None, ()))
        return {name: npy for _, name, npy in rows} if number == task else {}

    return of
