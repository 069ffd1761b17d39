"""Source text of functions and modules, and which of them are the user's."""

from __future__ import annotations

import dis
import functools
import importlib.machinery
import importlib.util
import inspect
import linecache
import os
import sys
import sysconfig
import textwrap
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Iterable

PACKAGE = __name__.partition(".")[0]
MADE = ("namedtuple_", "_cython_", "pybind11_")
"""How modules are called that Python and compilers make up, without a file."""
SUFFIXES = tuple(importlib.machinery.EXTENSION_SUFFIXES)
"""How names of compiled modules end."""
HEAP, IMMUTABLE = 1 << 9, 1 << 8
"""Flags of classes, as Python has them: those written in Python have only the first."""


class Sources:
    """Text of functions, and which files are the user's."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[list[str], dict[str, list[CodeType]]]] = {}
        self.owned: dict[str, bool] = {}
        self.set: set[str] | None = None
        self.bodies: dict[str, str] = {}
        self.machine: dict[int, tuple[Any, str, Any]] | None = None
        paths = sysconfig.get_paths()
        self.installed = [Path(paths[name]).resolve() for name in
                          ("stdlib", "platstdlib", "purelib", "platlib")]

    def own(self, module: Any, home: Iterable[str] = (), file: str | None = None) -> bool:
        """Whether a module is the user's: of no installed package, or of that of ``run``.

        ``file``, where the code itself says that it stands, is believed if it is the user's.
        """
        name, top = str(module), str(module).partition(".")[0]
        if top in (PACKAGE, "builtins"):
            return False
        if top in home or module is None:
            return True
        for word in (name, top):
            loaded = sys.modules.get(word)
            # Packages without a text of their own have folders only.
            found = getattr(loaded, "__file__", None) or next(
                iter(getattr(loaded, "__path__", ())), None)
            if found is not None:
                return self._own_file(str(found)) or self._stands(file)
        if name == "__main__" or self._stands(file):
            return True
        # What cannot be found has been loaded by the user, from a file or a string.
        return top not in sys.stdlib_module_names and not top.startswith(MADE)

    def holds(self, thing: Any, home: Iterable[str] = ()) -> bool:
        """Whether a function, class or module is the user's."""
        if isinstance(thing, FunctionType):
            return self.own(thing.__globals__.get("__name__"), home, thing.__code__.co_filename)
        if isinstance(thing, ModuleType):
            return self.own(thing.__name__, home, getattr(thing, "__file__", None))
        # Those written in C often name no module that there is.
        known = in_python(thing) or str(thing.__module__) in sys.modules
        return known and self.own(thing.__module__, home)

    def _stands(self, file: str | None) -> bool:
        return file is not None and file[:1] != "<" and self._own_file(file) and \
            Path(file).is_file()

    def _own_file(self, file: str) -> bool:
        if file not in self.owned:
            # Others depend on the directory in which one is.
            path = _resolved(file) if os.path.isabs(file) else Path(file).resolve()
            self.owned[file] = not ({"site-packages", "dist-packages"} & set(path.parts)
                                    or any(map(path.is_relative_to, self.installed)))
        return self.owned[file]

    def text(self, code: CodeType, module: Any = None) -> str | None:
        """Source of a function, if that is what runs: files change under a session."""
        if code.co_name == "<lambda>":
            # A line may hold several.
            return None
        files = [code.co_filename]
        if not linecache.getlines(code.co_filename):
            # Cloudpickle loses the name, also of classes that it was given in this process.
            home = getattr(sys.modules.get(str(module)), "__file__", None)
            files = [home] if home else [name for name in linecache.cache if name[:1] == "<"
                                         or "ipykernel" in name]
        for file in files:
            lines, codes = self._compiled(file)
            for found in codes.get(code.co_qualname, ()):
                if _same(found, code):
                    block = inspect.getblock(lines[found.co_firstlineno - 1:])
                    return textwrap.dedent("".join(block))
        return None

    def _compiled(self, file: str) -> tuple[list[str], dict[str, list[CodeType]]]:
        if file not in self.files:
            linecache.checkcache(file)
            lines = linecache.getlines(file)
            codes: dict[str, list[CodeType]] = {}
            try:
                todo = [compile("".join(lines), file, "exec", dont_inherit=True)]
            except (SyntaxError, ValueError, RecursionError):
                # Cells of notebooks have magic commands.
                todo = []
            while todo:
                code = todo.pop()
                codes.setdefault(code.co_qualname, []).append(code)
                todo += [item for item in code.co_consts if isinstance(item, CodeType)]
            self.files[file] = lines, codes
        return self.files[file]

    def assigned(self, name: str) -> bool:
        """Whether code of the user that is loaded sets an attribute of this name."""
        if self.set is None:
            files = {getattr(module, "__file__", None) for module in list(sys.modules.values())
                     if isinstance(module, ModuleType) and self.holds(module)}
            # And cells of notebooks.
            files |= {file for file in linecache.cache if file[:1] == "<" or "ipykernel" in file}
            self.set = {step.argval for file in files if file
                        for codes in self._compiled(file)[1].values() for code in codes
                        for step in dis.get_instructions(code) if step.opname == "STORE_ATTR"}
        return name in self.set

    def of(self, module: ModuleType) -> str | None:
        """Text of a module of the user that has been imported."""
        text, file = self.module(module.__name__), getattr(module, "__file__", None)
        if text is None and self._stands(file):
            text = _read(str(file))
        return text

    def compiled(self, thing: Any) -> tuple[str, str] | None:
        """Name of a thing of a compiled module of the user, and the text of that module's file;
        None for other things. Functions made by compilers often do not know where they are from.
        """
        if self.machine is None:
            self.machine = {
                id(value): (module, name, value)
                for module in list(sys.modules.values())
                if str(getattr(module, "__file__", None)).endswith(SUFFIXES) and self.holds(module)
                for name, value in sorted(vars(module).items(), reverse=True)
                if _made_in(module, value)}
        if id(thing) not in self.machine:
            return None
        module, name, value = self.machine[id(thing)]
        if value is not thing:
            return None
        if module.__name__ not in self.bodies:
            self.bodies[module.__name__] = str(self.of(module))
        return name, self.bodies[module.__name__]

    def module(self, name: str) -> str | None:
        """Text of a module of the user, found without importing it."""
        path, spec = None, None
        words = name.split(".")
        if words[0] == PACKAGE:
            return None
        for i in range(len(words)):
            try:
                # Packages that are installed to be edited have finders of their own.
                spec = (importlib.util.find_spec(words[0]) if i == 0 else
                        importlib.machinery.PathFinder.find_spec(".".join(words[:i + 1]), path))
            except (ImportError, ValueError, AttributeError):
                return None
            if spec is None:
                return None
            path = spec.submodule_search_locations
        if spec is None or not spec.has_location or not self._own_file(str(spec.origin)):
            return None
        if Path(str(spec.origin)).is_file():
            return _read(str(spec.origin))
        return _packed(spec.loader, name)


@functools.lru_cache(maxsize=10_000)
def _resolved(file: str) -> Path:
    return Path(file).resolve()


def _made_in(module: ModuleType, value: Any) -> bool:
    """Whether a compiled module has not got a value from another one, as far as that says."""
    home = getattr(value, "__module__", None)
    return not isinstance(value, ModuleType) and (
        home is None or str(home).rpartition(".")[2] == module.__name__.rpartition(".")[2])


def _packed(loader: Any, name: str) -> str | None:
    """Text of a module in an archive."""
    try:
        return str(loader.get_source(name))
    except Exception:
        return None


def _read(file: str) -> str:
    return Path(file).read_bytes().decode(errors="backslashreplace")


def in_python(kind: type) -> bool:
    """Whether a class was written in Python, not in C."""
    return kind.__flags__ & (HEAP | IMMUTABLE) == HEAP


def handlers(code: CodeType) -> bytes:
    """Which instructions which handlers of errors belong to; before Python 3.11 these say so."""
    return bytes(getattr(code, "co_exceptiontable", b""))


def _same(one: CodeType, other: CodeType) -> bool:
    """Whether two pieces of code do the same, wherever they stand in their files."""
    def parts(code: CodeType) -> tuple[Any, ...]:
        return (code.co_code, code.co_names, code.co_varnames, code.co_freevars,
                code.co_cellvars, code.co_flags, code.co_argcount, code.co_posonlyargcount,
                code.co_kwonlyargcount, handlers(code), len(code.co_consts))
    return parts(one) == parts(other) and all(
        _same(a, b) if isinstance(a, CodeType) and isinstance(b, CodeType) else
        type(a) is type(b) and (a == b and repr(a) == repr(b) or isinstance(a, frozenset) and a == b
                                or a != a and b != b)
        for a, b in zip(one.co_consts, other.co_consts))
