"""Runs from the files that `Flow.save` writes."""

from __future__ import annotations

import io
import json
import os
import zipfile
from copy import copy
from typing import IO, Any

import numpy as np

from ..engines.choices import CHOICE
from ..engines.drift import Drift
from ..engines.events import EVENT, KINDS
from ..engines.layered import Layered
from ..engines.protocol import Path
from ..engines.rescaled import Rescaled
from ..engines.spanned import Spanned
from ..engines.timed import Timed
from ..engines.trajectory import Trajectory
from ..engines.twotime import TwoTimeTrajectory
from ..engines.waveform.marcher import Marcher
from ..engines.waveform.windows import Windows
from ..problem.activation import Activation
from ..problem.clock import Clock
from ..problem.files import plain, told
from ..problem.data import Data, note
from ..problem.frames import Label
from ..problem.loss import SQUARE, Loss, LossLike, as_loss, loss_label
from ..problem.ragged import unpack
from ..problem.rates import Rates, as_rates
from ..problem.setting import Setting, as_decay
from ..problem.smooth import Smooth, as_activation
from ..problem.span import Span
from ..problem.units import Units
from ..problem.words import cut, kind_of
from .archive import FORMAT, NOT_SUMMED, checksum, loss_ends
from .discrete import Descent
from .flow import Flow

DENSEST = 1100
"""Bytes that one byte of a compressed file can stand for: deflate has no more than 1032."""
TYPES = {"status": str, "message": str, "success": bool, "stats": dict, "settings": dict,
         "m": int, "d": int, "path": str, "version": str}
"""Of the entries of a header."""
LARGEST = 10_000
"""Exponent of a unit: times have those of inputs and labels added up."""
STORE = b"SQLite format 3"
"""How files of sweeps begin."""
SAME = 1e-9
"""Relative difference of two losses at the start or the end of a run that are one."""


def load(file: str | os.PathLike[str] | bytes, loss: LossLike | None = None) -> Flow:
    """Read a run that `Flow.save` wrote.

    Parameters
    ----------
    file : str, bytes or path-like
        The ``.npz`` file; ``~`` is the home directory.
    loss : object, optional
        The loss of the run, if it was one of your own: files have numbers only, no code.

    Returns
    -------
    Flow

    Raises
    ------
    FileNotFoundError, IsADirectoryError, NotADirectoryError
        If there is no such file.
    ValueError
        If it is no run of gflow, a damaged one, or one of a newer format; if its loss is needed and
        not given, or another one is given.
    """
    name = plain(file)
    shown = cut(name, 120)
    try:
        content = _opened(name)
        store = content.read(len(STORE)) == STORE
        content.seek(0)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {shown}") from None
    except (IsADirectoryError, NotADirectoryError) as error:
        what = "is a directory" if isinstance(error, IsADirectoryError) else "is no file"
        raise type(error)(f"{shown} {what}: give the name of a run that flow.save wrote") from None
    except OSError as error:
        raise told(error, f"{shown} cannot be read") from error
    with content:
        try:
            arrays = _arrays(content)
            header = json.loads(str(arrays["header"]))
            newer = header["format"] > FORMAT
            flow = None if newer else _rebuild(header, arrays)
            entry = header.get("loss", {"name": SQUARE.name})
        except MemoryError:
            raise
        except Exception as error:
            # A damaged archive has errors of many modules: zipfile, zlib, struct, json, numpy.
            if store:
                raise ValueError(f"{shown} is the store of a sweep: read it by gflow.load_sweep, "
                                 "or with gflow sweep status and gflow sweep plot") from None
            raise ValueError(f"{shown} is not a run saved by gflow, or it is damaged: give a file "
                             "written by flow.save") from error
    if flow is None:
        raise ValueError(f"{shown} was written by gflow {cut(str(header.get('version')), 20)}, in "
                         "a newer format: upgrade gflow to read it")
    vars(flow)["loss_function"] = _loss(shown, entry, flow, loss)
    # What has been looked at so far was that of the square loss.
    vars(flow).pop("loss", None)
    return flow


def _opened(name: str) -> IO[bytes]:
    """A file to read in any order."""
    file = open(name, "rb")
    if file.seekable():
        return file
    # What comes through a pipe, such as /dev/stdin, comes once.
    with file:
        return io.BytesIO(file.read())


def _loss(file: str, entry: dict[str, Any], flow: Flow,
          loss: LossLike | None) -> Loss:
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
    for where, found in zip(("start", "end"), loss_ends(flow, own)):
        # Files of older versions do not say what it was at the start.
        had = entry.get(where, found)
        if not np.isclose(found, had, rtol=SAME, atol=0.0, equal_nan=True):
            raise ValueError(f"the loss {loss_label(own)} is {found:.9g} at the {where} of the run "
                             f"in {file}, which had {had:.9g} there with {called}: give the loss "
                             "that it was run with")
    return own


def _arrays(content: IO[bytes]) -> dict[str, np.ndarray]:
    """The arrays of an archive; no more memory is taken than its size can stand for."""
    arrays, size = {}, content.seek(0, os.SEEK_END)
    with zipfile.ZipFile(content) as archive:
        if sum(member.file_size for member in archive.infolist()) > DENSEST * size:
            raise ValueError("it says that it holds more than it can")
        for member in archive.infolist():
            # Read to its end, where its checksum is looked at.
            file = io.BytesIO(archive.read(member))
            version = np.lib.format.read_magic(file)
            read = (np.lib.format.read_array_header_1_0 if version == (1, 0) else
                    np.lib.format.read_array_header_2_0)
            shape, _, dtype = read(file, max_header_size=10_000)
            if file.tell() + dtype.itemsize * int(np.prod(shape, dtype=object)) != member.file_size:
                raise ValueError(f"{member.filename} has another size than it says")
            file.seek(0)
            array = np.lib.format.read_array(file, allow_pickle=False)
            arrays[member.filename.removesuffix(".npy")] = array
    return arrays


def _rebuild(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Flow:
    """The run whose parts these are.

    Raises
    ------
    Exception
        Any, if they do not fit together.
    """
    if header["format"] >= 2 and checksum(arrays) != str(arrays[NOT_SUMMED]):
        raise ValueError("the checksum is another")
    for name, kind in TYPES.items():
        if type(header[name]) is not kind:
            raise TypeError(f"{name} is {kind_of(header[name])}")
    data = Data(arrays["X"], arrays["y"])
    if header.get("bias", False):
        data = Data(arrays["X"][:, :-1], arrays["y"], bias=True)
    _check(header, arrays, data)
    if header.get("columns") is not None:
        note(data, columns=_columns(header["columns"], header.get("kinds"), data))
    own = {key[5:]: value for key, value in arrays.items() if key.startswith("path_")}
    units = _units(own.pop("units", np.zeros(4, dtype=np.int64)))
    activation: Activation | Smooth = Activation(header.get("slope", 0.0))
    if "activation" in header:
        activation = as_activation(header["activation"])
    path = _path(header, data, units, activation, own)
    if (path.m, path.d) != (header["m"], data.d) or not np.isfinite(path.breaks).all():
        raise ValueError("the path is of another network")
    saved = None
    if header["saved"] is not None:
        keys = range(len(header["saved"])) if header["format"] >= 2 else header["saved"]
        saved = {name: unpack(f"saved_{key}", arrays, name in header.get("ragged", ()))
                 for name, key in zip(header["saved"], keys)}
    choices = arrays.get("choices", np.empty(0, dtype=CHOICE))
    if choices.dtype != CHOICE or choices.ndim != 1:
        raise ValueError("the choices are none")
    made: type[Flow] = Flow
    if "optimizer" in header["settings"]:
        made = Descent
    flow = made(data=data, saved=saved, path=path, times=arrays["t"], events=arrays["events"],
                initial_pattern=arrays["initial_pattern"], status=header["status"],
                message=header["message"], success=header["success"], stats=header["stats"],
                settings=header["settings"], choices=choices, activation=activation,
                setting=_setting(header["settings"]))
    if flow.model.W.shape != (header["m"], header["d"]) or flow.t.shape != arrays["t"].shape:
        raise ValueError("the network at the end has another shape")
    # Of a copy: it would keep a loss that is not known yet.
    repr(copy(flow))
    return flow


def _columns(names: Any, kinds: Any, data: Data) -> tuple[str, ...]:
    """Names of the columns of data, as a file says them; in those of before all are text."""
    kinds = ["text"] * (data.d - data.bias) if kinds is None else kinds
    for words in (names, kinds):
        if type(words) is not list or len(words) != data.d - data.bias or any(
                type(word) is not str for word in words):
            raise ValueError("the names are those of other columns")
    return tuple(name if kind == "text" else Label(name, kind)
                 for name, kind in zip(names, kinds))


def _setting(settings: dict[str, Any]) -> Setting:
    """Speeds and decays of a run; what a file does not say is plain."""
    return Setting(as_rates(settings.get("rates", [1.0, 1.0])),
                   as_decay(settings.get("decay", [0.0, 0.0, 0.0]), bias=True))


def _path(header: dict[str, Any], data: Data, units: Units, activation: Activation | Smooth,
          arrays: dict[str, np.ndarray]) -> Path:
    """The path of a run, from the arrays that are its own."""
    settings = header["settings"]
    rates = Rates(*as_rates(arrays.pop("rates", np.ones(2)).tolist()), settings["t_max"])
    clock = _clock(arrays.pop("clock", None))
    inside = units.data(data)
    span = None
    if "span" in arrays:
        basis, start, power = (arrays.pop(name) for name in ("span", "span_start", "span_power"))
        if (basis.shape[1] != data.d or start.shape != (header["m"], data.d)
                or power.shape != (header["m"],) or power.dtype.kind != "i"
                or not np.isfinite(basis).all() or not np.isfinite(start).all()):
            raise ValueError("the path is of another span")
        span = Span.on(basis, start)
        inside = span.data(inside)
    path: Path
    if header["path"] == "Windows":
        assert isinstance(activation, Activation)
        decay = Drift(_setting(settings).slower(units.time), 1, inside.d).uniform or 0.0
        path = Windows.from_arrays(Marcher(inside, settings["rtol"], activation, decay), arrays)
    else:
        kind = TwoTimeTrajectory if header["path"] == "TwoTimeTrajectory" else Trajectory
        path = kind.from_arrays(header["m"], inside.d, arrays)
    if path.d != inside.d:
        raise ValueError("the path is of another dimension")
    if span is not None:
        path = Spanned(path, span, power)
    if clock.parts is not None:
        path = Timed(path, clock)
    if any(units):
        path = Rescaled(path, units)
    return Layered(path, rates) if rates else path


def _units(exponents: np.ndarray) -> Units:
    """The units of a run; those of 1 in a file that says nothing of them."""
    if (exponents.shape != (4,) or exponents.dtype.kind != "i"
            or (np.abs(exponents) > LARGEST).any()):
        raise ValueError("the units are none")
    return Units(*exponents.tolist())


def _clock(entry: np.ndarray | None) -> Clock:
    """The clock of a run; that of the flow in a file that says nothing of it."""
    if entry is None:
        return Clock()
    if entry.ndim != 2 or entry.shape[1] != 4 or len(entry) < 2 or not np.isfinite(entry).all():
        raise ValueError("the clock is none")
    parts, end = entry[:-1], float(entry[-1, 0])
    if ((np.diff(parts[:, :2], axis=0) <= 0).any() or (np.abs(parts[:, 2]) > LARGEST).any()
            or not np.isin(parts[:, 3], (0.0, 1.0)).all() or not end > 0):
        raise ValueError("the clock is none")
    return Clock(parts, end)


def _check(header: dict[str, Any], arrays: dict[str, np.ndarray], data: Data) -> None:
    """Whether what no other part would notice makes sense."""
    m, t, events, codes = header["m"], arrays["t"], arrays["events"], arrays["initial_pattern"]
    passed = np.diff(t)
    # Steps of a schedule may be less than rounding of the time so far.
    back = passed < 0 if "schedule" in header["settings"] else passed <= 0
    if t.dtype != float or t.ndim != 1 or not np.isfinite(t).all() or back.any():
        raise ValueError("the times do not increase")
    if codes.shape != (m, data.n) or codes.dtype != np.int8 or not np.isin(codes, (0, 1, 2)).all():
        raise ValueError("the pattern at the start is none")
    if events.dtype != EVENT or events.ndim != 1:
        raise ValueError("the events are none")
    time, neuron, point = events["time"], events["neuron"], events["point"]
    if not (np.isfinite(time).all() and (np.diff(time) >= 0).all()
            and ((0 <= neuron) & (neuron < m)).all() and ((0 <= point) & (point < data.n)).all()
            and np.isin(events["kind"], KINDS).all() and np.isin(events["to"], (0, 1, 2)).all()):
        raise ValueError("an event is of no neuron, point or kind")
