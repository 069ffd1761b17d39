"""EA-C4, E: where neurons end, and that all such places are known."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from ..check import DERIVED, PROVED, Case, Check, Result, Verdict, column
from .ea_three_points import PAPER


def cases(quick: bool) -> list[Case]:
    return [{"d": d, "n": n, "seed": seed} for d, n in ((2, 12), (3, 12), (4, 10))
            for seed in range(5 if quick else 100)]


def measure(d: int, n: int, seed: int, rng: Any) -> Result:
    data = gflow.Data(rng.standard_normal((n, d)), rng.standard_normal(n))
    vectors = gflow.theory.extremal_vectors(data)
    early = gflow.theory.early_flow(gflow.init.balanced(50, d, 1.0, rng=rng), data)
    alive = np.flatnonzero(~early.dead)
    missed = 0
    for i in alive:
        near = np.linalg.norm(vectors.D - early.D[i], axis=1) < 1e-9 * np.linalg.norm(early.D[i])
        wanted = "max" if early.sign[i] > 0 else "min"
        missed += not (near & (vectors.kind == wanted)).any()
    return {"d": d, "missed": missed, "neurons": alive.size, "settled": early.settled.mean(),
            "morse": vectors.morse_sum, "expected": vectors.morse_expected,
            "extremal": len(vectors.D)}


def judge_ends(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    missed, neurons = column(results, "missed").sum(), column(results, "neurons").sum()
    settled = column(results, "settled").min()
    return Verdict(bool(missed == 0 and settled == 1), f"{missed} of {neurons} neurons end "
                   "elsewhere")


def draw_ends(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    d = column(results, "d")
    spread = 0.3 * (np.arange(d.size) / d.size - 0.5)
    ax.plot(d + spread, column(results, "extremal"), "ko", fillstyle="none", ms=3)
    ax.set(xlabel="d (data sets side by side)", ylabel="extremal vectors", xticks=np.unique(d))


def judge_morse(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    wrong = int((column(results, "morse") != column(results, "expected")).sum())
    return Verdict(wrong == 0, f"{wrong} of {len(results)} data sets differ")


def draw_morse(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    d, off = column(results, "d"), column(results, "morse") - column(results, "expected")
    ax.plot(d, off, "ko", fillstyle="none")
    ax.axhline(0.0, color="k", ls="--")
    ax.set(xlabel="d", ylabel="Morse sum minus Euler characteristic", xticks=np.unique(d))


SETTING = "Gaussian points and labels, $n = 12, 12, 10$ in $d = 2, 3, 4$, many data sets."

CHECKS = [
    Check(id="EA-C4", title="every neuron dies or ends at an extremal vector",
          source=f"{PAPER}, Theorem 1 (ii)", tag=PROVED,
          statement="In the limit of a vanishing scale a neuron dies, or its field becomes an "
                    "extremal vector: a local maximum of $G_n$ if $a > 0$, a minimum if $a < 0$.",
          setting=f"{SETTING} 50 neurons each, followed exactly.",
          assumptions="The theorem excludes saddles; neurons off their stable sets do not meet "
                      "them.",
          prediction="no neuron ends elsewhere", rule="none of all",
          cases=cases, measure=measure, judge=judge_ends, draw=draw_ends),
    Check(id="E", title="extremal vectors add up",
          source="Morse theory of the piecewise linear function $G_n$ on the sphere", tag=DERIVED,
          statement="The sum of $(-1)^k$, $k$ the number of descending dimensions, over all "
                    "extremal vectors is the Euler characteristic of the sphere, "
                    "$1 + (-1)^(d - 1)$.",
          setting=SETTING, prediction="equal in every data set", rule="no exception",
          cases=cases, measure=measure, judge=judge_morse, draw=draw_morse),
]
