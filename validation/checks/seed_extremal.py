"""S1-E, S2, S2-D: with many samples neurons can go to two places only, plus and minus Sigma beta.
"""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np
from scipy.special import betainc

import gflow

from ..check import DERIVED, PROVED, Case, Check, Result, Verdict, column, slope
from .seed_concentration import NOISE, PAPER

MARGIN = 0.4
SIZES = {2: (10, 30, 100, 300, 1000, 3000), 3: (10, 20, 40, 80, 160)}


def cases(quick: bool) -> list[Case]:
    return [{"d": d, "n": n, "margin": margin, "seed": seed}
            for d in ((2,) if quick else (2, 3)) for n in SIZES[d] for margin in (0.0, MARGIN)
            for seed in range(20 if quick else 100)]


def measure(d: int, n: int, margin: float, seed: int, rng: Any) -> Result:
    data = gflow.datasets.linear_teacher(n, d, noise=NOISE, margin=margin, rng=rng)
    vectors = gflow.theory.extremal_vectors(data)
    limit = 0.5 * moments(d, margin)[0] * np.eye(d)[0]
    # The most attractive maximum; E[1{w.x>0} y x] is Sigma beta / 2 for every w.
    top = vectors.D[0]
    away = top / np.linalg.norm(top) - np.eye(d)[0]
    return {"d": d, "n": n, "margin": margin, "count": len(vectors), "ok": vectors.certified,
            "off": np.linalg.norm(vectors.D - limit, axis=1).max(), "turn": away @ away / 2}


def moments(d: int, margin: float) -> tuple[float, float, float]:
    """E[x_1^2], E[x_2^2] and E[x_1^2 x_2^2], for the first basis vector as the teacher.

    Norm and direction of a point are independent, with E|x|^2 = d and E|x|^4 = d (d + 2). With
    c = cos(x, beta), c^2 is Beta(1/2, (d-1)/2), given that it is at least margin^2. Hence, with
    P_j the probability of that under Beta(1/2 + j, (d-1)/2), E[c^2] = P_1 / (d P_0) and
    E[c^4] = 3 P_2 / (d (d + 2) P_0). The d - 1 directions across are alike and share 1 - c^2, so
    Sigma is diag(s, t, ..., t) with t = (d - s)/(d - 1), and E[x_1^2 x_2^2] is
    E|x|^4 E[c^2 (1 - c^2)]/(d - 1), not s t.
    """
    chance = betainc((d - 1) / 2, 0.5 + np.arange(3), 1 - margin**2)
    square, fourth = chance[1] / chance[0], 3 * chance[2] / chance[0]
    return square, (d - square) / (d - 1), ((d + 2) * square - fourth) / (d - 1)


def group(results: Sequence[Result], d: int, margin: float, name: str
          ) -> tuple[np.ndarray, list[np.ndarray]]:
    """Values of n, and for each the values of ``name`` over data sets."""
    own = [r for r in results if r["d"] == d and r["margin"] == margin]
    n = column(own, "n")
    return np.unique(n), [column(own, name)[n == size] for size in np.unique(n)]


def sets(results: Sequence[Result]) -> list[tuple[int, float]]:
    """Dimension and margin of the groups there are."""
    return sorted({(int(r["d"]), float(r["margin"])) for r in results})


def judge_off(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    found = []
    for d, margin in sets(results):
        n, values = group(results, d, margin, "off")
        found.append(slope(n[n >= 30], [v.mean() for v in values][-(n >= 30).sum():]))
    return Verdict(all(-0.6 < s < -0.42 for s in found), "slopes "
                   + ", ".join(f"{s:.3f} (d = {d}, margin {margin:g})"
                               for s, (d, margin) in zip(found, sets(results))))


def judge_count(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    good, words = all(r["ok"] for r in results), []
    for d, margin in sets(results):
        n, values = group(results, d, margin, "count")
        share = np.array([(v == 2).mean() for v in values])
        good &= bool(share[-1] > share[0])
        if margin:
            good &= bool(share[-1] == 1.0)
        words.append(f"{share[0]:.2f} to {share[-1]:.2f} (d = {d}, margin {margin:g})")
    return Verdict(good, "share of data sets with two: " + ", ".join(words))


def constant(d: int, margin: float) -> float:
    """Limit of n (1 - cos): (d - 1) (q + sigma^2 t) / s^2.

    Here s = E[x_1^2], t = E[x_2^2], q = E[x_1^2 x_2^2]. D, the mean of y x over the points with
    x_1 > 0 and zeros for the others, has the mean s/2 along beta. Across, each of d - 1 components
    has mean 0 and variance E[1{x_1 > 0} y^2 x_2^2]/n = (q + sigma^2 t)/(2n), and 1 - cos is half of
    the squared ratio of the two.
    """
    s, t, q = moments(d, margin)
    return (d - 1) * (q + NOISE**2 * t) / s**2


def judge_turn(cases: Sequence[Case], results: Sequence[Result]) -> Verdict:
    good, words = True, []
    for d, margin in sets(results):
        n, values = group(results, d, margin, "turn")
        # In units of the prediction, over all data sets of the two largest n.
        ratio = np.concatenate([v * size for v, size in zip(values, n)][-2:]) / constant(d, margin)
        error = ratio.std(ddof=1) / np.sqrt(ratio.size)
        if margin:
            good &= bool(abs(ratio.mean() - 1) < 3 * error)
        words.append(f"{ratio.mean():.3f} +- {error:.3f} (d = {d}, margin {margin:g})")
    return Verdict(good, "$n (1 - cos)$ over the prediction: " + ", ".join(words))


STYLE = {(2, 0.0): "o--", (2, MARGIN): "o-", (3, 0.0): "^--", (3, MARGIN): "^-"}


def _draw(ax: Any, results: Sequence[Result], name: str, value: Any) -> None:
    for d, margin in sets(results):
        n, values = group(results, d, margin, name)
        ax.plot(n, [value(v) for v in values], STYLE[d, margin], color="k" if d == 2 else "0.55",
                fillstyle="full" if margin else "none",
                label=f"d = {d}, " + (f"margin {margin:g}" if margin else "no margin"))
    ax.set(xlabel="n", xscale="log")


def draw_off(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    _draw(ax, results, "off", np.mean)
    n = np.array([10.0, 3000.0])
    ax.plot(n, 2.5 * n**-0.5, "k:", label="slope -1/2")
    ax.set(yscale="log", ylabel=r"largest $|D - \Sigma\beta/2|$ of an extremal vector")
    ax.legend()


def draw_count(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    _draw(ax, results, "count", lambda v: (v == 2).mean())
    ax.axhline(1.0, color="k", ls=":", label="predicted for large n")
    ax.set(ylabel="share of data sets with two extremal vectors", ylim=(0, 1.05))
    ax.legend()


def draw_turn(ax: Any, cases: Sequence[Case], results: Sequence[Result]) -> None:
    _draw(ax, results, "turn", np.mean)
    for d in sorted({d for d, _ in sets(results)}):
        n = group(results, d, MARGIN, "turn")[0]
        ax.plot(n, constant(d, MARGIN) / n, ":", color="k" if d == 2 else "0.55",
                label=f"prediction with the margin, d = {d}")
    ax.set(yscale="log", ylabel=r"1 - cos($D$, $\Sigma\beta$)")
    ax.legend()


MARGIN_ASSUMED = ("The theorem assumes $|x.beta| >= c |x| / sqrt(d)$ (assumption 3 there) for "
                  f"$beta$ of norm 1; this holds with $c / sqrt(d) = {MARGIN:g}$.")
SETTING = ("Gaussian points, linear teacher of norm 1, noise 0.5, without a margin and with "
           "$|x.beta| >= 0.4 |x|$; $d = 2$ ($n = 10 ... 3000$) and $d = 3$ ($n = 10 ... 160$), "
           "many data sets; all extremal vectors, certified by their Morse sum.")

CHECKS = [
    Check(id="S1-E", title="extremal vectors approach those of the population",
          source=f"{PAPER}, proposition after Theorem 3.1 (as recalled; text not seen)", tag=PROVED,
          statement="All extremal vectors of $G_n$ come close to $Sigma beta / 2$, the only field "
                    "of the population, as $n$ grows.",
          setting=SETTING, assumptions="The constant is not known to us.",
          prediction="slope $-1/2$ in $n$, as for the supremum of S1",
          rule="slope of the mean between -0.6 and -0.42 for $n >= 30$",
          cases=cases, measure=measure, judge=judge_off, draw=draw_off),
    Check(id="S2", title="two extremal vectors are left",
          source=f"{PAPER}, section 3; Early alignment, p. 8", tag=PROVED,
          statement="With many samples $G_n$ has exactly two extremal vectors, a maximum near "
                    "$Sigma beta$ and a minimum near minus that.",
          setting=SETTING,
          assumptions=f"{MARGIN_ASSUMED} Without it, points close to the teacher's hyperplane can "
                      "keep further vectors alive at any $n$.",
          prediction="the share of data sets with exactly two tends to 1",
          rule="the share grows from the smallest to the largest $n$, to 1 with the margin; every "
               "enumeration certified",
          cases=cases, measure=measure, judge=judge_count, draw=draw_count),
    Check(id="S2-D", title="the direction of alignment is that of $Sigma beta$",
          source="central limit theorem for $D_n$ on the half-space of the teacher", tag=DERIVED,
          statement="At the most attractive maximum $n (1 - cos(D, Sigma beta))$ has mean $(d - "
                    "1)(q + sigma^2 t)/s^2$ for large $n$, with $s = E[(x.beta)^2]$, $t = "
                    "E[(x.v)^2]$ and $q = E[(x.beta)^2 (x.v)^2]$ for a unit vector $v$ orthogonal "
                    "to $beta$.",
          setting=SETTING,
          assumptions="Derived with the margin, where turns by less than 23.6 degrees change no "
                      "pattern; without it, shown but not judged.",
          prediction="$1 - cos$ of order $d/n$, with that constant",
          rule="with the margin, within 3 standard errors over the two largest $n$",
          cases=cases, measure=measure, judge=judge_turn, draw=draw_turn),
]
