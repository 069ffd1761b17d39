"""Smooth activations: what replaces ``max(z, 0)`` where nothing has to be switched."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any, Callable, TypeAlias

import numpy as np
from scipy.special import erf, expit

from .checks import Hidden, unmasked
from .theirs import theirs
from .words import said, short

Function = Callable[[np.ndarray], np.ndarray]
TRIED = np.array([-3.3, -1.7, -0.61, -0.13, 0.019, 0.29, 0.83, 1.9, 4.1])
STEP = 1e-5
LARGEST = float(np.finfo(float).max)
SURE = 1e-6
"""Error of a derivative by differences of this step, relative to function and derivative."""
KINKS = np.arange(-6.0, 6.5, 0.5)
"""Where functions that are made of pieces have their ends."""
BESIDE, JUMP = 1e-12, 1e-3
"""What changes by more than this part of it, so far on either side, jumps for double precision."""


@dataclass(frozen=True)
class Smooth:
    """A smooth activation: a function of numbers, and its derivative.

    Attributes
    ----------
    name : str
    function, derivative : callable
        From an array to one like it, entry by entry.
    known : str, tuple or None
        What `as_activation` makes it from; None for a function of a user, which files cannot hold.

    Examples
    --------
    >>> tanh = as_activation("tanh")
    >>> tanh(np.array([0.0])), tanh.derivative(np.array([0.0]))
    (array([0.]), array([1.]))
    """

    name: str
    function: Function
    derivative: Function
    known: str | tuple[str, float] | None = None
    smooth = True

    def __reduce__(self) -> tuple[Any, ...]:
        return as_activation, (self.known or (self.function, self.derivative),)

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Its values, entry by entry."""
        with theirs:
            return np.asarray(self.function(z), dtype=float)

    @property
    def slope(self) -> float:
        """Not there.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(f"this is for ReLU and leaky networks, and the activation is {self.name}: "
                         "give a TwoLayerReLU")

    def weights(self, codes: np.ndarray) -> np.ndarray:
        """Ones, of the order of the derivative, whatever the codes (all 0) are."""
        return np.ones(codes.shape)

    def __repr__(self) -> str:
        return self.name


ActivationLike: TypeAlias = str | tuple[str, float] | tuple[Function, Function] | Smooth
"""A name, ``("softplus", beta)``, or a function and its derivative."""


def gelu() -> Smooth:
    """``z P(Z <= z)`` for a normal Z (Hendrycks and Gimpel, 2016)."""
    def below(z: np.ndarray) -> np.ndarray:
        return np.asarray((1 + erf(z / np.sqrt(2))) / 2)

    return Smooth("gelu", lambda z: z * below(z),
                  lambda z: below(z) + z * np.exp(-z**2 / 2) / np.sqrt(2 * np.pi), "gelu")


def softplus(beta: float = 1.0) -> Smooth:
    """``log(1 + exp(beta z)) / beta``, which tends to ``max(z, 0)`` like ``1 / beta``.

    Examples
    --------
    >>> softplus(100.0)(np.array([-1.0, 0.0, 1.0])).round(4)
    array([0.    , 0.0069, 1.    ])
    """
    return Smooth(f"softplus({beta:g})", lambda z: np.logaddexp(0.0, beta * z) / beta,
                  lambda z: expit(beta * z), ("softplus", beta))


NAMED: dict[str, Callable[[], Smooth]] = {
    "gelu": gelu, "softplus": softplus,
    "tanh": lambda: Smooth("tanh", np.tanh, lambda z: 1 - np.tanh(z)**2, "tanh"),
    "silu": lambda: Smooth("silu", lambda z: z * expit(z),
                           lambda z: expit(z) * (1 + z * expit(-z)), "silu")}


def as_activation(activation: Any) -> Smooth:
    """The argument ``activation`` of `gflow.TwoLayer`.

    Raises
    ------
    TypeError, ValueError
        If it is neither a known name, ``("softplus", beta)``, nor a function with its derivative,
        both without jumps.

    Examples
    --------
    >>> as_activation(("softplus", 10.0)), as_activation((np.sin, np.cos))
    (softplus(10), sin)
    """
    if isinstance(activation, Smooth):
        return activation
    if isinstance(activation, str):
        if activation not in NAMED:
            raise ValueError(f"unknown activation {short(activation)}: choose one of "
                             f"{', '.join(NAMED)}, or give a function and its derivative")
        return NAMED[activation]()
    if isinstance(activation, tuple | list) and len(activation) == 2:
        first, second = activation
        number = isinstance(second, numbers.Real) and not isinstance(second, bool | np.bool_)
        # Whole numbers of Python may be beyond all floats.
        most = LARGEST if isinstance(second, int) else np.inf
        if isinstance(first, str) and first == "softplus" and number and 0 < second < most:
            return softplus(float(second))
        if callable(first) and callable(second):
            return _checked(Smooth(getattr(first, "__name__", repr(first)), first, second))
    raise TypeError(f"activation is {short(activation)}: give a name, (\"softplus\", beta), or a "
                    "pair of a function and its derivative")


def _checked(made: Smooth) -> Smooth:
    """A pair of a user, if the second one is the derivative of the first."""
    up, down = (_called(made.function, made.name, TRIED + step) for step in (STEP, -STEP))
    claimed = _called(made.derivative, f"{made.name}, its derivative,", TRIED)
    slope = (up - down) / (2 * STEP)
    if not (np.abs(claimed - slope) <= SURE * (1 + np.abs(slope) + np.abs(up))).all():
        raise ValueError(f"the second function of activation is not the derivative of "
                         f"{made.name}: differences say otherwise")
    for function, what in ((made.function, "jumps"), (made.derivative, "has a kink")):
        above, below = (_called(function, made.name, KINKS + step) for step in (BESIDE, -BESIDE))
        wrong = np.abs(above - below) > JUMP * (1 + np.abs(above))
        if wrong.any():
            raise ValueError(f"activation {made.name} {what} at {KINKS[int(np.argmax(wrong))]:g} "
                             "and is not smooth: round it off, or give a gflow.TwoLayerReLU "
                             "(max(z, 0), leaky with a slope)")
    return made


def _called(function: Function, name: str, z: np.ndarray) -> np.ndarray:
    """What a function of a user returns for these numbers."""
    given = z.copy()
    try:
        raw = unmasked(function(given))
        if np.iscomplexobj(raw):
            raise TypeError("it returns complex numbers")
        values = np.asarray(raw, dtype=float)
    except Hidden:
        values = np.array(np.nan)
    except Exception as error:
        raise ValueError(f"activation {name} fails on an array: write it with NumPy, entry by "
                         f"entry ({said(error)})") from error
    if (given != z).any():
        raise ValueError(f"activation {name} changes the array that it is given: work on a copy")
    if values.shape != z.shape or not np.isfinite(values).all():
        raise ValueError(f"activation {name} must give a finite number for each it is given: "
                         "write it for arrays")
    return values
