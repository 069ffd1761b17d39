"""
One layer a hundred times as fast
=================================

Kunin et al., "Get rich quick" (arXiv:2406.06158; data ours): twenty points of three neurons. With
a fast hidden layer ("upstream") features are learnt, and the test loss is small; with a fast
output layer they are not.

With a fast hidden layer a neuron whose output weight is small may lose all of its hidden weights:
the first one at t = 0.43. Up to there steps follow the flow, and ten times shorter ones are ten
times as near. Then the flow leaves the neuron at rest at 0, by convention; a step of any size jumps
over 0, and the neuron turns up on the other side. With a fast output layer there is no such neuron.
"""

import gflow

for name, until in ("W12", 0.43), ("W12b", 100.0):
    setting = gflow.experiments.published[name]
    model, data = setting.problem(rng=0)
    flow = gflow.integrate(model, data, 100.0, rates=setting.rates)
    gflow.plot.panel(flow)
    print(f"{name}: {(flow.norms[-1] == 0).sum()} neurons have come to rest at 0")
    for lr in (1e-2, 1e-3):
        twin = gflow.descend(model, data, lr, round(100 / lr), rates=setting.rates, save_every=10)
        far = gflow.descent.distances(flow, twin)
        print(f"lr = {lr:g}: {far[twin.t < until].max():.1e} up to {until}, {far.max():.1e} in all")
