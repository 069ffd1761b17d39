"""
Norms
=====

One line a neuron; sign of the output weight by colour and dashes, dead neurons faint.
"""

import gflow

data = gflow.datasets.three_points()
flow = gflow.integrate(gflow.init.balanced(60, 2, 1e-3, rng=0), data, t_max=60.0)
gflow.plot.norms(flow)
