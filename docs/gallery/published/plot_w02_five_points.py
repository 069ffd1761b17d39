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
# Up to t = 300 training with steps follows the flow, and ten times shorter steps are ten times as
# near. Then it parts, and no practical step helps. Neurons that slide for long shrink while they
# do, by the factor in the last line. Zigzags across the boundary change :math:`a^2 - |w|^2`
# meanwhile, by a part of the order of the step (:doc:`/descend` has the rate); in a neuron so
# small that is enough for :math:`a` to change sign, and the neuron grows with the other one. Steps
# would have to be as small as the square of that factor.

for lr in (2e-2, 2e-3):
    twin = gflow.descend(model, data, lr, round(400 / lr))
    far = gflow.descent.distances(flow, twin)
    other = twin.model.a * flow.model.a < 0
    print(f"lr = {lr:g}: {far[twin.t < 300].max():.1e} up to 300, {far.max():.1e} up to 400")
print(f"{other.sum()} neurons have the other sign; "
      f"they shrink to {(flow.norms / flow.norms[0])[:, other].min(axis=0).max():.0e} or less")
