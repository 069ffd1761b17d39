"""Reading a table of numbers from a text file, with errors that name the line and the column."""

from __future__ import annotations

import csv
import io
import math
from typing import Iterator

import numpy as np

MISSING = frozenset(["", "?", "-", "na", "n/a", "nan", "null", "none"])


def read_table(path: str) -> tuple[list[str], np.ndarray]:
    """Column names and values (rows, columns) of a text file."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text: save it as such") from None
    delimiter = max(",;\t", key=lambda mark: len(next(_rows(text, mark, path), (0, []))[1]))
    rows = _rows(text, delimiter, path)
    _, header = next(rows, (0, []))
    if not header:
        raise ValueError(f"{path} is empty: its first row must name the columns")
    names = [name.strip() for name in header]
    for k, name in enumerate(names):
        if not name:
            raise ValueError(f"column {k + 1} of {path} has no name: the first row must name "
                             "every column")
        if name in names[:k]:
            raise ValueError(f"{path} has two columns {name!r}: rename or drop one")
    values = []
    for line, row in rows:
        if len(row) != len(names):
            raise ValueError(f"line {line} of {path} has {len(row)} fields but the header has "
                             f"{len(names)}: every row needs one field a column")
        values.append([_value(field, name, line, path) for name, field in zip(names, row)])
    if not values:
        raise ValueError(f"{path} has a header but no rows: give at least one point")
    return names, np.array(values)


def _rows(text: str, delimiter: str, path: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and fields of the rows that are not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} of {path} cannot be read: {error}") from None


def _value(field: str, name: str, line: int, path: str) -> float:
    try:
        value: float | None = float(field)
    except ValueError:
        value = None
    if value is not None and math.isfinite(value):
        return value
    where, text = f"column {name!r}, line {line} of {path}", field.strip()
    if text.lower() in MISSING:
        raise ValueError(f"{where} has no value: fill it in or drop the row")
    if value is None:
        raise ValueError(f"{where} has {text!r}, which is not a number (a decimal point, "
                         "no units): convert or drop the column")
    raise ValueError(f"{where} has {text!r}, which is not finite: replace it or drop the row")
