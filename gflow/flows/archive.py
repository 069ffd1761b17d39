"""Saving runs: one npz file, no pickle, never half written, with a checksum of everything."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._version import __version__
from ..engines.record import Record
from ..engines.origin import origin
from ..problem.activation import Activation
from ..problem.files import Output, whole_file
from ..problem.frames import kind_of
from ..problem.loss import NAMED, Loss, loss_label
from ..problem.ragged import is_ragged, pack
from ..problem.smooth import Smooth

FORMAT = 3
"""3 may have its path in the span of the points; 2 has a checksum, and kept quantities by number
and of varying shape. 1 and 2 are still read."""
NOT_SUMMED = "checksum"


def save(flow: Record, path: str | os.PathLike[str] | bytes | Output) -> None:
    """Write a run to ``path``; see `Flow.save`."""
    saved = flow.saved or {}
    header = {"format": FORMAT, "version": __version__, "status": flow.status,
              "message": flow.message, "success": flow.success, "stats": flow.stats,
              "settings": flow.settings, "m": flow.path.m, "d": flow.path.d,
              "path": type(origin(flow.path).path).__name__,
              "saved": None if flow.saved is None else list(saved),
              "ragged": [name for name, kept in saved.items() if is_ragged(kept)],
              "loss": loss_entry(flow), "bias": flow.data.bias, "columns": flow.data.columns,
              "kinds": [kind_of(name) for name in flow.data.columns or ()],
              **_activation(flow.activation)}
    arrays: dict[str, Any] = {"header": np.array(json.dumps(header)), "X": flow.data.X,
                              "y": flow.data.y, "t": flow.t, "events": flow.events,
                              "initial_pattern": flow.initial_pattern, "choices": flow.choices,
                              **{f"path_{k}": v for k, v in flow.path.to_arrays().items()}}
    for k, kept in enumerate(saved.values()):
        arrays |= pack(f"saved_{k}", kept)
    arrays = {name: np.asanyarray(value) for name, value in arrays.items()}
    arrays[NOT_SUMMED] = np.array(checksum(arrays))
    with whole_file(path) as file:
        np.savez_compressed(file, **arrays)


def _activation(activation: Activation | Smooth) -> dict[str, Any]:
    """What a file says of an activation."""
    if not isinstance(activation, Smooth):
        return {"slope": activation.slope}
    if activation.known is None:
        raise ValueError(f"a file cannot hold the activation {activation.name}, a function of "
                         "yours: save flow.a, flow.W and flow.t with numpy.savez")
    return {"activation": activation.known}


def loss_entry(flow: Record) -> dict[str, Any]:
    """What a file says of a loss: its name; of one that a user wrote the class, and its value at
    the start and the end of the run, by which it can be recognised."""
    loss = flow.loss_function
    if loss_label(loss) in NAMED:
        return {"name": loss_label(loss)}
    start, end = loss_ends(flow, loss)
    return {"name": loss_label(loss), "class": type(loss).__qualname__,
            "module": type(loss).__module__, "start": start, "end": end}


def loss_ends(flow: Record, loss: Loss) -> tuple[float, float]:
    """A loss at the first state that there is of a run, and at the end."""
    first = flow(float(flow.path.breaks[0]))
    return first.loss(flow.data, loss), flow.model.loss(flow.data, loss)


def checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of names, types, shapes and contents, the checksum itself left out.

    Examples
    --------
    >>> one, other = np.zeros(2), np.array([0.0, -0.0])
    >>> checksum({"a": one}) == checksum({"a": one.copy()}) != checksum({"a": other})
    True
    """
    total = hashlib.sha256()
    for name in sorted(set(arrays) - {NOT_SUMMED}):
        array = arrays[name]
        total.update(repr((name, array.dtype.descr, array.shape)).encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
