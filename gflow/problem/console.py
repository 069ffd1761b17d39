"""Words on standard error while something is under way."""

from __future__ import annotations

import sys
from contextlib import suppress


def say(text: str) -> None:
    """Write to standard error, if there is one: a terminal that has been closed, or a stream of
    another program that cannot do what files do, is no reason to end what is under way."""
    if sys.stderr is not None:
        with suppress(Exception):
            print(text, end="", file=sys.stderr, flush=True)


def is_terminal() -> bool:
    """Whether standard error is a terminal."""
    with suppress(Exception):
        return bool(sys.stderr.isatty())
    return False
