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

from .suite import Finding

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1a1a1a; }
h1 { margin-bottom: 0; } h2 { margin-top: 3rem; border-top: 1px solid #ccc; padding-top: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
td, th { border-bottom: 1px solid #ddd; padding: .3rem .5rem; text-align: left;
         vertical-align: top; }
dl { display: grid; grid-template-columns: 8rem 1fr; gap: .2rem 1rem; margin: 0 0 1rem; }
dt { color: #666; } dd { margin: 0; } img { max-width: 100%; }
.mark { font-weight: 700; padding: .05rem .5rem; border-radius: .6rem; white-space: nowrap; }
.pass { background: #e3f2e3; } .fail { background: #111; color: #fff; }
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
    (folder / "report.json").write_text(json.dumps(
        {"facts": facts, "checks": [_plain(finding) for finding in findings]}, indent=1))
    (folder / "report.md").write_text(markdown(findings, facts))
    (folder / "report.html").write_text(page(findings, facts))


def _plain(finding: Finding) -> dict[str, Any]:
    check = finding.check
    fields = {name: getattr(check, name) for name in (
        "id", "title", "source", "tag", "statement", "setting", "assumptions", "prediction",
        "rule")}
    return {**fields, "passed": finding.verdict.passed, "measured": finding.verdict.measured,
            "remark": finding.verdict.remark, "seconds": finding.seconds, "runs": finding.runs,
            "trouble": finding.trouble}


def summary(findings: list[Finding]) -> str:
    """One line about all."""
    passed = sum(finding.verdict.passed for finding in findings)
    used = [run for finding in findings for run in finding.runs]
    certified = [run["certified"] for run in used if run["certified"] is not None]
    return (f"{passed} of {len(findings)} checks pass; {len(used)} integrations, "
            f"{sum(certified)} of {len(certified)} certificates ok; "
            f"{sum(finding.seconds for finding in findings):.0f} s of work")


def slowest(findings: list[Finding], most: int = 10) -> list[Finding]:
    """The checks that took longest."""
    return sorted(findings, key=lambda finding: -finding.seconds)[:most]


def markdown(findings: list[Finding], facts: dict[str, Any]) -> str:
    """The report as text."""
    lines = ["# Validation of gflow", "", summary(findings), "",
             ", ".join(f"{name} {value}" for name, value in facts.items()), "",
             "| | check | predicted | measured | s |", "|---|---|---|---|---|"]
    for finding in findings:
        check, verdict = finding.check, finding.verdict
        lines.append(f"| {'pass' if verdict.passed else '**FAIL**'} | {check.id}: {check.title} | "
                     f"{check.prediction} | {verdict.measured} | {finding.seconds:.1f} |")
    for finding in findings:
        lines += ["", f"## {finding.check.id}: {finding.check.title}", ""]
        lines += [f"- {name}: {value}" for name, value in _rows(finding)]
        if finding.trouble:
            lines += ["", "```", finding.trouble.strip(), "```"]
    return "\n".join(lines) + "\n"


def _rows(finding: Finding) -> list[tuple[str, str]]:
    check, verdict = finding.check, finding.verdict
    certified = [run["certified"] for run in finding.runs if run["certified"] is not None]
    events = sum(run["events"] for run in finding.runs)
    rows = [("source", f"{check.source} ({check.tag})"), ("statement", check.statement),
            ("setting", check.setting), ("assumptions", check.assumptions),
            ("predicted", check.prediction), ("passes if", check.rule),
            ("measured", verdict.measured), ("remark", verdict.remark),
            ("cost", f"{finding.seconds:.1f} s, {len(finding.runs)} integrations with {events} "
             f"events, {sum(certified)} of {len(certified)} certificates ok")]
    return [(name, value) for name, value in rows if value]


def page(findings: list[Finding], facts: dict[str, Any]) -> str:
    """The report as one HTML page."""
    def mark(finding: Finding) -> str:
        kind = "pass" if finding.verdict.passed else "fail"
        return f'<span class="mark {kind}">{kind}</span>'

    esc = html.escape
    rows = "\n".join(
        f'<tr><td>{mark(f)}</td><td><a href="#{esc(f.check.id)}">{esc(f.check.id)}</a></td>'
        f"<td>{esc(f.check.title)}</td><td>{esc(f.check.prediction)}</td>"
        f"<td>{esc(f.verdict.measured)}</td></tr>" for f in findings)
    slow = ", ".join(f"{esc(f.check.id)} {f.seconds:.0f} s" for f in slowest(findings))
    sections = []
    for f in findings:
        terms = "".join(f"<dt>{name}</dt><dd>{esc(value)}</dd>" for name, value in _rows(f))
        picture = (f'<img alt="measured against predicted, {esc(f.check.title)}" '
                   f'src="data:image/png;base64,{f.picture}">' if f.picture else "")
        trouble = f"<pre>{esc(f.trouble)}</pre>" if f.trouble else ""
        sections.append(f'<h2 id="{esc(f.check.id)}">{esc(f.check.id)}: {esc(f.check.title)} '
                        f"{mark(f)}</h2><dl>{terms}</dl>{picture}{trouble}")
    known = ", ".join(f"{esc(name)} {esc(str(value))}" for name, value in facts.items())
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f"<title>Validation of gflow</title><style>{STYLE}</style></head><body>"
            f"<h1>Validation of gflow</h1><p>{esc(summary(findings))}</p><p>{known}</p>"
            f"<table><tr><th></th><th>id</th><th>check</th><th>predicted</th><th>measured</th></tr>"
            f"{rows}</table><p>Slowest: {slow}</p>{''.join(sections)}</body></html>\n")
