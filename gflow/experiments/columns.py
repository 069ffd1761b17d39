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


def ends(table: Any, name: str) -> tuple[float, float]:
    """A result at the fewest points and at the most: the mean over dimensions of the medians of
    runs, or of shares.

    Examples
    --------
    >>> table = np.array([(2, 4, 1.0), (2, 9, 0.0)], dtype=[("d", int), ("n", int), ("x", float)])
    >>> ends(table, "x")
    (1.0, 0.0)
    """
    found = []
    for pick in (np.min, np.max):
        values = []
        for d in np.unique(table["d"]):
            own = table[table["d"] == d]
            column = own[name][own["n"] == pick(own["n"])].astype(float)
            middle = np.mean if table[name].dtype == bool else np.median
            values.append(float(middle(column)))
        found.append(float(np.mean(values)))
    return found[0], found[1]


def told(table: Any, risk: str) -> dict[str, str]:
    """Titles of figures of thresholds, which say what is seen: of losses, the column ``risk``,
    shares of interpolation.

    Examples
    --------
    >>> kinds = [("d", int), ("n", int), ("excess", float), ("interpolated", bool)]
    >>> told(np.array([(2, 4, 3.0, True), (2, 9, 0.1, False)], dtype=kinds), "excess")["excess"]
    '... where it generalises'
    >>> told(np.array([(2, 4, 0.1, False), (2, 9, 3.0, False)], dtype=kinds), "excess")["excess"]
    'excess risk'
    """
    stuck = not table["interpolated"].all()
    before, after = ends(table, risk)
    many, few = ends(table, "interpolated")
    return {"train_loss": "training gets stuck" if stuck else "training interpolates",
            risk: "... where it generalises" if stuck and after < before else
            "excess risk" if risk == "excess" else "test loss",
            "interpolated": "interpolation gives way" if few < many else "share of interpolation"}
