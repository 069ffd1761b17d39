"""Clouds of points around axes, with two classes, and torch's default start, as published."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from ..problem.data import Data
from ..problem.network import TwoLayerReLU


def mirrored(rng: np.random.Generator, draws: int = 14, deviation: float = 0.005,
             radius: float = 0.01) -> Data:
    """Points near ``e_1``, of class 0, and all their images under the symmetries of the square.

    Reflections of either axis and the exchange of both make 8 images; they are taken twice, as
    published for two dimensions, so that there are 16 points a draw and every point occurs twice.

    Parameters
    ----------
    rng : numpy.random.Generator
    draws : int
        Draws N(0, deviation^2 I) within ``radius``; of the 16 published ones 14 are.
    deviation, radius : float

    Returns
    -------
    Data
        Class 0 (label -1) near the first axis, class 1 (label 1) near the second.
    """
    x = within(rng, draws, deviation, radius) + [1.0, 0.0]
    x = np.concatenate([x, x * [-1.0, 1.0]])
    x = np.concatenate([x, x * [1.0, -1.0]])
    X = np.concatenate([x, x[:, ::-1]])
    label = np.repeat([-1.0, 1.0], len(x))
    return Data(np.concatenate([X, X]), np.concatenate([label, label]))


def turned(rng: np.random.Generator, angle: float, draws: int = 128,
           deviation: float = 0.1 / 2**0.5, radius: float = 0.2) -> Data:
    """Two opposite clouds on the first axis, and their reflection, of the other class.

    Parameters
    ----------
    rng : numpy.random.Generator
    angle : float
        The reflection takes ``e_1`` to this angle.
    draws : int
        Points of one cloud, within ``radius`` of its centre.
    deviation, radius : float

    Returns
    -------
    Data
        ``4 draws`` points.
    """
    x = within(rng, draws, deviation, radius) + [1.0, 0.0]
    x = np.concatenate([x, -x])
    c, s = np.cos(angle), np.sin(angle)
    X = np.concatenate([x, x @ np.array([[c, s], [s, -c]])])
    return Data(X, np.repeat([-1.0, 1.0], len(x)))


def within(rng: np.random.Generator, draws: int, deviation: float, radius: float) -> np.ndarray:
    """Points of N(0, deviation^2 I) in the plane, drawn again if beyond ``radius``."""
    x = deviation * rng.standard_normal((draws, 2))
    while (far := (x**2).sum(axis=1) >= radius**2).any():
        x[far] = deviation * rng.standard_normal((far.sum(), 2))
    return x


def axes(scales: Sequence[float]) -> TwoLayerReLU:
    """Four balanced neurons on the axes, negative on the first one."""
    s0, s1, s2, s3 = scales
    W = np.array([[s0, 0.0], [0.0, s1], [-s2, 0.0], [0.0, -s3]])
    return TwoLayerReLU(np.array([-s0, s1, -s2, s3]), W)


def torch_linear(m: int, factor: float, rng: np.random.Generator) -> TwoLayerReLU:
    """PyTorch's default start of two linear layers on the plane, times a factor."""
    W = rng.uniform(-1.0, 1.0, (m, 2)) / np.sqrt(2.0)
    a = rng.uniform(-1.0, 1.0, m) / np.sqrt(m)
    return TwoLayerReLU(factor * a, factor * W)
