"""A solver that is broken on purpose does not pass validation; as it is, it does."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

import gflow
from gflow.engines import pattern as patterns
from gflow.engines.stepping import Stepping
from gflow.engines.waveform import engine as waveform
from gflow.engines.waveform.marcher import Marcher
from gflow.engines.waveform.reduced import Reduced
from validation import runs
from validation.check import all_checks

CHECKS = all_checks()
WANTED = {
    "A": lambda case: case["method"] == "DOP853" and case["rtol"] == 1e-9,
    "B": lambda case: case["method"] == "DOP853" and case["rtol"] == 1e-9,
    "C": lambda case: case["power"] == 11,
    "D": lambda case: case["name"] != "T9" or case["seed"] == 0}
"""Quick cases of the checks that run on the stepper."""
FAST = {
    "A": lambda case: case["method"] == "waveform" and case["rtol"] == 1e-9,
    "B": lambda case: case["method"] == "waveform" and case["rtol"] == 1e-9,
    "C": WANTED["C"],
    "D": lambda case: case["method"] == "waveform" and case["seed"] == 0}
"""The same on the fast engine. (C is judged on both engines together.)"""


@pytest.fixture(autouse=True)
def few_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that chatter are given up: no case here has as many events as this."""
    monkeypatch.setattr(gflow, "integrate", partial(gflow.integrate, max_events=300))


def red(wanted_cases: dict[str, Any] = WANTED) -> dict[str, str]:
    """Checks that do not pass, measured and judged in this process, and what they say."""
    found = {}
    for id, wanted in wanted_cases.items():
        check = CHECKS[id]
        cases = [case for case in check.cases(True) if wanted(case)]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                results = [check.measure(rng=np.random.default_rng([7, i]), **case)
                           for i, case in enumerate(cases)]
                verdict = check.judge(cases, results)
            if not verdict.passed:
                found[id] = verdict.measured
        except Exception as error:
            # A task that raises makes its check fail, as in `validation.suite`.
            found[id] = f"{type(error).__name__}: {error}"
    runs.taken()
    return found


class Euler:
    """Steps of 0.1 whatever the error, in place of SciPy's steppers."""

    step_size = 0.1

    def __init__(self, engine: Stepping) -> None:
        self.engine, self.status = engine, "running"
        self.t, self.y = engine.t, engine.state

    def step(self) -> None:
        self.before, self.old = self.t, self.y
        self.slope = self.engine.velocity(self.t, self.y)
        self.t = min(self.t + self.step_size, self.engine.run.t_max)
        self.y = self.old + (self.t - self.before) * self.slope

    def dense_output(self) -> Any:
        before, old, slope = self.before, self.old, self.slope
        return lambda t: old[:, None] + np.multiply.outer(slope, t - before)


def drop_sliding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neurons cross where they should slide, and activate where they start on a hyperplane."""
    switch = patterns.switch

    def cross(a, w, side, touched, *rest):
        new, *others = switch(a, w, side, touched, *rest)
        return (np.where(new == 0, np.where(side == 0, 1, -side), new), *others)

    monkeypatch.setattr(patterns, "switch", cross)


def flip_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first event of a run the field keeps the old activity of the neuron."""
    switch = patterns.Pattern.switch

    def late(self, contacts, *rest):
        before = self.on.copy()
        changes = switch(self, contacts, *rest)
        if not getattr(self, "flipped", False):
            self.flipped = True
            self.on[:] = before
        return changes

    monkeypatch.setattr(patterns.Pattern, "switch", late)


def euler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stepping, "stepper", lambda self, h: Euler(self))


def stronger_force(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fast engine pulls neurons by a millionth too much."""
    force = Marcher.force

    def stronger(self, *rest):
        right = force(self, *rest)
        return right._replace(plus=right.plus * (1 + 1e-6), minus=right.minus * (1 + 1e-6))

    monkeypatch.setattr(Marcher, "force", stronger)


def lose_flips(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first change of side on every window is not recorded, though it is taken."""
    record = waveform.Waveform._record

    def forgetful(self, window, log):
        record(self, window, log[1:])

    monkeypatch.setattr(waveform.Waveform, "_record", forgetful)


def accept_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows are accepted after two rounds, whatever their error."""
    relax = waveform.relax

    def hasty(frame, guess, H, target, size, slack, rtol, run):
        return replace(relax(frame, guess, H, target, size, slack, 1e4 * rtol, run), error=0.0,
                       diverged=False)

    monkeypatch.setattr(waveform, "relax", hasty)


def slide_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the reduced system no slide ends."""
    monkeypatch.setattr(Reduced, "_released", lambda self, *rest: False)


@pytest.mark.parametrize("cases", [WANTED, FAST], ids=["stepper", "fast engine"])
def test_unbroken_all_are_green(cases):
    assert red(cases) == {}


@pytest.mark.parametrize("breaks, seen", [(drop_sliding, {"C", "D"}), (flip_one_event, {"B", "C"}),
                                          (euler, {"A", "B", "C", "D"})])
def test_broken_some_turn_red(breaks, seen, monkeypatch):
    breaks(monkeypatch)
    assert seen <= set(red())


@pytest.mark.parametrize("breaks, seen", [(stronger_force, {"B", "C"}), (lose_flips, {"D"}),
                                          (accept_all, {"C"}), (slide_for_ever, {"D"})])
def test_broken_fast_engine_turns_some_red(breaks, seen, monkeypatch):
    breaks(monkeypatch)
    assert seen <= set(red(FAST))
