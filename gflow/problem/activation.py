"""What a hidden neuron does to its input: linear on either side of 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

OFF, ON, SLIDING = 0, 1, 2
"""Codes of a neuron at a point."""


@dataclass(frozen=True)
class Activation:
    """``z`` where it is positive, ``slope z`` elsewhere.

    Attributes
    ----------
    slope : float
        0 for ReLU.

    Examples
    --------
    >>> RELU(np.array([-2.0, 3.0])), RELU.weights(np.array([OFF, ON, SLIDING]))
    (array([0., 3.]), array([0., 1., 0.]))
    """

    slope: float = 0.0

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Its values, entry by entry."""
        up = np.maximum(z, 0.0)
        return np.asarray(up + self.slope * np.minimum(z, 0.0) if self.slope else up)

    def weights(self, codes: np.ndarray) -> np.ndarray:
        """Its derivative on patterns ``codes``: 1 where on, ``slope`` where off. A sliding neuron
        has 0: it adds nothing to the output, and its field is projected instead."""
        on = (codes == ON).astype(float)
        return np.asarray(on + self.slope * (codes == OFF) if self.slope else on)


RELU = Activation()
