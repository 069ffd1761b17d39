"""What results are: values, whose arrays nobody writes to, also after copying and pickling."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NoReturn, TypeVar

import numpy as np

T = TypeVar("T")


class Held:
    """What a result may hold that is no array but has some, such as a network."""


def lock(thing: T) -> T:
    """The same array, list or tuple of arrays, or network, which cannot be written to any more.

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
    elif isinstance(thing, Held):
        for part in vars(thing).values():
            lock(part)
    return thing


class Fixed(dict[str, Any]):
    """A mapping of a result: read like any other, and never changed. Pickled, copied deeply and
    compared it is the same; ``dict(...)`` of it is one of your own. Made by `fixed`.

    Examples
    --------
    >>> stats = fixed({"steps": 3, "sizes": [1, 2]})
    >>> stats, stats == {"steps": 3, "sizes": (1, 2)}
    ({'steps': 3, 'sizes': (1, 2)}, True)
    >>> stats["steps"] = 4
    Traceback (most recent call last):
    ...
    TypeError: this is part of a result and cannot be changed: dict(...) of it is your own
    """

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("this is part of a result and cannot be changed: dict(...) of it is your "
                        "own")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[object, ...]:
        """Not entry by entry, which would be a change."""
        return Fixed, (dict(self),)


def fixed(thing: Any) -> Any:
    """The same of mappings and tuples, which cannot be changed, for dicts and lists."""
    if isinstance(thing, dict):
        return Fixed({name: fixed(part) for name, part in thing.items()})
    if isinstance(thing, list | tuple):
        return tuple(fixed(part) for part in thing)
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
        # Of a copy: other threads may find something out meanwhile.
        return {name: part for name, part in vars(self).copy().items()
                if not isinstance(getattr(type(self), name, None), cached_property)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrays that come out of a pickle can be written to."""
        vars(self).update(state)
        self.lock()
