"""Saving and loading runs: one npz file, no pickle, never half written."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, Iterator
from contextlib import contextmanager

import numpy as np

from ._version import __version__
from .data import Data
from .flow import Flow
from .trajectory import Trajectory
from .windows import Windows

FORMAT = 1


def save(flow: Flow, path: Any) -> None:
    """Write a run to ``path``; see `Flow.save`."""
    header = {"format": FORMAT, "version": __version__, "status": flow.status,
              "message": flow.message, "success": flow.success, "stats": flow.stats,
              "settings": flow.settings, "m": flow.path.m, "d": flow.path.d,
              "path": type(flow.path).__name__,
              "saved": None if flow.saved is None else list(flow.saved)}
    arrays: dict[str, Any] = {"header": np.array(json.dumps(header)), "X": flow.data.X,
                              "y": flow.data.y, "t": flow.t, "events": flow.events,
                              "initial_pattern": flow.initial_pattern,
                              **{f"saved_{k}": v for k, v in (flow.saved or {}).items()},
                              **{f"path_{k}": v for k, v in flow.path.to_arrays().items()}}
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


def load(file: Any) -> Flow:
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
    path: Trajectory | Windows
    if header["path"] == "Windows":
        from .engines.marcher import Marcher
        marcher = Marcher(data, header["settings"]["rtol"], 1)
        path = Windows.from_arrays(marcher, own)
    else:
        path = Trajectory.from_arrays(header["m"], header["d"], own)
    names = header["saved"]
    saved = None if names is None else {name: arrays[f"saved_{name}"] for name in names}
    made: type[Flow] = Flow
    if "optimizer" in header["settings"]:
        from .descent import Descent
        made = Descent
    return made(data=data, saved=saved, path=path, times=arrays["t"], events=arrays["events"],
                initial_pattern=arrays["initial_pattern"], status=header["status"],
                message=header["message"], success=header["success"], stats=header["stats"],
                settings=header["settings"])


@contextmanager
def whole_file(path: Any) -> Iterator[str]:
    """A temporary file beside ``path`` that takes its place only if all went well.

    Raises
    ------
    FileNotFoundError
        If the directory does not exist.
    """
    target = Path(os.fspath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target.parent} is not a directory: make it first")
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.",
                                         suffix=target.suffix)
    os.close(handle)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
