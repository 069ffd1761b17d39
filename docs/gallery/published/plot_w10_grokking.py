"""
Grokking: a large start, and weight decay
=========================================

Boursier, Pesme and Dragomir, "A theoretical framework for grokking" (arXiv:2505.20172; data
ours): ten points of one neuron in dimension 3. The training loss is gone at t = 10; the test loss
falls a thousand times later, at the scale of 1/decay.
"""

import gflow
import numpy as np

setting = gflow.experiments.published["W10"]
model, data = setting.problem(rng=0)
flow = gflow.integrate(model, data, 1e4, decay=setting.decay)
axes = gflow.plot.loss(flow, label="training")
axes.plot(flow.t, flow.test_loss(setting.test(np.random.default_rng(9))), "--", label="test")
axes.legend()

# %%
# Steps with the same decay, up to t = 100:

for lr in (1e-1, 1e-2):
    twin = gflow.descend(model, data, lr, round(100 / lr), decay=setting.decay)
    print(f"lr = {lr:g}: {gflow.descent.distances(flow, twin).max():.1e}")
