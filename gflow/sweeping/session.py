"""`gflow.sweep`: hand out tasks, commit what comes back, go on until all are done."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import multiprocessing
import os
import queue
import secrets
import time
import traceback
from collections import Counter, deque
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, Iterable, Literal, Mapping, Sequence

import numpy as np

from .agreement import claims
from .codec import writable
from .executors import DEADLY, LocalPool, check_executor, finish, open_executor, stop
from .grid import Grid, Task, root_seed, tasks
from .identity import fingerprint
from .notice import headline, warn
from .records import records
from .report import Meter
from .store import Store
from .values import title
from .worker import Job, Outcome, SweepError, greet, pack, perform
from ..problem.checks import flag
from ..problem.words import short

if TYPE_CHECKING:  # pragma: no cover
    from distributed import Client
else:
    # For those who ask for type hints at run time: the package may be missing.
    Client = Any

CHANGED = ("raise", "keep", "rerun")
CANCELLED = (concurrent.futures.CancelledError, asyncio.CancelledError, KeyboardInterrupt)
"""Tasks that end with these are run again: they did nothing wrong, or not often."""
STRIKES = 3
"""A task whose worker died this often has failed."""
CANCELS = 30
"""A task that was cancelled this often has failed: a cluster may take workers away many times."""
LOOK = 100
"""Tasks to look at beyond those that can be run now: another sweep may have them."""
POLL = 1.0
"""Seconds between signs of life."""
HASTE = 0.05
"""Seconds of work that may wait, done, while tasks are given to an executor; more than a commit."""
SHORT = 5.0
"""Seconds to wait for a locked store once the sweep ends early."""
PATIENCE = 60.0
"""Seconds for which to try again to write to the store."""


def sweep(run: Callable[..., Mapping[str, object]], grid: Grid, *,
          store: str | os.PathLike[str] | bytes,
          executor: Executor | Client | str | None = None, seeds: int | Iterable[int] = 1,
          rng: int = 0, shared: Sequence[str] = (), workers: int | None = None,
          progress: bool = True, retry_failed: bool = False,
          changed: Literal["raise", "keep", "rerun"] = "raise") -> np.recarray:
    """Run a function on every point of a grid, with many seeds, and keep every result.

    Each result is committed to ``store`` when its task ends. Called again with the same store,
    only what is missing is run; after a crash too. Tasks are run in a shuffled order, so that the
    time left can be estimated and a part of the results shows the whole picture.

    Parameters
    ----------
    run : callable
        ``run(**params, rng)`` takes the parameters of the grid and a `numpy.random.Generator`, all
        by name, and returns a mapping of names to real numbers, strings, None and small arrays.
    grid : mapping of lists, list of mappings, or callable
        A mapping stands for all combinations of its values; a callable takes no argument and
        returns one of the others. Values: numbers, strings, booleans, None, lists of these.
    store : str, bytes or path-like
        SQLite file on a disk of this machine, made if it does not exist; ``~`` is written out.
    executor : None, Executor, dask Client or str, optional
        None for processes of this machine, with one thread each; any
        `concurrent.futures.Executor`; a Dask client, or the address of a Dask scheduler (needs
        the extra ``cluster``).
    seeds : int or list of int
        Number of seeds for each point, or seed indices.
    rng : int
        Root seed. The numbers of a task come from it and from a hash of its parameters and seed
        index (`gflow.sweeping.task_rng`), so that a larger grid does not change them.
    shared : list of str
        Parameters left out of that hash: tasks that differ in these only share their draws.
    workers : int, optional
        Number of processes, as many as there are processors if None; with another executor the
        most tasks to give to it at once, 1000 if None.
    progress : bool
        Draw a text meter on standard error.
    retry_failed : bool
        Whether to run again the tasks that the store has as failed.
    changed : {"raise", "keep", "rerun"}
        What to do if the store has tasks done by another ``run`` (other code, other data that it
        carries or reads; see the docs) or another version of gflow.

    Returns
    -------
    numpy.recarray
        One record for each task of the grid that is done, in its order: parameters, ``seed``,
        results. See `load_sweep` for other forms.

    Raises
    ------
    TypeError, ValueError
        Before anything is run: if the grid, ``run``, or the store do not work, or a sweep of other
        code goes on with the store.
    OSError
        If the store cannot be written to. While the sweep runs it tries for a minute.
    SweepError
        If workers cannot start, or have loaded other code or data than this session, or the
        executor takes no more tasks; what is done is kept.
    KeyboardInterrupt
        On Ctrl-C; what is done is kept.

    Warns
    -----
    RuntimeWarning
        If tasks failed; `gflow.sweeping.failures` has their tracebacks.

    Examples
    --------
    >>> import tempfile, gflow
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> def mean(n, rng):
    ...     return {"mean": rng.normal(size=n).mean()}
    >>> with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
    ...     table = gflow.sweep(mean, {"n": [10, 1000]}, seeds=50, store=f"{folder}/mean.db",
    ...                         executor=pool, progress=False)
    >>> table.size, bool(table["mean"][table["n"] == 1000].std() < 0.05)
    (100, True)
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SweepError("gflow.sweep was called while a worker imports your script: put the "
                         "call under  if __name__ == \"__main__\":")
    if not isinstance(changed, str) or changed not in CHANGED:
        raise ValueError(f"changed = {short(changed)}: choose one of {', '.join(CHANGED)}")
    progress, retry_failed = flag(progress, "progress"), flag(retry_failed, "retry_failed")
    # Whatever can be refused is refused before there is a store, whose settings would bind.
    check_executor(executor, workers)
    root = root_seed(rng)
    wanted = tasks(grid, seeds, shared, run if callable(run) else None)
    packed, code = pack(run), fingerprint(run)
    job = Job(packed, root, code=code, claims=claims(run))
    settings = {"run": title(run), "rng": str(root), "shared": " ".join(sorted({*shared}))}
    with Store(store) as opened:
        todo = opened.begin(wanted, settings, code, changed, retry_failed)
        job = job._replace(taken=tuple(opened.parameters()), token=secrets.token_hex(8))
        try:
            if todo:
                _work(opened, job, todo, executor, workers, Meter(opened, progress))
        finally:
            with suppress(OSError):
                opened.end()
        failed = opened.rows("failed", wanted=True)
        if failed:
            # Where warnings are shown may be closed by now.
            with suppress(OSError, ValueError, AttributeError):
                warn(f"{len(failed)} of {len(wanted)} tasks failed, the first with "
                     f"{headline(failed[0].error)!r}; gflow.sweeping.failures"
                     f"({str(opened.path)!r}) has the tracebacks", stacklevel=2)
        return records(opened, wanted=True)


def _work(store: Store, job: Job, todo: dict[int, Task], executor: Any, workers: int | None,
          meter: Meter) -> None:
    """Run tasks until all are in the store."""
    pool, limit, ours = open_executor(executor, workers)
    dealer = Dealer(store, pool, job, todo, limit, meter)
    try:
        _check_workers(pool, job, meter)
        dealer.run()
        if ours:
            finish(pool)
    except BaseException as error:
        # A second Ctrl-C may come meanwhile.
        try:
            dealer.abandon()
        finally:
            stop(pool, ours)
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(f"interrupted: {_kept(store)}; the same call goes on from "
                                    "there") from None
        raise
    finally:
        meter.close()


def _check_workers(pool: Executor, job: Job, meter: Meter) -> None:
    """Try out one worker, before anything is lost on all of them."""
    trouble: str | None = None
    strikes = cancels = 0
    while trouble is None:
        try:
            future = pool.submit(greet, job)
        except Exception as error:
            what, hint = (("no worker can be started", "see what keeps this process from it") if
                          isinstance(pool, LocalPool) else
                          ("the executor takes no tasks", "give one that runs"))
            raise SweepError(f"{what} ({type(error).__name__}: {error}): {hint}") from error
        try:
            while not concurrent.futures.wait([future], 5.0).done:
                meter.say("waiting for a worker")
            trouble = future.result()
        except (concurrent.futures.CancelledError, asyncio.CancelledError) as error:
            cancels += 1
            if cancels == CANCELS:
                raise SweepError("the executor cancels what it is given, again and again: give "
                                 "another one") from error
        except BrokenProcessPool as error:
            strikes += 1
            if strikes == STRIKES or not (isinstance(pool, LocalPool) and pool.signal):
                raise SweepError(_broken(pool)) from error
        except Exception as error:
            what = ("die before their first task" if type(error).__name__ in DEADLY else
                    "cannot run tasks")
            hint = "look at what they print" if "die" in what else "install gflow where they run"
            raise SweepError(f"workers {what} ({type(error).__name__}: {error}): {hint}") from error
    if trouble:
        raise SweepError(f"a worker cannot take part: {trouble}")


def _broken(pool: Executor) -> str:
    """Why a worker ended before its first task, and what to do."""
    guard = "with the call of gflow.sweep under  if __name__ == \"__main__\":"
    if not isinstance(pool, LocalPool):
        return ("the executor broke before its first task, see above: start again with a new one, "
                f"in a script that is a file, {guard}")
    if pool.signal:
        return (f"workers are killed as they start, {STRIKES} times by now (signal {pool.signal}): "
                "see whether memory is short, or what run imports crashes")
    return f"workers cannot start, see above: a script must be a file, {guard}"


class Dealer:
    """Deals tasks out to an executor and writes down what comes back.

    Parameters
    ----------
    store : Store
        Where a sweep has begun.
    pool : Executor
        Where tasks run.
    job : Job
        What to run.
    tasks : dict
        Tasks to run, by their ids in the store.
    limit : int
        Most tasks to have with the executor.
    meter : Meter
        Told now and then.
    """

    def __init__(self, store: Store, pool: Executor, job: Job, tasks: dict[int, Task], limit: int,
                 meter: Meter) -> None:
        self.store, self.pool, self.job, self.meter = store, pool, job, meter
        self.tasks = tasks
        self.limit = limit
        self.todo = deque(tasks)
        self.theirs: list[int] = []
        self.running: dict[Future[Outcome], int] = {}
        self.back: queue.SimpleQueue[Future[Outcome]] = queue.SimpleQueue()
        self.unsaved: list[tuple[int, Outcome]] = []
        self.strikes: Counter[int] = Counter()
        self.cancels: Counter[int] = Counter()
        self.trouble_since: float | None = None
        self.saved = time.monotonic()

    def run(self) -> None:
        """Until every task is done, here or by another sweep on the same store."""
        while self.todo or self.theirs or self.running or self.unsaved:
            self._exchange()
            self.meter.show()
            more = self.todo and len(self.running) < self.limit
            if self.trouble_since is not None or (self.running or self.theirs) and not more:
                self._collect(POLL)

    def abandon(self) -> None:
        """Save what has come back; ask for the rest no more."""
        self.store.patience = SHORT
        for future in list(self.running):
            if not future.cancel() and future.done():
                with suppress(SweepError):
                    self._judge(future)
        with suppress(OSError, ValueError):
            self.store.exchange(self.unsaved, [], 0)

    def _exchange(self) -> None:
        if not self.todo:
            # Look again at what another sweep had: it may be done, or the other one dead.
            self.todo.extend(self.theirs)
            self.theirs.clear()
        room = self.limit - len(self.running)
        wanted = list(itertools.islice(self.todo, room + LOOK if room else 0))
        try:
            answers = self.store.exchange(self.unsaved, wanted, room)
        except OSError as error:
            self._bear(error)
            return
        for _ in answers:
            self.todo.popleft()
        self.unsaved, self.trouble_since, self.saved = [], None, time.monotonic()
        self.theirs += [task for task, answer in answers.items() if answer == "theirs"]
        ours = deque(task for task, answer in answers.items() if answer == "ours")
        while ours and self.trouble_since is None:
            self._submit(ours.popleft())
            self._save()
        self.todo.extendleft(reversed(ours))

    def _save(self) -> None:
        """Write what has come back before all are given: some executors run tasks in `submit`."""
        if self.back.empty() or time.monotonic() - self.saved < HASTE:
            return
        self._collect(0.0)
        try:
            self.store.exchange(self.unsaved, [], 0)
        except OSError as error:
            self._bear(error)
            return
        self.unsaved, self.saved = [], time.monotonic()
        self.meter.show()

    def _submit(self, task: int) -> None:
        try:
            future = self.pool.submit(perform, self.job, self.tasks[task])
        except Exception as error:
            raise SweepError(f"the executor takes no more tasks ({type(error).__name__}: "
                             f"{error}): {_kept(self.store)}; start again with another "
                             "one") from error
        self.running[future] = task
        future.add_done_callback(self.back.put)

    def _collect(self, timeout: float) -> None:
        """Wait for a task to come back, and take all that have."""
        with suppress(queue.Empty):
            self._judge(self.back.get(timeout=timeout))
            while True:
                self._judge(self.back.get_nowait())

    def _judge(self, future: Future[Outcome]) -> None:
        task = self.running[future]
        error = None if future.cancelled() else future.exception()
        if isinstance(error, SweepError):
            raise SweepError(f"{error}; {_kept(self.store)}") from None
        if future.cancelled() or isinstance(error, CANCELLED):
            self._cancelled(task, error)
        elif error is None:
            self.unsaved.append((task, future.result()))
        else:
            self._lost(task, error)
        # Last, so that Ctrl-C in between loses nothing: `abandon` looks at what is here.
        del self.running[future]

    def _cancelled(self, task: int, error: BaseException | None) -> None:
        """Run a task again that was cancelled, but not for ever."""
        self.cancels[task] += 1
        # It may be the task itself that raises KeyboardInterrupt.
        if self.cancels[task] < (STRIKES if isinstance(error, KeyboardInterrupt) else CANCELS):
            self.todo.append(task)
            return
        name = type(error).__name__ if error else "CancelledError"
        self.unsaved.append((task, Outcome(None, {}, "the task was cancelled again and again: "
                                           f"{name} {self.cancels[task]} times")))

    def _lost(self, task: int, error: BaseException) -> None:
        """Run a task again whose worker died, but not for ever."""
        self.strikes[task] += STRIKES if type(error).__name__ in DEADLY else 1
        if self.strikes[task] < STRIKES:
            self.todo.append(task)
            return
        text = writable("".join(traceback.format_exception(error)))
        self.unsaved.append((task, Outcome(None, {}, "the task was lost again and again: did it "
                                           f"kill its worker?\n{text}")))

    def _bear(self, error: OSError) -> None:
        """The store cannot be written to: hold on to results for a while, start nothing new."""
        now = time.monotonic()
        if self.trouble_since is None:
            self.trouble_since = now
            self.meter.say(f"{error}; trying again")
        if now - self.trouble_since >= PATIENCE and not self.running:
            raise OSError(f"{error}; {len(self.unsaved)} finished tasks are not in the store and "
                          "will be run again") from error.__cause__


def _kept(store: Store) -> str:
    with suppress(OSError, ValueError):
        count = store.count(wanted=True)
        return f"{count['done']} of {sum(count.values())} tasks are done and kept in {store.path}"
    return f"what was done is kept in {store.path}"
