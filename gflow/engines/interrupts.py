"""Ctrl-C, the signal by which batch systems end a job, and that of a terminal that is closed: a run
returns what it has reached."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

HANGUP: int | None = getattr(signal, "SIGHUP", None)
"""The terminal is closed; not every system has it."""
TWICE = 1.0
"""Seconds within which a second Ctrl-C means the loop of runs, and not the next run only."""
CALLERS = 4
"""Frames above a run among which the loop is looked for."""


class Interruptible(Protocol):
    """A run under way: what a signal tells it."""

    interrupted: bool


class Press(KeyboardInterrupt):
    """A Ctrl-C that a run has heard: nobody's but its own."""


class Leave(Press):
    """The second one in a loop of runs."""


class _Last:
    """The last Ctrl-C that ended a run, and who had called that: frames, held for `TWICE`."""

    def __init__(self) -> None:
        self.time = -TWICE
        self.callers: list[FrameType] = []

    def note(self, frame: FrameType | None) -> bool:
        """Note a Ctrl-C; whether it is the second in a loop of runs."""
        now, callers = time.monotonic(), _callers(frame)
        soon = now - self.time < TWICE and any(one is other for one in callers
                                               for other in self.callers)
        self.time, self.callers = now, callers
        return soon

    def forget(self) -> None:
        """Let frames go that nobody asks for any more."""
        if self.callers and time.monotonic() - self.time >= TWICE:
            self.callers = []


_last = _Last()
_ended: list[int] = []
"""Signals that end programs, not runs alone, and that a run has heard."""


def _callers(frame: FrameType | None) -> list[FrameType]:
    """The frames that have called the run that ``frame`` is in, nearest first."""
    inside = False
    found: list[FrameType] = []
    while frame is not None and len(found) < CALLERS:
        own = str(frame.f_globals.get("__name__", "")).split(".")[0] == __name__.split(".")[0]
        if own and frame.f_code.co_name in ("solve", "run"):
            inside = True
        elif inside and not own:
            found.append(frame)
        frame = frame.f_back
    return found


@contextmanager
def catching(run: Interruptible) -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into a flag read between steps; a second one acts at once,
    but for SIGHUP, which the shell and the system both send.

    Only where they would end the program: a signal that is ignored, or that another program or a
    function of the user takes care of, stays theirs, and what that raises goes through. Processes
    of a pool hear Ctrl-C only. In a loop of runs a second Ctrl-C within a second, which meets the
    next run, raises ``KeyboardInterrupt``. After the others there is time to save what the run has
    reached, and none for the next run.

    Raises
    ------
    SystemExit
        Where a run of this process has ended by SIGTERM or SIGHUP before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    outer = hasattr(signal.getsignal(signal.SIGTERM), "gflow_run")
    if _ended and not outer:
        raise SystemExit(128 + _ended.pop())
    _last.forget()
    numbers: list[int] = [signal.SIGINT]
    if multiprocessing.parent_process() is None:
        numbers += [signal.SIGTERM] if HANGUP is None else [signal.SIGTERM, HANGUP]
    caught: list[tuple[int, Any, Any]] = []
    try:
        for number in numbers:
            before = signal.getsignal(number)
            if (before in (signal.default_int_handler, signal.SIG_DFL)
                    or hasattr(before, "gflow_run")):
                handler = _handler(run, before)
                try:
                    signal.signal(number, handler)
                except ValueError:
                    # An interpreter inside another program hears no signals.
                    break
                caught.append((number, handler, before))
        yield
    finally:
        for number, handler, before in caught:
            if signal.getsignal(number) is handler:
                signal.signal(number, before)


def _handler(run: Interruptible, before: Any) -> Any:
    def handler(number: int, frame: FrameType | None) -> Any:
        again, run.interrupted = run.interrupted, True
        if number != signal.SIGINT and number not in _ended:
            _ended.append(number)
        if hasattr(before, "gflow_run"):
            # This run is inside a function that the outer run calls.
            return before(number, frame)
        if number in (signal.SIGTERM, HANGUP):
            if again and number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
        elif again:
            raise Press
        elif _last.note(frame):
            raise Leave
        return None

    handler.gflow_run = run  # type: ignore[attr-defined]
    return handler


def leaving(press: Press) -> KeyboardInterrupt | None:
    """What has to be raised when the run has been put together: nothing for an ordinary Ctrl-C."""
    return KeyboardInterrupt() if isinstance(press, Leave) else None
