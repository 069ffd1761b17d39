"""
Neurons by angle and logarithm of the norm
==========================================

Rays are activation boundaries, triangles on the rim are points, up if the label is positive.
"""

import gflow

data = gflow.datasets.three_points()
flow = gflow.integrate(gflow.init.balanced(60, 2, 1e-3, rng=0), data, t_max=60.0)
gflow.plot.polar(flow, t=7.0)
