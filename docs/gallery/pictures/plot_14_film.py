"""
A film
======

Of any picture, or of the panel. It plays here and in notebooks; ``file="film.gif"`` writes it.
"""

import gflow

data = gflow.datasets.three_points()
flow = gflow.integrate(gflow.init.balanced(60, 2, 1e-3, rng=0), data, t_max=60.0)

gflow.plot.polar(flow, t=8.0)
gflow.plot.animate(flow, ["polar", "function"], times=[0.2 * k for k in range(25, 75)])
