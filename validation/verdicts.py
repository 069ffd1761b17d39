"""Verdicts on small random problems, against a search that knows nothing of them.

``python -m validation.verdicts 200`` draws problems (points on one ray, opposite ones, starts out
of balance, neurons that are 0 in part), takes the verdict on a state of each, mostly an end of
training, and asks the following, with sampled directions and plain descent only:

- minimum: does the loss fall inside small balls around the limit, from a move of one neuron, of
  two, of all? The limit is where the run is after a thousand million times its time.
- spurious: what does the best combination of thousands of fixed neurons reach?
- escapes: where do small neurons go that start in many directions, and do they grow there?
- leaving, or not: does Euler's method, kept to the conserved ``a^2 - |w|^2``, leave as foreseen?
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
from numba import njit

import gflow
from gflow import stop
from gflow.theory import Verdict, verdict

BALLS = (0.3, 0.01, 1e-3)
"""Radii, over the least weight that is not 0; descent is what all of them show."""
GONE = 1e-7
"""Neurons of such weights are 0: all starts are larger, and what does not shrink for ever, too."""
FALLS = 1e-5
"""Part of radius squared times the sum of all terms of a field that is a fall of the loss."""
SAMPLES, DIRECTIONS = 240, 20_000
FOLLOWED = ((6, 0.05), (60, 0.005))
"""Thousands of steps for which small neurons are followed, and their size; the smaller ones if one
seems to rest where there is no escape: steps to and fro across a hyperplane end beside it."""
STEPS = 3_000_000
"""Of Euler's method, at most."""


def problem(seed: int) -> tuple[gflow.TwoLayerReLU, gflow.Data]:
    """Start and data."""
    rng = np.random.default_rng(seed)
    d, n, m = (int(rng.integers(*span)) for span in ((1, 4), (2, 8), (1, 6)))
    X, y = rng.standard_normal((n, d)), rng.standard_normal(n)
    match rng.integers(6):
        case 0:
            X[-1] = 2.0 * X[0]
        case 1:
            X[-1] = -X[0]
        case 2:
            y = X @ rng.standard_normal(d) + 0.3 * y
        case 3:
            X[:, -1] = 1.0
    start = gflow.init.balanced(m, d, 10.0**rng.uniform(-3, -0.3), rng=rng)
    a, W = start.a.copy(), start.W.copy()
    match rng.integers(5):
        case 0:
            a *= 1 + rng.random(m)
        case 1:
            W *= 1 + rng.random((m, 1))
        case 2:
            a[0] = 0.0
        case 3:
            W[0] = 0.0
    return gflow.TwoLayerReLU(a, W), gflow.Data(X, y)


def state(seed: int) -> tuple[gflow.TwoLayerReLU, gflow.Data, float]:
    """Network to judge, its data, and its time: of five runs one is cut somewhere on its way."""
    model, data = problem(seed)
    rules = [stop.converged(1e-6), stop.loss_below(1e-13)]
    flow = gflow.integrate(model, data, 1e6, rtol=1e-9, threads=1, t_eval=[0.0, 1e6], stop=rules)
    if seed % 5:
        return flow.model, data, flow.t_end
    t = flow.t_end**np.random.default_rng(seed).random()
    return gflow.integrate(model, data, t, rtol=1e-9, threads=1).model, data, t


def loss_of(a: np.ndarray, W: np.ndarray, data: gflow.Data) -> np.ndarray:
    """Losses of networks (k, m), (k, m, d)."""
    h = np.einsum("ti,tik->tk", a, np.maximum(W @ data.X.T, 0.0))
    return np.asarray(((h - data.y)**2).sum(axis=1) / (2 * data.n))


def largest_fall(a: np.ndarray, W: np.ndarray, data: gflow.Data, radius: float, own: np.ndarray,
                 rng: np.random.Generator) -> float:
    """Of the loss in a ball around a network, moving neurons ``own`` only."""
    m, d = W.shape
    Z = W @ data.X.T
    H = np.maximum(Z, 0.0)
    p = (data.y - a @ H) / data.n
    moves = rng.standard_normal((SAMPLES, m, d + 1))
    some = np.zeros((SAMPLES, m))
    for row in range(SAMPLES):
        count = (1, 1, 1, 2, own.size)[row % 5]
        some[row, rng.choice(own, min(count, own.size), replace=False)] = 1.0
    # Also those along w, and small in a.
    moves[::2, :, 0] *= 10.0**rng.uniform(-3, 1, (len(moves[::2]), 1))
    moves *= some[:, :, None]
    moves *= radius / np.sqrt((moves**2).sum(axis=(1, 2)))[:, None, None]
    best, step = 0.0, 0.3 * radius
    for _ in range(250):
        A, turn = a + moves[:, :, 0], moves[:, :, 1:] @ data.X.T
        z = Z + turn
        # Changes of outputs, not outputs: falls are far below the rounding of the loss.
        change = np.where((Z > 0) & (z > 0), turn, np.maximum(z, 0.0) - H)
        h = np.einsum("ti,tik->tk", A, change) + moves[:, :, 0] @ H
        best = max(best, float((h @ p - (h**2).sum(axis=1) / (2 * data.n)).max()))
        r = h / data.n - p
        g = np.empty_like(moves)
        g[:, :, 0] = np.einsum("tik,tk->ti", np.maximum(z, 0.0), r)
        g[:, :, 1:] = A[:, :, None] * ((z > 0) * r[:, None, :] @ data.X)
        g *= some[:, :, None]
        g /= np.maximum(np.sqrt((g**2).sum(axis=(1, 2))), 1e-300)[:, None, None]
        moves -= step * g
        size = np.sqrt((moves**2).sum(axis=(1, 2)))
        moves *= np.minimum(1.0, radius / np.maximum(size, 1e-300))[:, None, None]
        step *= 0.98
    return best


def falls(model: gflow.TwoLayerReLU, data: gflow.Data, own: np.ndarray,
          rng: np.random.Generator) -> bool:
    """Whether the loss falls near a network, in every ball."""
    r = np.abs(data.y - model(data.X)) @ np.linalg.norm(data.X, axis=1) / data.n
    sizes = np.concatenate([np.abs(model.a), np.linalg.norm(model.W, axis=1)])
    least = min(float(sizes[sizes > 0].min(initial=np.inf)), 0.1)
    return all(largest_fall(model.a, model.W, data, least * ball, own, rng)
               > FALLS * r * (least * ball)**2 for ball in BALLS)


def directions(data: gflow.Data, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors: random ones, and some along all hyperplanes."""
    U = rng.standard_normal((DIRECTIONS, data.d))
    for k in range(data.n * (data.d > 1)):
        part = slice(k * 500, (k + 1) * 500)
        x = data.X[k] / np.linalg.norm(data.X[k])
        U[part] -= np.outer(U[part] @ x, x)
    U = U[np.linalg.norm(U, axis=1) > 1e-9]
    return np.asarray(U / np.linalg.norm(U, axis=1)[:, None])


def reached(data: gflow.Data, rng: np.random.Generator) -> float:
    """Loss of the best combination of fixed neurons."""
    F = np.maximum(data.X @ directions(data, rng)[::10].T, 0.0)
    h = F @ np.linalg.lstsq(F, data.y, rcond=1e-12)[0]
    return float(((h - data.y)**2).sum() / (2 * data.n))


def growing(data: gflow.Data, r: np.ndarray, U: np.ndarray, blocks: int, length: float
            ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions at which small neurons arrive that start at ``U``, their signs and growth rates,
    by so many times 1000 steps of a ``length``."""
    X = data.X
    s = np.where(np.arange(len(U)) % 2, 1.0, -1.0)
    scale = np.abs(r) @ np.linalg.norm(X, axis=1) / data.n

    def field(V: np.ndarray) -> np.ndarray:
        return np.asarray((V @ X.T > 0) * r @ X / data.n)

    step, means = length / scale, []
    for count in range(1000 * blocks):
        U = U + step * s[:, None] * field(U)
        U = U / np.linalg.norm(U, axis=1)[:, None]
        if count % 1000 == 0:
            # Steps go to and fro across the hyperplanes on which neurons slide.
            means.append(np.zeros_like(U))
        means[-1] += U / 1000
    U = means[-1] / np.linalg.norm(means[-1], axis=1)[:, None]
    rate = s * (np.maximum(U @ X.T, 0.0) @ r) / data.n
    rests = np.linalg.norm(means[-1] - means[-2], axis=1) < 1e-2 * np.minimum(1000 * step * rate, 1)
    own = rests & (rate > 1e-3 * scale)
    return U[own], s[own], rate[own]


@njit
def dot(u, v):  # type: ignore[no-untyped-def]
    """Of vectors too short to be worth an array."""
    total = 0.0
    for j in range(len(u)):
        total += u[j] * v[j]
    return total


@njit
def pulls(a, W, X, y, r):  # type: ignore[no-untyped-def]
    """Residuals to ``r``, and the loss."""
    value = 0.0
    for k in range(len(y)):
        r[k] = y[k]
        for i in range(len(a)):
            r[k] -= a[i] * max(dot(W[i], X[k]), 0.0)
        value += r[k]**2 / (2 * len(y))
    return value


@njit
def euler(a, W, X, y, step, steps, share):  # type: ignore[no-untyped-def]
    """Time at which the loss has fallen by ``share``, or -1."""
    c = a**2 - (W**2).sum(axis=1)
    # What is balanced but for rounding is balanced.
    c[np.abs(c) < 1e-9 * a**2] = 0.0
    r = np.empty(len(y))
    first = pulls(a, W, X, y, r)
    for count in range(steps):
        for i in range(len(a)):
            D = np.zeros(W.shape[1])
            for k in range(len(y)):
                if dot(W[i], X[k]) > 0:
                    D += r[k] / len(y) * X[k]
            lift = dot(W[i], D)
            W[i] += step * a[i] * D
            a[i] += step * lift
            size = dot(W[i], W[i])
            if c[i] >= 0:
                a[i] = np.sign(a[i]) * np.sqrt(size + c[i])
            elif size > 0:
                W[i] *= np.sqrt((a[i]**2 - c[i]) / size)
        if pulls(a, W, X, y, r) < (1 - share) * first:
            return (count + 1) * step
    return -1.0


def wakes(model: gflow.TwoLayerReLU, data: gflow.Data, time: float, share: float) -> float:
    """When Euler's method has lost this share of the loss, within a time; -1 if it does not, NaN
    if that takes too many steps."""
    unit = np.exp(model.log_scale)
    a, W = model.a * unit, model.W * unit[:, None]
    X, n = data.X, data.n
    size = np.linalg.norm(X, axis=1)
    rate = float((a**2 + (W**2).sum(axis=1)).sum() * (size**2).sum() / n
                 + np.abs(data.y - model(X)) @ size / n)
    step = 0.05 / rate
    if not time / step < STEPS:
        return float("nan")
    return float(euler(a.copy(), W.copy(), X, data.y, step, int(time / step) + 1, share))


def of_landscape(found: Verdict, limit: gflow.TwoLayerReLU, data: gflow.Data,
                 rng: np.random.Generator) -> list[str]:
    """What is wrong about the landscape at a rest."""
    if found.kind == "interpolation":
        return []
    wrong = []
    down = falls(limit, data, np.arange(limit.m), rng)
    if down is bool(found.minimum):
        wrong.append(f"minimum is {found.minimum}, but the loss {'falls' if down else 'stays'}")
    if found.shrinking.size and not falls(limit, data, found.shrinking, rng):
        wrong.append(f"no descent beside neurons {found.shrinking.tolist()}")
    r = data.y - limit(data.X)
    G = np.abs(np.maximum(directions(data, rng) @ data.X.T, 0.0) @ r).max() / data.n
    scale = float(np.abs(r) @ np.linalg.norm(data.X, axis=1)) / data.n
    few = 1e-9 * float(np.abs(data.y).max() * np.linalg.norm(data.X, axis=1).max())
    if not 0.98 * found.strongest - few <= G <= found.strongest * (1 + 1e-5) + few:
        wrong.append(f"strongest is {found.strongest:.9g}, sampled {G:.9g}")
    starts = directions(data, rng)[::50]
    for blocks, length in FOLLOWED:
        missed = []
        for u, s, rate in zip(*growing(data, r, starts, blocks, length)):
            near = (found.escapes.direction @ u > 1 - 1e-3) & (found.escapes.sign == s)
            if not (near & (np.abs(found.escapes.rate - rate) < 0.02 * rate + 1e-3 * scale)).any():
                missed.append(f"no escape at {u.round(4).tolist()}, sign {s:g}, rate {rate:.4g}")
        if not missed:
            break
    return wrong + missed[:1]


def examine(seed: int) -> tuple[Verdict, list[str]]:
    """The verdict on a state, and what is wrong with it."""
    model, data, t = state(seed)
    found, rng = verdict(model, data), np.random.default_rng(seed)
    wrong, best = [], reached(data, rng)
    if not abs(found.global_minimum - best) < 1e-8 * float(data.y @ data.y):
        wrong.append(f"global minimum is {found.global_minimum:.9g}, reached {best:.9g}")
    if found.kind == "on its way":
        # It moves, by more than a thousandth of the loss, or goes elsewhere.
        return found, wrong
    if found.leaving.size:
        foreseen = float(found.leaving["time"][0])
        left = wakes(model, data, 2 * foreseen + 1.0, 0.01)
        if not (np.isnan(left) or abs(left - foreseen) < 0.1 * foreseen + 1.0):
            wrong.append(f"should wake at {foreseen:.6g}, and does at {left:.6g}")
        return found, wrong
    left = wakes(model, data, 20 * t, 2e-3)
    if left > 0 and found.loss > 1e-9 * float(data.y @ data.y) and found.kind != "interpolation":
        wrong.append(f"should stay, and loses 0.2% by {left:.6g} (t = {t:.6g})")
    # What is balanced but for rounding is balanced, so that who shrinks for ever does not pass 0.
    norms = np.linalg.norm(model.W, axis=1)
    even = np.abs(np.abs(model.a) - norms) < 1e-9 * norms
    model = gflow.TwoLayerReLU(np.where(even, np.copysign(norms, model.a), model.a), model.W,
                               model.log_scale)
    limit = gflow.integrate(model, data, 1e9 * max(t, 1.0), rtol=1e-11, threads=1,
                            t_eval=[0.0, 1e9 * max(t, 1.0)]).model
    size = np.maximum(np.abs(limit.a), np.linalg.norm(limit.W, axis=1))
    limit = gflow.TwoLayerReLU(np.where(size < GONE, 0.0, limit.a),
                               np.where(size[:, None] < GONE, 0.0, limit.W))
    end = float(loss_of(limit.a[None], limit.W[None], data)[0])
    if not abs(end - found.limit) < 1e-3 * found.loss + 1e-12:
        wrong.append(f"limit is {found.limit:.9g}, and it goes to {end:.9g}")
    spurious = end > best + 1e-6 * float(data.y @ data.y) / data.n
    if found.spurious is not spurious:
        wrong.append(f"spurious is {found.spurious} at {end:.9g}, reached {best:.9g}")
    return found, wrong + of_landscape(found, limit, data, rng)


def main(arguments: list[str] | None = None) -> int:
    """The command; the number of wrong verdicts, at most 100."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("count", type=int, nargs="?", default=200, help="problems (200)")
    parser.add_argument("--first", type=int, default=0, help="first seed (0)")
    given = parser.parse_args(arguments)
    kinds: Counter[str] = Counter()
    faults = 0
    for seed in range(given.first, given.first + given.count):
        found, wrong = examine(seed)
        kinds[found.kind] += 1
        faults += bool(wrong)
        for what in wrong:
            print(f"seed {seed} ({found.kind}): {what}", flush=True)
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    print(f"{given.count} problems ({told}): {faults} wrong")
    return min(faults, 100)


if __name__ == "__main__":
    raise SystemExit(main())
