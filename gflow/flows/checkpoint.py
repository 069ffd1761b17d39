"""Runs that can be killed: what was reached is kept in a file, and taken up from there."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from typing import Callable

import numpy as np

from ..engines.record import Record
from ..engines.rules import StopLike, as_rules
from ..problem.checks import flag, positive
from ..problem.files import Output
from ..problem.inputs import thread_count
from ..problem.loss import LossLike
from .archive import save
from .discrete import Descent
from .errors import IntegrationError
from .extension import extend
from .flow import Flow
from .loading import load

EVERY = 60.0
"""Seconds between checkpoints, if nothing else is said."""


def keeper(file: str | os.PathLike[str] | bytes | None, every: float
           ) -> tuple[Callable[[Record], None] | None, float]:
    """What keeps a run in a file, and the seconds between, checked.

    Raises
    ------
    TypeError, ValueError, OSError
        If ``file`` cannot be written, or ``every`` is no time, or one without a file.
    """
    every = positive(every, "every")
    if file is None:
        if every != EVERY:
            raise ValueError(f"every = {every:g} is said of no checkpoint: give checkpoint= the "
                             "name of a file, or leave every= away")
        return None, np.inf
    out = Output(file)
    if out.special:
        raise ValueError(f"a checkpoint takes the place of the one before, which {out.shown} "
                         "cannot keep: give the name of a file")
    # A name that is relative means this directory, also if the program goes elsewhere.
    name = out.target

    def keep(record: Record) -> None:
        try:
            save(record, name)
        except OSError as error:
            # The run is worth more than its copy, also where warnings are errors.
            with suppress(RuntimeWarning):
                warnings.warn(f"no checkpoint was kept, for {error}; the run goes on",
                              RuntimeWarning, stacklevel=2)

    return keep, every


def resume(file: str | os.PathLike[str] | bytes, *, stop: StopLike = None, every: float = EVERY,
           progress: bool = False, strict: bool = False, threads: int | None = None,
           loss: LossLike | None = None) -> Flow:
    """Go on with a run from its checkpoint, to the end that it was meant to have.

    Parameters
    ----------
    file : str, bytes or path-like
        From ``gflow.integrate(..., checkpoint=file)``; the run goes on being kept there.
    stop : rule or list of rules, optional
        As in `gflow.integrate`: files have no code, so rules are given again.
    every : float
        Seconds between checkpoints.
    progress, strict, threads
        As in `gflow.integrate`.
    loss : object, optional
        The loss of the run, if it was one of your own.

    Returns
    -------
    Flow
        One run from 0, as if nothing had happened; as it is in the file if it has reached its end,
        or ``max_events``.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError, OSError
        If there is no such run, or it cannot be written to.
    IntegrationError
        With ``strict=True``, if the run fails, or had failed and does not go on.

    Examples
    --------
    >>> import gflow, os, tempfile
    >>> file = os.path.join(tempfile.mkdtemp(), "run.npz")
    >>> flow = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), 5.0, checkpoint=file,
    ...                        stop=lambda state: state.t > 2)
    >>> flow.status, gflow.resume(file).status
    ('callback', 'finished')
    """
    flow = load(file, loss)
    if isinstance(flow, Descent):
        flow.extend(flow.settings["t_max"])
    # Also of a run that has nothing left to do.
    progress, strict = flag(progress, "progress"), flag(strict, "strict")
    as_rules(stop)
    thread_count(threads)
    keep, every = keeper(file, every)
    t_max, most = flow.settings["t_max"], flow.settings.get("max_events")
    if flow.t_end >= t_max or most is not None and len(flow.events) >= most:
        if strict and not flow.success:
            raise IntegrationError(flow)
        return flow
    wanted = flow.settings.get("t_eval")
    return extend(flow, t_max, wanted, stop, most, progress, strict, threads, keep, every)
