"""
Outputs against labels
======================

For inputs of any dimension. Noisy labels of a linear teacher are not interpolated: training stops
at one least squares fit on each side.
"""

import gflow

data = gflow.datasets.linear_teacher(40, 5, noise=0.5, rng=0)
flow = gflow.integrate(gflow.init.balanced(100, 5, 1e-3, rng=1), data, t_max=50.0, rtol=1e-6)
gflow.plot.fit(flow)
