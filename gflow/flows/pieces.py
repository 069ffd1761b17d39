"""The pieces of a run one after the other, and how far that is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..engines.meter import Meter
from ..engines.record import Record
from ..problem.checks import flag


def pieces(flow: Record, progress: bool) -> Iterator[int]:
    """Indices of the pieces of a run; with ``progress`` a text meter on standard error says how
    far one is."""
    if not flag(progress, "progress"):
        yield from range(len(flow.path.pieces))
        return
    meter, ends = Meter(flow.t_end), np.minimum(flow.path.breaks[1:], flow.t_end)
    events = np.searchsorted(flow.events["time"], ends, side="right")
    try:
        for p, end in enumerate(ends):
            yield p
            meter.show(float(end), int(events[p]), (p + 1) / len(ends))
    finally:
        meter.close()
