"""``python -m validation.accuracy``: errors of random runs, in units of ``rtol``, and which of them
the certificate doubts.

Plain problems, and those with heavy tails, rows of different norm, labels of 0, points on one line,
and starts far from balanced, are run by both engines at ``rtol`` from 1e-3 to 1e-10 (every other
decade: odd ones of one problem, even ones of the next). The error of a run is the largest ``|u -
u'| / |u'|`` of a neuron ``u = (a, w)`` at eight times, ``u'`` being that of the same engine at
1e-13. A problem on which the two engines at 1e-13 differ by more than `UNSURE`, and one whose
solution is not unique, has no reference, and is told apart. So are problems that amplify errors of
a neuron by `AMPLIFIED` or more (`gflow.Flow.conditioning` at 1e-13), and runs whose ``rtol`` does
not decide whether some hyperplane is crossed (its ``close`` at 1e-13).

``--family odd`` draws points that depend on each other (lattices, directions that almost coincide,
symmetric sets) instead, and ``--family settings`` leaky slopes, weight decay, speeds of layers and
losses without rest on either sort of points; there nothing is known of what is amplified.
``--family small`` draws plain problems of at most 5 points and 5 neurons, for more of them in the
same time; certificates look at `PIECES` pieces of these.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import gflow

ENGINES = ("DOP853", "waveform")
TIGHT = 1e-13
STOP = 10.0
"""Seconds after which a run is ended, and told apart."""
FAMILIES = ("plain", "odd", "settings", "small")
PIECES = 12
"""That a certificate looks at, of small problems, which are meant to be many."""
RTOLS = tuple(10.0**-e for e in range(3, 11))
UNSURE = 1e-9
AMPLIFIED = 10.0
MOST, MANY, SHARE = 3000.0, 300.0, 0.005
"""No error beyond ``MOST rtol``, and beyond ``MANY rtol`` no more than a ``SHARE``."""
DATA = ("plain", "plain", "teacher", "teacher", "heavy tails", "rows", "labels 0", "one label",
        "opposite", "duplicates", "bias", "orthogonal")
ODD = ("lattice", "lattice", "near", "near", "odd", "even", "collinear")
START = ("balanced", "balanced", "dominated", "much dominated", "unbalanced", "small")


class Problem(NamedTuple):
    """A start, data, how far to go, and other settings than the usual ones."""

    a: np.ndarray
    W: np.ndarray
    X: np.ndarray
    y: np.ndarray
    t_max: float
    slope: float
    settings: dict[str, Any]


def points(g: np.random.Generator, data: str, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and labels of some kind."""
    X, y = g.standard_normal((n, d)), g.standard_normal(n)
    if data == "teacher":
        return X, X @ g.standard_normal(d) + g.choice([0.1, 0.5]) * y
    if data == "heavy tails":
        return g.standard_t(1.5, (n, d)), g.standard_t(1.5, n)
    if data == "labels 0":
        return X, y * (g.random(n) < g.choice([0.0, 0.5, 0.8]))
    if data == "one label":
        return X, y * (np.arange(n) == g.integers(n))
    return dependent(g, data, X, y)


def dependent(g: np.random.Generator, data: str, X: np.ndarray, y: np.ndarray
              ) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of some kind, made of plain ones, and labels."""
    (n, d), half = X.shape, len(X) // 2
    if data == "rows":
        X *= 10.0 ** g.uniform(-1.5, 1.5, (n, 1))
    elif data in ("opposite", "odd", "even"):
        X[half:2 * half] = -X[:half]
        if data != "opposite":
            y[half:2 * half] = y[:half] * (1 if data == "even" else -1)
    elif data in ("duplicates", "collinear"):
        X = X[g.integers(0, n, n)] * g.choice([1.0, 2.0, 0.5 if data == "duplicates" else -1.0],
                                              (n, 1))
    elif data == "bias":
        X[:, -1] = 1.0
    elif data == "orthogonal":
        X, y = np.linalg.qr(X[:d].T)[0].T * g.uniform(0.5, 2.0, (min(n, d), 1)), y[:d]
    elif data == "lattice":
        X = g.integers(-2, 3, (n, d)).astype(float)
        X[0, 0] += not X.any()
    elif data == "near":
        X = X[g.integers(0, max(1, half), n)] + 10.0 ** g.uniform(-13, -3, (n, 1)) * X
    return X, y


def options(g: np.random.Generator, y: np.ndarray) -> tuple[float, dict[str, Any], np.ndarray]:
    """Slope, settings and labels of a problem with settings."""
    slope = float(g.choice([0.0, 0.0, 0.1, -0.5, -1.0, 1.5]))
    chosen: dict[str, Any] = {}
    if g.random() < 0.5:
        chosen["rates"] = (1.0, float(10.0 ** g.uniform(-2, 2)))
    if g.random() < 0.4:
        # Per layer in proportion to its speed: what is conserved keeps its form, and the fast
        # engine has no other.
        lam, (one, other) = 10.0 ** g.uniform(-3, 0), chosen.get("rates", (1.0, 1.0))
        both = g.random() >= 0.5 and "rates" not in chosen
        chosen["decay"] = lam if both else (lam / one, lam / other)
    loss = str(g.choice(["square", "square", "logistic", "exponential"]))
    if loss != "square":
        chosen["loss"], y = loss, np.where(y > 0, 1.0, -1.0)
    return slope, chosen, y


def draw(seed: int, family: str = "plain") -> tuple[str, Problem]:
    """A problem, and of what kind.

    Examples
    --------
    >>> kind, problem = draw(1)
    >>> kind.split(", ")[0] in DATA, problem.X.shape[0] == problem.y.size
    (True, True)
    """
    g = np.random.default_rng([18, seed, FAMILIES.index(family)])
    kinds = {"plain": DATA, "odd": ODD, "settings": DATA + ODD, "small": DATA}[family]
    data, start = str(g.choice(kinds)), str(g.choice(START))
    d = int(g.integers(2, 4))
    n, m = (int(g.integers(*span)) for span in (
        ((2, 6), (1, 6)) if family == "small" else ((3, 9), (1, 21))))
    X, y = points(g, data, n, d)
    slope, settings = 0.0, {}
    if family == "settings":
        slope, settings, y = options(g, y)
        data += f", slope {slope:g}" + "".join(f", {name} {value}" for name, value
                                               in settings.items())
    lengths = np.sqrt((X**2).sum(axis=1))
    label = np.abs(y).max() if y.any() else float(lengths.max())
    size = 10.0 ** (g.uniform(-8, -3) if start == "small" else g.uniform(-3, 0.3))
    W = g.standard_normal((m, d)) * size * np.sqrt(label / lengths.max() / m)
    a = np.sqrt((W**2).sum(axis=1)) * g.choice([-1.0, 1.0], m)
    if start == "dominated":
        a *= 1 + g.random(m)
    elif start == "much dominated":
        a *= 10.0 ** g.uniform(0, 2, m)
    elif start == "unbalanced":
        a *= g.random(m)
    h = np.maximum(X @ W.T, 0.0) @ a
    pull = float((np.abs(y) + np.abs(h)) @ lengths) / len(X)
    t_max = 10.0 ** g.uniform(0.3, 2.0) / pull
    return f"{data}, {start}", Problem(a, W, X, y, t_max, slope, settings)


def run(problem: Problem, method: str, rtol: float) -> gflow.Flow:
    """The run of a problem, reported at eight times."""
    return gflow.integrate(gflow.TwoLayerReLU(problem.a, problem.W, slope=problem.slope),
                           (problem.X, problem.y), problem.t_max, method=method, rtol=rtol,
                           threads=1, max_events=20000,
                           t_eval=np.linspace(0, problem.t_max, 9)[1:],
                           stop=gflow.stop.wall_time(STOP), **problem.settings)


def apart(flow: gflow.Flow, exact: gflow.Flow) -> float:
    """Largest difference of a neuron at the reported times, relative to it."""
    U, V = (np.concatenate([f.a[..., None], f.W], axis=2) for f in (flow, exact))
    size = np.linalg.norm(V, axis=2)
    return float((np.linalg.norm(U - V, axis=2) / np.where(size > 0, size, 1.0)).max())


class Outcome(NamedTuple):
    """Of one run: its error over ``rtol``, and what there is to say of it."""

    seed: int
    kind: str
    method: str
    rtol: float
    error: float
    doubted: bool
    doubts: str
    said: str


def examine(seed: int, family: str = "plain", rtols: Sequence[float] = RTOLS
            ) -> Iterator[Outcome]:
    """The runs of one problem, at every other one of ``rtols``.

    ``said`` is empty for those that are judged; else "unsure", "not unique", "amplified",
    "undecided" or a status.
    """
    kind, problem = draw(seed, family)
    exact = {method: run(problem, method, TIGHT) for method in ENGINES}
    bad = {flow.status for flow in exact.values()} - {"finished"}
    unsure, said, deciding = np.inf, "unsure", 0.0
    if not bad:
        unsure = apart(exact["DOP853"], exact["waveform"])
        largest, deciding = 0.0, np.inf
        if not (problem.slope or problem.settings):
            # Known of plain networks only.
            conditioning = exact["waveform"].conditioning()
            met = conditioning.close[conditioning.close["met"]]
            deciding = float(met["rtol"].min(initial=np.inf))
            largest = conditioning.largest
        said = ("not unique" if any(flow.stats["ambiguous"] for flow in exact.values()) else
                "amplified" if not largest < AMPLIFIED else
                "unsure" if not unsure <= UNSURE else "")
    for method in ENGINES:
        for rtol in rtols[seed % 2::2]:
            flow = run(problem, method, rtol)
            status = "" if flow.status == "finished" else flow.status
            error = np.nan if status or bad else apart(flow, exact[method]) / rtol
            certificate = flow.certificate(PIECES if family == "small" else None)
            yield Outcome(seed, kind, method, rtol, error, not certificate.ok,
                          ", ".join(certificate.doubts), status or said or
                          ("undecided" if deciding < rtol else ""))


def examined(seed: int, family: str, rtols: Sequence[float]) -> list[Outcome]:
    """The same in one."""
    with np.errstate(all="ignore"):
        return list(examine(seed, family, rtols))


def tell(outcomes: list[Outcome]) -> None:
    """Print those that are to be looked at."""
    for one in outcomes:
        wrong = not one.error <= MANY
        if wrong and one.said in ("", "unsure") or one.doubted and not wrong:
            print(f"seed {one.seed} ({one.kind}) {one.method} {one.rtol:.0e}: {one.error:.3g} rtol"
                  + (f", doubted: {one.doubts}" if one.doubted else "")
                  + (f" [{one.said}]" if one.said else ""), flush=True)


def table(outcomes: list[Outcome]) -> str:
    """Quantiles of errors over ``rtol`` by engine and ``rtol``, of the runs that are judged, as
    Markdown."""
    lines = ["| engine | rtol | runs | 50% | 90% | 99.5% | largest | beyond "
             f"{MANY:.0f} | doubted |", "|---|---|---|---|---|---|---|---|---|"]
    groups: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for one in outcomes:
        for rtol in (f"{one.rtol:.0e}", "all"):
            groups[one.method, rtol].append(one)

    def place(item: tuple[tuple[str, str], list[Outcome]]) -> tuple[str, bool, float]:
        return item[0][0], item[0][1] == "all", -item[1][0].rtol

    for (method, rtol), own in sorted(groups.items(), key=place):
        error = np.array([one.error for one in own])
        quantiles = " | ".join(f"{q:.3g}" for q in np.quantile(error, [0.5, 0.9, 0.995, 1.0]))
        lines.append(f"| {method} | {rtol} | {len(own)} | {quantiles} | {(error > MANY).sum()} | "
                     f"{sum(one.doubted for one in own)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the table, what is not in it, and runs to look at; 0 if errors keep to `MANY` and
    `MOST`."""
    parser = argparse.ArgumentParser(prog="python -m validation.accuracy", description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=300, help="problems (300)")
    parser.add_argument("--first", type=int, default=0, help="first seed (0)")
    parser.add_argument("--family", choices=FAMILIES, default="plain", help="of problems (plain)")
    parser.add_argument("--rtol", type=float, nargs="+", default=RTOLS, help="1e-3 ... 1e-10")
    parser.add_argument("--seconds", type=float, default=np.inf, help="begin no other after these")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    given = parser.parse_args(arguments)
    outcomes: list[Outcome] = []
    begun = time.perf_counter()
    seeds = range(given.first, given.first + given.count)
    with ProcessPoolExecutor(given.jobs) as pool:
        work = partial(examined, family=given.family, rtols=given.rtol)
        for seed, own in zip(seeds, pool.map(work, seeds)):
            outcomes += own
            tell(own)
            if time.perf_counter() - begun > given.seconds:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    print(f"{given.family}, seeds {given.first} to {seed}, {time.perf_counter() - begun:.0f} s")
    judged = [one for one in outcomes if not one.said]
    print(table(judged))
    for what in sorted({one.said for one in outcomes} - {""}):
        own = [one for one in outcomes if one.said == what]
        print(f"{what}: {len(own)} runs of {len({one.seed for one in own})} problems, "
              f"{sum(one.error > MANY for one in own)} beyond {MANY:.0f} rtol")
    right = [one for one in outcomes if one.error <= MANY]
    print(f"{sum(one.doubted for one in right)} of {len(right)} runs within {MANY:.0f} rtol are "
          f"doubted")
    error = np.array([one.error for one in judged])
    return int(bool((error > MANY).mean() > SHARE or not (error <= MOST).all()))


if __name__ == "__main__":
    sys.exit(main())
