"""What a piece of code reads by name, and what names stand for."""

from __future__ import annotations

import dis
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from types import CodeType, ModuleType
from typing import Any, Iterator

MODULES_OWN = frozenset(
    "__name__ __file__ __package__ __loader__ __spec__ __path__ __cached__ __builtins__ "
    "__annotations__ __annotate__ __conditional_annotations__ __classdict__".split())
"""What Python notes in modules by itself, and looks up in the bodies of classes."""

GLOBALS_BY_NAME, MODULES_BY_NAME = {"globals", "vars"}, {"import_module", "__import__"}


def imported(module: Any, name: str) -> Any:
    """What a name stands for in a loaded module; None if nothing."""
    found: Any = sys.modules.get(str(module))
    for word in name.split("."):
        found = inspect.getattr_static(found, word, None) if found is not None else None
        if isinstance(found, staticmethod | classmethod):
            found = found.__func__
    return found


def reads(code: CodeType) -> Iterator[tuple[str, ...]]:
    """Globals that a piece of code reads, each with the attributes that it takes of them."""
    chain: tuple[str, ...] = ()
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            if chain:
                yield chain
            chain = () if step.argval in MODULES_OWN else (step.argval,)
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and chain:
            chain += (step.argval,)
        elif step.opname not in ("CACHE", "PUSH_NULL", "EXTENDED_ARG", "NOP") and chain:
            yield chain
            chain = ()
    if chain:
        yield chain
    for item in code.co_consts:
        if isinstance(item, CodeType):
            yield from reads(item)


def asks(code: CodeType) -> set[str]:
    """All names of globals and attributes in a piece of code."""
    return set(code.co_names).union(*(asks(item) for item in code.co_consts
                                      if isinstance(item, CodeType)))


def words(code: CodeType) -> set[str]:
    """The same, and words in texts: ``getattr(module, "name")`` asks for one too."""
    texts = {item for item in code.co_consts if isinstance(item, str) and item.isidentifier()}
    return texts.union(code.co_names, *(words(item) for item in code.co_consts
                                        if isinstance(item, CodeType)))


def by_name(code: CodeType) -> tuple[set[str], set[str]]:
    """Words of a piece of code that may be globals, or modules, if it asks for such by their names:
    ``globals()["name"]``, ``import_module("name")``."""
    found = words(code)
    return (found if found & GLOBALS_BY_NAME else set(),
            found if found & MODULES_BY_NAME else set())


def of_modules(modules: Mapping[str, ModuleType], asked: set[str]
               ) -> list[tuple[str, str, Any]]:
    """What modules that code has as values, not by their names, hold of what is asked for
    anywhere: module, name and value."""
    return [(module, name, vars(modules[module])[name]) for module in sorted(modules)
            for name in sorted(asked & vars(modules[module]).keys()) if name not in MODULES_OWN]


def imports(code: CodeType, package: str) -> Iterator[str]:
    """Modules that a piece of code imports when it runs."""
    constants: list[Any] = []
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_CONST", "LOAD_SMALL_INT"):
            constants.append(step.argval)
        elif step.opname == "IMPORT_NAME":
            level, names = constants[-2:]
            try:
                name = importlib.util.resolve_name("." * level + step.argval, package)
            except ImportError:
                continue
            yield name
            yield from (f"{name}.{word}" for word in names or ())
    for item in code.co_consts:
        if isinstance(item, CodeType):
            yield from imports(item, package)
