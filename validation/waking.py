"""Whether runs that `gflow.stop.converged` ends stay, and neurons wake when foreseen.

``python -m validation.waking --d 2 --seeds 10`` makes the table for runs of the threshold
experiment (m = 200, noise 0.5, lambda = 1e-3, n = 4 ... 40; data and start are drawn from
``default_rng([seed, n, d])``).
Each run goes on until `converged` ends it, the loss is a millionth, or it is given up; those that
`converged` ended are run again, from the start, to a hundred times their time. For every plateau
(`gflow.Flow.plateaus`) the table has the time foreseen for the first neuron to wake, and the actual
one.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple, Sequence

import numpy as np

import gflow
from gflow import stop

SIZES = (4, 6, 8, 12, 20, 40)
WIDTH, SCALE, NOISE, RTOL = 200, 1e-3, 0.5, 1e-6
T_MAX, FITTED, LONGER = 1e9, 1e-6, 100.0
STAYS, CLOSE = 5e-3, 0.05
"""Falls of the loss, and errors of times, up to which a run is as foreseen."""


class Outcome(NamedTuple):
    """One run.

    Attributes
    ----------
    d, n, seed : int
    status : str
    t : float
        Where it ended.
    loss : float
        There, over that at the start.
    kind : str
        Of the verdict on it.
    reached : float
        Time to which it was run again, over ``t``; 0 if it was not.
    fall : float
        Part of the loss that it lost until then.
    plateaus : ndarray
    """

    d: int
    n: int
    seed: int
    status: str
    t: float
    loss: float
    kind: str
    reached: float
    fall: float
    plateaus: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Relative errors of the times of waking that came to pass."""
        p = self.plateaus[np.isfinite(self.plateaus["left"])]
        return np.asarray(np.abs(p["predicted"] / p["left"] - 1))


def problem(d: int, n: int, seed: int) -> tuple[gflow.TwoLayerReLU, gflow.Data]:
    """Start and data of a run."""
    rng = np.random.default_rng([seed, n, d])
    data = gflow.datasets.linear_teacher(n, d, NOISE, rng)
    return gflow.init.balanced(WIDTH, d, SCALE, rng), data


def trial(d: int, n: int, seed: int, seconds: float) -> Outcome:
    """Run to convergence, and a hundred times as long."""
    model, data = problem(d, n, seed)
    first = model.loss(data)

    def run(t_max: float, *rules: Any) -> gflow.Flow:
        return gflow.integrate(model, data, t_max, rtol=RTOL, threads=1, t_eval=[0.0, t_max],
                               stop=[*rules, stop.wall_time(seconds)])

    flow = run(T_MAX, stop.converged(), stop.loss_below(FITTED * first))
    end, reached, fall = float(flow.loss[-1]), 0.0, 0.0
    if flow.status == "converged" and flow.t_end > 0:
        longer = run(LONGER * flow.t_end)
        reached, fall = longer.t_end / flow.t_end, 1 - float(longer.loss[-1]) / end
    return Outcome(d, n, seed, flow.status, flow.t_end, end / first, flow.verdict().kind, reached,
                   fall, flow.plateaus())


def told(outcome: Outcome) -> str:
    """A run, and below it a line for each plateau."""
    o = outcome
    lines = [f"d={o.d} n={o.n:<3} seed={o.seed:<3} {o.status:10} t={o.t:<9.4g} "
             f"L/L0={o.loss:<9.4g} {o.kind}"]
    if o.reached:
        lines[0] += f"; by {o.reached:.3g} t the loss falls by {100 * o.fall:.2g}%"
    lines += [f"    rest at {p['begin']:<9.4g} neuron {p['neuron']:<4} rate {p['rate']:<9.4g} "
              f"foreseen {p['predicted']:<10.6g} woke {p['left']:.6g}" for p in o.plateaus]
    return "\n".join(lines)


def summary(outcomes: Sequence[Outcome]) -> str:
    """Counts over all runs."""
    ended = [o for o in outcomes if o.reached]
    fell = [o for o in ended if o.fall > STAYS]
    errors = np.concatenate([o.errors for o in outcomes]) if outcomes else np.empty(0)
    given_up = sum(o.status in ("finished", "wall_time") for o in outcomes)
    return (f"{len(outcomes)} runs: {len(ended)} converged, {given_up} given up; "
            f"{sum(o.reached > 0.99 * LONGER for o in ended)} followed to {LONGER:g} times their "
            f"time, {len(fell)} of all fell by more than {100 * STAYS:g}%"
            f"{''.join(f' (n = {o.n}, seed {o.seed})' for o in fell)}; {errors.size} wakings, "
            f"{(errors > CLOSE).sum()} off by more than {100 * CLOSE:g}%, the worst by "
            f"{100 * errors.max(initial=0.0):.2g}%, the median by "
            f"{100 * (np.median(errors) if errors.size else 0.0):.2g}%")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 if a run was not as foreseen."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--d", type=int, default=2)
    parser.add_argument("--n", type=lambda text: [int(n) for n in text.split(",")], default=SIZES)
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seconds", type=float, default=60.0, help="for one run")
    chosen = parser.parse_args(arguments)
    outcomes = []
    for n in chosen.n:
        for seed in range(chosen.first, chosen.first + chosen.seeds):
            outcomes.append(trial(chosen.d, n, seed, chosen.seconds))
            print(told(outcomes[-1]), flush=True)
    print(summary(outcomes))
    return int(any(o.fall > STAYS or (o.errors > CLOSE).any() for o in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
