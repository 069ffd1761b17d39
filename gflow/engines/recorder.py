"""What a run keeps when its dense output is not wanted: `save=` of `gflow.integrate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable, TypeAlias

import numpy as np

from ..problem.checks import Hidden, unmasked
from ..problem.norms import row_norms, unit_rows
from .origin import Origin
from .rules import State
from ..problem.ragged import stacked
from ..problem.words import kind_of, short

Quantities = Callable[[State], Mapping[str, Any]]
"""From a state to what is kept of it."""
SaveLike: TypeAlias = str | Sequence[str] | Callable[[State], object] | None
"""What to keep: names of quantities, or a function of a state."""
CHUNK = 4_000_000
"""Numbers in the states that are made at once."""
KEPT = "biufc"
"""Kinds of numbers that are kept."""


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
        of a `gflow.stop.State` that returns numbers (an array of any shape), kept as ``value``, or
        a mapping of names to such.

    Raises
    ------
    TypeError, ValueError
        If it is none of these. The function raises a ValueError if what it is given to keep has
        one of these names and is something else.

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
            row = kept(value if isinstance(value, Mapping) else {"value": value})
            _check_own(row, state)
            return row
        return chosen
    names = [save] if isinstance(save, str) else save
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"save is {kind_of(save)}: give a list of names among "
                        f"{', '.join(QUANTITIES)}, or a callable of a State")
    if not names:
        raise ValueError(f"save is empty: name what to keep, among {', '.join(QUANTITIES)}, or "
                         "leave it away")
    for name in names:
        if name not in QUANTITIES:
            raise ValueError(f"save has {short(name)}: choose among {', '.join(QUANTITIES)}, or "
                             "give a callable of a State")
    return lambda state: {name: QUANTITIES[name](state) for name in names}


def kept(row: Mapping[Any, Any]) -> dict[str, np.ndarray]:
    """What is kept of one state: copies, so that nothing that is done later changes them.

    Raises
    ------
    TypeError
        If a name is not a string, or a value is not made of numbers.

    Examples
    --------
    >>> kept({"top": [1, 2]})
    {'top': array([1, 2])}
    """
    out = {}
    for name, value in row.items():
        if not isinstance(name, str):
            raise TypeError(f"save= has the name {short(name)}: give a string")
        try:
            array = unmasked(value).copy()
        except (Hidden, ValueError):
            array = None
        if array is None or array.dtype.kind not in KEPT:
            raise TypeError(f"save= has {short(value)} as {short(name)}: give numbers, all of them "
                            "known")
        out[name] = array
    return out


def _check_own(row: Mapping[str, np.ndarray], state: State) -> None:
    """Refuse other numbers under the names of quantities of ours: the attributes of a run are read
    from what was kept under these.

    Raises
    ------
    ValueError
        In one sentence.
    """
    for name in QUANTITIES:
        if name in row and not np.array_equal(row[name], QUANTITIES[name](state), equal_nan=True):
            raise ValueError(f"save= has other numbers as {name!r} than gflow keeps under that "
                             "name: give them another one")


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
        self.rows: list[tuple[float, dict[str, np.ndarray]]] = []

    @property
    def reached(self) -> list[float]:
        """Times of which something was kept."""
        return [t for t, _ in self.rows]

    def due(self, t_end: float, origin: Origin, end: bool = False
            ) -> Iterator[tuple[float, np.ndarray]]:
        """The times to be kept up to ``t_end``, with the flat states of the engine there; and
        ``t_end`` if that is the ``end`` of a run that stopped."""
        upto = int(np.searchsorted(self.times, t_end, side="right"))
        due = list(self.times[len(self.rows):upto])
        if end and not (due or self.reached)[-1:] == [t_end]:
            due.append(t_end)
        # A window is marched again for its states: for many times at once.
        some = max(1, CHUNK // (origin.path.m * (origin.path.d + 1)))
        for k in range(0, len(due), some):
            times = np.array(due[k:k + some])
            yield from zip(times.tolist(), origin.states(times))

    def keep(self, state: State) -> None:
        """Keep what is wanted of a state."""
        # Time and row at once: Ctrl-C may come between any two lines.
        self.rows.append((state.t, kept(self.quantities(state))))

    def arrays(self) -> dict[str, np.ndarray]:
        """What was kept, a row for every time; where there was none, one of no numbers."""
        names = dict.fromkeys(name for _, row in self.rows for name in row)
        none = np.empty(0)
        return {name: stacked([row.get(name, none) for _, row in self.rows]) for name in names}
