"""``python -m validation.doubts``: thousands of small right runs, and which of them are doubted.

Points of every kind of `validation.accuracy`, starts of every kind of `validation.agreement`, few
of both, so that a run takes some hundredths of a second: square, logistic, exponential losses and
one of a user's own, slopes, weight decay, speeds of layers and fixed ones, biases, rows that are 0;
the fast engine, explicit and implicit steppers, at ``rtol`` 1e-3 to 1e-10.

A run that is doubted is run again, by an implicit stepper (by DOP853, if it was one), at `TIGHT`:
the line says how far it is from that, over ``rtol``, and whether that one is doubted as well. The
first tells whether it is the certificate that is wrong, or the run.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import warnings
from collections import Counter
from typing import Any

import numpy as np

import gflow
from gflow.problem.rates import as_rates
from gflow.problem.setting import Setting, as_decay

from . import accuracy, agreement

TIGHT = 1e-12
STEPS = 80
"""Steps after which a run is ended: it is looked at as far as it came."""
SECONDS = 20.0
"""After which one at `TIGHT` is: it is compared as far as it came."""
METHODS = ("waveform",) * 5 + ("DOP853",) * 4 + ("RK45", "Radau", "LSODA")
LOSSES = ("square", "square", "square", "logistic", "exponential", "own")


class LogCosh:
    """A loss that a user could have written: log cosh of the residual."""

    def value(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The loss, without overflow."""
        r = np.abs(h - y)
        return np.asarray(r + np.log1p(np.exp(-2 * r)) - np.log(2))

    def pull(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Minus its derivative."""
        return np.asarray(np.tanh(y - h))

    def curvature(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Its second derivative."""
        return np.asarray(1 - np.tanh(y - h)**2)


def apart(one: gflow.Flow, two: gflow.Flow) -> float:
    """Largest difference at eight times, relative to the largest that a neuron has been there, or
    to its start."""
    last = min(one.t_end, two.t_end)
    if not last:
        return float("nan")
    times = np.append(np.append(0.0, np.geomspace(min(1e-2, 1e-3 * last), last, 8)[:-1]), last)
    U, V = (np.concatenate([path.a[..., None], path.W], axis=2)
            for path in (one(times), two(times)))
    size = np.maximum.accumulate(np.linalg.norm(V, axis=2))
    return float((np.linalg.norm(U - V, axis=2) / np.where(size > 0, size, 1.0)).max())


class Drawn:
    """A problem, and how it is run.

    Examples
    --------
    >>> drawn = Drawn(3)
    >>> drawn.method in METHODS, 1e-10 <= drawn.rtol <= 1e-3
    (True, True)
    """

    def __init__(self, seed: int) -> None:
        g = np.random.default_rng([31, seed])
        d, n, m = (int(g.integers(1, top)) for top in (5, 8, 7))
        self.kind = str(g.choice(accuracy.DATA + accuracy.ODD))
        X, y = accuracy.points(g, self.kind, n, d)
        if g.random() < 0.1:
            X[g.integers(len(X))] = 0.0
        if g.random() < 0.2:
            y = y * (g.random(len(y)) < 0.5)
        a, W = agreement.start(g, X, m)
        slope = float(g.choice(agreement.SLOPES)) if g.random() < 0.5 else 0.0
        bias = d > 1 and g.random() < 0.2
        self.options: dict[str, Any] = agreement.settings(g, bias) if g.random() < 0.5 else {}
        self.t_max = float(10.0 ** g.uniform(-0.5, 2.0))
        loss = str(g.choice(LOSSES))
        if loss == "own":
            self.options["loss"] = LogCosh()
        elif loss != "square":
            self.options["loss"], y = loss, np.where(y > 0, 1.0, -1.0)
            if "decay" not in self.options and g.random() < 0.2:
                self.t_max = float(g.choice([1e4, 1e30, 1e300]))
        self.data = gflow.Data(X[:, :-1], y, bias=True) if bias else gflow.Data(X, y)
        self.model = gflow.TwoLayerReLU(a, W, slope=slope)
        self.method, self.rtol = str(g.choice(METHODS)), float(10.0 ** g.uniform(-10, -3))
        rates = self.options.get("rates", (1.0, 1.0))
        setting = Setting(as_rates(rates), as_decay(self.options.get("decay", 0.0), bias))
        if self.method == "waveform" and (not all(rates) or setting.uniform is None):
            self.method = "DOP853"
        if self.method in ("Radau", "LSODA") or self.t_max > 1e3 and self.method != "waveform":
            # Of many steps at a small rtol.
            self.method, self.rtol = "Radau" if self.t_max > 1e3 else self.method, self.rtol**0.6
        self.kind += f", slope {slope:g}" + "".join(
            f", {name} {'own' if isinstance(value, LogCosh) else value}"
            for name, value in self.options.items())

    def run(self, method: str, rtol: float, stop: Any) -> gflow.Flow:
        """The run."""
        return gflow.integrate(self.model, self.data, self.t_max, method=method, rtol=rtol,
                               threads=1, max_events=5000, stop=stop, **self.options)

    def doubted(self) -> str:
        """What there is to say of the run; nothing if its certificate is ok."""
        steps = itertools.count()
        flow = self.run(self.method, self.rtol, lambda state: next(steps) >= STEPS)
        certificate = flow.certificate()
        if certificate.ok:
            return ""
        other = "Radau" if self.method in ("DOP853", "waveform") else "DOP853"
        exact = self.run(other, TIGHT, gflow.stop.wall_time(SECONDS))
        gap = apart(flow, exact)
        found = {name: certificate.limits[name] for name in certificate.doubts}
        return (", ".join(f"{name} {value:.3g} of {most:.3g}"
                          for name, (value, most) in found.items())
                + "".join(f" [{told}]" for told in certificate.first)
                + f"; {gap / self.rtol:.3g} rtol from {other} at {TIGHT:g} to t = "
                f"{min(flow.t_end, exact.t_end):.3g}"
                + (", not unique" if exact.stats["ambiguous"] or flow.stats["ambiguous"] else "")
                + ("" if exact.certificate().ok else ", which is doubted, too")
                + f"; {flow.status}")


def main(arguments: list[str] | None = None) -> int:
    """Print the runs that are doubted; 0 if there are none."""
    parser = argparse.ArgumentParser(prog="python -m validation.doubts", description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=3000, help="runs (3000)")
    parser.add_argument("--first", type=int, default=0, help="first seed (0)")
    parser.add_argument("--seconds", type=float, default=np.inf, help="stop after these")
    given = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    begun, seed = time.perf_counter(), given.first
    for seed in range(given.first, given.first + given.count):
        drawn = Drawn(seed)
        if agreement.leaves_zero(drawn):
            counts["refused"] += 1
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said = drawn.doubted()
        if said.endswith("non_finite"):
            # A start whose loss overflows, say: no run at all, and certified as such.
            counts["failed"] += 1
            continue
        counts["doubted" if said else "ok"] += 1
        if said:
            print(f"seed {seed} ({drawn.kind}) {drawn.method} {drawn.rtol:.1e}: {said}", flush=True)
        if not sum(counts.values()) % 100:
            print(f"... {counts['ok']} ok", file=sys.stderr, flush=True)
        if time.perf_counter() - begun > given.seconds:
            break
    print(f"seeds {given.first} to {seed}: "
          + ", ".join(f"{count} {what}" for what, count in counts.most_common())
          + f"; {time.perf_counter() - begun:.0f} s", flush=True)
    return int(counts["doubted"] > 0)


if __name__ == "__main__":
    sys.exit(main())
