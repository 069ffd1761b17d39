"""
Loss
====

The loss.
"""
import gflow
data = gflow.datasets.three_points()
flow = gflow.integrate(gflow.init.balanced(60, 2, 1e-3), data, t_max=60.0)
gflow.plot.loss(flow)
