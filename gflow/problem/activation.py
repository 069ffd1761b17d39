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
    smooth = False

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Its values, entry by entry."""
        up = np.maximum(z, 0.0)
        return np.asarray(up + self.slope * np.minimum(z, 0.0) if self.slope else up)

    @property
    def steepest(self) -> float:
        """A bound on squares and values of its derivative."""
        return max(1.0, self.slope**2)

    def mirrored(self, p: np.ndarray) -> np.ndarray:
        """Pulls (..., 2 n) of the points and of their opposites, whose ReLU neurons have the field
        of these under pulls ``p`` (..., n): ``phi(z) = relu(z) - slope relu(-z)``.

        Examples
        --------
        >>> Activation(0.5).mirrored(np.array([1.0]))
        array([ 2., -1.])
        """
        # Twice: fields are means over the points, and there are twice as many.
        return np.concatenate([2 * p, -2 * self.slope * p], axis=-1)

    def weights(self, codes: np.ndarray) -> np.ndarray:
        """Its derivative on patterns ``codes``: 1 where on, ``slope`` where off. A sliding neuron
        has 0: it adds nothing to the output, and its field is projected instead."""
        on = (codes == ON).astype(float)
        return np.asarray(on + self.slope * (codes == OFF) if self.slope else on)


RELU = Activation()
