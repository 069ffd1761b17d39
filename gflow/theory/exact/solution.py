"""What every exact case returns: a start, the data, and the solution as a function of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from collections.abc import Sequence
from typing import Callable, overload

import numpy as np
from numpy.typing import ArrayLike

from ...problem.checks import one_or_more
from ...problem.data import Data
from ...problem.field import mean_loss
from ...problem.loss import SQUARE
from ...problem.network import ModelPath, TwoLayerReLU
from ...problem.quiet import quiet
from ...problem.value import Value
from ...engines.events import EVENT

State = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Output weights (T, m), hidden weights (T, m, d), residuals (T, n)."""


@dataclass(frozen=True, eq=False)
class ExactFlow(Value):
    """A gradient flow in closed form; made by the functions of `gflow.theory.exact`.

    Attributes
    ----------
    model : TwoLayerReLU
        The start.
    data : Data
        The data.
    events : structured ndarray
        Changes of the pattern up to ``until``, in time order, as in `gflow.Flow`.
    until : float
        The closed form holds up to here; infinity if for ever.
    horizon : float
        A time by which most has happened, at most ``until``.
    decay : float
        Weight decay of the flow, for `gflow.integrate`.

    Examples
    --------
    >>> import gflow
    >>> case = gflow.theory.exact.one_point()
    >>> flow = gflow.integrate(case.model, case.data, case.horizon, rtol=1e-11)
    >>> bool(np.abs(case(flow.t).a - flow.a).max() < 1e-10)
    True
    """

    model: TwoLayerReLU
    data: Data
    events: np.ndarray
    until: float
    horizon: float
    state: Callable[[np.ndarray], State] = field(repr=False)
    decay: float = 0.0

    @overload
    def __call__(self, t: float) -> TwoLayerReLU: ...

    @overload
    def __call__(self, t: np.ndarray) -> ModelPath: ...

    def __call__(self, t: ArrayLike) -> TwoLayerReLU | ModelPath:
        """The network at a time, or the path at several (T,).

        Raises
        ------
        ValueError
            If a time is negative or after ``until``.
        """
        a, W, _ = self._state(t)
        return self.model.like(a[0], W[0]) if np.ndim(t) == 0 else ModelPath(a, W, self.model)

    def residual(self, t: ArrayLike) -> np.ndarray:
        """Residuals ``y_k - h(x_k)``, shape (n,), or (T, n) at several times.

        They are closed forms too, accurate relative to themselves however small.
        """
        r = self._state(t)[2]
        return r[0] if np.ndim(t) == 0 else r

    @quiet
    def _state(self, t: ArrayLike) -> State:
        return self.state(self._times(t))

    @overload
    def loss(self, t: float) -> float: ...

    @overload
    def loss(self, t: Sequence[float] | np.ndarray) -> np.ndarray: ...

    @quiet
    def loss(self, t: ArrayLike) -> float | np.ndarray:
        """Loss ``1/(2n) sum r_k^2`` at a time, or (T,) at several."""
        residuals = self.residual(np.atleast_1d(t))
        losses = mean_loss(SQUARE, np.zeros_like(residuals), residuals)
        return float(losses[0]) if np.ndim(t) == 0 else np.asarray(losses)

    def _times(self, t: ArrayLike) -> np.ndarray:
        times = one_or_more(t, "t")
        if times.size and (times.min() < 0 or times.max() > self.until):
            wrong = times[(times < 0) | (times > self.until)][0]
            raise ValueError(f"t = {wrong:g} is outside [0, {self.until:g}], where the closed form "
                             "holds")
        return times


def event_table(records: list[tuple[float, int, int, str, int]]) -> np.ndarray:
    """Records (time, neuron, point, kind, to) as an array in time order.

    Examples
    --------
    >>> event_table([(2.0, 0, 0, "activate", 1), (1.0, 0, 1, "slide", 2)])["time"]
    array([1., 2.])
    """
    return np.array(sorted(records, key=lambda record: record[0]), dtype=EVENT)
