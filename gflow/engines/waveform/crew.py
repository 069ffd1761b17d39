"""The workbench of the fast engine: threads and room for events, while they are needed."""

from __future__ import annotations

import concurrent.futures
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Callable, TypeVar

import numpy as np

from ...problem.theirs import is_theirs
from ..run import Stop

WORTH_THREADS = 2e-3
"""Seconds of work that are worth sharing."""

_T = TypeVar("_T")


class Crew:
    """Threads that share work, and memory that they use again; a context that leaves neither.

    Parameters
    ----------
    threads : int
        How many at most; they start when work is shared for the first time.

    Attributes
    ----------
    busy : bool
        Whether the last piece of work took long enough to be shared.
    rows : int
        Events of a block of neurons that there is room for.

    Examples
    --------
    >>> with Crew(2) as crew:
    ...     crew.busy = True
    ...     crew.share(lambda i: i * i, 4)
    [0, 1, 4, 9]
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.busy = False
        self.rows = 0
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None
        self._logs = np.empty((0, 0, 6))

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None

    def took(self, seconds: float) -> None:
        """Note how long a piece of work took."""
        self.busy = seconds > WORTH_THREADS

    def logs(self, blocks: int) -> np.ndarray:
        """Room for ``rows`` events of each of ``blocks`` blocks of neurons; what it holds is
        overwritten."""
        if self._logs.shape[0] < blocks or self._logs.shape[1] < self.rows:
            self._logs = np.empty((blocks, self.rows, 6))
        return self._logs

    def share(self, work: Callable[[int], _T], tasks: int) -> list[_T]:
        """Run ``work`` on 0 ... tasks - 1, by several threads if that pays.

        Raises
        ------
        Stop
            If a thread fails.
        """
        try:
            if self.threads < 2 or not self.busy or tasks < 2:
                return [work(i) for i in range(tasks)]
            return self._by_threads(work, tasks)
        except Exception as error:
            if is_theirs(error):
                raise
            raise Stop("worker_failed", "a thread that integrates neurons failed with "
                       f"{type(error).__name__} ({error}); this is what was reached") from error

    def _by_threads(self, work: Callable[[int], _T], tasks: int) -> list[_T]:
        ends: dict[int, _T] = {}

        def one(i: int) -> None:
            ends[i] = work(i)

        # The first here: a thread takes a while to wake up.
        others = self._handed_out(one, range(1, tasks))
        try:
            one(0)
        finally:
            wait(others)
        for other in others:
            other.result()
        return [ends[i] if i in ends else work(i) for i in range(tasks)]

    def _handed_out(self, one: Callable[[int], None], tasks: range) -> list[Future[None]]:
        """What threads are at work on, or none where there are none to be had: in a container that
        allows no more, or when the interpreter ends."""
        others: list[Future[None]] = []
        try:
            if self._pool is None:
                self._pool = concurrent.futures.ThreadPoolExecutor(self.threads - 1)
            for i in tasks:
                others.append(self._pool.submit(one, i))
        except RuntimeError:
            self.threads = 1
            if self._pool is not None:
                # A task that was refused may have been begun all the same.
                self._pool.shutdown(wait=True, cancel_futures=True)
                self._pool = None
        return [other for other in others if not other.cancelled()]
