"""What a step costs after alignment, at any number of points and neurons."""

from __future__ import annotations

import numpy as np

import gflow
from gflow.stop import State

SIZES = ((100, 200), (1_000, 200), (10_000, 200), (100_000, 200), (1_000, 2_000), (1_000, 20_000))
T_LATE = 300.0
REPEATS = 3


def late_steps(d: int = 5) -> list[tuple[int, int, int, float, float]]:
    """Rows ``n, m, steps, median seconds of a step, seconds of the whole run``.

    Two bundles of neurons along the teacher and against it, too small by a half; the points keep an
    angle to the hyperplane between them, so that nothing switches.
    """
    rows = []
    for n, m in SIZES:
        data = gflow.datasets.linear_teacher(n=n, d=d, noise=0.5, margin=0.4, rng=0)
        beta = np.linalg.lstsq(data.X, data.y, rcond=None)[0]
        rng = np.random.default_rng(1)
        sign = np.where(np.arange(m) % 2, -1.0, 1.0)
        W = sign[:, None] * beta / np.linalg.norm(beta) + 1e-6 * rng.standard_normal((m, d))
        W *= np.sqrt(np.linalg.norm(beta) / m)
        model = gflow.TwoLayerReLU(sign * np.linalg.norm(W, axis=1), W)
        best, steps, wall = np.inf, 0, np.inf
        for _ in range(REPEATS):
            times: list[float] = []

            def note(state: State) -> bool:
                times.append(state.wall)
                return False

            flow = gflow.integrate(model, data, T_LATE, method="waveform", rtol=1e-11, threads=1,
                                   stop=note)
            steps = flow.stats["reduced_steps"]
            best = min(best, float(np.median(np.diff(times)[-steps:])))
            wall = min(wall, times[-1])
        rows.append((n, m, steps, best, wall))
    return rows
