"""The parser of every command."""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import Any, NoReturn

from ..problem.words import cut, short
from ..problem.written import WRITTEN

LONGEST = 500
"""Letters of a message."""
NEGATIVE = re.compile(r"-\.?[0-9]")
"""How a value begins that is no option: argparse knows no exponents, lists and ranges. What is no
number after all is told by whoever reads it."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong with an argument without repeating all of it, and takes no names that are
    cut short, ``--m`` is no margin, nor an option twice, of which one would be lost."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **options})
        self._negative_number_matcher = NEGATIVE

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Those of this parser, each option once."""
        args = sys.argv[1:] if args is None else list(args)
        given: set[argparse.Action] = set()
        for word in args[:args.index("--")] if "--" in args else args:
            option = self._option_string_actions.get(word.partition("=")[0])
            # One without a value says the same again, and some are lists.
            if option in given and option is not None and option.nargs != 0 and not isinstance(
                    option, argparse._AppendAction):
                self.error(f"{option.option_strings[-1]} is given twice: give it once")
            given |= {option} if option is not None else set()
        return super().parse_known_args(args, namespace)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Help, or an error: that help was not printed is not passed over as argparse does."""
        if file is None or file is not sys.stdout:
            super()._print_message(message, file)
            return
        file.write(message)
        file.flush()

    def error(self, message: str) -> NoReturn:
        """End with a sentence."""
        super().error(cut(message, LONGEST))


def spelled(word: str) -> str:
    """A name of a column, for an option: as it is in UTF-8 where the locale has no such letters,
    as Python keeps these as bytes then (``LC_ALL=C``).

    Examples
    --------
    >>> spelled("width")
    'width'
    """
    try:
        word.encode()
        return word
    except UnicodeEncodeError:
        pass
    try:
        return os.fsencode(word).decode()
    except UnicodeError:
        return word


def words(joined: str) -> list[str]:
    """Names that are joined by commas, with or without blanks.

    Examples
    --------
    >>> words("loss, other")
    ['loss', 'other']
    """
    return [word.strip() for word in joined.split(",")]


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


def large_enough(options: argparse.Namespace, **least: int) -> None:
    """Refuse whole numbers below the ``least`` that their options may have, if they are given.

    Raises
    ------
    ValueError
        If one is: its option is named.

    Examples
    --------
    >>> large_enough(argparse.Namespace(jobs=2), jobs=1)
    """
    for name, bound in least.items():
        value = getattr(options, name, None)
        if value is not None and value < bound:
            what = {0: "0 or a positive whole number", 1: "a positive whole number"}[bound]
            raise ValueError(f"--{name} is {short(value, 40)}: give {what}")


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
