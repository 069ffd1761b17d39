"""Run checks: every case is a task of one resumable sweep, judged when all of its own are done."""

from __future__ import annotations

import base64
import hashlib
import inspect
import io
import json
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Sequence

import numpy as np

import gflow

from . import runs
from .check import Check, Verdict, all_checks


@dataclass(frozen=True)
class Task:
    """A case that has been measured; checks that measure the same share it.

    Attributes
    ----------
    what, case : str
        What measured it (`called`), and the case as JSON.
    seconds : float
    runs : list of dict
        Every integration it used.
    """

    what: str
    case: str
    seconds: float
    runs: list[dict[str, Any]]


@dataclass
class Finding:
    """A check that has been judged.

    Attributes
    ----------
    check : Check
    verdict : Verdict
    picture : str
        The figure as PNG, base64.
    trouble : str
        Traceback, if it could not be judged.
    tasks : list of Task
    """

    check: Check
    verdict: Verdict
    picture: str = ""
    trouble: str = ""
    tasks: list[Task] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Of all its tasks."""
        return sum(task.seconds for task in self.tasks)

    @property
    def runs(self) -> list[dict[str, Any]]:
        """Every integration it used."""
        return [run for task in self.tasks for run in task.runs]

    @property
    def outcome(self) -> str:
        """"pass", "open" (a failure that is a known question) or "fail".

        A check that could not be judged has failed, whatever its question.
        """
        if self.verdict.passed:
            return "pass"
        return "open" if self.check.question and not self.trouble else "fail"


def called(check: Check) -> str:
    """The name of what a check measures: checks of one name share their tasks."""
    return f"{check.measure.__module__.rpartition('.')[2]}.{check.measure.__qualname__}"


def perform(what: str, case: str, code: str, rng: Any) -> dict[str, Any]:
    """One task: a case of a check, as ``code`` has it. The results travel as JSON."""
    measure = next(check.measure for check in all_checks().values() if called(check) == what)
    runs.taken()
    began = time.perf_counter()
    result = measure(rng=rng, **json.loads(case))
    plain = {name: np.asarray(value).tolist() for name, value in result.items()}
    return {"result": json.dumps(plain), "runs": json.dumps(runs.taken()),
            "seconds": time.perf_counter() - began}


def run(checks: Sequence[Check], quick: bool, store: Path, jobs: int | None, seed: int,
        progress: bool = True) -> list[Finding]:
    """Run all cases that the store does not have yet, and judge every check."""
    cases = {check.id: [json.dumps(case, sort_keys=True) for case in check.cases(quick)]
             for check in checks}
    codes = {(called(check), case): _code(check) for check in checks for case in cases[check.id]}
    grid = [{"what": what, "case": case, "code": code} for (what, case), code in codes.items()]
    with warnings.catch_warnings():
        # Failed tasks are reported below, with their tracebacks.
        warnings.simplefilter("ignore", RuntimeWarning)
        table = gflow.sweep(perform, grid, store=store, workers=jobs, rng=seed,
                            progress=progress, changed="rerun", retry_failed=True,
                            shared=["code"])
    done = {(row["what"], row["case"]): row for row in table}
    failures = {(failure.params["what"], failure.params["case"]): failure.error
                for failure in gflow.sweeping.failures(str(store))}
    return [judge(check, cases[check.id], done, failures) for check in checks]


def _code(check: Check) -> str:
    """A mark of the file of a check: if it changes, its tasks are run again."""
    source = inspect.getsourcefile(check.measure)
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()[:12] if source else ""


def judge(check: Check, cases: list[str], done: dict[Any, Any],
          failures: dict[Any, str]) -> Finding:
    """The verdict on a check whose tasks are done."""
    what = called(check)
    rows = [done.get((what, case)) for case in cases]
    missing = [case for case, row in zip(cases, rows) if row is None]
    if missing:
        trouble = failures.get((what, missing[0]), "not run")
        return Finding(check, Verdict(False, f"{len(missing)} of {len(cases)} cases failed, the "
                                      f"first {missing[0]}"), trouble=trouble)
    kept = [row for row in rows if row is not None]
    results = [{name: _array(value) for name, value in json.loads(row["result"]).items()}
               for row in kept]
    plain = [json.loads(case) for case in cases]
    tasks = [Task(what, case, float(row["seconds"]), json.loads(row["runs"]))
             for case, row in zip(cases, kept)]
    try:
        verdict = check.judge(plain, results)
        doubtful = sum(run["certified"] is False for task in tasks for run in task.runs)
        if doubtful:
            verdict = Verdict(verdict.passed, verdict.measured,
                              f"{verdict.remark} {doubtful} runs have a doubtful certificate."
                              .strip())
        return Finding(check, verdict, _picture(check, plain, results), tasks=tasks)
    except Exception:
        return Finding(check, Verdict(False, "could not be judged"),
                       trouble=traceback.format_exc(), tasks=tasks)


def _array(value: Any) -> Any:
    return np.array(value, dtype=float) if isinstance(value, list) else value


def _picture(check: Check, cases: list[dict[str, Any]], results: list[dict[str, Any]]) -> str:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    rows, columns = check.panels
    width = 6.0 if columns == 1 else 4.6 * columns
    fig = Figure(figsize=(width, 4.0 if rows == 1 else 3.3 * rows), layout="constrained")
    FigureCanvasAgg(fig)
    check.draw(fig.subplots(rows, columns), cases, results)
    content = io.BytesIO()
    fig.savefig(content, format="png", dpi=110)
    return base64.b64encode(content.getvalue()).decode()
