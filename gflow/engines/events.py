"""Activation events: codes, kinds, and tables of them."""

from __future__ import annotations

import numpy as np

from ..problem.activation import OFF, ON, SLIDING
from ..problem.data import Arrangement

__all__ = ["CHANGE", "EVENT", "KINDS", "OFF", "ON", "SLIDING", "as_table",
           "changed_points", "codes_of", "count_kinds", "point_codes"]

KINDS = ("activate", "deactivate", "slide", "release")
"""What a change of the code is called: to on, to off, to sliding, from sliding."""
EVENT = np.dtype([("time", "f8"), ("neuron", "i8"), ("point", "i8"), ("kind", "U10"), ("to", "i1")])
"""One change of the pattern: ``to`` is the code after it."""
CHANGE = np.dtype([("time", "f8"), ("neuron", "i8"), ("point", "i8"), ("before", "i1"),
                   ("after", "i1")])
"""The same as engines record it."""

MANY = 10_000
"""Records that are made a table at the same time: of millions, what is made on the way then stays
where it is quick to reach."""


def _kinds(changes: np.ndarray) -> np.ndarray:
    """Which of `KINDS` some records of dtype `CHANGE` are, shape (E,)."""
    before, after = changes["before"], changes["after"]
    return np.where(after == SLIDING, 2, np.where(before == SLIDING, 3, after != ON))


def as_table(changes: np.ndarray) -> np.ndarray:
    """Records of dtype `CHANGE` as a table of dtype `EVENT`.

    Examples
    --------
    >>> as_table(np.array([(0.5, 1, 0, ON, SLIDING)], dtype=CHANGE))["kind"].tolist()
    ['slide']
    """
    table, kinds = np.empty(len(changes), dtype=EVENT), np.array(KINDS)
    for first in range(0, len(changes), MANY):
        some, rows = changes[first:first + MANY], table[first:first + MANY]
        for name in ("time", "neuron", "point"):
            rows[name] = some[name]
        rows["to"], rows["kind"] = some["after"], kinds[_kinds(some)]
    return table


def codes_of(A: Arrangement, side: np.ndarray) -> np.ndarray:
    """Codes of points (G, n), int8, from sides of hyperplanes (G, C); off at zero rows.

    Examples
    --------
    >>> from gflow import Data
    >>> codes_of(Data([[1.0], [-2.0], [0.0]], [0, 0, 0]).arrangement, np.array([[1], [0]]))
    array([[1, 0, 0],
           [2, 2, 0]], dtype=int8)
    """
    live = A.label >= 0
    at = side[:, A.label[live]]
    codes = np.zeros((len(side), live.size), dtype=np.int8)
    codes[:, live] = np.where(at == 0, SLIDING, at * A.length[live] > 0)
    return codes


def count_kinds(events: np.ndarray) -> dict[str, int]:
    """How many events there are of each kind, in a table of dtype `EVENT` or `CHANGE`.

    Examples
    --------
    >>> count_kinds(np.array([(0.5, 1, 0, ON, SLIDING)], dtype=CHANGE))
    {'activate': 0, 'deactivate': 0, 'slide': 1, 'release': 0}
    """
    if events.dtype == EVENT:
        return {kind: int((events["kind"] == kind).sum()) for kind in KINDS}
    counts = np.zeros(len(KINDS), dtype=np.int64)
    for first in range(0, len(events), MANY):
        counts += np.bincount(_kinds(events[first:first + MANY]), minlength=len(KINDS))
    return dict(zip(KINDS, counts.tolist()))


def point_codes(A: Arrangement, side: np.ndarray) -> np.ndarray:
    """Codes of points for sides of hyperplanes.

    Parameters
    ----------
    A : Arrangement
    side : ndarray of int, shape (m, C)
        -1, 0 (on the hyperplane) or 1.

    Returns
    -------
    ndarray of int8, shape (m, n)
        `OFF`, `ON` or `SLIDING`; a point that is 0 has no hyperplane and is off.

    Examples
    --------
    >>> from gflow import Data
    >>> A = Data([[1.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, 0.0]], np.zeros(4)).arrangement
    >>> point_codes(A, np.array([[1, 0]]))
    array([[1, 0, 2, 0]], dtype=int8)
    """
    codes = np.full((len(side), A.label.size), OFF, dtype=np.int8)
    live = A.label >= 0
    own = side[:, A.label[live]]
    codes[:, live] = np.where(own == 0, SLIDING, own * A.length[live] > 0)
    return codes


def changed_points(A: Arrangement, neuron: np.ndarray, plane: np.ndarray, old: np.ndarray,
                   new: np.ndarray, side: np.ndarray
                   ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What changes of sides of hyperplanes are for the codes of points.

    Parameters
    ----------
    A : Arrangement
    neuron, plane : ndarray of int, shape (E,)
        Who changes where; plane -1 for a neuron that comes to rest at ``w = 0``, which is off
        everywhere from then on.
    old, new : ndarray, shape (E,)
        Sides before and after: -1, 0 (sliding) or 1.
    side : ndarray, shape (m, C)
        Last sides of the neurons that come to rest.

    Returns
    -------
    row, point, before, after : ndarray of int
        Event, point and codes of every change.
    """
    if A.member.size == A.start.size - 1 and plane.min(initial=0) >= 0:
        # Every hyperplane is that of one point.
        row, point, was, now = np.arange(plane.size), A.member[plane], old, new
    else:
        moves = plane >= 0
        begin = np.where(moves, A.start[plane], 0)
        count = np.where(moves, A.start[plane + 1], A.member.size) - begin
        row = np.repeat(np.arange(plane.size), count)
        inside = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)
        point = A.member[begin[row] + inside]
        was = np.where(moves[row], old[row], side[neuron[row], A.label[point]])
        now = np.where(moves[row], new[row], -A.length[point])
    length = A.length[point]
    before = np.where(was == 0, SLIDING, was * length > 0)
    after = np.where(now == 0, SLIDING, now * length > 0)
    change = before != after
    return row[change], point[change], before[change], after[change]
