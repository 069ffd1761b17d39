"""
A wide network on four clouds
=============================

Same source, figure 2, at full size: two pairs of opposite clouds at a right angle, 4096 neurons,
PyTorch's own start times 1/128, logistic loss. W7b has the angle pi/3.
"""

import gflow

setting = gflow.experiments.published["W7"]
model, data = setting.problem("full", rng=0)

flow = gflow.integrate(model, data, setting.t_max, loss=setting.loss, rtol=1e-6)
gflow.plot.panel(flow, t=60.0)

# %%
# The step of the original is 1/16. With 256 neurons, and steps eight times and twice as long:

model, data = setting.problem("reduced", rng=0)
flow = gflow.integrate(model, data, setting.t_max, loss=setting.loss, rtol=1e-6)
for lr in (0.5, 0.125):
    twin = gflow.descend(model, data, lr, round(setting.t_max / lr), loss=setting.loss)
    far = gflow.descent.distances(flow, twin)
    print(f"lr = {lr:g}: at most {far.max():.1e}, {far[-1]:.1e} at the end")
