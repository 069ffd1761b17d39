"""K: averages over samples tend to the population."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from ..check import DERIVED, Case, Check, Result, Verdict, column, slope


def cases(quick: bool) -> list[Case]:
    sizes = [10**3, 10**4, 10**5] if quick else [10**3, 10**4, 10**5, 10**6]
    return [{"n": n, "seed": seed} for n in sizes for seed in range(20)]


def measure(n: int, seed: int, rng: Any) -> Result:
    d, m = 4, 6
    # One network and teacher for all samples of a seed.
    fixed = np.random.default_rng(seed)
    model = gflow.TwoLayerReLU(fixed.standard_normal(m), fixed.standard_normal((m, d)))
    beta = fixed.standard_normal(d)
    X = rng.standard_normal((n, d))
    r = X @ beta + 0.5 * rng.standard_normal(n) - model(X)
    pulls = np.maximum(np.sign(X @ model.W.T), 0.0)[:, :, None] * (r[:, None] * X)[:, None, :]
    exact = gflow.theory.population.field(model, beta)
    off = pulls.mean(axis=0) - exact
    errors = pulls.std(axis=0) / np.sqrt(n)
    return {"n": n, "off": np.sqrt((off**2).mean()), "worst": np.abs(off / errors).max(),
            "entries": off.size}


def judge(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    n = column(results, "n")
    sizes = np.unique(n)
    found = slope(sizes, [np.sqrt((column(results, "off")[n == s]**2).mean()) for s in sizes])
    worst = float(column(results, "worst")[n >= 10**4].max())
    return Verdict(abs(found + 0.5) < 0.08 and worst < 5,
                   f"slope {found:.3f}, largest difference {worst:.1f} standard errors")


def draw(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    n, off = column(results, "n"), column(results, "off")
    ax.loglog(n, off, "ko", fillstyle="none", ms=3)
    grid = np.unique(n)
    ax.loglog(grid, off[n == grid[0]].mean() * np.sqrt(grid[0] / grid), "k--", label="slope -1/2")
    ax.set(xlabel="n", ylabel="difference of the fields (rms)")
    ax.legend()


CHECKS = [
    Check(id="K", title="fields of samples tend to that of the population",
          source="arc-cosine kernels: Cho and Saul, 2009", tag=DERIVED,
          statement="For Gaussian inputs and a linear teacher $E[1{w.x>0} r x]$ has a closed form; "
                    "the average over $n$ samples differs by order $n^(-1/2)$.",
          setting="$d = 4$, six Gaussian neurons, noise 0.5, $n = 10^3 ... 10^6$, 20 seeds.",
          prediction="slope $-1/2$",
          rule="slope within 0.08; with $n$ of $10^4$ or more every entry within 5 standard errors "
               "(hundreds of entries are looked at)",
          cases=cases, measure=measure, judge=judge, draw=draw),
]
