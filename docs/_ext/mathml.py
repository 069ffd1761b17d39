"""Formulas as MathML, which browsers draw by themselves: nothing is loaded from elsewhere."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml, unichar2tex
from sphinx.application import Sphinx
from sphinx.util import logging

log = logging.getLogger(__name__)
BAR = '<mo stretchy="false" lspace="0" rspace="0">|</mo>'


def mathml(tex: str, node: nodes.Node, block: bool) -> str:
    """A formula as MathML; a warning, and the TeX, if it cannot be read."""
    tex = tex.strip().translate(unichar2tex.uni2tex_table)
    if block and "\\\\" in tex and "\\begin" not in tex:
        tex = f"\\begin{{align}} {tex} \\end{{align}}"
    try:
        found = "".join(latex2mathml.tex2mathml(tex, as_block=block).splitlines())
    except Exception as error:
        log.warning("this formula cannot be read: %s (%s)", tex, error, location=node)
        return f"<code>{tex}</code>"
    # Browsers take the bars of |w| for a sign between two terms, with room around it.
    return found.replace('<mo stretchy="false">|</mo>', BAR)


def visit_inline(self: Any, node: nodes.math) -> None:
    """A formula in a line."""
    self.body.append(mathml(node.astext(), node, False))
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.math_block) -> None:
    """A formula of its own."""
    self.body.append(f'<div class="formula">{mathml(node.astext(), node, True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Make it the renderer ``mathml``."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
