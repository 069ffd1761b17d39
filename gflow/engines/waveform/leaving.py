"""Slides that end though no multiplier is clear of its error.

What errors of the weights do to a multiplier is known from above only, which may be far too much:
where all points have nearly one direction, errors of the outputs of all of them are alike, and
cancel. A neuron could be held on a hyperplane for long after it should have left. What shows is how
far it would be off by the end of a window if it had been let go of where its multiplier passed 0,
or at the start: where that is more than errors of its weight, it is let go of
(`gflow.engines.sliding.OfStep.lets_go` has the rule for steppers).

The pulls on a window follow from what neurons do on it, and a release changes them, by which the
neuron might seem not to have been led away, and so on for ever. So a window ends where such a
release is found, and neurons are let go of between two windows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...kernels.crossings import RELEASE_BELOW
from ..pattern import undecided
from . import logs
from .window import Window

if TYPE_CHECKING:
    from .engine import Waveform
    from .marcher import Frame

AT_START = 1e-3
"""A release in this part of a window is at its start."""
FIRST = 0.01
"""A window is shortened to so much of it if none before it could end with releases."""


class Leaving:
    """Releases between windows.

    Attributes
    ----------
    last : dict of (int, int) to float
        When a neuron was let go of a hyperplane.
    """

    def __init__(self) -> None:
        self.last: dict[tuple[int, int], float] = {}

    def look(self, engine: Waveform, frame: Frame) -> float:
        """Look for releases that errors hide on a window that is about to be accepted; the part of
        it that can be. If that is 0, neurons have been let go of at its start."""
        window, led = frame.window, frame.ends.led
        length, rows = window.t1 - window.t0, np.flatnonzero(led[:, 0] <= 1.0)
        if not rows.size:
            return 1.0
        # One that is back at once was led away by an error; one that does not slide yet can wait.
        rows = rows[[frame.side[i, int(led[i, 1])] == 0 and window.t0 + (led[i, 0] + 1) / 2 * length
                     >= self.last.get((int(i), int(led[i, 1])), -np.inf) + length for i in rows]]
        if not rows.size:
            return 1.0
        part = (led[rows, 0] + 1) / 2
        if part.min() > AT_START:
            return float(part.min())
        if not engine.path.pieces or not isinstance(engine.path.pieces[-1], Window):
            return FIRST
        self._let_go(engine, rows[part <= AT_START], led)
        return 0.0

    def _let_go(self, engine: Waveform, rows: np.ndarray, led: np.ndarray) -> None:
        planes = led[rows, 1].astype(np.int64)
        side = np.where(led[rows, 2] == RELEASE_BELOW, -1, 1).astype(np.int8)
        engine.side, engine.loose = engine.side.copy(), engine.loose.copy()
        engine.side[rows, planes], engine.loose[rows, planes] = side, True
        # The hyperplane is near from now on, whatever the last scan left out.
        engine.direction = engine.direction.copy()
        engine.direction[rows, -1] = 0.0
        log = np.column_stack([rows, np.ones(rows.size), planes, np.zeros(rows.size), side])
        before = engine.path.end_with(log)
        engine.run.record(*logs.changes(engine.data.arrangement, log, engine.side, before))
        for i, h, to in zip(rows.tolist(), planes.tolist(), side.tolist()):
            self.last[i, h] = engine.t
            if not engine.activation.slope:
                engine.freed.waiting.add((i, h))
                engine.freed.fresh.add((i, h))
            elif undecided(engine.data, np.array([h]), engine.guess.r[None])[0]:
                engine.choices.append(np.array([[i, engine.t, h, to, -to, 2.0]]))
        engine.patterns = engine.marcher.patterns(engine.side)
        engine.quiet = 0
        engine.begin()
