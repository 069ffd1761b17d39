"""Networks from and to PyTorch, which is not needed for anything else."""

from __future__ import annotations

from typing import Any

import numpy as np

from .checks import real_array
from .words import said, short

WANTED = "give a module of Linear, ReLU and Linear, one output"
TRIED, COARSE = 16, 2e-2
"""Inputs on which a module is tried; what half precision may make of their outputs."""


def weights_of(module: Any) -> tuple[np.ndarray, np.ndarray]:
    """Output weights (m,) and hidden weights (m, d), a bias as last column, of a module.

    Raises
    ------
    TypeError, ValueError
        If it is no such network, has an output bias, or gives other outputs when it is called:
        its parts do not tell in which order they are used, nor what is done between them.
    """
    modules = getattr(module, "modules", None)
    if not callable(modules):
        raise TypeError(f"the module is {short(module)}: {WANTED}")
    leaves = [part for part in modules() if not list(part.children())]
    layers = [part for part in leaves if hasattr(part, "weight")]
    others = [type(part).__name__ for part in leaves if not hasattr(part, "weight")]
    if len(layers) != 2 or [name for name in others if name not in ("ReLU", "Identity")]:
        raise ValueError(f"the module has the parts {short([type(p).__name__ for p in leaves])}: "
                         f"{WANTED}")
    hidden, last = layers
    W, a = real_array(hidden.weight, "the hidden weight", 2), real_array(last.weight, "weight", 2)
    if a.shape != (1, len(W)):
        raise ValueError(f"the layers have weights of shape {W.shape} and {a.shape}: {WANTED}")
    end = getattr(last, "bias", None)
    if end is not None and real_array(end, "the output bias", 1).any():
        raise ValueError("the module has an output bias, which these networks do not: make it with "
                         "bias=False")
    begin = getattr(hidden, "bias", None)
    shift = np.zeros(len(W)) if begin is None else real_array(begin, "the hidden bias", 1)
    _try(module, hidden.weight, W, shift, a[0])
    return a[0], W if begin is None else np.column_stack([W, shift])


def _try(module: Any, weight: Any, W: np.ndarray, shift: np.ndarray, a: np.ndarray) -> None:
    """Refuse a module whose outputs are not those of a network of its weights."""
    tensor = getattr(weight, "new_tensor", None)
    if tensor is None or not callable(module):
        return
    X = np.random.default_rng(0).standard_normal((TRIED, W.shape[1]))
    z = X @ W.T + shift
    try:
        found = real_array(module(tensor(X.tolist())), "outputs", 2)
    except Exception as error:
        raise ValueError(f"the module cannot be called on inputs of shape {X.shape} "
                         f"({said(error)}): {WANTED}") from error
    apart = np.abs(found.ravel() - np.maximum(z, 0.0) @ a) if found.size == TRIED else np.inf
    if not (apart <= COARSE * (np.abs(z) @ np.abs(a))).all():
        raise ValueError(f"the module gives other outputs than Linear, ReLU and Linear with its "
                         f"weights: {WANTED}")


def module_of(a: np.ndarray, W: np.ndarray, bias: bool) -> Any:
    """A ``torch.nn.Sequential`` of double precision with these weights.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    """
    try:
        import torch
    except ImportError:
        raise ImportError("this needs PyTorch: pip install torch") from None
    m, d = W.shape
    hidden = torch.nn.Linear(d - bias, m, bias=bias, dtype=torch.float64)
    last = torch.nn.Linear(m, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        hidden.weight.copy_(torch.from_numpy(W[:, :d - bias].copy()))
        if bias:
            hidden.bias.copy_(torch.from_numpy(W[:, -1].copy()))
        last.weight.copy_(torch.from_numpy(a[None].copy()))
    return torch.nn.Sequential(hidden, torch.nn.ReLU(), last)
