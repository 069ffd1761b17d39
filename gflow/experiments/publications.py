"""The experiment ``published``: a published setting, run to its own training time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import plot, stop
from ..plot.style import ordinary
from ..problem.checks import flag, generator, non_negative, positive
from ..problem.data import Data
from ..problem.network import TwoLayer
from ..problem.norms import row_norms
from ..theory.extremal import extremal_vectors
from .columns import complete
from .settings import published as settings
from .training import Results, ending, evidence, run
from ..problem.words import short

if TYPE_CHECKING:  # pragma: no cover
    from matplotlib.figure import Figure

CURVE, EARLY = 300, 30
FIRST = 1e-4
"""First time of a curve after 0, over the last."""


def published(name: str = "W1", size: str = "reduced", rescale: float = 1.0, t_max: float = 0.0,
              seconds: float = 3600.0, rtol: float = 1e-6, certificate: bool = True, *,
              rng: int | np.random.Generator) -> Results:
    """Run a published setting, W1 to W14, on the exact flow, to the published training time.

    The loss is that of the original: the logistic one in W6 and W7, the square loss in all others.

    Parameters
    ----------
    name : str
        Of `gflow.experiments.published`: W1 to W14, W6b, W6c, W7b, W12b.
    size : {"reduced", "full"}
        Published width and time, or less.
    rescale : float
        Factor of the weights at the start (W8 is published at several).
    t_max : float
        Flow time; that of the setting if 0.
    seconds : float
        Wall time after which to give up.
    rtol : float
        Tolerance of the run.
    certificate : bool
        Whether to certify the run; without it only curves are kept in memory.
    rng : int or numpy.random.Generator
        Data and start are drawn from it, in this order.

    Returns
    -------
    dict
        ``loss_kind``, "square" or "logistic"; ``wanted``, published time; ``t_end``, ``status``,
        ``limit`` ("none" if the run reached ``t_max`` or the loss at which the original stops,
        else "seconds"), ``wall``, seconds of the run (not reproducible); ``train_loss``;
        ``events``, ``slides``; ``alive``; ``certified``, ``stationarity``; ``steps``, gradient
        steps of the original; ``curve_t``, ``curve_loss``, ``curve_squares`` (``sum a_i^2``);
        ``curve_test``, the loss on data that the network has not seen, if there are such;
        ``objective``, the loss with weight decay; ``steepest``, the largest value of
        ``(1/n) |sum_k r_k max(w.x_k, 0)|`` on the unit sphere, in dimension 3 at most: a stationary
        point is a global minimum of the objective if that is the decay;
        ``a``, ``W``, the network at the end; ``X``, ``y``, the points.

    Raises
    ------
    ValueError
        If there is no such setting.

    References
    ----------
    See ``gflow.experiments.published[name].source``.

    Examples
    --------
    >>> result = published("W1", rng=0)
    >>> result["t_end"], result["train_loss"] < 1e-12, result["certified"]
    (40.0, True, True)
    """
    if not isinstance(name, str) or name not in settings:
        raise ValueError(f"there is no published setting {short(name)}: choose one of "
                         f"{', '.join(settings)}")
    setting = settings[name]
    draw, certificate = generator(rng), flag(certificate, "certificate")
    rescale, t_max = positive(rescale, "rescale"), non_negative(t_max, "t_max")
    model, data = setting.problem(size, draw)
    unseen = setting.test(draw) if setting.test else None
    if rescale != 1.0:
        model = model.like(rescale * model.a, rescale * model.W)
    end = t_max or (setting.t_max if size == "full" else setting.reduced_t_max)
    rules = [stop.wall_time(seconds)] + ([stop.loss_below(setting.below)] if setting.below else [])
    first = FIRST * min(end, 1e4)
    # Of long runs what happens at a time of order 1 is to be seen too.
    early = np.geomspace(1e-2, first, EARLY + 1)[:-1] if first > 0.1 else np.empty(0)
    times = np.concatenate([[0.0], early, np.geomspace(first, end, CURVE)])
    times[-1] = end
    saved = ["a", "W", "loss"] if unseen else _curves
    flow = run(model, data, end, rtol=rtol, t_eval=times, stop=rules, rates=setting.rates,
               decay=setting.decay, loss=setting.loss, save=None if certificate else saved)
    final = flow.model
    kept = flow.saved or {}
    squares = kept["squares"] if "squares" in kept else (flow.a**2).sum(axis=1)
    tests = [] if unseen is None else [model.like(a, W).loss(unseen, setting.loss)
                                       for a, W in zip(flow.a, flow.W)]
    result = ending(flow)
    if flow.status == "finished":
        result["limit"] = "none"
    return {"loss_kind": setting.loss, "wanted": setting.t_max, **result,
            "wall": flow.stats["wall_time"], "train_loss": final.loss(data, setting.loss),
            "alive": int((flow.pattern(flow.t_end) != 0).any(axis=1).sum()),
            **evidence(flow, certificate), "steps": setting.steps, "curve_t": flow.t,
            "curve_loss": flow.loss, "curve_squares": squares, "curve_test": np.array(tests),
            "objective": final.loss(data, setting.loss) + flow.setting.penalty(final.a, final.W),
            "steepest": _steepest(final, data) if setting.decay and data.d <= 3 else None,
            "a": final.a, "W": final.W, "X": data.X, "y": data.y}


def _curves(state: stop.State) -> dict[str, Any]:
    return {"loss": state.loss, "squares": (state.a**2).sum()}


def _steepest(model: TwoLayer, data: Data) -> float:
    """Largest value on the unit sphere of the potential of the residuals, either sign."""
    found = extremal_vectors(Data(data.X, data.y - model(data.X)))
    return float(np.abs(found.value).max(initial=0.0))


@ordinary
def figure(table: np.ndarray) -> Figure:
    """A row for each setting: loss, neurons at the end, and the function or the fitted points.

    Parameters
    ----------
    table : structured ndarray
        A sweep of `published`; of each setting the first run is drawn.

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib.figure import Figure
    table = complete(table, published)
    _, first = np.unique(table["name"], return_index=True)
    fig = Figure(figsize=(13.5, 3.6 * len(first)), layout="constrained")
    for row, axes in zip(table[first], fig.subplots(len(first), 3, squeeze=False)):
        _draw(row, axes)
    return fig


def _draw(row: Any, axes: Any) -> None:
    loss, neurons, fit = axes
    setting = settings[str(row["name"])]
    loss.loglog(row["curve_t"][1:], row["curve_loss"][1:], color=plot.DARK, label="loss")
    loss.loglog(row["curve_t"][1:], row["curve_squares"][1:], "--", color=plot.DOWN["color"],
                label=r"$\sum a_i^2$")
    if len(row["curve_test"]):
        loss.loglog(row["curve_t"][1:], row["curve_test"][1:], color=plot.UP["color"],
                    label="test loss")
    loss.set(xlabel="flow time $t$", title=f"{row['name']}: {setting.title}"
             + (" (logistic loss)" if setting.loss == "logistic" else ""))
    loss.title.set_fontsize("small")
    loss.legend(fontsize="small")
    like = setting.start(1, np.random.default_rng(0))
    model, data = like.like(row["a"], row["W"]), Data(row["X"], row["y"])
    # Of the network at the end, along the two directions with most of it.
    frame = (np.eye(2) if data.d == 2 else
             np.linalg.svd(np.abs(model.a)[:, None] * model.W, full_matrices=False)[2][:2])
    at = model.W @ frame.T
    size = np.abs(model.a) * row_norms(at) / np.maximum(row_norms(at), 1e-300)
    place = np.abs(model.a)[:, None] * at / np.maximum(row_norms(model.W), 1e-300)[:, None]
    for chosen, style, mark, label in ((model.a >= 0, plot.UP, "o", r"$a_i > 0$"),
                                       (model.a < 0, plot.DOWN, "x", r"$a_i < 0$")):
        neurons.plot(*place[chosen].T, mark, color=style["color"], alpha=0.6, markersize=5,
                     label=label)
    # With room for a legend.
    reach = 1.4 * max(float(size.max()), 1e-300)
    neurons.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal",
                title="neurons $|a_i| w_i/|w_i|$ at the end" + (
                    "" if data.d == 2 else ", in the main plane"))
    neurons.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    neurons.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    neurons.title.set_fontsize("small")
    neurons.legend(fontsize="small")
    if data.d == 2 and np.ptp(data.X[:, 1]) == 0:
        x = np.linspace(data.X[:, 0].min() - 0.4, data.X[:, 0].max() + 0.4, 601)
        fit.plot(x, model(np.column_stack([x, np.full_like(x, data.X[0, 1])])), color=plot.DARK)
        fit.plot(data.X[:, 0], data.y, "o", color=plot.UP["color"], markeredgecolor="white")
        fit.set(xlabel="input $x$", ylabel="output")
    else:
        fit.plot(data.y, model(data.X), "o", color=plot.UP["color"], alpha=0.5)
        ends = [data.y.min(), data.y.max()]
        fit.plot(ends, ends, ":", color="0.5")
        fit.set(xlabel="label", ylabel="output")
