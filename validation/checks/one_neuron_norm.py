"""N4: where the teacher is not the interpolator of least norm."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Sequence

import numpy as np
from scipy.optimize import linprog, minimize_scalar, nnls

import gflow

from .. import runs
from ..check import PROVED, Case, Check, Result, Verdict, column
from .one_neuron_ends import PAPER, learners

CLEAR = 0.02
"""Data sets with a smaller |M| are drawn again."""


def cases(quick: bool) -> list[Case]:
    return [{"positive": positive, "seed": seed} for positive in (True, False)
            for seed in range(2 if quick else 15)]


def split_margin(data: gflow.Data) -> tuple[float, np.ndarray, np.ndarray]:
    """M and where it is attained: the largest cos(p, q) - sin(p, v) for n = d = 3.

    p is in the cone of the dual vectors of some points, q in that of those of the others.
    """
    dual = np.linalg.inv(data.X)
    dual /= np.linalg.norm(dual, axis=0)
    teacher = np.linalg.solve(data.X, data.y)
    best = (-np.inf, teacher, teacher)
    for split in [(0,), (1,), (2,), *combinations(range(3), 2)]:
        others = np.delete(dual, split, axis=1)
        for s in np.linspace(0.0, 1.0, 500) if len(split) == 2 else [1.0]:
            p = dual[:, split] @ np.array([s, 1 - s][:len(split)])
            p /= np.linalg.norm(p)
            # The nearest direction of the other cone: a projection, or an edge if that is zero.
            q = others @ nnls(others, p)[0]
            if not q.any():
                q = others[:, int(np.argmax(p @ others))]
            q = q / np.linalg.norm(q)
            value = float(p @ q - np.sqrt(max(1 - (p @ teacher)**2, 0.0)))
            if value > best[0]:
                best = value, p, q
    return best


def two_neurons(data: gflow.Data, p: np.ndarray, q: np.ndarray) -> gflow.TwoLayerReLU:
    """The best of the interpolators relu((v - s e p).x) + s relu(e (p - <p, q> q).x).

    The sign s is that of <p, v>, so that the first neuron gets smaller.
    """
    teacher, second = np.linalg.solve(data.X, data.y), p - (p @ q) * q
    s, reach = np.sign(p @ teacher), data.X @ p
    # The first neuron has to stay active on all points.
    most = float((data.y[reach > 1e-12] / reach[reach > 1e-12]).min()) if s > 0 else 1.0
    best = minimize_scalar(lambda e: (np.linalg.norm(teacher - s * e * p)
                                      + e * np.linalg.norm(second)),
                           bounds=(0.0, most), method="bounded", options={"xatol": 1e-12}).x
    # Balanced: |a| = |w|.
    W = np.array([teacher - s * best * p, best * second])
    size = np.sqrt(np.linalg.norm(W, axis=1))
    return gflow.TwoLayerReLU(size * [1.0, s], W / size[:, None])


def least_norm(data: gflow.Data, near: np.ndarray, rng: Any) -> float:
    """Least ``sum |a||w|`` of interpolators with hidden directions among many, exactly (an LP)."""
    unit = np.vstack([near, rng.standard_normal((4000, 3))])
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    features = np.maximum(data.X @ unit.T, 0.0)
    answer = linprog(np.ones(2 * len(unit)), A_eq=np.hstack([features, -features]), b_eq=data.y,
                     method="highs")
    return float(answer.fun)


def measure(positive: bool, seed: int, rng: Any) -> Result:
    while True:
        data = gflow.datasets.one_neuron(3, 3, rng, centred=False, cone=True)
        M, p, q = split_margin(data)
        if np.linalg.eigvalsh(data.X.T @ data.X / 3)[0] > 1e-3 and (
                CLEAR < M if positive else M < -CLEAR):
            break
    pair = two_neurons(data, p, q)
    least = least_norm(data, np.vstack([np.linalg.solve(data.X, data.y), pair.W]), rng)
    while True:
        model = gflow.init.balanced(10, 3, 1e-4, rng=rng)
        if learners(model, data).any():
            break
    flow = runs.integrate(model, data, 1e7, method="waveform", rtol=1e-10, threads=1,
                          stop=gflow.stop.loss_below(1e-20))
    return {"M": M, "pair": (pair.a**2).sum(), "misfit": np.abs(pair(data.X) - data.y).max(),
            "least": least, "flow": (flow.model.a**2).sum(), "loss": flow.model.loss(data)}


def judge(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    M, least, pair = (column(results, name) for name in ("M", "least", "pair"))
    up = M > 0
    flow = np.abs(column(results, "flow") - 1).max()
    good = ((column(results, "misfit") < 1e-9).all() and (pair[up] < 1 - 1e-6).all()
            and (least[up] < 1 - 1e-6).all() and (np.abs(least[~up] - 1) < 1e-9).all()
            and flow < 1e-5 and (column(results, "loss") < 1e-19).all())
    return Verdict(bool(good), f"M > 0: two neurons of norm {pair[up].min():.4f} to "
                   f"{pair[up].max():.4f}, least {least[up].min():.4f}; M < 0: least "
                   f"{least[~up].min():.9f}; flow within {flow:.1e} of 1")


def draw(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    M = column(results, "M")
    ax.plot(M, column(results, "flow"), "kx", label="end of the flow, lambda = 1e-4")
    ax.plot(M, column(results, "least"), "ko", fillstyle="none", label="least found (LP)")
    up = M > 0
    ax.plot(M[up], column(results, "pair")[up], "k^", fillstyle="none", label="two neurons")
    ax.axvline(0.0, color="k", ls=":")
    ax.axhline(1.0, color="k", ls="--", lw=1, label="the teacher")
    ax.set(xlabel="M", ylabel="sum of |a||w| of an interpolator")
    ax.legend(fontsize=8, loc="lower left")


CHECKS = [
    Check(id="N4", title="the learned direction need not have the least norm",
          source=f"{PAPER}, Theorem 8", tag=PROVED,
          statement="For $n = d$ let $M$ be the largest $cos(p, q) - sin(p, v)$ over p in the cone "
                    "of the dual vectors of some points and q in that of the others. If $M < 0$ "
                    "networks with all weights parallel to the teacher $v$ are the interpolators "
                    "of least norm; if $M > 0$ they are none of them.",
          setting="$n = d = 3$, points within $pi/4$ of $v$, $|M| > 0.02$, 10 neurons, $lambda = "
                  "1e-4$. Interpolators: two neurons in closed form (derived here), and a linear "
                  "program over 4000 random directions.",
          assumptions="The flow goes to the teacher either way (N1), so that for $M > 0$ it is not "
                      "biased to the least norm.",
          prediction="an interpolator of norm below 1 just if $M > 0$; $sum a^2 = 1$ on the flow",
          rule="$M > 0$: two neurons that fit within 1e-9, of norm below $1 - 1e-6$; $M < 0$: "
               "least norm 1 within 1e-9; flow within 1e-5 of 1",
          cases=cases, measure=measure, judge=judge, draw=draw),
]
