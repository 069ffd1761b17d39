"""O-J: on orthogonal data training jumps from saddle to saddle, at times known in advance."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from .. import runs
from ..check import CONJECTURED, Case, Check, Result, Verdict, column

POWERS = (8, 16, 32, 64)


def cases(quick: bool) -> list[Case]:
    return [{"seed": seed, "power": power} for seed in ((3,) if quick else (3, 5, 7, 9))
            for power in POWERS]


def measure(seed: int, power: int, rng: Any) -> Result:
    # The same data and start at every scale.
    fixed = np.random.default_rng(seed)
    data = gflow.datasets.orthogonal(8, rng=fixed)
    model = gflow.init.balanced(5, 8, 1.0, rng=fixed)
    process = gflow.theory.jump_process(model, data)
    scale = 10.0**-power
    clock = np.log(1 / scale)
    t_max = 1.3 * clock * float(process.times[-1]) + 60.0
    flow = runs.integrate(gflow.TwoLayerReLU(scale * model.a, scale * model.W), data, t_max,
                          method="waveform", rtol=1e-9, threads=1)
    t = np.linspace(0.0, t_max, 20001)
    loss = np.concatenate([[m.loss(data) for m in flow(part)] for part in np.split(t[:-1], 40)])
    # A jump is where the loss is half way between two plateaus.
    half = (process.losses[1:] + process.losses[:-1]) / 2
    times = [float(t[np.argmax(loss < level)]) / clock for level in half]
    return {"clock": clock, "times": times, "predicted": process.times,
            "squares": (flow.model.a**2).sum(), "wanted": process.squares[-1]}


def extrapolated(cases: Sequence[Case], results: Sequence[Result]) -> list[tuple[float, float]]:
    """Jump times at 1 / ln(1/lambda) = 0 on the line through those of all scales, and predicted."""
    pairs = []
    for seed in dict.fromkeys(case["seed"] for case in cases):
        own = [r for case, r in zip(cases, results) if case["seed"] == seed]
        x = 1 / column(own, "clock")
        for j, wanted in enumerate(own[0]["predicted"]):
            line = np.polyfit(x, [r["times"][j] for r in own], 1)
            pairs.append((float(line[1]), float(wanted)))
    return pairs


def judge(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    off = max(abs(found / wanted - 1) for found, wanted in extrapolated(cases, results))
    last = [r for case, r in zip(cases, results) if case["power"] == POWERS[-1]]
    squares = max(abs(float(r["squares"]) / float(r["wanted"]) - 1) for r in last)
    return Verdict(off < 0.01 and squares < 1e-4,
                   f"times within {100 * off:.2g}%, $sum a^2$ within {squares:.1e}")


def draw(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    for r in results:
        ax.plot(np.full(len(r["times"]), 1 / r["clock"]), r["times"], "ko", fillstyle="none", ms=4)
    for _, wanted in extrapolated(cases, results):
        ax.plot(0.0, wanted, "k*", ms=9)
    ax.set(xlabel="1 / ln(1/lambda)", ylabel="jump time / ln(1/lambda)", xlim=(-0.002, None))
    ax.set_title("stars: predicted", fontsize=10)


CHECKS = [
    Check(id="O-J", title="jump times on orthogonal data",
          source="Boursier, Pillaud-Vivien and Flammarion, 2022, arXiv:2206.00939; Town et al., "
                 "2026, arXiv:2605.27097 (abstracts seen)", tag=CONJECTURED,
          statement="As $lambda$ tends to 0 the flow on orthogonal data tends, in the time "
                    "$t / ln(1/lambda)$, to a jump process from saddle to saddle.",
          setting="8 orthogonal points, 5 neurons, $lambda = 1e-8 ... 1e-64$.",
          assumptions="Jumps that are close together merge at any scale one can reach.",
          prediction="jump times of jump_process, with errors of order $1 / ln(1/lambda)$",
          rule="extrapolated times within 1%, sum of $a^2$ at 1e-64 within 1e-4",
          cases=cases, measure=measure, judge=judge, draw=draw),
]
