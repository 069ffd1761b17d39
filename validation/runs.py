"""Every run that a check uses, with its certificate: what the report keeps of it."""

from __future__ import annotations

import time
from typing import Any

import gflow

_log: list[dict[str, Any]] = []


def integrate(*args: Any, certify: bool = True, **options: Any) -> gflow.Flow:
    """`gflow.integrate`, noted for the report.

    Parameters
    ----------
    certify : bool
        Whether the certificate is made, which costs about as much as the run.
    """
    flow = gflow.integrate(*args, **options)
    note(flow, certify)
    return flow


def processor_time(seconds: float) -> gflow.stop.Rule:
    """Give a run up after so many seconds of processor time: other work beside it cuts nothing."""
    begun = time.process_time()
    return gflow.stop.Rule(lambda state: time.process_time() > begun + seconds, "processor_time",
                           f"the run took {seconds:g} seconds of processor time")


def note(flow: gflow.Flow, certify: bool = True) -> None:
    """Note a run."""
    evidence = flow.certificate() if certify and flow.saved is None else None
    _log.append({"m": flow.path.m, "n": flow.data.n, "d": flow.data.d, "t": flow.t_end,
                 "rtol": flow.settings["rtol"], "method": flow.stats["method"],
                 "events": len(flow.events), "status": flow.status, "success": flow.success,
                 "wall": flow.stats["wall_time"],
                 "certified": None if evidence is None else evidence.ok,
                 "doubts": [] if evidence is None else [*evidence.doubts, *evidence.first]})


def taken() -> list[dict[str, Any]]:
    """The runs since this was last asked."""
    runs = _log.copy()
    _log.clear()
    return runs
