"""Stopping rules for `gflow.integrate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from .checks import positive

__all__ = ["Rule", "State", "as_rules", "gradient_below", "loss_below", "settled", "wall_time"]

SUNK = 0.1
"""A gradient below this part of the largest one of the run has left the first saddle behind."""
HELD = 2.0
"""For so many times the time at which it began, what `settled` asks for must hold."""
LOOKS = 1.05
"""Ratio of the times at which `settled` looks: the gradient costs as much as a short step."""


class State:
    """What a stopping rule is shown.

    Parameters
    ----------
    t, wall : float
        As below.
    a, W, loss, grad_norm : value or callable
        As below, or a function without arguments that is called when they are first asked for.

    Attributes
    ----------
    t : float
        Flow time.
    a : ndarray, shape (m,)
        Output weights.
    W : ndarray, shape (m, d)
        Hidden weights.
    loss : float
        Loss ``1/(2n) sum (h(x_k) - y_k)^2``.
    grad_norm : float
        Norm of the element of least norm of the subdifferential of the loss.
    wall : float
        Seconds since the start of the run.
    """

    a: np.ndarray
    W: np.ndarray
    loss: float
    grad_norm: float

    def __init__(self, t: float, a: Any, W: Any, loss: Any, grad_norm: Any, wall: float) -> None:
        self.t, self.wall = t, wall
        self._late = {"a": a, "W": W, "loss": loss, "grad_norm": grad_norm}

    def __getattr__(self, name: str) -> Any:
        late = self.__dict__.get("_late", {})
        if name not in late:
            raise AttributeError(f"a State has no attribute {name!r}: it has t, a, W, loss, "
                                 "grad_norm and wall")
        value = late[name]() if callable(late[name]) else late[name]
        setattr(self, name, value)
        return value


@dataclass(frozen=True)
class Rule:
    """When to stop, and what to say then.

    Attributes
    ----------
    test : callable
        From a `State` to whether to stop.
    status : str
        What ``flow.status`` becomes.
    message : str
        The same as a sentence.
    locate : bool
        Whether to bisect the last step for the time at which ``test`` begins to hold. If False
        the run stops at the end of that step.

    Examples
    --------
    >>> rule = Rule(lambda state: state.t > 1, "late", "time passed 1", locate=True)
    >>> rule(State(2.0, np.ones(1), np.ones((1, 1)), 0.1, 0.2, 0.3))
    True
    """

    test: Callable[[State], Any]
    status: str
    message: str
    locate: bool = False

    def __call__(self, state: State) -> bool:
        return bool(self.test(state))


def loss_below(value: float) -> Rule:
    """Stop when the loss falls below ``value``, at the time when it does.

    Parameters
    ----------
    value : float
        Positive, in the units of ``1/(2n) sum (h(x_k) - y_k)^2``.

    Raises
    ------
    TypeError, ValueError
        If ``value`` is not a positive finite number.

    Examples
    --------
    >>> loss_below(1e-3).message
    'the loss fell below 0.001'
    """
    value = positive(value, "value")
    return Rule(lambda state: state.loss < value, "loss_below",
                f"the loss fell below {value:g}", locate=True)


def gradient_below(value: float) -> Rule:
    """Stop when the gradient norm falls below ``value``, at a time when it does.

    A small start is near a saddle: its gradient is of the size of its weights, so a ``value``
    above that stops the run at once. The norm is not monotone: it dips at every saddle passed,
    and a dip shorter than a step can go unseen. It does not fall below the error of the run, which
    is about ``rtol`` times the weights: a smaller ``value`` never stops a stepper.

    Parameters
    ----------
    value : float
        Positive bound on the norm of the element of least norm of the subdifferential.

    Raises
    ------
    TypeError, ValueError
        If ``value`` is not a positive finite number.

    Examples
    --------
    >>> gradient_below(1e-6).status
    'gradient_below'
    """
    value = positive(value, "value")
    return Rule(lambda state: state.grad_norm < value, "gradient_below",
                f"the gradient norm fell below {value:g}", locate=True)


def settled(share: float = 1e-3, longer: float = 10.0) -> Rule:
    r"""Stop when training has converged, judged from the run itself.

    That is when the loss would fall by less than ``share`` of itself over ``longer`` times the time
    run so far, if it went on falling as fast as now: since ``dL/dt = -|grad|^2``, when
    ``longer t |grad|^2 < share L``. The gradient must also have sunk to a tenth of the largest one
    seen, because a small start is near a saddle, where it hardly falls either. The run is looked at
    each time that its time has grown by 5%, and all this must hold from half its time on: the
    gradient dips where a run passes a saddle. A later saddle that lasts as long as everything
    before it can still count as the end; on a run that interpolates the loss itself vanishes, so
    add `loss_below`.

    Parameters
    ----------
    share : float
        Part of the loss that may still be lost, positive.
    longer : float
        Time looked ahead, over the time run so far, positive.

    Raises
    ------
    TypeError, ValueError
        If a number is not positive and finite.

    Examples
    --------
    >>> import gflow
    >>> flow = gflow.integrate(([0.1], [[0.1]]), ([[1.0], [1.0]], [1.0, 0.5]), 1e3, stop=settled())
    >>> flow.status, flow.t_end < 100, float(round(flow.loss[-1], 5))
    ('settled', True, 0.03125)
    """
    share, longer = positive(share, "share"), positive(longer, "longer")
    seen = {"t": 0.0, "top": 0.0, "since": np.inf}

    def test(state: State) -> bool:
        if state.t < seen["t"]:
            # Another run with the same rule.
            seen.update(t=0.0, top=0.0, since=np.inf)
        if state.t < LOOKS * seen["t"]:
            return False
        seen["t"], seen["top"] = state.t, max(seen["top"], state.grad_norm)
        holds = (state.grad_norm < SUNK * seen["top"]
                 and longer * state.t * state.grad_norm ** 2 < share * state.loss)
        seen["since"] = min(seen["since"], state.t) if holds else np.inf
        return state.t >= HELD * seen["since"]

    return Rule(test, "settled", f"the loss would fall by less than {share:g} of itself in "
                f"{longer:g} times the time so far")


def wall_time(seconds: float) -> Rule:
    """Stop at the end of the step during which ``seconds`` have passed.

    Parameters
    ----------
    seconds : float
        Positive, on the clock, from the start of the run.

    Raises
    ------
    TypeError, ValueError
        If ``seconds`` is not a positive finite number.

    Examples
    --------
    >>> wall_time(60).message
    'the run took 60 seconds'
    """
    seconds = positive(seconds, "seconds")
    return Rule(lambda state: state.wall >= seconds, "wall_time",
                f"the run took {seconds:g} second{'' if seconds == 1 else 's'}")


def as_rules(stop: Any) -> tuple[Rule, ...]:
    """Normalise the argument ``stop`` of `gflow.integrate`.

    Parameters
    ----------
    stop : None, Rule, callable, or list or tuple of these
        A plain callable takes a `State` and returns True to stop; its status is "callback".

    Returns
    -------
    tuple of Rule
        In the order given: the first that holds names the status.

    Raises
    ------
    TypeError
        If an item is none of these.

    Examples
    --------
    >>> [rule.status for rule in as_rules([loss_below(1e-6), lambda state: state.t > 3])]
    ['loss_below', 'callback']
    """
    if stop is None:
        return ()
    return tuple(_as_rule(rule) for rule in (stop if isinstance(stop, list | tuple) else [stop]))


def _as_rule(rule: Any) -> Rule:
    if isinstance(rule, Rule):
        return rule
    if any(rule is factory for factory in (loss_below, gradient_below, wall_time)):
        raise TypeError(f"stop has {rule.__name__} without its number: "
                        f"write {rule.__name__}({60 if rule is wall_time else 1e-6:g})")
    if not callable(rule):
        raise TypeError(f"stop has a {type(rule).__name__}: give rules from gflow.stop, "
                        "callables of a State, or a list of these")
    name = getattr(rule, "__name__", type(rule).__name__)
    return Rule(rule, "callback", f"the callback {name} asked to stop")
