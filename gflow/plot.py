"""Figures of a run: one function each, on given axes or new ones; nothing is shown or saved.

Colours are those of Okabe and Ito; the sign of ``a_i`` is told by line style or marker as well, so
that figures read in grey.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

import numpy as np

if TYPE_CHECKING:  # pragma: no cover
    from .flows.flow import Flow

UP: dict[str, Any] = {"color": "#0072B2", "linestyle": "-"}
DOWN: dict[str, Any] = {"color": "#D55E00", "linestyle": "--"}
DARK = "#333333"


def _axes(ax: Any, **options: Any) -> Any:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt
    return plt.subplots(**options)[1]


def _options(own: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Options for a line: those given, under any name that matplotlib knows, before our own."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D
    return {**own, **normalize_kwargs(given, Line2D)}


def _dots(t: np.ndarray) -> dict[str, Any]:
    """A line through one time would not be seen."""
    return {"marker": "o"} if t.size == 1 else {}


def _positive(values: Any) -> np.ndarray:
    """What a logarithmic axis can show; NaN elsewhere."""
    values = np.asarray(values, dtype=float)
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def _logarithmic(ax: Any, values: np.ndarray) -> None:
    """A logarithmic axis, if there is anything that it can show."""
    if np.isfinite(values).any():
        ax.set_yscale("log")


def _neuron_lines(ax: Any, flow: Flow, values: np.ndarray, given: dict[str, Any]) -> None:
    """One line a neuron against time, styled by the sign of its output weight at the end."""
    up = flow.model.a >= 0
    alpha = max(0.15, min(1.0, 12 / max(1, up.size)))
    for chosen, style, label in ((up, UP, r"$a_i > 0$"), (~up, DOWN, r"$a_i < 0$")):
        own = {"alpha": alpha, "linewidth": 1.0, **_dots(flow.t), **style}
        options = _options(own, given)
        # The legend has a line for all, and not one for each.
        label = options.pop("label", f"{label} ({chosen.sum()} neurons)")
        if ax.plot(flow.t, values[:, chosen], **options):
            ax.plot([], [], **{**options, "alpha": None, "label": label})
    _time_axis(ax, flow.t)


def _time_axis(ax: Any, t: np.ndarray) -> None:
    """Logarithmic from where early alignment starts to show, linear before, so that 0 is there."""
    if t[-1] > 0:
        ax.set_xscale("symlog", linthresh=float(min(0.1, t[-1] / 100)))
        ax.set_xlim(0, t[-1])
    ax.set_xlabel("flow time $t$")


def loss(flow: Flow, ax: Any = None, **options: Any) -> Any:
    """Loss against time, logarithmic.

    Parameters
    ----------
    flow : Flow
        The run.
    ax : matplotlib Axes, optional
        Where to draw; new axes if None.
    **options
        For the line.

    Returns
    -------
    matplotlib Axes
    """
    ax = _axes(ax)
    values = _positive(flow.loss)
    ax.plot(flow.t, values, **_options({"color": DARK, **_dots(flow.t)}, options))
    _time_axis(ax, flow.t)
    _logarithmic(ax, values)
    ax.set_ylabel("loss $L$")
    return ax


def norms(flow: Flow, ax: Any = None, **options: Any) -> Any:
    """Norms ``|w_i|`` against time, one line a neuron; parameters as in `loss`."""
    ax = _axes(ax)
    values = _positive(flow.norms)
    _neuron_lines(ax, flow, values, options)
    _logarithmic(ax, values)
    ax.set_ylabel(r"norm $|w_i|$")
    return ax


def directions(flow: Flow, ax: Any = None, **options: Any) -> Any:
    """Angle of every neuron against time; parameters as in `loss`.

    For inputs of two columns the polar angle of ``w_i``, in degrees, with the activation
    boundaries of the data as dotted lines; otherwise the angle to its direction at the end.
    """
    ax = _axes(ax)
    if flow.path.d == 2:
        u = flow.directions
        angles = np.degrees(np.unwrap(np.arctan2(u[..., 1], u[..., 0]), axis=0))
        angles -= 360 * np.round(angles[-1] / 360)
        normal = flow.data.arrangement.normal
        edges = np.degrees(np.arctan2(normal[:, 1], normal[:, 0]))
        for edge in np.concatenate([edges + 90, edges - 90]) if len(edges) <= 20 else []:
            ax.axhline((edge + 180) % 360 - 180, color="0.6", linestyle=":", linewidth=0.8)
        ax.set_ylabel("angle of $w_i$ (degrees)")
        ax.set_yticks(np.arange(-180, 181, 90))
    else:
        cosine = np.einsum("tid,id->ti", flow.directions, flow.directions[-1])
        angles = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        ax.set_ylabel("angle to the final $w_i$ (degrees)")
    _neuron_lines(ax, flow, angles, options)
    return ax


def function(flow: Flow, t: float | None = None, ax: Any = None, **options: Any) -> Any:
    """The fitted function of one input with a bias, the data, and the least squares line.

    Parameters
    ----------
    flow : Flow
        A run on data of two columns, the second one constant (a bias).
    t : float, optional
        Time; the end of the run if None.
    ax : matplotlib Axes, optional
        Where to draw; new axes if None.
    **options
        For the line of the network.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If the data are not one input and a bias.
    """
    X, y = flow.data.X, flow.data.y
    if X.shape[1] != 2 or np.ptp(X[:, 1]) > 0:
        raise ValueError(f"the data have {X.shape[1]} columns: this figure needs one input and a "
                         "constant column as the bias")
    ax = _axes(ax)
    model = flow.model if t is None else flow(t)
    margin = 0.3 * max(np.ptp(X[:, 0]), 1e-12)
    x = np.linspace(X[:, 0].min() - margin, X[:, 0].max() + margin, 601)
    grid = np.column_stack([x, np.full_like(x, X[0, 1])])
    line = np.linalg.lstsq(X, y, rcond=None)[0]
    ax.plot(x, grid @ line, color="#E69F00", linestyle="-", linewidth=5, alpha=0.45,
            label="least squares line")
    ax.plot(x, model(grid), **_options({"color": DARK, "linewidth": 1.8, "label": "network"},
                                       options))
    ax.plot(X[:, 0], y, "o", color="#0072B2", markersize=8, markeredgecolor="white", label="data")
    ax.set(xlabel="input $x$", ylabel="output")
    return ax


def neurons(flow: Flow, t: float | None = None, ax: Any = None, **options: Any) -> Any:
    """Neurons at one time as points of the plane, with the activation boundaries of the data.

    For inputs of more than two columns, in the plane of the two leading singular vectors of the
    weights at the end (without boundaries).

    Parameters
    ----------
    flow : Flow
        The run.
    t : float, optional
        Time; the end of the run if None.
    ax : matplotlib Axes, optional
        Where to draw; new axes if None.
    **options
        For the points.

    Returns
    -------
    matplotlib Axes
    """
    ax = _axes(ax)
    model = flow.model if t is None else flow(t)
    if flow.path.d == 2:
        points = model.W
        for normal in flow.data.arrangement.normal:
            ax.axline((0, 0), (-normal[1], normal[0]), color="0.6", linestyle=":", linewidth=0.8)
    else:
        frame = np.linalg.svd(flow.model.W, full_matrices=False)[2]
        points = model.W @ np.vstack([frame, np.zeros((2, flow.path.d))])[:2].T
    up = model.a >= 0
    for chosen, color, marker, label in ((up, UP["color"], "o", r"$a_i > 0$"),
                                         (~up, DOWN["color"], "x", r"$a_i < 0$")):
        ax.plot(*points[chosen].T, **_options({"linestyle": "", "marker": marker, "color": color,
                                               "alpha": 0.7, "label": label}, options))
    reach = 1.1 * max(float(np.abs(points).max()), 1e-300)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="$w_{i1}$",
           ylabel="$w_{i2}$")
    ax.legend()
    return ax


def step_sizes(flow: Flow, twins: Sequence[Flow], ax: Any = None, **options: Any) -> Any:
    """Largest distance of trained networks to the flow, against the step size, and slope 1.

    Parameters
    ----------
    flow : Flow
        From `gflow.integrate`.
    twins : sequence of Flow
        From `gflow.descend`, of the same start, each with another ``lr``.
    ax : matplotlib Axes, optional
        Where to draw; new axes if None.
    **options
        For the line; several sets of runs read well in grey with different markers.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If there are no twins, or they have another start than the flow.
    """
    from .flows.discrete import distances
    if not twins:
        raise ValueError("there are no twins: give at least one run of gflow.descend")
    lr, far = np.array(sorted((twin.settings["lr"], distances(flow, twin).max())
                              for twin in twins)).T
    ax = _axes(ax)
    shown = _positive(far)
    ax.loglog(lr, shown, **_options({"color": DARK, "marker": "o"}, options))
    drawn = any(line.get_label() == "slope 1" for line in ax.lines)
    ax.loglog(lr, shown[0] * lr / lr[0], color="0.8", linewidth=7, zorder=1,
              label="_slope 1" if drawn else "slope 1")
    ax.set(xlabel="step size (learning rate)", ylabel=r"largest distance to the flow, relative")
    return ax
