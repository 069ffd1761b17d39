"""
The function that was learnt
============================

For one input with a bias. Several times on the same axes show how it grew.
"""

import gflow

data = gflow.datasets.three_points()
flow = gflow.integrate(gflow.init.balanced(60, 2, 1e-3, rng=0), data, t_max=60.0)

axes = None
for t in (7.0, 8.0, 60.0):
    axes = gflow.plot.function(flow, t, ax=axes, label=f"t = {t:g}")
