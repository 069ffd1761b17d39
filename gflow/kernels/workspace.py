"""What the kernels of a window share: the data, the pulls, and work space."""

from collections import namedtuple

import numpy as np

from .jit import maker
from .outputs import TOGETHER
from .taylor import ORDER
from .watch import NEAR

Geometry = namedtuple("Geometry",
                      "normal columns below above label length start member rows slope")
"""The data: unit normals (C, d) of the hyperplanes and their transpose (d, C), number of points
active on side -1 and on side 1 of each (C,), hyperplane and signed length of each point (n,), the
points of hyperplane h as ``member[start[h]:start[h + 1]]``, and all as columns (d, n); and the
slope of the activation where its input is negative."""
Force = namedtuple("Force", "plus minus plus_size plus_error minus_size minus_error accuracy band "
                            "unit_r split_r unit_u split_u")
"""The residuals on a window: field along every normal on its side 1 and -1, monomial coefficients
in s (C, p); for each of both the magnitude of its terms, and how much it may be wrong (C,);
accuracy of the Taylor pieces, and of the weights, relative; tables of `roots` for fields and
for neurons."""
Work = namedtuple("Work", "T P U w z series near basis solve planes lam tail touched when Z new "
                          "field axis heights most")
"""Work space of `march`; ``most`` (2,) is a bound for any `active_sum` of the magnitudes, and for
those of one neuron since its field was summed."""


@maker
def work_space(p, d, C, n):
    """Arrays for any number of marches."""
    room = C + NEAR + d + 1
    return Work(np.empty((p, d)), np.empty((p, d)), np.empty((ORDER + 1, d + 1)), np.empty(d),
                np.empty(max(ORDER + 1, C, p)), np.empty(ORDER + 1), np.empty(room, np.int64),
                np.empty((d, d)), np.empty((d, d)), np.empty(d, np.int64), np.empty((d, p)),
                np.empty(p),
                np.empty(room, np.int64), np.empty(room), np.empty(room, np.int64),
                np.empty(room, np.int8), np.empty(d), np.empty(d + 1), np.empty((TOGETHER, n)),
                np.full(2, np.inf))
