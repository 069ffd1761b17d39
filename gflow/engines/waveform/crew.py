"""The workbench of the fast engine: threads and room for events, while they are needed."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
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
        self._pool: ThreadPoolExecutor | None = None
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
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.threads - 1)
            # The first here: a thread takes a while to wake up.
            others: list[Future[_T]] = []
            try:
                for i in range(1, tasks):
                    others.append(self._pool.submit(work, i))
                first = work(0)
            finally:
                wait(others)
            return [first] + [other.result() for other in others]
        except Exception as error:
            if is_theirs(error):
                raise
            raise Stop("worker_failed", "a thread that integrates neurons failed with "
                       f"{type(error).__name__} ({error}); this is what was reached") from error
