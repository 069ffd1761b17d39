"""Words on standard error while something is under way."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

ORDINARY = 80
"""Letters in a line of a terminal."""


def say(text: str) -> None:
    """Write to standard error, if there is one: a terminal that has been closed, or a stream of
    another program that cannot do what files do, is no reason to end what is under way."""
    if sys.stderr is not None:
        with suppress(Exception):
            print(text, end="", file=sys.stderr, flush=True)


def room() -> int:
    """Letters that a line has at most, to be drawn again, in the terminal that standard error is;
    of one that does not know its size those of the smallest ordinary one.

    Examples
    --------
    >>> room() > 0
    True
    """
    columns = 0
    with suppress(Exception):
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    return max(columns or ORDINARY, 2) - 1


def redraw(line: str) -> None:
    """Write a line in place of the last one. What is longer than the terminal is left out: it would
    wrap, and only its last row could be wiped out."""
    say(f"\r\033[K{line[:room()]}")


def is_terminal() -> bool:
    """Whether standard error is a terminal."""
    with suppress(Exception):
        return bool(sys.stderr.isatty())
    return False
