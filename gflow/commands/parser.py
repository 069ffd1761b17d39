"""The parser of every command."""

from __future__ import annotations

import argparse
import re
from typing import Any, NoReturn

from ..problem.words import cut, short
from ..problem.written import WRITTEN

LONGEST = 500
"""Letters of a message."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong with an argument without repeating all of it, and takes no names that are
    cut short: ``--m`` is no margin."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """End with a sentence."""
        super().error(cut(message, LONGEST))


def whole(word: str) -> int:
    """A whole number as people write it, for an option.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is none.

    Examples
    --------
    >>> whole("12")
    12
    """
    if not re.fullmatch(WRITTEN[int], word) or len(word) > 1000:
        raise argparse.ArgumentTypeError(f"{short(word)} is not a whole number: give digits only")
    return int(word)


def number(word: str) -> float:
    """A number as people write it, for an option.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is none.

    Examples
    --------
    >>> number("1e-3")
    0.001
    """
    if not re.fullmatch(WRITTEN[float], word):
        raise argparse.ArgumentTypeError(f"{short(word)} is not a number: give digits, a decimal "
                                         "point and an exponent only")
    return float(word)
