"""The optimization threshold by other trainings: a smooth activation, and Adam, beside the flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import init, stop
from ..datasets import linear_teacher
from ..descent import descend
from ..flows.discrete import Descent
from ..flows.flow import Flow
from ..plot.style import ordinary
from ..problem.checks import generator
from ..problem.field import Field
from ..problem.network import TwoLayer
from ..problem.words import short
from .columns import complete, told
from .linear_teacher import INTERPOLATED, TEST_POINTS
from .training import LIMITS, Results, converge, ended, run

if TYPE_CHECKING:  # pragma: no cover
    from matplotlib.figure import Figure

TRAININGS = ("relu", "gelu", "adam")
FITS = 1e-6
"""Part of the loss of the zero network at which training ends."""
RESTS = 1e-7
"""Norm of the gradient, over that of labels and points, at which a smooth network rests."""


def threshold_trainings(d: int, n: int, training: str = "relu", width: int = 50,
                        scale: float = 1e-3, noise: float = 0.5, t_max: float = 1e4,
                        seconds: float = 600.0, rtol: float = 1e-6, lr: float = 1e-3,
                        steps: int = 100_000, *, rng: int | np.random.Generator) -> Results:
    r"""Fit the noisy labels of a linear teacher by one of three trainings.

    The flow of a ReLU network, to convergence, as in `threshold`; the flow of a GeLU network, until
    its gradient is 1e-7 of what labels and points make, or ``t_max``; and Adam on a ReLU network.
    Of one seed all three have the same data and the same start (in a sweep with ``shared=
    ["training"]``).

    Parameters
    ----------
    d, n : int
        Dimension and number of standard Gaussian points.
    training : {"relu", "gelu", "adam"}
    width : int
        Neurons, balanced.
    scale : float
        Of the start (`gflow.init.balanced`).
    noise : float
        Standard deviation sigma of the label noise.
    t_max : float
        Flow time at which the GeLU network is left; the ReLU one has 1000 times that.
    seconds : float
        Wall time after which to give up.
    rtol : float
        Tolerance of the flows.
    lr, steps : float and int
        Of Adam.
    rng : int or numpy.random.Generator
        Data, start and test points are drawn from it, in this order.

    Returns
    -------
    dict
        ``train_loss``; ``excess``, the mean of ``(h(x) - x.beta)^2`` on 10000 new points;
        ``interpolated``, whether the train loss is 1e-3 of that of the zero network or less;
        ``t_end`` (of Adam ``lr steps``), ``status``, ``limit`` ("none" if training has ended by
        itself, else "t_max", "seconds" or "steps").

    Raises
    ------
    TypeError, ValueError
        If there is no such training, or on other bad input.
    IntegrationError
        If the run fails, or steps diverge.
    KeyboardInterrupt
        On Ctrl-C.

    References
    ----------
    Boursier and Flammarion, "Simplicity bias and optimization threshold in two-layer ReLU
    networks", 2024, arXiv:2410.02348 (its appendix trains GeLU networks and with Adam).

    Examples
    --------
    >>> result = threshold_trainings(2, 4, "adam", width=20, steps=20_000, rng=0)
    >>> result["interpolated"], result["limit"]
    (True, 'none')
    """
    if training not in TRAININGS:
        raise ValueError(f"there is no training {short(training)}: choose one of "
                         f"{', '.join(TRAININGS)}")
    rng = generator(rng)
    data = linear_teacher(n, d, noise, rng)
    model: TwoLayer = init.balanced(width, d, scale, rng)
    zero = Field(data).value(np.zeros(n))
    fits = stop.loss_below(FITS * zero)
    result: Flow | Descent
    if training == "adam":
        result = ended(descend(model, data, lr, steps, optimizer="adam",
                               stop=[fits, stop.wall_time(seconds)]))
    elif training == "gelu":
        model = TwoLayer(model.a, model.W, activation="gelu")
        pulls = float(np.sqrt((data.X**2).sum()) * np.sqrt((data.y**2).sum())) / n
        result = run(model, data, t_max, rtol=rtol, method="LSODA", t_eval=[0.0, t_max], stop=[
            stop.gradient_below(RESTS * pulls), fits, stop.wall_time(seconds)])
    else:
        result = converge(model, data, 1e3 * t_max, seconds, rtol, FITS)
    limit = LIMITS.get(result.status, "none")
    if training == "adam" and limit == "t_max":
        limit = "steps"
    final = result.model
    new = linear_teacher(TEST_POINTS, d, 0.0, rng)
    loss = final.loss(data)
    return {"train_loss": loss, "excess": 2 * final.loss(new),
            "interpolated": bool(loss <= INTERPOLATED * zero), "t_end": result.t_end,
            "status": result.status, "limit": limit}


@ordinary
def figure(table: np.ndarray) -> Figure:
    """Train loss, excess risk and share of interpolation against n, a line for each training.

    Parameters
    ----------
    table : structured ndarray
        A sweep of `threshold_trainings`, of one dimension: of the first if there are several.

    Returns
    -------
    matplotlib Figure
        Medians and quartiles over the seeds. Dotted: two least squares fits, ``sigma^2 (1 -
        2d/n)/2`` and ``2 sigma^2 d/n``.
    """
    from matplotlib.figure import Figure
    from ..sweeping.figure import curves
    table = complete(table, threshold_trainings)
    d = int(table["d"].min())
    table = table[table["d"] == d]
    fig = Figure(figsize=(13.0, 3.9), layout="constrained")
    losses, risks, shares = fig.subplots(1, 3)
    for ax, y in ((losses, "train_loss"), (risks, "excess"), (shares, "interpolated")):
        curves(table, y, "n", "training", ax)
    sigma2 = float(np.median(table["noise"]))**2
    n = np.geomspace(2.02 * d, max(table["n"].max(), 2.1 * d), 200)
    losses.plot(n, sigma2 * (1 - 2 * d / n) / 2, ":", color="0.3")
    titles = told(table, "excess")
    losses.set(title=f"{titles['train_loss']}, d = {d}", yscale="linear", ylabel="train loss",
               ylim=(-0.02 * sigma2, 0.75 * sigma2))
    risks.plot(n, 2 * sigma2 * d / n, ":", color="0.3")
    risks.set(title=titles["excess"], ylabel=r"excess risk $E(h(x) - x\cdot\beta)^2$",
              yscale="log")
    shares.set_title(titles["interpolated"])
    return fig
