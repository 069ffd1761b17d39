r"""Speeds of the layers: :math:`\dot a = \epsilon_a w \cdot D`, :math:`\dot w = \epsilon_w a D`.

With :math:`q = (\epsilon_w/\epsilon_a)^{1/4}` the weights :math:`(q a, w/q)` follow the flow with
both speeds 1 in the time :math:`\sqrt{\epsilon_a \epsilon_w}\, t`: multiply the equations by
:math:`q` and :math:`1/q` and count. The network is the same, since :math:`q a \cdot w/q = a w`, and
so is the loss, and :math:`a^2 - |w|^2` of that flow is :math:`(\epsilon_a \epsilon_w)^{1/2}
(a^2/\epsilon_a - |w|^2/\epsilon_w)`. Kunin, Raventos, Domine, Chen, Klindt, Saxe and Ganguli, "Get
rich quick", 2024, section 3 (the invariant).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from .checks import non_negative
from .network import TwoLayer
from .words import short

RatesLike: TypeAlias = tuple[float | str, float]
"""Speeds of output and hidden weights; "fast" for output weights that are optimal at every time."""


class Rates:
    """Speeds of output and hidden weights, as a change of weights and of time.

    Parameters
    ----------
    output, hidden : float
        Not negative; if one of them is 0, or the first one infinite, it stays so.
    t_max : float
        End of the run, which is met to the last bit.

    Attributes
    ----------
    factor : float
        ``q``: output weights are multiplied by it, hidden ones divided.
    pace : float
        Time inside over time outside.

    Examples
    --------
    >>> rates = Rates(16.0, 1.0, t_max=3.0)
    >>> rates.factor, rates.pace, rates.inside(3.0), float(rates.outside(12.0))
    (0.5, 4.0, 12.0, 3.0)
    """

    def __init__(self, output: float = 1.0, hidden: float = 1.0, t_max: float = np.inf) -> None:
        self.output, self.hidden, self.t_max = output, hidden, t_max
        self.factor, self.pace = 1.0, hidden if output == np.inf else max(output, hidden)
        if output and hidden and output < np.inf:
            self.factor = (hidden / output) ** 0.25
            self.pace = float(np.sqrt(output) * np.sqrt(hidden))

    def __bool__(self) -> bool:
        return (self.factor, self.pace) != (1.0, 1.0)

    def inside(self, t: Any) -> Any:
        """Times of the flow with both speeds 1."""
        return t * self.pace if self else t

    def outside(self, t: Any) -> Any:
        """Times of the flow with these speeds."""
        if not self:
            return t
        # Monotone, never past the end, and there if it is reached, whatever rounding does.
        return np.where(t >= self.inside(self.t_max), self.t_max,
                        np.minimum(t / self.pace, self.t_max))

    def model(self, model: TwoLayer) -> TwoLayer:
        """The network whose flow with both speeds 1 this one has."""
        if not self:
            return model
        return model.like(model.a * self.factor, model.W / self.factor, model.log_scale)

    def weights(self, m: int, d: int) -> np.ndarray:
        """What flat states (m (d + 1),) from inside are multiplied by."""
        return np.concatenate([np.full(m, 1 / self.factor), np.full(m * d, self.factor)])


def as_rates(rates: object) -> tuple[float, float]:
    """Check the argument ``rates`` of `gflow.integrate`.

    Raises
    ------
    TypeError, ValueError
        If it is no pair of numbers, 0 or more; if both are 0, or their ratio is beyond 1e100
        either way.

    Examples
    --------
    >>> as_rates([2, 1]), as_rates(("fast", 1))
    ((2.0, 1.0), (inf, 1.0))
    """
    if isinstance(rates, np.ndarray):
        rates = rates.tolist()
    if not isinstance(rates, tuple | list) or len(rates) != 2:
        raise TypeError(f"rates is {short(rates)}: give a pair, the speed of the output weights "
                        "and that of the hidden ones")
    fast = isinstance(rates[0], str | float) and rates[0] in ("fast", np.inf)
    output = 1.0 if fast else non_negative(rates[0], "rates[0]")
    hidden = non_negative(rates[1], "rates[1]")
    if fast and not hidden:
        raise ValueError("rates = (\"fast\", 0): hidden weights must move; give a positive speed")
    if not (output or hidden):
        raise ValueError("rates = (0, 0): with these nothing moves; give a positive one")
    if any(not 1e-50 <= rate <= 1e50 for rate in (output, hidden) if rate):
        raise ValueError(f"rates = ({output:g}, {hidden:g}): give 0, or numbers between 1e-50 and "
                         "1e50")
    return np.inf if fast else output, hidden
