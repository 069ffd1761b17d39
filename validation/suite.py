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


@dataclass
class Finding:
    """A check that has been judged.

    Attributes
    ----------
    check : Check
    verdict : Verdict
    seconds : float
        Of all its tasks.
    picture : str
        The figure as PNG, base64.
    runs : list of dict
        Every integration it used.
    trouble : str
        Traceback, if it could not be judged.
    tasks : list of (str, float)
        Every case as JSON, and its seconds.
    """

    check: Check
    verdict: Verdict
    seconds: float
    picture: str = ""
    runs: list[dict[str, Any]] = field(default_factory=list)
    trouble: str = ""
    tasks: list[tuple[str, float]] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """"pass", "open" (a failure that is a known question) or "fail".

        A check that could not be judged has failed, whatever its question.
        """
        if self.verdict.passed:
            return "pass"
        return "open" if self.check.question and not self.trouble else "fail"


def perform(id: str, case: str, code: str, rng: Any) -> dict[str, Any]:
    """One task: a case of a check, as ``code`` has it. The results travel as JSON."""
    check = all_checks()[id]
    runs.taken()
    began = time.perf_counter()
    result = check.measure(rng=rng, **json.loads(case))
    plain = {name: np.asarray(value).tolist() for name, value in result.items()}
    return {"result": json.dumps(plain), "runs": json.dumps(runs.taken()),
            "seconds": time.perf_counter() - began}


def run(checks: Sequence[Check], quick: bool, store: Path, jobs: int | None, seed: int,
        progress: bool = True) -> list[Finding]:
    """Run all cases that the store does not have yet, and judge every check."""
    cases = {check.id: [json.dumps(case, sort_keys=True) for case in check.cases(quick)]
             for check in checks}
    grid = [{"id": check.id, "case": case, "code": _code(check)} for check in checks
            for case in dict.fromkeys(cases[check.id])]
    with warnings.catch_warnings():
        # Failed tasks are reported below, with their tracebacks.
        warnings.simplefilter("ignore", RuntimeWarning)
        table = gflow.sweep(perform, grid, store=store, workers=jobs, rng=seed,
                            progress=progress, changed="rerun", retry_failed=True,
                            shared=["code"])
    done = {(row["id"], row["case"]): row for row in table}
    failures = {(failure.params["id"], failure.params["case"]): failure.error
                for failure in gflow.sweeping.failures(str(store))}
    return [judge(check, cases[check.id], done, failures) for check in checks]


def _code(check: Check) -> str:
    """A mark of the file of a check: if it changes, its tasks are run again."""
    source = inspect.getsourcefile(check.measure)
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()[:12] if source else ""


def judge(check: Check, cases: list[str], done: dict[Any, Any],
          failures: dict[Any, str]) -> Finding:
    """The verdict on a check whose tasks are done."""
    rows = [done.get((check.id, case)) for case in cases]
    missing = [case for case, row in zip(cases, rows) if row is None]
    if missing:
        trouble = failures.get((check.id, missing[0]), "not run")
        return Finding(check, Verdict(False, f"{len(missing)} of {len(cases)} cases failed, the "
                                      f"first {missing[0]}"), 0.0, trouble=trouble)
    kept = [row for row in rows if row is not None]
    results = [{name: _array(value) for name, value in json.loads(row["result"]).items()}
               for row in kept]
    plain = [json.loads(case) for case in cases]
    seconds = float(sum(row["seconds"] for row in kept))
    tasks = [(case, float(row["seconds"])) for case, row in zip(cases, kept)]
    used = [used for row in kept for used in json.loads(row["runs"])]
    try:
        verdict = check.judge(plain, results)
        doubtful = sum(r["certified"] is False for r in used)
        if doubtful:
            verdict = Verdict(verdict.passed, verdict.measured,
                              f"{verdict.remark} {doubtful} runs have a doubtful certificate."
                              .strip())
        return Finding(check, verdict, seconds, _picture(check, plain, results), used,
                       tasks=tasks)
    except Exception:
        return Finding(check, Verdict(False, "could not be judged"), seconds, runs=used,
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
