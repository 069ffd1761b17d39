"""Stopping rules for `gflow.integrate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, TypeVar

import numpy as np

from .engines.rules import Rule, State, as_rules
from .problem.checks import positive
from .problem.field import Field
from .problem.network import TwoLayerReLU
from .theory.standstill import Standstill
from .theory.waking import waking

_Factory = TypeVar("_Factory", bound=Callable[..., Rule])

__all__ = ["Rule", "State", "as_rules", "converged", "gradient_below", "loss_below", "settled",
           "wall_time"]

SUNK = 0.1
"""A gradient below this part of the largest one of the run has left the first saddle behind."""
HELD = 2.0
"""For so many times the time at which it began, what `settled` asks for must hold."""
NOTHING = 1e-28
"""A loss below this part of that of the network that is 0 is rounding."""
SOONER = 0.5
"""Part of the time to the next waking after which a run is looked at again."""
LOOKS = 1.05
"""Ratio of the times at which `settled` looks: the gradient costs as much as a short step."""
WAITS = 1.15
"""The same after a look at where neurons go, which costs as much as several steps. Larger: runs may
end as much later than they could."""


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


class _Ended:
    """The tests of `settled` and `converged`, with what they have seen of one run.

    Parameters
    ----------
    share : float
        Part of the loss that may still be lost.
    longer : float
        Time looked ahead, over the time so far; infinite for ever.
    """

    def __init__(self, share: float, longer: float) -> None:
        self.share, self.longer = share, longer
        self._forget()

    def _forget(self) -> None:
        self.t, self.top, self.since, self.next = 0.0, 0.0, np.inf, 0.0

    def begin(self) -> _Ended:
        """The same test, which has seen nothing."""
        return _Ended(self.share, self.longer)

    def __call__(self, state: State) -> bool:
        if state.t < self.t:
            # Called by hand with states of another run.
            self._forget()
        if state.t < max(LOOKS * self.t, self.next):
            return False
        self.t, self.top = state.t, max(self.top, state.grad_norm)
        if state.field is None:
            return self._by_gradient(state)
        first = float(state.field.value(np.zeros(state.field.data.n)))
        if state.loss <= NOTHING * first:
            # Squares of labels may be below the range of double precision: that is no end.
            return first > 0 or not state.field.first_pulls.any()
        # Time so far says nothing before anything has happened.
        early = np.isfinite(self.longer) and not state.grad_norm < SUNK * self.top
        # At a rest the loss does not fall; looking further costs more.
        look = min(self.longer, 1.0)
        if early or not self._falls_little(state, look * state.t):
            return False
        return self._by_structure(state, state.field)

    def _by_gradient(self, state: State) -> bool:
        """Of a state without its data: going on as fast as now."""
        holds = (state.grad_norm < SUNK * self.top
                 and self._falls_little(state, self.longer * state.t))
        self.since = min(self.since, state.t) if holds else np.inf
        return bool(state.t >= HELD * self.since)

    def _falls_little(self, state: State, time: float) -> bool:
        """Whether the loss that is lost in a ``time``, as fast as now, is below the share."""
        g, loss = state.grad_norm, state.loss
        # The square of a gradient may be beyond double precision where a loss is not.
        return bool(time * g < self.share * (loss / g if g > 0 else loss))

    def _by_structure(self, state: State, field: Field) -> bool:
        horizon = self.longer * state.t
        stand = Standstill(TwoLayerReLU(state.a, state.W), field, horizon)
        if not stand.rests(self.share):
            self.next = max(self.next, WAITS * state.t)
            return False
        # Pulls that still move count where all depends on them.
        wakes = waking(stand, self.share, relaxing=False).time
        if not wakes.size:
            wakes = waking(stand, self.share).time
        if wakes.size:
            # Until then there is nothing to see.
            self.next = state.t + SOONER * float(wakes.min())
        return bool(stand.decided and (wakes > horizon).all())


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
        Positive bound on the norm of the element of least norm of the subdifferential, as
        `State.grad_norm` has it: with weight decay, and without a layer that stays.

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
    r"""Stop when the loss will fall by less than ``share`` of itself in ``longer`` times the time.

    Foreseen from the structure of the state, not from how fast the loss falls: a run that passes a
    saddle looks at rest too. Neurons that carry the output relax on their pattern, with rates that
    are known; the others follow the early flow of the residuals, and the time at which one of
    them wakes is known as well (`gflow.theory.verdict`). The gradient must also have sunk to a
    tenth of the largest one seen: a small start is near a saddle, and the time so far means nothing
    before it has left. The run is looked at each time that its time has grown by 5%. On a run that
    interpolates the loss itself vanishes, so add `loss_below`; without it the run ends where the
    loss is rounding.

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

    Notes
    -----
    A `State` that was made by hand, or copied, knows no data: then ``dL/dt = -|grad|^2`` goes on as
    now, and that must hold from half the time on.

    Examples
    --------
    >>> import gflow
    >>> flow = gflow.integrate(([0.1], [[0.1]]), ([[1.0], [1.0]], [1.0, 0.5]), 1e3, stop=settled())
    >>> flow.status, flow.t_end < 100, float(round(flow.loss[-1], 5))
    ('settled', True, 0.03125)
    """
    share, longer = positive(share, "share"), positive(longer, "longer")
    return Rule(_Ended(share, longer), "settled", f"the loss will fall by less than {share:g} "
                f"of itself in {longer:g} times the time so far", plain="settled()")


@_factory("converged()")
def converged(share: float = 1e-4) -> Rule:
    r"""Stop when the run will stay where it is: no neuron will ever wake, and the rest contracts.

    As `settled`, with no end to the time looked ahead: what the loss may still lose, for ever, is
    less than ``share`` of itself, and no small neuron of the run grows in the early flow of the
    residuals, however slowly, now or when they will have relaxed. A run may take long to come
    there, even if its loss hardly falls: a neuron of mass ``|a| |w|`` that grows at the rate
    ``|D|`` wakes after a time of about ``ln(1/mass) / (2 |D|)``. Add
    `loss_below` for runs that interpolate. What is left then is in `gflow.Flow.verdict`. A `State`
    that was made by hand, or copied, knows no data, and is never converged.

    Parameters
    ----------
    share : float
        Part of the loss that may still be lost, positive.

    Raises
    ------
    TypeError, ValueError
        If ``share`` is not positive and finite.

    Examples
    --------
    >>> import gflow
    >>> data = gflow.datasets.three_points()
    >>> model = gflow.init.balanced(20, 2, 1e-3, rng=1)
    >>> flow = gflow.integrate(model, data, 1e5, stop=converged())
    >>> flow.status, float(round(flow.loss[-1], 4))
    ('converged', 0.0875)
    """
    share = positive(share, "share")
    return Rule(_Ended(share, np.inf), "converged", "no neuron will wake any more, and the loss "
                f"will fall by less than {share:g} of itself for ever", plain="converged()")


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
