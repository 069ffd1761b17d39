"""Which function a store is of: its code, the data that it carries, and what it reads and calls.

Two runs of Python must agree on the hash, so it never sees an address, the order of a set, or a
``repr``. Code of the user counts wherever it is reached; code of installed packages counts by name,
and gflow's by its version, which the store keeps beside this hash.
"""

from __future__ import annotations

import copyreg
import functools
import hashlib
import inspect
import sys
import warnings
from collections import OrderedDict, deque
from types import (BuiltinFunctionType, CellType, CodeType, FunctionType, MappingProxyType,
                   MethodType, ModuleType, SimpleNamespace)
from typing import Any, Callable, Iterable

import numpy as np

from .hashes import joined, plain
from .installed import Installed
from .names import asks, by_name, imported, imports, of_modules, reads, words
from .packages import essence, inner, made_for, members_of, settled
from .sources import Sources, handlers, in_python

MOST = 3_000_000
"""Values to look at, about ten seconds' worth; arrays count once."""
COMMON = {"numpy", "scipy", "numba", *sys.stdlib_module_names} - {"__main__"}
"""Packages that are not the user's, even if ``run`` is an object of theirs."""
BOOKKEEPING = frozenset(
    "__dict__ __weakref__ __slotnames__ __module__ __doc__ __qualname__ __firstlineno__ "
    "__static_attributes__ "
    "__annotations__ __annotate__ __abstractmethods__ _abc_impl __dataclass_fields__ "
    "__dataclass_params__ __match_args__ __hash__ __orig_bases__ __parameters__".split())
"""What Python writes into classes by itself."""
DOCS = {"__doc__", "getdoc"}
HINTS = {"__annotations__", "get_type_hints", "get_annotations", "__dataclass_fields__", "fields"}
"""How code asks for the texts and annotations of classes."""


LATE: set[str] = set()
MADE: dict[tuple[str, str], bytes] = {}
"""Modules that code imports when it runs and that were not loaded when it was first looked at; and
hashes of what they held when they first were."""

CONTAINERS = (dict, list, tuple, set, frozenset, deque, SimpleNamespace)
"""What is the user's in them is looked at, whatever stands beside it."""


class _Unknown(Exception):
    """Something of which no two runs of Python would agree whether it is the same."""


def fingerprint(run: Callable[..., Any]) -> str:
    """Hash of ``run``: its code, what it carries, and the user's code and data that it reads.

    Raises
    ------
    TypeError
        If it carries something that cannot be compared between two runs of Python.

    Examples
    --------
    >>> from functools import partial
    >>> half, same = partial(max, np.arange(2000.0)), partial(max, np.arange(2000.0))
    >>> fingerprint(half) == fingerprint(same), fingerprint(half) == fingerprint(partial(max, 1))
    (True, False)
    """
    digest = Digest(run)
    try:
        found = digest.root(run)
        if digest.missed:
            warnings.warn(f"run reads {digest.missed[0]}, and changes there are not noticed: keep "
                          "that in a file or in arrays, and if it changes give the grid one more "
                          "parameter, such as {'version': [2]}", RuntimeWarning, stacklevel=3)
    except _Unknown as error:
        raise TypeError(f"run carries {error}, so that a store could not tell whether it has "
                        "changed: let it carry numbers, strings, arrays, or the name of a file, "
                        "or make them inside") from None
    if isinstance(run, FunctionType) and not digest.carries:
        # As stores have it that were written when nothing else was looked at.
        text = digest.sources.text(run.__code__, run.__globals__.get("__name__"))
        if text is not None:
            return hashlib.sha256(f"{run.__qualname__}\n{text}".encode(errors="surrogatepass")
                                  ).hexdigest()
    return found.hex()


def title(run: Any) -> str:
    """Name of ``run`` for messages and for finding an experiment again."""
    if isinstance(run, functools.partial):
        return title(run.func)
    if not hasattr(run, "__qualname__"):
        return title(type(run))
    return f"{run.__module__}:{run.__qualname__}"


class TooMuch(_Unknown):
    """The same of how much there is: where it is noticed depends on the way there."""


class Digest:
    """Hashes of values and code; what can be imported is hashed once, and by name elsewhere."""

    def __init__(self, run: Any) -> None:
        self.sources = Sources()
        # A package of the user may be installed.
        self.home = {title(run).partition(":")[0].partition(".")[0]} - COMMON
        self.installed = Installed(self.sources, self.home)
        self.waiting: dict[int, Any] = {}
        self.known: dict[int, bytes] = {}
        self.kept: list[Any] = []
        self.open: list[int] = []
        self.lowest = sys.maxsize
        self.visits = 0
        self.strict = True
        self.whole = False
        self.left_out = 0
        self.gaps: dict[int, bytes] = {}
        self.missed: list[str] = []
        self.notes: dict[int, type] = {}
        self.asked: set[str] = set()
        self.words: set[str] = set()
        self.modules: dict[str, ModuleType] = {}
        self.carries = False

    def root(self, run: Any) -> bytes:
        """Hash of ``run`` and of everything that it reaches."""
        first = self._function(run) if isinstance(run, FunctionType) else self.of(run)
        self.strict = False
        done: dict[int, bytes] = {id(run): b""}
        held: dict[tuple[str, str], bytes] = {}
        more = True
        while more or self.waiting:
            while self.waiting:
                key, thing = self.waiting.popitem()
                if key not in done:
                    done[key] = (self._class(thing) if isinstance(thing, type) else
                                 self._function(thing))
            new = [item for item in of_modules(self.modules, self.words) if item[:2] not in held]
            for module, name, value in new:
                if self._as_loaded(module, name, value):
                    held[module, name] = b""
                    continue
                held[module, name] = joined("of module", module, name,
                                            self._leniently(value, f"{module}.{name}"))
            more = bool(new)
        return joined("run", first, *sorted(done.values()), *sorted(filter(None, held.values())),
                      *self._notes())

    def _as_loaded(self, module: str, name: str, value: Any) -> bool:
        """Whether a module that tasks have loaded, by its text at the hash before, holds this as
        loading has made it: that text counts already."""
        if module not in LATE:
            return False
        try:
            found = Digest(value).root(value)
        except Exception:
            found = b""
        return found == MADE.setdefault((module, name), found)

    def of(self, value: Any) -> bytes:
        """Hash of a value."""
        self.visits += 1
        if self.visits > MOST:
            raise TooMuch(f"more than {MOST} values")
        found = plain(value)
        if found is not None:
            return found
        key = id(value)
        if key in self.known:
            return self.known[key]
        lenient = not self.strict and not self.whole
        if lenient and key in self.gaps:
            return self.gaps[key]
        if key in self.open:
            place = self.open.index(key)
            self.lowest = min(self.lowest, place)
            return joined("again", str(len(self.open) - place))
        outer, self.lowest = self.lowest, sys.maxsize
        depth, left_out = len(self.open), self.left_out
        self.open.append(key)
        try:
            found = self._compound(value)
        except RecursionError:
            raise TooMuch("something too deeply nested") from None
        except TooMuch:
            raise
        except Exception as error:
            if not lenient:
                raise error if isinstance(error, _Unknown) else _Unknown(
                    f"a {type(value).__qualname__} ({error})") from None
            # Only this: what stands beside it counts.
            self.left_out += 1
            found = joined("unknown", type(value).__qualname__, *self._own_parts(value))
        finally:
            self.open.pop()
        if self.lowest >= depth:
            # No cycle leads out of it: the hash does not depend on the way here.
            (self.known if self.left_out == left_out else self.gaps)[key] = found
            self.kept.append(value)
            self.lowest = outer
        else:
            self.lowest = min(outer, self.lowest)
        return found

    def _own_parts(self, value: Any) -> list[bytes]:
        """Class and attributes of an object of the user that cannot be pickled."""
        try:
            if not self.sources.holds(type(value), self.home):
                return []
            return [self.of(type(value)), self.of(_state(value))]
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
        return joined("array", *about, np.ascontiguousarray(array).tobytes())

    def _items(self, items: Iterable[tuple[Any, Any]]) -> list[bytes]:
        return sorted(self.of(name) + self.of(value) for name, value in items)

    def _object(self, value: Any) -> bytes:
        """An object: by name if an installed module has it, or else by what pickle would keep."""
        kind = type(value)
        try:
            reducer = copyreg.dispatch_table.get(kind)
            reduced = reducer(value) if reducer else value.__reduce_ex__(4)
        except Exception as error:
            reduced, trouble = None, error
        if isinstance(reduced, str):
            own = self.sources.holds(kind, self.home)
            more = [state] if own and (state := _state(value)) else \
                self._wrapped(value)
            return joined("name", self.of(kind), reduced, *map(self.of, more))
        if (name := self.installed.name(value)) is not None:
            return joined("installed object", *name)
        if reduced is None:
            raise _Unknown(f"a {kind.__qualname__} ({trouble})")
        maker, arguments, state, entries, items = (*reduced, None, None, None)[:5]
        whole, own = self.whole, self.sources.holds(kind, self.home)
        state = settled(kind, state, self.sources.assigned) if own else settled(kind, state)
        # Of the machinery of a package, such as a pool of threads, all is left out or nothing.
        self.whole |= not isinstance(value, CONTAINERS) and not own
        try:
            pairs = [self.of(pair) for pair in items or ()]
            found = [self.of(kind), self.of(maker), self.of(arguments),
                     self.of(state), *map(self.of, entries or ())]
            if own and isinstance(value, np.ndarray):
                # NumPy keeps its entries alone.
                found.append(self.of(_state(value)))
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
                and self.sources.holds(item, self.home)
                and not {id(item)} & (self.known.keys() | self.gaps.keys())]

    # Code -----------------------------------------------------------------------------------------

    def _callable(self, value: Any) -> bytes | None:
        """Functions and what holds them; None for other values."""
        if isinstance(value, FunctionType):
            return self._reference(value)
        if isinstance(value, MethodType):
            return joined("method", self.of(value.__func__), self.of(value.__self__))
        if isinstance(value, BuiltinFunctionType):
            owner = value.__self__
            if owner is None or isinstance(owner, ModuleType):
                return joined("builtin", str(value.__module__), value.__qualname__)
            return joined("method", value.__qualname__, self.of(owner))
        if isinstance(value, ModuleType):
            own = self._noted(value.__name__, value)
            return joined("module", value.__name__, own and self.sources.of(value) or "")
        if isinstance(value, CodeType):
            return self._code(value)
        if isinstance(value, CellType):
            try:
                return joined("cell", self.of(value.cell_contents))
            except ValueError:
                return joined("empty cell")
        if isinstance(value, property):
            return joined("property", *map(self.of, (value.fget, value.fset, value.fdel)))
        if isinstance(value, staticmethod | classmethod):
            return joined(type(value).__name__, self.of(value.__func__))
        if isinstance(value, functools.cached_property):
            return joined("cached property", self.of(value.func))
        if isinstance(value, functools._lru_cache_wrapper):
            notes = {name: item for name, item in vars(value).items()
                     if name[:2] != "__" and vars(value.__wrapped__).get(name) is not item}
            return joined("cached", self.of(value.__wrapped__), *self._items(notes.items()))
        if (function := inner(value)) is not None:
            # Compiled; what Numba pickles has a random name in it.
            return joined("compiled", self.of(function),
                          self._leniently(getattr(value, "targetoptions", None)),
                          *map(self._leniently, made_for(value)))
        return None

    def _reference(self, thing: Any) -> bytes:
        """A function or class met on the way: by name if it can be imported, or else as it is."""
        where = (thing.__globals__.get("__name__") if isinstance(thing, FunctionType) else
                 thing.__module__)
        named = imported(where, thing.__qualname__) is thing
        if not self.sources.holds(thing, self.home):
            name = joined("installed", str(where), thing.__qualname__)
            if named or isinstance(thing, type) and not in_python(thing):
                return name
            if isinstance(thing, type):
                # Made by a function of a package, such as `dataclasses.make_dataclass`.
                return joined("made", name, self._class(thing))
            if callable(getattr(thing, "dispatch", None)) and hasattr(thing, "registry"):
                # `functools.singledispatch`, which notes beside them what it was called with.
                return joined("dispatch", name, *self._items(thing.registry.items()))
            # A wrapper from a package around something of the user.
            return joined("wrapper", name, *self._carried(thing))
        if named:
            self.waiting[id(thing)] = thing
            return joined("by name", thing.__qualname__)
        return self._class(thing) if isinstance(thing, type) else self._function(thing)

    def _function(self, function: FunctionType) -> bytes:
        where = function.__globals__.get("__name__")
        parts, code = [], b""
        if self.sources.holds(function, self.home):
            code = self._code(function.__code__, where)
            parts = self._carried(function) + self._globals(function)
        elif imported(where, function.__qualname__) is not function:
            parts = self._carried(function)
        if self.strict and not self.open:
            self.carries = bool(parts)
        return joined("function", function.__qualname__, code, *parts)

    def _carried(self, function: FunctionType) -> list[bytes]:
        """Closure, defaults and attributes of a function."""
        look = self.of if self.strict else self._leniently
        cells = zip(function.__code__.co_freevars, function.__closure__ or ())
        parts = [joined("cell", name, look(cell)) for name, cell in cells]
        parts += [joined("default", look(value)) for value in function.__defaults__ or ()]
        for name, value in sorted((function.__kwdefaults__ or {}).items()):
            parts.append(joined("keyword", name, look(value)))
        return parts + [joined("attribute", name, look(value))
                        for name, value in sorted(vars(function).items())]

    def _globals(self, function: FunctionType) -> list[bytes]:
        """What the code reads of its module, and of modules of the user there."""
        parts = []
        for chain in sorted(set(reads(function.__code__))):
            value: Any = function.__globals__
            for name in chain:
                if isinstance(value, ModuleType):
                    if not self.sources.holds(value, self.home) or not hasattr(value, name):
                        break
                    value = getattr(value, name)
                elif value is function.__globals__ and name in value:
                    value = value[name]
                else:
                    break
            if isinstance(value, ModuleType) and not self.sources.holds(value, self.home):
                continue
            # A module of the user as a value: of ``getattr(module, name)`` all may be read.
            if value is not function.__globals__:
                name = ".".join(chain)
                parts.append(joined("global", name, self._leniently(value, name)))
        package = function.__globals__.get("__package__") or ""
        spelled, modules = by_name(function.__code__)
        for name in sorted(spelled & function.__globals__.keys()):
            value = function.__globals__[name]
            if not isinstance(value, ModuleType):
                parts.append(joined("by its name", name, self._leniently(value, name)))
        for name in sorted({*imports(function.__code__, package), *modules}):
            text = self.sources.module(name)
            if text is not None:
                if not self._noted(name, sys.modules.get(name)):
                    LATE.add(name)
                parts.append(joined("import", name, text))
        return parts

    def _noted(self, name: str, module: Any) -> bool:
        """Whether a module is the user's and loaded: what code may read of it counts then."""
        own = isinstance(module, ModuleType) and self.sources.holds(module, self.home)
        if own:
            self.modules[name] = module
        return own

    def _class(self, kind: type) -> bytes:
        made = "__dataclass_fields__" in vars(kind)
        members = [joined(name, self._leniently(member)) for name, member in
                   sorted(members_of(kind).items()) if name not in BOOKKEEPING or
                   name == "__hash__" and self._written(member) or
                   name == "__match_args__" and not made and member != vars(kind).get("_fields")]
        meta = type(kind)
        # That of a base counts there.
        if meta is not type and all(type(base) is not meta for base in kind.__bases__):
            members.append(joined("metaclass", self.of(meta)))
        for name, field in sorted(vars(kind).get("__dataclass_fields__", {}).items()):
            if data := getattr(field, "metadata", None):
                members.append(joined("metadata", name, self._leniently(data)))
        for name, hint in sorted(_hints(kind).items()):
            # Other annotations count where the code of the user asks for them.
            if hasattr(hint, "__metadata__") or isinstance(hint, str) and "Annotated[" in hint:
                members.append(joined("annotated", name, self._leniently(hint)))
        self.notes[id(kind)] = kind
        return joined("class", kind.__qualname__, *map(self.of, kind.__bases__), *members)

    def _notes(self) -> list[bytes]:
        """Texts and annotations of classes, if the code of the user asks for such."""
        return sorted(
            [joined("doc", kind.__qualname__, str(kind.__doc__)) for kind in self.notes.values()
             if self.asked & DOCS] +
            [joined("hints", kind.__qualname__, self._leniently(_hints(kind)))
             for kind in list(self.notes.values()) if self.asked & HINTS])

    def _written(self, member: Any) -> bool:
        """Whether a method stands in a file, and is not what Python or a decorator has made."""
        return isinstance(member, FunctionType) and self.sources.text(
            member.__code__, member.__globals__.get("__name__")) is not None

    def _leniently(self, value: Any, name: str = "") -> bytes:
        """Hash of what is read, not carried: a lock or an open file may be among it."""
        outer, visits = (self.strict, self.whole), self.visits
        self.strict = self.whole = False
        try:
            return self.of(value)
        except _Unknown as error:
            if isinstance(error, TooMuch):
                self.missed.append(f"{error} ({name or type(value).__qualname__})")
            self.visits = visits
            self.left_out += 1
            return joined("unknown", type(value).__qualname__)
        finally:
            self.strict, self.whole = outer

    def _code(self, code: CodeType, module: Any = None) -> bytes:
        self.asked |= asks(code)
        self.words |= words(code)
        text = self.sources.text(code, module)
        if text is not None:
            return joined("source", text)
        constants = [self.of(item) for item in code.co_consts]
        return joined("bytecode", code.co_code, " ".join(code.co_names),
                      " ".join((*code.co_varnames, "", *code.co_freevars, "", *code.co_cellvars)),
                      f"{code.co_argcount} {code.co_posonlyargcount} {code.co_kwonlyargcount} "
                      f"{code.co_flags}", *filter(None, [handlers(code)]), *constants)


def _hints(kind: type) -> dict[str, Any]:
    try:
        return inspect.get_annotations(kind)
    except Exception:
        # Of names that there are not, or not yet.
        return {}


def _state(value: Any) -> dict[str, Any]:
    """What an object holds, but for what Python notes of it."""
    slots = copyreg._slotnames(type(value))  # type: ignore[attr-defined]
    state = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    state |= getattr(value, "__dict__", {})
    return {name: item for name, item in state.items() if not name.startswith("__")}
