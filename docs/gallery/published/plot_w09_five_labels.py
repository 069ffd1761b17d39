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
# Here one neuron has a choice, as the message says: its output weight changes sign while it
# slides, and two solutions go on from there. Steps take the other one. Without that neuron the
# distance is:

lr, other = 2e-2, flow.choices["neuron"][0]
twin = gflow.descend(model, data, lr, round(setting.t_max / lr))
far = abs(flow(twin.t).W - twin.W).max(axis=(0, 2))
print(f"neuron {other}: {far[other]:.1e}; all others: {far[far < far[other]].max():.1e}")
