"""
Two orthogonal points
=====================

The smallest example of Boursier, Pillaud-Vivien and Flammarion (arXiv:2206.00939,
``training_dynamics``): 60 neurons of scale 1e-6. All neurons that see the first point align with
it, all that see the second with that, and each group grows at a time of its own.
"""

import gflow

setting = gflow.experiments.published["W1"]
model, data = setting.problem(rng=0)

flow = gflow.integrate(model, data, setting.t_max)
gflow.plot.panel(flow, t=12.0)

# %%
# The first step is that of the original, 20000 of them; the second is a tenth. The distance to
# the flow falls by ten as well.

for lr in (2e-3, 2e-4):
    twin = gflow.descend(model, data, lr, round(setting.t_max / lr))
    far = gflow.descent.distances(flow, twin)
    print(f"lr = {lr:g}: at most {far.max():.1e}, {far[-1]:.1e} at the end")
