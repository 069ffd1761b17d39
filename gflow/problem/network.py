"""Two-layer ReLU networks: one, or a stack of them along a trajectory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator

import numpy as np
from numpy.typing import ArrayLike

from .checks import real_array
from .field import mean_loss, outputs
from .loss import LossLike, as_labels, as_loss
from .norms import row_norms
from .quiet import quiet

if TYPE_CHECKING:  # pragma: no cover
    from .data import Data


class TwoLayerReLU:
    r"""The network :math:`h(x) = \sum_i a_i \max(w_i \cdot x, 0)`.

    A bias of the hidden layer is a constant column of ``X``.

    Parameters
    ----------
    a : array_like, shape (m,)
        Output weights.
    W : array_like, shape (m, d)
        Hidden weights, one neuron a row.
    log_scale : float or array_like, shape (m,)
        Neuron i has the weights ``exp(log_scale_i) (a_i, w_i)``: for starts below the range of
        double precision.

    Raises
    ------
    TypeError
        If an entry is not a real number.
    ValueError
        If the shapes disagree, are empty, or an entry is NaN or infinite.

    References
    ----------
    Boursier and Flammarion, "Simplicity bias and optimization threshold in
    two-layer ReLU networks", 2024, section 2.

    Examples
    --------
    >>> model = TwoLayerReLU([1.0, -2.0], [[1.0, 0.0], [0.0, 1.0]])
    >>> model([[3.0, 1.0], [-1.0, -1.0]])
    array([1., 0.])
    """

    def __init__(self, a: ArrayLike, W: ArrayLike, log_scale: ArrayLike = 0.0) -> None:
        self.a = real_array(a, "a", 1)
        self.W = real_array(W, "W", 2)
        if self.a.shape[0] != self.W.shape[0]:
            raise ValueError(f"a has {self.a.shape[0]} entries but W has {self.W.shape[0]} rows: "
                             "give one output weight and one row of W a neuron")
        if self.W.size == 0:
            raise ValueError(f"W has shape {self.W.shape}: a network needs at least one neuron "
                             "and one input")
        self.log_scale = real_array(log_scale if np.ndim(log_scale)
                                    else np.repeat(np.asarray(log_scale), self.m), "log_scale", 1)
        if self.log_scale.shape != self.a.shape:
            raise ValueError(f"log_scale has {self.log_scale.size} entries but there are "
                             f"{self.m} neurons: give one number, or one for each")

    @property
    def m(self) -> int:
        """Number of neurons."""
        return int(self.W.shape[0])

    @property
    def d(self) -> int:
        """Input dimension."""
        return int(self.W.shape[1])

    @property
    @quiet
    def norms(self) -> np.ndarray:
        """Norms :math:`|w_i|`, shape (m,)."""
        return np.asarray(row_norms(self.W) * np.exp(self.log_scale))

    @quiet
    def __call__(self, X: ArrayLike) -> np.ndarray:
        """Outputs ``h(x_k)`` for the rows of ``X`` (n, d); shape (n,)."""
        X = real_array(X, "X", 2)
        if X.shape[1] != self.d:
            raise ValueError(f"X has {X.shape[1]} columns but W has {self.d}: "
                             "inputs and hidden weights must have the same dimension")
        return outputs(X, self.a * np.exp(2 * self.log_scale), self.W)

    @quiet
    def loss(self, data: Data, loss: LossLike = "square") -> float:
        r"""Loss :math:`L = \frac{1}{n} \sum_k \ell(h(x_k), y_k)`.

        Parameters
        ----------
        data : Data
        loss : str or object
            As in `gflow.integrate`: :math:`\ell = (h - y)^2 / 2` if nothing else is given.
        """
        chosen = as_loss(loss, data.y)
        return float(mean_loss(chosen, self(data.X), as_labels(chosen, data.y)))

    def __repr__(self) -> str:
        return f"TwoLayerReLU(m={self.m}, d={self.d})"


class ModelPath:
    """Networks at several times: ``a`` (T, m) and ``W`` (T, m, d); indexing gives a network.

    Parameters
    ----------
    a : ndarray, shape (T, m)
        Output weights.
    W : ndarray, shape (T, m, d)
        Hidden weights.

    Examples
    --------
    >>> path = ModelPath(np.ones((3, 1)), np.ones((3, 1, 2)))
    >>> len(path), path[-1]
    (3, TwoLayerReLU(m=1, d=2))
    """

    def __init__(self, a: np.ndarray, W: np.ndarray) -> None:
        self.a = a
        self.W = W

    def __len__(self) -> int:
        return len(self.a)

    def __getitem__(self, index: int) -> TwoLayerReLU:
        return TwoLayerReLU(self.a[index], self.W[index])

    def __iter__(self) -> Iterator[TwoLayerReLU]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"ModelPath(times={len(self)}, m={self.W.shape[1]}, d={self.W.shape[2]})"
