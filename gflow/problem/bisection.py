"""When something begins to hold."""

from __future__ import annotations

from typing import Callable


def bisect(holds: Callable[[float], bool], low: float, high: float, relative: float) -> float:
    """Where ``holds``, false at ``low`` and true at ``high``, becomes true.

    Parameters
    ----------
    holds : callable
        From a number to whether it holds there.
    low, high : float
        ``0 <= low <= high``. Neither is tried.
    relative : float
        Accuracy, over the result. The bracket is halved until it is that narrow, or down to
        rounding.

    Returns
    -------
    float
        The upper end of the last bracket: it holds there.

    Examples
    --------
    >>> round(bisect(lambda t: t * t >= 2, 0.0, 2.0, 1e-9), 6)
    1.414214
    """
    while high - low > relative * high:
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (low, middle) if holds(middle) else (middle, high)
    return float(high)
