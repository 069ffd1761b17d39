"""
A run on one page: panel
========================

The four pictures that tell a run. The last one is the function of one input, the boundary of two,
or outputs against labels, whichever the data allow.
"""

import gflow

data = gflow.datasets.three_points()
flow = gflow.integrate(gflow.init.balanced(60, 2, 1e-3, rng=0), data, t_max=60.0)
gflow.plot.panel(flow, t=9.5)
