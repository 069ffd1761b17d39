"""What happens inside a worker, and how ``run`` gets there."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pickle
import socket
import threading
import time
import traceback
from typing import Any, Callable, Iterator, NamedTuple

from .._version import __version__
from ..problem.words import kind_of, said
from .agreement import NUMBERS, Claims, disagreement
from .codec import encode, writable
from .grid import Task, spawned


LONGEST = 100_000
"""Letters of a traceback to keep."""


class SweepError(RuntimeError):
    """The sweep cannot go on with these workers; what is done is kept in the store."""


class _Other(SweepError):
    """This worker has not loaded what the session has."""


class Job(NamedTuple):
    """What a worker needs besides the task.

    Attributes
    ----------
    run : bytes
        The pickled function.
    root : int
        Root seed.
    version : str
        Version of gflow that the sweep runs.
    code : str
        Fingerprint of ``run`` in the session.
    claims : Claims
        What the session has loaded, and a worker must have too.
    taken : tuple of str
        Parameters of the store, which are no names of results.
    token : str
        Another one for every sweep: what ``run`` holds may change under one, and not for the next.
    """

    run: bytes
    root: int
    version: str = __version__
    code: str = ""
    claims: Claims = Claims()
    taken: tuple[str, ...] = ()
    token: str = ""


class Outcome(NamedTuple):
    """What came of a task: a result, or a traceback.

    Attributes
    ----------
    scalars : str or None
        JSON of the result, None if the task failed.
    arrays : dict of bytes
        Its arrays.
    error : str or None
        Traceback.
    wall : float
        Seconds that it took.
    worker : str
        Host and process.
    """

    scalars: str | None
    arrays: dict[str, bytes]
    error: str | None
    wall: float = 0.0
    worker: str = ""


def perform(job: Job, task: Task) -> Outcome:
    """Run one task. What ``run`` raises is an outcome, cancellations too; Ctrl-C is none.

    Parameters
    ----------
    job : Job
        The sweep.
    task : Task
        The task.

    Returns
    -------
    Outcome

    Raises
    ------
    SweepError
        If this worker has another version of gflow, or other code or data of ``run``.

    Examples
    --------
    >>> from gflow.sweeping.grid import tasks
    >>> outcome = perform(Job(pack(dict), 0), tasks({"n": [5]})[0])
    >>> outcome.error.splitlines()[-1]
    "ValueError: run returned 'n', the name of a parameter or of the seed: rename it"
    """
    if job.version != __version__:
        raise SweepError(f"a worker on {socket.gethostname()} cannot take part: {_mismatch(job)}")
    start, process = time.perf_counter(), os.getpid()
    params = json.loads(task.params)
    scalars: str | None = None
    arrays: dict[str, bytes] = {}
    error = None
    try:
        run = _load(job.run, job.code, job.claims, job.token)
        with _same_directory():
            result = run(**params, rng=spawned(job.root, task.spawn))
        scalars, arrays = encode(result, {*params, *job.taken})
    except _Other as problem:
        raise SweepError(f"a worker on {socket.gethostname()} cannot take part: "
                         f"{problem}") from None
    except KeyboardInterrupt:
        raise
    except BaseException as problem:
        error = _told(problem)
    if os.getpid() != process:
        # A child that ``run`` forked and forgot: it must not answer in its parent's place.
        os._exit(1)
    return Outcome(scalars, arrays, error, time.perf_counter() - start,
                   f"{socket.gethostname()}:{os.getpid()}")


@contextlib.contextmanager
def _same_directory() -> Iterator[None]:
    """Go back to where the task began: the next one may name files from there."""
    # All threads have one directory in common.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        before = os.getcwd()
    except OSError:
        before = None
    try:
        yield
    finally:
        if before is not None:
            with contextlib.suppress(OSError):
                os.chdir(before)


def _told(problem: BaseException) -> str:
    """Traceback as text that a file takes: file names and messages may hold any bytes."""
    # Without the frame of `perform`.
    below = problem.__traceback__.tb_next if problem.__traceback__ else None
    try:
        text = "".join(traceback.format_exception(type(problem), problem, below))
    except Exception as again:
        text = f"{type(problem).__name__}, which cannot say what it is ({type(again).__name__})"
    if len(text) > LONGEST:
        text = f"{text[:LONGEST // 2]}\n[...]\n{text[-LONGEST // 2:]}"
    return writable(text)


def greet(job: Job) -> str:
    """Check in a worker that it can run tasks of this sweep; return what stands in the way."""
    if job.version != __version__:
        return _mismatch(job)
    try:
        _load(job.run, job.code, job.claims, job.token)
    except _Other as error:
        return str(error)
    except BaseException as error:
        # A module may call ``sys.exit`` when it is imported.
        return (f"it cannot load run ({type(error).__name__}: {said(error)}): put run into a "
                "module that workers can import, or install cloudpickle")
    return ""


def _mismatch(job: Job) -> str:
    return (f"its gflow is {__version__} and the sweep's {job.version}: install the same version "
            "everywhere")


def pack(run: Callable[..., Any]) -> bytes:
    """Pickle ``run``; with cloudpickle, if installed, also lambdas and functions of notebooks.

    Raises
    ------
    TypeError
        If it cannot be pickled.
    """
    if not callable(run):
        raise TypeError(f"run is {kind_of(run)}: give a function run(**params, rng)")
    try:
        from cloudpickle import dumps
        hint = "it must not hold locks, open files or connections"
    except ImportError:
        from pickle import dumps
        hint = "define it at the top level of a module, or install cloudpickle"
    try:
        packed: bytes = dumps(run)
    except Exception as error:
        raise TypeError(f"run cannot be pickled ({said(error)}): {hint}") from error
    return packed


@functools.lru_cache(maxsize=4)
def _load(packed: bytes, code: str, claims: Claims, token: str) -> Callable[..., Any]:
    """``run`` as this process has it; once for each sweep, and fingerprint, since modules are
    reloaded."""
    run: Callable[..., Any] = pickle.loads(packed)
    thing = disagreement(run, claims)
    if thing is not None:
        hint = (" (it is 1 here: workers that gflow starts have one thread)"
                if NUMBERS.get(thing) == 1 else "")
        raise _Other(f"its {thing} is other code or data than the session's: start both anew, or "
                     f"carry what was set or drawn with functools.partial{hint}")
    return run
