"""How far a sweep is: a meter on standard error, and a report for a second terminal."""

from __future__ import annotations

import os
import time

from ..problem.console import is_terminal, redraw, say
from ..problem.words import counted, visible
from .notice import headline
from .store import Store, Sweep

REDRAW = 1.0
"""Seconds between two pictures in a terminal."""
LINE = 60.0
"""Seconds between two lines in a log file."""


class Meter:
    """A line on standard error: redrawn in a terminal, a new one every minute in a log.

    Parameters
    ----------
    store : Store
        Where a sweep has begun.
    visible : bool
        Whether to draw anything.
    """

    def __init__(self, store: Store, visible: bool) -> None:
        self.store = store
        self.visible = visible
        self.terminal = visible and is_terminal()
        self.last = time.monotonic() if not self.terminal else 0.0
        self.drawn = False

    def show(self) -> None:
        """Draw the line if it is time."""
        now = time.monotonic()
        if not self.visible or now - self.last < (REDRAW if self.terminal else LINE):
            return
        self.last = now
        self._draw()

    def say(self, sentence: str) -> None:
        """Say something now, on a line of its own."""
        if self.visible:
            start = "\n" if self.drawn else ""
            say(f"{start}gflow sweep: {sentence}\n")
            self.drawn = False

    def close(self) -> None:
        """The last line."""
        if self.visible:
            self._draw()
            if self.terminal:
                say("\n")

    def _draw(self) -> None:
        try:
            line = progress_line(self.store)
        except (OSError, ValueError):
            # A store that cannot be read is no reason to stop here: writing will tell.
            return
        if self.terminal:
            redraw(line)
            self.drawn = True
        else:
            say(f"{line}\n")


def progress_line(store: Store) -> str:
    """The tasks of the sweep that has begun on ``store``, in a line."""
    count = store.count(wanted=True)
    total = sum(count.values())
    over = count["done"] + count["failed"]
    bar = ("#" * (30 * over // max(total, 1))).ljust(30, ".")
    parts = [f"gflow sweep [{bar}] {over} of {total}"]
    if count["failed"]:
        parts.append(f"{count['failed']} failed")
    parts += _pace(store, store.alive(), count["pending"])
    return ", ".join(parts)


def status(path: str | os.PathLike[str] | bytes, tracebacks: bool = False) -> str:
    """How far a sweep is, from its store; also from another terminal while it runs.

    Parameters
    ----------
    path : str, bytes or path-like
        The store; ``~`` is written out.
    tracebacks : bool
        Whether to add those of failed tasks.

    Returns
    -------
    str
        Some lines; in what tasks say, letters that would steer a terminal are spelled out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no store of a sweep.
    """
    with Store(path, read_only=True) as store:
        settings, count = store.settings(), store.count()
        alive = store.alive()
        under_way = {sweep: store.under_way(sweep.id) for sweep in alive}
        pace = _pace(store, alive, count["pending"])
        failed = store.rows("failed")
    lines = [f"{os.fsdecode(path)}: {settings.get('run', 'no sweep yet')}, "
             f"{counted(sum(count.values()), 'task')}, root seed {settings.get('rng', '-')}",
             f"  done       {count['done']}",
             f"  failed     {count['failed']}",
             f"  under way  {sum(under_way.values())}",
             f"  waiting    {count['pending'] - sum(under_way.values())}"]
    if pace:
        lines.append(f"  pace       {', '.join(pace)}")
    lines += [f"  sweep      on {sweep.host}, process {sweep.pid}, for "
              f"{duration(sweep.beat - sweep.started)}" for sweep in alive]
    if not alive:
        lines.append("  no sweep is running" if count["pending"] else
                     "  complete, but for what failed" if count["failed"] else "  complete")
    if failed:
        lines.append(visible(f"  {failed[0].params} seed {failed[0].seed}: "
                             f"{headline(failed[0].error)}"))
    if tracebacks:
        lines += [visible(f"\n{row.params} seed {row.seed}\n{row.error}") for row in failed]
    return "\n".join(lines)


def _pace(store: Store, alive: list[Sweep], pending: int) -> list[str]:
    """Rate and time left, of the sweeps that go on."""
    # Of one clock: that of the sweep, whatever this machine's says by now.
    rate = sum(store.finished(sweep.id) / max(sweep.beat - sweep.started, 1e-3)
               for sweep in alive)
    if not rate:
        return []
    return [_rate(rate)] + ([f"{duration(pending / rate)} left"] if pending else [])


def _rate(rate: float) -> str:
    for unit, seconds in (("s", 1), ("min", 60)):
        if rate * seconds >= 1:
            return f"{rate * seconds:.3g}/{unit}"
    return f"{rate * 3600:.3g}/h"


def duration(seconds: float) -> str:
    """Seconds in words.

    Examples
    --------
    >>> [duration(seconds) for seconds in (12, 200, 7500, 100000)]
    ['12 s', '3 min', '2 h 05 min', '1 d 3 h']
    """
    seconds = max(seconds, 0.0)
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 2:
        return f"{seconds:.0f} s"
    if hours < 2:
        return f"{minutes:.0f} min"
    if hours < 24:
        return f"{hours // 1:.0f} h {minutes % 60 // 1:02.0f} min"
    return f"{hours // 24:.0f} d {hours % 24 // 1:.0f} h"
