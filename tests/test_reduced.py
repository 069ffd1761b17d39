"""The reduced system: the same flow as window by window, and bundles that never miss a contact."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import gflow
from gflow.engines.waveform.calm import Calm
from gflow.engines.waveform.reduced import Reduced
from gflow.engines.waveform import engine as waveform
from gflow.kernels import bundles
from gflow.kernels.chebyshev import nodes, to_series


def run(n, d, t_max=2000.0, noise=0.5, **options):
    data = gflow.datasets.linear_teacher(n, d, noise=noise, rng=1)
    model = gflow.init.balanced(20, d, 1e-2, rng=2)
    return gflow.integrate(model, data, t_max, method="waveform", **options)


@pytest.fixture(autouse=True)
def restless(monkeypatch):
    """No flow is carried to its end at once because it rests: windows are what is tested."""
    monkeypatch.setattr(Reduced, "at_rest", False)
    monkeypatch.setattr(waveform, "LOOK", 10**9)


def pulled(flow):
    """How many events are at points that still pull: a slide on the hyperplane of one that has been
    fitted to rounding ends where that rounding has it end, or never."""
    residual = [flow.data.y[k] - flow(t)(flow.data.X[[k]])[0]
                for t, k in zip(flow.events["time"], flow.events["point"])]
    return int((np.abs(residual) > 1e-11).sum())


@pytest.mark.parametrize("n, d", [(30, 2), (3, 4)])
def test_it_is_the_same_flow(n, d, monkeypatch):
    # Long enough for the tail, which takes few steps, to be most of it.
    flow = run(n, d, 1e6, rtol=1e-10)
    assert flow.stats["reduced_steps"] > 10 and flow.certificate().ok
    monkeypatch.setattr(waveform, "PATIENCE", 10**9)
    other = run(n, d, 1e6, rtol=1e-10)
    assert other.stats["reduced_steps"] == 0
    np.testing.assert_allclose(flow.W, other.W, atol=1e-7)
    assert pulled(flow) == pulled(other) > 30
    calm = next(piece for piece in flow.path.pieces if isinstance(piece, Calm))
    t = np.linspace(calm.t0, calm.t1, 5)
    np.testing.assert_allclose([flow(x).W for x in t], [other(x).W for x in t], atol=1e-7)


def test_neurons_may_grow_on_it():
    # One neuron has fitted its point; another grows from 1e-150 by a hundred powers of ten
    # without an event, through many stretches.
    data = gflow.Data([[1.0, 0.2], [-0.6, 1.0]], [1.0, 0.01])
    W = np.array([[1.0, 0.21], [-0.61e-150, 1.01e-150]])
    model = gflow.TwoLayerReLU(np.linalg.norm(W, axis=1), W)
    stretches = []
    # When the engine goes over to the reduced system hangs on the last digits of its windows.
    for rtol in 8e-10, 1e-9, 1.25e-9:
        flow = gflow.integrate(model, data, 44000.0, method="waveform", rtol=rtol)
        assert flow.success and flow.certificate().ok and flow.stats["reduced_steps"] > 10
        calm = [piece for piece in flow.path.pieces if isinstance(piece, Calm)]
        stretches.append(len({id(piece.stretch) for piece in calm}))
        assert flow.norms[-1, 1] > 1e-100
        growth = np.log(flow.norms[-1, 1] / flow.norms[100, 1]) / (flow.t[-1] - flow.t[100])
        np.testing.assert_allclose(growth, 0.005 * np.linalg.norm(data.X[1]), rtol=1e-3)
    assert max(stretches) > 3


def test_neurons_at_rest_are_left_out():
    # The second neuron has reached w = 0 while it slid: its pattern has no neuron that moves.
    data = gflow.Data([[1.0, 0.2], [0.4, 1.0], [-0.3, 0.5]], [1.0, 0.5, -0.2])
    model = gflow.TwoLayerReLU([1.0, -0.5, -0.8], [[1.0, 0.21], [0.0, 0.0], [0.3, 0.35]])
    flow = gflow.integrate(model, data, 5000.0, method="waveform", rtol=1e-9)
    exact = gflow.integrate(model, data, 50.0, method="DOP853", rtol=1e-11)
    assert flow.success and flow.certificate().ok and flow.stats["reduced_steps"] > 5
    np.testing.assert_allclose(flow(50.0).W, exact.model.W, atol=1e-7)


def test_saved_and_loaded(tmp_path):
    flow = run(30, 2)
    flow.save(tmp_path / "run.npz")
    again = gflow.load(tmp_path / "run.npz")
    late = flow.t_end * np.array([0.01, 0.3, 0.99, 1.0])
    assert all((again(t).W == flow(t).W).all() for t in late)
    assert repr(again.certificate()) == repr(flow.certificate())
    middle = flow.path.breaks[-3]
    short = run(30, 2, stop=lambda state: state.t >= middle)
    assert middle <= short.t_end < 2000.0 and short.status == "callback"
    late = (flow.path.breaks[-4] + middle) / 2
    np.testing.assert_array_equal(short(late).W, flow(late).W)


@given(st.integers(0, 10**6), st.integers(1, 4), st.floats(-3.0, 0.5))
def test_bundles_miss_no_contact(seed, d, log_speed):
    rng = np.random.default_rng(seed)
    C, m = 40, 60
    normal = rng.standard_normal((C, d))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    # A few directions, each with neurons around it.
    centre = rng.standard_normal((4, d + 1))[rng.integers(0, 4, m)]
    U = centre + 10.0 ** rng.uniform(-9, -1, (m, 1)) * rng.standard_normal((m, d + 1))
    side = np.where(U[:, 1:] @ normal.T > 0, 1, -1).astype(np.int8)
    _, first, of = np.unique(side, axis=0, return_index=True, return_inverse=True)
    of = of.ravel()
    columns = np.ascontiguousarray(normal.T)
    ties = bundles.tie(of, U, first, side, columns)
    assert len(ties.pattern) <= m
    field = 10.0**log_speed * rng.standard_normal((first.size, 3, d))
    fine = np.linspace(-1.0, 1.0, 201)
    lam = np.empty((first.size, 9, d + 1, d + 1))
    path = np.empty((first.size, fine.size, d + 1, d + 1))
    assert bundles.propagate(field, nodes(8), 1e-16, lam)
    assert bundles.propagate(field, fine, 1e-16, path)
    states = np.einsum("ib,ijbc->ijc", U, path[of])
    met = ((states[:, :, 1:] @ columns) * side[:, None] <= 0).any(axis=(1, 2))
    # Of patterns that slide, an output weight through zero counts too.
    slides = rng.random(first.size) < 0.5
    met |= slides[of] & (states[:, :, 0] * U[:, :1] <= 0).any(axis=1)
    clear, _ = bundles.all_clear(ties, lam, first, side, slides, normal, columns, to_series(8),
                                 1e-12)
    assert clear >= 0 or not met.any()
    # It is not shy either: what hardly moves is clear.
    still = np.tile(np.eye(d + 1), (first.size, 9, 1, 1))
    assert bundles.all_clear(ties, still, first, side, np.zeros_like(slides), normal, columns,
                             to_series(8), 1e-12)[0] == -1


def test_a_neuron_may_stay_close_to_a_hyperplane():
    """It comes no nearer than it is: a millionth of its length is room enough."""
    X = np.array([[1.0, 0.2], [0.3, 1.0], [-0.5, 1.0]])
    w = np.array([1.0, 0.8])
    near = np.array([1.0, 0.5 + 5e-6])
    W = np.array([1.000001 * w, 1e-3 * near])
    model = gflow.TwoLayerReLU(np.linalg.norm(W, axis=1), W)
    data = gflow.Data(X, np.linalg.norm(w) * np.maximum(X @ w, 0.0))
    flow = gflow.integrate(model, data, 1e5, method="waveform", rtol=1e-6)
    assert 0 < near @ X[2] < 5e-6 * np.linalg.norm(near) and len(flow.events) == 0
    assert (flow.W[-1] @ X.T > 0).all() and flow.certificate().ok
    assert flow.stats["steps"] < 50
