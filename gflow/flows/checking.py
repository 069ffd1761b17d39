"""A run beside one at a tenth of its tolerance: ``integrate(..., check=True)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..engines.record import Record, read_only
from ..problem.norms import row_norms
from ..problem.rates import Rates
from ..problem.value import Value
from ..problem.words import counted

FINER = 0.1
"""Tolerance of the second run, over that of the first."""


@dataclass(frozen=True, eq=False)
class Checked(Value):
    """Differences of a run from one at a tenth of its ``rtol``: the error of the run, as far as
    errors fall with ``rtol``, and unless both take another branch than the solution.

    Attributes
    ----------
    rtol : float
        Of the run.
    t : ndarray, shape (T,)
        Reported times that both reached.
    difference : ndarray, shape (T, m)
        ``|(a, w) - (a', w')|`` of every neuron, over its size in the second run; a neuron that is 0
        there counts as one of size 1. With speeds of layers of ``(q a, w / q)``, which ``rtol`` is
        relative to (`gflow.problem.rates`).
    loss : ndarray, shape (T,)
        Losses of the run less those of the second.
    events : tuple of int
        How many events the two had.
    same_events : bool
        Whether these are the same, in the same order of each neuron.
    status : str
        How the second run ended.
    """

    rtol: float
    t: np.ndarray
    difference: np.ndarray
    loss: np.ndarray
    events: tuple[int, int]
    same_events: bool
    status: str

    @property
    def largest(self) -> float:
        """The largest difference at a reported time; 0 if there is none."""
        return float(self.difference.max(initial=0.0))

    def __repr__(self) -> str:
        where = ""
        if self.difference.size:
            j, i = np.unravel_index(int(np.argmax(self.difference)), self.difference.shape)
            where = f" (neuron {i}, t = {self.t[j]:.6g})"
        return (f"Checked: largest difference {self.largest:.2e} = {self.largest / self.rtol:.3g} "
                f"rtol{where}, of losses {np.abs(self.loss).max(initial=0.0):.2e}; "
                f"{counted(self.events[0], 'event')} for {self.events[1]}, "
                f"{'the same' if self.same_events else 'not the same'}")


def compare(flow: Record, finer: Record) -> Checked:
    """Compare a run with one at a tenth of its tolerance, at the times that both reported."""
    t, one, other = np.intersect1d(flow.t, finer.t, return_indices=True)
    unit = 1 / Rates(*flow.setting.rates).weights(1, flow.path.d)
    U, V = (unit * np.concatenate([run.a[rows][..., None], run.W[rows]], axis=2)
            for run, rows in ((flow, one), (finer, other)))
    size = row_norms(V)
    difference = row_norms(U - V) / np.where(size > 0, size, 1.0)
    return Checked(float(flow.settings["rtol"]), read_only(t), read_only(difference),
                   read_only(flow.loss[one] - finer.loss[other]),
                   (len(flow.events), len(finer.events)),
                   bool(np.array_equal(_orders(flow.events), _orders(finer.events))),
                   finer.status)


def _orders(events: np.ndarray) -> np.ndarray:
    """What happened to each neuron, in its order; of simultaneous events that of the points."""
    order = np.lexsort((events["to"], events["point"], events["time"], events["neuron"]))
    return np.array(events[["neuron", "point", "to"]][order])
