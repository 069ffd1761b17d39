"""Work in threads, where there are any to be had."""

from __future__ import annotations

import concurrent.futures
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def in_threads(work: Callable[[A], B], items: Iterable[A], threads: int) -> Iterator[B]:
    """Results of ``work``, which changes nothing, in order; no more items are taken than there is
    use for. Without threads (a container that allows no more, an interpreter that ends) all is done
    here.

    Examples
    --------
    >>> list(in_threads(lambda i: i * i, range(4), 2))
    [0, 1, 4, 9]
    """
    waiting: deque[Callable[[], B]] = deque()
    with ExitStack() as stack:
        pool: concurrent.futures.Executor | None
        try:
            pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(threads))
        except RuntimeError:
            pool = None
        for item in items:
            waiting.append(_begun(pool, work, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft()()
        while waiting:
            yield waiting.popleft()()


def _begun(pool: concurrent.futures.Executor | None, work: Callable[[A], B],
           item: A) -> Callable[[], B]:
    if pool is not None:
        try:
            return pool.submit(work, item).result
        except RuntimeError:
            pass
    done = work(item)
    return lambda: done
