"""
Margins
=======

Of a classifier against log t: the least margin of the points over the squared size of the weights,
and its smooth form, which never falls once the loss is low enough.
"""

import gflow

data = gflow.Data([[1, 0, 0.5], [0, 2, 0.3], [-1, -0.2, 0.4]], [1, 1, -1])
start = gflow.TwoLayerReLU([0.2, 0.1, -0.1, -0.2], [
    [0.1, 0.1, 0.1], [0.05, 0, 0.05], [-0.05, 0, 0.05], [-0.1, 0.1, 0.1]])
flow = gflow.integrate(start, data, 1e30, loss="exponential")
gflow.plot.margins(flow)
