"""
Five points that are not orthogonal
===================================

Same source, the line that is commented out there. Neurons slide along the boundaries of points.
At the published time, t = 40, nothing has grown yet; this run goes on to 400.
"""

import gflow

setting = gflow.experiments.published["W2"]
model, data = setting.problem(rng=0)

flow = gflow.integrate(model, data, 400.0)
gflow.plot.panel(flow, t=120.0)

# %%
# Up to t = 40 the original training is close to the flow. Later it is not, at *no* practical
# step: a neuron that slides for long shrinks while it does, its zigzags across the boundary break
# the balance of :math:`|a|` and :math:`|w|` by a little, and once the neuron is small enough that
# little changes the sign of :math:`a`. It then grows with the other sign. (:doc:`/descend` has
# the rate.)

for t in (40, 400):
    for lr in (2e-2, 2e-3):
        twin = gflow.descend(model, data, lr, round(t / lr))
        far = gflow.descent.distances(flow, twin).max()
        print(f"up to t = {t}, lr = {lr:g}: {far:.1e}")
