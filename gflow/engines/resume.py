"""Going on with a run: an engine where the last piece of it began."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem.clock import Clock
from ..problem.units import Units
from .choices import CHOICE
from .events import EVENT, SLIDING, as_table
from .protocol import Engine
from .record import Record
from .origin import origin

COUNTS = {"nfev": "nfev", "njev": "njev", "steps": "steps", "cuts": "cut_steps",
          "rejected": "rejected_steps", "reduced": "reduced_steps",
          "stiff": "stiff_steps"}
"""What engines count, and what the statistics of a run call it."""


def take_up(engine: Engine, after: Record | None) -> tuple[np.ndarray, np.ndarray]:
    """Put an engine, fresh at the start of a run, where the last piece of the run began.

    That piece is made again: it may have been cut, and what an engine knows besides weights and
    pattern it knows at the beginnings of pieces.

    Parameters
    ----------
    engine : Engine
        Of the kind that made the run, in its units.
    after : Record or None
        The run; nothing happens if there is none.

    Returns
    -------
    events, choices : ndarray
        Those of the run up to there.
    """
    if after is None:
        return np.empty(0, dtype=EVENT), np.empty(0, dtype=CHOICE)
    own = origin(after.path)
    inner: Any = own.path
    for count, said in COUNTS.items():
        setattr(engine, count, after.stats.get(said, 0))
    engine.initial_codes = codes = after.initial_pattern.copy()
    if len(inner.pieces) < 2:
        return after.events[:0], after.choices[:0]
    begin = float(own.outside(inner.breaks[-2]))
    engine.choices.clear()
    kept = after.events[after.events["time"] <= begin]
    codes, met = codes.copy(), codes == SLIDING
    codes[kept["neuron"], kept["point"]] = kept["to"]
    met[kept["neuron"], kept["point"]] = True
    with np.errstate(all="ignore"):
        engine.go_on(inner, codes, met)
    return kept, after.choices[after.choices["time"] <= begin]


def taken(after: Record, until: float) -> tuple[Units, Clock]:
    """Units and clock of an engine that goes on with a run to ``until``, a time in which the speeds
    of layers are 1."""
    own = origin(after.path)
    parts = own.clock.parts
    if parts is None:
        return own.units, Clock()
    inner = own.path
    begin = inner.breaks[-2] if len(inner.pieces) > 1 else 0.0
    return own.units, Clock(parts[parts[:, 0] <= begin], float(own.units.inside(until)))


def later(kept: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Choices that a run has ``kept``, and the ``new`` ones after them."""
    if not kept.size:
        return new
    return np.concatenate([kept, new[new["time"] > kept["time"][-1]]])


def joined(kept: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Events up to a time, of dtype `EVENT`, and from there on those that a run recorded; what both
    have at that time is there once.

    Examples
    --------
    >>> from gflow.engines.events import CHANGE
    >>> kept = np.array([(1.0, 0, 0, "activate", 1)], dtype=EVENT)
    >>> new = np.array([(1.0, 0, 0, 0, 1), (2.0, 0, 0, 1, 0)], dtype=CHANGE)
    >>> joined(kept, new)["kind"].tolist()
    ['activate', 'deactivate']
    """
    if not kept.size:
        return new
    new = as_table(new)
    if not (new.size and new["time"][0] == kept["time"][-1]):
        return np.concatenate([kept, new])
    last = kept[kept["time"] == kept["time"][-1]]
    known = [bool(event["time"] == last["time"][0] and (event == last).any()) for event in new]
    return np.concatenate([kept, new[~np.array(known)]])
