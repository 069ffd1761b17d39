"""Ranges on the command line: ``2:8``, ``5:2000:log12``, ``0:1:lin5``, ``1,2,5``."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..problem.words import short
from ..problem.written import WRITTEN
from ..sweeping.grid import LARGEST

MOST_VALUES = 100_000
HELP = "a value, a list 1,2,5, or a range 2:8, 10:50:10, 0:1:lin5, 5:2000:log12"


def parse(text: str, kind: type) -> list[Any]:
    """Values of a parameter from the command line.

    Parameters
    ----------
    text : str
        Parts joined by commas. A part is a value or, for numbers, a range with both ends:
        ``a:b`` (whole numbers), ``a:b:step``, ``a:b:linK`` or ``a:b:logK`` (K values evenly or
        geometrically spaced; whole ones are rounded, and repeated ones dropped).
    kind : {int, float, bool, str}
        Type of the values.

    Returns
    -------
    list

    Raises
    ------
    ValueError
        If the text is none of these.

    Examples
    --------
    >>> parse("2:5", int), parse("5:2000:log4", int), parse("1e-3:1:log4", float)
    ([2, 3, 4, 5], [5, 37, 271, 2000], [0.001, 0.01, 0.1, 1.0])
    """
    values = [value for part in text.split(",") for value in _part(part.strip(), kind, text)]
    return list(dict.fromkeys(values))


def _part(part: str, kind: type, text: str) -> list[Any]:
    if kind in (int, float) and ":" in part:
        return _range(part, kind)
    return [_value(part, kind, text)]


def _value(word: str, kind: type, text: str) -> Any:
    if kind is str and word:
        return word
    if kind is bool:
        if word.lower() not in ("true", "false"):
            raise ValueError(f"{short(text)}: give true or false")
        return word.lower() == "true"
    what = "a whole number" if kind is int else "a number" if kind is float else "a value"
    if kind is float and word.lower().strip("+-") in ("nan", "inf", "infinity"):
        raise ValueError(f"{short(text)}: give finite numbers")
    if kind is str or not re.fullmatch(WRITTEN[kind], word):
        raise ValueError(f"{short(text)}: {short(word)} is not {what}; give {HELP}")
    # Before Python reads it: it takes no more than 4300 digits.
    if kind is int and (len(word.lstrip("+-0")) > 16 or abs(int(word[-17:])) > LARGEST):
        raise ValueError(f"{short(text)}: give whole numbers up to 2**53")
    value = int(word[0] + word[-17:]) if kind is int and len(word) > 18 else kind(word)
    if not np.isfinite(value):
        raise ValueError(f"{short(text)}: give finite numbers")
    return value


def _range(part: str, kind: type) -> list[Any]:
    words = part.split(":")
    if len(words) > 3:
        raise ValueError(f"{short(part)} has too many colons; give {HELP}")
    first, last = (_value(word.strip(), kind, part) for word in words[:2])
    if first > last:
        raise ValueError(f"{short(part)} runs downwards: give the smaller end first")
    if len(words) == 2:
        if kind is float:
            raise ValueError(f"{short(part)} does not say how many values: write it with :lin5 "
                             "or :log5 at the end, or with a step as in 0:1:0.25")
        return _stepped(first, last, 1, part, kind)
    spaced = re.fullmatch(r"(lin|log)([0-9]{1,9})", words[2].strip())
    if spaced is None:
        step = _value(words[2].strip(), kind, part)
        if step <= 0:
            raise ValueError(f"{short(part)} has the step {step}: give a positive one")
        return _stepped(first, last, step, part, kind)
    return _spaced(first, last, spaced[1], int(spaced[2]), part, kind)


def _stepped(first: Any, last: Any, step: Any, part: str, kind: type) -> list[Any]:
    # A little more than the quotient, so that 0:0.3:0.1 ends at 0.3.
    count = int(min((last - first) / step * (1 + 1e-12), 1e15)) + 1
    _check_count(count, part)
    return [_rounded(first + i * step, kind) for i in range(count)]


def _spaced(first: Any, last: Any, how: str, count: int, part: str, kind: type) -> list[Any]:
    _check_count(count, part)
    if count < 2:
        raise ValueError(f"{short(part)} asks for {count} values: a range with both ends "
                         "has 2 or more")
    if how == "log" and first <= 0:
        raise ValueError(f"{short(part)} is logarithmic: both ends must be positive")
    with np.errstate(all="ignore"):
        points = (np.geomspace if how == "log" else np.linspace)(first, last, count)
    if not np.isfinite(points).all():
        raise ValueError(f"{short(part)} is too wide for double precision: give smaller ends")
    # The ends as they were given.
    return [first, *(_rounded(float(point), kind) for point in points[1:-1]), last]


def _check_count(count: int, part: str) -> None:
    if count > MOST_VALUES:
        raise ValueError(f"{short(part)} has {count} values: give at most {MOST_VALUES}")


def _rounded(value: Any, kind: type) -> Any:
    """Whole, or rounded to 12 digits, so that keys do not depend on the last bits of a power."""
    return int(round(value)) if kind is int else float(f"{value:.12g}")
