"""How wall time grows with the size of the problem, while neurons align."""

from __future__ import annotations

import time

import numpy as np

import gflow

SIZES = ((100, 100), (200, 200), (400, 400), (800, 800), (1600, 1600))
T_EARLY = 4.0


def early_slope(d: int = 5) -> tuple[list[tuple[int, float]], float]:
    """Pairs of ``n m d`` and seconds up to t = 4, and the slope of their logarithms."""
    rows = []
    for n, m in SIZES:
        data = gflow.datasets.linear_teacher(n=n, d=d, noise=0.5, rng=0)
        model = gflow.init.balanced(m, d, scale=1e-3, rng=1)
        best = np.inf
        for _ in range(2):
            began = time.perf_counter()
            gflow.integrate(model, data, T_EARLY, method="waveform", rtol=1e-7)
            best = min(best, time.perf_counter() - began)
        rows.append((n * m * d, best))
    size, seconds = np.log(np.array(rows)).T
    return rows, float(np.polyfit(size, seconds, 1)[0])
