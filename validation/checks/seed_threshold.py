"""SEED-F1: the first figure of the seed paper. Train and test loss at convergence against n."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from .. import runs
from ..check import CONJECTURED, Case, Check, Result, Verdict, column
from .seed_concentration import NOISE, PAPER

SIZES = (5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 1000)
SCALE, T_MAX, WALL = 1e-3, 1e6, 60.0
"""Scale of the start; flow time and seconds of processor time after which a run is given up."""
FITTED = 1e-6
"""A run that has come so far below the noise, in mean squared error, interpolates."""
RESAMPLED = 2000


def cases(quick: bool) -> list[Case]:
    if quick:
        return [{"d": d, "m": 50, "n": n, "seed": seed, "wall": WALL} for d in (2, 4)
                for n in (5, 10, 20, 50, 200) for seed in range(8)]
    return [{"d": d, "m": m, "n": n, "seed": seed, "wall": WALL} for d in (2, 5)
            for m in (50, 500) for n in SIZES for seed in range(20)]


def measure(d: int, m: int, n: int, seed: int, wall: float, rng: Any) -> Result:
    data = gflow.datasets.linear_teacher(n, d, noise=NOISE, rng=rng)
    model = gflow.init.balanced(m, d, SCALE, rng=rng)
    flow = runs.integrate(model, data, T_MAX, method="waveform", rtol=1e-6, threads=1,
                          t_eval=[0.0, T_MAX], certify=seed == 0,
                          stop=[gflow.stop.converged(), runs.processor_time(wall),
                                gflow.stop.loss_below(FITTED * NOISE**2 / 2)])
    test = gflow.theory.population.test_loss(flow.model, np.eye(d)[0], noise=NOISE)
    return {"d": d, "m": m, "n": n, "train": 2 * flow.loss[-1], "test": 2 * test, "t": flow.t_end,
            "late": flow.status in ("finished", "processor_time"), "failed": not flow.success}


def curve(results: Sequence[Result], d: int, m: int, name: str) -> list[np.ndarray]:
    """Values of ``name`` over the seeds, one array for each n."""
    own = [r for r in results if r["d"] == d and r["m"] == m]
    n = column(own, "n")
    return [column(own, name)[n == size] for size in sizes(results)]


def sizes(results: Sequence[Result]) -> np.ndarray:
    """All n, increasing."""
    return np.unique(column(results, "n"))


def sets(results: Sequence[Result]) -> list[tuple[int, int]]:
    """Dimension and width of the curves there are."""
    return sorted({(int(r["d"]), int(r["m"])) for r in results})


def crossing(n: np.ndarray, share: np.ndarray) -> float:
    """Where the share of stuck runs first reaches one half, linear in ln n between sizes.

    The first n if it is there already, infinite if it never is.
    """
    above = np.flatnonzero(share >= 0.5)
    if above.size == 0 or above[0] == 0:
        return float(n[0]) if above.size else np.inf
    i = above[0]
    part = (0.5 - share[i - 1]) / (share[i] - share[i - 1])
    return float(n[i - 1] * (n[i] / n[i - 1])**part)


def threshold(results: Sequence[Result], d: int, m: int) -> tuple[float, np.ndarray]:
    """The least n at which half of the runs end above sigma^2/2, and a bootstrap of it.

    The bootstrap draws the seeds of every n again.
    """
    n = sizes(results)
    stuck = [train > NOISE**2 / 2 for train in curve(results, d, m, "train")]
    rng = np.random.default_rng(0)
    drawn = np.array([crossing(n, np.array([rng.choice(s, s.size).mean() for s in stuck]))
                      for _ in range(RESAMPLED)])
    return crossing(n, np.array([s.mean() for s in stuck])), drawn


def interval(drawn: np.ndarray) -> tuple[float, float]:
    """95% interval of a bootstrap."""
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    return float(low), float(high)


def predicted(n: Any, d: int) -> tuple[Any, Any]:
    """Train and test error of two least squares fits, NaN where a side cannot have one."""
    n = np.where(np.asarray(n) > 2 * d + 2, n, np.nan)
    return NOISE**2 * (1 - 2 * d / n), NOISE**2 * (1 + d / (n / 2 - d - 1))


def judge(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    good, words = True, []
    found = {key: threshold(results, *key) for key in sets(results)}
    for (d, m), (middle, drawn) in found.items():
        stuck = [(train > NOISE**2 / 2).mean() for train in curve(results, d, m, "train")]
        ends = [curve(results, d, m, name)[-1].mean() / NOISE**2 for name in ("train", "test")]
        good &= bool(stuck[0] < 0.5 < stuck[-1] and all(abs(end - 1) < 0.2 for end in ends))
        low, high = interval(drawn)
        words.append(f"{middle:.1f} [{low:.1f}, {high:.1f}] (d = {d}, m = {m}; at the largest n "
                     f"train {ends[0]:.3f}, test {ends[1]:.3f} sigma^2)")
    few, many = min(d for d, _ in found), max(d for d, _ in found)
    good &= all((found[few, m][1] < found[many, m][1]).mean() > 0.95 for d, m in found if d == few)
    late = column(results, "late").astype(bool)
    failed = int(column(results, "failed").sum())
    good &= bool(late.mean() <= 0.1) and failed == 0
    where = sorted({int(size) for size in column(results, "n")[late]})
    return Verdict(good, "threshold n: " + ", ".join(words),
                   f"{late.sum()} of {late.size} runs hit a limit, {failed} failed"
                   + (f", with n = {', '.join(map(str, where))}." if where else "."))


def draw(axes: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    for row, d in zip(axes, sorted({d for d, _ in sets(results)})):
        for ax, name in zip(row, ("train", "test")):
            _panel(ax, results, d, name)
        row[0].set_ylabel(r"mean squared error / $\sigma^2$")


def _panel(ax: Any, results: Sequence[Result], d: int, name: str) -> None:
    n = sizes(results)
    fine = np.geomspace(n[0], n[-1], 400)
    ax.axhline(1.0, color="0.6", lw=1)
    ax.plot(fine, predicted(fine, d)[name == "test"] / NOISE**2, "k:", label="two fits, expected")
    widths = [m for other, m in sets(results) if other == d]
    for m, colour, marker, dash in zip(widths, ("#0072b2", "#d55e00"), "os", ("--", "-.")):
        values, late = curve(results, d, m, name), curve(results, d, m, "late")
        aside = n * (1.05 if m == widths[-1] else 1 / 1.05)
        for x, v, hit in zip(aside, values, late):
            for here, symbol, size in ((hit == 0, ".", 4), (hit != 0, "x", 5)):
                ax.plot(np.full(here.sum(), x), v[here] / NOISE**2, symbol, color=colour, ms=size,
                        alpha=0.5 if symbol == "." else 1.0)
        ax.plot(n, [np.median(v) / NOISE**2 for v in values], marker + "-", color=colour, ms=4,
                lw=1, label=f"median, m = {m}")
        if name == "train":
            middle, drawn = threshold(results, d, m)
            ax.axvspan(*interval(drawn), color=colour, alpha=0.12, lw=0)
            ax.axvline(middle, color=colour, lw=1, ls=dash)
    if column(results, "late").any():
        ax.plot([], [], "kx", ms=5, label="hit a limit")
    ax.set(xscale="log", xlabel="n", title=f"{name}, d = {d}", xlim=(n[0] / 1.15, n[-1] * 1.15))
    if name == "train":
        ax.set_ylim(-0.05, 1.55)
    else:
        ax.set(yscale="log", ylim=(0.8, 40.0))
        ax.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
        ax.minorticks_off()
    ax.legend(fontsize=7)


CHECKS = [
    Check(id="SEED-F1", title="the optimization threshold",
          source=f"{PAPER}, Figure 1", tag=CONJECTURED,
          statement="With few points training interpolates them and the network is bad on new "
                    "ones; from some $n$ on it gets stuck at two least squares fits and is close "
                    "to the best there is. $n$ of order $d^3 log d$ is enough (proved there, for "
                    "$|x.beta| >= c |x| / sqrt(d)$); how the threshold itself depends on $d$ is "
                    "not known.",
          setting=f"Gaussian points, noise 0.5, $lambda = {SCALE:g}$, $d = 2$ and 5, $m = 50$ and "
                  "500, 12 values of $n$ from 5 to 1000, 20 seeds, rtol 1e-6; test error exact. A "
                  "run ends when it has converged (gflow.stop.converged: none of its neurons will "
                  "wake any more, and the loss falls by less than 0.1%, for ever), or at a train "
                  f"error of {FITTED:g} $sigma^2$; it is given up at $t = {T_MAX:g}$ or after "
                  f"{WALL:g} s of processor time. (Quick: $d = 2$ and 4, $m = 50$, "
                  "$n = 5 ... 200$, 8 seeds.)",
          assumptions="Without that margin; width, scale and learning rate of the published "
                      "figure are not known to us.",
          prediction="errors go to those of two least squares fits, $sigma^2 (1 - 2d/n)$ and about "
                     "$sigma^2 (1 + 2d/n)$; the threshold, the least $n$ at which half of the runs "
                     "end above $sigma^2/2$, grows with $d$",
          rule="fewer than half of the runs are stuck at the smallest $n$, more at the largest; "
               "there mean train and test errors are within 20% of $sigma^2$; the threshold grows "
               "with $d$ in more than 95% of the resamplings; at most one run in ten hits a limit, "
               "none fails",
          cases=cases, measure=measure, judge=judge, draw=draw, panels=(2, 2)),
]
