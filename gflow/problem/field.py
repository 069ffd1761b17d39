r"""The reference field in plain NumPy: outputs, loss, pulls, curvature, gradient of least norm.

.. math::

    h_k = \sum_i a_i \phi(w_i \cdot x_k), \quad L = \frac1n \sum_k \ell(h_k, y_k), \quad
    p_k = -\ell'(h_k, y_k),

    D_i = P_i \frac1n \sum_k s_{ik} p_k x_k, \quad \dot a_i = w_i \cdot D_i, \quad
    \dot w_i = a_i D_i,

with the slope ``s`` of the activation on the pattern and ``P_i``, the projection off the normals of
the points on which neuron i slides. Kernels have their own arithmetic, which tests compare with
this; everything else calls it. Boursier and Flammarion, "Simplicity bias and optimization threshold
in two-layer ReLU networks", 2024, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .activation import RELU, SLIDING, Activation
from .alike import distinct
from .smooth import Smooth
from .data import Data
from .loss import SQUARE, Loss, is_endless
from .norms import row_norms
from .setting import PLAIN, Setting
from .theirs import theirs


def outputs(X: np.ndarray, a: np.ndarray, W: np.ndarray,
            activation: Activation | Smooth = RELU) -> np.ndarray:
    """Outputs (n,) of the network ``a`` (m,), ``W`` (m, d) at the rows of ``X`` (n, d).

    Examples
    --------
    >>> outputs(np.array([[3.0, 1.0]]), np.array([1.0, -2.0]), np.eye(2))
    array([1.])
    """
    return np.asarray(activation(X @ W.T) @ a)


def mean_loss(loss: Loss, h: np.ndarray, y: np.ndarray) -> Any:
    """Mean over the points of the loss at outputs ``h`` (..., n); a number, or shape (...).

    Examples
    --------
    >>> float(mean_loss(SQUARE, np.array([1.0, 3.0]), np.array([0.0, 0.0])))
    2.5
    """
    with theirs:
        values = loss.value(h, y)
    # A loss of a user may return single precision.
    return np.mean(np.asarray(values, dtype=float), axis=-1)


@dataclass(frozen=True)
class Field:
    """The field of a problem, on patterns given by codes (m, n): 0 off, 1 on, 2 sliding.

    Attributes
    ----------
    data : Data
    loss : Loss
    activation : Activation or Smooth
    setting : Setting

    Examples
    --------
    >>> field = Field(Data([[1.0, 0.0], [0.0, 1.0]], [2.0, -1.0]))
    >>> a, W, codes = np.array([1.0]), np.array([[1.0, 0.0]]), np.array([[1, 2]])
    >>> h = field.outputs(a, W)
    >>> float(field.value(h)), field.pulls(h)
    (0.5, array([ 1., -1.]))
    >>> field.gradient(a, W, codes)
    array([-0.5, -0.5, -0. ])
    """

    data: Data
    loss: Loss = SQUARE
    activation: Activation | Smooth = RELU
    setting: Setting = PLAIN

    def outputs(self, a: np.ndarray, W: np.ndarray,
                codes: np.ndarray | None = None) -> np.ndarray:
        """Outputs (n,) at the points; those of the network frozen in a pattern if one is given."""
        X = self.data.X
        if codes is None or self.activation.smooth:
            return outputs(X, a, W, self.activation)
        return np.asarray((X * (self.activation.weights(codes).T @ (a[:, None] * W))).sum(axis=1))

    def value(self, h: np.ndarray) -> Any:
        """The loss ``L`` at outputs ``h`` (..., n); a number, or shape (...)."""
        return mean_loss(self.loss, h, self.data.y)

    def pulls(self, h: np.ndarray, log: Any = None) -> np.ndarray:
        """Pulls at outputs ``h`` (..., n), as kernels take them; times ``e^log``, if that is given,
        a number or (..., 1) (endless losses only)."""
        with theirs:
            p = (self.loss.pull(h, self.data.y) if log is None else
                 self.loss.pull(h, self.data.y, log))  # type: ignore[call-arg]
        return np.require(p, float, ["C", "W"])

    def curvature(self, h: np.ndarray, log: Any = None) -> np.ndarray:
        """``l''`` at outputs ``h`` (..., n), times ``e^log`` as in `pulls`."""
        with theirs:
            bend = (self.loss.curvature(h, self.data.y) if log is None else
                    self.loss.curvature(h, self.data.y, log))  # type: ignore[call-arg]
        return np.require(bend, float, ["C", "W"])

    def log_pulls(self, h: np.ndarray) -> np.ndarray:
        """Logarithms of the sizes of pulls at outputs ``h`` (..., n), also below the range of
        double precision if the loss is endless."""
        p = self.pulls(h)
        with np.errstate(divide="ignore"):
            log = np.log(np.abs(p))
            if is_endless(self.loss):
                # Pulls that underflow are those of far margins, where the loss is their size.
                far = np.abs(p) < 1e-200
                log[far] = self.log_values(h)[far]
        return np.asarray(log)

    def log_values(self, h: np.ndarray) -> np.ndarray:
        """Logarithms of the losses of the points at outputs ``h`` (..., n)."""
        if is_endless(self.loss):
            return np.asarray(self.loss.log_value(h, self.data.y))  # type: ignore[attr-defined]
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.asarray(self.loss.value(h, self.data.y), dtype=float)))

    def log_value(self, h: np.ndarray) -> Any:
        """Logarithm of the loss ``L`` at outputs ``h`` (..., n); a number, or shape (...)."""
        return np.logaddexp.reduce(self.log_values(h), axis=-1) - np.log(self.data.n)

    @property
    def first_pulls(self) -> np.ndarray:
        """Pulls (n,) at output 0: those of a start small enough. Labels, for the square loss."""
        return self.pulls(np.zeros(self.data.n))

    def sums(self, codes: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Fields (m, d) of the points that neurons do not slide on, not projected."""
        weights, X = self.activation.weights(codes), self.data.X
        own = (weights * p) @ X if p.ndim == 2 else weights @ (p[:, None] * X)
        return np.asarray(own / self.data.n)

    def fields(self, codes: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Fields ``D`` (m, d) of least norm under pulls ``p``: (n,), or (m, n) for each its own."""
        A, D = self.data.arrangement, self.sums(codes, p)
        sliding = np.flatnonzero((codes == SLIDING).any(axis=1))
        if sliding.size:
            on = codes[sliding] == SLIDING
            first, which = distinct(on)
            for s, points in enumerate(on[first]):
                # Normals have length one: points may have any.
                V, own = A.normal[np.unique(A.label[points])], sliding[which == s]
                D[own] -= np.linalg.lstsq(V, V @ D[own].T, rcond=None)[0].T
        return np.asarray(D)

    def gradient(self, a: np.ndarray, W: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """The element of least norm of the subdifferential of the objective on a pattern: flat
        ``[a (m), W (m d)]``; the flow moves against it, and where weights are fixed it is 0."""
        if isinstance(self.activation, Smooth):
            z = W @ self.data.X.T
            p = self.pulls(self.activation(z).T @ a) / self.data.n
            with theirs:
                bent = self.activation.derivative(z)
            D = bent * p @ self.data.X
            v = np.append(self.activation(z) @ p, a[:, None] * D)
            return -self._kept(v, a, W)
        return -self.force(a, W, self.fields(codes, self.pulls(self.outputs(a, W, codes))))

    def force(self, a: np.ndarray, W: np.ndarray, D: np.ndarray) -> np.ndarray:
        """Minus the gradient of the objective in fields ``D`` (m, d), which has no decay in it."""
        return self._kept(velocity(a, W, D), a, W)

    def _kept(self, v: np.ndarray, a: np.ndarray, W: np.ndarray) -> np.ndarray:
        """What decay and fixed layers leave of a velocity."""
        output, hidden = self.setting.moves
        if self.setting.decays:
            v -= self.setting.shrinking(*W.shape) * np.append(a, W)
        if not (output and hidden):
            v[:a.size] *= output
            v[a.size:] *= hidden
        return v

    def speed(self, a: np.ndarray, W: np.ndarray, D: np.ndarray) -> float:
        """Norm of `force`: of the gradient, where ``D`` are the fields of least norm.

        Examples
        --------
        >>> field = Field(Data([[1.0]], [0.0]))
        >>> field.speed(np.array([3.0]), np.array([[4.0]]), np.array([[2.0]]))
        10.0
        """
        return float(row_norms(self.force(a, W, D)))


def velocity(a: np.ndarray, W: np.ndarray, D: np.ndarray) -> np.ndarray:
    """How weights move in fields ``D`` (m, d): flat ``[a (m), W (m d)]``.

    Examples
    --------
    >>> velocity(np.array([2.0]), np.array([[1.0, 3.0]]), np.array([[1.0, -1.0]]))
    array([-2.,  2., -2.])
    """
    return np.concatenate([(W * D).sum(axis=1), (a[:, None] * D).ravel()])
