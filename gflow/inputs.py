"""What many functions take: a network with data, and a number of threads."""

from __future__ import annotations

import os
from typing import Any

from .checks import whole
from .data import Data
from .model import TwoLayerReLU


def model_and_data(model: Any, data: Any) -> tuple[TwoLayerReLU, Data]:
    """A network and data that fit together, from these or pairs of arrays.

    Raises
    ------
    TypeError, ValueError
        If they are something else, or their dimensions differ.

    Examples
    --------
    >>> model_and_data(([1.0], [[0.5]]), ([[1.0]], [2.0]))
    (TwoLayerReLU(m=1, d=1), Data(n=1, d=1))
    """
    if not isinstance(model, TwoLayerReLU):
        if not isinstance(model, tuple | list) or len(model) != 2:
            raise TypeError(f"model is a {type(model).__name__}: give a TwoLayerReLU or a pair "
                            "(a, W)")
        model = TwoLayerReLU(*model)
    if not isinstance(data, Data):
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise TypeError(f"data is a {type(data).__name__}: give a Data or a pair (X, y)")
        data = Data(*data)
    if data.d != model.d:
        raise ValueError(f"X has {data.d} columns but W has {model.d}: inputs and hidden weights "
                         "must have the same dimension (a bias is a column of ones in X)")
    return model, data


def thread_count(threads: Any = None) -> int:
    """``threads``; or if None ``OMP_NUM_THREADS``, or as many as there are processors.

    Examples
    --------
    >>> thread_count(3)
    3
    """
    allowed = os.environ.get("OMP_NUM_THREADS", "").strip()
    if threads is None and allowed.isdecimal() and int(allowed) > 0:
        # Workers of a pool or of a cluster share the machine, and say so in this way.
        return int(allowed)
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (available or 1) if threads is None else whole(threads, "threads")
