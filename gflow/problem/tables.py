"""What was found, as a table: in a terminal, and in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np

MOST = 12
"""Rows that are shown."""
FEW = 4
"""Coordinates of a vector that are shown."""


class Table(NamedTuple):
    """A sentence, and rows of text under names.

    Attributes
    ----------
    title : str
    names : sequence of str
    rows : sequence of sequences of str

    Examples
    --------
    >>> print(Table("Found: 1", ("kind", "value"), [("max", "0.5")]).text())
    Found: 1
      kind  value
       max    0.5
    """

    title: str
    names: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """For a terminal."""
        if not self.rows:
            return self.title
        shown = [list(self.names), *([*row] for row in self.rows[:MOST])]
        wide = [max(len(row[k]) for row in shown) for k in range(len(self.names))]
        lines = ["  " + "  ".join(cell.rjust(width) for cell, width in zip(row, wide)).rstrip()
                 for row in shown]
        return "\n".join([self.title, *lines, *self._more()])

    def html(self) -> str:
        """For a notebook."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self.names)
        rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
                       for row in self.rows[:MOST])
        more = "".join(f"<p>{escape(line.strip())}</p>" for line in self._more())
        body = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"
        return f"<div><p><b>{escape(self.title)}</b></p>{body if self.rows else ''}</div>"

    def _more(self) -> list[str]:
        hidden = len(self.rows) - MOST
        return [f"  and {hidden} more"] if hidden > 0 else []


def lines_as_html(text: str) -> str:
    """A title, and lines of a name and what it is, two blanks apart, as a table.

    Examples
    --------
    >>> "<th>loss</th><td>1 to 0</td>" in lines_as_html("Flow: done\\n  loss    1 to 0")
    True
    """
    title, *lines = text.split("\n")
    rows = []
    for line in lines:
        name, _, value = line.strip().partition("  ")
        rows.append(f"<tr><th>{escape(name)}</th><td>{escape(value.strip())}</td></tr>")
    return f"<div><p><b>{escape(title)}</b></p><table>{''.join(rows)}</table></div>"


def vector(v: np.ndarray) -> str:
    """A vector in a cell: its first coordinates if there are many.

    Examples
    --------
    >>> vector(np.array([0.5, -1.0])), vector(np.arange(9.0))
    ('(0.5, -1)', '(0, 1, 2, 3, ...)')
    """
    shown = ", ".join(f"{x + 0.0:.4g}" for x in v[:FEW])
    return f"({shown}{', ...' if v.size > FEW else ''})"


def indices(which: np.ndarray) -> str:
    """Indices in a cell, the first ones if there are many.

    Examples
    --------
    >>> indices(np.array([1, 4])), indices(np.arange(20))
    ('1, 4', '0, 1, 2, 3, 4, 5, ... (20)')
    """
    if which.size <= 8:
        return ", ".join(str(int(k)) for k in which)
    return ", ".join(str(int(k)) for k in which[:6]) + f", ... ({which.size})"
