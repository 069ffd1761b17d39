"""The optimization threshold: networks on the noisy labels of a linear teacher.

With few points training interpolates them; with many it gets stuck at two least squares fits, one
on each side of the teacher's hyperplane, which is better on new points.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import init, stop
from ..datasets import linear_teacher
from ..integration import integrate

TEST_POINTS = 10_000
SETTLED = 1e-9
"""A run has settled if the loss would fall by less than this, relatively, in twice the time."""


def threshold(d: int, n: int, width: int = 200, scale: float = 1e-3, noise: float = 0.5,
              margin: float = 0.0, t_max: float = 200.0, rtol: float = 1e-6,
              certificate: bool = True, *, rng: Any) -> dict[str, Any]:
    r"""Train on a linear teacher with noise, to convergence or ``t_max``; compare with two fits.

    Losses are ``1/(2n) sum (h(x_k) - y_k)^2``. When the run ends at two least squares fits, the
    train loss is :math:`\sigma^2 (1 - 2d/n)/2` on average, and the test loss exceeds
    :math:`\sigma^2/2` by about :math:`\sigma^2 d/n`.

    Parameters
    ----------
    d, n : int
        Input dimension and number of points; the points are standard Gaussian.
    width : int
        Neurons, balanced.
    scale : float
        Of the start (`gflow.init.balanced`).
    noise : float
        Standard deviation sigma of the label noise.
    margin : float
        Least distance of the points from the teacher's hyperplane.
    t_max : float
        Flow time after which to give up.
    rtol : float
        Tolerance of the run.
    certificate : bool
        Whether to certify the run, which costs about as much as the run.
    rng : int or numpy.random.Generator
        Data, start and test points are drawn from it, in this order.

    Returns
    -------
    dict
        ``train_loss``; ``test_loss`` on 10000 new points with noise; ``two_cone_train`` and
        ``two_cone_test``, the same for two least squares fits, on each side of the teacher's
        hyperplane; ``interpolated``, whether the train loss is below a quarter of sigma^2
        (half of the noise); ``alive``, neurons active somewhere; ``directions``, different
        patterns among these; ``events``, ``slides``; ``t_end``, ``status``, ``gradient``, where
        and how it ended; ``certified``, or None.

    References
    ----------
    Boursier and Flammarion, "Simplicity bias and optimization threshold in two-layer ReLU
    networks", 2024, arXiv:2410.02348: interpolation gives way for n above d^3 log d (proved
    there, for small ``scale`` and inputs with a margin).

    Examples
    --------
    >>> result = threshold(d=2, n=8, width=10, t_max=20.0, rng=0)
    >>> result["status"], result["certified"], result["train_loss"] < result["test_loss"]
    ('finished', True, True)
    """
    rng = np.random.default_rng(rng)
    data = linear_teacher(n, d, noise, rng, margin=margin)
    model = init.balanced(width, d, scale, rng)
    start = model.loss(data)

    def settled(state: stop.State) -> bool:
        # Not at the start, which is close to a saddle.
        return (state.loss < 0.5 * start
                and state.grad_norm ** 2 * state.t < SETTLED * state.loss)

    flow = integrate(model, data, t_max, rtol=rtol, t_eval=[0.0, t_max], threads=1,
                     stop=[stop.Rule(settled, "settled", "the loss has settled"),
                           stop.loss_below(1e-10)])
    if flow.status == "interrupted":
        raise KeyboardInterrupt
    final = flow.model
    test = linear_teacher(TEST_POINTS, d, noise, rng, margin=margin)
    pattern = flow.pattern(flow.t_end)
    alive = pattern[(pattern != 0).any(axis=1)]
    fit_train, fit_test = _two_fits(data, test)
    evidence = flow.certificate() if certificate else None
    train_loss = final.loss(data)
    return {"train_loss": train_loss, "test_loss": final.loss(test), "two_cone_train": fit_train,
            "two_cone_test": fit_test, "interpolated": bool(train_loss < noise ** 2 / 4),
            "alive": len(alive), "directions": len(np.unique(alive, axis=0)),
            "events": len(flow.events), "slides": flow.stats["slide"], "t_end": flow.t_end,
            "status": flow.status, "gradient": evidence and evidence.gradient,
            "certified": evidence and evidence.ok}


def _two_fits(data: Any, test: Any) -> tuple[float, float]:
    """Losses of least squares fits on the two sides of the teacher's hyperplane ``x_1 = 0``."""
    train_loss = test_loss = 0.0
    for sign in (-1.0, 1.0):
        here, there = sign * data.X[:, 0] > 0, sign * test.X[:, 0] > 0
        beta = np.linalg.lstsq(data.X[here], data.y[here], rcond=None)[0]
        train_loss += ((data.X[here] @ beta - data.y[here]) ** 2).sum() / (2 * data.n)
        test_loss += ((test.X[there] @ beta - test.y[there]) ** 2).sum() / (2 * test.n)
    return float(train_loss), float(test_loss)


def figure(table: np.ndarray) -> Any:
    """Train loss, test loss and share of interpolation against n, one colour for each d.

    Parameters
    ----------
    table : structured ndarray
        A sweep of `threshold`.

    Returns
    -------
    matplotlib Figure
        Dotted: ``sigma^2 (1 - 2d/n)/2`` and ``sigma^2/2 + sigma^2 d/n``, two least squares fits.
    """
    from ..sweeping.figure import COLOURS, overview
    fig = overview(table, ["train_loss", "test_loss", "interpolated"], "n", "d")
    train, test, share = fig.axes
    sigma = float(np.median(table["noise"]))
    for i, d in enumerate(np.unique(table["d"])):
        n = np.unique(table["n"][table["d"] == d])
        n = np.geomspace(max(2.0 * d, n.min()), n.max(), 100) if n.max() > 2 * d else n[:0]
        colour = COLOURS[i % len(COLOURS)]
        train.plot(n, sigma ** 2 * (1 - 2 * d / n) / 2, ":", color=colour)
        test.plot(n, sigma ** 2 / 2 + sigma ** 2 * d / n, ":", color=colour)
    train.set_title("training gets stuck ...")
    test.set_title("... where it generalises")
    share.set_title("interpolation gives way")
    return fig
