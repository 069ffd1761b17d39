"""What is known, from step to step of the reference engine, of neurons that slide: how large errors
of their margins are, and how far they would be off their hyperplanes by now."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebval

from ..kernels.chebyshev import nodes, to_series
from ..kernels.crossings import RELEASE_ABOVE, RELEASE_BELOW
from ..kernels.slides import WIDE

MOST_FUTILE = 20
"""Times that a neuron comes back without having left its hyperplane that count."""
STEADY, LOUD = 8, 5.0
"""Over so many steps margins have to be seen for errors of no more than so many times what they
strayed from a broken line meanwhile. Larger: slides that end late / smaller: releases by noise."""


def is_on(w: np.ndarray, normal: np.ndarray, band: float) -> bool:
    """Whether a neuron may be on a hyperplane, as far as errors of its weight say."""
    return bool(abs(w @ normal) <= WIDE * band * np.sqrt(w @ w))


class Strays:
    """How large errors of margins of neurons at hyperplanes are, by what these do.

    What errors of weights do to pulls is known from above only (`RESIDUAL_ERROR`), by what they do
    to those that settle fast. But these forget them within a step, and new ones show, as swings in
    it and where two steps meet; pulls that do not settle fast move by far less. So margins that
    stray from broken lines by much less than that bound, for long, are known as much better.

    Attributes
    ----------
    known : dict of (int, int) to tuple
        Neuron and hyperplane: both margins at the end of the last step, and by how much they
        strayed on each of the last `STEADY`.
    """

    def __init__(self) -> None:
        self.known: dict[tuple[int, int], tuple[np.ndarray, tuple[float, ...]]] = {}

    def seen(self, pair: tuple[int, int], both: np.ndarray) -> float:
        """The error of both margins (q, 2) of a part of a step; infinite if it is not known."""
        before = self.known.get(pair, (both[0], ()))[1]
        return LOUD * max(*before, self._of(pair, both)) if len(before) == STEADY else np.inf

    def note(self, pair: tuple[int, int], both: np.ndarray, end: float = 1.0) -> None:
        """A step is made, up to the ``end`` in [-1, 1] of the part that was looked at."""
        before = self.known.get(pair, (both[0], ()))[1]
        here = both[-1] if end >= 1.0 else chebval(end, to_series(len(both) - 1) @ both)
        self.known[pair] = here, (*before[1 - STEADY:], self._of(pair, both))

    def keep(self, pairs: Any) -> None:
        """Forget all others."""
        self.known = {pair: self.known[pair] for pair in pairs if pair in self.known}

    def _of(self, pair: tuple[int, int], both: np.ndarray) -> float:
        """How far margins are from lines between their ends, or from where they were before."""
        part = (nodes(len(both) - 1)[:, None] + 1) / 2
        off = np.abs(both - (both[0] + (both[-1] - both[0]) * part)).max()
        return float(max(off, np.abs(both[0] - self.known.get(pair, (both[0],))[0]).max()))


class Held:
    """How far neurons would be off hyperplanes that they slide on, had they been let go of where
    they were first led away: from step to step, as far as errors may say.

    Attributes
    ----------
    off : dict of (int, int, int) to float
        Neuron, hyperplane and kind of contact, relative to the size of the neuron.
    ways : dict of (int, int, int) to ndarray
        `OfStep.lets_go` on the part of a step that is looked at, from ``t0`` on, of such a
        ``length``.
    near : set of (int, int)
        Neurons that were let go of, and hyperplanes that they have not left since.
    futile : dict of (int, int) to int
        How often they came back without having left them.
    margins : dict of (int, int) to ndarray
        Both margins (q, 2) on the part of a step that is looked at.
    strays : Strays
    """

    def __init__(self) -> None:
        self.off: dict[tuple[int, int, int], float] = {}
        self.near: set[tuple[int, int]] = set()
        self.futile: dict[tuple[int, int], int] = {}
        self.strays = Strays()
        self.look(0.0, 1.0)

    def look(self, t0: float, length: float) -> None:
        """Begin to look at a part of a step."""
        self.t0, self.length = t0, length
        self.ways: dict[tuple[int, int, int], np.ndarray] = {}
        self.margins: dict[tuple[int, int], np.ndarray] = {}

    def accept(self, t1: float, most: float) -> None:
        """The step is made, up to ``t1``; nobody is off by more than ``most``."""
        ends, off = 2 * (t1 - self.t0) / self.length - 1, {}
        for key, series in self.ways.items():
            s = nodes(len(series) - 1)
            way, here = chebval(s[s <= ends], series), float(chebval(ends, series))
            off[key] = min(max(self.off.get(key, 0.0), way.max(initial=0.0), here) - here,
                           most * self.doubt(*key[:2]))
        self.off = {key: by for key, by in off.items() if by > 0.0}
        for pair, both in self.margins.items():
            self.strays.note(pair, both, ends)

    def doubt(self, i: int, h: int) -> float:
        """By what errors of a neuron at a hyperplane are larger than they should be: twice as much
        for every time that it was let go of and came back without having left. On long steps of an
        implicit stepper pulls that have settled are wrong by as much as at its ends, all over the
        step, and what a slow neuron would be off by is that times the length of the step."""
        return 2.0 ** min(self.futile.get((i, h), 0), MOST_FUTILE)

    def forget(self, touched: Any) -> None:
        """Contacts ``(neuron, hyperplane, kind)`` of an instant: what was let go begins anew."""
        for i, h, kind in touched:
            self.off.pop((i, h, kind), None)
            if kind in (RELEASE_BELOW, RELEASE_ABOVE):
                self.near.add((i, h))
            elif (i, h) in self.near:
                self.near.remove((i, h))
                self.futile[i, h] = self.futile.get((i, h), 0) + 1

    def part(self, W: np.ndarray, normal: np.ndarray, band: float) -> None:
        """Neurons that have left their hyperplanes by now had a reason to be let go of."""
        for i, h in self.near | self.futile.keys():
            if not is_on(W[i], normal[h], band):
                self.near.discard((i, h))
                self.futile.pop((i, h), None)
