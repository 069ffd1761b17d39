"""Objects of installed packages: what counts by its name, and what of the others is a by-product.

``os.environ``, NumPy's global random state or ``scipy.stats.norm`` belong to their modules, and
their contents differ from run to run.
"""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import MutableMapping, MutableSequence, MutableSet
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Iterable

import numpy as np

from .sources import PACKAGE, Sources

CIRCUMSTANCES = {"stats": "wall_time", "settings": "threads"}
"""What a result of gflow notes of the clock and the machine: another run of the same has others."""
LATE = {"numpy": ("_ufunc",), "scipy": ("_has_sorted_indices", "_has_canonical_format")}
"""What packages note in their objects on first use, by package."""
BLANK = {"xarray": ("_attrs", "_encoding")}
"""Where packages write an empty mapping on first use."""
FOREIGN = {"builtins", "__main__", PACKAGE}
"""Where a console keeps what the user has just seen; and gflow, which counts by its version."""
PLAIN = {type, FunctionType, BuiltinFunctionType, ModuleType, np.ufunc, type(None), bool, int,
         float, complex, str, bytes, tuple, frozenset}
"""What most of a module is, and what is never asked for."""
BUILTIN = (MutableMapping, MutableSequence, MutableSet)
"""Of Python's own types these are never shared, as equal patterns and empty tuples are."""


def settled(kind: type, state: Any) -> Any:
    """State of an object without what is computed on first use: that comes and goes."""
    if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):
        # Of a class with slots.
        return tuple(settled(kind, part) for part in state)
    if not isinstance(state, dict):
        return state
    top = kind.__module__.partition(".")[0]
    late = {name for base in kind.__mro__ for name, member in vars(base).items()
            if isinstance(member, functools.cached_property)}.union(LATE.get(top, ()))
    state = {name: item for name, item in state.items() if name not in late}
    for name in BLANK.get(top, ()):
        if name in state and not state[name]:
            state[name] = {}
    if top == PACKAGE:
        state = {name: _without(item, CIRCUMSTANCES.get(name)) for name, item in state.items()}
    return state


def _without(value: Any, name: str | None) -> Any:
    """A mapping without an entry; other values as they are."""
    if name is None or not isinstance(value, dict) or name not in value:
        return value
    return {key: item for key, item in value.items() if key != name}


def inner(value: Any) -> Any:
    """The function that Numba or NumPy has made something of; None if there is none."""
    if type(value) is np.ufunc:
        return next((item for item in gc.get_referents(value) if isinstance(item, FunctionType)),
                    None)
    if type(value).__module__.partition(".")[0] != "numba":
        return None
    for holder in (value, getattr(value, "_dispatcher", None),
                   getattr(value, "gufunc_builder", None)):
        if isinstance(function := getattr(holder, "py_func", None), FunctionType):
            return function
    return getattr(value, "_pyfunc", None)


class Installed:
    """Names of objects, by identity.

    Parameters
    ----------
    sources : Sources
        Knows which modules are the user's.
    home : iterable of str
        Packages that are the user's although they are installed.
    """

    def __init__(self, sources: Sources, home: Iterable[str]) -> None:
        self.sources = sources
        self.home = home
        self.places: dict[int, list[tuple[ModuleType, str]]] | None = None

    def name(self, value: Any) -> tuple[str, str] | None:
        """Module and name of an object that a module holds which is not the user's."""
        kind = type(value)
        top = kind.__module__.partition(".")[0]
        if isinstance(value, np.dtype) or top != "builtins" and \
                self.sources.holds(kind, self.home):
            return None
        if self.places is None:
            self.places = self._places()
        found = [(module.__name__, name) for module, name in self.places.get(id(value), ())
                 if vars(module).get(name) is value and self._theirs(module)]
        if top == "builtins":
            # Which modules import it from its own differs from process to process.
            found = [place for place in found if isinstance(value, BUILTIN)]
        else:
            found = [place for place in found if place[0].partition(".")[0] == top]
        return min(found, key=lambda place: _rank(kind.__module__, *place), default=None)

    def _places(self) -> dict[int, list[tuple[ModuleType, str]]]:
        places: dict[int, list[tuple[ModuleType, str]]] = {}
        modules = [module for module in list(sys.modules.values())
                   if isinstance(module, ModuleType)]
        for module in modules:
            for name, value in list(vars(module).items()):
                # Of the last error there may be a list of the user.
                if type(value) not in PLAIN and type(name) is str and \
                        not name.startswith(("__", "last_")):
                    places.setdefault(id(value), []).append((module, name))
        return places

    def _theirs(self, module: ModuleType) -> bool:
        top = module.__name__.partition(".")[0]
        # Without a file: made by the user as the session went on, or part of Python.
        known = top in sys.stdlib_module_names or getattr(module, "__file__", None) is not None
        return known and top not in FOREIGN and not self.sources.own(module.__name__, self.home)


def _rank(home: str, module: str, name: str) -> tuple[bool, bool, int, str, str]:
    """Order of names of one object, the same whatever else has been imported."""
    return (module != home, module.partition(".")[0] not in sys.stdlib_module_names,
            module.count("."), module, name)
