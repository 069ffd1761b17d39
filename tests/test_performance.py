"""`validation.performance` on a workload of a moment: it measures what it says, no times judged."""

import json
import sys

import numpy as np
import pytest

from validation.performance import __main__ as command
from validation.performance import figures, harness, history, late, report, slope
from validation.performance.workloads import WORKLOADS, Workload


class Pipe:
    """What a child process says, kept."""

    def __init__(self):
        self.sent = []

    def send(self, what):
        self.sent.append(what)


def at_once(solver, workload, setting, limit, repeats=1):
    """`harness.run` in this process."""
    pipe = Pipe()
    harness._work(pipe, solver, workload, setting, 1)
    kind, value = pipe.sent[-1]
    result = harness.Result(solver, workload, setting)
    if kind == "failed":
        result.note = value
    else:
        result.wall, result.outputs, result.memory = value
    return result


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(WORKLOADS, "S", Workload("S", 6, 2, 4, 20.0, 1e-6, 1e-10))
    monkeypatch.setattr(command, "run", at_once)
    monkeypatch.setattr(slope, "SIZES", ((6, 4), (12, 8)))
    monkeypatch.setattr(late, "SIZES", ((100, 10),))
    monkeypatch.setattr(late, "REPEATS", 1)


def test_the_command_measures_and_reports(tiny, tmp_path, monkeypatch, capsys):
    history = tmp_path / "history.csv"
    monkeypatch.setattr(sys, "argv", ["performance", "--workloads", "S", "--no-peers", "--out",
                                      str(tmp_path), "--history", str(history)])
    assert command.main() == 0 and "S: gflow waveform at 1e-06" in capsys.readouterr().err
    assert len(history.read_text().splitlines()) == 8
    kept = json.loads((tmp_path / "performance.json").read_text())
    errors = {r["setting"]: r["error"] for r in kept["results"] if r["solver"] == "gflow waveform"}
    assert set(errors) == {10.0**-k for k in range(3, 10)} and max(errors.values()) < 1e-2
    assert errors[1e-9] < 1e-6 < 100 * errors[1e-3]
    assert [size for size, _ in kept["early"]] == [6 * 4 * 5, 12 * 8 * 5]
    (n, m, steps, step, wall), = kept["late"]
    assert (n, m) == (100, 10) and steps > 10 and 0 < step < wall
    assert "| S | gflow DOP853 | 1e-06 |" in (tmp_path / "performance.md").read_text()
    assert (tmp_path / "work-precision.png").stat().st_size > 1000


def test_peers_of_the_environment_agree_with_the_engines(tiny):
    truth = at_once("gflow waveform", "S", 1e-10, 60)
    for solver, setting, off in (("gflow DOP853", 1e-9, 1e-7), ("solve_ivp RK45", 1e-6, 1e-3),
                                 ("compiled descent", 1e-3, 1e-2)):
        found = at_once(solver, "S", setting, 60)
        assert found.finished, found.note
        assert np.abs(np.array(found.outputs) - truth.outputs).max() < off


def test_a_child_that_is_too_slow_or_fails_is_told(monkeypatch):
    late_one = harness.run("gflow waveform", "S", 1e-11, 1e-4)
    assert not late_one.finished and "not finished" in late_one.note
    wrong = harness.run("gflow waveform", "S", 2.0, 30.0)
    assert "rtol = 2" in wrong.note and not wrong.finished


def test_ratios_extrapolate_descent():
    def result(solver, setting, wall, error):
        return harness.Result(solver, "S", setting, wall=wall, error=error,
                              outputs=[np.zeros(1)])

    found = report.ratios([result("gflow waveform", 1e-7, 0.1, 1e-8),
                           result("solve_ivp RK45", 1e-6, 50.0, 1e-7),
                           result("compiled descent", 1e-3, 1.0, 1e-4)])
    # A hundred times the steps of the last one: 100 s, which is more than 50.
    assert len(found) == 1 and "solve_ivp RK45, 50 s: 500 times" in found[0]


def test_levels_of_error_are_compared_one_by_one():
    def result(solver, setting, wall, error):
        return harness.Result(solver, "S", setting, wall=wall, error=error,
                              outputs=[np.zeros(1)])

    rows = report.matched([result("gflow waveform", 1e-3, 0.1, 1e-3),
                           result("gflow waveform", 1e-7, 0.4, 1e-7),
                           result("solve_ivp RK45", 1e-6, 0.05, 0.05),
                           result("compiled descent", 1e-2, 0.2, 1e-2),
                           result("compiled descent", 1e-3, 2.0, 1e-3)])
    cells = [cell.strip() for cell in rows[-1].strip("|").split("|")]
    # 1e-1 by RK45, 1e-2 and 1e-3 by descent as measured, then extrapolated to ten times a level.
    assert cells == ["S", "0.5", "2", "20", "50", "5e+02", "5e+03", "5e+04", "not reached",
                     "not reached"]


def test_history_tells_what_became_slower(tmp_path, monkeypatch):
    def result(wall):
        return harness.Result("gflow waveform", "S", 1e-6, wall=wall, error=1e-7,
                              outputs=[np.zeros(1)])

    path = tmp_path / "history.csv"
    assert history.remember([result(1.0)], path) == []
    assert history.remember([result(1.2)], path) == []
    assert "2.00 times the best before (1 s)" in history.remember([result(2.0)], path)[0]
    # Times of another machine say nothing.
    monkeypatch.setattr(history, "machine", lambda: "another")
    assert history.remember([result(9.0)], path) == []


def test_whole_figures_are_commands_that_run(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "FIGURES", ("sweep threshold --d 2 --n 4 --seeds 1 --width 4",))
    (command_line, wall), = figures.figure_times(tmp_path)
    assert command_line.startswith("gflow sweep threshold") and wall > 0
    assert (tmp_path / "figure-0.db").stat().st_size > 0


@pytest.mark.parametrize("name", ["H1", "H2", "H3", "W3"])
def test_problems_of_high_dimension_are_what_they_say(name):
    case = WORKLOADS[name]
    model, data = case.problem()
    assert data.X.shape == (case.n, case.d) and model.W.shape == (case.m, case.d)
