"""EA-C1, EA-C2, EA-C3: neurons turn before they grow, and how well they are aligned then."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from .. import runs
from ..check import DERIVED, PROVED, Case, Check, Result, Verdict, column, slope
from .ea_three_points import PAPER, start

EPS = 0.25
SETTING = ("Three points (see EA-C5), 40 neurons, one start at $lambda = 1e-2 ... 1e-12$, at the "
           "time $tau = eps ln(1/lambda) / Dmax$ with $eps = 0.25$.")


def cases(quick: bool) -> list[Case]:
    return [{"power": power} for power in ((3, 5, 8, 11) if quick else range(2, 13))]


def measure(power: int, rng: Any) -> Result:
    scale = 10.0**-power
    model, data = start(40, 1.0, np.random.default_rng(3))
    early = gflow.theory.early_flow(model, data)
    model = gflow.TwoLayerReLU(scale * model.a, scale * model.W)
    # All labels are positive: the largest field is that of all points.
    largest = float(np.linalg.norm(data.y @ data.X / data.n))
    tau = EPS * np.log(1 / scale) / largest
    flow = runs.integrate(model, data, tau, method="waveform", rtol=1e-12, threads=1)
    growth = np.abs(np.log(flow.a / model.a)).max() / (EPS * np.log(1 / scale))
    end, alive = flow.model, ~early.dead & (model.a > 0)
    D = early.D[alive]
    size = np.linalg.norm(D, axis=1)
    apart = end.W[alive] / end.a[alive, None] - D / size[:, None]
    # |D| - <D, w / a> without cancellation: |w| = |a| in a balanced neuron.
    off = (size * (apart**2).sum(axis=1) / 2).max()
    h = max(np.abs(m(data.X)).max() for m in (flow(float(t)) for t in flow.t))
    return {"scale": scale, "growth": growth, "off": off, "h": h, "largest": largest,
            "size": size.max()}


def judge_growth(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    small = column(results, "scale") <= 1e-3
    growth = column(results, "growth")
    return Verdict(bool((growth <= 2).all() and (growth[small] <= 1.02).all()),
                   f"at most {growth.max():.4f}")


def draw_growth(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    ax.semilogx(column(results, "scale"), column(results, "growth"), "ko", fillstyle="none")
    ax.axhline(2.0, color="k", ls="--", label="Theorem 1")
    ax.axhline(1.0, color="k", ls=":", label="fastest growth there is")
    ax.set(xlabel="lambda", ylabel="max |ln a(t)/a(0)| / (eps ln 1/lambda)", ylim=(0, 2.2))
    ax.legend()


def judge_off(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    kept = [r for r in results if r["scale"] < 3e-5]
    found = slope(column(kept, "scale"), column(kept, "off"))
    wanted = 2 * EPS * float(kept[0]["size"] / kept[0]["largest"])
    return Verdict(abs(found - wanted) < 0.02, f"slope {found:.4f}, predicted {wanted:.4f}")


def draw_off(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    scale, off = column(results, "scale"), column(results, "off")
    ratio = float(results[0]["size"] / results[0]["largest"])
    ax.loglog(scale, off, "ko", fillstyle="none")
    ax.loglog(scale, off[-1] * (scale / scale[-1])**(2 * EPS * ratio), "k--",
              label="slope 2 eps |D| / Dmax")
    # Its constant, about 1e50, does not fit into the figure.
    ax.loglog(scale, off.max() * (scale / scale.max())**(EPS * ratio), "k:",
              label="slope of the bound of Theorem 1")
    ax.set(xlabel="lambda", ylabel="|D| - <D, w/a> at tau")
    ax.legend()


def judge_h(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    kept = [r for r in results if r["scale"] < 3e-5]
    found = slope(column(kept, "scale"), column(kept, "h"))
    return Verdict(abs(found - (2 - 2 * EPS)) < 0.05, f"slope {found:.4f}")


def draw_h(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    scale, h = column(results, "scale"), column(results, "h")
    ax.loglog(scale, h, "ko", fillstyle="none")
    ax.loglog(scale, h[-1] * (scale / scale[-1])**(2 - 2 * EPS), "k--", label="slope 2 - 2 eps")
    ax.set(xlabel="lambda", ylabel="largest |h(x_k)| up to tau")
    ax.legend()


CHECKS = [
    Check(id="EA-C1", title="neurons hardly grow while they align",
          source=f"{PAPER}, Theorem 1 (i)", tag=PROVED,
          statement="Up to $tau$ every $|a_j|$ stays within $lambda^{-2 eps}$ and $lambda^{2 eps}$ "
                    "of its start.",
          setting=SETTING, assumptions="$lambda^*$ is 0.013 for these points and $eps = 0.25$.",
          prediction="$|ln a(t)/a(0)| / (eps ln 1/lambda)$ at most 2; at most 1 + small (derived)",
          rule="at most 2 always, at most 1.02 for $lambda <= 1e-3$",
          cases=cases, measure=measure, judge=judge_growth, draw=draw_growth),
    Check(id="EA-C2", title="misalignment at the end of the early phase",
          source=f"{PAPER}, Theorem 1 (ii); rate $2 |D|$ of the direction", tag=DERIVED,
          statement="$|D| - <D, w/a>$ at $tau$ is of order $lambda^{eps |D| / Dmax}$ at most "
                    "(proved there); it is of order $lambda^{2 eps |D| / Dmax}$ (derived here).",
          setting=SETTING, assumptions="The constant of the theorem, about 1e50, says nothing.",
          prediction="slope $2 eps |D| / Dmax$", rule="slope within 0.02 for $lambda <= 1e-5$",
          cases=cases, measure=measure, judge=judge_off, draw=draw_off),
    Check(id="EA-C3", title="the output stays small while neurons align",
          source=f"{PAPER}, proof of Theorem 1", tag=DERIVED,
          statement="$|h(x_k)|$ is at most of order $lambda^{2 - 4 eps}$ up to $tau$ (proved "
                    "there); for neurons that grow at the rate $Dmax$ it is of order $lambda^{2 - "
                    "2 eps}$ (derived here).",
          setting=SETTING, prediction="slope $2 - 2 eps = 1.5$",
          rule="slope within 0.05 for $lambda <= 1e-5$",
          cases=cases, measure=measure, judge=judge_h, draw=draw_h),
]
