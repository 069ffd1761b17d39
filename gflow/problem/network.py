"""Two-layer networks: one, or a stack of them along a trajectory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import TYPE_CHECKING, NamedTuple, Self, overload

import numpy as np
from numpy.typing import ArrayLike

from .activation import RELU, Activation
from .checks import finite, flag, one_or_more, real_array
from .data import Data, DataLike, as_data, with_ones
from .field import mean_loss, outputs
from .frames import columns_of, same_columns
from .loss import LossLike, as_labels, as_loss
from .modules import module_of, weights_of
from .norms import row_norms
from .quiet import quiet
from .smooth import ActivationLike, Smooth, as_activation
from .value import Held
from .words import counted, short

if TYPE_CHECKING:  # pragma: no cover
    import torch


FARTHEST = 1e18
"""Largest size of a ``log_scale``: powers of two are whole numbers of 64 bits."""
STEEPEST = 1e50
"""Largest size of a slope: its square is that of rates."""
WEIGHTS = ("a", "W", "log_scale")
"""What a network is made of."""
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


class TwoLayer(Held):
    r"""The network :math:`h(x) = \sum_i a_i \phi(w_i \cdot x)` with a smooth activation.

    Parameters
    ----------
    a : array_like, shape (m,)
        Output weights.
    W : array_like, shape (m, d)
        Hidden weights, one neuron a row.
    activation : str or tuple
        "gelu", "softplus", "tanh", "silu", ``("softplus", beta)``, or a pair of your own: a
        function of an array, entry by entry, and its derivative.
    bias : bool
        Whether the last hidden weight belongs to a constant input 1, so that inputs may come
        without it. Networks of a run on ``Data(X, y, bias=True)`` have it.

    Raises
    ------
    TypeError
        If an entry is not a real number.
    ValueError
        If the shapes disagree, are empty, or an entry is NaN or infinite; if the derivative is not
        that of the function, or jumps.

    Examples
    --------
    >>> TwoLayer([2.0], [[1.0]], activation="tanh")([[0.0], [9.0]]).round(6)
    array([0., 2.])
    """

    activation: Activation | Smooth
    columns: tuple[str, ...] | None = None
    """Names of the columns of its inputs, if it is of a run on a table."""

    def __init__(self, a: ArrayLike, W: ArrayLike, *, activation: ActivationLike = "gelu",
                 bias: bool = False) -> None:
        self._set(a, W, bias)
        self.activation = as_activation(activation)

    def _set(self, a: ArrayLike, W: ArrayLike, bias: bool) -> None:
        out, hidden = real_array(a, "a", 1), real_array(W, "W", 2)
        if out.shape[0] != hidden.shape[0]:
            raise ValueError(f"a has {counted(out.shape[0], 'entry')} but W has "
                             f"{counted(hidden.shape[0], 'row')}: give one output weight and one "
                             "row of W a neuron")
        if hidden.size == 0:
            raise ValueError(f"W has shape {hidden.shape}: a network needs at least one neuron "
                             "and one input")
        vars(self).update(a=out, W=hidden, log_scale=np.zeros(len(out)), bias=flag(bias, "bias"))

    if TYPE_CHECKING:  # pragma: no cover
        a: np.ndarray
        W: np.ndarray
        log_scale: np.ndarray
        bias: bool
    else:
        def __setattr__(self, name: str, value: object) -> None:
            """Weights are looked at as those of a new network are."""
            old = vars(self).get(name) if name in WEIGHTS else None
            if old is not None:
                if not old.flags.writeable:
                    raise AttributeError(f"{name} of a network that is part of a result cannot be "
                                         "set: make another one with its like(a, W)")
                value = real_array(value, name, old.ndim)
                if value.shape != old.shape:
                    raise ValueError(f"{name} has shape {value.shape} and had {old.shape}: make "
                                     "another network with like(a, W)")
            super().__setattr__(name, value)

    def like(self, a: ArrayLike, W: ArrayLike, log_scale: ArrayLike = 0.0) -> Self:
        """A network with other weights, and whatever else this one has."""
        other = copy(self)
        TwoLayer._set(other, a, W, self.bias)
        return other

    @property
    def slope(self) -> float:
        """Slope of the activation where its input is negative; a ValueError if it is smooth."""
        return self.activation.slope

    @property
    def smooth(self) -> bool:
        """Whether the activation is smooth, so that nothing switches."""
        return self.activation.smooth

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
        """Outputs ``h(x_k)`` for the rows of ``X`` (n, d); shape (n,).

        With ``bias`` a constant column is appended if ``X`` is (n, d - 1).
        """
        points = points_of(X, self.d, self.bias, self.columns)
        return outputs(points, *self._weights(), self.activation)

    def _weights(self) -> tuple[np.ndarray, np.ndarray]:
        """With their scale: each by itself, for its square leaves the range of doubles first."""
        if not self.log_scale.any():
            return self.a, self.W
        scale = np.exp(self.log_scale)
        return self.a * scale, self.W * scale[:, None]

    @quiet
    def loss(self, data: DataLike, loss: LossLike = "square") -> float:
        r"""Loss :math:`L = \frac{1}{n} \sum_k \ell(h(x_k), y_k)`.

        Parameters
        ----------
        data : Data or (X, y)
        loss : str or object
            As in `gflow.integrate`: :math:`\ell = (h - y)^2 / 2` if nothing else is given.
        """
        data = as_data(data)
        same_columns(self.columns, data.columns, self.bias)
        chosen = as_loss(loss, data.y)
        return float(mean_loss(chosen, self(data.X), as_labels(chosen, data.y)))

    @quiet
    def gradient(self, data: DataLike, loss: LossLike = "square") -> Gradient:
        """Derivatives of the loss by the weights, with 0 as the derivative of ``max(z, 0)`` at 0,
        and the slope for leaky networks. Weights are ``a`` and ``W`` times ``exp(log_scale)``.

        Off all activation boundaries the flow moves against it. On them it is one choice of many,
        that of PyTorch; the flow takes the element of least norm (`gflow.Flow`).

        Parameters
        ----------
        data : Data or (X, y)
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
        data, (a, W) = as_data(data), self._weights()
        same_columns(self.columns, data.columns, self.bias)
        chosen = as_loss(loss, data.y)
        X = points_of(data.X, self.d, self.bias)
        # l' of the mean over points; its minus is the pull.
        rise = -np.asarray(chosen.pull(self(X), as_labels(chosen, data.y))) / data.n
        z = X @ W.T
        bent = (self.activation.derivative(z) if isinstance(self.activation, Smooth) else
                np.where(z > 0, 1.0, self.slope))
        D = (bent * rise[:, None]).T @ X
        return Gradient(self.activation(z).T @ rise, D * a[:, None])

    def __repr__(self) -> str:
        return f"TwoLayer(m={self.m}, d={self.d}, activation={self.activation})"


class TwoLayerReLU(TwoLayer):
    r"""The network :math:`h(x) = \sum_i a_i \max(w_i \cdot x, 0)`, leaky if it has a slope.

    A bias of the hidden layer is a constant column of ``X``; see `gflow.Data`.

    Parameters
    ----------
    a : array_like, shape (m,)
        Output weights.
    W : array_like, shape (m, d)
        Hidden weights, one neuron a row.
    log_scale : float or array_like, shape (m,)
        Neuron i has the weights ``exp(log_scale_i) (a_i, w_i)``: for starts below the range of
        double precision.
    slope : float
        What the activation does to negative numbers: ``slope z``, and ``z`` to positive ones. Any
        number but 1, with which the network would be linear; -1 is the absolute value.
    bias : bool
        Whether the last hidden weight belongs to a constant input 1, so that inputs may come
        without it. Networks of a run on ``Data(X, y, bias=True)`` have it.

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
    >>> TwoLayerReLU([1.0], [[1.0, 2.0]], slope=0.5, bias=True)([[-3.0], [0.0]])
    array([-0.5,  2. ])
    """

    def __init__(self, a: ArrayLike, W: ArrayLike, log_scale: ArrayLike = 0.0, *,
                 slope: float = 0.0, bias: bool = False) -> None:
        self._set(a, W, bias)
        given = one_or_more(log_scale, "log_scale")
        log_scale = given if np.ndim(log_scale) else np.repeat(given, self.m)
        if log_scale.shape != self.a.shape:
            raise ValueError(f"log_scale has {counted(log_scale.size, 'entry')} for "
                             f"{counted(self.m, 'neuron')}: give one number, or one for each")
        vars(self)["log_scale"] = log_scale
        far = log_scale[np.abs(log_scale) > FARTHEST]
        if far.size:
            raise ValueError(f"log_scale = {far[0]:g} is beyond {FARTHEST:g} either way: give one "
                             "nearer to 0")
        slope = finite(slope, "slope")
        if abs(slope) > STEEPEST:
            raise ValueError(f"slope = {slope:g} is beyond {STEEPEST:g} either way: give one "
                             "nearer to 0")
        if slope == 1:
            raise ValueError("slope = 1 makes the network linear: give another number")
        self.activation = Activation(slope)

    def like(self, a: ArrayLike, W: ArrayLike, log_scale: ArrayLike = 0.0) -> TwoLayerReLU:
        """A network with other weights, and whatever else this one has."""
        other = TwoLayerReLU(a, W, log_scale, slope=self.slope, bias=self.bias)
        other.columns = self.columns
        return other

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
            If the network is leaky, or there is no column for the inputs besides the bias.
        """
        bias = flag(bias, "bias")
        if self.slope:
            raise ValueError(f"the network has slope {self.slope:g}, and modules have ReLU: give "
                             "one with slope 0")
        if bias and self.d < 2:
            raise ValueError("W has one column: with bias=True there is none left for the inputs")
        return module_of(*self._weights(), bias)

    def __repr__(self) -> str:
        slope = f", slope={self.slope:g}" if self.slope else ""
        return f"TwoLayerReLU(m={self.m}, d={self.d}{slope})"


def relu_for(data: Data, a: ArrayLike, W: ArrayLike, slope: float = 0.0) -> TwoLayerReLU:
    """The network of these weights for inputs like those of ``data``: a bias is one for both.

    Examples
    --------
    >>> relu_for(Data([[3.0]], [1.0], bias=True), [1.0], [[2.0, 1.0]])([[3.0]])
    array([7.])
    """
    made = TwoLayerReLU(a, W, slope=slope, bias=data.bias)
    made.columns = data.columns
    return made


def blank(activation: Activation | Smooth, m: int, data: Data) -> TwoLayer:
    """A network of that kind for inputs like those of ``data``, all of whose weights are 0."""
    a, W = np.zeros(m), np.zeros((m, data.d))
    if not isinstance(activation, Smooth):
        return relu_for(data, a, W, activation.slope)
    made = TwoLayer(a, W, activation=activation, bias=data.bias)
    made.columns = data.columns
    return made


class ModelPath:
    """Networks at several times: ``a`` (T, m) and ``W`` (T, m, d).

    An index gives a network; a slice, a mask or a list of indices gives a path; called with inputs
    (n, d) it gives outputs (T, n).

    Parameters
    ----------
    a : ndarray, shape (T, m)
        Output weights.
    W : ndarray, shape (T, m, d)
        Hidden weights.
    one : TwoLayer, optional
        What the networks are like in all else; ReLU networks if None.

    Examples
    --------
    >>> path = ModelPath(np.ones((3, 1)), np.ones((3, 1, 2)))
    >>> len(path), path[-1]
    (3, TwoLayerReLU(m=1, d=2))
    >>> path[1:]([[1.0, 1.0]])
    array([[2.],
           [2.]])
    """

    def __init__(self, a: np.ndarray, W: np.ndarray, one: TwoLayer | None = None) -> None:
        self.a = a
        self.W = W
        self.one = one

    def __len__(self) -> int:
        return len(self.a)

    @overload
    def __getitem__(self, index: int) -> TwoLayer: ...

    @overload
    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> ModelPath: ...

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray
                    ) -> TwoLayer | ModelPath:
        if not isinstance(index, slice):
            index = self._places(index)
        if isinstance(index, slice) or index.ndim:
            return ModelPath(self.a[index], self.W[index], self.one)
        a, W = self.a[index], self.W[index]
        return TwoLayerReLU(a, W) if self.one is None else self.one.like(a, W)

    def _places(self, index: int | Sequence[int] | np.ndarray) -> np.ndarray:
        """One index, or several, as NumPy takes them; a mask has one entry for each time."""
        places = np.array([], dtype=np.intp) if np.size(index) == 0 else np.asarray(index)
        mask = places.dtype == bool
        if isinstance(index, tuple) or places.ndim > 1 or places.dtype.kind not in "biu" or (
                mask and places.shape != self.a.shape[:1]):
            raise IndexError(f"a path of {len(self)} networks has no {short(index)}: give an "
                             "index, a slice, a list of indices, or a mask of that length")
        return places

    @quiet
    def __call__(self, X: ArrayLike) -> np.ndarray:
        """Outputs (T, n) at the rows of ``X`` (n, d)."""
        T, m, d = self.W.shape
        one = self.one
        points = points_of(X, d) if one is None else points_of(X, d, one.bias, one.columns)
        activation = RELU if one is None else one.activation
        h = np.empty((T, len(points)))
        rows = max(1, CHUNK // m)
        for k in range(0, len(points), rows):
            for j in range(T):
                h[j, k:k + rows] = outputs(points[k:k + rows], self.a[j], self.W[j], activation)
        return h

    @quiet
    def loss(self, data: DataLike, loss: LossLike = "square") -> np.ndarray:
        """Loss (T,) on data, as that of `TwoLayerReLU`."""
        data = as_data(data)
        if self.one is not None:
            same_columns(self.one.columns, data.columns, self.one.bias)
        chosen = as_loss(loss, data.y)
        return np.asarray(mean_loss(chosen, self(data.X), as_labels(chosen, data.y)))

    @property
    @quiet
    def norms(self) -> np.ndarray:
        """Norms ``|w_i|``, shape (T, m)."""
        return row_norms(self.W)

    def __iter__(self) -> Iterator[TwoLayer]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"ModelPath(times={len(self)}, m={self.W.shape[1]}, d={self.W.shape[2]})"


def points_of(X: ArrayLike, d: int, bias: bool = False,
              columns: tuple[str, ...] | None = None) -> np.ndarray:
    """Inputs (n, d) of a network, the constant column appended if it has a ``bias`` and they are
    without it; ``columns`` are the names that it knows.

    Raises
    ------
    TypeError, ValueError
        If they are no real numbers, of another dimension, have other names, or something else than
        ones where the bias is.

    Examples
    --------
    >>> points_of([[3.0]], 2, True)
    array([[3., 1.]])
    """
    points = real_array(X, "X", 2)
    same_columns(columns, columns_of(X), bias)
    if bias and points.shape[1] == d - 1:
        points = with_ones(points)
    elif bias and points.shape[1] == d and (points[:, -1] != 1.0).any():
        k = int(np.argmax(points[:, -1] != 1.0))
        raise ValueError(f"X[{k}, {d - 1}] = {points[k, -1]:g} stands where the network has its "
                         f"bias: give the {d - 1} inputs only, or 1 there")
    if points.shape[1] != d:
        raise ValueError(f"X has {counted(points.shape[1], 'column')} but W has {d}: "
                         "inputs and hidden weights must have the same dimension")
    return points
