"""Exceptions of losses and activations that a user wrote, told from what goes wrong in here."""

from __future__ import annotations

from contextlib import suppress

MARK = "_gflow_theirs"


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
    """Whether an exception came from a function of the user."""
    return bool(getattr(error, MARK, False))
