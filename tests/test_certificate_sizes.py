"""What certificates measure errors by: sizes of neurons, or of their layers."""

import numpy as np
import pytest

import gflow

DATA = gflow.datasets.linear_teacher(6, 2, noise=0.5, rng=3)


def relabelled(flow, k, by):
    """The run, as if label ``k`` had been another one."""
    flow.data = gflow.Data(flow.data.X, flow.data.y + by * (np.arange(flow.data.n) == k))
    return flow


@pytest.mark.parametrize("settings", [
    {"method": "DOP853"}, {"method": "DOP853", "rtol": 1e-3}, {"method": "RK23", "rtol": 1e-5},
    {"method": "Radau", "rtol": 1e-6}, {"method": "BDF", "rtol": 1e-6}, {"rates": (1, 0)},
    {"method": "RK45", "decay": 0.1}], ids=str)
def test_a_smooth_neuron_that_starts_at_0_is_not_doubted(settings):
    """It moves all the same, and is no more accurate at 0 than where the first piece ends."""
    model = gflow.TwoLayer([0.0, 0.3], [[0.0, 0.0], [0.2, -0.1]], activation="softplus")
    for t_max in (1e-2, 3.0):
        flow = gflow.integrate(model, DATA, t_max, **settings)
        assert flow.certificate().ok, flow.certificate()
        assert not relabelled(flow, 2, 0.1).certificate().ok


def test_a_wrong_label_is_named_where_layers_are_unlike():
    """The smaller layer is measured by itself, and so is what a label does to it."""
    for seed in (0, 3, 4, 5, 9, 10):
        rng = np.random.default_rng([5, seed])
        X, y = rng.standard_normal((5, 2)), rng.standard_normal(5)
        start = rng.standard_normal(2) / 1e3, 1e3 * rng.standard_normal((2, 2))
        flow = gflow.integrate(start, (X, y), 1e-5, method="DOP853")
        assert flow.certificate().ok, seed
        k = int(np.argmax((flow.pattern(0.0) == 1).any(axis=0)))
        assert relabelled(flow, k, 1e-4).certificate().offset_point == k, seed


def test_what_would_be_missed_is_nothing_where_there_is_nothing():
    flow = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), 1.0)
    assert not len(flow.events)
    assert "0 of 0 events" in str(flow.certificate())
    assert "one event moved in 0%" in str(flow.certificate())
