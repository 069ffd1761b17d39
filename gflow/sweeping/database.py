"""The file of a store: opened, locked, looked at, and what SQLite says of it in our words."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Iterator, Sequence

from .._version import __version__
from .notice import warn
from .soundness import flaw, renew
from ..problem.files import LONGEST_PART, absolute, descriptor, plain, told
from ..problem.words import short

APPLICATION = 0x67666C77
FORMAT = 2
"""In 1 the sums were of parameters and scalars alone. Such stores are read; a sweep renews them."""
LEAST = 512
"""Bytes of the smallest file of SQLite that holds something."""
BUSY = 60.0
"""Seconds to wait for another process that writes."""
BREATH = 1.0
"""Seconds of that in one go: in between, Ctrl-C is heard."""
ELSEWHERE = {sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
             sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
             sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL}
"""Errors of SQLite that are not due to what the file holds."""
SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE tasks (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, params TEXT NOT NULL,
    seed INTEGER NOT NULL, status TEXT NOT NULL, version TEXT, code TEXT, scalars TEXT,
    error TEXT);
CREATE INDEX tasks_status ON tasks (status);
CREATE TABLE arrays (task INTEGER REFERENCES tasks, name TEXT, npy BLOB,
    PRIMARY KEY (task, name)) WITHOUT ROWID;
CREATE TABLE work (task INTEGER PRIMARY KEY REFERENCES tasks, sweep INTEGER, started REAL,
    finished REAL, wall REAL, worker TEXT);
CREATE TABLE sweeps (id INTEGER PRIMARY KEY, host TEXT, pid INTEGER, started REAL, beat REAL,
    ended REAL, code TEXT, place TEXT);
"""


class Database:
    """The open file of a store; see `gflow.sweeping.store.Store` for its parameters."""

    def __init__(self, path: str | os.PathLike[str] | bytes, read_only: bool = False) -> None:
        if not isinstance(path, str | bytes | os.PathLike) or not os.fspath(path):
            raise TypeError(f"store is {short(path)}: give the name of a file")
        self.path = Path(plain(absolute(plain(path))))
        self.read_only = read_only
        self.patience = BUSY
        _check_place(self.path, read_only)
        self._check_size()
        # Before SQLite makes an empty one.
        logged = self._logged()
        with self._speaking():
            self.db = self._connect()
        try:
            self._check_format()
            self.check()
            if not logged:
                self._check_whole()
            self._file = os.stat(self.path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self.db.close()
        if self.read_only:
            self._tidy()

    def _tidy(self) -> None:
        """Have SQLite remove the empty log that reading has made: it does so when the last
        connection that may write is closed, and not while another program has one."""
        if not self._log().exists() or self._logged() or not os.access(self.path, os.W_OK):
            return
        with suppress(sqlite3.Error):
            db = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=rw", uri=True, timeout=0)
            with closing(db):
                db.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def settings(self) -> dict[str, str]:
        """Settings of the store."""
        return dict(self._ask("SELECT name, value FROM settings"))

    def _ask(self, question: str, *values: Any) -> list[Any]:
        with self._speaking():
            return self._execute(question, values).fetchall()

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Execute a statement; wait for other programs that lock the file."""
        deadline = time.monotonic() + self.patience
        while True:
            try:
                return self.db.execute(statement, values)
            except sqlite3.OperationalError as error:
                if not _locked(error) or self.db.in_transaction or time.monotonic() > deadline:
                    raise

    def _connect(self) -> sqlite3.Connection:
        if not self.read_only:
            return sqlite3.connect(self.path, timeout=BREATH, isolation_level=None)
        address = self.path.resolve().as_uri()
        try:
            db = sqlite3.connect(f"{address}?mode=ro", uri=True, timeout=BUSY,
                                 isolation_level=None)
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            # In a directory that cannot be written to, a finished store can still be read.
            if _locked(error) or self._logged():
                raise
            db = sqlite3.connect(f"{address}?immutable=1", uri=True, isolation_level=None)
        return db

    def _check_size(self) -> None:
        """SQLite takes a file of a byte for an empty one, and writes over it."""
        with suppress(FileNotFoundError):
            size = os.stat(self.path).st_size
            if 0 < size < LEAST:
                raise self.damaged(f"it has {size} byte{'s' * (size > 1)}")

    def _check_format(self) -> None:
        with self._speaking():
            # In this order: another sweep may be making the tables, and its head with them.
            content, application, found = (self._execute(question).fetchone()[0] for question in (
                "SELECT count(*) FROM sqlite_master", "PRAGMA application_id",
                "PRAGMA user_version"))
        if _flipped(application, APPLICATION) or \
                application == APPLICATION and (
                    found < 1 or _flipped(found, self._recorded(found))):
            raise self.damaged(f"by its head it is of kind {application}, format {found}")
        if application == APPLICATION and found > FORMAT:
            raise ValueError(f"{self.path} was written by a newer gflow, in format {found}: "
                             f"upgrade gflow (this is {__version__}) or use another store")
        if application != APPLICATION and (content or application or self.read_only):
            raise ValueError(f"{self.path} is no store of a sweep: give another file")
        if self.read_only:
            return
        with self._speaking():
            self._execute("PRAGMA journal_mode = WAL")
            # FULL: what is committed survives a power cut too.
            self._execute("PRAGMA synchronous = FULL")
            self._execute("PRAGMA wal_autocheckpoint = 1")
        with self._transaction():
            # Another sweep may have made the tables by now.
            # Stores from before have no sums.
            self.db.execute("CREATE TABLE IF NOT EXISTS sums (task INTEGER PRIMARY KEY, sum TEXT)")
            if not self.db.execute("PRAGMA application_id").fetchone()[0]:
                for statement in SCHEMA.split(";"):
                    self.db.execute(statement)
                self.db.execute(f"PRAGMA application_id = {APPLICATION}")
                renew(self.db, FORMAT)

    def _log(self) -> Path:
        """The file beside the store that holds what is not yet in it."""
        real = self.path.resolve()
        return real.with_name(real.name + "-wal")

    def _logged(self) -> bool:
        log = self._log()
        return log.exists() and log.stat().st_size > 0

    def _format(self) -> int:
        return int(self._ask("PRAGMA user_version")[0][0])

    def _recorded(self, found: int) -> int:
        """The format as it is written once more, in stores that have that; or else as found."""
        with suppress(ValueError):
            return int(self.settings().get("format", found))
        return found

    def check(self) -> None:
        """Compare the content with its checksums.

        Raises
        ------
        ValueError
            If it is not what was written.
        """
        with self._speaking():
            self._execute("BEGIN")
            try:
                found = flaw(self.db, self._format())
            finally:
                self.db.execute("ROLLBACK")
        if found is not None:
            raise self.damaged(found)

    def _check_whole(self) -> None:
        """A file whose sweep was cut off and that has no log: is it a copy?"""
        log = self._log()
        # A sweep and its tasks are written at once: where all are done, nothing is missing.
        if self._logged() or not self._ask(
                "SELECT count(*) FROM sweeps WHERE ended IS NULL AND EXISTS "
                "(SELECT * FROM tasks WHERE status NOT IN ('done', 'failed'))")[0][0]:
            return
        warn(f"{self.path} was left in the middle of a sweep and {log.name} is not beside it: if "
             "this is a copy, the results of the last moment may be missing; copy both files "
             "together, or call the sweep again", stacklevel=5)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._speaking():
            self._execute("BEGIN IMMEDIATE")
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Turn SQLite's errors into those of a file."""
        try:
            yield
        except sqlite3.OperationalError as error:
            verb = "read" if self.read_only else "written to"
            if _locked(error):
                raise OSError(f"{self.path} cannot be {verb}, since another program has locked it "
                              f"({error}): end that program, or wait for it") from error
            if not self._elsewhere(getattr(error, "sqlite_errorcode", 0)):
                raise self.damaged(error) from error
            raise OSError(f"{self.path} cannot be {verb} ({error}): check the disk and the "
                          "permissions of the file and its directory") from error
        except sqlite3.DatabaseError as error:
            raise self.damaged(error) from error
        except UnicodeDecodeError as error:
            # SQLite's own sentence has bytes of the file in it.
            raise self.damaged("its tables have no names") from error

    def _elsewhere(self, code: int) -> bool:
        """Whether an error of SQLite is due to the disk, not to what the file holds."""
        if code == sqlite3.SQLITE_READONLY and not self.read_only and \
                os.access(self.path, os.W_OK):
            # So says the header of the file.
            return False
        return code & 0xff in ELSEWHERE

    def damaged(self, what: object) -> ValueError:
        """The error of a file that does not hold what was written."""
        words = " ".join(str(what).split())[:400]
        log = self._log()
        if log.exists():
            hint = f"if another file was put in its place, remove {log.name}"
        else:
            hint = f"if it is a copy, copy {log.name} together with it"
        return ValueError(f"{self.path} is damaged or no store of a sweep ({words}): give "
                          f"another file, or {hint}")


def _check_place(path: Path, read_only: bool) -> None:
    longest = LONGEST_PART - len("-journal")
    if len(os.fsencode(path.name)) > longest and not read_only:
        raise ValueError("the name of the store is too long: give one of at most "
                         f"{longest} bytes, since SQLite puts longer ones beside it")
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = None
    except OSError as error:
        raise told(error, f"{path} cannot be the store") from error
    if mode is not None and stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path} is a directory: give a file name for the store")
    if mode is not None and not stat.S_ISREG(mode) or descriptor(os.fspath(path)) is not None:
        # SQLite would take it, and leave its journal beside it.
        raise OSError(f"{path} is a device, a pipe or an open file: give a file name for the store")
    if read_only and mode is None:
        raise FileNotFoundError(f"there is no store {path}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} is not a directory: make it first")
    if not read_only:
        for place in (path.parent, *([path] if mode is not None else [])):
            if not os.access(place, os.W_OK):
                raise PermissionError(f"{place} cannot be written to: choose another store")


def _flipped(one: int, other: int) -> bool:
    """Whether numbers differ in one bit: a fault of the disk, and nothing that anybody wrote."""
    return (one ^ other).bit_count() == 1


def _locked(error: sqlite3.OperationalError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xff in (sqlite3.SQLITE_BUSY,
                                                            sqlite3.SQLITE_LOCKED)
