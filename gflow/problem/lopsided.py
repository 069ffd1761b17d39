"""Neurons with layers so unlike that `rtol` of their norm is more than anything that they put out.

Errors of a neuron are measured relative to its norm ``|u|``, ``u = (a, w)``. What it puts out then
errs by ``rtol |u|^2 |x|``, which is ``rtol`` of its output ``|a| |w| |x|`` or of the labels, unless
one layer is far larger than the other: beside ``|w| = 1e5`` an output weight of 1e-5 matters, and
is nothing. There the smaller layer is measured by itself. Neurons that no point activates put out
nothing, and never move.
"""

from __future__ import annotations

import numpy as np

from .field import Field
from .norms import row_norms, unit_rows
from .quiet import quiet

MOST = 1e3
"""Square of a norm, over the largest ``|a| |w|`` or what is worth a label, from which on layers
count as unlike. Larger: outputs may err by so many `rtol` / smaller: other tolerances where nothing
is wrong."""
LEFT = 10.0
"""What errors of outputs may be over ``rtol`` where layers are unlike."""
LEAST = 1e-100
"""No size is less than this part of the norm: it must have a square."""


class Lopsided:
    """How to measure the layers of neurons of a problem.

    Parameters
    ----------
    field : Field
        Data and loss.
    a, W : ndarray, shapes (m,) and (m, d)
        The start, which may be in units of ``2 ** power``.
    power : ndarray, shape (m,), optional

    Attributes
    ----------
    log_excess : ndarray, shape (m,)
        Logarithm of ``|u|^2 / S``, with S the largest output of a neuron, or label, over the length
        of the longest point; 0 for a neuron that no point activates.

    Examples
    --------
    >>> from .data import Data
    >>> a, W = np.zeros(1), np.array([[1e5]])
    >>> found = Lopsided(Field(Data([[1.0], [2.0]], [1.0, 1.0])), a, W)
    >>> found.log_excess.round(2), found.any, found.sizes(a, W)
    (array([23.72]), True, array([5.e-05, 1.e+05]))
    """

    @quiet
    def __init__(self, field: Field, a: np.ndarray, W: np.ndarray,
                 power: np.ndarray | None = None) -> None:
        unit = np.zeros(a.size) if power is None else power * np.log(2.0)
        longest = float(row_norms(field.data.X).max(initial=0.0))
        with np.errstate(all="ignore"):
            out, hidden = np.log(np.abs(a)) + unit, np.log(row_norms(W)) + unit
            # A label is where the pull would vanish if the loss was a parabola.
            none = np.zeros(field.data.n)
            labels = np.log(np.abs(field.first_pulls).max()) - np.log(field.curvature(none).max())
            z = unit_rows(W) @ (field.data.X / longest).T
            seen = np.log(np.abs(field.activation(z)).max(axis=1, initial=0.0))
            self.worth = float(np.fmax(labels - np.log(longest),
                                       (out + hidden + seen).max(initial=-np.inf)))
            excess = np.logaddexp(2 * out, 2 * hidden) - self.worth
        dead = (z < 0.0).all(axis=1) & (field.activation.slope == 0.0)
        self.log_excess = np.where(np.isfinite(excess) & ~dead, excess, 0.0)

    @property
    def any(self) -> bool:
        """Whether there is such a neuron."""
        return bool(self.log_excess.max() > np.log(MOST))

    @property
    def sharper(self) -> float:
        """How much less errors of all neurons must be, where each is measured by its norm."""
        return float(np.exp(min(self.log_excess.max() - np.log(LEFT), 700.0))) if self.any else 1.0

    def sizes(self, a: np.ndarray, W: np.ndarray) -> np.ndarray:
        """What errors of every weight (m (d + 1),) of neurons are relative to: their norm, or less
        where layers are unlike."""
        out, hidden = np.abs(a), row_norms(W)
        norm = np.hypot(out, hidden)
        with np.errstate(all="ignore"):
            product = LEFT * np.maximum(out * hidden, np.exp(self.worth))
            own = [np.fmax(np.fmin(norm, product / other), LEAST * norm)
                   for other in (hidden, out)]
        return np.append(own[0], np.repeat(own[1], W.shape[1]))
