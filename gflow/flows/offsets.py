"""Whether defects of a run are what a wrong label would leave.

A label that is off pulls every neuron that sees its point, all along, the same way. Errors of a
right run are as large on single intervals, but no constant at one point explains them.
"""

from __future__ import annotations

import numpy as np

from .defect import NODES, Look
from .reference import Reference, Sight

EXPLAINED = 0.6
"""Of the squares of the defects that a point's pull has a part in, its offset explains so much at
least. Of 800 right runs none explained more than a half by an offset that moves neurons by 0.75
``rtol``; of labels changed by 1e-5 at ``rtol`` 1e-8 0.66 was the least, by 2.7."""
OUTLIERS, ROUNDS = 3, 3
"""It does so of all pieces, or without so many that it explains worst, found in so many rounds: a
few long steps of a right run hide what is wrong with all others."""
FEW, SURE = 4, 0.9
"""On fewer pieces than this an offset counts in proportion, and explains ``SURE`` at least: pulls
on a window of the fast engine err by ``20 rtol`` of a neuron at most, and may do so at one point
(by 2.3 on one piece and 7.3 on two, in right runs, which explained 0.76 and 0.68)."""
PART = 1e-6
"""It has a part in those that it moves by more than this part of the most, squared."""
ENOUGH = 8
"""Fewer defects say nothing."""


class Offsets:
    """Least squares of one unknown for every point: a constant that is added to its pull.

    Parameters
    ----------
    reference : Reference
    time : float
        That of the run, which effects are counted in: their squares are then of the size of
        inputs', squared.
    """

    def __init__(self, reference: Reference, time: float) -> None:
        self.reference, self.unit = reference, time or 1.0
        self.pieces: list[np.ndarray] = []

    def add(self, effects: tuple[np.ndarray, ...], defect: np.ndarray, divisor: np.ndarray,
            seen: np.ndarray) -> None:
        """Take in the intervals of a piece.

        Parameters
        ----------
        effects : tuple of ndarray
            From `effects`, of the same neurons.
        defect : ndarray, shape (I, s, d + 1)
            Of neurons, over ``divisor``.
        divisor : ndarray, shape (I, s, d + 1)
            What `defect` was divided by: sizes of neurons, or of their layers, and what errors of
            all weights do.
        seen : ndarray of bool, shape (I, s)
            Which count.
        """
        output, hidden, slid = effects
        # Of neurons on hyperplanes fields are projected: these are left out.
        scale = np.divide(1.0, divisor, out=np.zeros(divisor.shape),
                          where=(seen & ~slid)[..., None] & (divisor > 0))
        output, hidden = output * scale[..., :1], hidden * scale[..., 1:2]
        defect = np.where(scale > 0, defect, 0.0)
        squares = output**2 + hidden**2 * self.reference.lengths**2
        along = (output * defect[..., :1]
                 + hidden * (defect[..., 1:] @ self.reference.X.T)).sum(axis=(0, 1))
        has = squares > PART * max(float(squares.max(initial=0.0)), np.finfo(float).tiny)
        explains = ((defect**2).sum(axis=2)[..., None] * has).sum(axis=(0, 1))
        self.pieces.append(np.array([along, squares.sum(axis=(0, 1)), explains,
                                     has.sum(axis=(0, 1)),
                                     np.sqrt(squares).max(axis=(0, 1), initial=0.0)]))

    def effects(self, look: Look, sight: Sight) -> tuple[np.ndarray, ...]:
        """What pulls larger by 1 over ``unit`` do to output weights, and along their points to
        hidden ones, (I, s, n), on intervals; and which neurons are on hyperplanes there, (I, s).
        ``sight`` is that of some neurons, at the nodes."""
        reference = self.reference
        slopes, values, sizes, lengths = reference.hears(sight)
        shape = len(look.of) // NODES, NODES
        weights = (look.weights / self.unit).reshape(shape)[..., None]
        own = [look.summed(np.einsum("pqs,pqsn->psn", weights * each.reshape(*shape, -1),
                                     of.reshape(*shape, *of.shape[1:])))
               for each, of in ((sizes, values), (sight.a, slopes))]
        own[0] *= lengths
        near = np.abs(sight.z) <= reference.band
        near[:, :, (reference.lengths == 0) | reference.smooth] = False
        moves = np.array(reference.moves, dtype=float) * reference.pace / reference.n
        return (own[0] * (0.0 if reference.two_times else moves[0]), own[1] * moves[1],
                look.summed(near.any(axis=2), np.logical_or))

    def found(self) -> tuple[int, float]:
        """The point whose offset explains most, and by how much it moves a neuron on an interval at
        most, relative to it, in full on `FEW` pieces; (-1, 0.0) if none does."""
        if not self.pieces:
            return -1, 0.0
        along, squares, explains, count, most = np.array(self.pieces).swapaxes(0, 1)
        keep = np.ones(along.shape, dtype=bool)
        share, size = _fit(keep, along, squares, explains, count, most)[1:]
        if len(along) > OUTLIERS:
            for _ in range(ROUNDS):
                offset = _fit(keep, along, squares, explains, count, most)[0]
                left = np.where(count > 0, explains - 2 * offset * along + offset**2 * squares, -1)
                keep[:] = True
                np.put_along_axis(keep, np.argpartition(-left, OUTLIERS, axis=0)[:OUTLIERS], False,
                                  axis=0)
            other = _fit(keep, along, squares, explains, count, most)[1:]
            size = np.where(other[0] > share, other[1], size)
            share = np.maximum(other[0], share)
        best = int(np.argmax(share))
        # NaN is doubt.
        return (-1, 0.0) if share[best] <= EXPLAINED else (best, float(size[best]))


def _fit(keep: np.ndarray, along: np.ndarray, squares: np.ndarray, explains: np.ndarray,
         count: np.ndarray, most: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets (n,) of the pieces to ``keep`` (P, n), shares of the squares of defects that they
    explain, 0 of less than `ENOUGH` defects, and what they do to a neuron at most, as far as it
    counts."""
    one, two, all_, some = ((part * keep).sum(axis=0)
                            for part in (along, squares, explains, count))
    offset = np.divide(one, two, out=np.zeros_like(one), where=two > 0)
    share = np.divide(offset * one, all_, out=np.zeros_like(one),
                      where=(all_ > 0) & (some >= ENOUGH))
    full = np.minimum((keep & (count > 0)).sum(axis=0) / FEW, 1.0)
    share *= np.where(full < 1.0, EXPLAINED / SURE, 1.0)
    return offset, share, full * np.abs(offset) * (most * keep).max(axis=0)
