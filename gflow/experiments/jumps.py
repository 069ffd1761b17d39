"""Orthogonal data: training jumps from saddle to saddle, at times known in advance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import init
from ..datasets import orthogonal
from ..plot.style import ordinary
from ..problem.bisection import bisect
from ..problem.checks import flag, generator, positive
from ..theory.jumps import jump_process
from .columns import complete
from .training import Results, evidence, run, squares

if TYPE_CHECKING:  # pragma: no cover
    from matplotlib.figure import Figure

AFTER = 60.0
"""Flow time after the last predicted jump, times 1.3, for the growth itself."""
CURVE = 300
"""Points of the loss curve that are kept."""
ACCURATE = 1e-6
"""Jump times are located up to this, relatively."""


def orthogonal_jumps(n: int = 8, width: int = 5, scale: float = 1e-8, rtol: float = 1e-9,
                     certificate: bool = True, *, rng: int | np.random.Generator) -> Results:
    r"""Train on orthogonal points; compare with the jump process of vanishing scale.

    In the time :math:`t / \ln(1/\lambda)` the loss tends to a staircase, whose steps
    `gflow.theory.jump_process` predicts from data and start alone. Errors of its times are of
    order :math:`1 / \ln(1/\lambda)`.

    Sweep ``scale`` with ``shared=["scale"]`` (``--shared scale``), so that all scales have the
    same data and the same shape of the start.

    Parameters
    ----------
    n : int
        Number of points, and dimension (`gflow.datasets.orthogonal`).
    width : int
        Neurons, balanced.
    scale : float
        The lambda, from 1e-300 to below 1.
    rtol : float
        Tolerance of the run.
    certificate : bool
        Whether to certify the run.
    rng : int or numpy.random.Generator
        Data and start are drawn from it, in this order.

    Returns
    -------
    dict
        ``clock``, ``ln(1/scale)``; ``times`` and ``predicted``, jump times in units of that, found
        (where the loss is half way between two plateaus; NaN if it never gets there) and
        predicted; ``jumps``, their number; ``time_error``, largest difference; ``loss`` and
        ``predicted_loss`` at the end; ``squares`` and ``predicted_squares``, ``sum a_i^2`` at the
        end; ``least_squares``, the least that an interpolating network needs; ``curve_t``,
        ``curve_loss``, the loss curve, time in units of the clock; ``stairs_t``, ``stairs_loss``,
        the predicted one; ``events``, ``certified``, ``stationarity``.

    Raises
    ------
    ValueError
        If ``scale`` is not below 1, or no neuron ever grows.

    References
    ----------
    Boursier, Pillaud-Vivien and Flammarion, "Gradient flow dynamics of shallow ReLU networks for
    square loss and orthogonal inputs", 2022, arXiv:2206.00939 (two jumps, and the least norm);
    arXiv:2605.27097 (convergence to a jump process, announced). The algorithm: see
    `gflow.theory.jump_process`.

    Examples
    --------
    >>> result = orthogonal_jumps(n=2, width=8, scale=1e-30, rng=1)
    >>> result["jumps"], result["time_error"] < 0.1
    (2, True)
    """
    if positive(scale, "scale") >= 1:
        raise ValueError(f"scale = {scale:g}: jumps need a scale between 0 and 1")
    rng, certificate = generator(rng), flag(certificate, "certificate")
    data = orthogonal(n, rng=rng)
    model = init.balanced(width, n, scale, rng)
    process = jump_process(model, data)
    if not process.times.size:
        raise ValueError("no neuron grows from this start: give more width")
    clock = float(np.log(1 / scale))
    t_max = 1.3 * clock * float(process.times[-1]) + AFTER
    flow = run(model, data, t_max, rtol=rtol, method="waveform",
               t_eval=np.linspace(0.0, t_max, CURVE))

    def time_of(level: float) -> float:
        """When the loss, which does not rise, falls below a level."""
        if flow.loss[-1] >= level:
            return np.nan
        return bisect(lambda t: flow(t).loss(data) < level, 0.0, t_max, ACCURATE) / clock

    times = np.array([time_of(level) for level in (process.losses[1:] + process.losses[:-1]) / 2])
    signs = [row for row in (data.y > 0, data.y < 0) if row.any()]
    lengths = (data.X**2).sum(axis=1)
    return {"clock": clock, "jumps": process.times.size, "times": times,
            "predicted": process.times, "time_error": float(np.abs(times - process.times).max()),
            "loss": float(flow.loss[-1]), "predicted_loss": float(process.losses[-1]),
            "squares": squares(flow.model.a),
            "predicted_squares": float(process.squares[-1]),
            "least_squares": float(sum(np.sqrt((data.y**2 / lengths)[row].sum())
                                       for row in signs)),
            "curve_t": flow.t / clock, "curve_loss": flow.loss,
            "stairs_t": np.append(0.0, process.times), "stairs_loss": process.losses,
            "events": len(flow.events), **evidence(flow, certificate)}


@ordinary
def figure(table: np.ndarray) -> Figure:
    """Loss curves against the predicted staircase, and errors of the jumps against the scale.

    Parameters
    ----------
    table : structured ndarray
        A sweep of `orthogonal_jumps` over ``scale``.

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib.figure import Figure
    from ..sweeping.figure import COLOURS
    table = complete(table, orthogonal_jumps)
    fig = Figure(figsize=(14, 4.2), layout="constrained")
    stairs, error, squares = fig.subplots(1, 3)
    first = table[(table["seed"] == table["seed"].min()) & (table["n"] == table["n"][0])
                  & (table["width"] == table["width"][0])]
    for i, row in enumerate(np.sort(first, order="scale")[::-1]):
        stairs.plot(row["curve_t"], row["curve_loss"], color=COLOURS[i % len(COLOURS)],
                    linestyle=("-", "--", "-.")[i % 3], linewidth=1.5,
                    label=rf"$\lambda$ = {row['scale']:g}")
    # The smallest scale says it best, if draws are not shared among scales.
    last = first[first["scale"].argmin()]
    x = np.append(last["stairs_t"], last["curve_t"][-1])
    stairs.step(x, np.append(last["stairs_loss"], last["stairs_loss"][-1]), where="post",
                color="k", linewidth=4, alpha=0.3, label="jump process")
    stairs.set(xlabel=r"$t \,/\, \ln(1/\lambda)$", ylabel="loss", title="the first seed")
    stairs.legend(fontsize="small")
    for seed in np.unique(table["seed"]):
        own = np.sort(table[(table["seed"] == seed)], order="scale")
        error.plot(1 / own["clock"], own["time_error"], "o-", color="#0072B2", alpha=0.6)
        off = np.abs(own["squares"] / own["predicted_squares"] - 1)
        squares.loglog(own["scale"], off, "o-", color="#0072B2", alpha=0.6)
    error.set(xlabel=r"$1 \,/\, \ln(1/\lambda)$", ylabel="largest error of a jump time",
              xlim=(0, None), ylim=(0, None), title="every seed")
    squares.set(xlabel=r"scale $\lambda$", ylabel=r"relative error of $\sum a_i^2$",
                title="every seed")
    return fig
