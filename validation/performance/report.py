"""Table (Markdown and JSON) and work-precision figure."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from pathlib import Path

import numpy as np

import gflow

from .harness import Result
from .peers import ENGINES
from .workloads import WORKLOADS

MARKERS = "osD^v<>P"
FAST = "gflow waveform"
LEVELS = tuple(10.0**-k for k in range(1, 10))
"""Errors at which solvers are compared."""


def machine() -> str:
    """The line that says where this was run."""
    model = next((line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo")
                  if line.startswith("model name")), platform.processor())
    return (f"{model}, {os.cpu_count()} cores, {platform.system()}, Python "
            f"{platform.python_version()}, NumPy {np.__version__}, gflow {gflow.__version__}")


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def write(results: list[Result], slope: tuple[list[tuple[int, float]], float],
          late: list[tuple[int, int, int, float, float]], folder: Path,
          figures: list[tuple[str, float]] | None = None) -> None:
    """Write ``performance.md``, ``performance.json`` and ``work-precision.png``."""
    rows, exponent = slope
    kept = [{key: value for key, value in asdict(result).items() if key != "outputs"}
            for result in results]
    (folder / "performance.json").write_text(json.dumps(
        {"machine": machine(), "results": kept, "early": rows, "slope": exponent,
         "late": late, "figures": figures or []}, indent=1))
    lines = ["# Wall time against accuracy", "", machine(), "",
             "Error: largest difference of the outputs at the points from a run of the waveform "
             "engine at a tighter tolerance (" + ", ".join(
                 f"{w.name} {w.reference:g}" for w in WORKLOADS.values())
             + "), at a quarter, half and all of the time. "
             "Compilation and imports are not counted. Memory is that of the whole process.", "",
             "| workload | solver | setting | seconds | error | GB |", "|---|---|---|---|---|---|"]
    for result in results:
        if result.finished:
            lines.append(f"| {result.workload} | {result.solver} | {result.setting:g} | "
                         f"{result.wall:.3g} | {result.error:.1e} | {result.memory:.2f} |")
        else:
            lines.append(f"| {result.workload} | {result.solver} | {result.setting:g} | "
                         f"{result.note} | | |")
    lines += ["", *matched(results), "", *ratios(results), "", "## While neurons align", "",
              f"Seconds up to t = 4 (d = 5, tolerance 1e-7); slope {exponent:.2f} in n m d.", "",
              "| n m d | seconds |", "|---|---|",
              *(f"| {size:,} | {seconds:.3f} |" for size, seconds in rows), "",
              "## After alignment", "",
              "A step without events (two bundles of neurons, d = 5, tolerance 1e-11), median over "
              "a run, best of three runs.", "",
              "| n | m | steps | milliseconds a step | seconds of the run |",
              "|---|---|---|---|---|",
              *(f"| {n:,} | {m:,} | {steps} | {1e3 * step:.2f} | {wall:.2f} |"
                for n, m, steps, step, wall in late), ""]
    if figures:
        lines += ["## Whole figures", "", "| command | seconds |", "|---|---|",
                  *(f"| `{command}` | {wall:.0f} |" for command, wall in figures), ""]
    (folder / "performance.md").write_text("\n".join(lines))
    figure(results, folder / "work-precision.png")


def quickest(results: list[Result], level: float, own: bool) -> tuple[float, str] | None:
    """Seconds, and by whom, of the fastest run with an error of at most ``level``: by the fast
    engine, or by a peer.

    Gradient descent counts with a time extrapolated from its smallest step too: its error is
    proportional to the step.
    """
    done = [r for r in results if r.finished and np.isfinite(r.error)]
    if own:
        found = [(r.wall, r.solver) for r in done if r.solver == FAST and r.error <= level]
        return min(found, default=None)
    peers = [r for r in done if r.solver not in ENGINES]
    found = [(r.wall, r.solver) for r in peers if r.error <= level]
    for solver in {r.solver for r in peers if "descent" in r.solver}:
        last = min((r for r in peers if r.solver == solver), key=lambda r: r.setting)
        if last.error > level:
            found.append((last.wall * last.error / level, f"{solver} (extrapolated)"))
    return min(found, default=None)


def matched(results: list[Result]) -> list[str]:
    """A table: for every level of error how many times as long the fastest peer takes."""
    lines = ["## At equal error", "", "Seconds of the fastest peer over those of the fast engine, "
             "for an error of at most that level; below 1 the peer is faster.", "",
             "| workload | " + " | ".join(f"{level:.0e}" for level in LEVELS) + " |",
             "|---|" + "---|" * len(LEVELS)]
    for name in dict.fromkeys(result.workload for result in results):
        here = [r for r in results if r.workload == name]
        cells = []
        for level in LEVELS:
            mine, peer = quickest(here, level, True), quickest(here, level, False)
            cells.append(f"{peer[0] / mine[0]:.2g}" if mine and peer else
                         "no peer" if mine else "not reached")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def ratios(results: list[Result], wanted: float = 1e-6) -> list[str]:
    """How much faster the engine is than the fastest peer that reaches ``wanted``."""
    lines = []
    for name in dict.fromkeys(result.workload for result in results):
        here = [r for r in results if r.workload == name]
        mine, peer = quickest(here, wanted, True), quickest(here, wanted, False)
        if mine and peer:
            lines.append(f"- {name}: an error of {wanted:g} takes the waveform engine "
                         f"{mine[0]:.3g} s, the fastest peer, {peer[1]}, "
                         f"{peer[0]:.3g} s: {peer[0] / mine[0]:.0f} times as long.")
    return lines


def figure(results: list[Result], path: Path) -> None:
    """One panel a workload: error against seconds."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    names = list(dict.fromkeys(result.workload for result in results))
    fig, axes = plt.subplots(1, len(names), figsize=(4.2 * len(names), 4.2), squeeze=False,
                             layout="constrained")
    solvers = list(dict.fromkeys(result.solver for result in results))
    for ax, name in zip(axes[0], names):
        for j, solver in enumerate(solvers):
            own = [r for r in results if r.workload == name and r.solver == solver and r.finished]
            if own:
                own.sort(key=lambda r: r.error)
                strong = solver == "gflow waveform"
                ax.loglog([r.error for r in own], [r.wall for r in own], label=solver,
                          marker=MARKERS[j % len(MARKERS)], lw=2.2 if strong else 1.0,
                          color="black" if strong else f"{0.25 + 0.07 * j:.2f}",
                          ls="-" if solver in ENGINES else "--")
        ax.set(title=f"workload {name}", xlabel="error of the outputs", ylabel="seconds")
        ax.invert_xaxis()
        ax.grid(alpha=0.3)
        ax.legend(fontsize=7)
    fig.savefig(path, dpi=130)
    plt.close(fig)
