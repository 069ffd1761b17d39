"""
Classification of sixteen clusters
==================================

Chizat and Bach, "Implicit bias of gradient descent for wide two-layer neural networks", 2020,
published code: 100 points of 16 clusters, half of them of either class, 500 neurons, a loss with
an exponential tail. Directions tend to a network of large margin.
"""

import gflow
import numpy as np

rng = np.random.default_rng(1)
cell = rng.integers(16, size=100)
X = np.column_stack([cell // 4, cell % 4]) + rng.uniform(0, 1 / 3, (100, 2))
y = rng.permutation(np.repeat([-1, 1], 8))[cell]
data = gflow.Data(X * 3 / 11 - 0.5, y, bias=True)
model = gflow.init.unbalanced(500, 3, 1.0, rng=1)
flow = gflow.integrate(model, data, 1e6, rtol=1e-6, loss="exponential")
gflow.plot.boundary(flow)

# %%
# Steps up to t = 100:

twin = gflow.descend(model, data, 0.02, 5000, loss="exponential")
print(f"lr = 0.02: {gflow.descent.distances(flow, twin).max():.1e}")
