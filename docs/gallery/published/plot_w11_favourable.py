"""
Three points that trap small starts
===================================

Boursier, Bowditch, Englert and Lazic (arXiv:2505.22578), theorem 2, at full size: from a small
start training with weight decay ends at a local minimum of the objective. All neurons that grow
share one direction; the global minimum, 1.9807e-05 in the units below, has others
(:doc:`/published`).
"""

import gflow

setting = gflow.experiments.published["W11"]
model, data = setting.problem("full", rng=0)

flow = gflow.integrate(model, data, 1e6, decay=setting.decay)
gflow.plot.panel(flow)
print(f"objective {2 * flow.objective[-1]:.5g}")

# %%
# Steps with the same decay, up to t = 1000:

for lr in (0.1, 0.01):
    twin = gflow.descend(model, data, lr, round(1000 / lr), decay=setting.decay)
    print(f"lr = {lr:g}: {gflow.descent.distances(flow, twin).max():.1e}")
