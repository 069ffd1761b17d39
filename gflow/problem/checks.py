"""Checks that every front door shares: each raises one sentence that says what to do."""

from __future__ import annotations

import numbers
import numpy as np
from numpy.typing import ArrayLike


def real_array(value: ArrayLike, name: str, ndim: int) -> np.ndarray:
    """Return ``value`` as a fresh C-ordered float64 array of ``ndim`` axes.

    Parameters
    ----------
    value : array_like
        Real numbers: integers, floats or booleans.
    name : str
        What the user calls it, for the message.
    ndim : int
        Number of axes it must have.

    Raises
    ------
    TypeError
        If the entries are not real numbers.
    ValueError
        If the number of axes is wrong or an entry is NaN or infinite.

    Examples
    --------
    >>> real_array([1, 2], "y", 1)
    array([1., 2.])
    """
    try:
        raw = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is ragged: give one rectangular array of numbers") from error
    if raw.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {raw.dtype}: give real numbers (float64)")
    if raw.ndim != ndim:
        raise ValueError(f"{name} has shape {raw.shape}: give an array with {ndim} "
                         f"{'axis' if ndim == 1 else 'axes'}")
    array = np.array(raw, dtype=np.float64, order="C")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} has NaN or infinity (first at index {where}): "
                         "remove or fill these entries")
    return array


def positive(value: object, name: str) -> float:
    """Return a positive finite number, or say what is wrong with ``value``."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {value!r}: give a positive number")
    try:
        number = float(value)
    except OverflowError:
        number = value = np.inf
    if not 0 < number < np.inf:
        raise ValueError(f"{name} = {value}: give a positive finite number")
    return number


def non_negative(value: object, name: str) -> float:
    """Return a finite number that is 0 or more, or say what is wrong with ``value``."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {value!r}: give a number, 0 or more")
    try:
        number = float(value)
    except OverflowError:
        number = value = np.inf
    if not 0 <= number < np.inf:
        raise ValueError(f"{name} = {number:g}: give a finite number, 0 or more")
    return number


def whole(value: object, name: str) -> int:
    """Return a positive whole number, or say what is wrong with ``value``."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} is {value!r}: give a positive whole number")
    if value < 1:
        raise ValueError(f"{name} = {value}: give a positive whole number")
    return int(value)


def generator(rng: int | np.random.Generator, stream: tuple[int, ...] = ()) -> np.random.Generator:
    """Generator for a seed, on a stream of its own, or the generator given."""
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, bool | np.bool_) or not isinstance(rng, numbers.Integral):
        raise TypeError(f"rng is {rng!r}: give a whole number as the seed, or a numpy Generator")
    if rng < 0:
        raise ValueError(f"rng = {rng}: a seed is a whole number that is not negative")
    return np.random.default_rng([int(rng), *stream] if stream else int(rng))
