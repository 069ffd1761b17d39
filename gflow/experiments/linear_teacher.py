"""The optimization threshold: networks on the noisy labels of a linear teacher.

With few points training interpolates them; with many it gets stuck at two least squares fits, one
on each side of the teacher's hyperplane, which is better on new points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import init
from ..datasets import linear_teacher
from ..plot.style import ordinary
from ..problem.checks import flag, generator, positive
from ..problem.field import Field
from ..problem.words import counted
from ..theory import population
from ..theory.two_cone import two_cone_least_squares
from .columns import complete, ends, told
from .training import Results, converge, ending, evidence

if TYPE_CHECKING:  # pragma: no cover
    from matplotlib.figure import Figure

TEST_POINTS = 10_000
INTERPOLATED = 1.001e-3
"""Part of the loss of the zero network up to which a run counts as interpolating."""
HEAVY = 1e-3
"""Part of the whole network that makes a group of neurons a direction of it."""


def threshold(d: int, n: int, width: int = 200, scale: float = 1e-3, noise: float = 0.5,
              margin: float = 0.0, t_max: float = 1e7, seconds: float = 600.0,
              until: float = 1e-6, rtol: float = 1e-6, certificate: bool = True, *,
              rng: int | np.random.Generator) -> Results:
    r"""Train on a linear teacher with noise, to convergence; compare with two least squares fits.

    Losses are ``1/(2n) sum (h(x_k) - y_k)^2`` or half of the mean over new points, noise included.
    Where the run ends at two fits, the train loss is :math:`\sigma^2 (1 - 2d/n)/2` on average, and
    the excess risk ``E (h(x) - x.beta)^2`` is about :math:`2 \sigma^2 d/n`.

    The run ends when none of its neurons will wake any more and the rest contracts
    (`gflow.stop.converged`), when the loss is ``until`` of that at the start, or at a limit, which
    ``limit`` names.

    Parameters
    ----------
    d : int
        Input dimension.
    n : int
        Number of points, which are standard Gaussian but for the margin.
    width : int
        Neurons, balanced.
    scale : float
        Of the start (`gflow.init.balanced`).
    noise : float
        Standard deviation sigma of the label noise.
    margin : float
        Least cosine, up to sign, of the angles between points and teacher
        (`gflow.datasets.linear_teacher`).
    t_max : float
        Flow time after which to give up.
    seconds : float
        Wall time after which to give up. A run that is cut here depends on the machine.
    until : float
        Part of the loss at the start below which to end. 1e-3 is enough to know whether a run
        interpolates, and saves a diagram much time.
    rtol : float
        Tolerance of the run.
    certificate : bool
        Whether to certify the run.
    rng : int or numpy.random.Generator
        Data, start and test points are drawn from it, in this order.

    Returns
    -------
    dict
        ``train_loss``; ``test_loss`` on 10000 new points; ``population_loss``, the same exactly,
        and ``excess``, the excess risk (both NaN with a margin); ``two_cone_train``,
        ``two_cone_population_loss``,
        ``two_cone_excess``, the same for the end that theory predicts
        (`gflow.theory.two_cone_least_squares`; NaN where it has none, as with few points), and
        ``two_cone_gap``, root of the mean square between network and prediction on the points;
        ``interpolated``, whether the train loss is 1e-3 of that of the zero network or less;
        ``alive``, neurons active somewhere; ``directions``, groups of neurons within 0.1 rad that
        make up 1e-3 of the network or more; ``t_end``, ``status``, ``limit`` ("none", "t_max" or
        "seconds"), ``events``, ``slides``; ``certified`` and ``stationarity``
        (`gflow.Flow.certificate`), or None.

    References
    ----------
    Boursier and Flammarion, "Simplicity bias and optimization threshold in two-layer ReLU
    networks", 2024, arXiv:2410.02348: interpolation gives way for n above d^3 log d (proved
    there, for small ``scale`` and a margin of order 1/sqrt(d)).

    Examples
    --------
    >>> result = threshold(d=2, n=30, width=10, rng=0)
    >>> result["status"], result["limit"], result["certified"], result["interpolated"]
    ('converged', 'none', True, False)
    """
    rng, certificate = generator(rng), flag(certificate, "certificate")
    if positive(until, "until") >= 1:
        raise ValueError(f"until = {until:g}: it is a part of the loss at the start, so give less "
                         "than 1")
    data = linear_teacher(n, d, noise, rng, margin=margin)
    model = init.balanced(width, d, scale, rng)
    flow = converge(model, data, t_max, seconds, rtol, until)
    final = flow.model
    test = linear_teacher(TEST_POINTS, d, noise, rng, margin=margin)
    train_loss = final.loss(data)
    groups = np.abs(flow.alignment().groups().weight)
    return {"train_loss": train_loss, "test_loss": final.loss(test),
            **_risks("", final, d, noise, margin), **_two_cones(final, data, noise, margin),
            "interpolated": bool(train_loss <= INTERPOLATED * Field(data).value(np.zeros(n))),
            "alive": int((flow.pattern(flow.t_end) != 0).any(axis=1).sum()),
            "directions": int((groups >= HEAVY * groups.sum()).sum()),
            **ending(flow), **evidence(flow, certificate)}


def _risks(name: str, model: Any, d: int, noise: float, margin: float) -> dict[str, float]:
    """Exact risks on Gaussian inputs; with a margin they are not Gaussian."""
    loss = np.nan if margin else population.test_loss(model, np.eye(d)[0], noise=noise)
    return {f"{name}population_loss": loss, f"{name}excess": 2 * loss - noise**2}


def _two_cones(model: Any, data: Any, noise: float, margin: float) -> dict[str, float]:
    """Risks of the predicted end, and how far the network is from it."""
    pair = two_cone_least_squares(data)
    if not (pair.converged and pair.full_rank):
        return dict.fromkeys(("two_cone_train", "two_cone_population_loss", "two_cone_excess",
                              "two_cone_gap"), np.nan)
    gap = float(np.sqrt(np.mean((model(data.X) - pair(data.X))**2)))
    return {"two_cone_train": pair.loss, **_risks("two_cone_", pair.model, data.d, noise, margin),
            "two_cone_gap": gap}


@ordinary
def figure(table: np.ndarray) -> Figure:
    """How interpolation gives way: train loss, excess risk and directions against n.

    Parameters
    ----------
    table : structured ndarray
        A sweep of `threshold`.

    Returns
    -------
    matplotlib Figure
        Lines are medians over the seeds and bands quartiles; with one dimension every run is a
        dot. Dotted: ``sigma^2 (1 - 2d/n)/2`` and ``2 sigma^2 d/n``. Dashed: the two least squares
        fits of the same data. Crosses are runs cut at a limit; they have no part in the share.
    """
    from matplotlib.figure import Figure
    from ..sweeping.figure import COLOURS, curves
    table = complete(table, threshold)
    ys = ("train_loss", "excess" if np.isfinite(table["excess"]).any() else "test_loss",
          "interpolated", "directions")
    fig = Figure(figsize=(4.3 * len(ys), 3.9), layout="constrained")
    axes = dict(zip(ys, fig.subplots(1, len(ys))))
    sigma = float(np.median(table["noise"]))
    dimensions = np.unique(table["d"])
    known = (table["limit"] == "none") | table["interpolated"]
    for y, ax in axes.items():
        curves(table[known] if y == "interpolated" and known.any() else table, y, "n", "d", ax)
        if y != "interpolated":
            _runs(ax, table, y, dimensions.size == 1)
    for i, d in enumerate(dimensions):
        n = np.unique(table["n"][table["d"] == d])
        n = np.geomspace(2.02 * d, max(n.max(), 2.1 * d), 200)
        dots = {"color": COLOURS[i % len(COLOURS)], "linestyle": ":", "linewidth": 2}
        axes["train_loss"].plot(n, sigma**2 * (1 - 2 * d / n) / 2, **dots)
        own = table[table["d"] == d]
        _predicted(axes["train_loss"], own, "two_cone_train", COLOURS[i % len(COLOURS)])
        if ys[1] == "excess":
            _predicted(axes["excess"], own, "two_cone_excess", COLOURS[i % len(COLOURS)])
        risk = 2 * sigma**2 * d / n
        axes[ys[1]].plot(n, risk if ys[1] == "excess" else (sigma**2 + risk) / 2, **dots)
    axes["train_loss"].axhline(sigma**2 / 2, color="0.6", linewidth=0.8)
    for y, title in told(table, ys[1]).items():
        axes[y].set_title(title)
    axes["train_loss"].set(yscale="linear", ylabel="train loss",
                           ylim=(-0.02 * sigma**2, 0.75 * sigma**2))
    axes[ys[1]].set_ylabel("excess risk $E(h(x) - x\\cdot\\beta)^2$" if ys[1] == "excess" else
                           "test loss")
    two = abs(ends(table, "directions")[1] - 2) < 0.5
    axes["directions"].set(title="to two directions" if two else "directions", yscale="log")
    axes["directions"].axhline(2, color="0.6", linewidth=0.8)
    most = table["directions"].max()
    axes["directions"].set_yticks([tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500)
                                   if tick <= 2 * most])
    axes["directions"].set_yticks([], minor=True)
    axes["directions"].yaxis.set_major_formatter("{x:g}")
    return fig


def _predicted(ax: Any, own: Any, name: str, colour: str) -> None:
    """Median of a prediction, where there is one for most runs."""
    n = np.unique(own["n"])
    samples = [own[name][own["n"] == count] for count in n]
    ax.plot(n, [np.median(sample[np.isfinite(sample)]) if np.isfinite(sample).mean() > 0.5
                else np.nan for sample in samples], "--", color=colour, linewidth=1)


def _runs(ax: Any, table: np.ndarray, y: str, every: bool) -> None:
    """Single runs: dots, and crosses for those cut at a limit."""
    cut = table["limit"] != "none"
    if every:
        ax.plot(table["n"][~cut], table[y][~cut], ".", color="0.2", markersize=6, alpha=0.5,
                zorder=1)
    if cut.any():
        ax.plot(table["n"][cut], table[y][cut], "x", color="k", markersize=5,
                label=f"cut at a limit ({counted(cut.sum(), 'run')})")
        ax.legend(fontsize="small")
