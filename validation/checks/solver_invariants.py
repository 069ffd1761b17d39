"""A and B: what every flow keeps, however it is computed."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from .. import runs
from ..check import DERIVED, PROVED, Case, Check, Result, Verdict, column

SETTING = ("Linear teacher with noise 0.5 ($n = 15 ... 60$, $d = 2 ... 4$), balanced and "
           "unbalanced starts of scale 1e-2, waveform and DOP853 at rtol 1e-7 ... 1e-11, $t = 40$.")


def cases(quick: bool) -> list[Case]:
    sizes = [(15, 2, 12)] if quick else [(15, 2, 12), (30, 3, 20), (60, 4, 30)]
    return [{"n": n, "d": d, "m": m, "method": method, "rtol": rtol, "balanced": balanced}
            for n, d, m in sizes for method in ("waveform", "DOP853") for balanced in (True, False)
            for rtol in (1e-7, 1e-9, 1e-11)]


def measure(n: int, d: int, m: int, method: str, rtol: float, balanced: bool, rng: Any) -> Result:
    data = gflow.datasets.linear_teacher(n, d, noise=0.5, rng=rng)
    start = gflow.init.balanced if balanced else gflow.init.dominated
    flow = gflow.integrate(start(m, d, 1e-2, rng=rng), data, 40.0, method=method, rtol=rtol)
    runs.note(flow)
    evidence = flow.certificate()
    return {"balance": evidence.balance.max(), "energy": abs(evidence.energy), "rtol": rtol}


def judge_balance(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    worst = float((column(results, "balance") / column(results, "rtol")).max())
    return Verdict(worst <= 1e3, f"largest drift {worst:.2g} rtol")


def judge_energy(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    worst = float((column(results, "energy") / column(results, "rtol")).max())
    return Verdict(worst <= 1e2, f"largest defect {worst:.2g} rtol")


def _draw(ax: Any, results: Sequence[Result], name: str, allowed: float) -> None:
    rtol = column(results, "rtol")
    ax.loglog(rtol, np.maximum(column(results, name), 1e-17), "ko", fillstyle="none")
    grid = np.unique(rtol)
    ax.loglog(grid, allowed * grid, "k--", label=f"{allowed:g} rtol")
    ax.set(xlabel="rtol", ylabel=name)
    ax.legend()


CHECKS = [
    Check(id="A", title="balancedness is conserved",
          source="Boursier and Flammarion, Early alignment, JMLR 2025, Lemma 1", tag=PROVED,
          statement="$a_i^2 - |w_i|^2$ does not change, through kinks and slides.",
          setting=SETTING, prediction="0",
          rule="drift at most 1000 rtol, relative to the largest $a_i^2 + |w_i|^2$ of the neuron",
          cases=cases, measure=measure, judge=judge_balance,
          draw=lambda ax, cases, results: _draw(ax, results, "balance", 1e3)),
    Check(id="B", title="the loss falls by what is dissipated",
          source="chain rule for the min-norm element of the subdifferential", tag=DERIVED,
          statement="$L(0) - L(t) = int_0^t |grad L|^2 ds$.",
          setting=SETTING, prediction="0", rule="defect at most 100 rtol, relative to $L(0)$",
          cases=cases, measure=measure, judge=judge_energy,
          draw=lambda ax, cases, results: _draw(ax, results, "energy", 1e2)),
]
