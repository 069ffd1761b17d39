"""
One neuron learnt from correlated points
========================================

Chistikov, Englert and Lazic, "Learning a neuron by a shallow ReLU network" (arXiv:2306.06479):
ten points around a unit vector, 25 neurons, scale 1/256. Neurons turn to the teacher's direction
together, and end as one.
"""

import gflow

setting = gflow.experiments.published["W8"]
model, data = setting.problem(rng=0)

flow = gflow.integrate(model, data, 4000.0)
gflow.plot.panel(flow)

# %%
# The step of the original is 2e-2 here; it takes up to twenty million of them.

for lr in (1e-1, 1e-2):
    twin = gflow.descend(model, data, lr, round(4000 / lr))
    far = gflow.descent.distances(flow, twin)
    print(f"lr = {lr:g}: at most {far.max():.1e}, {far[-1]:.1e} at the end")
