"""
How far is training from the flow?
==================================

The distance of gradient descent to the flow is proportional to the step.
"""

import gflow

data = gflow.datasets.symmetric(20, 3)
start = gflow.init.balanced(20, 3, scale=0.1, rng=1)
flow = gflow.integrate(start, data, 10.0)
twins = [gflow.descend(start, data, lr, round(10 / lr)) for lr in (1e-1, 1e-2, 1e-3)]
gflow.plot.step_sizes(flow, twins, label="largest distance").legend()
