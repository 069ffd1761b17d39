"""CEL-F1: the published figure of learning one neuron, at reduced size."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from .. import runs
from ..check import CONJECTURED, Case, Check, Result, Verdict, column, slope
from .one_neuron_ends import PAPER, widest

SCHEMES = [(centred, cone) for cone in (False, True) for centred in (True, False)]


def cases(quick: bool) -> list[Case]:
    powers = (-1, 6, 8, 10) if quick else (-2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    return [{"d": d, "centred": centred, "cone": cone, "seed": seed, "power": power}
            for d in ((4, 8) if quick else (4, 8, 16)) for centred, cone in SCHEMES
            for seed in range(3 if quick else 5) for power in powers]


def measure(d: int, centred: bool, cone: bool, seed: int, power: int, rng: Any) -> Result:
    # The same data and start at every scale.
    fixed = np.random.default_rng([seed, d])
    data = gflow.datasets.one_neuron(d, d, fixed, centred=centred, cone=cone)
    model = gflow.init.balanced(50, d, 4.0**-power, fixed, scaling="1/sqrt(m*d)")
    flow = runs.integrate(model, data, 1e5, method="waveform", rtol=1e-7, threads=1,
                          t_eval=[0.0], certify=False, stop=gflow.stop.loss_below(5e-10))
    on = (flow.pattern(flow.t_end) == 1).any(axis=1)
    return {"scale": 4.0**-power, "angle": widest(flow.model.W[on]) if on.any() else np.nan,
            "whole": float(flow.status == "loss_below")}


def medians(cases: Sequence[Case], results: Sequence[Result]) -> dict[Any, np.ndarray]:
    """For (d, centred, cone): scales and medians over seeds of the angle, (S, 2)."""
    table = {}
    for key in dict.fromkeys((c["d"], c["centred"], c["cone"]) for c in cases):
        own = [r for c, r in zip(cases, results) if (c["d"], c["centred"], c["cone"]) == key]
        scale, angle = column(own, "scale"), column(own, "angle")
        table[key] = np.array([[s, np.nanmedian(angle[scale == s])] for s in np.unique(scale)])
    return table


def judge(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    table = medians(cases, results)
    found = {key: slope(*line[:3].T) for key, line in table.items()}
    inside = [s for (_, _, cone), s in found.items() if cone]
    outside = [s for (_, _, cone), s in found.items() if not cone]
    whole = int(column(results, "whole").sum())
    words = ", ".join(f"{s:.3f}" for s in outside)
    return Verdict(bool(max(abs(s - 1) for s in inside) < 0.1),
                   f"points within pi/4: slopes {min(inside):.4f} to {max(inside):.4f}; data as "
                   f"published: {words}",
                   f"{whole} of {len(results)} runs reach L < 5e-10 by t = 1e5.")


def draw(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    for (d, centred, cone), line in medians(cases, results).items():
        if cone:
            continue
        ax.loglog(line[:, 0], line[:, 1], "k" + ("-" if centred else "--"),
                  marker={4: "o", 8: "s", 16: "^"}[d], fillstyle="none", ms=5, lw=0.8,
                  label=f"d = {d}, {'centred' if centred else 'uncentred'}")
    grid = np.array([4.0**-10, 4.0**-6])
    ax.loglog(grid, 100 * grid, "k:", lw=2, label="slope 1")
    ax.set(xlabel="lambda", ylabel="largest angle of two active neurons (median)")
    ax.set_title("data as published, not restricted to a cone", fontsize=10)
    ax.legend(fontsize=8)


CHECKS = [
    Check(id="CEL-F1", title="angles at the end against the scale of the start",
          source=f"{PAPER}, Figure 1", tag=CONJECTURED,
          statement="The largest angle between two neurons that are active at the end falls in "
                    "proportion to $lambda$.",
          setting="$n = d = 4, 8, 16$ (there: up to 1024), 50 neurons (200), $lambda = 4^2 ... "
                  "4^-10$ ($4^-13$), $z ~ N(0, I/(d m))$, centred and uncentred data as published, "
                  "and drawn again until within $pi/4$ of the teacher; until $L < 5e-10$ or $t = "
                  "1e5$; median of 5.",
          assumptions="The published data may have points beyond $pi/4$, where the theorem says "
                      "nothing, and points of label 0, on which a neuron can be active without "
                      "being trained.",
          prediction="slope 1 at small $lambda$",
          rule="slope of the median at the three smallest scales within 0.1, for points within "
               "$pi/4$; the slopes for the data as published are reported",
          cases=cases, measure=measure, judge=judge, draw=draw),
]
