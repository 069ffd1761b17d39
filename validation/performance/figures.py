"""How long whole figures take: the commands that the docs name."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

FIGURES = (
    "sweep threshold --d 5 --n 5:1000:log12 --seeds 20 --width 500",
    "sweep threshold --d 2:8 --n 4:1000:log10 --seeds 10 --until 1e-3 --seconds 90",
)
"""Arguments of ``gflow``."""


def figure_times(folder: Path) -> list[tuple[str, float]]:
    """Commands and their seconds; what they computed is left in ``folder``."""
    rows = []
    for number, command in enumerate(FIGURES):
        out = folder / f"figure-{number}.db"
        out.unlink(missing_ok=True)
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "gflow", *command.split(), "--out", str(out)],
                       check=True)
        rows.append((f"gflow {command}", time.perf_counter() - began))
    return rows
