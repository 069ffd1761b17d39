"""What results are: values, whose arrays nobody writes to, also after copying and pickling."""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


def lock(thing: T) -> T:
    """The same array, or list or tuple of arrays, which cannot be written to any more.

    Examples
    --------
    >>> lock(np.ones(1))[0] = 2
    Traceback (most recent call last):
    ...
    ValueError: assignment destination is read-only
    """
    if isinstance(thing, np.ndarray):
        thing.flags.writeable = False
    elif isinstance(thing, list | tuple):
        for part in thing:
            lock(part)
    return thing


class Value:
    """A result: its arrays cannot be written to. Dataclasses of this kind want ``eq=False``, for
    arrays have no one truth value.

    Examples
    --------
    >>> import copy
    >>> class Pair(Value):
    ...     def __init__(self, a):
    ...         self.a = a
    ...         self.lock()
    >>> copy.deepcopy(Pair(np.ones(2))).a.flags.writeable
    False
    """

    def lock(self) -> None:
        """What its attributes hold cannot be written to from now on."""
        for part in vars(self).values():
            lock(part)

    def __post_init__(self) -> None:
        """Of a dataclass."""
        self.lock()

    def __getstate__(self) -> dict[str, Any]:
        """What cannot be computed again: pickles and copies are small."""
        return {name: part for name, part in vars(self).items()
                if not isinstance(getattr(type(self), name, None), cached_property)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrays that come out of a pickle can be written to."""
        vars(self).update(state)
        self.lock()
