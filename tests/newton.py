"""The tangent kernel on a window in plain NumPy."""

from gflow.engines.waveform.guess import DEGREE
from gflow.kernels.chebyshev import integration, nodes


def answer(r, first, last=None, kind="smooth"):
    """Outputs (p, n) that residuals (p, n) at the nodes add, where the kernel is that of the start,
    or goes from ``first`` to ``last`` linearly."""
    if last is None:
        return integration(DEGREE, kind) @ (r @ first.dense())
    part = (nodes(DEGREE)[:, None] + 1) / 2
    return integration(DEGREE, kind) @ (
        (1 - part) * (r @ first.dense()) + part * (r @ last.dense()))
