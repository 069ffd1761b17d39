"""
Three points that trap small starts
===================================

Boursier, Bowditch, Englert and Lazic (arXiv:2505.22578), theorem 2: from a small start training
with weight decay ends at a local minimum.
"""

import gflow

setting = gflow.experiments.published["W11"]
model, data = setting.problem("reduced", rng=0)

flow = gflow.integrate(model, data, 1e6, decay=setting.decay)
gflow.plot.panel(flow, t=30.0)

# %%
# Steps with the same decay, up to t = 1000:

for lr in (1.0, 0.1):
    twin = gflow.descend(model, data, lr, round(1000 / lr), decay=setting.decay)
    print(f"lr = {lr:g}: {gflow.descent.distances(flow, twin).max():.1e}")
