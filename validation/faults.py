"""Random problems of extreme proportions, in search of faults: ``python -m validation.faults``.

Every problem is run by both engines. A fault is

- ``raised``: an exception;
- ``hung``: a run of more than 20 s of processor time (runs are asked to stop after 10; the worker
  of one that does not hear is ended, and that of one that sleeps);
- ``wrong``: a success whose outputs on the data are off by more than 1e3 rtol from those of the
  other engine at rtol 1e-12, or its own if the other one does not get there, in a well-conditioned
  case.

Outputs are compared in units of the largest label, or of the largest sum of ``|a_i relu(w_i.x)|``
at the start or at the end: rtol is a part of every neuron, and where neurons cancel, or come to put
out nothing, outputs are less than it. Whether a case
is well-conditioned is judged by experiment: the start is perturbed by 1e-10, relative to every
entry, three times, and run again by the other engine at 1e-12. If outputs change by more than 1e-7
(the perturbation grew a thousandfold), or if a run does not end well, nothing can be said, and the
case is ``unclear``. So is one whose solution is not unique. Where starts do not matter but inputs
do, the case is ``inputs``, and no fault: perturbed three times by rtol, relative to every entry,
they move outputs by more than 1e3 rtol in at least one, as points of almost one direction do whose
order decides.

With ``--settings`` problems have other losses, slopes, decays and speeds of layers besides; with
``--mixed`` they are those of `validation.mixtures`.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping
from multiprocessing.connection import Connection
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numba.core import event

import gflow

from . import mixtures
from .runs import processor_time

ENGINES = ("DOP853", "waveform")
RTOL, TIGHT = 1e-8, 1e-12
OFF = 1e3 * RTOL
PERTURBED, GROWN = 1e-10, 1e3
PIECES = 200
"""Of a run that is off, that its certificate looks at."""
STOP, HUNG = 10.0, 20.0
"""Seconds of processor time after which a run is asked to end, and after which it hangs."""
GLANCE, LATE = 0.5, 75
"""Seconds between looks at that clock; what a worker returns that hangs."""
ASLEEP = 900.0
"""Seconds on the clock after which a run hangs, however little it computes: compiling is more."""
KINDS = ("plain", "little w", "little a", "units", "rows", "scales", "parallel", "dead", "resting",
         "long", "log_scale")


class Problem(NamedTuple):
    """A start, data and how far to go, the slope of the activation and options of the run."""

    a: np.ndarray
    W: np.ndarray
    log_scale: np.ndarray
    X: np.ndarray
    y: np.ndarray
    t_max: float
    slope: float = 0.0
    options: Mapping[str, Any] = MappingProxyType({})


def draw(seed: int) -> tuple[str, Problem]:
    """A problem, and of what kind.

    Examples
    --------
    >>> kind, problem = draw(1)
    >>> kind in KINDS, problem.X.shape[0] == problem.y.size
    (True, True)
    """
    g = np.random.default_rng([15, seed])
    kind = str(g.choice(KINDS))
    n, m, d = (int(g.integers(1, most + 1)) for most in (12, 8, 4))
    X, y = g.standard_normal((n, d)), g.standard_normal(n)
    if kind == "parallel":
        X = X[g.integers(0, max(1, n // 2), n)] + 10.0 ** g.uniform(-16, -4) * X
    if kind == "rows":
        X *= 10.0 ** g.uniform(*g.choice([[-8, 8], [-2, 2], [-8, 0]]), (n, 1))
    W = g.standard_normal((m, d)) * 10.0 ** g.uniform(-6, 0.5)
    a = np.sqrt((W**2).sum(axis=1)) * g.choice([-1.0, 1.0], m)
    a *= g.choice([1.0, 2.0, 0.5], m)
    if kind in ("little w", "little a"):
        ratio = 10.0 ** -(g.uniform(0, g.choice([6, 20]), m))
        W, a = (W * ratio[:, None], a) if kind == "little w" else (W, a * ratio)
    if kind == "scales":
        size = 10.0 ** g.uniform(-150, 0, m)
        a, W = a * size, W * size[:, None]
    if kind == "dead":
        X = np.abs(X)
        W[g.random(m) < g.choice([0.5, 1.0])] = -np.abs(W[0])
    if kind == "resting":
        case = g.integers(4)
        y = np.maximum(X @ W.T, 0.0) @ a if case == 0 else 0.0 * y if case == 1 else y
        a, W = (0.0 * a, W) if case == 2 else (a, 0.0 * W) if case == 3 else (a, W)
    lengths = np.sqrt((X**2).sum(axis=1))
    pull = float(np.abs(y) @ lengths) / n + 1e-3 * float(lengths @ lengths) / n
    t_max = 10.0 ** g.uniform(-0.5, 2.0) / pull
    if kind in ("long", "resting", "dead"):
        t_max *= 10.0 ** g.uniform(0, 12)
    log_scale = -10.0 ** g.uniform(0, 3, m) if kind == "log_scale" else np.zeros(m)
    if kind == "units":
        # X by 2^x and weights by 2^u: labels by 2^(x + 2 u), times by 2^(-2 x - 2 u).
        x, u = g.integers(-300, 301), g.integers(-150, 151)
        X, y = np.ldexp(X, x), np.ldexp(y, x + 2 * u)
        a, W, t_max = np.ldexp(a, u), np.ldexp(W, u), float(np.ldexp(t_max, -2 * x - 2 * u))
    return kind, Problem(a, W, log_scale, X, y, t_max)


def draw_setting(seed: int) -> tuple[str, Problem]:
    """A problem with another loss, slope, decay or other speeds of layers, and of what kind.

    Examples
    --------
    >>> kind, problem = draw_setting(1)
    >>> kind.split()[0] in KINDS, sorted(problem.options)
    (True, ['decay', 'loss', 'rates'])
    """
    kind, problem = draw(seed)
    g = np.random.default_rng([16, seed])
    loss = str(g.choice(["square", "square", "logistic", "exponential"]))
    a, W, _, X, y, t_max = problem[:6]
    inputs = int(np.frexp(np.abs(X).max())[1])
    if loss != "square":
        y = np.where(y > 0, 1.0, -1.0)
        if kind == "units":
            # Labels have no unit: weights go with inputs alone.
            size = int(np.frexp(max(np.abs(a).max(), np.abs(W).max()))[1])
            a, W = np.ldexp(a, -size - inputs // 2), np.ldexp(W, -size - inputs // 2)
        t_max = 10.0 ** g.uniform(-0.5, g.choice([2.0, 6.0])) * len(y)
        t_max /= float(np.sqrt((X**2).sum(axis=1)).sum())
    rates = (1.0, 1.0)
    if g.random() < 0.3:
        rates = (1.0, 2.0 ** int(g.integers(-10, 11)))[::int(g.choice([-1, 1]))]
    slope = float(g.choice([0.0, 0.0, 0.1, -0.5, 0.9, 10.0 ** g.uniform(-12, -1)]))
    if not W.any():
        # Leaky neurons at w = 0 are refused: they could leave in several directions.
        slope = 0.0
    decay = float(g.choice([0.0, 1.0])) * 10.0 ** g.uniform(-3, 1.5) / t_max
    # The fast engine needs layers that shrink alike.
    options = {"loss": loss, "rates": rates, "decay": (decay / rates[0], decay / rates[1])}
    said = [loss] + ["rates"] * (rates != (1.0, 1.0)) + ["leaky"] * (slope != 0)
    return (" ".join([kind, *said] + ["decay"] * (decay > 0)),
            Problem(a, W, problem.log_scale, X, y, t_max, slope, options))


def draw_mixed(seed: int) -> tuple[str, Problem]:
    """A problem in which several extremes meet, and of what kind: `validation.mixtures`.

    Examples
    --------
    >>> draw_mixed(0)[0]
    'integers'
    """
    kind, (a, W, X, y), t_max = mixtures.draw(seed)
    return kind, Problem(a, W, np.zeros(len(a)), X, y, t_max)


def run(problem: Problem, method: str, rtol: float) -> gflow.Flow:
    """The run of a problem."""
    start = gflow.TwoLayerReLU(problem.a, problem.W, problem.log_scale, slope=problem.slope)
    return gflow.integrate(start, (problem.X, problem.y), problem.t_max, method=method, rtol=rtol,
                           threads=1, max_events=20000, stop=processor_time(STOP),
                           **problem.options)


def outputs(flow: gflow.Flow) -> np.ndarray:
    """Outputs on the data at the end, in units of labels and of what neurons add to outputs."""
    X, y = flow.data.X, flow.data.y
    unit = np.abs(X).max() if X.any() else 1.0
    first, last = (flow.model.activation(X / unit @ W.T) * a
                   for a, W in zip(flow.a[[0, -1]], flow.W[[0, -1]]))
    size = max(np.abs(first).sum(axis=1).max(), np.abs(last).sum(axis=1).max(),
               np.abs(y / unit).max())
    return np.asarray(last.sum(axis=1) / size if size > 0 else last.sum(axis=1))


def well_conditioned(problem: Problem, method: str, expected: np.ndarray, tell: Any,
                     what: tuple[str, ...] = ("a", "W"), size: float = PERTURBED) -> bool:
    """Whether starts, or ``what`` else is perturbed by ``size``, end close by."""
    g = np.random.default_rng(0)
    for _ in range(3):
        entries = {name: getattr(problem, name) for name in what}
        tell("perturbed")
        flow = run(problem._replace(**{
            name: old * (1 + size * g.uniform(-1, 1, old.shape)) for name, old in entries.items()}),
            method, TIGHT)
        if flow.status != "finished":
            return False
        if not np.abs(outputs(flow) - expected).max() <= size * GROWN:
            return False
    return True


def examine(kind: str, problem: Problem, tell: Any) -> list[str]:
    """What is wrong with the runs of one problem; ``tell`` is called before each."""
    engines = ENGINES if kind.split()[0] != "log_scale" else ENGINES[1:]
    found = []
    flows: dict[tuple[str, float], gflow.Flow] = {}
    for rtol, method in itertools.product((RTOL, TIGHT), engines):
        if rtol == TIGHT and not ended(flows.get((method, RTOL))):
            # It would take longer still, and end no better.
            continue
        tell(f"{method} at {rtol:g}")
        try:
            flows[method, rtol] = run(problem, method, rtol)
        except Exception:
            said = traceback.format_exc(limit=-1).replace("\n", " ")
            found.append(f"raised {method} at {rtol:g}: {said}")
    for method in engines:
        flow, other = flows.get((method, RTOL)), engines[engines.index(method) - 1]
        if flow is None or not ended(flow):
            found += [f"ended {method}: {flow.status}"] if flow is not None else []
            continue
        if not ended(flows.get((other, TIGHT))):
            found.append(f"alone {method}: nothing of {other} at {TIGHT:g}")
            other = method
        exact = flows.get((other, TIGHT))
        if exact is None or not ended(exact):
            found.append(f"unclear {method}: nothing of either at {TIGHT:g}")
            continue
        expected = outputs(exact)
        off = np.abs(outputs(flow) - expected).max()
        if off <= OFF:
            continue
        good = not exact.stats["ambiguous"] and well_conditioned(problem, other, expected, tell)
        tell(f"certificate of {method}")
        trusted = ", certificate ok" if flow.certificate(PIECES).ok else ""
        word = "unclear"
        if good:
            inputs = well_conditioned(problem, other, expected, tell, ("X",), RTOL)
            word = "wrong" if inputs else "inputs"
        found.append(f"{word} {method}: outputs off by {off:.1e}{trusted}")
    return found


def ended(flow: gflow.Flow | None) -> bool:
    """Whether there is a run, and it got to ``t_max``."""
    return flow is not None and flow.status == "finished"


class Watch:
    """Ends this process after `HUNG` seconds of processor time, compiling not counted.

    By the clock that runs are stopped by: the system counts ticks for its own limit, and may be
    some percent ahead of that, which adds up over the life of a process.
    """

    def __init__(self) -> None:
        self.due = np.inf
        threading.Thread(target=self._run, daemon=True).start()

    def begin(self) -> None:
        """Count from now on."""
        self.due = time.process_time() + HUNG

    def _run(self) -> None:
        while time.process_time() < self.due:
            time.sleep(GLANCE)
        os._exit(LATE)


class Unmeasured(event.Listener):  # type: ignore[misc]
    """A ``watch`` is off while kernels are compiled, which some problem is the first to need: that
    is no time of its run."""

    def __init__(self, watch: Watch) -> None:
        self.watch, self.depth = watch, 0

    def on_start(self, event: Any) -> None:
        """A kernel, or one within another."""
        self.depth += 1
        self.watch.due = np.inf

    def on_end(self, event: Any) -> None:
        """It is compiled."""
        self.depth -= 1
        if not self.depth:
            self.watch.begin()


def serve(pipe: Connection) -> None:
    """A worker: problems come in, steps and findings go out."""
    np.seterr(all="ignore")
    # Kernels are compiled, or loaded, before anything is timed.
    examine("plain", draw(0)[1], lambda step: None)
    watch = Watch()
    event.register("numba:compile", Unmeasured(watch))

    def tell(step: str) -> None:
        watch.begin()
        pipe.send(("step", step))

    while (asked := pipe.recv()) is not None:
        pipe.send(("done", examine(*asked, tell)))


class Worker:
    """A process that examines problems, under watch."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        self.process = context.Process(target=serve, args=(there,), daemon=True)
        self.process.start()
        there.close()

    def examine(self, kind: str, problem: Problem, patience: float = ASLEEP) -> list[str]:
        """Findings; a worker that hangs or dies is one, and is ended."""
        self.pipe.send((kind, problem._replace(options=dict(problem.options))))
        step = "start"
        while self.pipe.poll(patience):
            try:
                what, said = self.pipe.recv()
            except EOFError:
                self.process.join()
                return [f"{'hung' if self.process.exitcode == LATE else 'died'} {step}"]
            if what == "done":
                return list(said)
            step = said
        self.end()
        return [f"hung {step}"]

    def end(self) -> None:
        """Stop the process."""
        self.process.kill()
        self.process.join()


def search(seeds: Iterable[int], of: Any = draw, show: Any = print) -> Counter[str]:
    """Examine many problems that ``of`` draws; count the findings by their first word and the kind
    of problem."""
    counts: Counter[str] = Counter()
    worker = Worker()
    for seed in seeds:
        kind, problem = of(seed)
        findings = worker.examine(kind, problem)
        if not worker.process.is_alive():
            worker = Worker()
        for finding in findings:
            counts[f"{finding.split()[0]} ({kind.split()[0]})"] += 1
            show(f"seed {seed} ({kind}): {finding}", flush=True)
    worker.end()
    return counts


def main(arguments: list[str] | None = None) -> int:
    """Command line; the number of faults, at most 100."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("count", type=int, nargs="?", default=100, help="problems (100)")
    parser.add_argument("--first", type=int, default=0, help="first seed (0)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--settings", dest="of", action="store_const", const=draw_setting,
                       help="other losses, slopes, decays and speeds of layers too")
    which.add_argument("--mixed", dest="of", action="store_const", const=draw_mixed,
                       help="several extremes at once")
    given = parser.parse_args(arguments)
    counts = search(range(given.first, given.first + given.count), given.of or draw)
    for what, count in sorted(counts.items()):
        print(f"{count:6d} {what}")
    faults = sum(count for what, count in counts.items()
                 if what.split()[0] in ("raised", "hung", "died", "wrong"))
    print(f"{faults} faults in {given.count} problems")
    return min(faults, 100)


if __name__ == "__main__":
    raise SystemExit(main())
