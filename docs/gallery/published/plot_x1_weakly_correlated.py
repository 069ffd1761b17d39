"""
1300 points in dimension 100, no small start
============================================

Dana, Bach and Pillaud-Vivien, "Convergence of shallow ReLU networks on weakly interacting data",
published code, experiment 1: 36 neurons, output weights that dominate, every label fitted. Their
networks are divided by the width p, which is a start divided by its root.
"""

import gflow
import numpy as np

rng = np.random.default_rng(0)
X = rng.standard_normal((1300, 100))
X *= (rng.uniform(1, 2, 1300) / np.linalg.norm(X, axis=1))[:, None]
data = gflow.Data(X, rng.uniform(1, 2, 1300) * rng.choice([-1, 1], 1300))
model = gflow.init.exponential(36, 100, 36**-0.5, rng=1)
flow = gflow.integrate(model, data, 50.0, rtol=1e-6)
gflow.plot.panel(flow)

# %%
# The step of the original is 1:

for lr in (1.0, 0.1):
    far = gflow.descent.distances(flow, gflow.descend(model, data, lr, round(50 / lr)))
    print(f"lr = {lr:g}: at most {far.max():.1e}, {far[-1]:.1e} at the end")
