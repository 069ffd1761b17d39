"""Numbers as people write them, in tables and on the command line: Python's own reading takes
2020_01 and digits of other scripts for numbers as well."""

from __future__ import annotations

WRITTEN: dict[type, str] = {
    int: r"[+-]?[0-9]+",
    # One way only to read a row of digits: with two a long one takes for ever to be refused.
    float: r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"}
"""Regular expressions, by kind."""
