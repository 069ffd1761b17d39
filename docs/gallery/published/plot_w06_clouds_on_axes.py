"""
Four neurons of four scales, for a time of 8e11
===============================================

Tsoy and Konstantinov (arXiv:2405.17299), figures 1 and 5 to 7: logistic loss, 224 points near
four half-axes, four neurons of scales 1e-4, 1e-5, 1e-7 and 1e-6. The steps of the original grow
up to a flow time of 7.93e11. On such data the loss falls like 1/t for ever, and gflow goes on in
the logarithm of time. W6b and W6c are the other two orders of the scales.
"""

import gflow

setting = gflow.experiments.published["W6"]
model, data = setting.problem(rng=0)

flow = gflow.integrate(model, data, setting.t_max, loss=setting.loss)
gflow.plot.boundary(flow)
gflow.plot.loss(flow)

# %%
# Steps of constant size go as far as the first 15872 epochs of the original, t = 1199.8; its own
# first step is 1/128.

for lr in (0.0625, 0.0078125):
    twin = gflow.descend(model, data, lr, round(1199.8 / lr), loss=setting.loss)
    far = gflow.descent.distances(flow, twin)
    print(f"lr = {lr:g}: at most {far.max():.1e}, {far[-1]:.1e} at the end")
