"""
75 points in dimension 150
==========================

Same source, ``high_dimension``, at full size: a teacher of six neurons, 200 neurons, a start of
scale 1e-20. Double precision has no trouble with such scales, because tolerances are relative to
each neuron. All neurons turn before t = 100, and keep their direction until they are large. At the
end those of negative output weight, all in one direction, are still tiny: no output is negative.
"""

import gflow

setting = gflow.experiments.published["W3"]
model, data = setting.problem("full", rng=0)

flow = gflow.integrate(model, data, setting.t_max, rtol=1e-6)
gflow.plot.panel(flow)

# %%
# The original takes 200000 steps of 2e-3. These are 50 and 10 times as long.

for lr in (1e-1, 2e-2):
    twin = gflow.descend(model, data, lr, round(setting.t_max / lr))
    far = gflow.descent.distances(flow, twin)
    print(f"lr = {lr:g}: at most {far.max():.1e}, {far[-1]:.1e} at the end")
