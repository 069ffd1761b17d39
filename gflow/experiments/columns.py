"""Tables of sweeps whose grid left parameters at their defaults."""

from __future__ import annotations

import inspect
from typing import Any, Callable

import numpy as np


def complete(table: Any, run: Callable[..., Any]) -> Any:
    """The table with a column for every parameter of ``run``; missing ones have the default.

    Parameters
    ----------
    table : structured ndarray
        A sweep of ``run``.
    run : callable
        The experiment.

    Returns
    -------
    structured ndarray
        The parameters come first, as in any table of a sweep.

    Examples
    --------
    >>> def run(n, scale=0.5, *, rng):
    ...     return {"x": n}
    >>> table = np.array([(1, 0, 1), (2, 0, 2)], dtype=[("n", int), ("seed", int), ("x", int)])
    >>> complete(table, run)["scale"]
    array([0.5, 0.5])
    """
    names = list(table.dtype.names or ())
    missing = {name: parameter.default for name, parameter in
               inspect.signature(run).parameters.items()
               if name not in names and name != "rng"}
    extra = [(name, np.asarray(value).dtype) for name, value in missing.items()]
    fields = [(name, table.dtype[name]) for name in names]
    full = np.empty(len(table), dtype=extra + fields)
    for name in [*missing, *names]:
        full[name] = missing[name] if name in missing else table[name]
    return full
