"""Exceptions of gflow, and the checks that every front door shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # pragma: no cover
    from .flow import Flow


class IntegrationError(RuntimeError):
    """A run that did not end well, raised by ``integrate(..., strict=True)``.

    Attributes
    ----------
    flow : Flow
        What was reached before the failure; nothing already computed is lost.
    """

    def __init__(self, flow: Flow) -> None:
        super().__init__(f"{flow.status}: {flow.message}")
        self.flow = flow


def real_array(value: Any, name: str, ndim: int) -> np.ndarray:
    """Return ``value`` as a fresh C-ordered float64 array of ``ndim`` axes.

    Parameters
    ----------
    value : array_like
        Real numbers: integers, floats or booleans.
    name : str
        What the user calls it, for the message.
    ndim : int
        Number of axes it must have.

    Raises
    ------
    TypeError
        If the entries are not real numbers.
    ValueError
        If the number of axes is wrong or an entry is NaN or infinite.

    Examples
    --------
    >>> real_array([1, 2], "y", 1)
    array([1., 2.])
    """
    try:
        raw = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is ragged: give one rectangular array of numbers") from error
    if raw.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {raw.dtype}: give real numbers (float64)")
    if raw.ndim != ndim:
        raise ValueError(f"{name} has shape {raw.shape}: give an array with {ndim} "
                         f"{'axis' if ndim == 1 else 'axes'}")
    array = np.array(raw, dtype=np.float64, order="C")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} has NaN or infinity (first at index {where}): "
                         "remove or fill these entries")
    return array
