"""
Decision boundary
=================

Points of the plane labelled by quadrant. Black is where the output is 0, thin lines are where
neurons bend it.
"""

import gflow

data = gflow.datasets.xor(60, rng=0)
flow = gflow.integrate(gflow.init.balanced(40, 2, 1e-2, rng=1), data, t_max=100.0)
gflow.plot.boundary(flow)
