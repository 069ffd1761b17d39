"""Whoever waits for kernels to be compiled is told why: once a wait, by whatever door."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from typing import Any

from numba.core import event

UNTOLD = 2.0
"""Seconds of compiling after which a line says so."""
PAUSE = 10.0
"""Seconds without compiling after which more of it is another wait, and told again: more than a run
spends between two kernels on a busy machine, less than a reader takes to ask the next thing."""
WORDS = "gflow: compiling, once per installation (up to a minute) ..."


class Announcer(event.Listener):
    """Says so when kernels have been compiled for longer than `UNTOLD`.

    It listens to numba, so that no caller has to think of it. Kernels that are loaded from disk are
    not compiled, however long that takes; functions of others are not counted. The line goes to
    standard error, whether that is a terminal, a notebook or a log.
    """

    def __init__(self) -> None:
        self.said, self.taken = False, 0.0
        self._depth, self._begun, self._ended = 0, 0.0, time.monotonic()
        self._timer: threading.Timer | None = None

    def on_start(self, happening: Any) -> None:
        """A kernel, or one within another; numba compiles in one thread at a time."""
        if not _ours(happening):
            return
        self._depth += 1
        if self._depth > 1:
            return
        self._begun = time.monotonic()
        if self._begun - self._ended > PAUSE:
            self.said, self.taken = False, 0.0
        if not self.said:
            self._timer = threading.Timer(max(0.0, UNTOLD - self.taken), self._say)
            self._timer.daemon = True
            # Where there is no thread to be had nobody is told, and the run goes on.
            with suppress(RuntimeError):
                self._timer.start()

    def on_end(self, happening: Any) -> None:
        """Compiled, or failed."""
        if not _ours(happening):
            return
        self._depth -= 1
        if self._depth:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._ended = time.monotonic()
        self.taken += self._ended - self._begun

    def _say(self) -> None:
        self.said = True
        # A terminal that has been closed, or a stream that cannot be flushed, is no reason to stop.
        if sys.stderr is not None:
            with suppress(Exception):
                print(WORDS, file=sys.stderr, flush=True)


def _ours(happening: Any) -> bool:
    module: str = getattr(happening.data["dispatcher"].py_func, "__module__", None) or ""
    return module.startswith(f"{__package__}.")


announcer = Announcer()
event.register("numba:compile", announcer)
