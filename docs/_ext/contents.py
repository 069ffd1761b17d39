"""Tables of contents and the API reference, which pages read on GitHub have no place for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

CONTENTS = {
    "Start here": ["quickstart", "Tutorial: one paper <tutorial>", "how-do-i", "choosing",
                   "why-relu-stalls", "_gallery/index"],
    "Using it": ["results", "pictures", "sweep", "descend", "settings", "published", "promises"],
    "Theory": ["problem", "theory", "early-alignment", "simplicity-bias", "one-neuron",
               "orthogonal", "margins", "validation"],
    "Reference": ["api", "performance", "numerics", "contributing"],
}
MODULES = ("gflow", "gflow.init", "gflow.datasets", "gflow.stop", "gflow.descent", "gflow.theory",
           "gflow.theory.exact", "gflow.theory.population", "gflow.plot", "gflow.experiments",
           "gflow.sweeping")
MADE = {"(gallery/README.rst)": "(_gallery/index.rst)",
        "(gallery/published/README.rst)": "(_gallery/published/index.rst)"}
"""Links that lead to sources on GitHub, and to what is made of them on the site."""


def public(module: str) -> list[str]:
    """Names of a module with a docstring of their own to show."""
    found = import_module(module)
    return [name for name in sorted(found.__all__)
            if f"{module}.{name}" not in MODULES and callable(getattr(found, name))]


def rest(module: str) -> list[str]:
    """Constants of a module."""
    found = import_module(module)
    return [name for name in sorted(found.__all__) if not name.startswith("__")
            and f"{module}.{name}" not in MODULES and not callable(getattr(found, name))]


def page_of(module: str) -> str:
    """A page with a table of what is in a module."""
    names = public(module)
    head = f"``{module}``"
    lines = [head, "=" * len(head), "", f".. automodule:: {module}", "   :no-members:", "",
             f".. currentmodule:: {module}", "", ".. autosummary::", "   :toctree: names", ""]
    lines += [f"   {name}" for name in names]
    constants = rest(module)
    if constants:
        lines += ["", "Constants: " + ", ".join(f"``{name}``" for name in constants) + "."]
    return "\n".join(lines) + "\n"


def write_api(app: Sphinx, config: Any) -> None:
    """Pages of all modules, in ``_api``, where git does not look."""
    folder = Path(app.srcdir) / "_api"
    folder.mkdir(exist_ok=True)
    for module in MODULES:
        path, text = folder / f"{module}.rst", page_of(module)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def add_contents(app: Sphinx, docname: str, source: list[str]) -> None:
    """Append tables of contents to the landing page and to that of the API."""
    for here, there in MADE.items():
        source[0] = source[0].replace(here, there)
    if docname == "index":
        for caption, pages in CONTENTS.items():
            source[0] += tree(pages, caption)
    elif docname == "api":
        source[0] += tree([f"_api/{module}" for module in MODULES], "")


def tree(pages: list[str], caption: str) -> str:
    """A table of contents in Markdown."""
    head = f":caption: {caption}\n:hidden:\n" if caption else ":maxdepth: 1\n"
    return "\n\n```{toctree}\n" + head + "\n" + "\n".join(pages) + "\n```\n"


def setup(app: Sphinx) -> dict[str, Any]:
    """Hook both in."""
    app.connect("config-inited", write_api)
    app.connect("source-read", add_contents)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
