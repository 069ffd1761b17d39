"""``python -m validation.agreement``: two engines on thousands of small random problems.

``--family settings`` draws slopes, decay, speeds of layers, fixed layers and biases with the square
loss; ``--family endless`` draws the logistic and the exponential loss on data that can be
separated, that cannot, with points of both labels, and of one class only, to times up to 1e300.
``--family plain`` draws the square loss of ReLU networks with no settings.
Points are generic, on lattices, of almost one direction, opposite, equal or orthogonal
(`validation.accuracy`); starts are balanced or not, tiny or large, or lie on hyperplanes.

A problem is run by a SciPy stepper and by the fast engine (by two steppers where that has not the
setting) at a ``rtol`` of `LOOSE`. Runs that end in different ways, warn, are doubted by their
certificate, are not finite, or differ by more than `CLOSE` times ``rtol`` of the largest that a
neuron has been, are run again at `TIGHT`, which decides: errors that a problem amplifies shrink
with ``rtol``, wrong rules do not. Runs that differ still are an objection, unless starts that
differ by 1e-10 lead a thousand times as far apart, or more. Solutions that are not unique are
counted, not compared. Plain runs are compared with one of the fast engine at 1e-13 besides, and
what amplifies those that differ is told.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import warnings
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

import gflow
from gflow.problem.rates import as_rates
from gflow.problem.setting import Setting, as_decay

from . import accuracy
from .faults import GROWN, PERTURBED

LOOSE, TIGHT = {"plain": 1e-9, "settings": 1e-9, "endless": 1e-7}, 1e-12
CLOSE, LEAST = 1e3, 1e-6
"""Two runs may differ by so many times ``rtol``, or by the second, where ``rtol`` is tiny."""
PIECES = 12
"""Of a run, that a certificate looks at: thousands of them shall not take all the time."""
SHARP = 1e-13
STEPS = 1000
"""Steps after which a run is ended, and told apart."""
FAMILIES = ("settings", "endless", "plain")
SLOPES = (0.0, 0.0, 0.1, -0.3, -1.0, 0.6, 1.7, -2.5)
LATE = (30.0, 30.0, 30.0, 1e4, 1e30, 1e300)


class Problem(NamedTuple):
    """A start, data, how far to go, engines, and other options of `gflow.integrate`."""

    model: gflow.TwoLayerReLU
    data: gflow.Data
    t_max: float
    engines: tuple[str, str]
    options: dict[str, Any]
    plain: bool = False


def start(g: np.random.Generator, X: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights: random ones, small whole numbers, or along or across a point."""
    d = X.shape[1]
    W = g.standard_normal((m, d))
    kind = g.choice(["generic", "generic", "lattice", "ray", "hyperplane"])
    if kind == "lattice":
        W = g.integers(-2, 3, (m, d)).astype(float)
    elif kind != "generic":
        x = X[g.integers(len(X), size=m)]
        W = x * g.choice([-1.0, 1.0], (m, 1)) if kind == "ray" else W - x * (
            (W * x).sum(axis=1) / np.maximum((x * x).sum(axis=1), 1e-300))[:, None]
    W *= 10.0 ** g.choice([0.0, -0.5, -1.0, -3.0])
    a = np.sqrt((W**2).sum(axis=1)) * g.choice([1.0, 1.0, 0.3, 2.0, 0.0], m)
    return a * g.choice([-1.0, 1.0], m), W


def settings(g: np.random.Generator, bias: bool) -> dict[str, Any]:
    """Speeds of layers and decay."""
    chosen: dict[str, Any] = {}
    kind = g.choice(["plain", "plain", "speeds", "speeds", "fixed output", "fixed hidden"],
                    p=[0.2, 0.2, 0.25, 0.25, 0.06, 0.04])
    one, other = {"plain": (1.0, 1.0), "fixed output": (0.0, 1.0),
                  "fixed hidden": (1.0, 0.0)}.get(str(kind), (1.0, 10.0 ** g.uniform(-1.5, 1.5)))
    if kind != "plain":
        chosen["rates"] = one, other
    decay = g.choice(["none", "one", "layers", "bias"], p=[0.3, 0.45, 0.15, 0.1])
    lam, more = 10.0 ** g.uniform(-3, 0.0, 2)
    if decay == "one" and one and other:
        # In proportion to the speeds, as one decay is in other units: the fast engine has that.
        chosen["decay"] = lam / one, lam / other
    elif decay == "bias" and bias:
        chosen["decay"] = lam, lam, 0.0
    elif decay != "none":
        chosen["decay"] = lam, more
    return chosen


def draw(seed: int, family: str) -> tuple[str, Problem]:
    """A problem, and of what kind.

    Examples
    --------
    >>> kind, problem = draw(0, "endless")
    >>> problem.options["loss"] in ("logistic", "exponential"), set(problem.data.y) <= {-1.0, 1.0}
    (True, True)
    """
    g = np.random.default_rng([29, seed, FAMILIES.index(family)])
    d, n, m = (int(g.integers(1, top)) for top in (4, 7, 6))
    kind = str(g.choice(accuracy.DATA + accuracy.ODD))
    X, y = accuracy.points(g, kind, n, d)
    a, W = start(g, X, m)
    slope = float(g.choice(SLOPES)) if family == "settings" or (
        family == "endless" and g.random() < 0.4) else 0.0
    bias = d > 1 and g.random() < 0.2
    options = settings(g, bias) if family == "settings" or (
        family == "endless" and g.random() < 0.3) else {}
    t_max = float(10.0 ** g.uniform(-0.5, 1.7))
    if family == "endless":
        what = g.choice(["generic", "separable", "one class", "both labels"])
        if what == "separable":
            y = X @ g.standard_normal(d)
        elif what == "one class":
            y = np.full(len(y), g.choice([-1.0, 1.0]))
        y = np.where(y > 0, 1.0, -1.0)
        if what == "both labels":
            some = g.integers(len(y), size=g.integers(1, 3))
            X, y = np.concatenate([X, X[some]]), np.append(y, -y[some])
        options["loss"] = str(g.choice(["logistic", "exponential"]))
        # Under decay there is a rest, and no clock that takes decades for nothing.
        t_max = float(g.choice(LATE[:4] if "decay" in options else LATE))
        kind += f", {what}"
    data = gflow.Data(X[:, :-1], y, bias=True) if bias else gflow.Data(X, y)
    model = gflow.TwoLayerReLU(a, W, slope=slope)
    rates, decay = options.get("rates", (1.0, 1.0)), options.get("decay", (0.0, 0.0))
    setting = Setting(as_rates(rates), as_decay(decay, bias))
    engines = ("Radau" if "loss" in options and t_max > LATE[0] else "DOP853",
               "waveform" if all(rates) and setting.uniform is not None else "Radau")
    return f"{kind}, slope {slope:g}" + "".join(
        f", {name} {value}" for name, value in options.items()), Problem(
            model, data, t_max, engines, options, family == "plain")


def run(problem: Problem, method: str, rtol: float) -> gflow.Flow:
    """The run of a problem, reported at eight times besides 0."""
    early = min(1e-2, 1e-3 * problem.t_max)
    times = np.append(0.0, np.geomspace(early, problem.t_max, 8))
    times[-1], steps = problem.t_max, itertools.count()
    return gflow.integrate(problem.model, problem.data, problem.t_max, method=method, rtol=rtol,
                           threads=1, max_events=5000, t_eval=times,
                           stop=lambda state: next(steps) >= STEPS, **problem.options)


def apart(one: gflow.Flow, two: gflow.Flow) -> float:
    """Largest difference at the reported times that both came to, relative to the largest that a
    neuron has been there, or to its start."""
    both = min(len(one.t), len(two.t))
    U, V = (np.concatenate([f.a[:both, :, None], f.W[:both]], axis=2) for f in (one, two))
    size = np.maximum.accumulate(np.linalg.norm(V, axis=2))
    gap = np.linalg.norm(U - V, axis=2) / np.where(size > 0, size, 1.0)
    return float(gap.max()) if np.isfinite(gap).all() else np.inf


def complaint(flow: gflow.Flow) -> str:
    """What is wrong with a run by itself, or nothing."""
    if not (np.isfinite(flow.a).all() and np.isfinite(flow.W).all()
            and np.isfinite(flow.loss).all()):
        return "not finite"
    certificate = flow.certificate(PIECES)
    return "" if certificate.ok else "doubted: " + ", ".join(certificate.doubts)


def compared(problem: Problem, rtol: float) -> str:
    """How the two runs of a problem compare; nothing if they agree and are sound.

    What is among `UNJUDGED` is no objection: `STEPS`, choices, neurons that come to w = 0 and could
    leave in several directions, where some run says so, and starts whose loss overflows, where both
    do.
    """
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        one, two = (run(problem, method, rtol) for method in problem.engines)
    if told:
        return f"warning: {told[0].message}"
    ends = {one.status, two.status}
    if ends == {"non_finite"} and one.t_end == 0.0 == two.t_end:
        return "overflow"
    if "callback" in ends or "max_events" in ends:
        return "slow"
    if one.stats["ambiguous"] or two.stats["ambiguous"]:
        return "not unique"
    said = complaint(one) or complaint(two)
    if said:
        return said
    if "leaky_at_zero" in ends:
        return "at zero"
    if ends != {"finished"}:
        return f"ends: {one.status}, {two.status}"
    gap = apart(one, two)
    if rtol == LOOSE["plain"] and problem.plain:
        sharp = run(problem, "waveform", SHARP)
        gap = max(gap, apart(one, sharp), apart(two, sharp))
    return f"apart by {gap:.2g}" if gap > max(CLOSE * rtol, LEAST) else ""


UNJUDGED = ("not unique", "slow", "at zero", "refused", "overflow")


def examine(seed: int, family: str) -> tuple[str, str]:
    """Kind of a problem and its verdict: "agree", one of `UNJUDGED`, "amplified" if `TIGHT`
    agrees or the problem is `sensitive`, or the objection that stays."""
    kind, problem = draw(seed, family)
    if leaves_zero(problem):
        return kind, "refused"
    said = compared(problem, LOOSE[family])
    if not said:
        return kind, "agree"
    if said in UNJUDGED:
        return kind, said
    again = compared(problem, TIGHT)
    if again in UNJUDGED:
        return kind, again
    if again and not sensitive(problem):
        return kind, f"{said}; then {again}"
    if problem.plain:
        print(f"seed {seed} ({kind}): {said}; {amplified(problem)}", flush=True)
    return kind, "amplified"


def sensitive(problem: Problem) -> bool:
    """Whether a start that is off by up to `PERTURBED` in every entry ends off by `GROWN` times
    that. (By unlike parts of it: neurons shall turn, and not only grow.)"""
    g = np.random.default_rng(0)
    one = run(problem, problem.engines[0], TIGHT)
    for _ in range(3):
        a, W = (v * (1.0 + PERTURBED * g.uniform(-1.0, 1.0, v.shape))
                for v in (problem.model.a, problem.model.W))
        other = problem._replace(model=gflow.TwoLayerReLU(a, W, slope=problem.model.slope))
        if apart(one, run(other, problem.engines[0], TIGHT)) > GROWN * PERTURBED:
            return True
    return False


def amplified(problem: Problem) -> str:
    """What amplifies errors of a plain problem, in a line."""
    found = run(problem, "waveform", SHARP).conditioning()
    steepest = np.abs(found.crossings["ratio"]).max(initial=1.0)
    decided = found.close["rtol"][found.close["met"]].min(initial=np.inf)
    return (f"amplified by {found.largest:.2g}, at a crossing by {steepest:.2g}, hyperplanes "
            f"crossed or not decided by rtol = {decided:.1g}")


def leaves_zero(problem: Problem) -> bool:
    """Whether a start is refused: a neuron at w = 0 that could leave in several directions."""
    model, rates = problem.model, problem.options.get("rates", (1.0, 1.0))
    at_zero = (model.a != 0) & ~model.W.any(axis=1)
    return bool(at_zero.any() and (model.slope and model.d > 1 or not rates[0]))


def main(arguments: list[str] | None = None) -> int:
    """Print objections and counts; 0 if there are none."""
    parser = argparse.ArgumentParser(prog="python -m validation.agreement", description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=1000, help="problems (1000)")
    parser.add_argument("--first", type=int, default=0, help="first seed (0)")
    parser.add_argument("--family", choices=FAMILIES, default="settings")
    parser.add_argument("--seconds", type=float, default=np.inf, help="stop after these")
    given = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    wrong, begun, seed = 0, time.perf_counter(), given.first
    for seed in range(given.first, given.first + given.count):
        kind, verdict = examine(seed, given.family)
        judged = verdict in ("agree", "amplified", *UNJUDGED)
        counts[verdict if judged else "objection"] += 1
        if not judged:
            wrong += 1
            print(f"seed {seed} ({kind}): {verdict}", flush=True)
        if time.perf_counter() - begun > given.seconds:
            break
    print(f"{given.family}, seeds {given.first} to {seed}: "
          + ", ".join(f"{count} {what}" for what, count in counts.most_common())
          + f"; {time.perf_counter() - begun:.0f} s", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
