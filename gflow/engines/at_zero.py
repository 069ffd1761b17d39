"""Neurons that come to ``w = 0``: a ReLU one stays there, and may have had another way."""

from __future__ import annotations

import numpy as np

from ..problem.data import Data
from ..problem.norms import unit_rows

NOWHERE = np.nan
"""Side of a neuron at ``w = 0``: no point is active."""
LOOKS = 16
"""Most directions in which it is looked for a way out: those of the points that pull most. Larger:
time / smaller: choices that go untold."""
TURNS = 16
"""Steps of each towards its field, uphill. Larger: time / smaller: choices that go untold."""
CLEAR = 1e-9
"""A sum is not 0 if it is more than this part of its terms."""


def way_out(a: float, p: np.ndarray, data: Data) -> int:
    """A point through which a ReLU neuron at ``w = 0`` can leave under pulls ``p`` (n,); -1 if none
    is found.

    It can if ``G(u) = sign(a) sum_k p_k relu(x_k . u)`` is positive for any direction: then it is
    at its largest on the sphere, where ``sign(a) D(u) = G(u) u / n`` grows ``w = c u`` from
    ``c = 0``, besides staying there, where no point is active.

    Examples
    --------
    >>> data = Data([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0])
    >>> way_out(1.0, np.array([-1.0, 0.5]), data), way_out(-1.0, np.array([1.0, 0.5]), data)
    (1, -1)
    """
    pull = np.sign(a) * p * (data.arrangement.label >= 0)
    gains = pull * np.abs(data.arrangement.length)
    most = np.argsort(-gains, kind="stable")[:LOOKS]
    most = most[gains[most] > 0.0]
    if not most.size:
        return -1
    U = unit_rows(np.vstack([data.X[most], np.maximum(pull, 0.0) @ data.X]))
    for _ in range(TURNS):
        z = U @ data.X.T
        terms = np.maximum(z, 0.0) * pull
        total = terms.sum(axis=1)
        best = int(total.argmax())
        if total[best] > CLEAR * np.abs(terms[best]).sum():
            return int(terms[best].argmax())
        U = unit_rows(U + unit_rows(((z > 0.0) * pull) @ data.X) / 2)
    return -1


def stayed(i: int, t: float, a: float, p: np.ndarray, data: Data) -> np.ndarray:
    """The choice, as engines tell them, of a neuron ``i`` that has come to ``w = 0`` at ``t`` but
    for what is less than errors, and is put there: shape (1, 6), or (0, 6) if no way out is found.

    Examples
    --------
    >>> stayed(3, 0.5, 1.0, np.array([-1.0, 0.5]), Data(np.eye(2), [1.0, 1.0])).tolist()
    [[3.0, 0.5, 1.0, nan, 1.0, 2.0]]
    """
    k = way_out(a, p, data)
    if k < 0:
        return np.empty((0, 6))
    A = data.arrangement
    return np.array([[i, t, A.label[k], NOWHERE, np.sign(A.length[k]), 2.0]])
