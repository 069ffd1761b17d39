"""Ctrl-C while libraries are loaded, or a run is saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def patient() -> Iterator[None]:
    """Put Ctrl-C off until what is inside is done: libraries that are half loaded make other errors
    of it ("the C-extensions failed"). A second one acts at once. The end of a terminal is put off
    as well, however often it is told.

    Raises
    ------
    KeyboardInterrupt
        At the end, if it was pressed.

    Examples
    --------
    >>> with patient():
    ...     import gflow
    """
    ends: dict[int, Any] = {signal.SIGINT: signal.default_int_handler}
    if hasattr(signal, "SIGHUP"):
        ends[signal.SIGHUP] = signal.SIG_DFL
    # Those that would end the program.
    ends = {number: end for number, end in ends.items() if signal.getsignal(number) == end}
    if not ends or threading.current_thread() is not threading.main_thread():
        yield
        return
    told: list[int] = []

    def press(number: int, frame: FrameType | None) -> None:
        told.append(number)
        if number == signal.SIGINT:
            signal.signal(number, ends[number])

    for number in ends:
        signal.signal(number, press)
    try:
        yield
    finally:
        for number, end in ends.items():
            signal.signal(number, end)
        for number in told:
            signal.raise_signal(number)
