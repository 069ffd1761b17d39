"""
Three points on which training gets stuck
=========================================

Boursier and Flammarion, "Early alignment in two-layer networks training is a two-edged sword"
(arXiv:2401.10791), figure 2, at full size: 20000 neurons. All that grow end in one
direction, and training at a spurious stationary point of loss 0.0875.
"""

import gflow

setting = gflow.experiments.published["W4"]
model, data = setting.problem("full", rng=0)

flow = gflow.integrate(model, data, setting.t_max, rtol=1e-6)
gflow.plot.panel(flow, t=9.0)

# %%
# The original takes two million steps of 2e-3. With 500 neurons and longer steps:

model, data = setting.problem("reduced", rng=0)
flow = gflow.integrate(model, data, setting.t_max)
for lr in (1e-1, 2e-2):
    twin = gflow.descend(model, data, lr, round(setting.t_max / lr))
    far = gflow.descent.distances(flow, twin)
    print(f"lr = {lr:g}: at most {far.max():.1e}, {far[-1]:.1e} at the end")
