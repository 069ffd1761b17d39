"""What a piece of code reads by name, and what names stand for."""

from __future__ import annotations

import contextlib
import dis
import importlib.util
import inspect
import re
import sys
from collections.abc import Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any, Iterator

MODULES_OWN = frozenset(
    "__name__ __file__ __package__ __loader__ __spec__ __path__ __cached__ __builtins__ "
    "__annotations__ __annotate__ __conditional_annotations__ __classdict__".split())
"""What Python notes in modules by itself, and looks up in the bodies of classes."""

GLOBALS_BY_NAME, MODULES_BY_NAME = {"globals", "vars"}, {"import_module", "__import__"}
PATH = re.compile(r"\.*\w+(\.\w+)*")
"""How texts look that may be names of modules."""


def imported(module: Any, name: str) -> Any:
    """What a name stands for in a loaded module; None if nothing."""
    found: Any = sys.modules.get(str(module))
    for word in name.split("."):
        found = inspect.getattr_static(found, word, None) if found is not None else None
        if isinstance(found, staticmethod | classmethod):
            found = found.__func__
    return found


def module_of(thing: Any) -> Any:
    """Name of the module that a function or class is of."""
    return (thing.__globals__.get("__name__") if isinstance(thing, FunctionType) else
            thing.__module__)


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
    return asks(code).union(filter(str.isidentifier, _texts(code)))


def _texts(code: CodeType) -> set[str]:
    """Texts in a piece of code, also in tuples (``for name in ("a", "b")``)."""
    found: set[str] = set()
    todo: list[Any] = list(code.co_consts)
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            found.add(item)
        elif isinstance(item, CodeType):
            todo += item.co_consts
        elif isinstance(item, tuple | frozenset):
            todo += item
    return found


def spelled(code: CodeType) -> set[str]:
    """Words of a piece of code that may be globals, if it asks for such by their names:
    ``globals()["name"]``."""
    found = words(code)
    return found if found & GLOBALS_BY_NAME else set()


def by_name(code: CodeType, package: str) -> set[str]:
    """What may be names of modules in a piece of code, if it asks for such by their names:
    ``import_module("name")``, ``import_module(".name", __package__)``,
    ``__import__("package", fromlist=["name"])``.

    Examples
    --------
    >>> code = compile("import_module('.late', 'a.b')", "", "eval")
    >>> sorted(by_name(code, "pk"))
    ['a.b', 'a.b.late', 'import_module', 'pk.late']
    """
    if not (found := words(code)) & MODULES_BY_NAME:
        return set()
    texts = set(filter(PATH.fullmatch, _texts(code)))
    paths = {text for text in texts if text[0] != "."}
    found |= paths
    if "__import__" in found:
        # A level and a list say what is meant.
        texts |= {f".{path}" for path in paths}
    for text in texts - paths:
        for home in {package, *paths}:
            with contextlib.suppress(ImportError):
                found.add(importlib.util.resolve_name(text, home))
    return found


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
