"""Whether defects of a run are what a wrong label would leave.

A label that is off pulls every neuron that sees its point, all along, the same way. Errors of a
right run are as large on single intervals, but no constant at one point explains them.
"""

from __future__ import annotations

import numpy as np

from .defect import NODES, Look
from .reference import Reference, Sight

EXPLAINED = 0.75
"""Of the squares of the defects that a point's pull has a part in, its offset explains so much at
least. On 2500 right runs it was less than 0.6 of them wherever what it explained was more than 1
``rtol``; of labels changed by 1e-5 at `rtol` 1e-8 0.93 was the least."""
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
        self.along, self.squares, self.count, self.most = np.zeros((4, reference.n))
        self.explains = np.zeros(reference.n)

    def add(self, look: Look, sight: Sight, defect: np.ndarray, divisor: np.ndarray,
            seen: np.ndarray) -> None:
        """Take in the intervals of a piece.

        Parameters
        ----------
        look : Look
        sight : Sight
            At its nodes.
        defect : ndarray, shape (I, s, d + 1)
            Of neurons, over ``divisor``.
        divisor : ndarray, shape (I, s)
            What `defect` was divided by: sizes of neurons and what errors of all weights do.
        seen : ndarray of bool, shape (I, s)
            Which count.
        """
        output, hidden = self._effects(look, sight)
        # Of neurons on hyperplanes fields are projected: these are left out.
        near = np.abs(sight.z) <= self.reference.band
        near[:, :, self.reference.lengths == 0] = False
        slid = np.zeros(seen.shape, dtype=bool)
        if not self.reference.smooth:
            np.logical_or.at(slid, look.of, near.any(axis=2))
        scale = np.divide(1.0, divisor, out=np.zeros(divisor.shape),
                          where=seen & ~slid & (divisor > 0))[..., None]
        output, hidden = output * scale, hidden * scale
        defect = np.where(scale > 0, defect, 0.0)
        squares = output**2 + hidden**2 * self.reference.lengths**2
        self.along += (output * defect[..., :1]
                       + hidden * (defect[..., 1:] @ self.reference.X.T)).sum(axis=(0, 1))
        self.squares += squares.sum(axis=(0, 1))
        has = squares > PART * max(float(squares.max(initial=0.0)), np.finfo(float).tiny)
        self.count += has.sum(axis=(0, 1))
        self.explains += ((defect**2).sum(axis=2)[..., None] * has).sum(axis=(0, 1))
        self.most = np.maximum(self.most, np.sqrt(squares).max(axis=(0, 1), initial=0.0))

    def _effects(self, look: Look, sight: Sight) -> tuple[np.ndarray, np.ndarray]:
        """What pulls larger by 1 over ``unit`` do to output weights, and along their points to
        hidden ones, (I, s, n), on intervals."""
        slopes, outputs = self.reference.hears(sight)
        parts = len(look.of) // NODES
        weights = look.weights.reshape(parts, NODES) / self.unit
        own = np.zeros((2, len(look.ends), *slopes.shape[1:]))
        for each, values in zip(own, (outputs, slopes * sight.a[..., None])):
            np.add.at(each, look.of[::NODES], np.einsum(
                "pq,pqsn->psn", weights, values.reshape(parts, NODES, *values.shape[1:])))
        reference = self.reference
        moves = np.array(reference.moves, dtype=float) * reference.pace / reference.n
        return own[0] * (0.0 if reference.two_times else moves[0]), own[1] * moves[1]

    def found(self) -> tuple[int, float]:
        """The point whose offset explains most, and by how much it moves a neuron on an interval at
        most, relative to it; (-1, 0.0) if none does."""
        squares = np.where(self.squares > 0, self.squares, 1.0)
        share = np.divide(self.along**2 / squares, self.explains, out=np.zeros(len(squares)),
                          where=(self.explains > 0) & (self.count >= ENOUGH))
        best = int(np.argmax(share))
        if share[best] <= EXPLAINED:
            return -1, 0.0
        return best, float(abs(self.along[best]) / squares[best] * self.most[best])
