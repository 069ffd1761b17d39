"""
75 points in dimension 150
==========================

Same source, ``high_dimension``: a teacher of six neurons, a start of scale 1e-20, here with 40 of
the 200 neurons. Double precision has no trouble with such scales, because tolerances are relative
to each neuron. In the plane of the two principal directions of the weights, neurons end in a few
groups.
"""

import gflow

setting = gflow.experiments.published["W3"]
model, data = setting.problem("reduced", rng=0)

flow = gflow.integrate(model, data, setting.t_max, rtol=1e-6)
gflow.plot.panel(flow)

# %%
# The original takes 200000 steps of 2e-3. These are 50 and 10 times as long; the distance falls
# with the step, so that the original is some 2e-3 away.

for lr in (1e-1, 2e-2):
    twin = gflow.descend(model, data, lr, round(setting.t_max / lr))
    far = gflow.descent.distances(flow, twin)
    print(f"lr = {lr:g}: at most {far.max():.1e}, {far[-1]:.1e} at the end")
