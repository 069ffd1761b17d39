"""Stopping rules as engines see them: what a rule is shown, and what a rule is."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable, NoReturn, TypeAlias, cast

import numpy as np

from ..problem.checks import flag
from ..problem.field import Field
from ..problem.value import lock
from ..problem.words import cut, kind_of, short

__all__ = ["Rule", "State", "as_rules"]

Weights: TypeAlias = np.ndarray | Callable[[], np.ndarray]
Number: TypeAlias = float | Callable[[], float]


class State:
    """What a stopping rule is shown: a value, which may be kept, and whose arrays are read-only.

    Parameters
    ----------
    t, wall : float
        As below.
    a, W, loss, grad_norm : value or callable
        As below, or a function without arguments that is called when they are first asked for.
    field : Field, optional

    Attributes
    ----------
    t : float
        Flow time.
    a : ndarray, shape (m,)
        Output weights.
    W : ndarray, shape (m, d)
        Hidden weights.
    loss : float
        Loss ``1/(2n) sum (h(x_k) - y_k)^2``, or that which the run was given.
    grad_norm : float
        Norm of the element of least norm of the subdifferential of what is descended: of the loss,
        with weight decay of the loss and that (`gflow.Flow.objective`), and if a layer stays of the
        weights of the other one only. Speeds of layers do not scale it. In a descent it is that of
        the derivative that its steps use, on all points, without noise.
    wall : float
        Seconds since the start of the run.
    field : Field or None
        Data and loss of the run; None if the state was made by hand, or copied.
    """

    a: np.ndarray
    W: np.ndarray
    loss: float
    grad_norm: float
    t: float
    wall: float
    field: Field | None
    _late: dict[str, Any]

    def __init__(self, t: float, a: Weights, W: Weights, loss: Number, grad_norm: Number,
                 wall: float, field: Field | None = None) -> None:
        vars(self).update(t=t, wall=wall, field=field, _late={
            "a": a, "W": W, "loss": loss, "grad_norm": grad_norm})

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Never: every rule of a run is shown the same one."""
        raise AttributeError(f"{name} of a State cannot be set: a State is a value, so keep what "
                             "you make of it elsewhere")

    def __delattr__(self, name: str) -> NoReturn:
        """Never."""
        raise AttributeError(f"{name} of a State cannot be deleted: a State is a value")

    def __getattr__(self, name: str) -> object:
        late = self.__dict__.get("_late", {})
        if name not in late:
            raise AttributeError(f"a State has no attribute {name!r}: it has t, a, W, loss, "
                                 "grad_norm, wall and field")
        # Read after the run too, when the errors of NumPy are the user's own again.
        with np.errstate(all="ignore"):
            value = late[name]() if callable(late[name]) else late[name]
        if isinstance(value, np.ndarray) and value.flags.writeable:
            # Out of a pickle, a deep copy, or made by hand: the array itself stays its owner's.
            value = lock(value.view())
        vars(self)[name] = value
        return value

    def __reduce__(self) -> tuple[object, ...]:
        """Copies and pickles hold numbers, not the functions that give them."""
        return State, (self.t, self.a, self.W, self.loss, self.grad_norm, self.wall)

    def __repr__(self) -> str:
        return f"State(t={self.t:g}, loss={self.loss:g})"


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
    plain : str
        Its name, if it is for plain ReLU flows only.

    Raises
    ------
    TypeError, ValueError
        If ``test`` cannot be called, or ``status`` or ``message`` is no text, or an empty one.

    Examples
    --------
    >>> rule = Rule(lambda state: state.t > 1, "late", "time passed 1", locate=True)
    >>> rule(State(2.0, np.ones(1), np.ones((1, 1)), 0.1, 0.2, 0.3))
    True
    """

    test: Callable[[State], object]
    status: str
    message: str
    locate: bool = False
    plain: str = ""

    def __post_init__(self) -> None:
        """Refuse what would fail when the rule fires, and end the run that it was made for."""
        if not callable(self.test):
            raise TypeError(f"the test of a rule is {short(self.test)}: give a callable of a State")
        for name in ("status", "message"):
            text = getattr(self, name)
            if not isinstance(text, str):
                raise TypeError(f"the {name} of a rule is {short(text)}: give a text")
            if not text:
                raise ValueError(f"the {name} of a rule is empty: say what flow.{name} becomes")
        flag(self.locate, "locate of a rule")

    def __call__(self, state: State) -> bool:
        """Whether to stop.

        Raises
        ------
        TypeError
            If ``test`` gives neither true nor false.
        """
        answer: Any = self.test(state)
        plain = isinstance(answer, np.ndarray) and answer.size == 1 and not np.ma.is_masked(answer)
        value = answer.item() if plain else answer
        # NaN counts as true in Python, and so does a coroutine.
        if value is None or (isinstance(value, bool | np.bool_ | numbers.Real) and value == value):
            return bool(value)
        what = (f"an array of shape {answer.shape}" if isinstance(answer, np.ndarray)
                else short(answer))
        raise TypeError(f"the rule {short(self.status)} returned {what}: return True to stop and "
                        "False to go on")

    def begin(self) -> Rule:
        """The rule for one run: a ``test`` that remembers what it has seen offers
        ``begin()``, which gives a fresh one, so that no run leaves a trace in a rule."""
        fresh = getattr(self.test, "begin", None)
        if not callable(fresh):
            return self
        test = fresh()
        if not callable(test):
            raise TypeError(f"begin() of the rule {short(self.status)} returned {short(test)}: "
                            "return a fresh test, a callable of a State")
        return replace(self, test=test)


Test: TypeAlias = Rule | Callable[[State], object]
StopLike: TypeAlias = Test | Sequence[Test] | None
"""When to stop: a rule, a callable of a `State` that returns True to stop, or a list of these."""


def as_rules(stop: StopLike) -> tuple[Rule, ...]:
    """Normalise the argument ``stop`` of `gflow.integrate`.

    Parameters
    ----------
    stop : None, Rule, callable, or list or tuple of these
        A plain callable takes a `State` and returns True to stop; its status is "callback".

    Returns
    -------
    tuple of Rule
        In the order given: of those that begin to hold at the same time the first names the
        status.

    Raises
    ------
    TypeError
        If an item is none of these.

    Examples
    --------
    >>> rule = Rule(lambda state: state.loss < 1e-6, "low", "the loss is low")
    >>> [rule.status for rule in as_rules([rule, lambda state: state.t > 3])]
    ['low', 'callback']
    """
    if stop is None:
        return ()
    rules = stop if isinstance(stop, list | tuple) else [cast(Test, stop)]
    return tuple(_as_rule(rule) for rule in rules)


def _as_rule(rule: Test) -> Rule:
    if isinstance(rule, Rule):
        return rule
    example = getattr(rule, "example", None)
    if example is not None:
        missing = "parentheses" if "()" in example else "its number"
        raise TypeError(f"stop has {rule.__name__} without {missing}: write {example}")
    if not callable(rule):
        raise TypeError(f"stop has {kind_of(rule)}: give rules from gflow.stop, "
                        "callables of a State, or a list of these")
    name = getattr(rule, "__name__", type(rule).__name__)
    return Rule(rule, "callback", f"the callback {cut(str(name))} asked to stop")
