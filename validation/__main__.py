"""``python -m validation``: every prediction, checked with numbers, in one report."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from gflow.commands.ending import ended, shows_all
from gflow.commands.parser import Parser, large_enough, whole
from gflow.problem.files import told
from gflow.problem.words import cut

from . import formulas, report, suite
from .check import all_checks


NAME = "python -m validation"


def main(arguments: list[str] | None = None) -> int:
    """Run checks and write the report; 0 only if none fails but open questions, 1 if one fails, 2
    for bad input and what cannot be written."""
    if arguments is None:
        shows_all()
    return ended(NAME, lambda: _main(arguments))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser(prog=NAME, description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small settings, some minutes")
    parser.add_argument("--only", metavar="ID", action="append", help="this check; may be repeated")
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    parser.add_argument("--jobs", type=whole, help="processes, default: one for each processor")
    parser.add_argument("--seed", type=whole, default=0, help="root seed, default: %(default)s")
    parser.add_argument("--out", default="validation-report",
                        help="directory of the report and of finished tasks, default: %(default)s")
    options = parser.parse_args(arguments)
    large_enough(options, jobs=1, seed=0)
    return options


def _folder(out: str) -> Path:
    """The directory of the report, in which something can be written."""
    folder, shown = Path(out), f"--out {cut(out, 200)}"
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{shown} is a file: give the name of a directory")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise told(error, f"{shown} is no directory that can be written to") from error
    return folder


def _main(arguments: list[str] | None) -> int:
    options = _options(arguments)
    checks = all_checks()
    if options.list:
        for check in checks.values():
            print(f"{check.id:8s} {check.source} ({check.tag}): "
                  f"{formulas.plain(check.statement)}")
        return 0
    unknown = set(options.only or []) - set(checks)
    if unknown:
        raise ValueError(f"--only {cut(min(unknown), 40)} is no check: choose among "
                         f"{', '.join(checks)}")
    wanted = [check for id, check in checks.items() if not options.only or id in options.only]
    folder = _folder(options.out)
    store = folder / f"{'quick' if options.quick else 'full'}-{options.seed}.db"
    began = time.perf_counter()
    try:
        findings = suite.run(wanted, options.quick, store, options.jobs, options.seed)
    except KeyboardInterrupt:
        print(f"interrupted: finished tasks are kept in {store}; the same command goes on",
              file=sys.stderr)
        return 130
    facts = {"mode": "quick" if options.quick else "full", "seed": options.seed,
             "wall seconds of this call": round(time.perf_counter() - began)}
    report.write(findings, facts, folder)
    for finding in findings:
        print(f"{finding.outcome.upper()}  {finding.check.id:8s} "
              + formulas.plain(f"{finding.check.title}: {finding.verdict.measured}"))
    print(report.summary(findings))
    print(f"report in {folder / 'report.html'}")
    return 1 if any(finding.outcome == "fail" for finding in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
