"""What a check is: a statement, what is measured, and the rule that was fixed before looking."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Callable, Mapping, Sequence

import numpy as np

Case = dict[str, Any]
Result = Mapping[str, Any]
PROVED, DERIVED, CONJECTURED = "proved there", "derived here", "conjectured"


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Attributes
    ----------
    passed : bool
    measured : str
        The numbers, in one line.
    remark : str
        What a reader should know beside that.
    """

    passed: bool
    measured: str
    remark: str = ""


@dataclass(frozen=True)
class Check:
    """A prediction of the theory.

    Attributes
    ----------
    id, title, source : str
        Source: paper and number of the statement.
    tag : str
        Who says so: "proved there", "derived here" or "conjectured".
    statement, setting, prediction, rule : str
        The theorem; the problems it is tried on; what should be seen; when it passes.
    cases : callable
        From ``quick`` (bool) to the cases, each a dict of plain values; every one is a task.
    measure : callable
        ``measure(rng=..., **case)``: a dict of numbers and small arrays, in a process of its own.
    judge : callable
        From cases and results to a `Verdict`.
    draw : callable
        ``draw(ax, cases, results)``: measured against predicted.
    panels : (int, int)
        Rows and columns of axes that ``draw`` is given, as an array if there are several.
    assumptions : str
        Which assumptions of the theorem hold in the setting, and which are out of reach.
    question : str
        Why a failure is known and where ``docs/`` discusses it. A check with a question that fails
        is open: reported as such, but no reason for a failed run.
    """

    id: str
    title: str
    source: str
    tag: str
    statement: str
    setting: str
    prediction: str
    rule: str
    cases: Callable[[bool], list[Case]]
    measure: Callable[..., Result]
    judge: Callable[[Sequence[Case], Sequence[Result]], Verdict]
    draw: Callable[[Any, Sequence[Case], Sequence[Result]], None]
    assumptions: str = ""
    question: str = ""
    panels: tuple[int, int] = (1, 1)


GROUPS = {
    "solver": "The solver itself",
    "ea": "Early alignment (Boursier and Flammarion, JMLR 2025)",
    "seed": "Simplicity bias and optimization threshold (Boursier and Flammarion, 2024)",
    "one_neuron": "Learning one neuron (Chistikov, Englert and Lazic, 2023)",
    "orthogonal": "Orthogonal data (Boursier et al., 2022; Dana et al., 2025; Town et al., 2026)",
    "margin": "Losses that never rest (Lyu and Li, 2020; Ji and Telgarsky, 2020; and others)"}
"""Headings of the report, by the beginning of the name of a check's file."""


def group(check: Check) -> str:
    """Under which heading a check stands.

    >>> group(all_checks()["A"])
    'The solver itself'
    """
    file = check.measure.__module__.rpartition(".")[2]
    for prefix, heading in GROUPS.items():
        if file.startswith(prefix + "_"):
            return heading
    raise ValueError(f"the name of {file}.py starts with none of {', '.join(GROUPS)}")


def all_checks() -> dict[str, Check]:
    """Every check of `validation.checks`, in the order of their ids."""
    from . import checks
    found: dict[str, Check] = {}
    for module in sorted(info.name for info in iter_modules(checks.__path__)):
        for check in import_module(f"{checks.__name__}.{module}").CHECKS:
            if check.id in found:
                raise ValueError(f"two checks are called {check.id}")
            found[check.id] = check
    return dict(sorted(found.items()))


def slope(x: Any, y: Any) -> float:
    """Slope of log y against log x, by least squares."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def column(results: Sequence[Result], name: str) -> np.ndarray:
    """One quantity of all results."""
    return np.array([result[name] for result in results])
