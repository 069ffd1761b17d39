"""How a command ends: an exit code, and one sentence if something is wrong."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..problem.files import told
from ..problem.words import cut
from .parser import LONGEST

PRINTING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EAGAIN}
"""Errors of writing: whoever writes to a file says which one."""


def shows_all() -> None:
    """Names of files may have letters that a terminal cannot show."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def ended(name: str, work: Callable[[], int]) -> int:
    """The exit code of a command: that of ``work``, 2 (bad input, with a sentence) or 130.

    Examples
    --------
    >>> ended("gflow", lambda: 1)
    1
    """
    try:
        return _done(name, work)
    finally:
        _swallow(sys.stderr)


def _done(name: str, work: Callable[[], int]) -> int:
    try:
        code = work()
        if sys.stdout is not None:
            # A full disk would be met after the last moment to say so.
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read what is printed has gone; files are written by then.
        _print_nothing(sys.stdout)
        return 2
    except (ValueError, TypeError, OSError, ArithmeticError, MemoryError) as error:
        _say(f"{name}: {cut(_words(error), LONGEST)}")
        return 2
    except KeyboardInterrupt as error:
        _say(f"{name}: {error}" if str(error) else f"{name}: interrupted")
        return 130


def _say(words: str) -> None:
    """To stderr, if it takes anything: the exit code is the same if not."""
    with suppress(OSError, ValueError):
        print(words, file=sys.stderr)


def _words(error: Exception) -> str:
    """What to say of an error: a sentence of ours, or one about the system's own words."""
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    if error.filename is not None:
        return str(told(error, f"{cut(str(error.filename), 200)} cannot be read or written"))
    if error.errno in PRINTING:
        _print_nothing(sys.stdout)
        return str(told(error, "what is printed cannot be written"))
    return str(told(error, "the command cannot go on"))


def _swallow(stream: Any) -> None:
    """Let go what a stream does not take: Python would end with another exit code for it."""
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        _print_nothing(stream)


def _print_nothing(stream: Any) -> None:
    """What waits to be printed would fail again at the end of the program."""
    with suppress(AttributeError, OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
