"""Whether a worker has loaded what the session has: the code and data that do not travel.

Pickle takes what can be imported by its name. The session notes a hash of every such thing that
``run`` reaches; a worker compares them with its own before its first task. Bytecode counts and not
text: files are edited while sweeps go on.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import inspect
import sys
from types import CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any, Callable, Iterable, Iterator, NamedTuple

import numpy as np

from .identity import BOOKKEEPING, Digest
from .installed import Installed
from .names import by_name, imported, imports, module_of, of_modules, reads, words
from .packages import beyond, essence, inner
from .sources import Sources
from .values import COMMON, CONTAINERS, reduced, state_of, title

MOST = 300_000
"""Values of one thing to look at, about a second's worth; of larger ones nothing is said."""
MAIN = ("__main__", "__mp_main__")
"""Names of a script: in the session, and in processes that import it again."""
PYTHON = f"{sys.implementation.cache_tag} {sys.flags.optimize}"
"""Others have other bytecode."""


class Claims(NamedTuple):
    """What the session has loaded.

    Attributes
    ----------
    things : tuple of (str, str, bytes)
        Module, name and hash.
    own : tuple of (str, bool)
        Which modules are the user's; files lie elsewhere on other machines.
    python : str
        Which Python this is.
    late : tuple of (str, str)
        Modules of the user that code imports when it runs and that are not loaded, and hashes of
        their texts.
    """

    things: tuple[tuple[str, str, bytes], ...] = ()
    own: tuple[tuple[str, bool], ...] = ()
    python: str = PYTHON
    late: tuple[tuple[str, str], ...] = ()
    given: tuple[tuple[str, str], ...] = ()


ATOMS = {int, float, complex, bool, str, bytes, type(None), np.ndarray}
"""What reaches nothing, but for arrays of objects."""
AGREED: set[tuple[str, str, bytes]] = set()
"""What this process has had as the session: what tasks change later is no new code."""

TEXTS: dict[str, str] = {}
"""Hashes of the texts of modules, before tasks have loaded them."""
NUMBERS: dict[str, int] = {}
"""What this process has as whole numbers that the session has otherwise."""


def claims(run: Callable[..., Any]) -> Claims:
    """What a worker that loads ``run`` must have as this process has it.

    Examples
    --------
    >>> claims(max).things
    ()
    """
    sources = _Told(())
    try:
        walk = _Walk(run, sources)
        found, digest = walk.found, _Plain(run, sources)
        digest.held.places = walk.installed.places
        things = tuple((*place, code) for place, value in sorted(
            found.items(), key=lambda item: item[0]) if (code := digest.thing(value)))
    except Exception:
        # What cannot be compared is not.
        return Claims()
    return Claims(things, tuple(sources.answers.items()), late=tuple(sorted(walk.late.items())),
                  given=tuple(sorted(digest.held.names)))


def disagreement(run: Callable[..., Any], claimed: Claims) -> str | None:
    """Name of something that this process has otherwise than the session; None if of nothing.

    Examples
    --------
    >>> disagreement(max, claims(max))
    """
    if claimed.python != PYTHON:
        return None
    for name, text in claimed.late:
        if _loaded(name, text) != text:
            return name
    digest = _Plain(run, _Told(claimed.own), claimed.given)
    for thing in claimed.things:
        if thing in AGREED:
            continue
        module, name, code = thing
        try:
            value = _find(module, name)
            mine = digest.thing(value)
        except Exception:
            # Not loaded yet, or not to be compared: a task that needs it will say so.
            continue
        if mine and mine != code:
            NUMBERS[f"{module}.{name}"] = value if type(value) is int else 0
            return f"{module}.{name}"
        if mine:
            AGREED.add(thing)
    return None


def _text(name: str) -> str | None:
    """Hash of the text of a module of the user, as it is now."""
    text = Sources().module(name)
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def _loaded(name: str, claimed: str) -> str:
    """Hash of the text by which this process has loaded a module, or will; what is ``claimed`` if
    that cannot be told."""
    if name not in sys.modules:
        TEXTS[name] = _text(name) or claimed
    return TEXTS.get(name) or _text(name) or claimed


def _find(module: str, name: str) -> Any:
    """What this process has under a name."""
    value: Any = importlib.import_module(module)
    if _hooked(value):
        raise LookupError(module)
    for word in name.split("."):
        value = inspect.getattr_static(value, word)
        if isinstance(value, staticmethod | classmethod):
            value = value.__func__
    return value


def _hooked(module: Any) -> bool:
    """Whether a module may have other code than its file: pytest writes assertions anew."""
    loader = getattr(module, "__loader__", None)
    return not (type(loader) is importlib.machinery.SourceFileLoader or
                loader is None and module.__name__ in MAIN)


class _Told(Sources):
    """Sources without text, and with the session's word on what is the user's."""

    def __init__(self, answers: Iterable[tuple[str, bool]]) -> None:
        super().__init__()
        self.answers = dict(answers)

    def own(self, module: Any, home: Iterable[str] = (), file: str | None = None) -> bool:
        name = "__main__" if module in MAIN else str(module)
        if name not in self.answers:
            self.answers[name] = super().own(module, home, file)
        return self.answers[name]

    def text(self, code: CodeType, module: Any = None) -> str | None:
        return None

    def module(self, name: str) -> str | None:
        return None

    def compiled(self, thing: Any) -> tuple[str, str] | None:
        # Other machines may have made other bytes of it.
        return None


class _Held(Installed):
    """Objects of installed packages by names that both processes have.

    The first name of an object depends on what is loaded, so the session notes those that it gave,
    and a worker gives these where it has the same.
    """

    def __init__(self, sources: Sources, home: Iterable[str],
                 given: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(sources, home)
        self.given = given
        self.names: set[tuple[str, str]] = set()
        self.unsure = False

    def name(self, value: Any) -> tuple[str, str] | None:
        found = super().name(value)
        if found is not None:
            self.names.add(found)
            for module, name in self.given:
                if module in sys.modules and vars(sys.modules[module]).get(name) is value:
                    return module, name
        top = type(value).__module__.partition(".")[0]
        # What is not loaded here may hold the same in the session.
        self.unsure |= any(module not in sys.modules and (
            found is not None or top == module.partition(".")[0]) for module, _ in self.given)
        return found


class _Plain(Digest):
    """Hashes of single things: what they refer to counts by name, and is a thing of its own."""

    def __init__(self, run: Any, sources: Sources,
                 given: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(run)
        self.sources = sources
        self.held = self.installed = _Held(sources, self.home, given)
        self.strict = False

    def thing(self, value: Any) -> bytes:
        """Short hash of a value; empty if there is too much to look at, or it cannot be told."""
        if self.missed or self.held.unsure:
            # Hashes of parts may be of what could not be told.
            for kept in (self.known, self.gaps, self.missed):
                kept.clear()
            self.held.unsure = False
        self.last = self.visits + MOST
        found = (self._class(value) if isinstance(value, type) else
                 self._function(value) if isinstance(value, FunctionType) and self.sources.own(
                     value.__globals__.get("__name__"), self.home) else
                 self._leniently(value))
        return b"" if self.missed or self.held.unsure else found[:8]

    def _label(self, thing: Any) -> tuple[str | bytes, ...]:
        where = module_of(thing)
        return "__main__" if where in MAIN else str(where), thing.__qualname__

    def _globals(self, function: FunctionType) -> list[bytes]:
        return []


class _Walk:
    """Finds what is reached from ``run`` and stays behind when it is pickled.

    Things "live" if a worker finds them in its own modules. Others travel, with their globals, but
    the modules among these do not.
    """

    def __init__(self, run: Any, sources: Sources) -> None:
        self.sources = sources
        self.home = {title(run).partition(":")[0].partition(".")[0]} - COMMON
        self.installed = Installed(sources, self.home)
        self.travels = _by_value()
        self.found: dict[tuple[str, str], Any] = {}
        self.seen: dict[tuple[int, bool], Any] = {}
        self.modules: dict[str, ModuleType] = {}
        self.words: set[str] = set()
        self.held: set[tuple[str, str]] = set()
        self.late: dict[str, str] = {}
        self.todo: list[tuple[Any, bool]] = [(run, False)]
        while self.todo and len(self.seen) < MOST:
            thing, lives = self.todo.pop()
            if (id(thing), lives) not in self.seen:
                self.seen[id(thing), lives] = thing
                self._look(thing, lives)
            if not self.todo:
                self.todo += self._of_modules()

    def _of_modules(self) -> list[tuple[Any, bool]]:
        """What is read of modules that code has as values; of it plain data is claimed, and not
        what differs from process to process."""
        found = [item for item in of_modules(self.modules, self.words) if item[:2] not in self.held]
        for module, name, value in found:
            self.held.add((module, name))
            if type(value) in ATOMS or isinstance(value, CONTAINERS):
                self._claim(module, name, value)
        return [(part, True) for _, _, value in found for part in
                ([value] if isinstance(value, FunctionType | type) else self._parts(value))]

    def _look(self, thing: Any, lives: bool) -> None:
        if isinstance(thing, FunctionType | type):
            if not self.sources.own(thing.__module__, self.home) and not (
                    isinstance(thing, FunctionType) and thing.__closure__):
                return
            if imported(thing.__module__, thing.__qualname__) is thing and \
                    thing.__module__ not in self.travels:
                lives = True
                self._claim(thing.__module__, thing.__qualname__, thing)
        if isinstance(thing, ModuleType):
            self._noted(thing.__name__, thing)
        if isinstance(thing, FunctionType):
            self.todo += self._read(thing, lives)
        self.todo += [(part, lives) for part in self._parts(thing) if type(part) not in ATOMS or
                      type(part) is np.ndarray and part.dtype.hasobject]

    def _parts(self, thing: Any) -> Iterable[Any]:
        """What a thing holds."""
        if isinstance(thing, FunctionType):
            return [*_contents(thing), *(thing.__defaults__ or ()),
                    *(thing.__kwdefaults__ or {}).values(), *vars(thing).values()]
        if isinstance(thing, type):
            return [*thing.__bases__, type(thing), *(
                member for name, member in vars(thing).items() if name not in BOOKKEEPING)]
        if type(thing) in (dict, MappingProxyType):
            return [*thing, *thing.values()]
        if type(thing) in (list, tuple, set, frozenset):
            return list(thing)
        if isinstance(thing, MethodType):
            return thing.__func__, thing.__self__
        if isinstance(thing, staticmethod | classmethod):
            return [thing.__func__]
        if isinstance(thing, property):
            return thing.fget, thing.fset, thing.fdel
        if isinstance(thing, ModuleType):
            return ()
        if isinstance(thing, np.ndarray) and thing.dtype.hasobject:
            return list(thing.flat)
        if (function := inner(thing)) is not None:
            return [function]
        held = getattr(thing, "__dict__", {})
        return [held.get("__wrapped__"), held.get("func"), *self._of_object(thing)]

    def _of_object(self, thing: Any) -> Iterable[Any]:
        """What pickle would keep of an object, as in `Values`, and all that one of the user has."""
        kind, parts = type(thing), essence(thing)
        parts = _kept(thing) if parts is None else parts
        if self.sources.own(kind.__module__, self.home):
            return [kind, *parts, *state_of(thing).values()]
        return [] if parts and self.installed.name(thing) is not None else [kind, *parts]

    def _read(self, function: FunctionType, lives: bool) -> Iterator[tuple[Any, bool]]:
        """What a function reads of its module and of others, and whether that lives."""
        names = function.__globals__
        home = sys.modules.get(str(names.get("__name__")))
        if not self.sources.own(names.get("__name__"), self.home):
            return
        lives = lives and home is not None and vars(home) is names
        self.words |= words(function.__code__)
        package = names.get("__package__") or ""
        for name in {*imports(function.__code__, package), *by_name(function.__code__, package)}:
            self._noted(name, sys.modules.get(name))
            if name not in sys.modules and (text := _text(name)) is not None:
                self.late[name] = text
        for chain in sorted(set(reads(function.__code__))):
            if chain[0] not in names:
                continue
            value, place = names[chain[0]], (str(names.get("__name__")), chain[0])
            through = lives
            for word in chain[1:]:
                if not isinstance(value, ModuleType) or word not in vars(value) or \
                        not self.sources.own(value.__name__, self.home):
                    break
                place, through = (value.__name__, word), True
                value = getattr(value, word)
            if isinstance(value, ModuleType):
                self._noted(value.__name__, value)
                continue
            if through:
                self._claim(*place, value)
            yield value, through

    def _noted(self, name: str, module: Any) -> None:
        """Look at a module of the user, if it is loaded."""
        if isinstance(module, ModuleType) and self.sources.own(name, self.home):
            self.modules[name] = module

    def _claim(self, module: str, name: str, value: Any) -> None:
        if module in self.travels or _hooked(sys.modules.get(module)) or \
                isinstance(value, FunctionType | type) and \
                not self.sources.own(value.__module__, self.home):
            return
        self.found.setdefault(("__main__" if module in MAIN else module, name), value)


def _kept(thing: Any) -> tuple[Any, ...]:
    """What pickle would keep of an object."""
    try:
        found = reduced(thing)
    except Exception:
        return (*beyond(thing),)
    if isinstance(found, str):
        return ()
    maker, arguments, state, entries, items = (*found, None, None, None)[:5]
    return (maker, arguments, state, *(entries or ()), *(items or ()))


def _contents(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            pass


def _by_value() -> set[str]:
    """Modules whose functions and classes are pickled whole."""
    cloudpickle: Any = sys.modules.get("cloudpickle")
    if cloudpickle is None:
        return set()
    registered: Iterable[str] = getattr(cloudpickle, "list_registry_pickle_by_value", set)()
    return {*MAIN, *registered}
