"""``python -m validation.performance``: all solvers on all workloads, a table and a figure."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from .figures import figure_times
from .harness import Result, run
from .history import remember
from .late import late_steps
from .peers import ENGINES, PEERS, missing
from .report import write
from .slope import early_slope
from .workloads import WORKLOADS, Workload

LOOSE = 1e-3
WIDE = ("L", "XL", "H2", "H3", "W3")
"""Workloads on which peers show how far they get, at their first setting and in a quarter of the
time limit."""
REPEATS = {"S": 5, "M": 3}


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m validation.performance", description=__doc__)
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="default: %(default)s")
    parser.add_argument("--limit", type=float, default=120.0,
                        help="seconds for one run, default: %(default)g")
    parser.add_argument("--out", default="performance", help="directory, default: %(default)s")
    parser.add_argument("--no-peers", action="store_true", help="gflow alone")
    parser.add_argument("--figures", action="store_true",
                        help="whole figures too, which take minutes to hours")
    parser.add_argument("--history", default="performance-history.csv", metavar="FILE",
                        help="a table that grows by this run, default: %(default)s")
    options = parser.parse_args()
    unknown = set(options.workloads.split(",")) - set(WORKLOADS)
    if unknown:
        parser.error(f"unknown workload {min(unknown)!r}: choose among {', '.join(WORKLOADS)}")
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    say("growth with the size, and steps after alignment")
    early, late = early_slope(), late_steps()
    results: list[Result] = []
    for name in options.workloads.split(","):
        results += compare(WORKLOADS[name], options.limit, not options.no_peers)
        # After every workload, so that what is done is not lost.
        write(results, early, late, folder)
    slower = remember(results, Path(options.history))
    if options.figures:
        write(results, early, late, folder, figure_times(folder))
    print("\n".join([*slower, f"report in {folder}, history in {options.history}"]))
    return 0


def compare(case: Workload, limit: float, peers: bool) -> list[Result]:
    """Results of all solvers on a workload, with their errors."""
    say(f"{case.name}: reference at {case.reference:g}")
    reference = run("gflow waveform", case.name, case.reference, 20 * limit)
    results = []
    down = [10.0**-k for k in range(3, 12) if 10.0**-k > 2 * case.reference]
    if case.name in WIDE:
        down = [r for r in (LOOSE, 1e-5, 1e-6, 1e-7) if r >= case.rtol]
    jobs = [("gflow waveform", r) for r in down]
    jobs += [("gflow DOP853", r) for r in sorted({LOOSE, case.rtol}, reverse=True)]
    if peers:
        jobs += [(name, setting) for name in PEERS
                 for setting in (PEERS[name][2][:1] if case.name in WIDE else PEERS[name][2])]
    for solver, setting in jobs:
        lacks = missing(solver)
        if lacks:
            say(f"{case.name}: {solver} skipped, {lacks} is not installed")
            continue
        repeats = REPEATS.get(case.name, 1) if solver in ENGINES else 1
        short = case.name in WIDE and solver != "gflow waveform"
        result = run(solver, case.name, setting, limit / 4 if short else limit, repeats)
        if result.finished and reference.finished:
            result.error = max(float(np.abs(h - exact).max())
                               for h, exact in zip(result.outputs, reference.outputs))
        say(f"{case.name}: {solver} at {setting:g}: "
            + (f"{result.wall:.3g} s, error {result.error:.1e}, {result.memory:.2f} GB"
               if result.finished else result.note))
        results.append(result)
    return results


def say(line: str) -> None:
    """Progress."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
