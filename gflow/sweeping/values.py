"""Hashes of values, by what they hold: of data of the user, and by name of what packages have."""

from __future__ import annotations

import copyreg
import functools
import inspect
import sys
from collections import OrderedDict, deque
from types import FunctionType, MappingProxyType, SimpleNamespace
from typing import Any, Iterable

import numpy as np

from .cycles import Cycles, Member
from .hashes import joined, plain, unpadded
from .installed import Installed
from .packages import beyond, essence, settled
from .sources import Sources, in_python

MOST = 3_000_000
"""Values to look at, about ten seconds' worth; arrays count once."""
COMMON = {"numpy", "scipy", "numba", *sys.stdlib_module_names} - {"__main__"}
"""Packages that are not the user's, even if ``run`` is an object of theirs."""

CONTAINERS = (dict, list, tuple, set, frozenset, deque, SimpleNamespace)
"""What is the user's in them is looked at, whatever stands beside it."""


class Unknown(Exception):
    """Something of which no two runs of Python would agree whether it is the same."""


def title(run: Any) -> str:
    """Name of ``run`` for messages and for finding an experiment again."""
    if isinstance(run, functools.partial):
        return title(run.func)
    if not hasattr(run, "__qualname__"):
        return title(type(run))
    return f"{run.__module__}:{run.__qualname__}"


class TooMuch(Unknown):
    """The same of how much there is: where it is noticed depends on the way there."""


def _refusal(value: Any, error: Exception) -> Unknown:
    """What is said of a value that cannot be compared."""
    if isinstance(error, RecursionError):
        return TooMuch("something too deeply nested")
    return error if isinstance(error, Unknown) else Unknown(
        f"a {type(value).__qualname__} ({error})")


class Values:
    """Hashes of values; what functions and classes count by is said in `Digest`."""

    def __init__(self, run: Any) -> None:
        self.sources = Sources()
        # A package of the user may be installed.
        self.home = {title(run).partition(":")[0].partition(".")[0]} - COMMON
        self.installed = Installed(self.sources, self.home)
        self.known: dict[int, bytes] = {}
        self.kept: list[Any] = []
        self.cycles = Cycles()
        self.visits, self.last = 0, MOST
        self.strict = True
        self.whole = False
        self.left_out = 0
        self.gaps: dict[int, bytes] = {}
        self.missed: list[str] = []
        self.named = 0
        self.naming: set[int] = set()

    def _reference(self, thing: Any) -> bytes:
        """A function or class met on the way."""
        raise NotImplementedError

    def _callable(self, value: Any) -> bytes | None:
        """Functions and what holds them; None for other values."""
        raise NotImplementedError

    def of(self, value: Any) -> bytes:
        """Hash of a value."""
        self.visits += 1
        if self.visits > self.last:
            raise TooMuch(f"more than {MOST} values")
        found = plain(value)
        if found is not None:
            return found
        key, lenient = id(value), not self.strict and not self.whole
        found = self.known.get(key) or lenient and self.gaps.get(key) or None
        if found is not None:
            self.named += key in self.naming
            self.left_out += key not in self.known
            return found
        found = self.cycles.met(key)
        if found is not None:
            return found
        before = self.left_out, self.named
        outer = self.cycles.enter(value, (self.strict, self.whole))
        try:
            try:
                found = (self._compiled if self.sources.compiled(value) else
                         self._compound)(value)
            except Exception as error:
                if not lenient or isinstance(error, TooMuch | RecursionError):
                    raise _refusal(value, error) from None
                # Only this: what stands beside it counts.
                self.cycles.cut(key)
                self.left_out += 1
                found = joined("unknown", type(value).__qualname__, *self._own_parts(value))
        except Unknown:
            self.cycles.drop(key, outer)
            raise
        members = self.cycles.leave(key, outer)
        if members is None:
            return found
        hashes = self._of_cycle(members) if members else {key: found}
        if not self.cycles.colours:
            # Those of members are of one round only.
            (self.known if self.left_out == before[0] else self.gaps).update(hashes)
            if self.named != before[1]:
                self.naming.update(hashes)
            self.kept += [member.value for member in members] or [value]
        return hashes[key]

    def _of_cycle(self, members: list[Member]) -> dict[int, bytes]:
        """Hashes of the members of a cycle."""
        mode, visits = (self.strict, self.whole), self.visits

        def look(member: Member) -> bytes:
            # How much there is was counted as they were found.
            self.visits = visits
            self.strict, self.whole = member.mode
            return self.of(member.value)

        try:
            return self.cycles.told_apart(members, look)
        finally:
            self.visits, (self.strict, self.whole) = visits, mode

    def _own_parts(self, value: Any) -> list[bytes]:
        """What is the user's of an object that cannot be pickled: its class and its attributes, or
        functions in it."""
        try:
            if not self.sources.holds(type(value), self.home):
                return sorted(map(self.of, beyond(value)))
            return [self.of(type(value)), self.of(state_of(value))]
        except TooMuch:
            raise
        except Exception:
            return []

    def _compound(self, value: Any) -> bytes:
        kind = type(value)
        if kind in (list, dict, set) and (name := self.installed.name(value)) is not None:
            return joined("installed object", *name)
        if kind in (np.ndarray, np.memmap):
            return self._array(value)
        if isinstance(value, np.generic):
            return joined("scalar", self._array(np.asarray(value)))
        if kind in (list, tuple):
            return joined(kind.__name__, *map(self.of, value))
        if kind in (dict, MappingProxyType):
            return joined("dict", *self._items(value.items()))
        if kind in (set, frozenset):
            return joined(kind.__name__, *sorted(map(self.of, value)))
        if isinstance(value, functools.partial):
            return joined("partial", self.of(kind), self.of(value.func), self.of(value.args),
                          self.of(value.keywords), self.of(vars(value)))
        if (parts := essence(value)) is not None:
            return joined("essence", self.of(kind), *map(self.of, parts))
        if isinstance(value, type):
            return self._reference(value)
        return self._callable(value) or self._object(value)

    def _compiled(self, value: Any) -> bytes:
        """A thing of a compiled module of the user: what it is, and the file that has it."""
        made = self.sources.compiled(value) or ()
        try:
            return joined("of a compiled module", *made, self._compound(value))
        except TooMuch:
            raise
        except Exception:
            # Such as a function that pickle does not take: all of it is in the file.
            self.cycles.cut(id(value))
            return joined("of a compiled module", *made)

    def _array(self, array: np.ndarray) -> bytes:
        about = [array.dtype.str, str(array.dtype.names), str(array.shape)]
        if array.dtype.metadata:
            about.append(self._leniently(dict(array.dtype.metadata)).hex())
        if array.dtype.names:
            # Not the bytes between the fields.
            return joined("records", *about, *(self.of(np.asarray(array[name]))
                                               for name in array.dtype.names))
        if array.dtype.hasobject:
            return joined("objects", *about, *map(self.of, array.ravel().tolist()))
        return joined("array", *about, unpadded(array).tobytes())

    def _items(self, items: Iterable[tuple[Any, Any]]) -> list[bytes]:
        return sorted(self.of(name) + self.of(value) for name, value in items)

    def _object(self, value: Any) -> bytes:
        """An object: by name if an installed module has it, or else by what pickle would keep."""
        kind = type(value)
        try:
            parts = reduced(value)
        except Exception as error:
            parts, trouble = None, error
        if isinstance(parts, str):
            own = self.sources.holds(kind, self.home)
            more: list[Any] = [*self._wrapped(value)]
            if own and (held := state_of(value)):
                more = [held]
            return joined("name", self.of(kind), parts, *map(self.of, more))
        if (name := self.installed.name(value)) is not None:
            return joined("installed object", *name)
        if parts is None:
            raise Unknown(f"a {kind.__qualname__} ({trouble})")
        maker, arguments, state, entries, items = (*parts, None, None, None)[:5]
        whole, own = self.whole, self.sources.holds(kind, self.home)
        state = settled(kind, state, self.sources.assigned) if own else settled(kind, state)
        # Of the machinery of a package, such as a pool of threads, all is left out or nothing.
        self.whole |= not isinstance(value, CONTAINERS) and not own
        try:
            pairs = [self.of(pair) for pair in items or ()]
            found = [self.of(kind), self.of(maker), self.of(arguments),
                     self.of(state), *map(self.of, entries or ())]
            if own and (dropped := _dropped(value, self.sources)):
                found.append(self.of(dropped))
            found += [b"items", *(pairs if isinstance(value, OrderedDict) else sorted(pairs))]
            return joined("object", *found, *map(self.of, self._wrapped(value)))
        finally:
            self.whole = whole

    def _wrapped(self, value: Any) -> list[FunctionType]:
        """Functions of the user in an object of a package that pickle has left out."""
        # Merely to look for them would make a mapping in some other objects.
        if not callable(value) or self.sources.holds(type(value), self.home):
            return []
        found = [inspect.getattr_static(value, name, None) for name in ("__wrapped__", "func")]
        return [item for item in found if isinstance(item, FunctionType)
                and self.sources.holds(item, self.home)]

    def _leniently(self, value: Any, name: str = "") -> bytes:
        """Hash of what is read, not carried: a lock or an open file may be among it."""
        outer, visits = (self.strict, self.whole), self.visits
        self.strict = self.whole = False
        try:
            return self.of(value)
        except Unknown as error:
            if isinstance(error, TooMuch):
                self.missed.append(f"{error} ({name or type(value).__qualname__})")
            self.visits = visits
            self.left_out += 1
            return joined("unknown", type(value).__qualname__)
        finally:
            self.strict, self.whole = outer


def reduced(value: Any) -> Any:
    """What pickle would keep of an object.

    Examples
    --------
    >>> reduced(deque([1, 2]))[1]
    ()
    """
    reducer = copyreg.dispatch_table.get(type(value))
    return reducer(value) if reducer else value.__reduce_ex__(4)


def _dropped(value: Any, sources: Sources) -> dict[str, Any]:
    """Attributes of an object of a class of the user that pickle does not keep, since a class of
    Python or a package says what is kept: NumPy's arrays, say, are their entries alone."""
    says = next(base for base in type(value).__mro__
                if {"__reduce__", "__reduce_ex__", "__getstate__"} & vars(base).keys())
    if says is object or sources.holds(says):
        return {}
    state = state_of(value)
    # What begins so may be of a class in Python itself, which notes there what was asked.
    return {name: item for name, item in state.items() if name[:1] != "_"} if in_python(
        says) else state


def state_of(value: Any) -> dict[str, Any]:
    """What an object holds, but for what Python notes of it."""
    slots = copyreg._slotnames(type(value))  # type: ignore[attr-defined]
    state = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    state |= getattr(value, "__dict__", {})
    return {name: item for name, item in state.items() if not name.startswith("__")}
