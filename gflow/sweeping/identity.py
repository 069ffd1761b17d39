"""Which function a store is of: its code, the data that it carries, and what it reads and calls.

Two runs of Python must agree on the hash, so it never sees an address, the order of a set, or a
``repr``. Code of the user counts wherever it is reached; code of installed packages counts by name,
and gflow's by its version, which the store keeps beside this hash.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
import warnings
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Callable

from .hashes import joined
from .names import (asks, by_name, imported, imports, module_of, of_modules, reads, spelled,
                    words)
from .packages import inner, made_for, members_of
from .sources import handlers, in_python
from .values import Unknown, Values

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


def fingerprint(run: Callable[..., Any]) -> str:
    """Hash of ``run``: its code, what it carries, and the user's code and data that it reads.

    Raises
    ------
    TypeError
        If it carries something that cannot be compared between two runs of Python.

    Examples
    --------
    >>> from functools import partial
    >>> import numpy as np
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
    except Unknown as error:
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


def _namesakes(things: dict[int, tuple[Any, bytes]]) -> dict[int, bytes]:
    """Hashes of functions and classes that share their names with others, by ids."""
    by_name: dict[str, list[int]] = {}
    for key, (thing, _) in things.items():
        if isinstance(thing, FunctionType | type):
            by_name.setdefault(thing.__qualname__, []).append(key)
    return {key: things[key][1] for keys in by_name.values() if len(keys) > 1 for key in keys}


class Digest(Values):
    """Hashes of values and code; what can be imported is hashed once, and by name elsewhere."""

    def __init__(self, run: Any) -> None:
        super().__init__(run)
        self.waiting: dict[int, Any] = {}
        self.notes: dict[int, type] = {}
        self.asked: set[str] = set()
        self.words: set[str] = set()
        self.modules: dict[str, ModuleType] = {}
        self.carries = False
        self.colours: dict[int, bytes] = {}

    def root(self, run: Any) -> bytes:
        """Hash of ``run`` and of everything that it reaches.

        What can be imported counts by its name where it is referred to. Of several things of one
        name each counts by its name and its hash of the round before, until no round tells more of
        them apart: files and modules may have other names.
        """
        found, done = self._round(run)
        count = 0
        while len(set((colours := _namesakes(done)).values())) > count:
            count = len(set(colours.values()))
            self.colours = colours
            for key in self.naming:
                self.known.pop(key, None), self.gaps.pop(key, None)
            self.naming.clear()
            found, done = self._round(run)
        return found

    def _round(self, run: Any) -> tuple[bytes, dict[int, tuple[Any, bytes]]]:
        """Hash of ``run``, and what can be imported of what it reaches, with hashes, by ids."""
        self.strict, self.visits = True, 0
        first = self._function(run) if isinstance(run, FunctionType) else self.of(run)
        self.strict = False
        done: dict[int, tuple[Any, bytes]] = {id(run): (run, first)}
        held: dict[tuple[str, str], bytes] = {}
        more = True
        while more or self.waiting:
            while self.waiting:
                key, thing = self.waiting.popitem()
                if key not in done:
                    done[key] = thing, (self._class(thing) if isinstance(thing, type) else
                                        self._function(thing))
            new = [item for item in of_modules(self.modules, self.words) if item[:2] not in held]
            for module, name, value in new:
                if self._as_loaded(module, name, value):
                    held[module, name] = b""
                    continue
                held[module, name] = joined("of module", module, name,
                                            self._leniently(value, f"{module}.{name}"))
            more = bool(new)
        others = sorted(code for key, (_, code) in done.items() if key != id(run))
        return joined("run", first, b"", *others, *sorted(filter(None, held.values())),
                      *self._notes()), done

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
        where = module_of(thing)
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
            self.named += 1
            return joined("by name", *self._label(thing))
        return self._class(thing) if isinstance(thing, type) else self._function(thing)

    def _label(self, thing: Any) -> tuple[str | bytes, ...]:
        """What a function or class counts by where it is referred to, beside what it is."""
        return (thing.__qualname__, *filter(None, [self.colours.get(id(thing))]))

    def _function(self, function: FunctionType) -> bytes:
        where = function.__globals__.get("__name__")
        parts, code = [], b""
        if self.sources.holds(function, self.home):
            code = self._code(function.__code__, where)
            parts = self._carried(function) + self._globals(function)
        elif imported(where, function.__qualname__) is not function:
            parts = self._carried(function)
        if self.strict and not self.cycles.members:
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
        for name in sorted(spelled(function.__code__) & function.__globals__.keys()):
            value = function.__globals__[name]
            if not isinstance(value, ModuleType):
                parts.append(joined("by its name", name, self._leniently(value, name)))
        for name in sorted({*imports(function.__code__, package),
                            *by_name(function.__code__, package)}):
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
            [joined("doc", *self._label(kind), str(kind.__doc__)) for kind in self.notes.values()
             if self.asked & DOCS] +
            [joined("hints", *self._label(kind), self._leniently(_hints(kind)))
             for kind in list(self.notes.values()) if self.asked & HINTS])

    def _written(self, member: Any) -> bool:
        """Whether a method stands in a file, and is not what Python or a decorator has made."""
        return isinstance(member, FunctionType) and self.sources.text(
            member.__code__, member.__globals__.get("__name__")) is not None

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
