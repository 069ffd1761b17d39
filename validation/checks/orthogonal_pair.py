"""O1: two orthogonal points are fitted one after the other."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from .. import runs
from ..check import PROVED, Case, Check, Result, Verdict, column

PAPER = ("Boursier, Pillaud-Vivien and Flammarion, Gradient flow dynamics of shallow ReLU networks "
         "for square loss and orthogonal inputs, 2022, arXiv:2206.00939")
SIGNS = (1.0, -1.0)


def cases(quick: bool) -> list[Case]:
    return [{"seed": seed, "power": power} for seed in range(1 if quick else 5)
            for power in ((4, 8, 12) if quick else (2, 4, 6, 8, 12, 16, 32, 64))]


def rates(data: gflow.Data) -> list[float]:
    """|D_+| and |D_-|, the sizes of (1/n) sum y x over the points of each sign."""
    return [float(np.linalg.norm((data.y * (s * data.y > 0)) @ data.X / data.n)) for s in SIGNS]


def norms(data: gflow.Data) -> list[float]:
    """Least sum of a^2 that fits the points of each sign: sqrt(sum y^2 / |x|^2)."""
    size = (data.X**2).sum(axis=1)
    return [float(np.sqrt((data.y**2 / size)[s * data.y > 0].sum())) for s in SIGNS]


def measure(seed: int, power: int, rng: Any) -> Result:
    scale = 10.0**-power
    data = gflow.datasets.orthogonal()
    # The same start at every scale.
    model = gflow.init.balanced(60, 2, 1.0, rng=seed)
    clock = np.log(1 / scale)
    flow = runs.integrate(gflow.TwoLayerReLU(scale * model.a, scale * model.W), data,
                          clock / min(rates(data)) + 40.0, method="waveform", rtol=1e-10,
                          threads=1)
    # A jump is where the loss is half way between two plateaus.
    plateaus = [float(data.y[s * data.y > 0] @ data.y[s * data.y > 0]) / 4 for s in SIGNS]
    t = np.linspace(0.0, flow.t_end, 4001)
    loss = np.array([net.loss(data) for net in flow(t)])
    times = []
    for level in (plateaus[1] + plateaus[0] / 2, plateaus[1] / 2):
        k = int(np.argmax(loss < level))
        times.append(float(np.interp(-level, -loss[k - 1:k + 1], t[k - 1:k + 1])))
    a = flow.model.a
    return {"clock": clock, "times": times, "squares": [(a[s * a > 0]**2).sum() for s in SIGNS],
            "loss": flow.model.loss(data)}


def slopes(cases: Sequence[Case], results: Sequence[Result]) -> np.ndarray:
    """Slopes of both jump times in ln(1/lambda), times |D|, for every start: (S, 2)."""
    found = []
    for seed in dict.fromkeys(case["seed"] for case in cases):
        own = [r for case, r in zip(cases, results) if case["seed"] == seed]
        line = np.polyfit(column(own, "clock"), column(own, "times"), 1)[0]
        found.append(line * rates(gflow.datasets.orthogonal()))
    return np.array(found)


def judge(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    off = np.abs(slopes(cases, results) - 1).max()
    wanted = np.array(norms(gflow.datasets.orthogonal()))
    small = [r for r in results if r["clock"] > np.log(1e4) - 1e-9]
    squares = np.abs(column(small, "squares") / wanted - 1).max()
    loss = column(results, "loss").max()
    return Verdict(bool(off < 2e-3 and squares < 1e-4 and loss < 1e-15),
                   f"slopes within {100 * off:.1g}% of $1/|D|$, $sum a^2$ of each sign within "
                   f"{squares:.1e}, loss at most {loss:.1e}")


def draw(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    clock = column(results, "clock")
    for k, (mark, sign) in enumerate(zip("os", "+-")):
        found = column(results, "times")[:, k]
        rate = rates(gflow.datasets.orthogonal())[k]
        ax.plot(clock, found, "k" + mark, fillstyle="none", label=f"jump of the y {sign} point")
        first = int(clock.argmin())
        ax.plot(clock, found[first] + (clock - clock[first]) / rate, "k--" if k else "k:", lw=1,
                label=f"slope 1/|D_{sign}| = {1 / rate:.4f}")
    ax.set(xlabel="ln(1/lambda)", ylabel="flow time")
    ax.legend(fontsize=8)


CHECKS = [
    Check(id="O1", title="orthogonal pair: one jump for each sign", source=PAPER, tag=PROVED,
          statement="From a small balanced start positive neurons align with $D_+$ and fit the "
                    "positive points at the time $ln(1/lambda)/|D_+| + O(1)$, negative ones $D_-$ "
                    "and the others; the limit interpolates with the least norm: $sum a^2$ is "
                    "$sqrt(sum y^2/|x|^2)$ over the points of each sign.",
          setting="The published pair $x = -0.5, 2$ with a bias, $y = -1, 1$; 60 neurons, "
                  "balanced, $lambda = 1e-2 ... 1e-64$, the same start at every scale.",
          assumptions="The paper's condition on the start (some neuron of each sign active on all "
                      "points of that sign) holds with 60 neurons.",
          prediction="slopes $1/1.1180$ and $1/0.5590$; $sum a^2 = 0.447214$ and 0.894427; $L = 0$",
          rule="slopes within 0.2%; sums within 1e-4 for $lambda <= 1e-4$; $L < 1e-15$",
          cases=cases, measure=measure, judge=judge, draw=draw),
]
