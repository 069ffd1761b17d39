"""Figures and films of a run: ``f(flow, t=None, ax=None, **options)``; nothing is shown or saved.

Colours are those of Okabe and Ito; the sign of ``a_i`` is told by line style or marker as well, so
that figures read in grey. Options are those of a matplotlib line, under any of their names
(``lw``, ``color``, ``alpha``, ...).
"""

from __future__ import annotations

from .course import alignment, directions, events, loss, margins, norms, step_sizes
from .film import Film, animate
from .panel import NAMES, figure, panel
from .plane import boundary, neurons, polar
from .style import COLOURS, DARK, DOWN, UP
from .targets import fit, function, kinks

__all__ = ["COLOURS", "DARK", "DOWN", "Film", "NAMES", "UP", "alignment", "animate", "boundary",
           "directions", "events", "figure", "fit", "function", "kinks", "loss", "margins",
           "neurons", "norms", "panel", "polar", "step_sizes"]


def __dir__() -> list[str]:
    return sorted(__all__)
