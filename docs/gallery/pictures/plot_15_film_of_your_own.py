"""
A film of your own
==================

Of a function of ``(t, ax)``: here the number of neurons active at each point.
"""

import gflow

data = gflow.datasets.three_points()
flow = gflow.integrate(gflow.init.balanced(60, 2, 1e-3, rng=0), data, t_max=60.0)


def active(t, ax):
    ax.bar(["first", "second", "third"], (flow.pattern(t) > 0).sum(axis=0))
    ax.set_ylabel("active neurons")


gflow.plot.events(flow)
gflow.plot.animate(flow, active, times=range(0, 20))
