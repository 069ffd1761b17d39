"""Exact test cases: gradient flows of the full network in closed form.

Every function returns an `ExactFlow`: the start, the data, and the weights, residuals and events at
any time, to compare `gflow.integrate` with. Parameters are free.

====  =====================  ====================================================================
T1    `one_point`            one point, any neurons
T2    `orthogonal_points`    one balanced neuron fits orthogonal points
T3    `symmetric_pair`       symmetric data, a linear network through all activation changes
T4    `dying_neuron`         a neuron of the wrong sign dies in finite time
T5    `slides_for_ever`      a neuron arrives at a hyperplane and stays on it
T6    `released`             neurons slide until their multiplier leaves [0, 1]
T7    `group_on_one_axis`    many points, neurons on one axis
T8    `antipodal_clusters`   two aligned clusters, as on a Gaussian population
T9    `early_polygon`        vanishing initial scale: polygons
====  =====================  ====================================================================

`leaky_slide` has a slope, and `orthogonal_points` takes a weight decay.

Examples
--------
>>> from gflow.theory import exact
>>> sorted(exact.CASES) == [f"T{i}" for i in range(1, 10)]
True
"""

from .groups import antipodal_clusters, group_on_one_axis
from .leaky import leaky_slide
from .linear import orthogonal_points, symmetric_pair
from .points import dying_neuron, one_point, released, slides_for_ever
from .polygon import early_polygon
from .solution import ExactFlow

CASES = {"T1": one_point, "T2": orthogonal_points, "T3": symmetric_pair, "T4": dying_neuron,
         "T5": slides_for_ever, "T6": released, "T7": group_on_one_axis, "T8": antipodal_clusters,
         "T9": early_polygon}
"""The functions by number."""

__all__ = ["CASES", "ExactFlow", "antipodal_clusters", "dying_neuron", "early_polygon",
           "group_on_one_axis", "leaky_slide", "one_point", "orthogonal_points", "released",
           "slides_for_ever", "symmetric_pair"]


def __dir__() -> list[str]:
    return sorted(__all__)
