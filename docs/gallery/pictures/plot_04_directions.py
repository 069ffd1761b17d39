"""
Directions
==========

Angles of all neurons, and the activation boundaries of the data: early alignment, seen.
"""

import gflow

data = gflow.datasets.three_points()
flow = gflow.integrate(gflow.init.balanced(60, 2, 1e-3, rng=0), data, t_max=60.0)
gflow.plot.directions(flow)
