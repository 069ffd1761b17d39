"""What a run keeps when its dense output is not wanted: `save=` of `gflow.integrate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable, TypeAlias

import numpy as np

from ..problem.norms import row_norms, unit_rows
from .protocol import Path
from .rules import State

Quantities = Callable[[State], Mapping[str, Any]]
"""From a state to what is kept of it."""
SaveLike: TypeAlias = str | Sequence[str] | Callable[[State], object] | None
"""What to keep: names of quantities, or a function of a state."""
CHUNK = 4_000_000
"""Numbers in the states that are made at once."""


QUANTITIES: dict[str, Callable[[State], Any]] = {
    "a": lambda state: state.a.copy(),
    "W": lambda state: state.W.copy(),
    "norms": lambda state: row_norms(state.W),
    "directions": lambda state: unit_rows(state.W),
    "loss": lambda state: state.loss,
    "grad_norm": lambda state: state.grad_norm,
}


def as_quantities(save: SaveLike) -> Quantities | None:
    """Normalise the argument ``save`` of `gflow.integrate`.

    Parameters
    ----------
    save : None, list of str, or callable
        Names among ``a``, ``W``, ``norms``, ``directions``, ``loss``, ``grad_norm``; or a function
        of a `gflow.stop.State` that returns an array, kept as ``value``, or a mapping of them.

    Raises
    ------
    TypeError, ValueError
        If it is none of these.

    Examples
    --------
    >>> keep = as_quantities(["loss"])
    >>> keep(State(2.0, np.ones(1), np.ones((1, 1)), 0.1, 0.2, 0.3))
    {'loss': 0.1}
    """
    if save is None:
        return None
    if callable(save):
        def chosen(state: State) -> Mapping[str, Any]:
            value = save(state)
            return value if isinstance(value, Mapping) else {"value": value}
        return chosen
    names = [save] if isinstance(save, str) else save
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"save is a {type(save).__name__}: give a list of names among "
                        f"{', '.join(QUANTITIES)}, or a callable of a State")
    for name in names:
        if name not in QUANTITIES:
            raise ValueError(f"save has {name!r}: choose among {', '.join(QUANTITIES)}, or give a "
                             "callable of a State")
    return lambda state: {name: QUANTITIES[name](state) for name in names}


class Recorder:
    """Keeps quantities at given times while a run is under way, and lets its pieces go.

    Parameters
    ----------
    times : ndarray, shape (T,)
        Increasing.
    quantities : callable
        From `as_quantities`.
    """

    def __init__(self, times: np.ndarray, quantities: Quantities) -> None:
        self.times, self.quantities = times, quantities
        self.reached: list[float] = []
        self.rows: list[Mapping[str, Any]] = []

    def collect(self, path: Path, state: Callable[..., State],
                end: bool = False) -> None:
        """Take the times up to where ``path`` goes, and where it goes to if that is
        the ``end`` of a run that stopped."""
        upto = int(np.searchsorted(self.times, path.t_end, side="right"))
        due = list(self.times[len(self.reached):upto])
        if end and not (due or self.reached)[-1:] == [path.t_end]:
            due.append(path.t_end)
        # A window is marched again for its states: for many times at once.
        some = max(1, CHUNK // (path.m * (path.d + 1)))
        for k in range(0, len(due), some):
            times = np.array(due[k:k + some])
            for t, y in zip(times.tolist(), path(times)):
                self.rows.append(self.quantities(state(t, y)))
                self.reached.append(t)
        path.forget()

    def arrays(self) -> dict[str, np.ndarray]:
        """What was kept, a row for every time."""
        names = self.rows[0] if self.rows else ()
        return {name: np.array([row[name] for row in self.rows]) for name in names}
