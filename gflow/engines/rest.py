"""When a flow has come to rest: nothing that is left to do can be told from standing still.

A state at rest is carried to any time in one piece, for nothing; going on would add rounding errors
for ever. Near a stable rest the flow is linear, and what is left of it is known at once.
"""

from __future__ import annotations

import numpy as np

from ..problem.activation import RELU, Activation

NOISE = 16 * float(np.finfo(float).eps)
"""Rounding of a field, over the sum of the magnitudes of its terms."""
INSTANT = 1e-9
"""Over times so short, in units of the fastest rate, the flow is a straight line to rounding."""
ROUNDS = 4
"""Newton steps to a state at rest."""
MOST = 400
"""Most weights of a network whose linear flow is worth its eigenvectors."""


def reach(a: np.ndarray, W: np.ndarray, X: np.ndarray,
          activation: Activation = RELU) -> np.ndarray:
    """Sum of the magnitudes of what neurons put out at every point, shape (n,).

    Examples
    --------
    >>> reach(np.array([1.0, -1.0]), np.array([[1.0], [2.0]]), np.array([[1.0], [-1.0]]))
    array([3., 0.])
    """
    return np.asarray(np.abs(activation(X @ W.T)) @ np.abs(a))


def terms(first: np.ndarray, p: np.ndarray, curvature: np.ndarray | None,
          reached: np.ndarray) -> np.ndarray:
    """Sum of the magnitudes of the terms of pulls, shape (n,): they are known to its rounding.

    Parameters
    ----------
    first, p : ndarray, shape (n,)
        Pulls at output 0, and now.
    curvature : ndarray, shape (n,), or None
        Of the loss; None if pulls are ``first`` minus outputs.
    reached : ndarray, shape (n,)
        See `reach`.

    Examples
    --------
    >>> terms(np.array([-2.0]), np.array([1.0]), None, np.array([3.0]))
    array([5.])
    """
    if curvature is None:
        return np.asarray(np.abs(first) + reached)
    return np.asarray(np.abs(first) + np.abs(p) + curvature * reached)


def rounding(terms: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Rounding of what every point does to the field of a neuron, shape (n,), from `terms`.

    Examples
    --------
    >>> pull = rounding(np.array([2.0]), np.array([[1.0]]))
    >>> bool(0 < pull[0] < 1e-14)
    True
    """
    return np.asarray(NOISE * terms * np.sqrt(np.einsum("kc,kc->k", X, X)) / len(X))


def rate(a: np.ndarray, W: np.ndarray, p: np.ndarray, X: np.ndarray,
         curvature: np.ndarray | None = None) -> float:
    """A bound for how fast anything changes, relative to what it is, under pulls ``p`` (n,) of a
    loss of this ``curvature`` (n,), 1 if None.

    Examples
    --------
    >>> rate(np.ones(1), np.zeros((1, 1)), np.ones(1), np.ones((1, 1)))
    2.0
    """
    square = np.einsum("kc,kc->k", X, X)
    weights = float(a @ a + np.einsum("ic,ic->", W, W))
    bend = 1.0 if curvature is None else float(curvature.max())
    # Where nothing bends weights may be as large as they like.
    answer = weights * bend * float(square.sum()) if bend else 0.0
    return (answer + float(np.abs(p) @ np.sqrt(square))) / len(p)


def newton(velocity: np.ndarray, jacobian: np.ndarray, noise: np.ndarray,
           time: float) -> tuple[np.ndarray, bool]:
    """Where the linear flow with this velocity and Jacobian comes to rest, as a move from here,
    and whether everything does: no direction runs away, and none that is slow moves.

    Parameters
    ----------
    velocity, noise : ndarray, shape (N,)
        Velocity now, and the rounding of it.
    jacobian : ndarray, shape (N, N)
        Of a gradient flow: symmetric where it moves.
    time : float
        Slow is what does not come to rest in it.

    Examples
    --------
    >>> newton(np.array([1e-9]), np.array([[-2.0]]), np.array([1e-16]), 1e9)
    (array([5.e-10]), True)
    >>> newton(np.array([1e-9]), np.array([[2.0]]), np.array([1e-16]), 1e9)
    (array([0.]), False)
    """
    rates, vectors = np.linalg.eigh((jacobian + jacobian.T) / 2)
    part = velocity @ vectors
    fuzzy = np.sqrt(len(rates)) * NOISE * float(np.abs(rates).max())
    moving = np.abs(part) > np.sqrt(noise**2 @ vectors**2)
    stable = rates * time < -1.0
    move = vectors @ np.divide(part, -rates, out=np.zeros_like(part), where=moving & stable)
    return np.asarray(move), not bool((moving & ~stable).any() or (rates > fuzzy).any())
