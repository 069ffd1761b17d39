"""Stopping rules for `gflow.integrate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, TypeVar

import numpy as np

from .engines.rules import Rule, State, as_rules
from .problem.checks import positive

_Factory = TypeVar("_Factory", bound=Callable[..., Rule])

__all__ = ["Rule", "State", "as_rules", "gradient_below", "loss_below", "settled", "wall_time"]

SUNK = 0.1
"""A gradient below this part of the largest one of the run has left the first saddle behind."""
HELD = 2.0
"""For so many times the time at which it began, what `settled` asks for must hold."""
LOOKS = 1.05
"""Ratio of the times at which `settled` looks: the gradient costs as much as a short step."""


def _factory(example: str) -> Callable[[_Factory], _Factory]:
    """Marks a function that makes rules, so that one given in place of a rule can be named."""
    def mark(make: _Factory) -> _Factory:
        make.example = example  # type: ignore[attr-defined]
        return make
    return mark


@dataclass(frozen=True)
class _Below:
    """Whether a quantity of the state is below a value."""

    name: str
    value: float

    def __call__(self, state: State) -> bool:
        return bool(getattr(state, self.name) < self.value)


@dataclass(frozen=True)
class _Later:
    """Whether so many seconds have passed."""

    seconds: float

    def __call__(self, state: State) -> bool:
        return state.wall >= self.seconds


class _Settled:
    """The test of `settled`, with what it has seen of one run."""

    def __init__(self, share: float, longer: float) -> None:
        self.share, self.longer = share, longer
        self.t, self.top, self.since = 0.0, 0.0, np.inf

    def begin(self) -> _Settled:
        """The same test, which has seen nothing."""
        return _Settled(self.share, self.longer)

    def __call__(self, state: State) -> bool:
        if state.t < self.t:
            # Called by hand with states of another run.
            self.t, self.top, self.since = 0.0, 0.0, np.inf
        if state.t < LOOKS * self.t:
            return False
        self.t, self.top = state.t, max(self.top, state.grad_norm)
        holds = (state.grad_norm < SUNK * self.top
                 and self.longer * state.t * state.grad_norm ** 2 < self.share * state.loss)
        self.since = min(self.since, state.t) if holds else np.inf
        return bool(state.t >= HELD * self.since)


@_factory("loss_below(1e-06)")
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
    return Rule(_Below("loss", value), "loss_below",
                f"the loss fell below {value:g}", locate=True)


@_factory("gradient_below(1e-06)")
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
    return Rule(_Below("grad_norm", value), "gradient_below",
                f"the gradient norm fell below {value:g}", locate=True)


@_factory("settled()")
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
    return Rule(_Settled(share, longer), "settled", f"the loss would fall by less than {share:g} "
                f"of itself in {longer:g} times the time so far")


@_factory("wall_time(60)")
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
    return Rule(_Later(seconds), "wall_time",
                f"the run took {seconds:g} second{'' if seconds == 1 else 's'}")


def __dir__() -> list[str]:
    return sorted(__all__)
