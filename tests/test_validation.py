"""What the report makes of checks that pass, fail, are open or break."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from validation import __main__ as command
from validation import formulas, report, suite
from validation.check import GROUPS, Verdict, all_checks, group


def finding(passed: bool, question: str = "", judge: Any = None) -> suite.Finding:
    """A judged check whose two tasks are done already."""
    check = replace(
        all_checks()["A"], question=question, draw=lambda ax, cases, results: ax.plot([0, 1]),
        judge=judge or (lambda cases, results: Verdict(passed, "0.7 <off> by 0.2")))
    cases = ['{"i": 0}', '{"i": 1}']
    done = {(suite.called(check), case): {"result": '{"x": 1.0}', "runs": "[]", "seconds": 1.0 + i}
            for i, case in enumerate(cases)}
    return suite.judge(check, cases, done, {})


@pytest.mark.parametrize("words, message", [
    ("--out file", "--out file is a file: give the name of a directory"),
    ("--out file/x", "--out file/x is no directory that can be written to (not a directory)"),
    ("--out new --jobs 0", "--jobs is 0: give a positive whole number"),
    ("--out new --jobs -1", "--jobs is -1: give"),
    ("--out new --seed -1", "--seed is -1: give 0 or a positive whole number"),
    ("--out new --only nope", "--only nope is no check: choose among A, ")])
def test_bad_options_are_told_before_anything_is_made(words, message, monkeypatch, tmp_path,
                                                      capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    code = command.main(words.split())
    said = capsys.readouterr().err.splitlines()
    assert code == 2 and message in said[-1] and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_several_checks_are_listed_and_lost_output_is_no_failed_check():
    words = [sys.executable, "-m", "validation", "--only", "A", "--only", "B", "--list"]
    run = partial(subprocess.run, words, cwd=Path(command.__file__).parents[1],
                  stderr=subprocess.PIPE, text=True)
    assert run(stdout=subprocess.DEVNULL).returncode == 0
    read, write = os.pipe()
    os.close(read)
    done = run(stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (2, "")


def broken(cases: Any, results: Any) -> Verdict:
    raise ZeroDivisionError


@pytest.mark.parametrize("found, outcome, code", [
    (dict(passed=True), "pass", 0), (dict(passed=True, question="why"), "pass", 0),
    (dict(passed=False, question="why"), "open", 0), (dict(passed=False), "fail", 1),
    (dict(passed=False, question="why", judge=broken), "fail", 1)])
def test_only_failures_without_a_question_count(found, outcome, code, monkeypatch, tmp_path,
                                                capsys):
    made = finding(**found)
    assert made.outcome == outcome
    monkeypatch.setattr(suite, "run", lambda *a, **k: [made])
    assert command.main(["--only", "A", "--out", str(tmp_path)]) == code
    assert f"{outcome.upper()}  A " in capsys.readouterr().out
    page = (tmp_path / "report.html").read_text()
    assert f'<span class="mark {outcome}">{outcome}</span>' in page
    kept = json.loads((tmp_path / "report.json").read_text())["checks"][0]
    assert kept["outcome"] == outcome and kept["passed"] == (outcome == "pass")
    if outcome == "open":
        assert "by 0.2" in page and "&lt;off&gt;" in page and "why" in page
        assert "*OPEN*" in (tmp_path / "report.md").read_text()


def test_a_case_that_failed_is_no_open_question():
    check = replace(all_checks()["A"], question="why")
    found = suite.judge(check, ['{"i": 0}'], {}, {
        (suite.called(check), '{"i": 0}'): "Traceback"})
    assert found.outcome == "fail" and found.trouble == "Traceback"


def test_slowest_tasks_and_total():
    # B measures what A does: its tasks count once.
    found = [finding(True), replace(finding(True), check=all_checks()["B"])]
    assert [task.seconds for task in report.tasks(found)] == [2.0, 1.0]
    assert "3 s of work in 2 tasks" in report.summary(found)
    assert "| A, B | i 1 | 2.0 |" in report.markdown(found, {})


def test_every_check_has_a_heading_and_questions_say_where():
    for check in all_checks().values():
        assert group(check) in GROUPS.values()
        assert not check.question or "docs/" in check.question


def test_all_ids_of_the_issue_are_there():
    wanted = {"A", "B", "C", "D", "W", "E", "K", "SEED-F1", "CEL-F1"}
    wanted |= {f"EA-C{i}" for i in range(1, 8)} | {f"S{i}" for i in range(1, 6)}
    wanted |= {f"N{i}" for i in range(1, 5)} | {f"O{i}" for i in range(1, 6)}
    assert wanted <= set(all_checks())


SAID = ("title", "source", "statement", "setting", "assumptions", "prediction", "rule", "question")


def test_formulas_of_every_check_are_typeset():
    said = [getattr(check, name) for check in all_checks().values() for name in SAID]
    pages = [formulas.page(text) for text in said]       # raises where one cannot be read
    assert sum(page.count("<math>") for page in pages) > 200
    for page in pages:
        ElementTree.fromstring(f"<p>{page}</p>")
    # A power, a name in Greek, an absolute value outside of a formula would be shown as typed.
    left = re.compile(r"\w\^|\|\w+\||\b(?:lambda|sigma|beta|gamma|eps)\b|sqrt")
    bare = [text for text in said if left.search(re.sub(r"\$[^$]*\$", "", text))]
    assert not bare, bare[0]


def test_notation_of_formulas():
    assert formulas.page("$a_i^2$") == \
        "<math><msubsup><mi>a</mi><mi>i</mi><mn>2</mn></msubsup></math>"
    assert "⟨" in formulas.page("$<D, w> <= 0$") and "⟨" not in formulas.page("$n < d > m$")
    assert formulas.page("$n^(-1/2)$") == (
        "<math><msup><mi>n</mi><mrow><mo>−</mo><mn>1</mn><mo>/</mo><mn>2</mn></mrow></msup></math>")
    for wrong in ("a $ sign", "$(a$", "$a)$", "$|a$", "$lambada$", "$a \\frac$", "$a^$"):
        with pytest.raises(ValueError):
            formulas.page(wrong)
