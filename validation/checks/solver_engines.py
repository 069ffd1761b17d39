"""W: every engine solves the published workloads alike."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from .. import runs
from ..check import DERIVED, Case, Check, Result, Verdict, column

ALLOWED = 1000.0
"""Largest difference of outputs, in units of rtol and of the largest label."""
RTOL = 1e-8
ENGINES = {"DOP853": "o", "RK45": "s", "Radau": "^", "LSODA": "v", "waveform": "D"}
WORKLOADS = {"W1": 40.0, "W2": 200.0, "W3": 1000.0, "W4": 200.0, "W5": 100.0, "W8": 500.0,
             "W9": 1200.0}
"""Flow times."""


def workload(name: str, m: int) -> tuple[gflow.TwoLayerReLU, gflow.Data]:
    """A published start and data set, with fewer neurons (and, in W3, W5, fewer points)."""
    datasets, init = gflow.datasets, gflow.init
    if name == "W1":
        return init.balanced(m, 2, 1e-6), datasets.orthogonal()
    if name == "W2":
        return init.balanced(m, 2, 1e-6), datasets.five_points()
    if name == "W3":
        teacher = init.unbalanced(6, 16, 1.0, rng=4, scaling="1/sqrt(m*d)")
        return (init.balanced(m, 16, 1e-20, rng=1, scaling="1/sqrt(m*d)"),
                datasets.relu_teacher(8, 16, teacher))
    if name == "W4":
        return init.balanced(m, 2, 1e-3), datasets.three_points()
    if name == "W5":
        return init.unbalanced(m, 2, 1e-3), datasets.stewart(12)
    if name == "W8":
        return init.balanced(m, 10, 1e-2, scaling="1/sqrt(m*d)"), datasets.one_neuron(10, 10)
    x = np.array([-1.0, -0.6, -0.1, 0.3, 0.7])
    data = gflow.Data(np.column_stack([x, np.ones(5)]), [0.28, -0.1, 0.03, 0.23, -0.22])
    return init.unbalanced(m, 2, 8e-6 * np.sqrt(m), rng=12), data


def cases(quick: bool) -> list[Case]:
    return [{"name": name, "method": method, "m": 5 if quick else 12}
            for name in WORKLOADS for method in ENGINES]


def measure(name: str, method: str, m: int, rng: Any) -> Result:
    model, data = workload(name, m)
    end = WORKLOADS[name]
    truth = runs.integrate(model, data, end, method="DOP853", rtol=1e-11)
    flow = runs.integrate(model, data, end, method=method, rtol=RTOL, threads=1)
    if not (truth.success and flow.success):
        return {"off": 1.0, "fallen": 0.0}
    off = max(np.abs(flow(float(t))(data.X) - truth(float(t))(data.X)).max() for t in truth.t)
    return {"off": off / np.abs(data.y).max(), "fallen": 1 - truth.loss[-1] / truth.loss[0]}


def judge(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    off = column(results, "off") / RTOL
    worst = int(off.argmax())
    wrong = int((off > ALLOWED).sum())
    fallen = float(column(results, "fallen").min())
    return Verdict(wrong == 0 and fallen > 0.01,
                   f"{wrong} of {len(results)} runs differ; the most {off[worst]:.1f} "
                   f"rtol ({cases[worst]['name']}, {cases[worst]['method']}); "
                   f"losses fall by {100 * fallen:.0f}% or more")


def draw(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    names = list(WORKLOADS)
    for k, (method, mark) in enumerate(ENGINES.items()):
        own = [(names.index(case["name"]) + 0.1 * (k - 2), float(r["off"]))
               for case, r in zip(cases, results) if case["method"] == method]
        x, off = np.array(own).T
        ax.semilogy(x, np.maximum(off, 1e-17), "k" + mark, fillstyle="none", label=method)
    ax.axhline(ALLOWED * RTOL, color="k", ls="--", label="allowed")
    ax.axhline(RTOL, color="k", ls=":", label="rtol")
    ax.set(ylabel="largest difference of outputs / largest label")
    ax.set_xticks(range(len(names)), names)
    ax.legend(fontsize=8, ncols=2)


CHECKS = [
    Check(id="W", title="all engines agree on the published workloads",
          source="settings of arXiv:2206.00939 (W1, W2, W3), arXiv:2401.10791 (W4, W5), "
                 "arXiv:2306.06479 (W8) and a public code on ReLU-like activations (W9)",
          tag=DERIVED,
          statement="The flow does not depend on the engine: explicit and implicit steppers and "
                    "the waveform engine compute the same outputs at all times.",
          setting="Published data (W3: 8 of 75 points in 16 of 150 dimensions; W5: 12 of 40 "
                  "points) and starts with 12 neurons; flow times 40 ... 1200 (W2 and W3"
                  " longer than published, so that they grow); every engine at "
                  "rtol 1e-8 against DOP853 at 1e-11. W6 and W7, of the logistic loss, "
                  "are in the checks of losses that never rest.",
          prediction="differences of the order of rtol",
          rule="outputs on the points within 1000 rtol of the largest label, at 200 times; "
               "every loss falls by 1% or more, so "
               "something was learned",
          cases=cases, measure=measure, judge=judge, draw=draw),
]
