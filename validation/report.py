"""The report of a validation: HTML with its pictures inside, Markdown, JSON."""

from __future__ import annotations

import html
import json
import platform
from pathlib import Path
from typing import Any

import numba
import numpy as np
import scipy

import gflow
from gflow.problem.files import whole_file

from . import formulas
from .check import GROUPS, group
from .suite import Finding, Task, called

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #1a1a1a; }
h1 { margin-bottom: .3rem; } h2 { margin-top: 3.5rem; border-bottom: 2px solid #333; }
h3 { margin: 2.5rem 0 .8rem; } a { color: #004a80; }
.summary { font-size: 1.15rem; margin: .3rem 0; } .facts { color: #666; font-size: 14px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; line-height: 1.4; }
td, th { border-bottom: 1px solid #ddd; padding: .35rem .5rem; text-align: left;
         vertical-align: top; }
th.group { background: #f2f2f2; } td.number { text-align: right; white-space: nowrap; }
td.id { white-space: nowrap; }
math { font-size: 1.06em; }
dl { display: grid; grid-template-columns: 7rem 1fr; gap: .25rem 1rem; margin: 0 0 1rem;
     font-size: 15px; }
dt { color: #666; } dd { margin: 0; max-width: 48rem; }
img { max-width: 100%; display: block; margin: 0 auto; }
.mark { font: 700 12px/1.5 system-ui, sans-serif; padding: .1rem .5rem; border-radius: .6rem;
        white-space: nowrap; text-transform: uppercase; vertical-align: middle; }
.pass { background: #d9ecf7; color: #00395f; }
.open { background: #fff; color: #8a4b00; outline: 2px dashed #c77700; outline-offset: -2px; }
.fail { background: #111; color: #fff; }
pre { background: #f5f5f5; padding: .6rem; overflow-x: auto; font-size: 12px; }
"""


def versions() -> dict[str, str]:
    """What the numbers were computed with."""
    return {"gflow": gflow.__version__, "Python": platform.python_version(),
            "NumPy": np.__version__, "SciPy": scipy.__version__, "Numba": numba.__version__,
            "machine": platform.platform()}


def write(findings: list[Finding], facts: dict[str, Any], folder: Path) -> None:
    """Write ``report.html``, ``report.md`` and ``report.json``."""
    facts = {**facts, **versions()}
    found = {"facts": facts, "checks": [_plain(finding) for finding in findings]}
    for name, text in (("report.json", json.dumps(found, indent=1)),
                       ("report.md", markdown(findings, facts)),
                       ("report.html", page(findings, facts))):
        with whole_file(folder / name) as file:
            file.write(text.encode())


def _plain(finding: Finding) -> dict[str, Any]:
    check = finding.check
    fields = {name: formulas.plain(getattr(check, name)) for name in (
        "id", "title", "source", "tag", "statement", "setting", "assumptions", "prediction",
        "rule", "question")}
    return {**fields, "group": group(check), "outcome": finding.outcome,
            "passed": finding.verdict.passed,
            "measured": formulas.plain(finding.verdict.measured),
            "remark": formulas.plain(finding.verdict.remark), "seconds": finding.seconds,
            "runs": finding.runs,
            "tasks": [[task.what, task.case, task.seconds] for task in finding.tasks],
            "trouble": finding.trouble}


def summary(findings: list[Finding]) -> str:
    """One line about all."""
    count = {name: sum(finding.outcome == name for finding in findings)
             for name in ("pass", "open", "fail")}
    done = tasks(findings)
    used = [run for task in done for run in task.runs]
    certified = [run["certified"] for run in used if run["certified"] is not None]
    return (f"{count['pass']} of {len(findings)} checks pass, {count['open']} open, "
            f"{count['fail']} failed; {len(used)} integrations, "
            f"{sum(certified)} of {len(certified)} certificates ok; "
            f"{sum(task.seconds for task in done):.0f} s of work in {len(done)} tasks")


def tasks(findings: list[Finding]) -> list[Task]:
    """Every task once, slowest first."""
    found = {(task.what, task.case): task for finding in findings for task in finding.tasks}
    return sorted(found.values(), key=lambda task: -task.seconds)


def _users(task: Task, findings: list[Finding]) -> str:
    return ", ".join(f.check.id for f in findings if task.what == called(f.check))


def groups(findings: list[Finding]) -> dict[str, list[Finding]]:
    """Findings under their headings, in the order of these."""
    found = {heading: [f for f in findings if group(f.check) == heading]
             for heading in GROUPS.values()}
    return {heading: own for heading, own in found.items() if own}


def _case(case: str) -> str:
    return ", ".join(f"{name} {value}" for name, value in json.loads(case).items())


def markdown(findings: list[Finding], facts: dict[str, Any]) -> str:
    """The report as text."""
    lines = ["# Validation of gflow", "", summary(findings), "",
             ", ".join(f"{name} {value}" for name, value in facts.items())]
    mark = {"pass": "pass", "open": "*OPEN*", "fail": "**FAIL**"}
    for heading, own in groups(findings).items():
        lines += ["", f"## {heading}", "", "| | check | predicted | measured | s |",
                  "|---|---|---|---|---|"]
        lines += [f"| {mark[f.outcome]} | {f.check.id}: {f.check.title} | {f.check.prediction} | "
                  f"{f.verdict.measured} | {f.seconds:.1f} |" for f in own]
        for finding in own:
            lines += ["", f"### {finding.check.id}: {finding.check.title}", ""]
            lines += [f"- {name}: {value}" for name, value in _rows(finding)]
            if finding.trouble:
                lines += ["", "```", finding.trouble.strip(), "```"]
    lines += ["", "## Slowest tasks", "", "| check | case | s |", "|---|---|---|"]
    lines += [f"| {_users(task, findings)} | {_case(task.case)} | {task.seconds:.1f} |"
              for task in tasks(findings)[:10]]
    return formulas.plain("\n".join(lines) + "\n")


def _rows(finding: Finding) -> list[tuple[str, str]]:
    check, verdict = finding.check, finding.verdict
    certified = [run["certified"] for run in finding.runs if run["certified"] is not None]
    events = sum(run["events"] for run in finding.runs)
    cost = f"{len(finding.tasks)} tasks, {finding.seconds:.1f} s"
    if finding.runs:
        cost += (f"; {len(finding.runs)} integrations with {events} events, {sum(certified)} of "
                 f"{len(certified)} certificates ok")
    rows = [("source", f"{check.source} ({check.tag})"), ("statement", check.statement),
            ("setting", check.setting), ("assumptions", check.assumptions),
            ("predicted", check.prediction), ("passes if", check.rule),
            ("measured", verdict.measured), ("remark", verdict.remark),
            ("open question", check.question), ("cost", cost), ("doubted", doubted(finding))]
    return [(name, value) for name, value in rows if value]


def doubted(finding: Finding) -> str:
    """Which runs their certificates doubt, and why: nothing if they do not."""
    return "; ".join(
        f"{run['method']} on m = {run['m']}, n = {run['n']}, d = {run['d']} to t = {run['t']:.6g} "
        f"at rtol {run['rtol']:.0e}: {', '.join(run['doubts'])}"
        for run in finding.runs if run["certified"] is False)


def _mark(finding: Finding) -> str:
    return f'<span class="mark {finding.outcome}">{finding.outcome}</span>'


def _section(finding: Finding) -> str:
    esc, check = html.escape, finding.check
    terms = "".join(f"<dt>{name}</dt><dd>{formulas.page(value)}</dd>"
                    for name, value in _rows(finding))
    picture = (f'<img alt="measured against predicted: {esc(formulas.plain(check.title))}" '
               f'src="data:image/png;base64,{finding.picture}">' if finding.picture else "")
    trouble = f"<pre>{esc(finding.trouble)}</pre>" if finding.trouble else ""
    return (f'<h3 id="{esc(check.id)}">{_mark(finding)} {esc(check.id)}: '
            f"{formulas.page(check.title)}</h3>"
            f"<dl>{terms}</dl>{picture}{trouble}")


def page(findings: list[Finding], facts: dict[str, Any]) -> str:
    """The report as one HTML page."""
    esc = html.escape
    rows, sections = [], []
    for heading, own in groups(findings).items():
        rows.append(f'<tr><th class="group" colspan="6">{esc(heading)}</th></tr>')
        rows += [f'<tr><td>{_mark(f)}</td>'
                 f'<td class="id"><a href="#{esc(f.check.id)}">{esc(f.check.id)}</a></td>'
                 f"<td>{formulas.page(f.check.title)}</td>"
                 f"<td>{formulas.page(f.check.prediction)}</td>"
                 f"<td>{formulas.page(f.verdict.measured)}</td>"
                 f'<td class="number">{f.seconds:.1f}</td></tr>'
                 for f in own]
        sections.append(f"<h2>{esc(heading)}</h2>" + "".join(_section(f) for f in own))
    slow = "".join(f'<tr><td class="id">{esc(_users(task, findings))}</td>'
                   f"<td>{esc(_case(task.case))}</td>"
                   f'<td class="number">{task.seconds:.1f}</td></tr>'
                   for task in tasks(findings)[:10])
    known = " · ".join(f"{esc(name)} {esc(str(value))}" for name, value in facts.items())
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width">'
            f"<title>Validation of gflow</title><style>{STYLE}</style></head><body>"
            f'<h1>Validation of gflow</h1><p class="summary">{esc(summary(findings))}</p>'
            f'<p class="facts">{known}</p>'
            f"<p><span class='mark pass'>pass</span> by the rule of the check. "
            f"<span class='mark open'>open</span> the rule is broken, a known question. "
            f"<span class='mark fail'>fail</span> the rule is broken, and should not be.</p>"
            f"<table><tr><th></th><th>id</th><th>check</th><th>predicted</th><th>measured</th>"
            f'<th class="number">s</th></tr>{"".join(rows)}</table>'
            f"{''.join(sections)}<h2>Slowest tasks</h2><table><tr><th>check</th><th>case</th>"
            f'<th class="number">s</th></tr>{slow}</table></body></html>\n')
