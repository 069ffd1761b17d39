"""Runs from the files that `Flow.save` writes."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from typing import Any

import numpy as np

from ..engines.trajectory import Trajectory
from ..engines.waveform.marcher import Marcher
from ..engines.waveform.windows import Windows
from ..problem.data import Data
from ..problem.loss import SQUARE, Loss, as_loss, loss_label
from .archive import FORMAT
from .discrete import Descent
from .flow import Flow


SAME = 1e-9
"""Relative difference of two losses at the end of a run that are one."""


def load(file: str | os.PathLike[str], loss: Any = None) -> Flow:
    """Read a run that `Flow.save` wrote.

    Parameters
    ----------
    file : str or path-like
        The ``.npz`` file.
    loss : object, optional
        The loss of the run, if it was one of your own: files have numbers only, no code.

    Returns
    -------
    Flow

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no run of gflow, or one of a newer format; if its loss is needed and not given, or
        another one is given.
    """
    name = os.fspath(file)
    try:
        with np.load(name, allow_pickle=False) as content:
            arrays = {key: content[key] for key in content.files}
        header = json.loads(str(arrays["header"]))
        newer = header["format"] > FORMAT
        flow = None if newer else _rebuild(header, arrays)
        entry = header.get("loss", {"name": SQUARE.name})
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, EOFError, zlib.error,
            zipfile.BadZipFile) as error:
        raise ValueError(f"{name} is not a run saved by gflow: give a file written by "
                         "flow.save") from error
    if flow is None:
        raise ValueError(f"{name} was written by gflow {header['version']}, in a newer format: "
                         "upgrade gflow to read it")
    flow.loss_function = _loss(name, entry, flow, loss)
    return flow


def _loss(file: str, entry: dict[str, Any], flow: Flow, loss: Any) -> Loss:
    """The loss of a run whose file says ``entry`` of it."""
    called = entry["name"]
    if "class" not in entry:
        if loss is not None and loss_label(as_loss(loss, flow.data.y)) != called:
            raise ValueError(f"{file} was run with the loss {called!r}: leave loss= away")
        return as_loss(called, flow.data.y)
    if loss is None:
        raise ValueError(f"{file} was run with the loss {called}, an object of the class "
                         f"{entry['class']} of {entry['module']}, which a file cannot hold: give "
                         "it as gflow.load(file, loss=...)")
    own = as_loss(loss, flow.data.y)
    end = flow.model.loss(flow.data, own)
    if not abs(end - entry["end"]) <= SAME * abs(entry["end"]):
        raise ValueError(f"the loss {loss_label(own)} is {end:.9g} at the end of the run in "
                         f"{file}, which had {entry['end']:.9g} there with {called}: give the loss "
                         "that it was run with")
    return own


def _rebuild(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Flow:
    """The run whose parts these are."""
    data = Data(arrays["X"], arrays["y"])
    own = {key[5:]: value for key, value in arrays.items() if key.startswith("path_")}
    path: Trajectory | Windows
    if header["path"] == "Windows":
        marcher = Marcher(data, header["settings"]["rtol"])
        path = Windows.from_arrays(marcher, own)
    else:
        path = Trajectory.from_arrays(header["m"], header["d"], own)
    names = header["saved"]
    saved = None if names is None else {name: arrays[f"saved_{name}"] for name in names}
    made: type[Flow] = Flow
    if "optimizer" in header["settings"]:
        made = Descent
    return made(data=data, saved=saved, path=path, times=arrays["t"], events=arrays["events"],
                initial_pattern=arrays["initial_pattern"], status=header["status"],
                message=header["message"], success=header["success"], stats=header["stats"],
                settings=header["settings"])
