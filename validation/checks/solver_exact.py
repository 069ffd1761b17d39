"""C and D: flows that are known in closed form, and their events."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow
from gflow.problem.network import row_norms
from gflow.theory import exact

from .. import runs
from ..check import DERIVED, Case, Check, Result, Verdict, column, slope

ENGINES = ("DOP853", "waveform")
MARKS = "osv^D<>Ph"
NAMES = list(exact.CASES)


def weight_cases(quick: bool) -> list[Case]:
    powers = (4, 8, 11) if quick else range(4, 13)
    return [{"name": name, "method": method, "power": power} for name in NAMES
            for method in ENGINES for power in powers]


def weights(name: str, method: str, power: int, rng: Any) -> Result:
    case = exact.CASES[name]()
    flow = runs.integrate(case.model, case.data, case.horizon, method=method, rtol=10.0**-power,
                          threads=1)
    path = case(flow.t)
    size = np.hypot(path.a, row_norms(path.W))
    if name in ("T7", "T8"):
        # Neurons that shrink are unstable across their axis: relative to the largest so far.
        size = np.maximum.accumulate(size)
    off = np.maximum(np.abs(flow.a - path.a), np.abs(flow.W - path.W).max(axis=2)) / size
    return {"rtol": 10.0**-power, "off": off.max(), "whole": flow.success}


def judge_weights(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    found = []
    for method in ENGINES:
        own = [r for case, r in zip(cases, results)
               if case["method"] == method and case["power"] == 11]
        found.append(float(column(own, "off").max()))
    whole = all(r["whole"] for r in results)
    kept = [r for r in results if 1e-11 <= r["rtol"]]
    sizes = np.unique(column(kept, "rtol"))
    typical = [np.exp(np.log(column([r for r in kept if r["rtol"] == s], "off") + 1e-16).mean())
               for s in sizes]
    words = ", ".join(f"{method} {off:.1e}" for method, off in zip(ENGINES, found))
    return Verdict(bool(whole and max(found) <= 1e-9), f"at rtol 1e-11 at most {words}",
                   f"Typical error against rtol: slope {slope(sizes, typical):.2f}.")


def draw_weights(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    for name, mark in zip(NAMES, MARKS):
        for method, line in zip(ENGINES, ("-", ":")):
            own = [r for case, r in zip(cases, results)
                   if case["name"] == name and case["method"] == method]
            ax.loglog(column(own, "rtol"), np.maximum(column(own, "off"), 1e-16), "k" + line,
                      marker=mark, ms=4, lw=0.7, fillstyle="none", alpha=0.8,
                      label=name if line == "-" else None)
    grid = np.array([1e-12, 1e-4])
    ax.loglog(grid, grid, "k--", lw=2, label="rtol")
    ax.loglog([1e-11], [1e-9], "k_", ms=14, mew=2, label="allowed")
    ax.set(xlabel="rtol", ylabel="largest relative error of a neuron")
    ax.set_title("solid: DOP853, dotted: waveform", fontsize=10)
    ax.legend(fontsize=7, ncols=2)


def time_cases(quick: bool) -> list[Case]:
    seeds = range(3 if quick else 30)
    return ([{"name": name, "method": method, "seed": 0} for name in ("T4", "T5", "T6")
             for method in ENGINES]
            + [{"name": "T9", "method": method, "seed": seed} for seed in seeds
               for method in ENGINES])


def times(name: str, method: str, seed: int, rng: Any) -> Result:
    case = exact.CASES[name]() if name != "T9" else exact.early_polygon(
        gflow.init.balanced(3, 3, 1e-20, rng=seed),
        gflow.datasets.linear_teacher(12, 3, rng=seed))
    wanted = case.events["time"]
    if name == "T9" and np.isfinite(case.until):
        # The polygon ends where a neuron would slide: that arrival is an event too.
        wanted = np.append(wanted, case.until)
    # Beyond the last event, so that it is seen.
    end = float(wanted.max()) if wanted.size else case.horizon
    flow = runs.integrate(case.model, case.data, 1.05 * end, method=method, rtol=1e-11, threads=1)
    found = flow.events[flow.events["time"] <= end * (1 + 1e-6)]
    same = (len(found) == wanted.size and sorted(e[1:] for e in found[:len(case.events)].tolist())
            == sorted(e[1:] for e in case.events.tolist()))
    off = (np.abs(found["time"] - wanted) / wanted).max(initial=0.0) if same else 1.0
    return {"off": off, "events": wanted.size, "same": same}


def allowed(case: Case) -> float:
    """Releases of the fast engine are less accurate, as `docs/problem.md` says."""
    return 1e-7 if (case["name"], case["method"]) == ("T6", "waveform") else 1e-9


def judge_times(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    good = all(r["same"] and r["off"] <= allowed(case) for case, r in zip(cases, results))
    strict = max(float(r["off"]) for case, r in zip(cases, results) if allowed(case) == 1e-9)
    loose = max(float(r["off"]) for case, r in zip(cases, results) if allowed(case) > 1e-9)
    return Verdict(bool(good), f"{int(column(results, 'events').sum())} events, times within "
                   f"{strict:.1e}; release under waveform within {loose:.1e}")


def draw_times(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    names = ["T4", "T5", "T6", "T9"]
    for method, mark, shift in zip(ENGINES, "os", (-0.1, 0.1)):
        own = [(case, r) for case, r in zip(cases, results) if case["method"] == method]
        ax.semilogy([names.index(case["name"]) + shift for case, _ in own],
                    [max(float(r["off"]), 1e-17) for _, r in own], "k" + mark, fillstyle="none",
                    label=method)
    ax.axhline(1e-9, color="k", ls="--", label="allowed")
    ax.plot([1.9, 2.3], [1e-7, 1e-7], "k:", label="allowed, release under waveform")
    ax.set(xlabel="case", ylabel="largest relative error of a time")
    ax.set_xticks(range(4), ["T4 dies", "T5 slides", "T6 released", "T9 crosses"])
    ax.legend(fontsize=8)


CHECKS = [
    Check(id="C", title="closed forms of the whole flow",
          source="gflow.theory.exact, T1 to T9", tag=DERIVED,
          statement="One point, orthogonal points, symmetric data, a death, a slide for ever, a "
                    "slide with a release, groups on an axis, antipodal clusters and early "
                    "polygons are solved in closed form.",
          setting="Default parameters of every case, 200 times up to its horizon, DOP853 and "
                  "waveform, rtol 1e-4 ... 1e-12.",
          prediction="error of the order of rtol",
          rule="at rtol 1e-11 every neuron within 1e-9 of itself at all times (T7, T8: of the "
               "largest it has been)",
          cases=weight_cases, measure=weights, judge=judge_weights, draw=draw_weights),
    Check(id="D", title="times of events", source="gflow.theory.exact, T4, T5, T6, T9",
          tag=DERIVED,
          statement="Death, arrival at a sliding hyperplane, release, and all crossings of a start "
                    "of vanishing scale happen at times known in closed form.",
          setting="T4, T5, T6 with default parameters, T9 on 12 Gaussian points in three "
                  "dimensions with 3 neurons of scale 1e-20, many seeds; rtol 1e-11.",
          prediction="the same events at the same times",
          rule="the same events; times within 1e-9 of themselves, 1e-7 for the release under "
               "waveform, whose residuals are polynomials across the kink that a release makes "
               "(a limit that docs/problem.md states)",
          cases=time_cases, measure=times, judge=judge_times, draw=draw_times),
]
