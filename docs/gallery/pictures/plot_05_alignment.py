"""
Alignment
=========

The angle of every neuron to the extremal vector that theory says it ends with, in five
dimensions; and the end of the alignment, and the escape of the loss.
"""

import gflow

data = gflow.datasets.linear_teacher(40, 5, noise=0.5, rng=0)
flow = gflow.integrate(gflow.init.balanced(100, 5, 1e-3, rng=1), data, t_max=50.0, rtol=1e-6)
gflow.plot.alignment(flow)
