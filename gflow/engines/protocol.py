"""What engines and their dense output promise: `Engine`, `Path`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable, Protocol

import numpy as np

if TYPE_CHECKING:  # pragma: no cover
    from .run import Run

FROZEN = "this path belongs to a finished run and cannot be changed: integrate again"

State = Callable[[], np.ndarray]
"""Gives the flat state ``[a (m), W (m d)]`` when it is asked for."""
Measure = Callable[[float, State], tuple[Callable[[], float], Callable[[], float]]]
"""From a time, and the state there, to functions that give its loss, and the norm of its gradient
on the pattern of the last piece."""


class Path(Protocol):
    """A continuous path of a network from time 0 to ``t_end``.

    1. It is made of consecutive pieces: piece p from ``breaks[p]`` to ``breaks[p + 1]``. On a piece
       no neuron changes its pattern (stepper), or all that do are in the piece (fast engine).
    2. A state is flat: ``[a (m), W (m d)]``. ``path(t)`` gives it at times in [0, t_end], at a
       break that of the piece that ends there.
    3. While a run is under way its engine appends pieces, and may cut the last one or forget all
       others. After `freeze` nothing changes any more: these methods then raise.
    4. Reading changes nothing that another reader could see: any number of threads get the same
       answers, bit for bit, as one. It holds no thread, pool or scratch array.
    5. It can be pickled and copied, and `to_arrays` is all there is to it: plain arrays from
       which it can be made again.
    6. Times are those of whoever asks: `gflow.engines.timed.Timed` and
       `gflow.engines.rescaled.Rescaled` show the path of an engine with another clock or units.
    7. ``scaled`` is for weights below the range of double precision: neurons in units of powers
       of two.
    """

    m: int
    d: int

    @property
    def breaks(self) -> list[float]:
        """Times between pieces, both ends included."""

    @property
    def pieces(self) -> Sequence[Any]:
        """The pieces, in an engine's own form."""

    @property
    def t_end(self) -> float:
        """Time reached."""

    @property
    def start(self) -> np.ndarray:
        """State (m (d + 1),) at the first break."""

    def __call__(self, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) at the times ``t`` (T,)."""

    def scaled(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Neurons (T, m, d + 1) at the times ``t``, in units of 2 to the power (T, m)."""

    def evaluate(self, p: int, t: np.ndarray) -> np.ndarray:
        """States (T, m (d + 1)) of piece ``p``."""

    def dissipation(self, p: int, end: float | None = None) -> float:
        """Integral of ``|theta'|^2`` over piece ``p``, up to where the path ends, or the time
        ``end`` before."""

    def cut(self, t: float) -> None:
        """End the path at ``t``, inside the last piece."""

    def forget(self) -> None:
        """Keep only the last piece."""

    def snapshot(self) -> Path:
        """The path so far, which does not grow with this one."""

    def freeze(self) -> None:
        """The run is over."""

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays, for saving."""


class Engine(Protocol):
    """Carries a network along its flow.

    1. It is made from a problem and a tolerance, and has settled the pattern of the start:
       ``initial_codes`` (m, n), see `gflow.engines.events`.
    2. ``integrate(run)`` advances piece by piece up to ``run.t_max``. After every piece the path
       has it and its events are in ``run.record``; then it calls ``run.check(self.measure)``, which
       may raise `gflow.engines.run.Stop`.
    3. It raises `Stop` itself for what it cannot do, with a status of `OUTCOMES` and a sentence
       that names the neuron and the point. Everything up to there is in the path and in the
       record: nothing already computed is lost.
    4. It never returns numbers that it knows to be wrong: where it has to choose between several
       solutions it tells the choice in ``choices``.
    5. Every loop is bounded, and `run.check` is reached in bounded time: Ctrl-C and stopping rules
       are heard.
    6. When ``integrate`` returns or raises it holds no thread. Threads do not change its numbers.
    7. Patterns are switched by `gflow.kernels` alone (crossing, sliding, release): the same rules
       for every engine.
    8. It asks of a loss only pulls, curvatures and values; what it needs beyond that (the reduced
       system: that the loss is quadratic) it does without if the loss says no. Its time is that of
       a `gflow.problem.clock.Clock`, under pulls times ``dt/ds``.
    9. It counts what it costs: ``nfev`` right-hand sides or rounds, ``njev``, ``steps``,
       ``cuts``, ``rejected`` and ``reduced`` steps.
    """

    initial_codes: np.ndarray
    nfev: int
    njev: int
    steps: int
    cuts: int
    rejected: int
    reduced: int

    @property
    def path(self) -> Path:
        """The dense output."""

    @property
    def choices(self) -> list[np.ndarray]:
        """Arrays (K, 6) of choices where the solution was not unique, a row for each hyperplane
        that the neuron lies on: neuron, time, hyperplane, side, side in another solution, number
        of solutions."""

    def integrate(self, run: Run) -> None:
        """Run to the end."""

    def go_on(self, path: Any, codes: np.ndarray, met: np.ndarray) -> None:
        """Take up a run at the break before its last: ``path`` of this engine, the pattern there,
        and the pairs (m, n) that have met."""

    def measure(self, t: float, state: State) -> tuple[Callable[[], float], Callable[[], float]]:
        """See `Measure`."""
