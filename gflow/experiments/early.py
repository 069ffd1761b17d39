"""Early alignment: from a small start neurons turn towards extremal vectors before they grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from .. import datasets, init
from ..plot.style import ordinary
from ..problem.checks import flag, generator, positive
from ..problem.data import Data
from ..problem.norms import row_norms
from ..theory.early import early_flow
from .columns import complete
from .training import Results, evidence, run
from ..problem.words import short

if TYPE_CHECKING:  # pragma: no cover
    from matplotlib.figure import Figure

DATA: dict[str, Callable[[int, int, float, Any], Data]] = {
    "three_points": lambda n, d, noise, rng: datasets.three_points(),
    "five_points": lambda n, d, noise, rng: datasets.five_points(),
    "stewart": lambda n, d, noise, rng: datasets.stewart(n, rng),
    "xor": lambda n, d, noise, rng: datasets.xor(n, rng),
    "linear_teacher": lambda n, d, noise, rng: datasets.linear_teacher(n, d, noise, rng),
    "relu_teacher": lambda n, d, noise, rng: datasets.relu_teacher(n, d, noise=noise, rng=rng),
}
ROUNDING = 1e-9
"""Relative difference of norms of one extremal vector."""
SMALLEST = 1e-13
"""Distances below this are rounding."""


def alignment(data: str = "three_points", n: int = 40, d: int = 2, noise: float = 0.5,
              width: int = 50, scale: float = 1e-3, eps: float = 0.25, rtol: float = 1e-10,
              certificate: bool = True, *, rng: int | np.random.Generator) -> Results:
    r"""Follow the early phase, up to the time tau = -eps ln(scale) / Dmax of the theory.

    ``Dmax`` is here the largest norm of an extremal vector with which a neuron aligns. (In the
    theorem it is that of the largest field anywhere: its tau is not later.) Up to tau no output
    weight grows by more than ``scale^(-2 eps)``, and at tau neurons are misaligned by at most
    ``O(scale^(eps |D| / Dmax))``; in fact by ``scale^(2 eps |D| / Dmax)``.

    Sweep ``scale`` with ``shared=["scale"]`` (``--shared scale``), so that all scales have the
    same data and the same shape of the start.

    Parameters
    ----------
    data : {"three_points", "five_points", "stewart", "xor", "linear_teacher", "relu_teacher"}
        From `gflow.datasets`.
    n, d : int
        Number of points and input dimension, of data sets that have a choice.
    noise : float
        Standard deviation of the label noise, of the teachers.
    width : int
        Neurons, balanced.
    scale : float
        The lambda of the papers (`gflow.init.balanced`), below 1.
    eps : float
        Between 0 and 1/3 in the theorem, and below 1: at ``eps = 1`` neurons have grown.
    rtol : float
        Tolerance of the run.
    certificate : bool
        Whether to certify the run.
    rng : int or numpy.random.Generator
        Data and start are drawn from it, in this order.

    Returns
    -------
    dict
        ``tau``; ``growth``, largest ``|ln |a_i(tau) / a_i(0)||`` over ``eps ln(1/scale)``, at most
        2; ``misalignment``, median of ``|D_i| - D_i.w_i / a_i`` over the neurons that align with
        an extremal vector of norm ``Dmax``, expected like ``scale^(2 eps)``; ``early_gap``,
        largest distance of a direction
        at tau to the early flow of vanishing scale (`gflow.theory.early_flow`), expected like
        ``scale^(2 - 2 eps)``; ``output``, largest ``|h(x_k)|`` at tau; ``arrived``, share of the
        living neurons in their last cell at tau; ``dead``, neurons that die in the early flow;
        ``ends``, different extremal vectors where the others end; ``events``, ``certified``,
        ``stationarity``.

    Raises
    ------
    ValueError
        If the data set is unknown, ``scale`` or ``eps`` is not between 0 and 1, or every neuron
        dies at once.

    References
    ----------
    Boursier and Flammarion, "Early alignment in two-layer networks training is a two-edged sword",
    JMLR 2025, Theorem 1 (bounds on growth and misalignment, proved there; the sharp exponent is
    derived here).

    Examples
    --------
    >>> result = alignment(width=10, scale=1e-6, rng=0)
    >>> result["growth"] < 1.1, result["misalignment"] < 1e-2, result["ends"]
    (True, True, 1)
    """
    if not isinstance(data, str) or data not in DATA:
        raise ValueError(f"there is no data set {short(data)} here: choose one of "
                         f"{', '.join(DATA)}")
    if positive(scale, "scale") >= 1:
        raise ValueError(f"scale = {scale:g}: early alignment needs a scale between 0 and 1")
    if positive(eps, "eps") >= 1:
        raise ValueError(f"eps = {eps:g}: at scale^(1 - eps) neurons are not small any more, so "
                         "give less than 1 (1/3 in the theorem)")
    rng, certificate = generator(rng), flag(certificate, "certificate")
    points = DATA[data](n, d, noise, rng)
    model = init.balanced(width, points.d, scale, rng)
    early = early_flow(model, points, threads=1)
    living = ~early.dead
    pulls = row_norms(early.D)
    if not living.any():
        raise ValueError("every neuron dies in the early flow: give another start or more width")
    top = float(pulls.max())
    tau = -eps * float(np.log(scale)) / top
    flow = run(model, points, tau, rtol=rtol, t_eval=[0.0, tau])
    final = flow.model
    grown = np.abs(np.log(np.abs(final.a / model.a)))
    strongest = living & (pulls > top * (1 - ROUNDING))
    u = final.W / row_norms(final.W)[:, None]
    # |D| - D.w/a as half of the square of a distance, which does not cancel.
    off = top * ((u - early.end_direction)[strongest]**2).sum(axis=1) / 2
    apart = row_norms(u - early.directions(tau))
    return {"tau": tau, "growth": float(grown.max() / (eps * np.log(1 / scale))),
            "misalignment": float(np.median(off)),
            "early_gap": float(apart.max()), "output": float(np.abs(final(points.X)).max()),
            "arrived": float((early.arrival < tau)[living].mean()), "dead": int(early.dead.sum()),
            "ends": len(np.unique(early.D[living].round(12), axis=0)),
            "events": len(flow.events), **evidence(flow, certificate)}


@ordinary
def figure(table: np.ndarray) -> Figure:
    """Misalignment, distance to the early flow and growth at tau, against the scale.

    Parameters
    ----------
    table : structured ndarray
        A sweep of `alignment`.

    Returns
    -------
    matplotlib Figure
        Lines are medians over the seeds, bands quartiles; dotted: what theory says.
    """
    from matplotlib.figure import Figure
    from ..sweeping.figure import curves
    table = complete(table, alignment)
    fig = Figure(figsize=(14, 4), layout="constrained")
    axes = fig.subplots(1, 3)
    by = "data" if len(np.unique(table["data"])) > 1 else None
    for ax, y, slope in ((axes[0], "misalignment", float(2 * np.median(table["eps"]))),
                         (axes[1], "early_gap", float(2 - 2 * np.median(table["eps"])))):
        curves(table, y, "scale", by, ax)
        scale = np.unique(table["scale"])
        level = np.nanmedian(table[y][table["scale"] == scale[-1]])
        line = level * (scale / scale[-1])**slope
        ax.plot(scale[line > SMALLEST], line[line > SMALLEST], ":", color="k", linewidth=2,
                label=f"slope {slope:.3g}")
        ax.set(xscale="log", yscale="log")
        ax.legend()
    curves(table, "growth", "scale", by, axes[2])
    axes[2].axhline(2, color="k", linestyle="--", label="bound of the theorem")
    axes[2].axhline(1, color="k", linestyle=":", label="growth at the largest rate")
    axes[2].set(xscale="log", yscale="linear", ylim=(0, 2.2))
    axes[2].legend()
    for ax, label in zip(axes, (r"misalignment $|D| - \langle D, w/a\rangle$ at $\tau$",
                                r"distance to the early flow at $\tau$",
                                r"$\max_i |\ln|a_i(\tau)/a_i(0)|| \,/\, \epsilon\ln(1/\lambda)$")):
        ax.set(xlabel=r"scale $\lambda$", ylabel=label)
    return fig
