"""Neurons on intervals of a run, against integrals of the field there."""

from __future__ import annotations

import numpy as np

from ..engines.record import Record
from ..problem.norms import row_norms
from .defect import Look, defects
from .offsets import Offsets
from .reference import Reference

ENOUGH = 8
"""Of so many intervals the mean of the defects of a neuron is judged."""
LASTING, OUTLIERS, SPARE = 0.5, 3, 1
"""Of the mean of many intervals, with what exceeds `CLIP` ``rtol`` cut to that: errors of a right
run come and go, so that it is ``LASTING`` at most, but for so many outliers, each a whole piece:
what a long step errs by is of one sign on all intervals in it. They are left out, those first that
add most to the sum, and one more is granted where there are few pieces: 0.2 of all that was the
largest of 621 right runs."""
CLIP, CLIP_ROUNDING = 10.0, 3e-10
TOGETHER = 500_000
"""Numbers of so many neurons at a time, about: all of them would not stay where they are quick to
reach."""


class Following:
    """Defects of neurons on intervals, and what they add up to.

    Parameters
    ----------
    flow : Record
    reference : Reference
    marks : ndarray, shape (n,)
        Random numbers, by which patterns are told apart.
    step : float
        What a defect may be.

    Attributes
    ----------
    defect : ndarray, shape (m,)
        The largest of each neuron.
    met : ndarray of bool, shape (m,)
        Which were compared on an interval.
    offsets : Offsets
    """

    def __init__(self, flow: Record, reference: Reference, marks: np.ndarray, step: float) -> None:
        self.flow, self.reference, self.marks, self.step = flow, reference, marks, step
        self.m, self.d = flow.path.m, flow.path.d
        self.clip = max(CLIP * reference.rtol, CLIP_ROUNDING)
        self.offsets = Offsets(reference, flow.path.t_end)
        self.defect, self.met = np.zeros(self.m), np.zeros(self.m, dtype=bool)
        self.parts: list[tuple[np.ndarray, np.ndarray]] = []
        self.count, self.granted = np.zeros((2, self.m))
        self.shown = self.looked = 0

    @property
    def share(self) -> float:
        """Of all living neurons times intervals, what was compared."""
        return self.looked / self.shown if self.shown else 1.0

    def add(self, look: Look, who: np.ndarray, granted: float, ends: np.ndarray,
            nodes: np.ndarray, codes: np.ndarray, gone: np.ndarray) -> None:
        """Take in the intervals of a piece.

        Parameters
        ----------
        look : Look
        who : ndarray of int, shape (s,)
            Neurons to compare.
        granted : float
            By how much more than usual the means of their defects may be.
        ends, nodes : ndarray, shapes (2 I, m (d + 1)) and (J, m (d + 1))
            States at the starts and then at the ends of the intervals, and at their nodes.
        codes : ndarray, shape (m, n)
            A pattern of the piece: neurons of equal ones are looked at together.
        gone : ndarray of bool, shape (m,)
            Neurons that are left out.
        """
        reference = self.reference
        # Those of one pattern after the other: what they slide on is worked out once for all.
        turn = np.argsort(codes[who].astype(float) @ self.marks, kind="stable")
        who = who[turn]
        first, last = self._neurons(ends, who)
        all_, (a, W) = reference.see(nodes, who[:0]), reference.split(nodes)
        some = max(1, TOGETHER // (len(nodes) * reference.n))
        parts = []
        for i in range(0, who.size, some):
            own = who[i:i + some]
            sight = reference.some(all_, a[:, own], W[:, own])
            parts.append((*defects(reference, look, first[:, i:i + some], last[:, i:i + some],
                                   sight), *self.offsets.effects(look, sight),
                          (reference.moving(sight) & (np.abs(sight.a).max(axis=0) > 0))[None]))
        found, spread, measure, *effects, moving = (np.concatenate(part, axis=1)
                                                    for part in zip(*parts))
        for j in np.flatnonzero(look.crossed):
            # Those that have an event inside are not compared.
            upto = np.searchsorted(self.flow.events["time"], look.ends[j], side="right")
            found[j, np.isin(who, self.flow.events["neuron"][slice(*upto)])] = np.nan
        gone = gone[who]
        living = np.tile(moving[0] & ~gone, (len(first), 1))
        left = np.isnan(found).any(axis=2) & np.isfinite(first).all() & np.isfinite(last).all()
        seen = living & ~left
        self.shown += int(living.sum())
        self.looked += int(seen.sum())
        self.met[who] |= seen.any(axis=0)
        # Halves of an interval as the whole one.
        grants = 1 + spread / look.share[:, None] + look.blur[:, None] / self.step
        found /= grants[..., None]
        self.offsets.add(tuple(effects), found, grants[..., None] * measure, seen)
        sizes = np.where(gone, 0.0, np.sqrt((found**2).sum(axis=2)))
        sizes[left] = 0.0
        self.defect[who] = np.maximum(self.defect[who], sizes.max(axis=0))
        clip = self.clip * look.share[:, None]
        cut = np.minimum(1.0, clip / np.maximum(sizes, clip))
        self.parts.append((who, np.where(seen[..., None], found * cut[..., None], 0.0).sum(axis=0)))
        self.count[who] += look.share @ seen
        self.granted[who] += granted * (look.share @ seen)

    def _neurons(self, states: np.ndarray, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Neurons (I, s, d + 1) at the starts and at the ends of intervals."""
        a, W = self.reference.split(states)
        both = np.concatenate([a[:, who, None], W[:, who]], axis=2)
        return both[:len(both) // 2], both[len(both) // 2:]

    def lasting(self, intervals: int) -> np.ndarray:
        """Means of the defects (m,) over what they may be, with so many intervals a piece; 0 of
        neurons of too few. Sums: so that an outlier weighs the less the more there are."""
        most = LASTING * self.granted + CLIP * SPARE * intervals
        sums = self._sums() / (self.clip / CLIP * most)
        return np.where(self.count >= ENOUGH, sums, 0.0)

    def _sums(self) -> np.ndarray:
        """Norms of the sums (m,) of all defects of a neuron, but for `OUTLIERS` pieces of each."""
        total = np.zeros((self.m, self.d + 1))
        for who, part in self.parts:
            total[who] += part
        left = [part.copy() for _, part in self.parts]
        for _ in range(OUTLIERS):
            # By how much the square of a sum falls without a piece, and which one does most.
            most, which = np.zeros(self.m), np.full(self.m, -1)
            for p, ((who, _), part) in enumerate(zip(self.parts, left)):
                falls = (part * (2 * total[who] - part)).sum(axis=1)
                more = falls > most[who]
                most[who[more]], which[who[more]] = falls[more], p
            for p in np.unique(which[which >= 0]):
                who = self.parts[p][0]
                own = which[who] == p
                total[who[own]] -= left[p][own]
                left[p][own] = 0.0
        return row_norms(total)
