"""A leaky neuron that slides until the leak releases it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ...problem.checks import real_array
from ...problem.network import TwoLayerReLU
from ...problem.norms import row_norms
from ...problem.quiet import quiet
from .axis import Axis
from .points import first_zero, tangent_to, two_points
from .solution import ExactFlow, State, event_table
from ...problem.data import Data


@quiet
def leaky_slide(a: float = 0.3, p: float = 0.25, slope: float = 0.1, x1: ArrayLike = (1.0, 0.3),
                x2: ArrayLike = (0.4, 1.0), y: ArrayLike = (1.0, -1.2)) -> ExactFlow:
    """A neuron fits one point on the hyperplane of another, until the leak releases it.

    Its multiplier, the derivative of the activation at ``x2``, is ``|r_1| x1.x2 / (|y_2| |x2|^2)``.
    It falls as ``x1`` is fitted; with a positive slope it reaches that, and the neuron leaves
    ``x2`` on the side where it is off. (A ReLU neuron stays for ever: `slides_for_ever`.)

    Parameters
    ----------
    a : float
        Output weight, of the sign of ``y[0]``.
    p : float
        Norm of the hidden weight, on the projection of ``x1`` on the hyperplane of ``x2``.
    slope : float
        Of the activation, below 1.
    x1, x2 : array_like, shape (d,)
        The points, with ``x1.x2 > 0``.
    y : array_like, shape (2,)
        Their labels, of opposite signs.

    Returns
    -------
    ExactFlow
        With ``until`` the time of release, infinity if there is none.

    Raises
    ------
    TypeError, ValueError
        On bad input, or if nothing slides at the start.

    References
    ----------
    Derived here, from Filippov's rule.

    Examples
    --------
    >>> case = leaky_slide()
    >>> r = case.residual(case.until)
    >>> float((r[0] * 0.7 / (1.2 * 1.16)).round(9)), leaky_slide(slope=0.0).until
    (0.1, inf)
    """
    points, labels = two_points(x1, x2, y)
    a, p = float(real_array(a, "a", 0)), float(real_array(p, "p", 0))
    tangent, along = tangent_to(*points)
    s, across = np.sign(labels[0]), float(points[0] @ points[1])
    hold = abs(float(labels[1])) * float(row_norms(points[1]))**2
    model = TwoLayerReLU([a], [p * tangent], slope=slope)
    axis = Axis([s * a], [p], along / 2, s * labels[0], along)

    def below(t: ArrayLike) -> np.ndarray:
        """How far the multiplier is below the slope."""
        return slope - axis.gap(np.atleast_1d(t)) * across / hold

    if not (s * labels[1] < 0 < across and s * a > 0 and p > 0 and slope < 1
            and -1 < below(0.0)[0] - slope < min(0.0, -slope)):
        raise ValueError("nothing slides at the start: give a of the sign of y[0], p > 0, y[1] of "
                         "the other sign and large enough, x1.x2 > 0 and a smaller slope")
    until = first_zero(below, 2 * axis.settled) if slope > 0 else np.inf

    def state(t: np.ndarray) -> State:
        a_t, p_t = axis(t)
        return s * a_t, p_t[:, :, None] * tangent, np.column_stack(
            [s * axis.gap(t), np.full(t.size, labels[1])])

    records = [(until, 0, 1, "release", 0)] if np.isfinite(until) else []
    return ExactFlow(model, Data(points, labels), event_table(records), until,
                     min(until, axis.settled), state)
