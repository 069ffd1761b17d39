"""
A leaky network that becomes linear
===================================

Zhang, Saxe and Latham (arXiv:2406.12615; data ours): slope 1/2, no bias, symmetric points. The
network learns what a linear one would.
"""

import gflow

setting = gflow.experiments.published["W13"]
model, data = setting.problem(rng=0)

flow = gflow.integrate(model, data, setting.t_max)
gflow.plot.panel(flow, t=4.0)

# %%
# Steps of two sizes:

for lr in (1e-1, 1e-2):
    twin = gflow.descend(model, data, lr, round(setting.t_max / lr))
    far = gflow.descent.distances(flow, twin)
    print(f"lr = {lr:g}: at most {far.max():.1e}, {far[-1]:.1e} at the end")
