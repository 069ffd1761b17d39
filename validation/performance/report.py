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

MARKERS = "osD^v<>P"


def machine() -> str:
    """The line that says where this was run."""
    model = next((line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo")
                  if line.startswith("model name")), platform.processor())
    return (f"{model}, {os.cpu_count()} cores, {platform.system()}, Python "
            f"{platform.python_version()}, NumPy {np.__version__}, gflow {gflow.__version__}")


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def write(results: list[Result], slope: tuple[list[tuple[int, float]], float],
          late: list[tuple[int, int, int, float, float]], folder: Path) -> None:
    """Write ``performance.md``, ``performance.json`` and ``work-precision.png``."""
    rows, exponent = slope
    kept = [{key: value for key, value in asdict(result).items() if key != "outputs"}
            for result in results]
    (folder / "performance.json").write_text(json.dumps(
        {"machine": machine(), "results": kept, "early": rows, "slope": exponent,
         "late": late}, indent=1))
    lines = ["# Wall time against accuracy", "", machine(), "",
             "Error: largest difference of the outputs at the points from a run of the waveform "
             "engine at 1e-12 (L 1e-10, XL 1e-7), at a quarter, half and all of the time. "
             "Compilation and imports are not counted. Memory is that of the whole process.", "",
             "| workload | solver | setting | seconds | error | GB |", "|---|---|---|---|---|---|"]
    for result in results:
        if result.finished:
            lines.append(f"| {result.workload} | {result.solver} | {result.setting:g} | "
                         f"{result.wall:.3g} | {result.error:.1e} | {result.memory:.2f} |")
        else:
            lines.append(f"| {result.workload} | {result.solver} | {result.setting:g} | "
                         f"{result.note} | | |")
    lines += ["", *ratios(results), "", "## While neurons align", "",
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
    (folder / "performance.md").write_text("\n".join(lines))
    figure(results, folder / "work-precision.png")


def ratios(results: list[Result], wanted: float = 1e-6) -> list[str]:
    """How much faster the engine is than the fastest peer that reaches ``wanted``.

    Gradient descent counts with a time extrapolated from its smallest step: its error is
    proportional to the step.
    """
    lines = []
    for name in dict.fromkeys(result.workload for result in results):
        here = [r for r in results if r.workload == name and r.finished]
        own = [r for r in here if r.solver == "gflow waveform" and r.error <= wanted]
        others = [(r.wall, r.solver) for r in here if r.solver not in ENGINES
                  and "descent" not in r.solver and r.error <= wanted]
        for solver in ("PyTorch descent", "compiled descent"):
            steps = [r for r in here if r.solver == solver and r.error > 0]
            if steps:
                last = min(steps, key=lambda r: r.setting)
                others.append((last.wall * max(1.0, last.error / wanted),
                               f"{solver} (extrapolated)"))
        if own and others:
            mine, (wall, solver) = min(own, key=lambda r: r.wall), min(others)
            lines.append(f"- {name}: an error of {wanted:g} takes the waveform engine "
                         f"{mine.wall:.3g} s at {mine.setting:g}, the fastest peer, {solver}, "
                         f"{wall:.3g} s: {wall / mine.wall:.0f} times as long.")
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
