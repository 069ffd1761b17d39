"""Exceptions of a user's functions and signal handlers, told from what goes wrong in here."""

from __future__ import annotations

import sys
from contextlib import suppress

MARK = "_gflow_theirs"
OURS = sys.stdlib_module_names | {"gflow", "numpy", "scipy", "numba", "llvmlite"}
"""Packages whose code runs while an engine works, whatever the user does."""


class Theirs:
    """A context in which a function of the user is called: what it raises is marked.

    Engines take errors of SciPy and of arithmetic for the end of a run; these are not.

    Examples
    --------
    >>> try:
    ...     with theirs:
    ...         raise ValueError("mine")
    ... except ValueError as error:
    ...     is_theirs(error)
    True
    """

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            # One without a dict cannot be marked.
            with suppress(AttributeError):
                setattr(error, MARK, True)


theirs = Theirs()


def is_theirs(error: BaseException) -> bool:
    """Whether an exception came from a function of the user, be it the handler of a signal, which
    may be called anywhere."""
    if getattr(error, MARK, False):
        return True
    if isinstance(error, MemoryError):
        # Whoever meets its end, it is the work that needs the memory.
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "gflow" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return where.partition(".")[0] not in OURS
