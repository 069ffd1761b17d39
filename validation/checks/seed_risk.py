"""S4: train and test risk of two least squares fits, although nobody asked for them."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

import gflow

from .. import runs
from ..check import DERIVED, Case, Check, Result, Verdict, column
from .seed_concentration import NOISE, PAPER
from .seed_extremal import MARGIN, MARGIN_ASSUMED, moments

D = 3
TEST_POINTS = 20_000


def cases(quick: bool) -> list[Case]:
    return [{"n": n, "margin": margin, "seed": seed}
            for n in ((40, 100, 250) if quick else (40, 70, 120, 250, 500, 1000))
            for margin in ((MARGIN,) if quick else (MARGIN, 0.0))
            for seed in range(8 if quick else 40)]


def measure(n: int, margin: float, seed: int, rng: Any) -> Result:
    data = gflow.datasets.linear_teacher(n, D, noise=NOISE, margin=margin, rng=rng)
    model = gflow.init.balanced(30, D, 1e-4, rng=rng)
    t_max = 1e5
    flow = runs.integrate(model, data, t_max, method="waveform", rtol=1e-8, threads=1,
                          t_eval=[0.0, t_max],
                          stop=[gflow.stop.converged(1e-4), runs.processor_time(60.0)])
    # Without noise in the labels: the excess risk.
    test = gflow.datasets.linear_teacher(TEST_POINTS, D, noise=0.0, margin=margin, rng=rng)
    return {"n": n, "margin": margin, "train": 2 * flow.loss[-1],
            "excess": 2 * flow.model.loss(test), "exact": two_fits(data.X, margin),
            "converged": flow.status == "converged"}


def two_fits(X: np.ndarray, margin: float) -> float:
    """Expected excess risk, over the noise, of least squares on either side of the teacher.

    Half of the new points are on either side, where the fit has covariance
    ``sigma^2 (X_+^T X_+)^{-1}``; their second moments are the same.
    """
    along, across, _ = moments(D, margin)
    Sigma = np.diag([along] + [across] * (D - 1))
    risk = 0.0
    for side in (X[:, 0] > 0, X[:, 0] < 0):
        risk += NOISE**2 * np.trace(Sigma @ np.linalg.inv(X[side].T @ X[side])) / 2
    return risk


def rows(results: Sequence[Result], margin: float) -> list[tuple[float, Any, Any, Any]]:
    """For each n: train risk, excess, and its prediction, a value for each data set."""
    own = [r for r in results if r["margin"] == margin]
    n = column(own, "n")
    return [(float(size), *(column(own, name)[n == size] for name in ("train", "excess", "exact")))
            for size in np.unique(n)]


def errors(values: Any) -> float:
    """How many standard errors the mean is away from 0."""
    return float(np.mean(values) / (np.std(values, ddof=1) / np.sqrt(len(values))))


def scores(results: Sequence[Result], margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Train and test: differences from the prediction in standard errors, one for each n."""
    table = rows(results, margin)
    return (np.array([errors(train - NOISE**2 * (1 - 2 * D / n)) for n, train, _, _ in table]),
            np.array([errors(excess - exact) for _, _, excess, exact in table]))


def judge(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    train, test = scores(results, MARGIN)
    late = int((~column(results, "converged").astype(bool)).sum())
    remark = f"{late} of {len(results)} runs hit a limit. "
    if any(r["margin"] == 0 for r in results):
        off = scores(results, 0.0)
        remark += ("Without a margin, where the theorem says nothing: train off by "
                   f"{', '.join(f'{s:+.1f}' for s in off[0])}, test by "
                   f"{', '.join(f'{s:+.1f}' for s in off[1])} standard errors.")
    return Verdict(bool(max(np.abs(train).max(), np.abs(test).max()) < 3),
                   "standard errors off, for each n: train "
                   + ", ".join(f"{s:+.1f}" for s in train) + "; test "
                   + ", ".join(f"{s:+.1f}" for s in test), remark.strip())


def draw(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    for margin, style in ((MARGIN, "full"), (0.0, "none")):
        table = rows(results, margin)
        label = f"margin {margin:g}" if margin else "no margin"
        for j, marker, colour, what in ((1, "s", "0.6", "noise - train"), (2, "o", "k", "test")):
            if table:
                n = [row[0] for row in table]
                value = [(NOISE**2 - row[1] if j == 1 else row[2]).mean() for row in table]
                ax.loglog(n, value, marker, color=colour, fillstyle=style, label=f"{what}, {label}")
    n = np.geomspace(min(r["n"] for r in results), max(r["n"] for r in results), 100)
    ax.loglog(n, NOISE**2 * 2 * D / n, "k:", label=r"$2\sigma^2 d/n$")
    ax.loglog(n, NOISE**2 * D / (n / 2 - D - 1), "k--", label=r"$\sigma^2 d/(n/2 - d - 1)$")
    ax.set(xlabel="n", ylabel=r"distance of the risks from $\sigma^2$")
    ax.legend(fontsize=8)


CHECKS = [
    Check(id="S4", title="train and test risk",
          source=f"two least squares fits, the limit in the main theorem of {PAPER}", tag=DERIVED,
          statement="The end state has a mean squared error of $sigma^2 (1 - 2d/n)$ on the "
                    "training points; on new points it exceeds $sigma^2$ by $sigma^2/2 sum_+- "
                    "tr(Sigma (X_+-^T X_+-)^{-1})$, which is about $sigma^2 d/(n/2 - d - 1)$, and "
                    "$2 sigma^2 d/n$ for large $n$.",
          setting="$d = 3$, $m = 30$, noise 0.5, $lambda = 1e-4$, $|x.beta| >= 0.4 |x|$, $n = 40 "
                  "... 1000$, 40 data sets each, until the run has converged (share 1e-4); "
                  f"{TEST_POINTS} new points.",
          assumptions=f"{MARGIN_ASSUMED} Then the cones of the fits are those of the teacher. "
                      "Without it networks keep further neurons and fit more: shown, not judged.",
          prediction="these values, in the mean over the noise",
          rule="with the margin, train and test within 3 standard errors at every $n$",
          cases=cases, measure=measure, judge=judge, draw=draw),
]
