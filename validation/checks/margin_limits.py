"""M0 to M4: flows on the logistic and the exponential loss, up to t = 1e300."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import expi

import gflow

from .. import runs
from ..check import DERIVED, PROVED, Case, Check, Result, Verdict, column

LOSSES = ("logistic", "exponential")
LYU_LI = ("Lyu and Li, Gradient descent maximizes the margin of homogeneous neural networks, ICLR "
          "2020, Theorem")
SEPARABLE = ("Phuong and Lampert, The inductive bias of ReLU networks on orthogonally separable "
             "data, ICLR 2021; Min, Mallada and Vidal, Early neuron alignment in two-layer ReLU "
             "networks with small initialization, ICLR 2024")
LATEST = 1e300


def log_ei(v: float) -> float:
    """Logarithm of the exponential integral."""
    if v < 40:
        return float(np.log(expi(v)))
    terms = np.cumprod(np.append(1.0, np.arange(1, 30) / v))
    return float(v - np.log(v) + np.log(terms.sum()))


def volume(t: float, loss: str, n: int) -> float:
    """``u = a |w| / sqrt(n)`` at a time, for the start 0.01 / sqrt(n)."""
    first = 0.01 / n**0.5

    def off(u: float) -> float:
        rest = (np.log(u / first) if loss == "logistic" else 0.0) - expi(first)
        if u < 1:
            return float(np.log(max(expi(u) + rest, 1e-300)) - np.log(2 * t / n**0.5))
        known = log_ei(u)
        return float(known + np.log1p(rest * np.exp(-known)) - np.log(2 * t / n**0.5))

    return float(brentq(off, first * (1 + 1e-12), 3000.0, xtol=1e-14, rtol=1e-15))


def exact_cases(quick: bool) -> list[Case]:
    return [{"loss": loss, "n": n, "method": method} for loss in LOSSES
            for n in ((1, 3) if quick else (1, 2, 3, 5, 9)) for method in ("waveform", "DOP853")]


def exact(loss: str, n: int, method: str, rng: Any) -> Result:
    t = np.array([1.0, 10.0, 1e3, 1e7, 1e11, 1e30, 1e100, LATEST])
    flow = runs.integrate(([0.1], 0.1 * np.ones((1, n)) / n**0.5), (np.eye(n), np.ones(n)), LATEST,
                          loss=loss, method=method, rtol=1e-11, t_eval=t, certify=False)
    found = flow.a[:, 0] * flow.norms[:, 0] / n**0.5
    known = np.array([volume(float(s), loss, n) for s in t])
    return {"t": t, "off": np.abs(found / known - 1), "seconds": flow.stats["wall_time"]}


def judge_exact(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    worst = max(float(r["off"].max()) for r in results)
    return Verdict(worst < 1e-9, f"off by {worst:.1e} at most, {len(results)} runs to t = 1e300")


def draw_exact(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    for r in results:
        ax.semilogy(np.log10(r["t"]), np.maximum(r["off"], 1e-16), "o-", ms=3)
    ax.axhline(1e-9, color="k", ls=":")
    ax.set(xlabel="log10 t", ylabel="relative error of a |w|")


def problem(seed: int, rng: Any) -> tuple[gflow.TwoLayerReLU, gflow.Data]:
    """A random problem that a network of this width can separate, and a start of some size."""
    d = 2 + seed % 3
    X = rng.standard_normal((8, d))
    y = np.where(X @ rng.standard_normal(d) > 0, 1.0, -1.0)
    return gflow.init.balanced(8, d, 0.5, rng=rng), gflow.Data(X, y)


def margin_cases(quick: bool) -> list[Case]:
    return [{"loss": loss, "seed": seed} for loss in LOSSES for seed in range(3 if quick else 20)]


def margins(loss: str, seed: int, rng: Any) -> Result:
    # The same problem for both losses.
    model, data = problem(seed, np.random.default_rng(seed))
    flow = runs.integrate(model, data, 1e100, loss=loss, rtol=1e-9)
    margin = flow.margin()
    late = flow.t >= margin.since
    steps = np.diff(margin.smoothed[late]) / margin.smoothed[late][1:]
    kkt = [flow.kkt(10.0**power) for power in (25, 100)] if late.any() else []
    size = (data.n * flow.loss[-1] < 1)
    return {"least": float(steps.min()) if steps.size else np.nan, "log_t": flow.log_t[late],
            "smoothed": margin.smoothed[late], "hard": margin.hard[late],
            "residual": [k.residual for k in kkt], "slack": [k.complementarity for k in kkt],
            "separated": bool(size)}


def separated(results: Sequence[Result]) -> list[Result]:
    """Those whose network separates the data in the end."""
    return [r for r in results if r["separated"]]


def judge_margins(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    some = separated(results)
    least = min(float(r["least"]) for r in some) if some else np.nan
    times = sum(r["log_t"].size for r in some)
    return Verdict(bool(len(some) > len(results) / 3 and least > -1e-9),
                   f"{len(some)} of {len(results)} runs separate their data; least relative step "
                   f"of the smoothed margin {least:.1e}, {times} times")


def draw_margins(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    for r in separated(results)[:4]:
        line, = ax.plot(r["log_t"] / np.log(10), r["smoothed"], "-")
        ax.plot(r["log_t"] / np.log(10), r["hard"], ":", color=line.get_color())
    ax.set(xlabel="log10 t", ylabel="margin / |theta|^2", title="smoothed (lines) and hard (dots)")


def judge_directions(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    some = separated(results)
    early, late = np.array([r["residual"] for r in some]).T
    slack = max(float(r["slack"][1]) for r in some)
    # |theta| grows like the root of log t: twice as long from 1e25 to 1e100.
    ratio = float(np.median(early / late))
    return Verdict(bool(late.max() < 0.1 and slack < 0.05 and ratio > 1.5),
                   f"residual at most {late.max():.1e} at t = 1e100, in the median {ratio:.2f} "
                   f"times smaller than at 1e25; complementarity at most {slack:.1e}; "
                   f"{len(some)} runs")


def draw_directions(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    for r in separated(results):
        ax.loglog([25, 100], r["residual"], "ko-", fillstyle="none")
    ax.set(xlabel="log10 t", ylabel="distance of the direction from KKT")


def cone_cases(quick: bool) -> list[Case]:
    return [{"loss": loss, "seed": seed, "d": 2 + seed % 4} for loss in LOSSES
            for seed in range(3 if quick else 20)]


def cones(loss: str, seed: int, d: int, rng: Any) -> Result:
    rng = np.random.default_rng(seed)
    y = np.append([-1.0, 1.0], rng.choice([-1.0, 1.0], 8))
    data = gflow.Data(y[:, None] * rng.uniform(0.1, 1.0, (10, d)), y)
    limit = gflow.theory.class_margins(data)
    # Wide enough for a neuron that sees each class, of its sign. "Small enough" in the theorem: a
    # neuron at an angle delta to the opposite of its class turns in a time log(1/delta), while
    # outputs stay small for log(1/scale), in the same unit: scale far below every delta.
    model = gflow.init.balanced(20, d, 1e-8, rng=rng)
    flow = runs.integrate(model, data, LATEST, loss=loss, rtol=1e-9)
    net, on = flow.model, flow.pattern(flow.t_end) == 1
    apart, mixed = [], 0
    for sign, v in ((1, limit.positive), (-1, limit.negative)):
        own = sign * net.a > 0
        total = (np.abs(net.a)[:, None] * net.W)[own].sum(axis=0)
        sine = total - total @ v / (v @ v) * v
        apart.append(float(np.sqrt(sine @ sine) / max(np.sqrt(total @ total), 1e-300)))
        # Alive, but not on all of its class and off all of the other.
        alive = own & on.any(axis=1)
        mixed += int((on[alive] != (sign * y > 0)).any(axis=1).sum())
    falls = flow.log_t + flow.log_loss
    late = flow.t > 1e3
    rate = np.exp(falls[late] + np.log(-flow.log_loss[late]))
    return {"apart": apart, "mixed": mixed, "log_t": flow.log_t[late], "rate": rate,
            "most": float(np.exp(falls[late]).max()), "wanted": limit.loss_constant,
            "margin": flow.margin().hard[-1] / limit.margin, "orthogonal": limit.orthogonal}


def judge_cones(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    apart = max(max(r["apart"]) for r in results)
    margin = np.abs(column(results, "margin") - 1).max()
    mixed, most = int(column(results, "mixed").sum()), column(results, "most").max()
    good = (apart < 0.05 and margin < 0.01 and not mixed and most < 100
            and all(r["orthogonal"] for r in results))
    return Verdict(bool(good), f"sine to the class-wise vectors at most {apart:.1e}, margin within "
                   f"{100 * margin:.2g}%, {mixed} neurons in no class's cone; $t L$ at most "
                   f"{most:.3g} from t = 1e3 on; {len(results)} runs")


def draw_cones(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    ax.semilogy([max(r["apart"]) for r in results], "ko", fillstyle="none")
    ax.set(xlabel="run", ylabel="sine to the class-wise vectors, t = 1e300")


def judge_rate(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    ratio = np.array([r["rate"][-1] / r["wanted"] for r in results])
    first = np.array([np.interp(np.log(1e30), r["log_t"], r["rate"]) / r["wanted"]
                      for r in results])
    off = np.abs(ratio - 1).max()
    return Verdict(bool(off < 0.02 and off < np.abs(first - 1).max() / 3),
                   f"$t L log(1/L)$ off by {100 * off:.2g}% at most at t = 1e300, by "
                   f"{100 * np.abs(first - 1).max():.2g}% at 1e30; {len(results)} runs")


def draw_rate(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    for r in results:
        ax.plot(r["log_t"] / np.log(10), r["rate"] / r["wanted"], "-")
    ax.axhline(1.0, color="k", ls=":")
    ax.set(xlabel="log10 t", ylabel="4 gamma t L log(1/L)", ylim=(0.5, 2.0))


NETS = ("8 neurons, balanced starts of scale 0.5, 8 Gaussian points in dimension 2 to 4 with the "
        "labels of a half-space, to $t = 1e100$, rtol 1e-9")
CONES = ("10 points in opposite orthants of dimension 2 to 5, 20 neurons, balanced start of scale "
         "1e-8, to $t = 1e300$, rtol 1e-9")
CHECKS = [
    Check(id="M0", title="one neuron and orthonormal points, to $t = 1e300$",
          source="exponential integrals, in closed form", tag=DERIVED,
          statement="A balanced neuron on the mean of $n$ orthonormal points of one class has $u = "
                    "a |w| / sqrt(n)$ with $(2 / sqrt(n)) t = Ei(u) - Ei(u_0)$, plus $ln(u/u_0)$ "
                    "for the logistic loss.",
          setting="$n = 1$ to 9, both losses, both engines, rtol 1e-11, eight times from 1 to "
                  "1e300.",
          prediction="the closed form", rule="within 1e-9",
          cases=exact_cases, measure=exact, judge=judge_exact, draw=draw_exact),
    Check(id="M1", title="the smoothed margin never falls", source=f"{LYU_LI} 4.1", tag=PROVED,
          statement="Once $n L < l(0)$, the smoothed margin $l^{-1}(n L) / |theta|^2$ does not "
                    "decrease.",
          setting=NETS, prediction="no step down", rule="no relative step below -1e-9; more than a "
          "third of the runs separate their data",
          cases=margin_cases, measure=margins, judge=judge_margins, draw=draw_margins),
    Check(id="M2", title="directions converge, to stationary points of the largest margin",
          source=f"{LYU_LI} 4.4; Ji and Telgarsky, Directional convergence and alignment in deep "
                 "learning, NeurIPS 2020, Theorem 3.1", tag=PROVED,
          statement="$theta / |theta|$ converges, and its limit satisfies the KKT conditions of "
                    "the problem of the largest margin (no rate is proved; like $1/|theta|$: "
                    "expected).",
          setting=f"{NETS}; flow.kkt() at $t = 1e25$ and 1e100, where $|theta|$ has doubled.",
          prediction="residual half as large", rule="residual below 0.1 and complementarity below "
          "0.05 at the end; residual smaller by 1.5 or more in the median",
          cases=margin_cases, measure=margins, judge=judge_directions, draw=draw_directions),
    Check(id="M3", title="orthogonally separable data: two class-wise largest margins",
          source=SEPARABLE, tag=PROVED,
          statement="Neurons that stay alive end in the cone of one class; the sums over either "
                    "sign tend to the directions of the class-wise largest margin; $L = O(1/t)$.",
          setting=CONES, prediction="these directions, and the margin $1/(2 (|v_+| + |v_-|))$",
          rule="sines below 0.05 (they fall like $1/log t$ at best), margin within 1%, no neuron "
               "in between, $t L$ below 100",
          cases=cone_cases, measure=cones, judge=judge_cones, draw=draw_cones),
    Check(id="M4", title="the constant of the loss",
          source="derived from $1/L' = 4 gamma log(1/L)$", tag=DERIVED,
          statement="$t L log(1/L)$ tends to $1/(4 gamma)$, with the margin $gamma$ of the limit.",
          setting=CONES, prediction="$1/(4 gamma)$",
          rule="within 2% at $t = 1e300$, and three times nearer than at 1e30",
          cases=cone_cases, measure=cones, judge=judge_rate, draw=draw_rate),
]
