"""All faces of the arrangement of the data that may carry an extremal vector."""

from __future__ import annotations

from itertools import combinations, islice
from math import comb
from typing import Any

import numpy as np

from ..problem.console import redraw, say
from ..problem.inputs import thread_count
from ..problem.threads import in_threads
from ..kernels.faces import SPECIAL, sweep
from .fans import faces, span
from .kinks import Kinks

LOOSE = 1e-10
"""Tolerance of the compiled search: what it passes is judged again."""
BLOCK = 200
"""Planes that a thread takes at a time."""


def checks(kinks: Kinks) -> float:
    """Faces that `candidates` has to look at, counted once for each arc and each side.

    Examples
    --------
    >>> from gflow.datasets import linear_teacher
    >>> from gflow.theory.kinks import kinks_of
    >>> checks(kinks_of(linear_teacher(60, 5)))
    105329160.0
    """
    C, q = len(kinks.J), kinks.rank - 2
    return float(comb(C, q) * (C - q) * 2 * 3**q) if q >= 0 else 3.0


def candidates(kinks: Kinks, progress: bool) -> tuple[np.ndarray, int, int]:
    """Sign vectors that hold every face with a critical point of ``G``, and few others.

    Every face of dimension 2 or more touches an arc of a plane in which hyperplanes of rank r - 2
    meet, and every face of dimension 1 is a ray of such a plane: `gflow.kernels.faces` sweeps all
    these planes.

    Returns
    -------
    signs : ndarray of int8, shape (F, C)
        Distinct.
    special : int
        Number of planes and rays in them in which more hyperplanes meet than needed.
    near : int
        Number of decisions on incidence that were close.
    """
    C, r = len(kinks.J), kinks.rank
    centre = np.zeros((1, C), dtype=np.int8)
    if r < 2:
        # One hyperplane at most: two rays and the centre, or the centre alone.
        return np.concatenate([centre, np.ones((r, C)), -np.ones((r, C))]).astype(np.int8), 0, 0
    # A fixed shuffle, so that sorted data does not make early exits late.
    order = np.random.default_rng(0).permutation(C)
    V, J = np.ascontiguousarray(kinks.V[order]), kinks.J[order]
    around = _by_zeros(faces(np.eye(r - 2)))
    found: dict[bytes, np.ndarray] = {row.tobytes(): row for row in centre}
    special: dict[bytes, np.ndarray] = {}
    near, ties, done, shown, total = 0, 0, 0, -1, comb(C, r - 2)
    planes = combinations(range(C), r - 2)

    def work(block: list[tuple[int, ...]]) -> list[Any]:
        return [sweep(np.array(Z, dtype=np.int64), V, J, kinks.m, *around, LOOSE) for Z in block]

    for results in in_threads(work, iter(lambda: list(islice(planes, BLOCK)), []),
                              thread_count()):
        for rows, status, tied, doubts in results:
            (special if status == SPECIAL else found).update((row.tobytes(), row) for row in rows)
            ties += tied
            near += doubts
        done += len(results)
        if progress and 50 * done // total > shown:
            shown = 50 * done // total
            _show(done, total, len(found))
    for plane in special.values():
        Z = np.flatnonzero(plane)
        local = _by_zeros(faces(V[Z] @ span(V[Z])[0].T))
        rows = sweep(Z, V, J, kinks.m, *local, LOOSE)[0]
        found.update((row.tobytes(), row) for row in rows)
    if progress:
        say("\n")
    table = np.empty((len(found), C), dtype=np.int8)
    table[:, order] = np.array(list(found.values()))
    return table, len(special) + ties, near


def _by_zeros(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sign vectors sorted so that those with equal zeros follow each other, and where they start.

    Examples
    --------
    >>> _by_zeros(np.array([[1, 1], [0, 1], [1, -1]]))[1]
    array([0, 1, 3])
    """
    order = np.lexsort((table == 0).T) if table.shape[1] else np.arange(len(table))
    table = np.ascontiguousarray(table[order][::-1])
    change = ((table[1:] == 0) != (table[:-1] == 0)).any(axis=1)
    return table, np.concatenate([[0], np.flatnonzero(change) + 1, [len(table)]])


def _show(done: int, total: int, found: int) -> None:
    bar = ("#" * int(30 * done / total)).ljust(30, ".")
    redraw(f"gflow [{bar}] {done} of {total} planes, {found} candidates ")
