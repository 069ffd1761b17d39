"""Where tasks run: processes of this machine, any executor, or a Dask cluster.

All are `concurrent.futures.Executor`; nothing here knows about sweeps.
"""

from __future__ import annotations

import asyncio
import importlib.util
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Callable

from ..problem.checks import whole
from ..problem.words import kind_of, short

MANY = 1000
"""Tasks given to a foreign executor at once: enough to see how much work waits."""
PATIENCE = 60.0
"""Seconds to wait for a scheduler that went away."""
GRACE = 2.0
"""Seconds for workers to end by themselves."""
PARTING = 5.0
"""The same for those that have done all: they may have files to close."""
LOOK = 1.0
"""Seconds between two looks of a worker at whether its sweep is there."""
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
                                     "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")}
DEADLY = frozenset(["KilledWorker"])
"""Errors with which a cluster says that a task killed several workers."""


def check_executor(executor: Any, workers: Any) -> None:
    """Say what is wrong with an executor, before there is anything to undo; see `open_executor`."""
    if workers is not None:
        whole(workers, "workers")
    if isinstance(executor, str):
        _check_address(executor)
    elif _is_client(executor):
        if getattr(executor, "asynchronous", False):
            raise TypeError("executor is an asynchronous dask Client: give a plain one")
    elif executor is not None and not isinstance(executor, Executor):
        raise TypeError(f"executor is {kind_of(executor)}: give None, a concurrent.futures "
                        "Executor, a dask Client, or the address of a Dask scheduler")


def open_executor(executor: Any, workers: int | None) -> tuple[Executor, int, bool]:
    """The executor to use, how many tasks to give it at once, and whether it is ours to close.

    Parameters
    ----------
    executor : None, Executor, dask Client or str
        None for processes of this machine; a string is the address of a Dask scheduler.
    workers : int, optional
        Number of processes, or most tasks to give to another executor at once.

    Raises
    ------
    TypeError, ValueError
        If it is none of these.
    ImportError
        If an address is given and ``distributed`` is not installed.
    OSError
        If there is no scheduler at the address.
    """
    check_executor(executor, workers)
    if workers is not None:
        workers = whole(workers, "workers")
    if executor is None:
        pool = LocalPool(workers or processors())
        return pool, pool.workers, True
    if isinstance(executor, Executor):
        return executor, workers or MANY, False
    if isinstance(executor, str):
        return DaskPool(_connect(executor), ours=True), workers or MANY, True
    return DaskPool(executor, ours=False), workers or MANY, True


def _is_client(executor: Any) -> bool:
    return type(executor).__module__.partition(".")[0] == "distributed" and \
        hasattr(executor, "submit")


def finish(pool: Executor) -> None:
    """Leave an executor of ours that has done all."""
    if isinstance(pool, LocalPool):
        pool.finish()
    else:
        pool.shutdown()


def stop(pool: Executor, ours: bool) -> None:
    """Leave an executor after trouble: end our own processes, whatever they do."""
    if isinstance(pool, LocalPool):
        pool.stop()
    elif ours:
        pool.shutdown(wait=False)


def processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LocalPool(Executor):
    """Processes of this machine, with one thread each and one task at a time.

    Each process is a pool of its own: if a task kills it, no other task is lost, and it is clear
    which one did it.

    Parameters
    ----------
    workers : int
        Number of processes.

    Examples
    --------
    >>> with LocalPool(1) as pool:
    ...     pool.submit(max, 1, 2).result()
    2
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._latest: list[multiprocessing.process.BaseProcess] = []
        self._context = multiprocessing.get_context("spawn")
        self._idle: list[ProcessPoolExecutor | None] = [None] * workers
        self._pools: dict[ProcessPoolExecutor, _Leash] = {}
        self._free = threading.Semaphore(workers)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Give a task to an idle process; waits if there is none."""
        self._free.acquire()
        pool = self._idle.pop() or self._start()
        try:
            future = self._give(pool, fn, args, kwargs)
        except BrokenProcessPool:
            # It died while idle.
            self._drop(pool)
            pool = self._start()
            future = self._give(pool, fn, args, kwargs)
        self._latest = list((pool._processes or {}).values())
        future.add_done_callback(lambda done: self._back(pool, done))
        return future

    @property
    def signal(self) -> int | None:
        """What killed the process that got the latest task; None if it ended by itself."""
        deadline = time.monotonic() + GRACE
        # It has closed its pipe, and may need a moment to be gone.
        while (codes := [process.exitcode for process in self._latest]) and None in codes and \
                time.monotonic() < deadline:
            time.sleep(0.01)
        return next((-code for code in codes if code is not None and code < 0), None)

    def stop(self) -> None:
        """End all processes now, whatever they do, with what their tasks have started."""
        self._cut()
        # Elsewhere than on Linux, code that never lets go of the interpreter does not notice.
        _end(self._processes(), GRACE)
        self.shutdown(wait=True, cancel_futures=True)

    def finish(self) -> None:
        """End all processes after their last task, and what their tasks have left."""
        processes = self._processes()
        threads: list[Any] = [pool._executor_manager_thread for pool in self._pools]
        try:
            self.shutdown(wait=False)
            # Threads and children of a task would be waited for, without end.
            _end(processes, PARTING)
        except BaseException:
            _end(processes, 0.0)
            raise
        finally:
            self._cut()
        for thread in threads:
            if thread is not None:
                thread.join(GRACE)

    def _processes(self) -> list[multiprocessing.process.BaseProcess]:
        return [process for pool in self._pools for process in
                list((pool._processes or {}).values())]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Close the pool; see `concurrent.futures.Executor.shutdown`."""
        for pool in list(self._pools):
            pool.shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            self._cut()
            self._pools.clear()

    def _cut(self) -> None:
        for leash in list(self._pools.values()):
            leash.cut()

    def _drop(self, pool: ProcessPoolExecutor) -> None:
        """Forget a process that has died, and end what its task has started."""
        leash = self._pools.pop(pool, None)
        if leash is not None:
            leash.cut()

    def _start(self) -> ProcessPoolExecutor:
        leash = _Leash()
        pool = ProcessPoolExecutor(1, mp_context=self._context, initializer=_obey,
                                   initargs=(leash.end,))
        self._pools[pool] = leash
        return pool

    def _give(self, pool: ProcessPoolExecutor, fn: Callable[..., Any], args: Any,
              kwargs: Any) -> Future[Any]:
        # The first task starts the process, and libraries count threads when they are loaded.
        with _one_thread:
            return pool.submit(fn, *args, **kwargs)

    def _back(self, pool: ProcessPoolExecutor, done: Future[Any]) -> None:
        broken = not done.cancelled() and isinstance(done.exception(), BrokenProcessPool)
        if broken:
            self._drop(pool)
        self._idle.append(None if broken else pool)
        self._free.release()


class _Leash:
    """What ties a process and its children to this one: cut, at the latest when this one dies,
    it ends them.

    Each process has one of its own. The kernel holds the group itself (see `_tie`), not its number,
    so that cutting it is safe, and ends the children, also after the process is gone.
    """

    def __init__(self) -> None:
        self.end, hand = multiprocessing.Pipe(duplex=False)
        self._hand = [hand]

    def cut(self) -> None:
        """End the process, whatever it does, and all in its group; may be called again."""
        # Threads come here too, and only one may close it.
        with suppress(IndexError, OSError):
            hand = self._hand.pop()
            try:
                # A child that this process forked may hold it too: closing would not be noticed.
                hand.send_bytes(b"")
            finally:
                hand.close()


def _end(processes: list[multiprocessing.process.BaseProcess], patience: float) -> None:
    """Wait for processes to end; kill those that do not, with what their tasks have started."""
    deadline = time.monotonic() + patience
    with suppress(OSError, ValueError):
        while (left := [process.sentinel for process in processes if process.is_alive()]) and \
                time.monotonic() < deadline:
            multiprocessing.connection.wait(left, 0.1)
    for process in processes:
        with suppress(OSError, ValueError):
            if process.is_alive():
                # Each leads a group of its own, see `_obey`.
                if hasattr(os, "killpg") and os.getpgid(process.pid or 0) == process.pid:
                    os.killpg(process.pid, signal.SIGKILL)
                process.kill()


def _obey(leash: Connection) -> None:
    """In a worker: leave Ctrl-C to the sweep, and end with it, children and all."""
    if hasattr(os, "setpgid"):
        with suppress(OSError):
            os.setpgid(0, 0)
    parent = os.getppid()

    def watch() -> None:
        try:
            # A child that the sweep's process forked may hold the other end too.
            while not leash.poll(LOOK) and os.getppid() == parent:
                pass
        except OSError:
            pass
        if _leads():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    _tie(leash)


def _leads() -> bool:
    """Whether the group of this process is its own, with none but its children in it."""
    return hasattr(os, "getpgrp") and os.getpgrp() == os.getpid()


def _tie(leash: Connection) -> None:
    """Have the kernel end this process and its group with the leash, where it can (Linux).

    The thread of `_obey` has no turn while compiled code keeps the interpreter, and what a task
    has started outlives a worker that has died; a signal needs neither. SIGKILL instead of the
    usual SIGIO, which children may ignore.
    """
    with suppress(ImportError, AttributeError, OSError):
        import fcntl
        fcntl.fcntl(leash, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(leash, fcntl.F_SETOWN, -os.getpid() if _leads() else os.getpid())
        fcntl.fcntl(leash, fcntl.F_SETFL, fcntl.fcntl(leash, fcntl.F_GETFL) | os.O_ASYNC)


class _Environment:
    """Variables that are set as long as any thread is inside."""

    def __init__(self, changes: dict[str, str]) -> None:
        self.changes = changes
        self.lock = threading.Lock()
        self.inside = 0
        self.before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.before = {name: os.environ.get(name) for name in self.changes}
                os.environ.update(self.changes)
            self.inside += 1

    def __exit__(self, *details: Any) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                for name, value in self.before.items():
                    if value is None:
                        os.environ.pop(name, None)
                    else:
                        os.environ[name] = value


_one_thread = _Environment(ONE_THREAD)


class DaskPool(Executor):
    """A Dask cluster as an executor; Dask itself reruns the tasks of workers that went away.

    Parameters
    ----------
    client : distributed.Client
        Connected to the scheduler.
    ours : bool
        Whether to close it with the pool.
    """

    def __init__(self, client: Any, ours: bool) -> None:
        self.client = client
        self.ours = ours

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Give a task to the cluster."""
        self._wait_for_scheduler()
        remote = self.client.submit(fn, *args, **kwargs, pure=False)

        # Holding on to the remote future is what keeps the scheduler from dropping the task.
        async def fetch() -> Any:
            return await self.client.gather(remote, asynchronous=True)

        return asyncio.run_coroutine_threadsafe(fetch(), self.client.loop.asyncio_loop)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let go of the cluster; it goes on running."""
        if self.ours:
            self.client.close()

    def _wait_for_scheduler(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.client.status != "running":
            if self.client.status in ("closing", "closed") or time.monotonic() > deadline:
                raise ConnectionError(f"the Dask scheduler is gone (client {self.client.status})")
            time.sleep(0.1)


def _check_address(address: str) -> None:
    if "://" not in address:
        raise ValueError(f"executor = {short(address)} is no address of a scheduler: give one such "
                         "as \"tcp://127.0.0.1:8786\"")
    if importlib.util.find_spec("distributed") is None:
        raise ImportError("a Dask cluster needs the package distributed: "
                          "pip install 'gflow[cluster]'")


def _connect(address: str) -> Any:
    from distributed import Client
    try:
        return Client(address)
    except (OSError, ValueError) as error:
        raise OSError(f"no Dask scheduler answers at {address}: {error}") from error
