r"""Losses of classification: of the margin :math:`m = y h` alone, labels -1 and 1, never at rest.

Both fall as long as the margin grows: on data that the network separates the loss is of order 1/t,
norms grow like :math:`\sqrt{\log t}`, and the direction of the weights tends to a stationary point
of the problem of the largest margin. Lyu and Li, "Gradient descent maximizes the margin of
homogeneous neural networks", ICLR 2020; Ji and Telgarsky, "Directional convergence and alignment
in deep learning", NeurIPS 2020.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .words import short


class Exponential:
    r""":math:`\ell = e^{-y h}`, labels -1 and 1: the pull is :math:`y e^{-y h}`.

    ``log`` multiplies pulls and curvatures by :math:`e^{log}`, a number or (..., 1): their own may
    be below the range of double precision.

    Examples
    --------
    >>> loss, h, y = Exponential(), np.array([0.0, 800.0]), np.array([1.0, 1.0])
    >>> loss.pull(h, y), float(loss.pull(h, y, 700.0)[1] * np.exp(100.0)), loss.log_value(h, y)
    (array([1., 0.]), 1.0, array([  -0., -800.]))
    """

    name = "exponential"
    endless = True

    def value(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The loss."""
        return np.asarray(np.exp(-y * h))

    def pull(self, h: np.ndarray, y: np.ndarray, log: Any = 0.0) -> np.ndarray:
        """Minus its derivative, times ``e^log``."""
        return np.asarray(y * np.exp(log - y * h))

    def curvature(self, h: np.ndarray, y: np.ndarray, log: Any = 0.0) -> np.ndarray:
        """Its second derivative, times ``e^log``."""
        return np.asarray(np.exp(log - y * h))

    def log_value(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Logarithm of the loss."""
        return np.asarray(-y * h)

    def margin(self, log_value: Any) -> Any:
        """The margin at which a point has the loss ``exp(log_value)``."""
        return -np.asarray(log_value)

    def labels(self, y: np.ndarray) -> np.ndarray:
        """Labels as the loss takes them; see `signs`."""
        return signs(y, self.name)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Logistic(Exponential):
    r""":math:`\ell = \log(1 + e^{-y h})`, labels -1 and 1: the pull is :math:`y / (1 + e^{y h})`.

    Examples
    --------
    >>> loss, h, y = Logistic(), np.array([0.0, 800.0]), np.array([1.0, -1.0])
    >>> loss.value(h, y).round(1).tolist(), loss.pull(h, y), loss.curvature(h, y)
    ([0.7, 800.0], array([ 0.5, -1. ]), array([0.25, 0.  ]))
    >>> float(loss.margin(loss.log_value(np.array(3.0), np.array(1.0))).round(12))
    3.0
    """

    name = "logistic"

    def value(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The loss."""
        return np.asarray(np.logaddexp(0.0, -y * h))

    def pull(self, h: np.ndarray, y: np.ndarray, log: Any = 0.0) -> np.ndarray:
        """Minus its derivative, times ``e^log``."""
        return np.asarray(y * np.exp(log - np.logaddexp(0.0, y * h)))

    def curvature(self, h: np.ndarray, y: np.ndarray, log: Any = 0.0) -> np.ndarray:
        """Its second derivative, times ``e^log``."""
        m = y * h
        return np.asarray(np.exp(log - np.logaddexp(0.0, m) - np.logaddexp(0.0, -m)))

    def log_value(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Logarithm of the loss."""
        m = y * h
        # log(1 + u) = u times a factor near 1, for u = e^-m that may be below double precision.
        u = np.maximum(np.exp(-np.maximum(m, 0.0)), np.finfo(float).tiny)
        return np.asarray(np.where(m > 0, np.log(np.log1p(u) / u) - m,
                                   np.log(np.logaddexp(0.0, -np.minimum(m, 0.0)))))

    def margin(self, log_value: Any) -> Any:
        """The margin at which a point has the loss ``exp(log_value)``."""
        v = np.exp(np.asarray(log_value, dtype=float))
        # expm1(v) = v times a factor near 1.
        small = np.clip(v, np.finfo(float).tiny, 1.0)
        with np.errstate(over="ignore"):
            return np.where(v < 1.0, -np.log(np.expm1(small) / small) - log_value,
                            -v - np.log(-np.expm1(-np.maximum(v, 1.0))))


def signs(y: np.ndarray, name: str) -> np.ndarray:
    """Labels -1 and 1, from such or from 0 and 1.

    Raises
    ------
    ValueError
        If a label is something else.

    Examples
    --------
    >>> signs(np.array([0.0, 1.0]), "logistic")
    array([-1.,  1.])
    """
    if np.isin(y, (-1.0, 1.0)).all():
        return y
    if np.isin(y, (0.0, 1.0)).all():
        return 2.0 * y - 1.0
    pair = (-1.0, 1.0) if (y == -1.0).any() else (0.0, 1.0)
    k = int(np.argmax(~np.isin(y, pair)))
    raise ValueError(f"y[{k}] = {short(float(y[k]))}: the {name} loss takes the labels -1 and 1, "
                     "or 0 and 1")
