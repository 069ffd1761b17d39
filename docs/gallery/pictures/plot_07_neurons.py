"""
Neurons in the plane
====================

With two columns the weights themselves; with more, as here, in the plane of their two principal
directions, and the axes say how much of them that is.
"""

import gflow

data = gflow.datasets.linear_teacher(40, 5, noise=0.5, rng=0)
flow = gflow.integrate(gflow.init.balanced(100, 5, 1e-3, rng=1), data, t_max=50.0, rtol=1e-6)
gflow.plot.neurons(flow)
