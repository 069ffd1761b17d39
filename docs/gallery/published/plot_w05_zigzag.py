"""
40 points on a zigzag
=====================

Same source, figure 3: forty points on a line with seven kinks (here 200 of the 20000 neurons).
Kinks of the network move to where the labels bend.
"""

import gflow

setting = gflow.experiments.published["W5"]
model, data = setting.problem("reduced", rng=0)

flow = gflow.integrate(model, data, setting.t_max, rtol=1e-6)
gflow.plot.kinks(flow)
gflow.plot.loss(flow)

# %%
# Steps up to t = 400; the original takes two million of 2e-3, which is a flow time of 4000. The
# distance falls with the step, although many neurons slide.

for lr in (1e-1, 2e-2):
    twin = gflow.descend(model, data, lr, round(400 / lr))
    far = gflow.descent.distances(flow, twin)
    print(f"lr = {lr:g}: at most {far.max():.1e}, {far[-1]:.1e} at the end")
