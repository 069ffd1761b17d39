"""A table that grows by every run, so that a loss of speed shows."""

from __future__ import annotations

import csv
import datetime
from pathlib import Path

import numpy as np

import gflow

from .harness import Result
from .report import FAST, machine

COLUMNS = ("date", "version", "machine", "workload", "setting", "seconds", "error")
LOSS = 1.25
"""Slower than the best time before on this machine by more than this is worth a line."""


def remember(results: list[Result], path: Path) -> list[str]:
    """Append what the fast engine took to the table at ``path``; lines on what became slower.

    Times of other machines say nothing about this one, and are left alone.
    """
    before = _times(path)
    rows, slower = [], []
    for result in results:
        if result.solver != FAST or not result.finished:
            continue
        key = machine(), result.workload, f"{result.setting:g}"
        best = min(before.get(key, []), default=np.inf)
        if result.wall > LOSS * best:
            slower.append(f"{result.workload} at {result.setting:g}: {result.wall:.3g} s, "
                          f"{result.wall / best:.2f} times the best before ({best:.3g} s)")
        rows.append((datetime.date.today().isoformat(), gflow.__version__, *key,
                     f"{result.wall:.4g}", f"{result.error:.2g}"))
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(COLUMNS)
        writer.writerows(rows)
    return slower


def _times(path: Path) -> dict[tuple[str, str, str], list[float]]:
    """Seconds by machine, workload and setting."""
    found: dict[tuple[str, str, str], list[float]] = {}
    if path.exists():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                key = row["machine"], row["workload"], row["setting"]
                found.setdefault(key, []).append(float(row["seconds"]))
    return found
