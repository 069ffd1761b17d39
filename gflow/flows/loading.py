"""Runs from the files that `Flow.save` writes."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from typing import Any

import numpy as np

from ..engines.protocol import Path
from ..engines.rescaled import Rescaled
from ..engines.trajectory import Trajectory
from ..engines.waveform.marcher import Marcher
from ..engines.waveform.windows import Windows
from ..problem.data import Data
from ..problem.units import Units
from .archive import FORMAT
from .discrete import Descent
from .flow import Flow


def load(file: str | os.PathLike[str]) -> Flow:
    """Read a run that `Flow.save` wrote.

    Parameters
    ----------
    file : str or path-like
        The ``.npz`` file.

    Returns
    -------
    Flow

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no run of gflow, or one of a newer format.
    """
    name = os.fspath(file)
    try:
        with np.load(name, allow_pickle=False) as content:
            arrays = {key: content[key] for key in content.files}
        header = json.loads(str(arrays["header"]))
        newer = header["format"] > FORMAT
        flow = None if newer else _rebuild(header, arrays)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, EOFError, zlib.error,
            zipfile.BadZipFile) as error:
        raise ValueError(f"{name} is not a run saved by gflow: give a file written by "
                         "flow.save") from error
    if flow is None:
        raise ValueError(f"{name} was written by gflow {header['version']}, in a newer format: "
                         "upgrade gflow to read it")
    return flow


def _rebuild(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Flow:
    """The run whose parts these are."""
    data = Data(arrays["X"], arrays["y"])
    own = {key[5:]: value for key, value in arrays.items() if key.startswith("path_")}
    units = Units(*own.pop("units", np.zeros(4)).astype(int).tolist())
    inner: Path
    if header["path"] == "Windows":
        marcher = Marcher(units.data(data), header["settings"]["rtol"])
        inner = Windows.from_arrays(marcher, own)
    else:
        inner = Trajectory.from_arrays(header["m"], header["d"], own)
    path: Path = inner
    if any(units):
        path = Rescaled(inner, units)
    names = header["saved"]
    saved = None if names is None else {name: arrays[f"saved_{name}"] for name in names}
    made: type[Flow] = Flow
    if "optimizer" in header["settings"]:
        made = Descent
    return made(data=data, saved=saved, path=path, times=arrays["t"], events=arrays["events"],
                initial_pattern=arrays["initial_pattern"], status=header["status"],
                message=header["message"], success=header["success"], stats=header["stats"],
                settings=header["settings"])
