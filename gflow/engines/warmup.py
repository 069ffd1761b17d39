"""The first call: kernels are compiled, and whoever waits is told why."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

UNTOLD = 2.0
"""Seconds of compiling after which a line says so."""

_said = threading.Event()


@contextmanager
def announced() -> Iterator[None]:
    """Say so, once a process, if kernels are compiled for longer than `UNTOLD` meanwhile.

    Kernels that are loaded from disk are not compiled, however long that takes. The line goes to
    standard error, whether that is a terminal, a notebook or a log.
    """
    from numba.core import event

    timer = threading.Timer(UNTOLD, _say)
    timer.daemon = True
    begun = threading.Event()

    class Compiling(event.Listener):
        """Starts the timer when numba begins to compile for the first time."""

        def on_start(self, happening: Any) -> None:
            if not begun.is_set():
                begun.set()
                timer.start()

        def on_end(self, happening: Any) -> None:
            pass

    try:
        with event.install_listener("numba:compile", Compiling()):
            yield
    finally:
        timer.cancel()


def _say() -> None:
    if not _said.is_set() and sys.stderr is not None:
        _said.set()
        print("gflow: compiling, once per installation (up to a minute) ...", file=sys.stderr,
              flush=True)
