"""What the theory predicts before anything is integrated.

Extremal vectors of the data, the early flow of vanishing initial scale and its end points, the
jump process between saddles, the least squares pair of the limit, verdicts on ends of training and
ways on from there, the best that any width can do, population versions, and exact solutions to test
against. Names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # pragma: no cover
    from . import exact, population
    from .classes import ClassMargins, at_output_zero, class_margins
    from .convex import ConvexOptimum, least_norm, max_margin
    from .early import EarlyFlow, early_flow
    from .ends import Verdict, verdict
    from .escapes import escape
    from .extremal import ExtremalVectors, extremal_vectors
    from .field import alignment_field, alignment_potential
    from .jumps import JumpProcess, jump_process
    from .leaky import LinearMargin, NearlyOrthogonal, linear_margin, nearly_orthogonal
    from .lorentz import local_lorentz
    from .two_cone import TwoCone, two_cone_least_squares

_HOME = {"ClassMargins": "classes", "at_output_zero": "classes", "class_margins": "classes",
         "ConvexOptimum": "convex", "EarlyFlow": "early", "ExtremalVectors": "extremal",
         "JumpProcess": "jumps", "LinearMargin": "leaky", "NearlyOrthogonal": "leaky",
         "TwoCone": "two_cone", "Verdict": "ends", "alignment_field": "field",
         "alignment_potential": "field", "early_flow": "early", "escape": "escapes",
         "extremal_vectors": "extremal", "jump_process": "jumps", "least_norm": "convex",
         "linear_margin": "leaky", "local_lorentz": "lorentz", "max_margin": "convex",
         "nearly_orthogonal": "leaky", "two_cone_least_squares": "two_cone", "verdict": "ends"}
_MODULES = ("exact", "population")

__all__ = ["ClassMargins", "ConvexOptimum", "EarlyFlow", "ExtremalVectors", "JumpProcess",
           "LinearMargin", "NearlyOrthogonal", "TwoCone", "Verdict", "alignment_field",
           "alignment_potential", "at_output_zero", "class_margins", "early_flow", "escape",
           "exact", "extremal_vectors", "jump_process", "least_norm", "linear_margin",
           "local_lorentz", "max_margin", "nearly_orthogonal", "population",
           "two_cone_least_squares", "verdict"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'gflow.theory' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
