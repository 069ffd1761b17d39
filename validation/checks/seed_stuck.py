"""S5: a certificate that the limit is stuck, although the loss could still fall."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from .. import runs
from ..check import PROVED, Case, Check, Result, Verdict, column
from .seed_concentration import NOISE, PAPER
from .seed_extremal import MARGIN, MARGIN_ASSUMED

D, SCALE, T = 3, 1e-4, 1e5
ALLOWED = 1e-8
"""Rates below this are those of a run that has not quite ended."""


def cases(quick: bool) -> list[Case]:
    return [{"n": n, "seed": seed} for n in (40, 100, 250) for seed in range(2 if quick else 10)]


def measure(n: int, seed: int, rng: Any) -> Result:
    data = gflow.datasets.linear_teacher(n, D, noise=NOISE, margin=MARGIN, rng=rng)
    model = gflow.init.balanced(30, D, SCALE, rng=rng)
    flow = runs.integrate(model, data, T, method="waveform", rtol=1e-9, threads=1,
                          t_eval=[0.0, T], stop=lambda state: state.t > 100
                          and state.grad_norm < 1e-10)
    end = flow.model
    r = data.y - end(data.X)
    # What a neuron that is too small to matter feels: the field at the labels y = r.
    seen = gflow.Data(data.X, r)
    fields = gflow.theory.alignment_field(end.W, seen)
    active = (flow.pattern(flow.t_end) != 0).any(axis=1)
    live = active & (np.abs(end.a) > np.sqrt(SCALE))
    dormant = ~live
    size = np.linalg.norm(end.W, axis=1)
    # d ln|a| / dt in units of the field: positive if the neuron would grow.
    growth = np.sign(end.a) * (end.W * fields).sum(axis=1) / np.where(size > 0, size, 1.0)
    vectors = gflow.theory.extremal_vectors(seen)
    growing = ((vectors.kind == "max") & (vectors.value > ALLOWED)
               | (vectors.kind == "min") & (vectors.value < -ALLOWED))
    best = int(np.argmax(np.where(growing, np.abs(vectors.value), -1.0)))
    fastest = np.abs(vectors.value[best])
    return {"n": n, "live": live.sum(), "rest": np.linalg.norm(fields[live], axis=1).max(),
            "dormant": dormant.sum(), "dead": (~active).sum(),
            "growth": growth[dormant].max(initial=-fastest),
            "directions": growing.sum(), "fastest": fastest,
            "loss": end.loss(data), "after": _with_one_more(end, data, vectors.w[best], np.sign(
                vectors.value[best]))}


def _with_one_more(end: gflow.TwoLayerReLU, data: gflow.Data, w: np.ndarray, sign: float) -> float:
    """Loss after training goes on with one more neuron, on a growth direction."""
    model = gflow.TwoLayerReLU(np.append(end.a, sign * SCALE), np.vstack([end.W, SCALE * w]))
    flow = runs.integrate(model, data, T, method="waveform", rtol=1e-7, threads=1,
                          t_eval=[0.0, T],
                          stop=[gflow.stop.converged(), runs.processor_time(60.0)])
    return float(flow.loss[-1])


def judge(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    rest, growth = column(results, "rest").max(), column(results, "growth").max()
    directions = column(results, "directions")
    fall = 1 - column(results, "after") / column(results, "loss")
    good = (rest < ALLOWED and growth < ALLOWED and (directions > 0).all()
            and (fall > 1e-4).all())
    return Verdict(bool(good), f"live neurons: $|D|$ at most {rest:.1e}; dormant ones grow at most "
                   f"at {growth:.1e}; {directions.min():.0f} to {directions.max():.0f} directions "
                   f"of growth, all empty; a neuron put on one lowers the loss by "
                   f"{100 * fall.min():.2g}% to {100 * fall.max():.2g}%",
                   f"{column(results, 'dead').sum():.0f} of "
                   f"{column(results, 'dormant').sum():.0f} dormant neurons are dead.")


def draw(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    n = column(results, "n") * np.exp(0.1 * np.linspace(-1, 1, len(results)))
    ax.loglog(n, np.maximum(column(results, "rest"), 1e-18), "ko", fillstyle="none",
              label="|D| at a live neuron")
    ax.loglog(n, np.maximum(column(results, "growth"), 1e-18), "kx",
              label="growth rate of a dormant one (at least 1e-18)")
    ax.loglog(n, column(results, "fastest"), "k^", label="growth rate in an empty cell")
    ax.axhline(ALLOWED, color="k", ls="--", label="allowed for neurons")
    ax.set(xlabel="n (data sets side by side)", ylabel="rate")
    ax.legend(fontsize=8)


CHECKS = [
    Check(id="S5", title="the limit is stuck",
          source=f"{PAPER}, main theorem; omnidirectionality in Early alignment", tag=PROVED,
          statement="At the limit every live neuron has $D_j = 0$, and no dormant one grows: "
                    "$sgn(a) <w, D_u> <= 0$. Other cells have directions of growth, but contain no "
                    "neuron.",
          setting="As S3: $d = 3$, $m = 30$, noise 0.5, $|x.beta| >= 0.4 |x|$, $lambda = 1e-4$, $n "
                  "= 40$, 100, 250. The extremal vectors at the final residuals are listed. Then "
                  "one neuron of size $lambda$ is put on the fastest growth direction and training "
                  "goes on.",
          assumptions=f"{MARGIN_ASSUMED} A neuron counts as live if it is active and $|a| > "
                      "sqrt(lambda)$. The list of growth directions has no Morse certificate: the "
                      "field vanishes on the cells of the limit, which makes the residuals "
                      "degenerate labels.",
          prediction="no neuron moves, directions of growth exist, and the added neuron escapes",
          rule="$|D|$ of live neurons and growth rates of dormant ones below 1e-8; a direction of "
               "growth on every data set; there the loss falls by at least 1e-4 of itself",
          cases=cases, measure=measure, judge=judge, draw=draw),
]
