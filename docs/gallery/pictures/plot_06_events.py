"""
Events
======

Every moment at which a neuron switches at a point, or begins or ends to slide.
"""

import gflow

data = gflow.datasets.linear_teacher(40, 5, noise=0.5, rng=0)
flow = gflow.integrate(gflow.init.balanced(100, 5, 1e-3, rng=1), data, t_max=50.0, rtol=1e-6)
gflow.plot.events(flow)
