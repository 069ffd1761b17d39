"""
40 points on a zigzag
=====================

Same source, figure 3, at full size: forty points on a line with seven kinks, 20000 neurons. All
that have grown bend the function in one of two places, near -0.75 and 0.75. The zigzag between
these is not learnt, and the loss stays above 0.02.
"""

import gflow

setting = gflow.experiments.published["W5"]
model, data = setting.problem("full", rng=0)

flow = gflow.integrate(model, data, setting.t_max, rtol=1e-6)
gflow.plot.kinks(flow)
gflow.plot.loss(flow)

# %%
# The original takes two million steps of 2e-3, which is a flow time of 4000. With 200 neurons, and
# steps up to t = 400; the distance falls with the step, although many neurons slide.

model, data = setting.problem("reduced", rng=0)
flow = gflow.integrate(model, data, 400.0, rtol=1e-6)
for lr in (1e-1, 2e-2):
    twin = gflow.descend(model, data, lr, round(400 / lr))
    far = gflow.descent.distances(flow, twin)
    print(f"lr = {lr:g}: at most {far.max():.1e}, {far[-1]:.1e} at the end")
