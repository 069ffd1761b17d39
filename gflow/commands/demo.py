"""The main example: training that provably gets stuck on three points."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import plot
from ..datasets import three_points
from ..flows.flow import Flow
from ..init import balanced
from ..flows.integration import integrate
from ..stop import Rule, State
from ..plot.style import line
from ..problem.norms import row_norms
from .outputs import Figure, reports

STATIONARY = 1e-8
RTOL = 1e-10
T_MAX = 1e5
SHOWN = 40.0
"""Flow time that the figure shows, at least: a start at rest stays there for so long."""
GROWS = 1e-6
"""Rate from which on a neuron counts as growing, however small it is."""
FITTED = 1e-9
"""Part of the loss of the network that is 0 that is none."""


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
    rule = Rule(stationary, "gradient_below", f"the gradient norm fell below {STATIONARY:g} and no "
                "neuron grows", locate=True)
    flow = integrate(model, data, T_MAX, rtol=RTOL, stop=rule)
    print(summary(flow), file=report)
    picture.write(figure(flow), dpi=160)
    print(f"figure written to {picture.shown}", file=report)
    return flow


def stationary(state: State) -> bool:
    """Whether training is over: a small gradient alone is that of a small start, too."""
    field = state.field
    if field is None or state.t < SHOWN or not state.grad_norm < STATIONARY:
        return False
    data = field.data
    z = np.maximum(state.W @ data.X.T, 0.0)
    rise = np.sign(state.a) * (z @ (data.y - state.a @ z)) / data.n
    return not bool((rise > GROWS * row_norms(state.W)).any())


def summary(flow: Flow) -> str:
    """What happened, in a few lines."""
    data = flow.data
    fit = np.linalg.lstsq(data.X, data.y, rcond=None)[0]
    stuck = float(flow.field.value(data.X @ fit))
    sliding = int((flow.pattern(flow.t_end) == 2).any(axis=1).sum())
    groups, dead = final_directions(flow)
    kinds = ", ".join(f"{flow.stats[kind]} {kind}"
                      for kind in ("activate", "deactivate", "slide", "release"))
    there = [f"{_neurons(count)} at {angle:.1f} degrees" for angle, count in groups]
    lines = ["Three points of Boursier and Flammarion, "
             f"{_neurons(flow.path.m)}, flow time {flow.t_end:.5g}: {flow.message}",
             f"events      {len(flow.events)} ({kinds}); {_neurons(sliding)} "
             f"slide{'s' if sliding == 1 else ''} at the end",
             "directions  " + "; ".join([*there, f"{dead} dead"]),
             f"loss        {flow.loss[0]:.6g} to {flow.loss[-1]:.11g}",
             f"            least squares line {stuck:.11g}; global minimum 0 "
             "(three points can be interpolated)",
             f"cost        {flow.stats['nfev']} right-hand sides, "
             f"{flow.stats['wall_time']:.2g} s"]
    return "\n".join(lines)


def _neurons(count: int) -> str:
    return f"{count} neuron{'' if count == 1 else 's'}"


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
    shown = Flow(data=flow.data, path=flow.path, times=np.linspace(0, _seen(flow), 600),
                 events=flow.events, initial_pattern=flow.initial_pattern, status=flow.status,
                 message=flow.message, success=flow.success, stats=flow.stats,
                 settings={**flow.settings, "t_max": 0.0})
    plot.directions(shown, ax=axes[0])
    plot.norms(shown, ax=axes[1])
    plot.function(flow, ax=axes[2])
    order = np.argsort(flow.data.X[:, 0])
    axes[2].plot(flow.data.X[order, 0], flow.data.y[order], **line({
        "linestyle": ":", "color": "#009E73", "linewidth": 1.5,
        "label": "an interpolation (loss 0)"}))
    for ax, title in zip(axes, titles(flow)):
        ax.set_title(title)
    axes[2].legend(fontsize="small")
    return fig


def _seen(flow: Flow) -> float:
    """The time up to which the figure shows neurons: they have grown by then, if they do."""
    half = float(flow.t[np.argmax(flow.loss <= (flow.loss[0] + flow.loss[-1]) / 2)])
    return min(max(SHOWN, 2 * half), flow.t_end)


def titles(flow: Flow) -> list[str]:
    """What is seen of directions, of norms, and of the function at the end; a start that is not
    small, or a run cut short, has another story than the default one."""
    size = (flow.norms[[0, -1]]**2).sum(axis=1)
    told = ["directions of the neurons", "norms of the neurons"]
    if size[1] > 10 * size[0]:
        told = ["early on, neurons only turn", "then those that aligned grow"]
    loss, zero = float(flow.loss[-1]), float(flow.field.value(np.zeros(flow.data.n)))
    if loss <= FITTED * zero:
        return [*told, f"and training interpolates: loss {loss:.1e}"]
    if flow.status != "gradient_below":
        return [*told, f"the run was ended at loss {loss:.4f}"]
    if not (flow.pattern(flow.t_end) != 0).any():
        return [*told, f"no neuron is active: loss stays {loss:.4f}"]
    return [*told, f"and training ends stuck at loss {loss:.4f}"]
