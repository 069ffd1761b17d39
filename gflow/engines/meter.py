"""How far a run is: a bar in a terminal or a notebook, whole lines in a log."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Any

from ..problem.console import is_terminal, redraw, room, say

OFTEN = 0.02
"""Part of the way after which a bar is drawn again."""
SOON = 0.5
"""Seconds after which it is drawn again."""
WIDEST, NARROWEST = 30, 5
"""Letters of the bar; where there is room for less there is none."""
SELDOM, LATE = 0.1, 30.0
"""The same for lines of a log."""


class Meter:
    """How far a run is, on standard error.

    With ``tqdm`` installed its bar is drawn, in a terminal and in a notebook. A log gets lines that
    are never drawn again.

    Parameters
    ----------
    t_max : float
        Where the run ends.
    """

    def __init__(self, t_max: float) -> None:
        self.t_max = t_max
        self.shown, self.last, self.begun = -1.0, 0.0, time.perf_counter()
        self.latest = (0.0, 0, 0.0)
        self.alive = _is_alive()
        self.bar = _bar() if self.alive else None

    def show(self, t: float, events: int, share: float) -> None:
        """Show the time ``t`` that was reached, when a ``share`` of the run is done."""
        self.latest = (t, events, share)
        now = time.perf_counter()
        part, pause = (OFTEN, SOON) if self.alive else (SELDOM, LATE)
        if share - self.shown >= part or now - self.last >= pause:
            self._draw(share, now)

    def _draw(self, share: float, now: float) -> None:
        self.shown, self.last = share, now
        t, events, _ = self.latest
        text = f"t = {t:.4g} of {self.t_max:.4g}, {events} events"
        if self.bar is not None:
            with suppress(Exception):
                self.bar.set_postfix_str(text, refresh=False)
                self.bar.n = round(share, 4)
                self.bar.refresh()
            return
        taken = now - self.begun
        left = f", about {_duration(taken * (1 - share) / share)} left" if 0 < share < 1 else ""
        if self.alive:
            wide = min(WIDEST, room() - len(f"gflow [] {text}{left} "))
            drawn = ("#" * int(wide * share)).ljust(wide, ".")
            redraw((f"gflow [{drawn}] " if wide >= NARROWEST else "gflow ") + f"{text}{left} ")
        else:
            say(f"gflow: {text}{left}\n")

    def close(self) -> None:
        """The run is over."""
        share = self.latest[2]
        if share != self.shown:
            self._draw(share, time.perf_counter())
        if self.bar is not None:
            with suppress(Exception):
                self.bar.close()
        elif self.alive:
            say("\n")


def _is_alive() -> bool:
    """Whether what is shown can be drawn again: a terminal, or a notebook."""
    if "ipykernel" in sys.modules:
        return True
    return is_terminal()


def _bar() -> Any:
    """A bar of tqdm, if that is installed."""
    with suppress(Exception):
        from tqdm.auto import tqdm
        return tqdm(total=1.0, desc="gflow", bar_format="{desc} {percentage:3.0f}%|{bar}| "
                    "[{elapsed}<{remaining}] {postfix}")
    return None


def _duration(seconds: float) -> str:
    """Seconds as one reads them.

    Examples
    --------
    >>> _duration(12.3), _duration(200.0), _duration(7300.0)
    ('12 s', '3 min', '2.0 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
