"""Checks that every front door shares: each raises one sentence that says what to do."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .words import cut, kind_of, said, short

PLAIN = (numbers.Number, str, bytes, range, np.generic)
"""What hides nothing."""
MOST = 2**40
"""Numbers that an array may have."""
DEEPEST = 64
"""Axes that arrays of NumPy have at most."""


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
    raw = _as_array(value, name)
    if raw.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {cut(str(raw.dtype))}: give real numbers (float64)")
    if raw.ndim != ndim:
        raise ValueError(f"{name} has shape {raw.shape}: give an array with {ndim} "
                         f"{'axis' if ndim == 1 else 'axes'}{_hint(value, name, raw, ndim)}")
    with np.errstate(over="ignore"):
        # Long doubles beyond double precision become infinite, which is said below.
        array = np.array(raw, dtype=np.float64, order="C")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} has NaN or infinity (first at index {where}): "
                         "remove or fill these entries")
    return array


def one_or_more(value: ArrayLike, name: str) -> np.ndarray:
    """`real_array` of one axis, of a single number too. What is said of others is about what was
    given, a list or an array.

    Raises
    ------
    TypeError, ValueError
        As `real_array`.

    Examples
    --------
    >>> one_or_more(2, "t"), one_or_more([1, 2], "t")
    (array([2.]), array([1., 2.]))
    """
    raw = _as_array(value, name)
    return real_array(value if raw.ndim else raw[None], name, 1)


def _hint(value: Any, name: str, raw: np.ndarray, ndim: int) -> str:
    """How to get an array of so many axes out of ``value``, which is ``raw`` to NumPy."""
    # Lists, tables and matrices do otherwise than arrays, and tensors as these.
    own = type(value) is np.ndarray or hasattr(value, "detach")
    array = name if own else f"np.asarray({name})"
    if (raw.ndim, ndim) == (1, 2):
        return f", such as {array}[:, None] for one column or {array}[None] for one row"
    if (raw.ndim, ndim) == (2, 1) and 1 in raw.shape:
        return f", such as {array}.ravel()"
    return ""


def _as_array(value: Any, name: str) -> np.ndarray:
    """``value`` as NumPy sees it, but nothing that it hides."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        # A tensor of PyTorch that has a gradient, or lives elsewhere.
        value = value.detach().cpu()
    if hasattr(value, "toarray"):
        raise TypeError(f"{name} is a sparse {type(value).__name__}: give its toarray()")
    try:
        raw = unmasked(value)
        kinds = {getattr(kind, "kind", "O") for kind in np.ravel(getattr(value, "dtypes", []))}
        if raw.dtype.kind == "O" and kinds and kinds <= set("biuf"):
            # A pandas table whose columns know missing values; these become NaN.
            raw = value.to_numpy(dtype=np.float64, na_value=np.nan)
    except Hidden as found:
        raise ValueError(f"{name} is masked (first at index {found.where}): fill or remove these "
                         "entries") from None
    except ValueError as error:
        if isinstance(value, list | tuple):
            raise ValueError(f"{name} is ragged: give one rectangular array of numbers") from error
        raise TypeError(f"{name} is {kind_of(value)} that is no array of real numbers: "
                        "give one (float64)") from error
    except Exception as error:
        raise TypeError(f"{name} is {kind_of(value)} that NumPy cannot read "
                        f"({said(error)}): give an array of numbers") from error
    return raw


class Hidden(Exception):
    """An array has a masked entry, first at the index ``where``."""

    def __init__(self, where: tuple[int, ...]) -> None:
        super().__init__(f"the entry at index {where} is masked")
        self.where = where


def unmasked(value: Any) -> np.ndarray:
    """``np.asarray(value)``, if no mask hides an entry of it: NumPy forgets masks, and makes NaN of
    masked numbers in lists.

    Raises
    ------
    Hidden
        If one does, in a list however deep, or in what ``__array__`` gives.

    Examples
    --------
    >>> unmasked([1.0, np.ma.masked])
    Traceback (most recent call last):
    ...
    gflow.problem.checks.Hidden: the entry at index (1,) is masked
    """
    where = _first_hidden(value)
    if where is None:
        value = np.asanyarray(value)
        where = _first_hidden(value)
    if where is not None:
        raise Hidden(where)
    return np.asarray(value)


def _first_hidden(value: Any, depth: int = 0) -> tuple[int, ...] | None:
    """Where an array, or a list of lists, has its first masked entry; None if there is none."""
    if np.ma.isMaskedArray(value):
        hidden = np.ma.getmaskarray(value)
        if hidden.dtype.kind == "b" and hidden.any():
            return tuple(int(i) for i in np.argwhere(hidden)[0])
    elif isinstance(value, Sequence) and not isinstance(value, PLAIN) and depth < DEEPEST:
        hiding = tuple(kind for kind in set(map(type, value)) if not issubclass(kind, PLAIN))
        for i, part in enumerate(value if hiding else ()):
            where = _first_hidden(part, depth + 1) if isinstance(part, hiding) else None
            if where is not None:
                return i, *where
    elif depth and hasattr(value, "__array__") and not isinstance(value, np.ndarray):
        # What it raises, it raises again where it is read.
        with suppress(Exception):
            return _first_hidden(np.asanyarray(value), depth)
    return None


def _scalar(value: Any) -> Any:
    """The number in an array without axes, unless it is hidden; anything else as it is."""
    plain = isinstance(value, np.ndarray) and value.ndim == 0 and not np.ma.is_masked(value)
    return value.item() if plain else value


def _is(value: Any, kind: type) -> bool:
    """Whether a value is a number of that kind: truth values and durations are not, although they
    count as whole numbers to Python and NumPy."""
    return isinstance(value, kind) and not isinstance(value, bool | np.bool_ | np.timedelta64)


def _number(value: Any, wanted: str, name: str) -> float:
    """``value`` as a float, infinite if it is too large for one."""
    value = _scalar(value)
    if not _is(value, numbers.Real):
        raise TypeError(f"{name} is {short(value)}: give {wanted}")
    try:
        return float(value)
    except OverflowError:
        return np.inf


def positive(value: object, name: str) -> float:
    """Return a positive finite number, or say what is wrong with ``value``."""
    number = _number(value, "a positive number", name)
    if not 0 < number < np.inf:
        raise ValueError(f"{name} = {short(number)}: give a positive finite number")
    return number


def finite(value: object, name: str) -> float:
    """Return a finite number, or say what is wrong with ``value``."""
    number = _number(value, "a number", name)
    if not abs(number) < np.inf:
        raise ValueError(f"{name} = {number:g}: give a finite number")
    return number


def non_negative(value: object, name: str) -> float:
    """Return a finite number that is 0 or more, or say what is wrong with ``value``."""
    number = _number(value, "a number, 0 or more", name)
    if not 0 <= number < np.inf:
        raise ValueError(f"{name} = {number:g}: give a finite number, 0 or more")
    return number


def flag(value: Any, name: str) -> bool:
    """Return True or False, or say what is wrong with ``value``: every text counts as true.

    Examples
    --------
    >>> flag("no", "strict")
    Traceback (most recent call last):
        ...
    TypeError: strict is 'no': give True or False
    """
    value = _scalar(value)
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {short(value)}: give True or False")
    return bool(value)


def whole(value: Any, name: str) -> int:
    """Return a positive whole number, or say what is wrong with ``value``."""
    value = _scalar(value)
    if not _is(value, numbers.Integral):
        raise TypeError(f"{name} is {short(value)}: give a positive whole number")
    if value < 1:
        raise ValueError(f"{name} = {short(value)}: give a positive whole number")
    return int(value)


def number_of(value: Any, name: str, count: int) -> int:
    """Return the number of one of ``count`` things called ``name``, or say what is wrong.

    Examples
    --------
    >>> number_of(3, "neuron", 3)
    Traceback (most recent call last):
        ...
    ValueError: neuron = 3: there are neurons 0 to 2
    """
    value = _scalar(value)
    if not _is(value, numbers.Integral):
        raise TypeError(f"{name} is {short(value)}: give a whole number, 0 to {count - 1}")
    if not 0 <= value < count:
        raise ValueError(f"{name} = {short(value)}: there are {name}s 0 to {count - 1}")
    return int(value)


def sizes(**counts: Any) -> None:
    """Refuse axes of an array that are no positive whole numbers, or that no memory holds.

    Examples
    --------
    >>> sizes(m=3, d=10**30)
    Traceback (most recent call last):
        ...
    ValueError: d = 1000000000000000000000000000000 makes an array that no memory holds: give less
    """
    axes = {name: whole(value, name) for name, value in counts.items()}
    if math.prod(axes.values()) > MOST:
        name = max(axes, key=axes.__getitem__)
        raise ValueError(f"{name} = {short(axes[name])} makes an array that no memory holds: give "
                         "less")


def generator(rng: int | np.random.Generator, stream: tuple[int, ...] = ()) -> np.random.Generator:
    """Generator for a seed, on a stream of its own, or the generator given."""
    if isinstance(rng, np.random.Generator):
        return rng
    if not _is(rng, numbers.Integral):
        raise TypeError(f"rng is {short(rng)}: give a whole number as the seed, or a numpy "
                        "Generator")
    if rng < 0:
        raise ValueError(f"rng = {short(rng)}: a seed is a whole number that is not negative")
    return np.random.default_rng([int(rng), *stream] if stream else int(rng))
