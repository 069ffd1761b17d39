"""
Five points, and a start of nearly zero
=======================================

The published code ``relu_like`` of ZhengqingUUU: 50 neurons with weights of 8e-6. Small networks
pass saddles, one after the other.
"""

import gflow

setting = gflow.experiments.published["W9"]
model, data = setting.problem(rng=0)

flow = gflow.integrate(model, data, setting.t_max)
gflow.plot.panel(flow, t=400.0)
print(flow.message)

# %%
# Here one neuron has a choice at t = 55, as the message says: its output weight changes sign while
# it slides, and two solutions go on from there. Up to it steps follow the flow, ten times shorter
# ones ten times as near. Then they take the other solution: the flow that begins where they are at
# t = 60 ends with their outputs.

for lr in (2e-2, 2e-3):
    twin = gflow.descend(model, data, lr, round(setting.t_max / lr))
    far = gflow.descent.distances(flow, twin)
    other = gflow.integrate(twin(60.0), data, setting.t_max - 60.0).model
    print(f"lr = {lr:g}: {far[twin.t < 55].max():.1e} up to 55, {far.max():.1e} in all; "
          f"from 60 on outputs are {abs(other(data.X) - twin.model(data.X)).max():.1e} apart")
