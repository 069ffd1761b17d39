"""EA-C5, EA-C6, EA-C7: three points on which training provably gets stuck."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from .. import runs
from ..check import DERIVED, PROVED, Case, Check, Result, Verdict, column, slope

PAPER = "Boursier and Flammarion, Early alignment, JMLR 2025"
LIMIT = 0.08752136752136752
"""Loss of the least squares fit of the three points."""
SETTING = ("Three points $x = -0.75, -0.5, 0.125$ with a bias, $y = 1.1, 0.1, 0.8$; balanced "
           "Gaussian starts with a growing neuron.")


def start(m: int, scale: float, rng: Any) -> tuple[gflow.TwoLayerReLU, gflow.Data]:
    """A start in which some neuron grows: a > 0, and active on a point."""
    data = gflow.datasets.three_points()
    while True:
        model = gflow.init.balanced(m, data.d, scale, rng=rng)
        if (gflow.theory.early_flow(model, data).D[model.a > 0] != 0).any():
            return model, data


def limit_cases(quick: bool) -> list[Case]:
    widths = [4, 50] if quick else [4, 10, 50, 300, 2000, 10000]
    return [{"m": m, "scale": scale} for m in widths
            for scale in ([1e-3] if quick else [1e-2, 1e-3, 1e-4])]


def limit(m: int, scale: float, rng: Any) -> Result:
    model, data = start(m, scale, rng)
    flow = runs.integrate(model, data, 4000.0, method="waveform", rtol=1e-10, threads=1,
                          certify=m < 1000, t_eval=[0.0, 4000.0])
    beta = np.linalg.lstsq(data.X, data.y, rcond=None)[0]
    return {"m": m, "loss": flow.loss[-1], "fit": np.abs(flow.model(data.X) - data.X @ beta).max()}


def judge_limit(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    off, fit = np.abs(column(results, "loss") - LIMIT).max(), column(results, "fit").max()
    return Verdict(bool(off < 1e-8 and fit < 1e-4), f"loss off by {off:.1e}, outputs by {fit:.1e}")


def draw_limit(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    ax.loglog(column(results, "m"), np.abs(column(results, "loss") - LIMIT) + 1e-17, "ko",
              fillstyle="none")
    ax.axhline(1e-8, color="k", ls="--", label="allowed")
    ax.set(xlabel="m", ylabel="|L - 0.0875213675...|")
    ax.legend()


def growth_cases(quick: bool) -> list[Case]:
    powers = (2, 4, 6) if quick else (2, 3, 4, 6, 8, 10, 12)
    return [{"power": power} for power in powers]


def growth(power: int, rng: Any) -> Result:
    scale = 10.0**-power
    # The same start at every scale.
    model, data = start(40, 1.0, np.random.default_rng(3))
    model = gflow.TwoLayerReLU(scale * model.a, scale * model.W)
    flow = runs.integrate(model, data, 60.0, method="waveform", rtol=1e-10, threads=1)
    early = gflow.theory.early_flow(model, data)
    rising = ~early.dead & (model.a > 0)
    t = np.linspace(0.0, 60.0, 3001)
    mass = (flow(t).a[:, rising]**2).sum(axis=1)
    half = float(np.interp(0.5 * mass[-1], mass, t))
    end = flow(60.0)
    W = end.W[rising] / np.linalg.norm(end.W[rising], axis=1)[:, None]
    # 1 - cos as half the square of the distance, which does not cancel.
    apart = (np.linalg.norm(W[:, None] - W[None], axis=2)**2 / 2).max()
    return {"scale": scale, "half": half, "apart": apart}


def judge_time(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    x = np.log(1 / column(results, "scale"))
    found = float(np.polyfit(x, column(results, "half"), 1)[0]) * _norm()
    return Verdict(abs(found - 1) < 2e-3, f"slope {found:.5f} $/ |D^*|$")


def _norm() -> float:
    data = gflow.datasets.three_points()
    return float(np.linalg.norm(data.y @ data.X / data.n))


def draw_time(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    x, half = np.log(1 / column(results, "scale")), column(results, "half")
    ax.plot(x, half, "ko", fillstyle="none", label="half of the growth")
    ax.plot(x, half[0] + (x - x[0]) / _norm(), "k--", label="slope 1 / |D*|")
    ax.set(xlabel="ln(1 / lambda)", ylabel="flow time")
    ax.legend()


def judge_bundle(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    kept = [r for r in results if r["apart"] > 1e-26]
    found = slope(column(kept, "scale"), column(kept, "apart"))
    return Verdict(abs(found - 2) < 0.05, f"slope {found:.4f}")


def draw_bundle(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    scale, apart = column(results, "scale"), column(results, "apart")
    ax.loglog(scale, apart, "ko", fillstyle="none", label="1 - cos in the bundle")
    ax.loglog(scale, apart[0] * (scale / scale[0])**2, "k--", label="slope 2")
    ax.set(xlabel="lambda", ylabel="1 - cos")
    ax.legend()


CHECKS = [
    Check(id="EA-C5", title="the spurious limit is the least squares fit",
          source=f"{PAPER}, Theorem 2", tag=PROVED,
          statement="For any width and a small scale the flow does not interpolate the three "
                    "points: it converges to their least squares fit.",
          setting=f"{SETTING} $m = 4 ... 10,000$, $lambda = 1e-2 ... 1e-4$, $t = 4000$, rtol "
                  "1e-10.",
          assumptions="The scale below which the theorem holds is not explicit there.",
          prediction=f"loss {LIMIT:.11f}", rule="loss within 1e-8, outputs within 1e-4",
          cases=limit_cases, measure=limit, judge=judge_limit, draw=draw_limit),
    Check(id="EA-C6", title="time of the growth",
          source=f"{PAPER}, Lemmas 4 and 5", tag=PROVED,
          statement="The group of aligned neurons grows at the time $ln(1/lambda) / |D^*| + O(1)$.",
          setting=f"{SETTING} 40 neurons, the same start at $lambda = 1e-2 ... 1e-12$.",
          prediction="slope $1 / |D^*| = 1.39866$ in $ln(1/lambda)$", rule="slope within 0.2%",
          cases=growth_cases, measure=growth, judge=judge_time, draw=draw_time),
    Check(id="EA-C7", title="neurons of a group stay a bundle",
          source="pairwise invariants of neurons of one pattern", tag=DERIVED,
          statement="While two neurons share their pattern $(1 - cos) |a_i a_j|$ is conserved, so "
                    "that after growth from $lambda$ to 1 the angles of a group are of order "
                    "$lambda$.",
          setting=f"{SETTING} 40 neurons, the same start at $lambda = 1e-2 ... 1e-12$.",
          prediction="$1 - cos$ of order $lambda^2$",
          rule="slope within 0.05 of 2 where $1 - cos$ is above 1e-26",
          cases=growth_cases, measure=growth, judge=judge_bundle, draw=draw_bundle),
]
