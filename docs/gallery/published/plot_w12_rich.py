"""
One layer a hundred times as fast
=================================

Kunin et al., "Get rich quick" (arXiv:2406.06158; data ours): twenty points of three neurons. With
a fast hidden layer ("upstream") features are learnt, and the test loss is small; with a fast
output layer they are not.

With a fast hidden layer the flow and training with steps part: a neuron whose output weight is
small may lose all of its hidden weights. The flow then leaves it at rest at 0, by convention; a
step of any size jumps over 0, and the neuron turns up on the other side.
"""

import gflow

for name in ("W12", "W12b"):
    setting = gflow.experiments.published[name]
    model, data = setting.problem(rng=0)
    flow = gflow.integrate(model, data, 100.0, rates=setting.rates)
    gflow.plot.panel(flow)
    twin = gflow.descend(model, data, 1e-2, 10_000, rates=setting.rates)
    far = gflow.descent.distances(flow, twin).max()
    dead = int((flow.norms[-1] == 0).sum())
    print(f"{setting.title}: lr = 0.01 is {far:.1e} away; {dead} neurons have come to rest at 0")
