"""Exact gradient flow of two-layer ReLU networks.

Names are loaded when first used, so that ``import gflow`` stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:  # pragma: no cover
    from . import datasets, descent, experiments, init, plot, stop, sweeping, theory
    from .problem.data import Data
    from .descent import descend
    from .flows.errors import IntegrationError
    from .flows.checkpoint import resume
    from .flows.flow import Flow
    from .flows.integration import integrate
    from .problem.network import ModelPath, TwoLayer, TwoLayerReLU
    from .flows.loading import load
    from .sweeping import load_sweep, sweep

_HOME = {"Data": "problem.data", "Flow": "flows.flow", "IntegrationError": "flows.errors",
         "ModelPath": "problem.network", "TwoLayer": "problem.network",
         "TwoLayerReLU": "problem.network",
         "integrate": "flows.integration", "load": "flows.loading",
         "descend": "descent", "load_sweep": "sweeping", "resume": "flows.checkpoint",
         "sweep": "sweeping"}
_MODULES = ("datasets", "descent", "experiments", "init", "plot", "stop", "sweeping", "theory")

__all__ = ["Data", "Flow", "IntegrationError", "ModelPath", "TwoLayer", "TwoLayerReLU",
           "__version__", "datasets", "descend", "descent", "experiments", "init", "integrate",
           "load", "load_sweep", "plot", "resume", "stop", "sweep", "sweeping", "theory"]


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
