"""Objects of installed packages that count by their names.

``os.environ``, NumPy's global random state or ``scipy.stats.norm`` belong to their modules, and
their contents differ from run to run.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping, MutableSequence, MutableSet
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Iterable

import numpy as np

from .sources import PACKAGE, Sources

FOREIGN = {"builtins", "__main__", PACKAGE}
"""Where a console keeps what the user has just seen; and gflow, which counts by its version."""
PLAIN = {type, FunctionType, BuiltinFunctionType, ModuleType, np.ufunc, type(None), bool, int,
         float, complex, str, bytes, tuple, frozenset}
"""What most of a module is, and what is never asked for."""
BUILTIN = (MutableMapping, MutableSequence, MutableSet)
"""Of Python's own types these are never shared, as equal patterns and empty tuples are."""


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
