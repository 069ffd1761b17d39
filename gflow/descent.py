"""Discrete twins of the flow: training with a finite step, with the result of a flow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Callable

import numpy as np

from .engines.descent import OPTIMIZERS, Optimizer, Trainer, Training, compile_kernels
from .engines.rules import Rule, StopLike, as_rules
from .engines.run import FAILURES
from .engines.solve import with_flow
from .flows.discrete import Descent, distances
from .flows.errors import IntegrationError
from .problem.checks import flag, generator, non_negative, positive, whole
from .problem.field import Field
from .problem.inputs import (LOWEST, DataLike, ModelLike, default_times, model_and_data,
                             with_loss)
from .problem.loss import LossLike, loss_label
from .problem.quiet import quiet
from .problem.rates import RatesLike, as_rates
from .problem.setting import DecayLike, Setting, as_decay
from .problem.words import short
from .theory.standstill import plain_only

__all__ = ["Descent", "descend", "distances"]


def __dir__() -> list[str]:
    return sorted(__all__)


STREAM = (0xDE5C,)
MOST_STEPS = 2**53
"""Whole numbers up to this are exact as floats, and their multiples of a step size times."""
MOST_SAVED = 2**33
"""Numbers that saved steps may have."""
OWNER = {"momentum": "momentum", "betas": "adam", "eps": "adam"}
"""The optimizer that an option is of."""


@quiet
def descend(model: ModelLike, data: DataLike, lr: float,
            steps: int, *, optimizer: Optimizer = "gd", batch: int | None = None,
            rng: int | np.random.Generator = 0, momentum: float | None = None,
            betas: tuple[float, float] | None = None, eps: float | None = None,
            save_every: int | None = None, stop: StopLike = None, progress: bool = False,
            strict: bool = False, loss: LossLike = "square", rates: RatesLike = (1.0, 1.0),
            decay: DecayLike = 0.0, schedule: Callable[[int], float] | None = None,
            noise: float = 0.0) -> Descent:
    r"""Train with a finite step: the discrete twin of `gflow.integrate`.

    The loss is that of the flow, :math:`L = \frac{1}{2n} \sum_k (h(x_k) - y_k)^2` if no other is
    given, so that step k of gradient descent is at the flow time ``k lr`` (PyTorch's ``MSELoss``
    has no 1/2: there half the ``lr`` does the same). With momentum it is at
    ``k lr / (1 - momentum)``, the time of the flow that small steps follow. Adam follows another
    flow, in which all weights move at similar speeds; its time is ``k lr``, and is no time of the
    gradient flow.

    Parameters
    ----------
    model : TwoLayerReLU, TwoLayer or (a, W)
        Start. Output weights (m,), hidden weights (m, d). Slopes and smooth activations count.
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
    momentum : float, optional
        In [0, 1), for "momentum" alone. Default: 0.9.
    betas : (float, float), optional
        In [0, 1), decay of Adam's running means of the gradient and of its square. Default: 0.9 and
        0.999.
    eps : float, optional
        Of Adam, positive. Default: 1e-8.
    save_every : int, optional
        Save every so many steps, and the last one. Default: about 200 steps, dense early.
    stop : rule or list of rules, optional
        As in `gflow.integrate`, looked at on saved steps, ``wall_time`` also between them; rules on
        the loss or the gradient then find the first step since the last saved one on which they
        hold. ``settled`` and ``converged`` say what the flow will do, and are not for Adam.
    progress : bool
        Draw a text meter on standard error.
    strict : bool
        Raise on a run that does not end well, instead of returning what was reached.
    loss : str or object
        As in `gflow.integrate`. Steps on a loss of your own are not compiled, nor those with a
        slope, a smooth activation or one of the options that follow.
    rates, decay
        As in `gflow.integrate`: factors of the steps of output and hidden weights; and weight
        decay, as a term of the gradient (``weight_decay`` of PyTorch's ``SGD`` and ``Adam``).
    schedule : callable, optional
        From the number of a step, 0 first, to the factor of its size. Flow time adds up likewise,
        and is laid out before the run: it is called for every step before the first one is taken.
    noise : float
        Standard deviation of Gaussian noise that is added to every label, anew in every step
        (label noise); drawn from ``rng``.

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
    Exception
        What a rule raises; what was reached is then its attribute ``flow``, or if it comes out of
        another run, inside the rule, the last of its ``outer_flows``.

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
    if steps > MOST_STEPS:
        raise ValueError(f"steps = {short(steps)}: give 2^53 or less")
    size = data.n if batch is None else whole(batch, "batch")
    if size > data.n:
        raise ValueError(f"batch = {short(size)} but there are {data.n} points: give at most "
                         f"{data.n}, or None for all")
    momentum, means, eps = _options(optimizer, momentum, betas, eps)
    progress, strict = flag(progress, "progress"), flag(strict, "strict")
    rules = as_rules(stop)
    data, loss = with_loss(data, loss)
    if model.log_scale.min() < LOWEST:
        raise ValueError(f"log_scale = {model.log_scale.min():g} is below {LOWEST:g}, too small "
                         "for steps in double precision: use gflow.integrate")
    setting = Setting(as_rates(rates), as_decay(decay, data.bias))
    if setting.two_times:
        raise ValueError("rates = (\"fast\", ...) is a limit that steps do not take: give numbers")
    _foreseen(rules, Field(data, loss, model.activation, setting), optimizer)
    noise = non_negative(noise, "noise")
    draw = generator(rng, STREAM)
    step_time = lr / (1 - momentum) if optimizer == "momentum" else lr
    if save_every is None:
        numbers = np.unique(np.rint(default_times(float(steps)))).astype(np.int64)
    else:
        save_every = whole(save_every, "save_every")
        if steps // save_every > MOST_SAVED // (model.m * (model.d + 1)):
            raise ValueError(f"save_every = {save_every} keeps more of {steps} steps than any "
                             "memory: save fewer")
        numbers = np.append(np.arange(0, steps, save_every), steps)
    factors = None if schedule is None else _factors(schedule, steps)
    passed = None if factors is None else np.append(0.0, np.cumsum(factors)) * step_time

    def clock(step: int) -> float:
        return float(step * step_time if passed is None else passed[step])

    settings = {"t_max": positive(clock(steps), "lr * steps"), "lr": lr, "steps": steps,
                "step_time": step_time, "optimizer": optimizer,
                "batch": None if batch is None else size, "momentum": momentum, "betas": means,
                "eps": eps, "save_every": save_every, "loss": loss_label(loss),
                "rates": list(setting.rates), "decay": list(setting.decay), "noise": noise,
                "schedule": None if schedule is None else short(schedule),
                "rng": _plain(rng.bit_generator.state) if isinstance(rng, np.random.Generator)
                else int(rng)}
    compile_kernels()
    beta = momentum if optimizer == "momentum" else means[0]
    trainer = Trainer(model, data, OPTIMIZERS[optimizer], size, draw, (lr, beta, means[1], eps),
                      loss, setting, factors, noise)
    training = Training(trainer, clock, steps, rules, progress)
    status, message, raised = training.run(numbers)
    saved = training.saved()
    times = np.array([clock(step) for step in saved["step"]])
    flow = Descent(data=data, path=training.path, times=times,
                   events=training.record.events(), initial_pattern=training.initial_pattern,
                   status=status, message=message, success=status not in FAILURES,
                   stats={**training.stats(), "method": f"{optimizer}, lr = {lr:g}"},
                   settings=settings, saved=saved, loss=loss, activation=model.activation,
                   setting=setting)
    if raised is not None:
        raise with_flow(raised, flow, training.record.started)
    if strict and not flow.success:
        raise IntegrationError(flow)
    return flow


def _foreseen(rules: Sequence[Rule], field: Field, optimizer: str) -> None:
    """Refuse rules on what gradient flow will do, where training follows none that they know.

    Raises
    ------
    ValueError
        In one sentence.
    """
    for rule in rules:
        if rule.plain:
            plain_only(field, f"stop={rule.plain}")
            if optimizer == "adam":
                raise ValueError(f"stop={rule.plain} foresees the gradient flow, and Adam follows "
                                 "another one: stop by loss_below or gradient_below")


def _options(optimizer: object, momentum: object, betas: object,
             eps: object) -> tuple[float, list[float], float]:
    """Momentum, betas and eps, checked: those of another optimizer would be of no effect."""
    if not isinstance(optimizer, str) or optimizer not in OPTIMIZERS:
        raise ValueError(f"unknown optimizer {short(optimizer)}: choose one of "
                         f"{', '.join(OPTIMIZERS)}")
    given = {"momentum": momentum, "betas": betas, "eps": eps}
    betas = (0.9, 0.999) if betas is None else betas
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise TypeError(f"betas is {short(betas)}: give a pair of numbers in [0, 1)")
    checked = (_fraction(0.9 if momentum is None else momentum, "momentum"),
               [_fraction(beta, f"betas[{j}]") for j, beta in enumerate(betas)],
               positive(1e-8 if eps is None else eps, "eps"))
    for name, owner in OWNER.items():
        if given[name] is not None and optimizer != owner:
            raise ValueError(f"{name} = {short(given[name])} is of no effect on {optimizer}: leave "
                             f"it away, or give optimizer=\"{owner}\"")
    return checked


def _factors(schedule: Callable[[int], float], steps: int) -> np.ndarray:
    if not callable(schedule):
        raise TypeError(f"schedule is {short(schedule)}: give a function from the number of a step "
                        "to the factor of its size")
    # No list: a step of one takes four times the memory.
    return np.fromiter((positive(schedule(step), f"schedule({step})") for step in range(steps)),
                       dtype=float)


def _fraction(value: object, name: str) -> float:
    number = non_negative(value, name)
    if number >= 1:
        raise ValueError(f"{name} = {number:g}: give a number in [0, 1)")
    return number


def _plain(state: Any) -> Any:
    """The state of a generator in what JSON knows, so that a run can be saved."""
    return json.loads(json.dumps(state, default=lambda part: np.asarray(part).tolist()))
