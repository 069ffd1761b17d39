"""Saving runs: one npz file, no pickle, never half written."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Iterator
from contextlib import contextmanager

import numpy as np

from .._version import __version__
from ..engines.record import Record

FORMAT = 1


def save(flow: Record, path: str | os.PathLike[str]) -> None:
    """Write a run to ``path``; see `Flow.save`."""
    header = {"format": FORMAT, "version": __version__, "status": flow.status,
              "message": flow.message, "success": flow.success, "stats": flow.stats,
              "settings": flow.settings, "m": flow.path.m, "d": flow.path.d,
              "path": type(getattr(flow.path, "inner", flow.path)).__name__,
              "saved": None if flow.saved is None else list(flow.saved)}
    arrays: dict[str, Any] = {"header": np.array(json.dumps(header)), "X": flow.data.X,
                              "y": flow.data.y, "t": flow.t, "events": flow.events,
                              "initial_pattern": flow.initial_pattern,
                              **{f"saved_{k}": v for k, v in (flow.saved or {}).items()},
                              **{f"path_{k}": v for k, v in flow.path.to_arrays().items()}}
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[str]:
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
