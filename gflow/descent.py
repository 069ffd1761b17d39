"""Discrete twins of the flow: training with a finite step, with the result of a flow."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import numpy as np

from .checks import generator, non_negative, positive, whole
from .data import Data
from .errors import IntegrationError
from .flow import Flow
from .inputs import model_and_data
from .integration import LOWEST, default_times
from .model import ModelPath, TwoLayerReLU
from .run import FAILURES
from .stop import as_rules
from .training import OPTIMIZERS, Trainer, Training, compile_kernels

__all__ = ["Descent", "descend", "distances"]

STREAM = (0xDE5C,)


class Descent(Flow):
    """Training with a finite step, as a path in flow time. Made by `gflow.descend`.

    A `Flow` whose weights are those of the saved steps. In between, ``flow(t)`` is on a straight
    line, which is no step of the training unless every step was saved. Events are changes of the
    pattern from one saved step to the next, at the time of the latter, so that ``pattern(t)`` is
    that of the last saved step; a step has no sliding, and never a code 2. There is no
    certificate.

    Attributes
    ----------
    t : ndarray, shape (T,)
        Flow times of the saved steps, ``saved["step"] * settings["step_time"]``.
    a, W, loss, norms, directions : ndarray
        At the saved steps, as trained.
    saved : dict of ndarray
        ``step`` (T,), number of each saved step, and ``a``, ``W``, ``loss``.
    events : structured ndarray
        As of a `Flow`; the kinds are "activate" and "deactivate".
    stats : dict
        As of a `Flow`; ``switches`` counts changes of the pattern from every step to the next
        (None with small batches), and ``nfev`` gradients.
    settings : dict
        What `descend` was called with; ``rng`` is the seed, or the state of the generator at the
        start; ``step_time`` the flow time of a step.
    """

    def certificate(self, most: int | None = None) -> NoReturn:
        """Not there: a certificate is evidence that a path is the flow.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError("a descent with a finite step has no certificate, which is evidence that "
                         "a path is the gradient flow: compare it with gflow.integrate from the "
                         "same start (gflow.descent.distances)")

    def _whole(self, what: str) -> None:
        """Nothing is refused: what was saved and straight lines between are all there is."""

    def _models(self, times: np.ndarray) -> ModelPath:
        """Straight lines between saved steps, and these exactly."""
        assert self.saved is not None
        k = np.searchsorted(self.t, times, side="left")
        before = np.maximum(k - 1, 0)
        s = np.divide(times - self.t[before], self.t[k] - self.t[before], where=k > 0,
                      out=np.ones_like(times))
        a, W = self.saved["a"], self.saved["W"]
        return ModelPath((1 - s)[:, None] * a[before] + s[:, None] * a[k],
                         (1 - s)[:, None, None] * W[before] + s[:, None, None] * W[k])


def descend(model: TwoLayerReLU | tuple[Any, Any], data: Data | tuple[Any, Any], lr: float,
            steps: int, *, optimizer: str = "gd", batch: int | None = None,
            rng: int | np.random.Generator = 0, momentum: float = 0.9,
            betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
            save_every: int | None = None, stop: Any = None, progress: bool = False,
            strict: bool = False) -> Descent:
    r"""Train with a finite step: the discrete twin of `gflow.integrate`.

    The loss is that of the flow, :math:`L = \frac{1}{2n} \sum_k (h(x_k) - y_k)^2`, so that step k
    of gradient descent is at the flow time ``k lr`` (PyTorch's ``MSELoss`` has no 1/2: there half
    the ``lr`` does the same). With momentum it is at ``k lr / (1 - momentum)``, the time of the
    flow that small steps follow. Adam follows another flow, in which all weights move at similar
    speeds; its time is ``k lr``, and is no time of the gradient flow.

    Parameters
    ----------
    model : TwoLayerReLU or (a, W)
        Start. Output weights (m,), hidden weights (m, d).
    data : Data or (X, y)
        Inputs (n, d) and labels (n,).
    lr : float
        Step size, positive.
    steps : int
        Number of steps.
    optimizer : {"gd", "momentum", "adam"}
        With the formulas of PyTorch's ``SGD`` and ``Adam``; ``max(., 0)`` has derivative 0 at 0.
    batch : int, optional
        Points a step, drawn without replacement: every epoch goes through all points in a new
        order, and its last batch has what is left. All points if None.
    rng : int or numpy.random.Generator
        Draws the batches.
    momentum : float
        In [0, 1), for "momentum".
    betas : (float, float)
        In [0, 1), decay of Adam's running means of the gradient and of its square.
    eps : float
        Of Adam, positive.
    save_every : int, optional
        Save every so many steps, and the last one. Default: about 200 steps, dense early.
    stop : rule or list of rules, optional
        As in `gflow.integrate`, looked at on saved steps; rules on the loss or the gradient then
        find the first step since the last saved one on which they hold.
    progress : bool
        Draw a text meter on standard error.
    strict : bool
        Raise on a run that does not end well, instead of returning what was reached.

    Returns
    -------
    Descent
        The result type of `gflow.integrate`. A run that diverges has the status ``non_finite``
        and what was reached, up to the last step with finite weights and loss.

    Raises
    ------
    TypeError, ValueError
        On bad input, in one sentence.
    IntegrationError
        With ``strict=True``, if the run fails; its attribute ``flow`` is what was reached.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1 (proved there:
    nothing about this loss). That momentum follows the flow at ``lr / (1 - momentum)`` a step for
    small ``lr`` is derived here: its running mean of gradients sums to ``1 / (1 - momentum)``.

    Examples
    --------
    The distance to the flow is proportional to the step size:

    >>> import gflow
    >>> start, data = ([0.1], [[0.1]]), ([[1.0]], [1.0])
    >>> flow = gflow.integrate(start, data, t_max=10.0)
    >>> twins = [gflow.descend(start, data, lr, round(10 / lr)) for lr in (1e-2, 1e-3)]
    >>> coarse, fine = (gflow.descent.distances(flow, twin).max() for twin in twins)
    >>> bool(abs(coarse / fine - 10) < 0.2)
    True
    """
    model, data = model_and_data(model, data)
    lr, steps = positive(lr, "lr"), whole(steps, "steps")
    if not isinstance(optimizer, str) or optimizer not in OPTIMIZERS:
        raise ValueError(f"unknown optimizer {optimizer!r}: choose one of {', '.join(OPTIMIZERS)}")
    size = data.n if batch is None else whole(batch, "batch")
    if size > data.n:
        raise ValueError(f"batch = {size} but there are {data.n} points: give at most {data.n}, or "
                         "None for all")
    momentum = _fraction(momentum, "momentum")
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise TypeError(f"betas is {betas!r}: give a pair of numbers in [0, 1)")
    decay = [_fraction(beta, f"betas[{j}]") for j, beta in enumerate(betas)]
    eps = positive(eps, "eps")
    rules = as_rules(stop)
    if model.log_scale.min() < LOWEST:
        raise ValueError(f"log_scale = {model.log_scale.min():g} is below {LOWEST:g}, too small "
                         "for steps in double precision: use gflow.integrate")
    draw = generator(rng, STREAM)
    step_time = lr / (1 - momentum) if optimizer == "momentum" else lr
    if save_every is None:
        numbers = np.unique(np.rint(default_times(float(steps)))).astype(np.int64)
    else:
        save_every = whole(save_every, "save_every")
        numbers = np.append(np.arange(0, steps, save_every), steps)
    settings = {"t_max": positive(steps * step_time, "lr * steps"), "lr": lr, "steps": steps,
                "step_time": step_time, "optimizer": optimizer,
                "batch": None if batch is None else size, "momentum": momentum, "betas": decay,
                "eps": eps, "save_every": save_every,
                "rng": _plain(rng.bit_generator.state) if isinstance(rng, np.random.Generator)
                else int(rng)}
    compile_kernels()
    beta = momentum if optimizer == "momentum" else decay[0]
    trainer = Trainer(model, data, OPTIMIZERS[optimizer], size, draw, (lr, beta, decay[1], eps))
    training = Training(trainer, step_time, steps, rules, progress)
    status, message = training.run(numbers)
    saved = training.saved()
    flow = Descent(data=data, path=training.path, times=saved["step"] * step_time,
                   events=training.record.event_table(), initial_pattern=training.initial_pattern,
                   status=status, message=message, success=status not in FAILURES,
                   stats={**training.stats(), "method": f"{optimizer}, lr = {lr:g}"},
                   settings=settings, saved=saved)
    if strict and not flow.success:
        raise IntegrationError(flow)
    return flow


def distances(flow: Flow, twin: Flow) -> np.ndarray:
    r"""How far a twin is from the flow, at its saved steps.

    Parameters
    ----------
    flow : Flow
        From `gflow.integrate`.
    twin : Flow
        From `gflow.descend`, with the same start.

    Returns
    -------
    ndarray, shape (T,)
        :math:`|\theta_{twin}(t) - \theta(t)|` at the times ``twin.t`` that the flow reached,
        relative to the largest :math:`|\theta|` among these.

    Raises
    ------
    ValueError
        If the networks differ in shape or at the start.

    Examples
    --------
    >>> import gflow
    >>> start, data = ([0.1], [[0.1]]), ([[1.0]], [1.0])
    >>> flow = gflow.integrate(start, data, t_max=1.0)
    >>> distances(flow, gflow.descend(start, data, 0.5, 2, save_every=1)).round(4)
    array([0.    , 0.053 , 0.1554])
    """
    # A product of steps and a step size may pass t_max by rounding.
    times = np.minimum(twin.t[twin.t <= flow.t_end * (1 + 1e-12)], flow.t_end)
    path = flow(times)
    exact = np.concatenate([path.a[:, :, None], path.W], axis=2)
    if twin.W.shape[1:] != exact[0, :, 1:].shape:
        raise ValueError(f"the flow has neurons of shape {exact[0, :, 1:].shape} and the twin "
                         f"{twin.W.shape[1:]}: give runs of one network")
    trained = np.concatenate([twin.a[:, :, None], twin.W], axis=2)[:times.size]
    apart = np.sqrt(((trained - exact) ** 2).sum(axis=(1, 2)))
    size = np.sqrt((exact**2).sum(axis=(1, 2)))
    if apart[0] > 1e-12 * size[0]:
        raise ValueError("the flow and the twin start from different weights: give runs of one "
                         "start")
    return apart / (size.max() or 1.0)


def _fraction(value: Any, name: str) -> float:
    number = non_negative(value, name)
    if number >= 1:
        raise ValueError(f"{name} = {number:g}: give a number in [0, 1)")
    return number


def _plain(state: Any) -> Any:
    """The state of a generator in what JSON knows, so that a run can be saved."""
    return json.loads(json.dumps(state, default=lambda part: np.asarray(part).tolist()))
