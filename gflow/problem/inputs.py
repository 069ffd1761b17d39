"""What many functions take: a network with data, and a number of threads."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from .checks import real_array, whole
from .clock import clocked_times
from .data import Data, DataLike as DataLike, as_data, relabelled
from .loss import SQUARE, Loss, as_labels, as_loss
from .network import TwoLayer, TwoLayerReLU
from .quiet import quiet
from .words import counted, kind_of

EPS = float(np.finfo(float).eps)
ModelLike: TypeAlias = TwoLayer | tuple[ArrayLike, ArrayLike]
"""A network, or its weights ``(a, W)``."""
TeacherLike: TypeAlias = ArrayLike | ModelLike
"""What labels are the values of: the ``beta`` of a linear function, or a network."""
LOWEST = -300 * float(np.log(10.0))
"""Natural logarithm of the smallest scale whose weights double precision holds."""
ROUNDING = 1e-12
"""Times may pass an end by this part of it: what sums and quotients of floats lose, and far below
any ``rtol`` that a flow resolves."""


def model_and_data(model: ModelLike, data: DataLike) -> tuple[TwoLayer, Data]:
    """A network and data that fit together, from these or pairs of arrays.

    Raises
    ------
    TypeError, ValueError
        If they are something else, or their dimensions differ.

    Examples
    --------
    >>> model_and_data(([1.0], [[0.5]]), ([[1.0]], [2.0]))
    (TwoLayerReLU(m=1, d=1), Data(n=1, d=1))
    """
    if not isinstance(model, TwoLayer):
        if not isinstance(model, tuple | list) or len(model) != 2:
            raise TypeError(f"model is {kind_of(model)}: give a TwoLayerReLU or a pair (a, W)")
        model = TwoLayerReLU(*model)
    given, data = data, as_data(data)
    if not isinstance(given, Data) and model.bias and data.d == model.d - 1:
        data = Data(*given, bias=True)
    if data.d != model.d:
        raise ValueError(f"X has {counted(data.d, 'column')} but W has {model.d}: "
                         "inputs and hidden weights must have the same dimension "
                         "(Data(X, y, bias=True) appends a bias)")
    return model, data


def relu_only(model: TwoLayer, what: str) -> None:
    """Refuse a leaky network where the theory has none.

    Raises
    ------
    ValueError
        If its slope is not 0.

    Examples
    --------
    >>> relu_only(TwoLayerReLU([1.0], [[1.0]]), "this")
    """
    if model.slope:
        raise ValueError(f"{what} is known for ReLU only and the network has slope "
                         f"{model.slope:g}: give one with slope 0")


def with_loss(data: Data, loss: Any) -> tuple[Data, Loss]:
    """Data with labels as the loss takes them, and the loss; see `gflow.problem.loss.as_loss`.

    Examples
    --------
    >>> data, loss = with_loss(Data([[1.0], [2.0]], [0, 1]), "logistic")
    >>> data.y, loss
    (array([-1.,  1.]), Logistic())
    """
    found = as_loss(loss, data.y)
    y = as_labels(found, data.y)
    if not (y == data.y).all():
        data = relabelled(data, y)
    return data, found


@quiet
def default_times(t_max: float) -> np.ndarray:
    """About 200 times in [0, t_max], dense early, both ends included.

    Examples
    --------
    >>> t = default_times(50.0)
    >>> t.size, float(t[0]), float(t[-1]), bool(t[1] < 0.01)
    (200, 0.0, 50.0, True)
    """
    times = t_max * (np.expm1(np.linspace(0.0, np.log(1e4), 200)) / (1e4 - 1))
    times[-1] = t_max
    return times


def reported_times(t_eval: ArrayLike | None, t_max: float, data: Data | None = None,
                   loss: Loss = SQUARE) -> np.ndarray:
    """The times ``t_eval`` in [0, t_max], or if None `default_times`; of a run on ``data`` with an
    endless loss `gflow.problem.clock.clocked_times`.

    Raises
    ------
    TypeError, ValueError
        If they are not increasing times in there.

    Examples
    --------
    >>> reported_times([0, 1], 2.0)
    array([0., 1.])
    """
    if t_eval is None:
        late = None if data is None else clocked_times(data, t_max, loss)
        return default_times(t_max) if late is None else late
    times = real_array(t_eval, "t_eval", 1)
    if times.size == 0:
        raise ValueError("t_eval is empty: give at least one time, or None for the default")
    if (np.diff(times) <= 0).any():
        raise ValueError("t_eval is not increasing: sort it and drop repeated times")
    return within(times, t_max, getattr(t_eval, "dtype", None),
                  f"t_eval reaches from {float(times[0])!r} to {float(times[-1])!r}: its times "
                  f"must lie in [0, t_max] = [0, {t_max!r}]")


def within(times: np.ndarray, end: float, dtype: np.dtype[Any] | None, refusal: str) -> np.ndarray:
    """Times in [0, end], put there if they are outside by rounding only.

    Parameters
    ----------
    times : ndarray, shape (T,)
        In any order.
    end : float
    dtype : dtype or None
        Of the numbers that the user gave: single precision rounds more.
    refusal : str
        Said if they are further out.

    Raises
    ------
    ValueError
        If they are.

    Examples
    --------
    >>> within(np.array([0.1, 0.1 + 0.2]), 0.3, None, "too late").tolist()
    [0.1, 0.3]
    """
    if not times.size:
        return times
    single = isinstance(dtype, np.dtype) and dtype.kind == "f" and dtype.itemsize < 8
    slack = (4 * float(np.finfo(dtype).eps) if single else ROUNDING) * end
    late = np.flatnonzero(times > end)
    # Several are no rounding, and would become one.
    if times.min() < -slack or times.max() > end + slack or np.unique(times[late]).size > 1:
        raise ValueError(refusal)
    # Adding 0 makes -0 of it 0.
    return np.asarray(np.clip(times, 0.0, end) + 0.0)


def thread_count(threads: int | None = None) -> int:
    """``threads``; or if None ``OMP_NUM_THREADS``, or as many as there are processors.

    Examples
    --------
    >>> thread_count(3)
    3
    """
    # A list has the numbers of nested levels.
    allowed = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if threads is None and allowed.isdecimal() and int(allowed) > 0:
        # Workers of a pool or of a cluster share the machine, and say so in this way.
        return int(allowed)
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (available or 1) if threads is None else whole(threads, "threads")
