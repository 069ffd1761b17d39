"""What experiments share: a run to convergence or to a limit, and how it ended."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from .. import stop
from ..flows.errors import IntegrationError
from ..flows.flow import Flow
from ..flows.integration import integrate
from ..problem.quiet import quiet

Run = TypeVar("Run", bound=Flow)
Results = dict[str, bool | int | float | str | np.ndarray | None]
"""What an experiment returns, and a sweep keeps."""
PIECES = 16
"""How many pieces of a run a certificate looks at: a sweep pays for it in every run."""
LIMITS = {"finished": "t_max", "wall_time": "seconds"}


def converge(model: Any, data: Any, t_max: float, seconds: float, rtol: float,
             until: float = 1e-10) -> Flow:
    """Train until `gflow.stop.converged`, interpolation, or a limit; both ends are reported.

    Parameters
    ----------
    model, data, t_max, rtol
        As for `gflow.integrate`.
    seconds : float
        Wall time after which to give up.
    until : float
        Part of the loss at the start below which a run interpolates.

    Returns
    -------
    Flow
        Its status is "converged", "loss_below", "finished" or "wall_time".

    Raises
    ------
    IntegrationError
        If the run fails.
    KeyboardInterrupt
        On Ctrl-C.
    """
    rules = [stop.converged(), stop.loss_below(until * model.loss(data)), stop.wall_time(seconds)]
    return run(model, data, t_max, rtol=rtol, t_eval=[0.0, t_max], stop=rules)


def run(model: Any, data: Any, t_max: float, **options: Any) -> Flow:
    """`gflow.integrate` on one thread; raises on what is only half a run, and no result."""
    return ended(integrate(model, data, t_max, threads=1, **options))


def ended(flow: Run) -> Run:
    """A run that ended well, or what it raises: half a run is no result of a task."""
    if flow.status == "interrupted":
        raise KeyboardInterrupt
    if not flow.success:
        raise IntegrationError(flow)
    return flow


@quiet
def squares(weights: np.ndarray) -> float:
    """Sum of the squares of weights, which may be below the range of double precision."""
    return float((weights**2).sum())


def ending(flow: Flow) -> dict[str, Any]:
    """How a run ended, as results of a task.

    Returns
    -------
    dict
        ``t_end``, ``status``, ``limit`` ("t_max" or "seconds" if the run was cut there, "none" if
        it converged), ``events``, ``slides``.
    """
    return {"t_end": flow.t_end, "status": flow.status, "limit": LIMITS.get(flow.status, "none"),
            "events": len(flow.events), "slides": flow.stats["slide"]}


def evidence(flow: Flow, wanted: bool) -> dict[str, Any]:
    """``certified`` and ``stationarity`` of a run; None for both if not wanted.

    The certificate looks at a sample of `PIECES` pieces.
    """
    found = flow.certificate(PIECES) if wanted else None
    return {"certified": found and found.ok, "stationarity": found and found.stationarity}
