"""Runs as tables of other packages: pandas and xarray, both optional."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ..problem.ragged import is_ragged

if TYPE_CHECKING:  # pragma: no cover
    import pandas
    import xarray

    from .flow import Flow


def _package(name: str) -> Any:
    from importlib import import_module
    try:
        return import_module(name)
    except ImportError:
        raise ImportError(f"this needs the package {name}: pip install \"gflow[tables]\"") from None


class Names:
    """Names of columns, variables and axes: none is given twice.

    Parameters
    ----------
    *taken : str
        Given already.

    Examples
    --------
    >>> names = Names("time", "b_1")
    >>> names.free("b_0"), names.free("b_1"), names.free("b_1")
    ('b_0', 'b_1_', 'b_1__')
    """

    def __init__(self, *taken: str) -> None:
        self.taken = set(taken)

    def free(self, name: str) -> str:
        """This name, which is given now; with marks at its end if it was given already."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name


def _parts(flow: Flow) -> tuple[bool, dict[str, np.ndarray]]:
    """Whether the weights are there, and what else was kept than what tables have then."""
    kept = {} if flow.saved is None else dict(flow.saved)
    whole = flow.saved is None or {"a", "W"} <= set(kept)
    return whole, {name: part for name, part in kept.items()
                   if not (whole and name in ("a", "W", "norms", "loss"))}


def to_xarray(flow: Flow) -> xarray.Dataset:
    """See `gflow.Flow.to_xarray`."""
    xr = _package("xarray")
    whole, kept = _parts(flow)
    variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
    coords = {"time": flow.t}
    if whole:
        variables = {"a": (("time", "neuron"), flow.a),
                     "W": (("time", "neuron", "input"), flow.W),
                     "norms": (("time", "neuron"), flow.norms), "loss": (("time",), flow.loss)}
        coords |= {"neuron": np.arange(flow.path.m), "input": np.arange(flow.path.d)}
    names = Names(*variables, *coords)
    # Variables keep their names if they can; those of axes are ours.
    own = {name: names.free(name) for name in kept}
    for name, part in kept.items():
        if is_ragged(part):
            raise ValueError(f"the shape of {name} changes from time to time: a table of "
                             "xarray cannot hold it; flow.saved does")
        axes = ["neuron", "input"] if whole and name == "directions" else [
            names.free(f"{name}_{k}") for k in range(1, part.ndim)]
        variables[own[name]] = ("time", *axes), part
    # Attributes of a file on disk are numbers and text.
    attributes = {"status": flow.status, "message": flow.message,
                  "settings": json.dumps(flow.settings, default=str),
                  "stats": json.dumps(flow.stats, default=str)}
    made: xarray.Dataset = xr.Dataset(variables, coords, attributes)
    # A table is the user's to work on, as that of pandas is; the arrays of a run are not.
    return made.copy(deep=True)


def to_pandas(flow: Flow) -> pandas.DataFrame:
    """See `gflow.Flow.to_pandas`."""
    pd = _package("pandas")
    whole, kept = _parts(flow)
    if not whole:
        return pd.DataFrame(_columns(kept, Names("time")), index=pd.Index(flow.t, name="time"))
    T, m, d = flow.W.shape
    index = pd.MultiIndex.from_product([flow.t, np.arange(m)], names=["time", "neuron"])
    columns = {"a": flow.a.ravel(), **{f"w_{k}": flow.W[:, :, k].ravel() for k in range(d)},
               "norm": flow.norms.ravel(), "loss": np.repeat(flow.loss, m)}
    names = Names("time", "neuron", *columns)
    towards = kept.pop("directions", np.empty((T, m, 0)))
    columns |= {names.free(f"directions_{k}"): towards[:, :, k].ravel()
                for k in range(towards.shape[2])}
    columns |= {name: np.repeat(part, m) for name, part in _columns(kept, names).items()}
    return pd.DataFrame(columns, index=index)


def _columns(kept: dict[str, np.ndarray], names: Names) -> dict[str, np.ndarray]:
    """What was kept in columns (T,): arrays have one for each entry."""
    # Numbers keep their names if they can; those of entries are ours.
    single = {name: names.free(name) for name, part in kept.items() if part.ndim == 1}
    columns = {}
    for name, part in kept.items():
        if name in single:
            columns[single[name]] = part
            continue
        flat = part.reshape(len(part), -1)
        columns |= {names.free(f"{name}_{k}"): flat[:, k] for k in range(flat.shape[1])}
    return columns


def events_table(flow: Flow) -> pandas.DataFrame:
    """See `gflow.Flow.events_table`."""
    return _package("pandas").DataFrame({name: flow.events[name]
                                         for name in flow.events.dtype.names or ()})
