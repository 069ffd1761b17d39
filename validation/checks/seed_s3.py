"""S3: with many noisy samples the network ends at two least squares fits."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from .. import runs
from ..check import PROVED, Case, Check, Result, Verdict, column
from .seed_extremal import MARGIN, MARGIN_ASSUMED


def cases(quick: bool) -> list[Case]:
    return [{"n": n, "seed": seed} for n in (40, 100, 250) for seed in range(1 if quick else 10)]


def measure(n: int, seed: int, rng: Any) -> Result:
    data = gflow.datasets.linear_teacher(n, 3, noise=0.5, margin=MARGIN, rng=rng)
    model = gflow.init.balanced(30, 3, 1e-4, rng=rng)
    flow = runs.integrate(model, data, 1e5, method="waveform", rtol=1e-9, threads=1,
                          t_eval=[0.0, 1e5],
                          stop=lambda state: state.t > 100 and state.grad_norm < 1e-10)
    fit = gflow.theory.two_cone_least_squares(data)
    return {"n": n, "off": np.abs(flow.model(data.X) - fit(data.X)).max(), "t": flow.t_end}


def judge(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    off = column(results, "off")
    return Verdict(bool((off < 1e-6).all()),
                   f"{(off < 1e-6).sum()} of {off.size} runs, largest difference {off.max():.1e}")


def draw(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    ax.loglog(column(results, "n"), np.maximum(column(results, "off"), 1e-16), "ko",
              fillstyle="none")
    ax.axhline(1e-6, color="k", ls="--", label="allowed")
    ax.set(xlabel="n", ylabel="largest |h - h2| on the points")
    ax.legend()


CHECKS = [
    Check(id="S3", title="the end state is the two-cone least squares fit",
          source="Boursier and Flammarion, Simplicity bias and optimization threshold, 2024, main "
                 "theorem (constants not seen)", tag=PROVED,
          statement="With many samples of a linear teacher and a small start the network converges "
                    "to one least squares fit on each of two cones, where its two groups of "
                    "neurons are active; it does not interpolate.",
          setting="$d = 3$, $m = 30$, noise 0.5, $|x.beta| >= 0.4 |x|$, $lambda = 1e-4$, $n = 40, "
                  "100$, 250, ten seeds, until the gradient is below 1e-10.",
          assumptions=f"{MARGIN_ASSUMED} Its $n$ of order $d^3 log d$ and $lambda$ of order $1/d$ "
                      "have unknown constants.",
          prediction="h = two-cone fit", rule="largest difference on the points below 1e-6 in "
          "every run", cases=cases, measure=measure, judge=judge, draw=draw),
]
