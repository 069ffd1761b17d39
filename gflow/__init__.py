"""Exact gradient flow of two-layer ReLU networks.

Names are loaded when first used, so that ``import gflow`` stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:  # pragma: no cover
    from . import datasets, init, plot, stop, theory
    from .data import Data
    from .errors import IntegrationError
    from .flow import Flow
    from .integration import integrate
    from .model import ModelPath, TwoLayerReLU
    from .storage import load

_HOME = {"Data": "data", "Flow": "flow", "IntegrationError": "errors", "ModelPath": "model",
         "TwoLayerReLU": "model", "integrate": "integration", "load": "storage"}
_MODULES = ("datasets", "init", "plot", "stop", "theory")

__all__ = ["Data", "Flow", "IntegrationError", "ModelPath", "TwoLayerReLU", "__version__",
           "datasets", "init", "integrate", "load", "plot", "stop", "theory"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'gflow' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
