"""Data sets of the literature, seeded, and data from a file.

A whole number as ``rng`` seeds a stream apart from that of `gflow.init`: points and initial
weights drawn with equal seeds are independent.
"""

from .files import from_csv
from .papers import five_points, orthogonal, stewart, three_points, xor
from .teachers import linear_teacher, one_neuron, relu_teacher, symmetric

__all__ = ["five_points", "from_csv", "linear_teacher", "one_neuron", "orthogonal", "relu_teacher",
           "stewart", "symmetric", "three_points", "xor"]


def __dir__() -> list[str]:
    return sorted(__all__)
