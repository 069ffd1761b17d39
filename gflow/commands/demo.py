"""The main example: training that provably gets stuck on three points."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import plot
from ..datasets import three_points
from ..flows.flow import Flow
from ..init import balanced
from ..flows.integration import integrate
from ..stop import gradient_below
from ..plot.style import line
from .outputs import Figure, reports

STATIONARY = 1e-8
RTOL = 1e-10
T_MAX = 1e5


def run_demo(out: Any, neurons: int = 60, scale: float = 1e-3, seed: int = 0) -> Flow:
    """Integrate the three-point example to convergence, print a summary, write one figure.

    Parameters
    ----------
    out : str or path-like
        The figure, ``.png``, ``.pdf`` or ``.svg``.
    neurons : int
        Number of neurons.
    scale : float
        Scale of the start.
    seed : int
        Of the start.

    Returns
    -------
    Flow

    Raises
    ------
    TypeError, ValueError, OSError
        Before the run, if the figure could not be written.

    References
    ----------
    Boursier and Flammarion, "Early alignment in two-layer networks training is a two-edged sword",
    JMLR 2025, section 5: the limit fits the least squares line, not the data.
    """
    picture = out if isinstance(out, Figure) else Figure(out)
    report = reports(picture)
    data = three_points()
    model = balanced(neurons, data.d, scale, rng=seed)
    flow = integrate(model, data, T_MAX, rtol=RTOL, stop=gradient_below(STATIONARY))
    print(summary(flow), file=report)
    picture.write(figure(flow), dpi=160)
    print(f"figure written to {picture.shown}", file=report)
    return flow


def summary(flow: Flow) -> str:
    """What happened, in a few lines."""
    data = flow.data
    fit = np.linalg.lstsq(data.X, data.y, rcond=None)[0]
    stuck = float(flow.field.value(data.X @ fit))
    sliding = int((flow.pattern(flow.t_end) == 2).any(axis=1).sum())
    groups, dead = final_directions(flow)
    kinds = ", ".join(f"{flow.stats[kind]} {kind}"
                      for kind in ("activate", "deactivate", "slide", "release"))
    lines = ["Three points of Boursier and Flammarion, "
             f"{flow.path.m} neurons, flow time {flow.t_end:.5g}: {flow.message}",
             f"events      {len(flow.events)} ({kinds}); {sliding} neurons slide at the end",
             "directions  " + "; ".join(f"{count} neurons at {angle:.1f} degrees"
                                        for angle, count in groups) + f"; {dead} dead",
             f"loss        {flow.loss[0]:.6g} to {flow.loss[-1]:.11g}",
             f"            least squares line {stuck:.11g}; global minimum 0 "
             "(three points can be interpolated)",
             f"cost        {flow.stats['nfev']} right-hand sides, "
             f"{flow.stats['wall_time']:.2g} s"]
    return "\n".join(lines)


def final_directions(flow: Flow, width: float = 1.0) -> tuple[list[tuple[float, int]], int]:
    """Polar angles at the end of neurons that are active somewhere, grouped, and the dead count.

    Parameters
    ----------
    flow : Flow
        A run on data of two columns.
    width : float
        Largest gap within a group, in degrees.

    Returns
    -------
    groups : list of (angle, count)
        Mean angle in degrees and number of neurons, largest group first.
    dead : int
        Neurons that are active at no point.
    """
    alive = (flow.pattern(flow.t_end) != 0).any(axis=1)
    W = flow.model.W[alive]
    angles = np.sort(np.degrees(np.arctan2(W[:, 1], W[:, 0])))
    parts = np.split(angles, np.flatnonzero(np.diff(angles) > width) + 1)
    groups = [(float(part.mean()), part.size) for part in parts if part.size]
    return sorted(groups, key=lambda group: -group[1]), int((~alive).sum())


def figure(flow: Flow) -> Any:
    """Directions and norms over time, and the fitted function."""
    from matplotlib.figure import Figure
    fig = Figure(figsize=(12, 4.2), layout="constrained")
    axes = fig.subplots(1, 3)
    shown = Flow(data=flow.data, path=flow.path, times=np.linspace(0, min(40.0, flow.t_end), 600),
                 events=flow.events, initial_pattern=flow.initial_pattern, status=flow.status,
                 message=flow.message, success=flow.success, stats=flow.stats,
                 settings={**flow.settings, "t_max": 0.0})
    plot.directions(shown, ax=axes[0])
    axes[0].set_title("early on, neurons only turn")
    plot.norms(shown, ax=axes[1])
    axes[1].set_title("then those that aligned grow")
    plot.function(flow, ax=axes[2])
    order = np.argsort(flow.data.X[:, 0])
    axes[2].plot(flow.data.X[order, 0], flow.data.y[order], **line({
        "linestyle": ":", "color": "#009E73", "linewidth": 1.5,
        "label": "an interpolation (loss 0)"}))
    axes[2].set_title(f"and training ends stuck at loss {flow.loss[-1]:.4f}")
    axes[2].legend(fontsize="small")
    return fig
