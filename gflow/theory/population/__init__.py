"""Gaussian inputs: kernels, field, loss and gradient flow of the population, in closed form.

Inputs are ``x ~ N(0, Sigma)``; labels come from a linear teacher ``x.beta`` or a ReLU network, plus
noise that is independent of x. This is the limit of many points.

Examples
--------
>>> from gflow.theory import population
>>> population.test_loss(([0.0], [[1.0]]), [2.0])
2.0
"""

from .kernels import arc_cosine_field, arc_cosine_kernel, arc_cosine_moments
from .law import field, test_loss
from .training import PopulationFlow, flow

__all__ = ["PopulationFlow", "arc_cosine_field", "arc_cosine_kernel", "arc_cosine_moments",
           "field", "flow", "test_loss"]


def __dir__() -> list[str]:
    return sorted(__all__)
