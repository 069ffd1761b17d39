"""
Kinks
=====

Where neurons bend the function, -b/w, and by how much.
"""

import gflow

data = gflow.datasets.stewart(40, rng=0)
flow = gflow.integrate(gflow.init.balanced(100, 2, 0.1, rng=1), data, t_max=1000.0, rtol=1e-6)
gflow.plot.kinks(flow)
