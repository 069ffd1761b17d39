"""O2 and O3: many orthogonal points: how large the network gets, and whether it fits them all."""

from __future__ import annotations

from math import comb
from typing import Any, Sequence

import numpy as np

import gflow

from .. import runs
from ..check import CONJECTURED, DERIVED, Case, Check, Result, Verdict, column, slope

TOWN = "Town et al., 2026, arXiv:2605.27097 (abstract seen)"


def unit_points(n: int, rng: Any) -> gflow.Data:
    """Orthonormal points with fair labels +-1; in their own basis, which is no restriction."""
    return gflow.Data(np.eye(n), rng.choice([-1.0, 1.0], n))


def size_cases(quick: bool) -> list[Case]:
    sizes = (32, 128, 256) if quick else (16, 32, 64, 128, 256, 512)
    return [{"n": n, "seed": seed} for n in sizes for seed in range(6 if quick else 10)]


def size(n: int, seed: int, rng: Any) -> Result:
    m = int(np.ceil(6 * np.log(n)))
    while True:
        data, model = unit_points(n, rng), gflow.init.balanced(m, n, 1.0, rng=rng)
        process = gflow.theory.jump_process(model, data)
        if process.losses[-1] == 0:
            break
    least = np.sqrt((data.y > 0).sum()) + np.sqrt((data.y < 0).sum())
    found = float(process.squares[-1])
    trained = np.nan
    if seed < 3 and n <= 64:
        tiny = gflow.TwoLayerReLU(1e-32 * model.a, 1e-32 * model.W)
        t_max = 1.5 * 32 * np.log(10.0) * float(process.times[-1]) + 40 * n
        flow = runs.integrate(tiny, data, t_max, method="DOP853", rtol=1e-8,
                              certify=False, stop=gflow.stop.loss_below(1e-12))
        trained = float((flow.model.a**2).sum())
    return {"n": n, "squares": found, "ratio": found / least, "trained": trained}


def judge_size(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    n, squares, ratio = (column(results, name) for name in ("n", "squares", "ratio"))
    sizes = np.unique(n)
    large, small = sizes[sizes > 100], sizes[sizes < 200]
    found, early = (slope(part, [squares[n == s].mean() for s in part]) for part in (large, small))
    means = np.array([ratio[n == s].mean() for s in sizes])
    errors = np.array([ratio[n == s].std(ddof=1) / np.sqrt((n == s).sum()) for s in sizes])
    trained = column(results, "trained")
    off = np.nanmax(np.abs(trained / squares - 1))
    good = 0.4 < found < 0.6 and (means < 1 + np.sqrt(2) + 3 * errors).all()
    return Verdict(bool(good), f"slope {found:.3f} for n > 100 ({early:.3f} below 200); "
                   f"ratio to the least norm {means[0]:.2f} to {means[-1]:.2f}",
                   f"Training at lambda = 1e-32 ({np.isfinite(trained).sum()} runs) ends within "
                   f"{100 * off:.0f}% of the jump process.")


def draw_size(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    n, squares = column(results, "n"), column(results, "squares")
    ax.loglog(n, squares, "ko", fillstyle="none", ms=3, label="jump process")
    ax.loglog(n, column(results, "trained"), "k+", ms=9, label="trained, lambda = 1e-32")
    grid = np.unique(n)
    ax.loglog(grid, squares[n == grid[0]].mean() * np.sqrt(grid / grid[0]), "k--",
              label="slope 1/2")
    ax.loglog(grid, np.sqrt(2 * grid), "k:", label="least norm")
    ax.set(xlabel="n", ylabel="sum of a^2")
    ax.legend(fontsize=8)


def cover_cases(quick: bool) -> list[Case]:
    return [{"n": n, "m": m, "starts": 200 if quick else 2000, "trained": 2 if quick else 40}
            for n in ((8, 20) if quick else (8, 20, 50)) for m in (6, 10, 14, 18, 24)]


def cover(n: int, m: int, starts: int, trained: int, rng: Any) -> Result:
    covered = differ = 0
    for k in range(starts):
        data, model = unit_points(n, rng), gflow.init.balanced(m, n, 1.0, rng=rng)
        process = gflow.theory.jump_process(model, data)
        fits = process.losses[-1] == 0
        covered += fits
        if k < trained:
            small = gflow.TwoLayerReLU(1e-4 * model.a, 1e-4 * model.W)
            flow = runs.integrate(small, data, 1e4, method="DOP853", rtol=1e-7,
                                  certify=False, stop=gflow.stop.loss_below(1e-10))
            differ += (flow.status == "loss_below") != fits
    exact = law(n, m)
    return {"n": n, "m": m, "found": covered / starts, "exact": exact, "trained": trained,
            "bound": 1 - n * 0.75**m, "differ": differ,
            "error": np.sqrt(exact * (1 - exact) / starts) + 1 / starts}


def law(n: int, m: int) -> float:
    """P(every point is seen by a neuron of its sign): points are independent given the signs."""
    return sum(comb(m, k) * (1 - (2.0**-k + 2.0**(k - m)) / 2)**n for k in range(m + 1)) / 2**m


def judge_cover(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    found, exact, error = (column(results, name) for name in ("found", "exact", "error"))
    off = np.abs(found - exact) / error
    above = (column(results, "bound") - found) / error
    differ, trained = (int(column(results, name).sum()) for name in ("differ", "trained"))
    return Verdict(bool((off < 4).all() and (above < 4).all() and differ == 0),
                   f"at most {off.max():.1f} standard errors from the exact law, never below the "
                   f"bound by more than {max(above.max(), 0.0):.1f}; {differ} of "
                   f"{trained} trainings end otherwise")


def draw_cover(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    grid = np.arange(4, 27)
    for n, mark in zip(np.unique(column(results, "n")), "os^"):
        own = [r for r in results if r["n"] == n]
        ax.plot(column(own, "m"), column(own, "found"), "k" + mark, fillstyle="none",
                label=f"n = {n}")
        ax.plot(grid, [law(int(n), int(m)) for m in grid], "k:", lw=1)
        ax.plot(grid, 1 - n * 0.75**grid, "k--", lw=1)
    ax.plot([], [], "k:", lw=1, label="exact")
    ax.plot([], [], "k--", lw=1, label="1 - n (3/4)^m")
    ax.set(xlabel="m", ylabel="share of starts that fit all points", ylim=(-0.03, 1.03))
    ax.legend(fontsize=8)


CHECKS = [
    Check(id="O2", title="norm learned on orthogonal points", source=TOWN, tag=CONJECTURED,
          statement="With about $log n$ neurons or more the limit of a vanishing scale "
                    "interpolates orthogonal points with $sum a^2$ of order $sqrt(n)$, within a "
                    "constant of the least norm. The constant tends to at most $1 + sqrt(2)$ "
                    "(heuristic, derived here).",
          setting="$n = 16 ... 512$ orthonormal points, labels $+-1$, $m = 6 ln n$, 10 starts each "
                  "that fit all points; jump process, and training at $lambda = 1e-32$ up to $n = "
                  "64$.",
          assumptions="The ratio still grows with $n$ at these sizes, which adds 0.05 or more to "
                      "the slope.",
          prediction="slope 1/2; ratio at most 2.414",
          rule="slope of the mean within 0.1 for $n > 100$; mean ratio not above by more than 3 "
               "standard errors",
          cases=size_cases, measure=size, judge=judge_size, draw=draw_size),
    Check(id="O3", title="how many neurons fit orthogonal points", source=TOWN, tag=DERIVED,
          statement="All points are fitted just if each is seen at the start by a neuron of the "
                    "sign of its label: of probability at least $1 - n (3/4)^m$.",
          setting="$n = 8, 20, 50$ orthonormal points, fair labels, $m = 6 ... 24$, 2000 starts "
                  "each in the jump process, 40 of them trained at $lambda = 1e-4$.",
          prediction="the exact law; $L = 0$ just if every point is seen",
          rule="within 4 standard errors of the exact law, not below the bound by more; every "
               "training ends as its start says ($L < 1e-10$, or not by $t = 1e4$)",
          cases=cover_cases, measure=cover, judge=judge_cover, draw=draw_cover),
]
