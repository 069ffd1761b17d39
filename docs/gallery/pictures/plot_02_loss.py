"""
Loss
====

Time is linear up to where alignment begins to show, logarithmic from there. Two flows on the same
axes get colours of their own.
"""

import gflow

data = gflow.datasets.three_points()
flow = gflow.integrate(gflow.init.balanced(60, 2, 1e-3, rng=0), data, t_max=60.0)

axes = gflow.plot.loss(flow, label="scale 1e-3", lw=2)
tiny = gflow.integrate(gflow.init.balanced(60, 2, 1e-6, rng=0), data, t_max=60.0)
gflow.plot.loss(tiny, ax=axes, label="scale 1e-6", ls="--")
