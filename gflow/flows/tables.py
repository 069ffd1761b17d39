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


def to_xarray(flow: Flow) -> xarray.Dataset:
    """See `gflow.Flow.to_xarray`."""
    xr = _package("xarray")
    time, coords = ("time",), {"time": flow.t}
    if flow.saved is not None and not {"a", "W"} <= set(flow.saved):
        variables = {}
        for name, kept in flow.saved.items():
            if is_ragged(kept):
                raise ValueError(f"the shape of {name} changes from time to time: a table of "
                                 "xarray cannot hold it; flow.saved does")
            dims = [f"{name}_{k}" for k in range(1, kept.ndim)]
            variables[name] = ((*time, *dims), kept)
    else:
        variables = {"a": (("time", "neuron"), flow.a),
                     "W": (("time", "neuron", "input"), flow.W),
                     "norms": (("time", "neuron"), flow.norms), "loss": (time, flow.loss)}
        coords |= {"neuron": np.arange(flow.path.m), "input": np.arange(flow.path.d)}
    # Attributes of a file on disk are numbers and text.
    attributes = {"status": flow.status, "message": flow.message,
                  "settings": json.dumps(flow.settings, default=str),
                  "stats": json.dumps(flow.stats, default=str)}
    made: xarray.Dataset = xr.Dataset(variables, coords, attributes)
    return made


def to_pandas(flow: Flow) -> pandas.DataFrame:
    """See `gflow.Flow.to_pandas`."""
    pd = _package("pandas")
    if flow.saved is not None and not {"a", "W"} <= set(flow.saved):
        columns: dict[str, np.ndarray] = {}
        for name, kept in flow.saved.items():
            if is_ragged(kept):
                columns[name] = kept
                continue
            flat = kept.reshape(len(kept), -1)
            columns |= {name if kept.ndim == 1 else f"{name}_{k}": flat[:, k]
                        for k in range(flat.shape[1])}
        return pd.DataFrame(columns, index=pd.Index(flow.t, name="time"))
    T, m, d = flow.W.shape
    index = pd.MultiIndex.from_product([flow.t, np.arange(m)], names=["time", "neuron"])
    return pd.DataFrame({"a": flow.a.ravel(),
                         **{f"w_{k}": flow.W[:, :, k].ravel() for k in range(d)},
                         "norm": flow.norms.ravel(), "loss": np.repeat(flow.loss, m)}, index=index)


def events_table(flow: Flow) -> pandas.DataFrame:
    """See `gflow.Flow.events_table`."""
    return _package("pandas").DataFrame({name: flow.events[name]
                                         for name in flow.events.dtype.names or ()})
