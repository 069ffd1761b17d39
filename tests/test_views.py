"""Paths seen through all at once: the span of the points, a clock, units, speeds of layers."""

import numpy as np
import pytest

import gflow
from gflow import Data, TwoLayerReLU
from gflow.engines.origin import origin

ENGINES = ["DOP853", "waveform"]
CASES = {"decay": dict(loss="square", decay=(0.05, 0.2), t=5.0),
         "clock": dict(loss="logistic", t=200.0)}


def wide(loss, slope=0.1):
    """A leaky problem of rank 2 in eight dimensions, and the same in two."""
    rng = np.random.default_rng(0)
    W, X, y = 0.4 * rng.standard_normal((6, 2)), rng.standard_normal((4, 2)), rng.standard_normal(4)
    a = np.linalg.norm(W, axis=1) * np.sign(rng.standard_normal(6))
    basis = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    y = np.sign(y) if loss != "square" else y
    across = 0.3 * rng.standard_normal((6, 6)) @ basis[2:]
    return (TwoLayerReLU(a, W @ basis[:2] + across, slope=slope), (X @ basis[:2], y),
            TwoLayerReLU(a, W, slope=slope), (X, y), basis[:2], across)


@pytest.mark.parametrize("method", ENGINES)
@pytest.mark.parametrize("name", CASES)
def test_all_views_at_once_are_the_flow_in_few_dimensions(method, name, tmp_path):
    options = {"rates": (4.0, 1.0), "method": method, "rtol": 1e-10, **CASES[name]}
    t, unit = options.pop("t"), 2.0 ** 50
    decay = options.get("decay", (0.0, 0.0))
    model, data, small, few, basis, across = wide(options["loss"])
    flow, plain = (gflow.integrate(one, points, t, **options)
                   for one, points in ((model, data), (small, few)))
    seen = origin(flow.path)
    assert seen.spanned is not None and seen.rates and flow.path.d == 8
    assert (seen.clock.parts is not None) == (name == "clock")
    times = np.linspace(0.0, t, 9)
    np.testing.assert_allclose(flow(times).W @ basis.T, plain(times).W, atol=3e-7)
    # What no point sees stays, or decays by itself.
    left = np.exp(-decay[1] * times)[:, None, None] * across
    np.testing.assert_allclose(flow(times).W - flow(times).W @ basis.T @ basis, left, atol=1e-9)
    assert flow.certificate().ok
    longer = gflow.integrate(model, data, t / 2, **options).extend(t)
    np.testing.assert_allclose(longer(times).W, flow(times).W, atol=1e-7)
    assert len(longer.events) == len(flow.events) and longer.certificate().ok
    longer.save(tmp_path / "run.npz")
    again = gflow.load(tmp_path / "run.npz")
    assert np.array_equal(again.W, longer.W) and np.array_equal(again.events, longer.events)
    far = gflow.integrate(model.like(model.a / unit**0.5, model.W / unit**0.5),
                          (data[0] * unit, data[1]), t / unit, **{
        **options, "decay": tuple(part * unit for part in decay)})
    assert any(origin(far.path).units) and far.certificate().ok
    np.testing.assert_allclose(far.W[-1] * unit**0.5, flow.W[-1], atol=1e-7)


def test_choices_are_told_in_the_time_of_the_user():
    # The start lies on a repelling hyperplane: a choice at time 0, with speeds that are not 1.
    flow = gflow.integrate(([1.0], [[0.0, 1.0]]), ([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0]), 1.0,
                           rates=(4.0, 1.0))
    assert flow.stats["ambiguous"] == 1 and flow.choices["time"].tolist() == [0.0]


@pytest.mark.parametrize("options", [{"rates": (2.0, 1.0)}, {"decay": 0.1}, {"loss": "logistic"}])
def test_what_foresees_plain_flows_refuses_others(options):
    start, data = ([0.5], [[0.3]]), ([[1.0]], [1.0])
    for rule in (gflow.stop.converged(), gflow.stop.settled()):
        with pytest.raises(ValueError, match="plain ReLU"):
            gflow.integrate(start, data, 1.0, stop=rule, **options)
    flow = gflow.integrate(start, data, 1.0, **options)
    for ask in (flow.verdict, flow.plateaus):
        with pytest.raises(ValueError, match="plain ReLU"):
            ask()
    # Under pulls that are given neurons obey linear equations in every setting.
    assert flow.conditioning().largest >= 1.0


def test_gradients_and_predictions_of_leaky_networks_with_a_bias():
    rng = np.random.default_rng(1)
    data = Data(rng.standard_normal((5, 1)), rng.standard_normal(5), bias=True)
    model = TwoLayerReLU(rng.standard_normal(3), rng.standard_normal((3, 2)), slope=0.3, bias=True)
    found, h = model.gradient(data), 1e-6
    for i in range(3):
        step = h * np.eye(3)[i]
        a = (model.like(model.a + step, model.W).loss(data)
             - model.like(model.a - step, model.W).loss(data)) / (2 * h)
        assert found.a[i] == pytest.approx(a, abs=1e-8)
        for c in range(2):
            step = np.zeros((3, 2))
            step[i, c] = h
            w = (model.like(model.a, model.W + step).loss(data)
                 - model.like(model.a, model.W - step).loss(data)) / (2 * h)
            assert found.W[i, c] == pytest.approx(w, abs=1e-8)
    flow = gflow.integrate(model, data, 2.0)
    np.testing.assert_allclose(flow.predict(data.X[:, :1])[-1], flow.model(data.X), rtol=1e-12)
    assert flow(flow.t[2:4])[0].slope == 0.3
