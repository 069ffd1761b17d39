"""One run in a process of its own: warmed up first, with a time limit, its memory measured."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

import gflow

from .peers import ENGINES, PEERS, split
from .workloads import WORKLOADS

CHUNKS = 20
SLOW = "gflow DOP853"
ENOUGH = 5.0
"""Seconds after which a run is not repeated."""
STARTUP = 300.0
"""Seconds for imports and compilation, which are not counted."""


@dataclass
class Result:
    """What a run did.

    Attributes
    ----------
    solver, workload : str
    setting : float
        Tolerance or learning rate.
    reached : float
        Flow time that it told of; NaN if it does not tell.
    wall : float
        Seconds of the run; the time limit if it did not finish.
    error : float
        Largest error of the outputs at the points, over all times compared.
    memory : float
        Largest resident size of the process, in GB.
    note : str
        Why there is no result.
    """

    solver: str
    workload: str
    setting: float
    reached: float = np.nan
    wall: float = 0.0
    error: float = np.nan
    memory: float = 0.0
    note: str = ""
    outputs: list[np.ndarray] = field(default_factory=list, repr=False)

    @property
    def finished(self) -> bool:
        """Whether the run got to its end."""
        return bool(self.outputs)


def run(solver: str, workload: str, setting: float, limit: float, repeats: int = 1) -> Result:
    """Run a solver with a limit in seconds; the best time of ``repeats`` runs."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    child = context.Process(target=_work, args=(theirs, solver, workload, setting, repeats))
    child.start()
    theirs.close()
    result = Result(solver, workload, setting)
    deadline = time.monotonic() + STARTUP
    try:
        while mine.poll(max(0.0, deadline - time.monotonic())):
            kind, value = mine.recv()
            if kind == "ready":
                deadline = time.monotonic() + limit * repeats
            elif kind == "reached":
                result.reached = value
            elif kind == "failed":
                result.note = value
                return result
            else:
                result.wall, result.outputs, result.memory = value
                return result
        result.wall, result.note = limit, _told("not finished", result.reached)
    except EOFError:
        result.note = _told("died", result.reached)
    finally:
        child.kill()
        child.join()
    return result


def _told(what: str, reached: float) -> str:
    """What became of a run without a result, and how far it is known to have come."""
    return what if np.isnan(reached) else f"{what}, reached t = {reached:.3g}"


def _peak() -> float:
    """Largest resident size of this process in GB. ``ru_maxrss`` would be that of its parent, if
    that was larger."""
    status = Path("/proc/self/status")
    if not status.exists():
        try:
            import resource
        except ImportError:
            # Windows.
            return float("nan")
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**20


def _work(pipe: Connection, solver: str, workload: str, setting: float, repeats: int) -> None:
    try:
        case = WORKLOADS[workload]
        model, data = case.problem()
        m = model.m

        def outputs(state: np.ndarray) -> np.ndarray:
            a, W = split(state, m)
            return np.maximum(data.X @ W.T, 0.0) @ a

        def engine(t_max: float) -> list[np.ndarray]:
            times = [t for t in case.times if t <= t_max] or [t_max]
            # A rule costs nothing beside the steps of DOP853, but something beside windows.
            stop = (lambda state: pipe.send(("reached", state.t))) if solver == SLOW else None
            flow = gflow.integrate(model, data, t_max, method=ENGINES[solver], rtol=setting,
                                   stop=stop)
            return [flow(t)(data.X) for t in times]

        def peer(t_max: float) -> list[np.ndarray]:
            state, found = start, []
            grid = np.linspace(0.0, t_max, CHUNKS + 1)
            for t0, t1 in zip(grid[:-1], grid[1:]):
                state = advance(state, float(t0), float(t1))
                pipe.send(("reached", float(t1)))
                if any(abs(t1 - t) < 1e-9 * t for t in case.times):
                    found.append(outputs(state))
            return found

        start = np.concatenate([model.a, model.W.ravel()])
        if solver in ENGINES:
            go = engine
        else:
            advance = PEERS[solver][0](data, m, setting)
            go = peer
        go(case.t_max * 1e-3)
        pipe.send(("ready", None))
        best = np.inf
        spent = 0.0
        for _ in range(repeats):
            began = time.perf_counter()
            found = go(case.t_max)
            spent += time.perf_counter() - began
            best = min(best, time.perf_counter() - began)
            if spent > ENOUGH:
                break
        memory = _peak()
        pipe.send(("done", (best, found, memory)))
    except Exception as error:
        pipe.send(("failed", f"{type(error).__name__}: {error}"[:200]))
