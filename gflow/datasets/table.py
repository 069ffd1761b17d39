"""Reading a table of numbers from a text file, with errors that name the line and the column."""

from __future__ import annotations

import csv
import io
import itertools
import math
import os
import re
import sys
import unicodedata
from decimal import Decimal
from typing import Iterator

import numpy as np

from ..problem.files import told
from ..problem.words import counted, cut, short
from ..problem.written import WRITTEN

MISSING = frozenset(["", "?", "-", "na", "n/a", "nan", "null", "none"])
NUMBER = re.compile(rf"\s*{WRITTEN[float]}\s*", re.ASCII)
"""What is read as a number."""
WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
EXCEL = re.compile(r'"?sep=."?[ \t]*(?=[\r\n]|\Z)', re.IGNORECASE)
"""A line by which Excel knows the mark between fields."""
BLANKS = " \t\r\n\v\f"
"""What may stand around a number."""
MARKS = ",;\t"
FIELD = 1 << 30
"""Letters that a field may have; a whole header is one as long as its delimiter is not known."""
HELD = Decimal("1e-9")
"""Part of a number below the smallest normal one that may be lost."""
SHOWN = 120
"""Letters of the file's name in messages."""


def read_table(path: str) -> tuple[list[str], np.ndarray]:
    """Column names, in the Unicode form NFC, and values (rows, columns) of a text file."""
    shown = cut(path, SHOWN)
    text = _text(path, shown)
    delimiter = _delimiter(text, shown)
    rows = _rows(text, delimiter, shown)
    _, header = next(rows, (0, []))
    if not header:
        raise ValueError(f"{shown} is empty: its first row must name the columns")
    names = [composed(name.strip()) for name in header]
    if _are_points(names):
        raise ValueError(f"line 1 of {shown} has numbers and no names: put a header above it")
    seen: set[str] = set()
    for k, name in enumerate(names):
        if not name:
            raise ValueError(f"column {k + 1} of {shown} has no name: the first row must name "
                             "every column")
        if name in seen:
            raise ValueError(f"{shown} has two columns {short(name)}: rename or drop one")
        seen.add(name)
    values, whole = [], all(map(WHOLE.fullmatch, names))
    for line, row in rows:
        if len(row) != len(names):
            raise ValueError(f"line {line} of {shown} has {counted(len(row), 'field')} but the "
                             f"header has {len(names)}: every row needs one field a column")
        values.append(np.array([_value(field, name, line, shown)
                                for name, field in zip(names, row)]))
        whole = whole and all(map(WHOLE.fullmatch, row))
    if not values and text.count('"') % 2:
        raise ValueError(_broken("end of data", 1, 1, shown))
    if not values:
        raise ValueError(f"{shown} has a header but no rows: give at least one point")
    if whole and _may_be_a_point(names, np.array(values)):
        raise ValueError(f"line 1 of {shown} may be a point as well as names, for all are whole "
                         "numbers: put names such as x0, x1 above it, or in its place")
    return names, np.array(values)


def composed(name: str) -> str:
    """A name in one form: letters with accents can be written in several that look the same.

    Examples
    --------
    >>> len("u\u0308"), len(composed("u\u0308"))
    (2, 1)
    """
    return unicodedata.normalize("NFC", name)


def _text(path: str, shown: str) -> str:
    if os.path.isdir(path):
        raise IsADirectoryError(f"{shown} is a directory: give the name of a file")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            # Files that were joined have one mark for each.
            text = file.read().lstrip("\ufeff")
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {shown}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{shown} is not UTF-8 text: save it as such") from None
    except OSError as error:
        raise told(error, f"{shown} cannot be read") from error
    if "\0" in text:
        raise ValueError(f"{shown} is not UTF-8 text, for it has zero bytes: save it as such")
    if EXCEL.match(text):
        raise ValueError(f"line 1 of {shown} is {short(text[:5])}, a word to Excel and no names of "
                         "columns: take that line out")
    return text


def _delimiter(text: str, shown: str) -> str:
    """The mark that splits the header and the first row into as many fields, numbers in the row;
    if several do the one that gives most, and if none does that splits the header most."""
    def merit(mark: str) -> tuple[bool, bool, int]:
        # Quotes look broken to marks that are not those of the file.
        rows = [row for _, row in itertools.islice(_rows(text, mark, shown, strict=False), 2)]
        header, row = (rows + [[], []])[:2]
        fits = len(header) == len(row) > 1
        return fits, fits and all(NUMBER.fullmatch(field) for field in row), len(header)

    return max(MARKS, key=merit)


def _rows(text: str, delimiter: str, shown: str, strict: bool = True
          ) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and fields of the rows that are not blank."""
    lines, before = io.StringIO(text, newline=""), 0
    # Names may be quoted oddly, numbers may not.
    reader = header = csv.reader(lines, delimiter=delimiter)
    while True:
        first = before + reader.line_num + 1
        # One of the whole process: a foreign one is put back before anybody else runs.
        limit = csv.field_size_limit(FIELD)
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise ValueError(_broken(str(error), first, before + reader.line_num,
                                     shown)) from None
        finally:
            csv.field_size_limit(limit)
        if row is None:
            return
        if row:
            yield before + reader.line_num, row
            if strict and reader is header:
                before = reader.line_num
                reader = csv.reader(lines, delimiter=delimiter, strict=True)


def _broken(error: str, first: int, last: int, shown: str) -> str:
    """What is wrong with a row of these lines, from the words of the module csv."""
    if "end of data" in error:
        return (f"line {first} of {shown} has a quote that is not closed up to the end of the "
                "file: close it, or get the whole file if it was cut off")
    if "expected after" in error:
        where = f"line {first}" if first == last else f"lines {first} to {last}"
        return (f"{where} of {shown} has letters between a closing quote and the end of its field: "
                "take the quotes away, or put them around the whole field")
    return f"line {last} of {shown} cannot be read ({error}): mend it, or save the table anew"


def _are_points(names: list[str]) -> bool:
    """Whether a header is the first point of a table without one: numbers, other than those that
    pandas gives to columns without names, or years."""
    if not all(map(NUMBER.fullmatch, names)):
        return False
    if not all(name.isascii() and name.isdecimal() for name in names):
        return True
    return [int(name) - int(names[0]) for name in names] != list(range(len(names)))


def _may_be_a_point(names: list[str], values: np.ndarray) -> bool:
    """Whether a header of consecutive whole numbers looks like the rows, which are whole as well:
    it begins with 0 or 1, as many points do, or has as many digits as they have."""
    digits = [len(str(int(abs(value)))) for value in values.ravel()]
    return int(names[0]) in (0, 1) or all(min(digits) <= len(name) <= max(digits)
                                          for name in names)


def _value(field: str, name: str, line: int, shown: str) -> float:
    number = NUMBER.fullmatch(field) is not None
    value = float(field) if number else math.nan
    if number and math.isfinite(value) and _held(field, value):
        return value
    where, text = f"column {short(name)}, line {line} of {shown}", field.strip()
    if text.lower() in MISSING:
        raise ValueError(f"{where} has no value: fill it in or drop the row")
    if number and math.isfinite(value):
        raise ValueError(f"{where} has {short(text)}, which is too small for double precision: "
                         "rescale the column")
    if number or text.lower().lstrip("+-") in ("inf", "infinity"):
        raise ValueError(f"{where} has {short(text)}, which is not finite: replace it or drop the "
                         "row")
    odd = [c for c in field if not c.isascii() and not c.isalnum()]
    if odd and NUMBER.fullmatch("".join(c for c in field if c not in odd)):
        called = unicodedata.name(odd[0], "a character without a name")
        raise ValueError(f"{where} has {short(field.strip(BLANKS))}, with {called} "
                         f"(U+{ord(odd[0]):04X}) in it: write the number without, or with what is "
                         "on every keyboard")
    raise ValueError(f"{where} has {short(text)}, which is not a number (digits 0 to 9, a decimal "
                     "point, no units): convert or drop the column")


def _held(field: str, value: float) -> bool:
    """Whether a number is what is written: 1e-400 is not 0, nor is 3e-324 the 5e-324 that is next
    to it in double precision."""
    if abs(value) >= sys.float_info.min:
        return True
    if not value:
        return not re.search("[1-9]", re.split("[eE]", field)[0])
    written, read = Decimal(field.strip()), Decimal(value)
    return abs(written - read) <= HELD * abs(written)
