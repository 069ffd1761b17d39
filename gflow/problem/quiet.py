"""Under- and overflow are looked after here: whatever the user's script has made of them."""

from __future__ import annotations

import functools
from typing import Callable, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")


def quiet(function: Callable[P, R]) -> Callable[P, R]:
    """A function that ``np.seterr(all="raise")`` of a script does not reach.

    (NumPy's own decorator keeps what to go back to in one place for all threads, in NumPy 1.)

    Examples
    --------
    >>> with np.errstate(all="raise"):
    ...     quiet(lambda: float(np.float64(1e-300) ** 2))()
    0.0
    """
    @functools.wraps(function)
    def inner(*args: P.args, **options: P.kwargs) -> R:
        with np.errstate(all="ignore"):
            return function(*args, **options)

    return inner
