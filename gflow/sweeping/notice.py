"""What is said of tasks that failed and of files that may lack something."""

from __future__ import annotations

import sys
import warnings

HEADS = ("Traceback (most recent call last):",
         "  + Exception Group Traceback (most recent call last):")
BAR = "  | "
"""Before the lines of a group of exceptions."""
LONGEST = 500
"""Letters of an error in a line."""


def warn(message: str, stacklevel: int) -> None:
    """A RuntimeWarning, every time: Python shows equal ones of a line once a session.

    Parameters
    ----------
    message : str
        What is wrong and what to do.
    stacklevel : int
        As of `warnings.warn`.
    """
    try:
        frame = sys._getframe(stacklevel)
    except ValueError:
        frame = sys._getframe(1)
    warnings.warn_explicit(message, RuntimeWarning, frame.f_code.co_filename, frame.f_lineno,
                           frame.f_globals.get("__name__"), registry={})


def headline(text: str) -> str:
    """The line of a traceback that says which error it was, and not a note or a rule below it.

    Examples
    --------
    >>> headline("Traceback (most recent call last):\\n  File 1\\nValueError: no\\na note")
    'ValueError: no'
    """
    lines = text.splitlines()
    start = max((i for i, line in enumerate(lines) if line in HEADS), default=-1)
    for line in lines[start + 1:]:
        line = line.removeprefix(BAR)
        if line and not line[0].isspace():
            return line[:LONGEST]
    return text.strip()[:LONGEST]
