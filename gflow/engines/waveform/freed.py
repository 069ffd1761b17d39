"""Where a neuron that is on a hyperplane, and does not slide, may as well leave to the other side.

The rule is that of steppers (`gflow.engines.sliding.Margins.opening`), on windows. Neurons that are
on hyperplanes are known to the march: it has them loose there until they have left them by more
than errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ...kernels.chebyshev import nodes, to_series
from ...kernels.crossings import ON_SURFACE, RESIDUAL_ERROR
from ...kernels.slides import margins_beside
from ...problem.field import Field
from ...problem.norms import row_norms
from ..pattern import Geometry
from ..held import is_on
from ..sliding import CLEAR, NAUGHT, Margins, is_even, led_apart, waits
from .calm import Calm
from .guess import DEGREE
from .marcher import Marcher, Patterns
from .response import Quadratic
from .window import Window

NO_CHOICES = np.empty((0, 6))
Event = tuple[int, float, int, float]
Part = tuple[int, int, float, float, np.ndarray]
"""Neuron, hyperplane, begin and end in [-1, 1], and the sides (C,) of the neuron there."""
KNOWN = 10.0
"""A margin of so many times its error is not 0: on windows nothing swings as on steps at their
limit of stability (`gflow.engines.sliding.NAUGHT`)."""
MOST = 64
"""Pairs of a neuron and a hyperplane that are looked at on a window, the nearest to each other
first: some 0.05 ms each, where at coarse tolerances thousands may wait on a wide network. A choice
of one that is not looked at goes untold; certificates ask for it."""


class Opening(NamedTuple):
    """What becomes of a neuron beside a hyperplane on a part of a window.

    Attributes
    ----------
    begin, end : float
        The part, in [-1, 1].
    side : int
        Where it is.
    s, waits
        See `gflow.engines.sliding.Margins.opening`.
    first : float
        Its margin across at ``begin``, in units of its error; NaN where it has none.
    last : tuple of float
        Its own margin and that across at ``end``.
    """

    begin: float
    end: float
    side: int
    s: float
    waits: bool
    first: float
    last: tuple[float, float]


class Freed:
    """Choices that only rounding makes, on one window after the other.

    Parameters
    ----------
    marcher : Marcher
    """

    def __init__(self, marcher: Marcher) -> None:
        self.marcher, self.band = marcher, max(marcher.rtol, ON_SURFACE)
        self.geometry = Geometry.of(marcher.data, marcher.activation)
        self.told: set[tuple[int, int]] = set()
        # Those that came off a hyperplane, and nothing decides it so far; and between two windows.
        self.waiting: set[tuple[int, int]] = set()
        self.fresh: set[tuple[int, int]] = set()
        # When both margins were errors as a slide ended, of some that wait.
        self.even: dict[tuple[int, int], float] = {}
        self.signs, self.turned = np.empty(0), np.empty(0, dtype=bool)

    def choices(self, window: Window, side: np.ndarray, error: np.ndarray,
                state: Callable[[float], np.ndarray]) -> np.ndarray:
        """Choices on a window, as `gflow.engines.waveform.logs.choices` has them.

        Of leaky neurons those are told where slides end, see `gflow.engines.pattern.undecided`; a
        dead neuron stays where it is by convention.

        Parameters
        ----------
        window : Window
            With its events, in time order.
        side : ndarray, shape (m, C)
            Sides at its start.
        error : ndarray, shape (n,)
            What errors of the weights do to pulls on it, see `Marcher.errors`.
        state : callable
            Neurons (m, d + 1) at a time in [-1, 1], each in a unit of its own.
        """
        log, signs = window.events, np.sign(window.U[:, 0])
        self.turned = signs * (self.signs if self.signs.size else signs) < 0
        self.signs = signs
        freed = np.flatnonzero((log[:, 3] == 0) & (log[:, 2] >= 0) & (log[:, 4] != 0))
        if self.marcher.activation.slope or not (window.loose.size or freed.size or self.waiting):
            return NO_CHOICES
        if self.told:
            # What was chosen is over where the neuron meets the hyperplane again.
            self.told.difference_update(map(tuple, log[:, [0, 2]].astype(np.int64).tolist()))
        # One that slides again is to be let go of anew.
        self.even = {pair: t for pair, t in self.even.items() if side[pair] != 0}
        before, C = window.loose, side.shape[1]
        if self.waiting:
            before = np.union1d(before, np.array([i * C + h for i, h in self.waiting], dtype=int))
        before = before[side.reshape(-1)[before] != 0]
        pairs = np.append(before, (log[freed, 0] * C + log[freed, 2]).astype(np.int64))
        begin = np.append(np.zeros(before.size, dtype=np.int64), freed + 1)
        waiting, self.waiting, rows = self.waiting, set(), []
        error, open_ = RESIDUAL_ERROR * error, self.fresh | self.even.keys()
        some = self._turns(*np.divmod(pairs, C), window, error)
        if open_:
            some = np.union1d(some, np.flatnonzero(
                np.isin(pairs, [i * C + h for i, h in open_]))).astype(np.int64)
        if not some.size:
            return NO_CHOICES
        if some.size > MOST:
            i, h = np.divmod(pairs[some], C)
            some = np.sort(some[self._nearest(i, h, window)])
        parts: list[Part] = []
        spans = []
        events = _events(log, pairs[some] // C)
        for pair, first in zip(pairs[some].tolist(), begin[some].tolist()):
            i, h = divmod(pair, C)
            came = log[first - 1, 1] if first else -1.0
            own = list(_parts(events.get(i, []), i, h, first, came, side[i]))
            spans.append((i, h, first, len(parts), len(parts) + len(own)))
            parts += own
        opened = self._openings(parts, window, error, state) if parts else []
        # Only those that are looked at stay: of others it would not be known what became of them.
        even, self.even = self.even, {}
        for i, h, first, low, high in spans:
            since = self.even.pop((i, h), even.pop((i, h), np.inf))
            row, wait = self._of(i, h, opened[low:high], window, first > 0 or (i, h) in self.fresh,
                                 since)
            rows += row
            if wait and (first > 0 or (i, h) in waiting) or (i, h) in self.even:
                self.waiting.add((i, h))
        self.fresh = set()
        return np.array(rows).reshape(-1, 6)

    def near(self, side: np.ndarray, loose: np.ndarray, patterns: Patterns) -> np.ndarray:
        """Flat indices in (m, C) of hyperplanes that neurons are on and do not slide on; of those
        neurons that are active somewhere."""
        if self.marcher.activation.slope:
            return np.empty(0, dtype=np.int64)
        moves = self.marcher.moves(side[patterns.first])[patterns.of]
        return np.flatnonzero(loose & (side != 0) & moves[:, None])

    def calm_choices(self, piece: Calm, near: np.ndarray, side: np.ndarray, patterns: Patterns,
                     field: Field, response: Quadratic) -> np.ndarray:
        """The same on a piece without events, of the pairs that are `near`; ``response`` is that of
        the nodes of the piece."""
        if not (near.size or self.waiting):
            return NO_CHOICES
        states, power = piece.states(nodes(DEGREE)), piece.powers(nodes(DEGREE))
        h = np.array([field.outputs(np.ldexp(U[:, 0], unit), np.ldexp(U[:, 1:], unit[:, None]))
                      for U, unit in zip(states.swapaxes(0, 1), power)])
        bend = response.curvature(h)
        sizes = np.abs(states[:, 0, 0]) * np.sqrt((states[:, 0, 1:]**2).sum(axis=1))
        strength = np.ldexp(sizes, 2 * power[0]).sum()
        window = Window(piece.t0, piece.t1, states[:, 0], power[0], near, np.empty(0), np.empty(0),
                        strength if bend is None else strength * bend.max(axis=0),
                        response.pulls(h))
        error = self.marcher.errors(window, patterns.of, side[patterns.first])
        return self.choices(window, side, error, lambda s: piece.states(np.array([s]))[:, 0])

    def _turns(self, i: np.ndarray, h: np.ndarray, window: Window, error: np.ndarray
               ) -> np.ndarray:
        """Which neurons ``i`` (K,) have a hyperplane ``h`` that may come to repel them on a window,
        or may do so but for errors: on others nothing is to be decided. (Two margins add up to the
        pull across, which is negative there and was not, or not while the output weight had
        another sign.)"""
        A = self.marcher.data.arrangement
        if not i.size:
            return i
        lengths = np.abs(A.length)
        across = np.add.reduceat((lengths * window.values)[:, A.member], A.start[:-1], axis=1)
        repels = across[:, h] * np.sign(window.U[i, 0])
        slack = (CLEAR + NAUGHT) * float(error @ lengths)
        return np.flatnonzero((repels.max(axis=0) > -slack) & (
            (repels.min(axis=0) < slack) | self.turned[i]))

    def _nearest(self, i: np.ndarray, h: np.ndarray, window: Window) -> np.ndarray:
        """The `MOST` of the neurons ``i`` (K,) that are nearest to their hyperplanes ``h`` at the
        start of a window, relative to their size."""
        W = window.U[i, 1:]
        off = np.abs((W * self.marcher.geometry.normal[h]).sum(axis=1))
        off /= np.maximum(row_norms(W), np.finfo(float).tiny)
        return np.argsort(off, kind="stable")[:MOST]

    def _of(self, i: int, h: int, opened: list[Opening], window: Window, fresh: bool,
            even: float) -> tuple[list[list[float]], bool]:
        """The first choice of a neuron at a hyperplane, which a ``fresh`` one has slid on until
        now, from its parts of a window in turn; and whether it waits for one at the end of it. It
        is ``even`` since that time."""
        wait = False
        for part in opened:
            begin, t = (window.t0 + (s + 1) / 2 * (window.t1 - window.t0) for s in (
                part.begin, part.begin + (part.s + 1) / 2 * (part.end - part.begin)))
            if fresh:
                even = begin if abs(part.first) <= KNOWN else np.inf
            fresh, even = False, even if is_even(*part.last) else np.inf
            if (part.s <= 1.0 or even < np.inf and led_apart(*part.last, KNOWN)) and (
                    i, h) not in self.told:
                self.told.add((i, h))
                return [[i, min(t, even), h, part.side, -part.side, 2]], False
            wait = part.waits and part.end == 1.0
        if even < np.inf:
            self.even[i, h] = even
        return [], wait

    def _openings(self, parts: list[Part], window: Window, error: np.ndarray,
                  state: Callable[[float], np.ndarray]) -> list[Opening]:
        """What `Margins.opening` says of every part (neuron, hyperplane, begin, end, sides)."""
        i, h, begin, end = (np.array(column) for column in list(zip(*parts))[:4])
        side = np.array([part[4] for part in parts])
        sign, now = np.sign(window.U[i, 0]), side[np.arange(len(h)), h]
        margins, points = Margins(self.geometry, window.values, error), self.geometry
        own, across, wrong = margins_beside(margins.p, margins.error, side, h, sign,
                                            self.marcher.geometry.normal, points.X, points.label,
                                            points.length)
        asked = (now != 0) & (sign != 0) & np.isfinite(wrong) & self.marcher.moves(side)
        # As series, on their parts of the window.
        to, both = to_series(margins.fine), np.stack([own, across], axis=2)
        cut = np.flatnonzero((begin > -1.0) | (end < 1.0))
        angle = np.arccos(np.clip(begin[cut] + (nodes(margins.fine)[:, None] + 1) / 2
                                  * (end - begin)[cut], -1.0, 1.0)).T
        both[cut] = np.cos(angle[..., None] * np.arange(margins.fine + 1)) @ (to @ both[cut])
        series = to @ both
        clear = CLEAR * wrong
        stays = series[:, 0] - np.abs(series[:, 1:]).sum(axis=1) > -clear[:, None]
        # What a look at all of it would say of most.
        never = stays[:, 1] & (stays[:, 0] | (both[:, 0, 0] < -clear))
        waiting = waits(both[..., 0], both[..., 1], wrong)
        when, wait = np.full(len(parts), 2.0), waiting & asked
        for k in np.flatnonzero(asked & ~never).tolist():
            when[k], wait[k] = margins.opening(
                both[k, :, 0], both[k, :, 1], float(wrong[k]), lambda s: is_on(
                    state(begin[k] + (s + 1) / 2 * (end[k] - begin[k]))[i[k], 1:],
                    self.marcher.geometry.normal[h[k]], self.band))
        # By errors of 0 comparisons are what they should be, and false where there are none.
        with np.errstate(divide="ignore", invalid="ignore"):
            size = both[:, [0, -1]] / np.where(asked, wrong, np.nan)[:, None, None]
        return list(map(Opening, begin.tolist(), end.tolist(), now.tolist(), when.tolist(),
                        wait.tolist(), size[:, 0, 1].tolist(), map(tuple, size[:, 1].tolist())))


def _events(log: np.ndarray, some: np.ndarray) -> dict[int, list[Event]]:
    """The events (number, time, hyperplane, new side) of neurons ``some`` (K,), each in turn."""
    own: dict[int, list[Event]] = {}
    where = np.flatnonzero(np.isin(log[:, 0], some))
    for j, (i, s, plane, _, new) in zip(where.tolist(), log[where, :5].tolist()):
        own.setdefault(int(i), []).append((j, s, int(plane), new))
    return own


def _parts(events: list[Event], i: int, h: int, first: int, came: float, side: np.ndarray
           ) -> Iterator[Part]:
    """The parts of a window on which no side of neuron ``i`` changes: after ``first`` events of
    all, the last of them at ``came``, until it meets ``h`` or comes to rest. ``events`` are its
    own, and ``side`` (C,) its start."""
    side, begin = side.copy(), came
    for j, s, plane, new in events:
        if j >= first:
            if s > begin:
                yield i, h, begin, s, side.copy()
                begin = s
            if plane in (h, -1):
                return
        side[plane] = new
    if begin < 1.0:
        yield i, h, begin, 1.0, side
