"""Choices between several solutions: a table of them, and what a message says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

import numpy as np

from ..problem.data import Arrangement
from ..problem.words import counted, listed
from .events import SLIDING

CHOICE = np.dtype([("time", "f8"), ("neuron", "i8"), ("point", "i8"), ("to", "i1"),
                   ("other", "i1"), ("solutions", "i8")])
"""A row for each point on whose hyperplane the neuron lies: the code after, the code in another
solution (the same if it is the other points that differ), and how many solutions were found (0:
none that stands, and the first that was tried was taken)."""


def choice_table(A: Arrangement, choices: Sequence[np.ndarray], outside: Callable[[Any], Any],
                 t_end: float) -> np.ndarray:
    """Choices (K, 6) as engines tell them, at times that are ``outside`` others, up to ``t_end``,
    as a table of dtype `CHOICE`.

    Examples
    --------
    >>> from gflow import Data
    >>> A = Data([[1.0], [-2.0]], [0, 0]).arrangement
    >>> choice_table(A, [np.array([[3, 0.5, 0, 1, -1, 2]])], np.asarray, 1.0).tolist()
    [(0.5, 3, 0, 1, 0, 2), (0.5, 3, 1, 0, 1, 2)]
    """
    rows = np.concatenate([np.empty((0, 6)), *choices])
    plane = rows[:, 2].astype(np.int64)
    count = A.start[plane + 1] - A.start[plane]
    of = np.repeat(np.arange(len(rows)), count)
    inside = np.arange(of.size) - np.repeat(np.cumsum(count) - count, count)
    table = np.empty(of.size, dtype=CHOICE)
    table["time"] = outside(rows[of, 1])
    table["neuron"], table["point"] = rows[of, 0], A.member[A.start[plane[of]] + inside]
    length = A.length[table["point"]]
    for name, column in (("to", 3), ("other", 4)):
        side = rows[of, column]
        table[name] = np.where(side == 0, SLIDING, side * length > 0)
    table["solutions"] = rows[of, 5]
    table = table[table["time"] <= t_end]
    return table[np.lexsort((table["point"], table["neuron"], table["time"]))]


def instants(table: np.ndarray) -> np.ndarray:
    """First row of every instant at which a neuron had a choice.

    Examples
    --------
    >>> table = np.zeros(3, dtype=CHOICE)
    >>> table["neuron"] = [0, 0, 1]
    >>> instants(table)
    array([0, 2])
    """
    return np.unique(table[["time", "neuron"]], return_index=True)[1]


def told(table: np.ndarray) -> str:
    """What a message says of choices: nothing if there were none."""
    first = instants(table)
    if not first.size:
        return ""
    one = table[0]
    own = table[(table["time"] == one["time"]) & (table["neuron"] == one["neuron"])]
    k = listed(np.unique(own["point"]).tolist())
    stood = table["solutions"][first] > 0
    how = "the branch with the fewest active points was taken"
    if not stood.all():
        how += (f"; {counted(int((~stood).sum()), 'time')} none was found, and the first that was "
                "tried taken")
    return (f" ({counted(first.size, 'time')} the solution was not unique, first at t = "
            f"{one['time']:.6g} for neuron {one['neuron']} at "
            f"{'point' if len(own) == 1 else 'points'} {k}: {how})")
