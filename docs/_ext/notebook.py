"""Notebooks as pages: executed at every build, read as Markdown with what the cells put out."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.application import Sphinx

SECONDS = 300
PICTURES = {"image/png": ".png", "image/gif": ".gif", "image/svg+xml": ".svg"}


class NotebookParser(MystParser):
    """Cells as Markdown, then as that."""

    supported = ("notebook",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Execute the notebook if the build does such, and read it."""
        import nbformat
        book = nbformat.reads(inputstring, as_version=4)
        env = document.settings.env
        if env.config.notebook_execute:
            from nbclient import NotebookClient
            NotebookClient(book, timeout=SECONDS, kernel_name="python3").execute()
        folder = Path(env.srcdir) / "_notebook"
        folder.mkdir(exist_ok=True)
        super().parse("\n\n".join(part for cell in book.cells for part in shown(cell, folder)),
                      document)


def shown(cell: Any, folder: Path) -> list[str]:
    """A cell as Markdown."""
    if cell.cell_type == "markdown":
        return [cell.source]
    if cell.cell_type != "code":
        return []
    outputs: list[Any] = []
    for one in cell.outputs:
        if outputs and one.output_type == outputs[-1].output_type == "stream":
            outputs[-1].text += one.text
        else:
            outputs.append(one)
    return [f"```python\n{cell.source}\n```", *(output(one, folder) for one in outputs)]


def output(one: Any, folder: Path) -> str:
    """What a cell put out, as Markdown."""
    if one.output_type == "stream":
        return f"```text\n{one.text.rstrip()}\n```"
    data = one.get("data", {})
    for kind, ending in PICTURES.items():
        if kind in data:
            content = data[kind]
            raw = content.encode() if kind.endswith("xml") else base64.b64decode(content)
            name = hashlib.sha256(raw).hexdigest()[:16] + ending
            (folder / name).write_bytes(raw)
            return f"![what the cell above draws](/_notebook/{name})"
    if "text/html" in data:
        return f"````{{raw}} html\n<div class=\"output\">{data['text/html']}</div>\n````"
    return f"```text\n{data.get('text/plain', '')}\n```"


def setup(app: Sphinx) -> dict[str, Any]:
    """Read ``.ipynb``."""
    app.add_config_value("notebook_execute", True, "env")
    app.add_source_suffix(".ipynb", "notebook")
    app.add_source_parser(NotebookParser)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
