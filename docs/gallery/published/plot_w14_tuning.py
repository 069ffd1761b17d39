"""
Fine-tuning on two time scales
==============================

Boursier and Flammarion, two-timescale fine-tuning (arXiv:2609.34667; text not seen; data ours,
reduced): a network of four neurons is tuned to a task whose four neurons are turned by half a
radian. Output weights are at their optimum at every time, all norms of hidden weights constant.
Solid: the loss of the training points; dashed: of others.
"""

import gflow
import numpy as np

setting = gflow.experiments.published["W14"]
model, data = setting.problem(rng=0)
flow = gflow.integrate(model, data, setting.t_max, rates=setting.rates)
axes = gflow.plot.loss(flow)
axes.plot(flow.t, flow.test_loss(setting.test(np.random.default_rng(9))), "--", label="test")
print(f"norms change by {np.ptp(flow.norms, axis=0).max():.1e}")

# %%
# Steps with output weights a hundred times as fast, from their optimum, up to t = 30:

near = gflow.integrate(flow(0.0), data, 30.0, rates=(100.0, 1.0))
print(f"flow with the ratio 100: {np.abs(near.model.W - flow(30.0).W).max():.1e} away")
twin = gflow.descend(flow(0.0), data, 1e-2, 3000, rates=(100.0, 1.0))
print(f"lr = 0.01: distance {gflow.descent.distances(near, twin).max():.1e} to that")
