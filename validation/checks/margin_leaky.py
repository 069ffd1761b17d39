"""M6 and M7: limits of leaky networks on the logistic and the exponential loss."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from .. import runs
from ..check import PROVED, Case, Check, Result, Verdict, column

LOSSES = ("logistic", "exponential")
SLOPES = (0.1, 0.5)


def leaky(model: gflow.TwoLayerReLU, slope: float) -> gflow.TwoLayerReLU:
    return gflow.TwoLayerReLU(model.a, model.W, slope=slope)


def sines(W: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Of the angles between rows; 1 beyond a right one."""
    lengths = np.sqrt((W**2).sum(axis=1) * (wanted**2).sum(axis=1))
    cosine = np.clip((W * wanted).sum(axis=1) / lengths, 0.0, 1.0)
    return np.asarray(np.sqrt(1 - cosine**2))


def mirror_cases(quick: bool) -> list[Case]:
    return [{"loss": loss, "slope": slope, "seed": seed} for loss in LOSSES for slope in SLOPES
            for seed in range(2 if quick else 10)]


def mirrored(loss: str, slope: float, seed: int, rng: Any) -> Result:
    # The same problem for all losses and slopes.
    rng = np.random.default_rng(seed)
    d = 2 + seed % 3
    half, teacher = rng.standard_normal((4, d)), rng.standard_normal(d)
    y = np.where(half @ teacher > 0, 1.0, -1.0)
    data = gflow.Data(np.concatenate([half, -half]), np.concatenate([y, -y]))
    limit = gflow.theory.linear_margin(data, slope)
    model = leaky(gflow.init.balanced(8, d, 1e-6, rng=rng), slope)
    flow = runs.integrate(model, data, 1e300, loss=loss, rtol=1e-9)
    net = flow.model
    total = (np.abs(net.a)[:, None] * net.W * np.sign(net.a)[:, None]).sum(axis=0)
    positive = (net.a[net.a > 0]**2).sum() / (net.a**2).sum()
    margin = flow.margin()
    early = int(np.searchsorted(flow.t, 1e150))
    return {"sine": sines(total[None], limit.direction[None])[0], "share": positive,
            "margin": margin.hard[-1] / limit.margin - 1,
            "before": margin.hard[early] / limit.margin - 1, "symmetric": limit.symmetric,
            "both": bool((model.a > 0).any() and (model.a < 0).any()),
            "log_t": flow.log_t, "hard": margin.hard / limit.margin}


def judge_mirrored(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    sine, off = column(results, "sine").max(), np.abs(column(results, "margin")).max()
    share = np.abs(column(results, "share") - 0.5).max()
    nearer = (np.abs(column(results, "margin")) < np.abs(column(results, "before"))).all()
    good = (sine < 0.05 and off < 0.005 and share < 0.01 and nearer
            and all(r["symmetric"] and r["both"] for r in results))
    return Verdict(bool(good), f"sine to the linear direction at most {sine:.1e}, margin within "
                   f"{100 * off:.2g}%, share of a sign off by {share:.1e}; {len(results)} runs")


def draw_mirrored(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    for r in results:
        late = r["hard"] > 0
        ax.plot(r["log_t"][late] / np.log(10), r["hard"][late], "-")
    ax.axhline(1.0, color="k", ls=":")
    ax.set(xlabel="log10 t", ylabel="margin over that of the limit", ylim=(0.0, 1.1))


def near_cases(quick: bool) -> list[Case]:
    return [{"loss": loss, "slope": slope, "seed": seed} for loss in LOSSES for slope in (0.5, 0.8)
            for seed in range(2 if quick else 10)]


def nearly(loss: str, slope: float, seed: int, rng: Any) -> Result:
    rng = np.random.default_rng(seed)
    n, d, m = 8, 12, 10
    y = np.append([-1.0, 1.0], rng.choice([-1.0, 1.0], n - 2))
    X = np.linalg.qr(rng.standard_normal((d, n)))[0].T + 3e-4 * rng.standard_normal((n, d))
    data = gflow.Data(X, y)
    a = np.where(np.arange(m) < 4, 1.0, -1.0) / m**0.5
    limit = gflow.theory.nearly_orthogonal(data, a, slope)
    W = 1e-3 * rng.standard_normal((m, d)) / d**0.5
    flow = runs.integrate(gflow.TwoLayerReLU(a, W, slope=slope), data, 1e100, loss=loss,
                          rates=(0, 1), rtol=1e-9)
    net, margin = flow.model, flow.margin()
    wanted = np.where(a[:, None] > 0, limit.positive, limit.negative)
    values = np.linalg.svd(net.W, compute_uv=False)
    points = rng.standard_normal((1000, d))
    linear = points @ (a[a > 0] @ a[a > 0] * limit.positive - a[a < 0] @ a[a < 0] * limit.negative)
    late = margin.smoothed[flow.t >= margin.since]
    return {"near": limit.near, "third": values[2] / values[0], "sine": sines(net.W, wanted).max(),
            "apart": np.ptp(margin.points[-1]) / margin.hard[-1],
            "margin": margin.hard[-1] / limit.margin - 1, "step": (np.diff(late) / late[1:]).min(),
            "same": float((np.sign(net(points)) == np.sign(linear)).mean()),
            "support": int(flow.kkt().support.sum()), "log_t": flow.log_t, "points": margin.points}


def judge_nearly(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    third, sine = column(results, "third").max(), column(results, "sine").max()
    apart, off = column(results, "apart").max(), np.abs(column(results, "margin")).max()
    same, step = column(results, "same").min(), column(results, "step").min()
    good = (third < 1e-4 and sine < 0.01 and apart < 0.02 and off < 0.01 and same > 0.99
            and step > -1e-9 and all(r["near"] >= 1 and r["support"] == 8 for r in results))
    return Verdict(bool(good), f"third singular value {third:.1e} of the first, sines to the two "
                   f"directions {sine:.1e}, margins of points within {100 * apart:.2g}% of each "
                   f"other and {100 * off:.2g}% of the limit, {100 * same:.1f}% of new points on "
                   f"the side of the linear classifier; {len(results)} runs")


def draw_nearly(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    late = results[0]["log_t"] > 0
    ax.plot(results[0]["log_t"][late] / np.log(10), results[0]["points"][late], "-")
    ax.set(xlabel="log10 t", ylabel="margin of a point / |W|")


CHECKS = [
    Check(id="M6", title="symmetric data and a leak: the largest linear margin",
          source="Lyu, Li, Wang and Arora, Gradient descent on two-layer nets: margin maximization "
                 "and simplicity bias, NeurIPS 2021, Theorem 4.3", tag=PROVED,
          statement="On separable data with $(-x, -y)$ for every $(x, y)$ small starts end at the "
                    "largest linear margin, which is the largest of all networks; both signs have "
                    "the same share.",
          setting="4 Gaussian points with the labels of a half-space and their opposites, "
                  "dimensions 2 to 4, slopes 0.1 and 0.5, 8 neurons, balanced start of scale 1e-6, "
                  "to $t = 1e300$, rtol 1e-9.",
          prediction="direction $v$, margin $(1 + s) / (4 |v|)$ for a slope $s$, share 1/2",
          rule="sine below 0.05, margin within 0.5% and nearer than at $t = 1e150$, share within "
               "0.01",
          cases=mirror_cases, measure=mirrored, judge=judge_mirrored, draw=draw_mirrored),
    Check(id="M7", title="nearly orthogonal data and a leak: rank two, equal margins",
          source="Frei, Vardi, Bartlett, Srebro and Hu, Implicit bias in leaky ReLU networks "
                 "trained on high-dimensional data, ICLR 2023, Theorem 3.2", tag=PROVED,
          statement="With fixed output weights $W$ ends with rank two, all points have the same "
                    "margin, and the boundary is that of a linear classifier; the margin never "
                    "falls (Lyu and Li).",
          setting="8 points in dimension 12, orthonormal but for 3e-4, inside the condition; 4 and "
                  "6 neurons of either sign, slopes 0.5 and 0.8, to $t = 1e100$, rtol 1e-9.",
          prediction="the two directions and the margin of the linear system of "
                     "gflow.theory.nearly_orthogonal",
          rule="third singular value below 1e-4, sines below 0.01, margins within 1%, of points "
               "within 2%; all support; 99% of new points on the same side; no step down of 1e-9",
          cases=near_cases, measure=nearly, judge=judge_nearly, draw=draw_nearly),
]
