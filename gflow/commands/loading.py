"""Ctrl-C while libraries are loaded."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def patient() -> Iterator[None]:
    """Put Ctrl-C off until what is inside is done: libraries that are half loaded make other errors
    of it ("the C-extensions failed"). A second one acts at once.

    Raises
    ------
    KeyboardInterrupt
        At the end, if it was pressed.

    Examples
    --------
    >>> with patient():
    ...     import gflow
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or \
            threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []

    def press(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        signal.signal(number, before)

    signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pressed:
            raise KeyboardInterrupt
