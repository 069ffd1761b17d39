"""
300 points in dimension 50, no small start
==========================================

Dana, Bach and Pillaud-Vivien, "Convergence of shallow ReLU networks on weakly interacting data",
published code, experiment 1, in a smaller size (theirs begins with 1300 points in dimension 100,
and 36 neurons: put these numbers here). Output weights dominate, and every label is fitted. Their
networks are divided by the width, which is the same as a start divided by its root.
"""

import gflow
import numpy as np

rng = np.random.default_rng(0)
X = rng.standard_normal((300, 50))
X *= (rng.uniform(1, 2, 300) / np.linalg.norm(X, axis=1))[:, None]
data = gflow.Data(X, rng.uniform(1, 2, 300) * rng.choice([-1, 1], 300))
model = gflow.init.exponential(31, 50, 31**-0.5, rng=1)
flow = gflow.integrate(model, data, 330.0, rtol=1e-6)
gflow.plot.panel(flow)

# %%
# The step of the original is 1, which ends at other weights than the flow; steps of a hundredth
# follow it.

for lr in (1.0, 0.01):
    far = gflow.descent.distances(flow, gflow.descend(model, data, lr, round(330 / lr)))
    print(f"lr = {lr:g}: at most {far.max():.1e}, {far[-1]:.1e} at the end")
