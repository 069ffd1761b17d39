"""Learning one ReLU neuron from correlated inputs: a small start ends as one neuron, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import init
from ..plot.style import ordinary
from ..problem.checks import finite, flag, generator, whole
from ..problem.data import Data
from ..problem.norms import row_norms
from ..problem.words import counted
from .columns import complete
from .training import Results, converge, ending, evidence, squares

if TYPE_CHECKING:  # pragma: no cover
    from matplotlib.figure import Figure


def points(n: int, d: int, offset: float, rng: np.random.Generator) -> Data:
    """Points ``c + N(0, I/d)`` around a unit vector, labelled by a neuron ``offset`` degrees off.

    Parameters
    ----------
    n, d : int
        Number of points and dimension, at least 2.
    offset : float
        Angle between the teacher and ``c``, from 0 to 90.
    rng : numpy.random.Generator

    Returns
    -------
    Data
        Labels ``max(v.x, 0)`` with ``|v| = 1``; ``v`` is the first basis vector.
    """
    whole(n, "n")
    if whole(d, "d") < 2:
        raise ValueError(f"d = {d}: one neuron is learnt in two dimensions or more")
    if not 0 <= finite(offset, "offset") <= 90:
        raise ValueError(f"offset = {offset:g}: give degrees from 0 to 90")
    centre = np.zeros(d)
    centre[:2] = np.cos(np.radians(offset)), np.sin(np.radians(offset))
    X = centre + rng.standard_normal((n, d)) / np.sqrt(d)
    return Data(X, np.maximum(X[:, 0], 0.0))


def one_neuron_teacher(d: int = 10, n: int = 0, width: int = 25, scale: float = 1e-3,
                       offset: float = 0.0, t_max: float = 4e5, seconds: float = 600.0,
                       rtol: float = 1e-9, certificate: bool = True, *,
                       rng: int | np.random.Generator) -> Results:
    r"""Train on the labels of one ReLU neuron; does the network become that neuron?

    Points are ``c + N(0, I/d)`` with ``|c| = 1``. From a small start the flow interpolates, all
    neurons that are left point the same way, and ``sum a_i^2`` tends to 1. While two neurons share
    their pattern ``(1 - cos) |a_i a_j|`` is conserved: angles at the end are of the order of the
    scale.

    Sweep ``scale`` with ``shared=["scale"]`` (``--shared scale``), so that all scales have the
    same data and the same shape of the start.

    Parameters
    ----------
    d : int
        Input dimension, at least 2.
    n : int
        Number of points; 0 for ``d``, as published.
    width : int
        Neurons, balanced, of coordinates N(0, scale^2 / (width d)).
    scale : float
        The lambda of the papers.
    offset : float
        Angle between the teacher and ``c`` in degrees; 0 is the "centred" case.
    t_max, seconds : float
        Flow time and wall time after which to give up.
    rtol : float
        Tolerance of the run.
    certificate : bool
        Whether to certify the run.
    rng : int or numpy.random.Generator
        Data and start are drawn from it, in this order.

    Returns
    -------
    dict
        ``loss``; ``grown``, number of neurons with ``a > 0`` that have grown, beyond the geometric
        mean of their start and of the largest; ``angle``, the largest between two of these (NaN
        with less than two); ``distance`` of ``sum a_i w_i`` over these to the teacher;
        ``squares``, ``sum a_i^2`` over all; ``alive``, neurons active somewhere; ``negative``,
        ``sum a_i^2`` over neurons with ``a < 0``, over that of the start; ``cone``, the largest
        angle between the teacher and a point in degrees (the theorem wants less than 45);
        ``rank``, of the points; ``t_end``, ``status``, ``limit`` ("none", "t_max", "seconds"),
        ``events``, ``slides``, ``certified``, ``stationarity``.

    References
    ----------
    Chistikov, Englert and Lazic, "Learning a neuron by a shallow ReLU network: dynamics and
    implicit bias for correlated inputs", 2023, arXiv:2306.06479, Theorems 6 and 7 (convergence,
    and the limit of vanishing scale, for points within 45 degrees of the teacher), figure 1; the
    slope of the angles is derived here.

    Examples
    --------
    >>> result = one_neuron_teacher(d=3, width=8, scale=1e-3, rng=1)
    >>> result["status"], abs(result["squares"] - 1) < 0.01, result["angle"] < 0.1
    ('loss_below', True, True)
    """
    rng, certificate = generator(rng), flag(certificate, "certificate")
    data = points(n or d, d, offset, rng)
    model = init.balanced(width, d, scale, rng, scaling="1/sqrt(m*d)")
    flow = converge(model, data, t_max, seconds, rtol)
    final = flow.model
    up = final.a > np.sqrt(np.abs(model.a)) * np.sqrt(np.abs(final.a).max())
    down = model.a < 0
    v = (final.a[up, None] * final.W[up]).sum(axis=0)
    v[0] -= 1.0
    cosine = data.X[:, 0] / row_norms(data.X)
    return {"loss": final.loss(data), "angle": _widest(final.W[up]),
            "squares": squares(final.a), "distance": float(row_norms(v)),
            "grown": int(up.sum()),
            "alive": int((flow.pattern(flow.t_end) != 0).any(axis=1).sum()),
            "negative": squares(final.a[down]) / (squares(model.a[down]) or 1.0),
            "cone": float(np.degrees(np.arccos(cosine.min()))),
            "rank": int(np.linalg.matrix_rank(data.X)), **ending(flow),
            **evidence(flow, certificate)}


def _widest(W: np.ndarray) -> float:
    """Largest angle between two rows; chords do not cancel."""
    if len(W) < 2:
        return np.nan
    u = W / row_norms(W)[:, None]
    chord = max(float(row_norms(u - row).max()) for row in u)
    return 2 * float(np.arcsin(min(chord / 2, 1.0)))


@ordinary
def figure(table: np.ndarray) -> Figure:
    """Angles, norm and distance to the teacher at the end, against the scale; a colour for each d.

    Parameters
    ----------
    table : structured ndarray
        A sweep of `one_neuron_teacher` over ``scale``.

    Returns
    -------
    matplotlib Figure
        Lines are medians over the seeds, bands quartiles; crosses are runs cut at a limit.
    """
    from matplotlib.figure import Figure
    from ..sweeping.figure import curves
    table = complete(table, one_neuron_teacher)
    fig = Figure(figsize=(14, 4), layout="constrained")
    axes = fig.subplots(1, 3)
    table["squares"] = np.abs(table["squares"] - 1)
    cut = table["limit"] != "none"
    by = "d" if len(np.unique(table["d"])) > 1 else None
    for ax, y in zip(axes, ("angle", "squares", "distance")):
        curves(table, y, "scale", by, ax)
        if cut.any():
            ax.plot(table["scale"][cut], table[y][cut], "x", color="k",
                    label=f"cut at a limit ({counted(cut.sum(), 'run')})")
        ax.set(xscale="log", yscale="log", xlabel=r"scale $\lambda$")
    scale = np.unique(table["scale"])
    level = np.nanmedian(table["angle"][table["scale"] == scale[0]])
    line = level * scale / scale[0]
    axes[0].plot(scale[line < 1], line[line < 1], ":", color="k", linewidth=2, label="slope 1")
    axes[0].set(ylabel="largest angle between neurons (radians)", title="one direction is left")
    axes[1].set(ylabel=r"$|\sum a_i^2 - 1|$", title="as large as the teacher")
    axes[2].set(ylabel=r"$|\sum_{a_i > 0} a_i w_i - v|$ of grown neurons", title="the teacher")
    for ax in axes:
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize="small")
    return fig
