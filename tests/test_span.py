"""Runs in the span of the points are those in all dimensions; nothing of it is seen outside."""

import pickle

import numpy as np
import pytest

import gflow
from gflow.engines.spanned import Spanned
from gflow.problem.span import Span

RTOL = 1e-9


@pytest.fixture
def unspanned(monkeypatch):
    """Runs a function with all dimensions as they are."""
    def run(function):
        with monkeypatch.context() as patch:
            patch.setattr(Span, "of", classmethod(lambda cls, data, W: None))
            return function()
    return run


def problem(kind, rng):
    """Points (n, 20) of a span that is smaller, and their labels."""
    X = rng.normal(size=(5, 20))
    if kind == "one":
        X = X[:1]
    elif kind == "special":
        X[1], X[2], X[3] = -2 * X[0], X[0], 0.0
        X[:, 4:7] = 0.0
    elif kind == "near":
        X[1] = X[0] + 1e-6 * X[1]
    elif kind == "columns":
        X = np.where(np.arange(20) % 5, 0.0, rng.normal(size=(30, 20)))
    elif kind == "huge":
        X *= 2.0**300
    return X, rng.normal(size=len(X))


@pytest.mark.parametrize("kind", ["plain", "one", "special", "near", "columns", "huge"])
@pytest.mark.parametrize("method", ["waveform", "DOP853"])
def test_as_in_all_dimensions(method, kind, unspanned):
    rng = np.random.default_rng(5)
    X, y = problem(kind, rng)
    scale = 2.0**-150 if kind == "huge" else 1.0
    model = gflow.TwoLayerReLU(0.5 * scale * rng.normal(size=6),
                               0.2 * scale * rng.normal(size=(6, 20)))
    t = 2.0 * scale**2

    def run():
        return gflow.integrate(model, (X, y), t, method=method, rtol=RTOL)

    flow, plain = run(), unspanned(run)
    assert flow.path.pieces[0] is not None and flow.path.d == 20
    assert flow.success and plain.success and flow.certificate().ok
    assert (flow.W[0] == model.W).all() and (flow.a[0] == model.a).all()
    size = np.abs(plain.W).max()
    np.testing.assert_allclose(flow.W, plain.W, rtol=0, atol=50 * RTOL * size)
    np.testing.assert_allclose(flow.a, plain.a, rtol=0, atol=50 * RTOL * np.abs(plain.a).max())
    np.testing.assert_allclose(flow.loss, plain.loss, rtol=0, atol=100 * RTOL * plain.loss[0])
    np.testing.assert_allclose(flow.log_norms, plain.log_norms, atol=50 * RTOL)
    for name in ("neuron", "point", "kind"):
        assert (flow.events[name] == plain.events[name]).all()
    np.testing.assert_allclose(flow.events["time"], plain.events["time"], rtol=0, atol=1e-5 * t)
    assert (flow.initial_pattern == plain.initial_pattern).all()
    # What is across the span is constant: to rounding, and where all points are 0 to the last bit.
    Q, values, _ = np.linalg.svd(X.T / np.abs(X).max(), full_matrices=False)
    Q = Q[:, values > 1e-12]
    rest = flow.W - (flow.W @ Q) @ Q.T
    assert np.abs(rest - rest[0]).max() < 1e-14 * size
    dead = ~X.any(axis=0)
    assert (flow.W[:, :, dead] == model.W[:, dead]).all()


@pytest.mark.parametrize("method", ["waveform", "DOP853"])
def test_weights_without_part_in_the_span(method):
    """A neuron across the span stays; one whose part in the span passes through 0 goes on."""
    X, y = np.array([[1.0, 2.0, 0.5, 0.0], [-1.0, -2.0, -0.5, 0.0]]), np.array([2.0, -3.0])
    across = np.array([2.0, -1.0, 0.0, 3.0])
    model = gflow.TwoLayerReLU([-2.0, 0.0, -1.0], [across + 0.1 * X[0], across, -0.1 * X[0]])
    flow = gflow.integrate(model, (X, y), 1.0, method=method, rtol=RTOL)
    assert isinstance(flow.path, Spanned)
    z = flow.W @ X[0]
    # a D pushes the first against X[0] on either side of its hyperplane.
    assert z[0, 0] > 0 > z[-1, 0] and (np.diff(z[:, 0]) < 0).all()
    assert [e["kind"] for e in flow.events if e["neuron"] == 0] == ["deactivate", "activate"]
    assert (flow.W[:, 1] == across).all() and (flow.a[:, 1] == 0.0).all()
    np.testing.assert_allclose(flow.W[:, 0] @ across, across @ across, rtol=1e-14)
    # The third starts in the span and stays there, however small it gets.
    np.testing.assert_allclose(flow.W[:, 2] @ across, 0.0, atol=1e-15)


def test_save_load_pickle_and_states(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6, 40)), rng.normal(size=6)
    model = gflow.init.balanced(8, 40, 1e-2, rng=1)
    seen = []

    def look(state):
        seen.append((state.t, state.W, state.loss, state.grad_norm))
        return False

    flow = gflow.integrate(model, (X, y), 20.0, rtol=1e-7, stop=look)
    assert isinstance(flow.path, Spanned)
    flow.save(tmp_path / "run.npz")
    for other in (gflow.load(tmp_path / "run.npz"), pickle.loads(pickle.dumps(flow))):
        t = np.linspace(0, 20.0, 31)
        assert (other(t).W == flow(t).W).all() and (other.loss == flow.loss).all()
        assert (other.path.evaluate(1, t[:1]) == flow.path.evaluate(1, t[:1])).all()
        assert repr(other.certificate()) == repr(flow.certificate())
    for t, W, loss, grad in seen[1:]:
        now = flow(t)
        np.testing.assert_allclose(W, now.W, rtol=0, atol=1e-13)
        assert loss == pytest.approx(now.loss(flow.data), rel=1e-6)
        if np.abs(flow.events["time"] - t).min() > 1e-6:
            slope = flow.field.gradient(now.a, now.W, flow.pattern(t))
            assert grad == pytest.approx(np.linalg.norm(slope), rel=1e-4, abs=1e-9)
    kept = gflow.integrate(model, (X, y), 20.0, rtol=1e-7, save=["W", "loss"])
    np.testing.assert_allclose(kept.W, flow.W, rtol=0, atol=1e-13)
    np.testing.assert_allclose(kept.loss, flow.loss, rtol=1e-6)
    assert flow.log_norms.shape == (flow.t.size, 8)
    # What is kept of a path is as large as the span.
    arrays = flow.path.to_arrays()
    assert arrays["span"].shape == (6, 40) and arrays["start"].size == 8 * (1 + 6 + 1)


def test_which_spans():
    rng = np.random.default_rng(3)
    x, other, e = rng.normal(size=(3, 50))

    def rank(*X, W=rng.normal(size=(4, 50))):
        span = Span.of(gflow.Data(np.array(X), np.ones(len(X))), W)
        return None if span is None else len(span.basis)

    assert rank(x, other, 0.3 * x + 0.2 * other, -3 * other, 0 * x) == 2
    # Small differences are directions, unless they are rounding.
    assert rank(x, x + 1e-12 * e, other) == 3 and rank(x, x * (1 + 1e-16), other) == 2
    assert rank(x, 1e-200 * other) == 2
    many = rng.normal(size=(400, 30)) @ rng.normal(size=(30, 50))
    assert rank(*many) == 30
    assert rank(*rng.normal(size=(48, 50))) == 48 and rank(*rng.normal(size=(49, 50))) is None
    assert rank(*rng.normal(size=(2000, 50))) is None
    # Turned, the product 1e17 * 1e-17 would be lost.
    W = np.ones((4, 50))
    W[0, 0], x[0], other[0] = 1e17, 1e-17, 1e-17
    assert rank(x, other, W=W) is None and rank(x, other) == 2


def test_early_flow_as_in_all_dimensions(unspanned):
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(6, 30)), rng.normal(size=6)
    model = gflow.init.balanced(40, 30, 1e-3, rng=1)
    early = gflow.theory.early_flow(model, (X, y))
    plain = unspanned(lambda: gflow.theory.early_flow(model, (X, y)))
    assert (early.pattern == plain.pattern).all() and (early.dead == plain.dead).all()
    assert 0 < early.dead.sum() < 40
    for name in ("D", "end_direction", "rate", "offset", "arrival", "sign"):
        np.testing.assert_allclose(getattr(early, name), getattr(plain, name), rtol=1e-12,
                                   atol=1e-12)
    t = np.array([0.0, 1.0, 3.0])
    np.testing.assert_allclose(early.directions(t), plain.directions(t), atol=1e-12)
    np.testing.assert_allclose(early.log_norms(t), plain.log_norms(t), atol=1e-12)
    np.testing.assert_allclose(early(0.0).W, plain(0.0).W, atol=1e-13)
