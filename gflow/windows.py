"""Dense output of the fast engine: windows that are marched again when a time in them is asked."""

from __future__ import annotations

from typing import Any

import numpy as np


class Window:
    """A window of time: its start and the residuals that neurons saw on it."""

    def __init__(self, t0: float, t1: float, U: np.ndarray, log: np.ndarray, loose: np.ndarray,
                 direction: np.ndarray, closest: np.ndarray, strength: float) -> None:
        self.t0, self.t1 = t0, t1
        self.U, self.log, self.loose = U, log, loose
        self.direction, self.closest, self.strength = direction, closest, strength
        self.values = np.empty((0, 0))
        self.events = np.empty((0, 5))


class Windows:
    """A continuous path of ``m`` neurons as windows: what `Trajectory` is for steppers.

    Parameters
    ----------
    m, d : int
        Number of neurons, input dimension.
    start : ndarray, shape (m (d + 1),)
        State at time 0.
    """

    def __init__(self, m: int, d: int, start: np.ndarray) -> None:
        self.m, self.d = m, d
        self.start = start.copy()
        self.breaks = [0.0]
        self.pieces: list[Window] = []
        self.clipped = np.inf

    def attach(self, marcher: Any, side: np.ndarray, marks: np.ndarray) -> None:
        """Give it what marching again takes."""
        self.marcher, self.marks = marcher, marks
        self.first_side = side.copy()
        self.cursor = 0
        self.cursor_side = side.copy()

    @property
    def t_end(self) -> float:
        """Time reached."""
        return min(self.breaks[-1], self.clipped)

    def append(self, window: Window) -> None:
        """Add the next window."""
        self.pieces.append(window)
        self.breaks.append(window.t1)

    def cut(self, t: float) -> None:
        """End the path at ``t``, inside the last window."""
        self.clipped = float(t)

    def __call__(self, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) at the times ``t`` (T,)."""
        out = np.empty((t.size, self.start.size))
        piece = np.minimum(np.searchsorted(self.breaks, t, side="left") - 1, len(self.pieces) - 1)
        for p in np.unique(piece):
            here = piece == p
            out[here] = self.start if p < 0 else self.evaluate(int(p), t[here])
        return out

    def evaluate(self, p: int, t: np.ndarray, energy: np.ndarray | None = None) -> np.ndarray:
        """States (T, m (d + 1)) in window ``p``."""
        window = self.pieces[p]
        side = self.side_at(p)
        key = side.astype(np.int64) @ self.marks
        order = np.argsort(t, kind="stable")
        s = np.clip(2 * (t[order] - window.t0) / (window.t1 - window.t0) - 1, -1.0, 1.0)
        out = self.marcher.run(window, side, key, window.values, s, False,
                               np.zeros(0) if energy is None else energy)
        states = out.states * np.exp(window.log)[:, None, None]
        flat = np.empty((t.size, self.start.size))
        flat[order, :self.m] = states[:, :, 0].T
        flat[order, self.m:] = states[:, :, 1:].transpose(1, 0, 2).reshape(t.size, -1)
        return flat

    def side_at(self, p: int) -> np.ndarray:
        """Sides (m, C) at the start of window ``p``, replayed from the events."""
        if p < self.cursor:
            self.cursor, self.cursor_side = 0, self.first_side.copy()
        for q in range(self.cursor, p):
            log = self.pieces[q].events
            log = log[log[:, 2] >= 0]
            self.cursor_side[log[:, 0].astype(int), log[:, 2].astype(int)] = log[:, 4]
        self.cursor = p
        return self.cursor_side
