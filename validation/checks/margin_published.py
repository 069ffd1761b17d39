"""M5: published settings with the logistic loss, to their own time."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from .. import runs
from ..check import DERIVED, Case, Check, Result, Verdict


def cases(quick: bool) -> list[Case]:
    return [{"name": name} for name in (("W6", "W6b", "W6c") if quick else
                                        ("W6", "W6b", "W6c", "W7", "W7b"))]


def measure(name: str, rng: Any) -> Result:
    setting = gflow.experiments.published[name]
    model, data = setting.problem("full", 0)
    flow = runs.integrate(model, data, setting.t_max, loss="logistic", rtol=1e-6, threads=1,
                          certify=model.m < 100)
    net = flow.model
    # By sign and norm: the four neurons of W6 come in any order.
    order = np.lexsort((np.abs(net.a), net.a > 0))
    rows = np.column_stack([net.a, np.sort(np.abs(net.W), axis=1)])[order]
    return {"t_end": flow.t_end, "wanted": setting.t_max, "loss": flow.loss[-1],
            "least": float((data.y * net(data.X)).min()), "events": len(flow.events),
            "rows": rows if model.m < 100 else np.empty((0, 3)),
            "residual": flow.kkt().residual if model.m < 100 else np.nan,
            "t": flow.t, "curve": flow.log_loss, "wall": flow.stats["wall_time"]}


def judge(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    small = [r for r in results if len(r["rows"])]
    apart = max(float(np.abs(r["rows"] / small[0]["rows"] - 1)[:, [0, 2]].max()) for r in small)
    good = (all(r["t_end"] == r["wanted"] and r["least"] > 0 for r in results) and apart < 0.05
            and all(r["residual"] < 1e-3 for r in small))
    losses = ", ".join(f"{case['name']} {r['loss']:.3g}" for case, r in zip(cases, results))
    return Verdict(bool(good), f"losses {losses}; the networks of W6 differ by {apart:.1e}, "
                   f"directions from KKT by {max(r['residual'] for r in small):.1e}; all points "
                   "are separated")


def draw(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    for case, r in zip(cases, results):
        ax.semilogx(r["t"][1:], r["curve"][1:], label=case["name"])
    ax.set(xlabel="t", ylabel="log L")
    ax.legend()


CHECKS = [
    Check(id="M5", title="published settings with the logistic loss, to their own time",
          source="Tsoy and Konstantinov, Simplicity bias of two-layer networks beyond linearly "
                 "separable data, arXiv:2405.17299 (code seen)", tag=DERIVED,
          statement="Four neurons of different scales are learnt one after another, in three "
                    "orders, and end at one network, up to the symmetries of the data.",
          setting="W6, W6b, W6c at full size to $t = 7.93e11$ (in full also W7, W7b, 4096 neurons, "
                  "to $t = 512$); rtol 1e-6.",
          prediction="one network, which satisfies the KKT conditions of the largest margin",
          rule="published times are reached, all points separated; weights of W6 within 5% of each "
               "other, directions within 1e-3 of KKT",
          cases=cases, measure=measure, judge=judge, draw=draw),
]
