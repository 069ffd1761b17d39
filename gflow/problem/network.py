"""Two-layer ReLU networks: one, or a stack of them along a trajectory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike

from .checks import real_array
from .field import mean_loss, outputs
from .activation import RELU
from .loss import LossLike, as_loss
from .modules import module_of, weights_of
from .norms import row_norms
from .quiet import quiet

if TYPE_CHECKING:  # pragma: no cover
    import torch

    from .data import Data


CHUNK = 4_000_000
"""Products of neurons and points that are made at once."""


class Gradient(NamedTuple):
    """Derivatives of a loss, from `TwoLayerReLU.gradient`.

    Attributes
    ----------
    a : ndarray, shape (m,)
    W : ndarray, shape (m, d)
    """

    a: np.ndarray
    W: np.ndarray


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
        return float(mean_loss(as_loss(loss, data.y), self(data.X), data.y))

    @quiet
    def gradient(self, data: Data, loss: LossLike = "square") -> Gradient:
        """Derivatives of the loss by the weights, with 0 as the derivative of ``max(z, 0)`` at 0.

        Off all activation boundaries the flow moves against it. On them it is one choice of many,
        that of PyTorch; the flow takes the element of least norm (`gflow.Flow`).

        Parameters
        ----------
        data : Data
        loss : str or object
            As in `gflow.integrate`.

        Returns
        -------
        Gradient
            Arrays ``a`` (m,) and ``W`` (m, d).

        Examples
        --------
        >>> from gflow import Data
        >>> TwoLayerReLU([1.0], [[2.0]]).gradient(Data([[1.0], [-1.0]], [3.0, 0.0]))
        Gradient(a=array([-1.]), W=array([[-0.5]]))
        """
        scale = np.exp(self.log_scale)
        chosen = as_loss(loss, data.y)
        # l' of the mean over points; its minus is the pull.
        slope = -np.asarray(chosen.pull(self(data.X), data.y)) / data.n
        z = data.X @ self.W.T
        D = ((z > 0) * slope[:, None]).T @ data.X
        return Gradient((RELU(z).T @ slope) * scale, D * (self.a * scale)[:, None])

    @classmethod
    def from_torch(cls, module: torch.nn.Module) -> TwoLayerReLU:
        """The network of a module of PyTorch: Linear, ReLU, Linear, one output.

        Parameters
        ----------
        module : torch.nn.Module
            A bias of its first layer becomes the last column of ``W``: append a column of ones to
            the inputs. The last layer has none.

        Raises
        ------
        TypeError, ValueError
            If it is another network.
        """
        return cls(*weights_of(module))

    def to_torch(self, *, bias: bool = False) -> torch.nn.Sequential:
        """The network as a module of PyTorch, in double precision.

        Parameters
        ----------
        bias : bool
            The last column of ``W`` becomes the bias of the first layer: the module takes inputs
            without the column of ones.

        Returns
        -------
        torch.nn.Sequential
            Linear, ReLU, Linear; outputs have the shape (n, 1).

        Raises
        ------
        ImportError
            If PyTorch is not installed.
        ValueError
            If there is no column for the inputs besides the bias.
        """
        if bias and self.d < 2:
            raise ValueError("W has one column: with bias=True there is none left for the inputs")
        scale = np.exp(self.log_scale)
        return module_of(self.a * scale, self.W * scale[:, None], bias)

    def __repr__(self) -> str:
        return f"TwoLayerReLU(m={self.m}, d={self.d})"


class ModelPath:
    """Networks at several times: ``a`` (T, m) and ``W`` (T, m, d).

    An index gives a network, a slice a shorter path; called with inputs (n, d) it gives outputs
    (T, n).

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
    >>> path[1:]([[1.0, 1.0]])
    array([[2.],
           [2.]])
    """

    def __init__(self, a: np.ndarray, W: np.ndarray) -> None:
        self.a = a
        self.W = W

    def __len__(self) -> int:
        return len(self.a)

    @overload
    def __getitem__(self, index: int) -> TwoLayerReLU: ...

    @overload
    def __getitem__(self, index: slice) -> ModelPath: ...

    def __getitem__(self, index: int | slice) -> TwoLayerReLU | ModelPath:
        if isinstance(index, slice):
            return ModelPath(self.a[index], self.W[index])
        return TwoLayerReLU(self.a[index], self.W[index])

    @quiet
    def __call__(self, X: ArrayLike) -> np.ndarray:
        """Outputs (T, n) at the rows of ``X`` (n, d)."""
        points = real_array(X, "X", 2)
        T, m, d = self.W.shape
        if points.shape[1] != d:
            raise ValueError(f"X has {points.shape[1]} columns but W has {d}: inputs and hidden "
                             "weights must have the same dimension")
        h = np.empty((T, len(points)))
        rows = max(1, CHUNK // m)
        for k in range(0, len(points), rows):
            for j in range(T):
                h[j, k:k + rows] = outputs(points[k:k + rows], self.a[j], self.W[j])
        return h

    @quiet
    def loss(self, data: Data, loss: LossLike = "square") -> np.ndarray:
        """Loss (T,) on data, as that of `TwoLayerReLU`."""
        return np.asarray(mean_loss(as_loss(loss, data.y), self(data.X), data.y))

    @property
    @quiet
    def norms(self) -> np.ndarray:
        """Norms ``|w_i|``, shape (T, m)."""
        return row_norms(self.W)

    def __iter__(self) -> Iterator[TwoLayerReLU]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"ModelPath(times={len(self)}, m={self.W.shape[1]}, d={self.W.shape[2]})"
