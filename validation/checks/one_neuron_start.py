"""N3: whether one neuron is learned is decided at the start."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from .. import runs
from ..check import PROVED, Case, Check, Result, Verdict, column
from .one_neuron_ends import PAPER, learners


def cases(quick: bool) -> list[Case]:
    return [{"n": n, "m": m, "starts": 2000 if quick else 40000, "trained": 4 if quick else 100}
            for n in (1, 2, 6) for m in (1, 2, 4, 8)]


def measure(n: int, m: int, starts: int, trained: int, rng: Any) -> Result:
    data = gflow.datasets.one_neuron(n, 2, rng, cone=True)
    # All starts at once: the early flow takes neurons one by one.
    model = gflow.init.balanced(m * starts, 2, 1.0, rng=rng)
    early = gflow.theory.early_flow(model, data)
    alive = (early.sign > 0) & ~early.dead
    found = alive.reshape(starts, m).any(axis=1).mean()
    # A neuron sees no point on an arc of pi minus the angle that the points span.
    turned = data.X @ np.array([data.X[0], [-data.X[0, 1], data.X[0, 0]]]).T
    spread = float(np.ptp(np.arctan2(turned[:, 1], turned[:, 0])))
    exact = 1 - (0.75 - spread / (4 * np.pi))**m
    differ = sum(learns(m, data, rng) for _ in range(trained))
    return {"m": m, "found": found, "exact": exact, "bound": 1 - 0.75**m, "differ": differ,
            "trained": trained,
            "error": np.sqrt(exact * (1 - exact) / starts)}


def learns(m: int, data: gflow.Data, rng: Any) -> bool:
    """Whether a start is trained against its prediction: to zero loss just if a neuron learns."""
    model = gflow.init.balanced(m, 2, 1e-3, rng=rng)
    flow = runs.integrate(model, data, 1e5, method="waveform", rtol=1e-8, threads=1,
                          certify=False, stop=gflow.stop.loss_below(1e-10))
    return (flow.status == "loss_below") != bool(learners(model, data).any())


def judge(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    found, exact, error = (column(results, name) for name in ("found", "exact", "error"))
    off = (found - exact) / error
    above = (column(results, "bound") - found) / error
    differ, trained = (int(column(results, name).sum()) for name in ("differ", "trained"))
    return Verdict(bool((np.abs(off) < 4).all() and (above < 4).all() and differ == 0),
                   f"at most {np.abs(off).max():.1f} standard errors from the exact law, never "
                   f"below the bound by more than {max(above.max(), 0.0):.1f}; {differ} of "
                   f"{trained} trainings end otherwise")


def draw(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    for n, mark in ((1, "o"), (2, "s"), (6, "^")):
        own = [r for case, r in zip(cases, results) if case["n"] == n]
        m, failed = column(own, "m"), 1 - column(own, "found")
        ax.semilogy(m, failed, "k" + mark, fillstyle="none", label=f"n = {n}")
        ax.semilogy(m, 1 - column(own, "exact"), "k:", lw=1)
    ax.plot([], [], "k:", lw=1, label="exact, d = 2")
    grid = np.arange(1, 9)
    ax.semilogy(grid, 0.75**grid, "k--", label="(3/4)^m")
    ax.set(xlabel="m", ylabel="share of starts without a neuron that learns")
    ax.legend(fontsize=8)


CHECKS = [
    Check(id="N3", title="whether the neuron is learned is decided at the start",
          source=f"{PAPER}, assumptions", tag=PROVED,
          statement="Training succeeds if some neuron is positive and active on a point at the "
                    "start, of probability at least $1 - (3/4)^m$. In two dimensions, where the "
                    "points span an angle $phi$, it is $1 - (3/4 - phi/(4 pi))^m$ (derived here).",
          setting="$n = 1, 2, 6$ points within $pi/4$ of the teacher in the plane, $m = 1 ... 8$, "
                  "40000 starts followed in the early flow, and 100 trained at $lambda = 1e-3$.",
          prediction="the exact law, and $L = 0$ just if there is such a neuron",
          rule="within 4 standard errors of the exact law, not below the bound by more; every "
               "training ends as its start says ($L < 1e-10$, or not by $t = 1e5$)",
          cases=cases, measure=measure, judge=judge, draw=draw),
]
