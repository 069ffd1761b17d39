"""O4 and O5: how fast orthogonal points are fitted."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from .. import runs
from ..check import CONJECTURED, DERIVED, Case, Check, Result, Verdict, column, slope

DANA = ("Dana, Bach and Pillaud-Vivien, Convergence of shallow ReLU networks on weakly interacting "
        "data, 2025, arXiv:2502.16977")
EPS = 0.05


def start(n: int, rng: Any) -> tuple[gflow.TwoLayerReLU, gflow.Data]:
    """Their data and start, in our scaling (theirs has the output divided by the width)."""
    data = gflow.datasets.orthogonal(n, rng=rng)
    m = int(np.log(n / EPS) / np.log(4 / 3)) + 1
    while True:
        # A hundredth of the default of PyTorch; |a| = |w| + Exp(1).
        W = 0.01 * rng.uniform(-1, 1, (m, n)) / np.sqrt(n)
        a = rng.choice([-1.0, 1.0], m) * (np.linalg.norm(W, axis=1) + rng.exponential(size=m))
        seen = (W @ data.X.T > 0) & (a[:, None] * data.y > 0)
        if seen.any(axis=0).all():
            return gflow.TwoLayerReLU(a / np.sqrt(m), W / np.sqrt(m)), data


def sandwich(flow: gflow.Flow, t: float) -> tuple[float, float]:
    """Bounds of -(dL/dt)/L at a time: (2/n) min and (4/n) max of |x_k|^2 sum_on a_j^2."""
    sums = (flow(t).a**2) @ (flow.pattern(t) == 1) * (flow.data.X**2).sum(axis=1)
    return 2 * float(sums.min()) / flow.data.n, 4 * float(sums.max()) / flow.data.n


def pl_cases(quick: bool) -> list[Case]:
    return [{"n": n, "seed": seed} for n in ((8, 16) if quick else (8, 16, 32, 64))
            for seed in range(2 if quick else 10)]


def pl(n: int, seed: int, rng: Any) -> Result:
    model, data = start(n, rng)
    flow = runs.integrate(model, data, 1e5, method="DOP853", rtol=1e-9,
                          stop=gflow.stop.loss_below(1e-12))
    t = np.concatenate([[0.0], np.geomspace(1e-3, flow.t_end, 600)])
    loss = np.array([net.loss(data) for net in flow(t)])
    # The mean rate between two times, from the loss alone.
    rate = -np.diff(np.log(loss)) / np.diff(t)
    low, high = np.array([sandwich(flow, float(s)) for s in t]).T
    below, above = np.minimum(low[1:], low[:-1]), np.maximum(high[1:], high[:-1])
    return {"least": (rate / below).min(), "most": (rate / above).max(), "t": t[1:] / flow.t_end,
            "rate": rate, "low": below, "high": above}


def judge_pl(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    least, most = column(results, "least").min(), column(results, "most").max()
    return Verdict(bool(least >= 1 - 1e-6 and most <= 1 + 1e-6),
                   f"rate at least {least:.3f} times the lower and at most {most:.3f} times the "
                   f"upper bound, {sum(r['t'].size for r in results)} times")


def draw_pl(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    r = results[-1]
    ax.semilogy(r["t"], r["rate"], "k-", label="-(dL/dt) / L")
    ax.semilogy(r["t"], r["low"], "k--", lw=1, label="lower bound")
    ax.semilogy(r["t"], r["high"], "k:", lw=1, label="upper bound")
    ax.set(xlabel="t / (time to L = 1e-12)", ylabel="rate", title=f"n = {cases[-1]['n']}")
    ax.legend(fontsize=8)


NAMES = {"end": "o", "mean": "s", "low": "v", "high": "^"}


def slope_cases(quick: bool) -> list[Case]:
    sizes = (16, 32, 64) if quick else (16, 32, 64, 128)
    return [{"n": n, "seed": seed} for n in sizes for seed in range(4 if quick else 20)]


def speeds(n: int, seed: int, rng: Any) -> Result:
    model, data = start(n, rng)
    flow = runs.integrate(model, data, 1e5, method="DOP853", rtol=1e-7,
                          certify=False, stop=gflow.stop.loss_below(1e-10))
    final, on = flow.model, flow.pattern(flow.t_end) == 1
    D = (on * (data.y - final(data.X))) @ data.X / n
    squares = ((final.W * D).sum(axis=1)**2 + final.a**2 * (D**2).sum(axis=1)).sum()
    low, high = sandwich(flow, flow.t_end)
    return {"n": n, "end": squares / final.loss(data), "low": low, "high": high,
            "mean": np.log(model.loss(data) / final.loss(data)) / flow.t_end,
            "whole": float(flow.status == "loss_below")}


def found_slopes(results: Sequence[Result]) -> dict[str, float]:
    """Slopes of the geometric means."""
    n = column(results, "n")
    sizes = np.unique(n)
    return {name: slope(sizes, [np.exp(np.log(column(results, name)[n == s]).mean())
                                for s in sizes]) for name in NAMES}


def judge_slopes(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    found = found_slopes(results)
    whole = int(column(results, "whole").sum())
    good = all(abs(s + 0.5) < 0.1 for s in found.values()) and whole == len(results)
    words = ", ".join(f"{name} {s:.3f}" for name, s in found.items())
    return Verdict(bool(good), f"slopes: {words}; {whole} of {len(results)} interpolate")


def draw_slopes(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    n = column(results, "n")
    grid = np.unique(n)
    for name, mark in NAMES.items():
        value = column(results, name)
        ax.loglog(n, value, "k" + mark, fillstyle="none", ms=4, label=name)
        middle = np.exp(np.log(value[n == grid[0]]).mean())
        ax.loglog(grid, middle * np.sqrt(grid[0] / grid), "k--", lw=1)
    ax.plot([], [], "k--", lw=1, label="slope -1/2")
    ax.set(xlabel="n", ylabel="rate")
    ax.legend(fontsize=8)


SETTING = ("Random orthogonal points, $|x|$ and $|y|$ uniform on $[1, 2]$, start with $|a| = |w| + "
           "Exp(1)$ and a small first layer, about $log(20 n) / log(4/3)$ neurons such that every "
           "point is seen by one of its sign")
O5_QUESTION = ("The conjecture is about $n = 1000$ and more, out of reach of the stepper. Here "
               "three of the four slopes are steeper than $-1/2$, perhaps because points that a "
               "single small neuron sees decide them; docs/orthogonal.md, open questions.")

CHECKS = [
    Check(id="O4", title="rate of fitting orthogonal points, at every time",
          source=f"{DANA} (abstract and code seen)", tag=DERIVED,
          statement="If $|a_j| >= |w_j|$, then $-(dL/dt)/L$ is between $(2/n) min_k$ and $(4/n) "
                    "max_k$ of $|x_k|^2 sum_j a_j^2$, over the neurons active on $x_k$.",
          setting=f"{SETTING}; $n = 8 ... 64$; rates from differences of the loss at 600 times.",
          prediction="no exception at any time", rule="both bounds within a factor $1 + 1e-6$",
          cases=pl_cases, measure=pl, judge=judge_pl, draw=draw_pl),
    Check(id="O5", title="rate of fitting orthogonal points against their number",
          source=f"{DANA}, conjecture 8 as its notebook has it", tag=CONJECTURED,
          statement="The rate at the end, its mean over time and both of the bounds of O4 at the "
                    "end decrease like $n^(-1/2)$.",
          setting=f"{SETTING}; $n = d = 16 ... 128$ (there: $n = 1000 ... 2000$ in $d = 2000$), "
                  "until $L < 1e-10$; 20 data sets each.",
          assumptions="The published sizes are above these; the number of neurons grows with "
                      "$log n$, which bends the slopes.",
          prediction="slopes $-1/2$", rule="within 0.1 each; all interpolate",
          question=O5_QUESTION,
          cases=slope_cases, measure=speeds, judge=judge_slopes, draw=draw_slopes),
]
