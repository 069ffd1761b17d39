"""What a run keeps with save=, beside the same run with everything."""

import numpy as np
import pytest

import gflow

DATA = gflow.datasets.linear_teacher(15, 3, rng=3)
MODEL = gflow.init.balanced(30, 3, 1e-2, rng=4)
METHODS = pytest.mark.parametrize("method", ["waveform", "DOP853"])


def run(method="waveform", t_max=300.0, **options):
    return gflow.integrate(MODEL, DATA, t_max, method=method, **options)


@METHODS
def test_quantities_are_those_of_the_whole_run(method):
    whole = run(method)
    kept = run(method, save=["a", "W", "norms", "directions", "loss", "grad_norm"])
    assert (kept.t == whole.t).all() and (kept.events == whole.events).all()
    for name in ("a", "W", "norms", "directions", "loss"):
        assert kept.saved[name] is getattr(kept, name)
        np.testing.assert_allclose(kept.saved[name], getattr(whole, name), rtol=1e-9, atol=1e-12)
    assert kept.saved["grad_norm"][-1] == pytest.approx(whole.certificate().gradient, rel=1e-3)
    assert len(kept.path.pieces) == 1 and len(whole.path.pieces) > 20
    np.testing.assert_allclose(kept.model.W, whole.model.W, rtol=1e-12)
    assert (kept.pattern(100.0) == whole.pattern(100.0)).all()


@METHODS
def test_a_function_of_the_state(method, tmp_path):
    kept = run(method, t_eval=[0.0, 2.5, 100.0],
               save=lambda state: {"mass": np.abs(state.a).sum(), "top": state.W.max(axis=0)},
               stop=lambda state: state.t > 50.0)
    assert kept.status == "callback" and kept.t[-1] == kept.t_end < 100.0
    assert kept.saved["mass"].shape == (3,) and kept.saved["top"].shape == (3, 3)
    np.testing.assert_allclose(kept.saved["mass"][1], np.abs(run(method)(2.5).a).sum(), rtol=1e-9)
    assert run(method, save=lambda state: state.t, t_eval=[1.0]).saved["value"] == [1.0]
    kept.save(tmp_path / "run.npz")
    again = gflow.load(tmp_path / "run.npz")
    assert (again.saved["top"] == kept.saved["top"]).all() and list(again.saved) == ["mass", "top"]
    assert (again.model.W == kept.model.W).all() and repr(again) == repr(kept)


def test_what_was_not_kept_is_refused():
    kept = run(save="loss")
    for ask in (lambda: kept.W, lambda: kept.norms, lambda: kept.directions, kept.certificate,
                lambda: kept(1.0)):
        with pytest.raises(ValueError, match="kept only loss"):
            ask()
    with pytest.raises(ValueError, match="save has 'weights'"):
        run(save=["weights"])
    with pytest.raises(TypeError, match="save is a float"):
        run(save=1.0)


def test_what_is_advised_where_too_little_was_kept_helps():
    # No quantity that is kept makes up for the dense output.
    flow = run(t_max=1.0, save=["a", "W"])
    for ask in (flow.certificate, flow.conditioning, flow.alignment, flow.plateaus,
                lambda: flow(0.5), lambda: flow.extend(2.0)):
        with pytest.raises(ValueError, match="kept only a, W, not .*: leave save= away$"):
            ask()
    assert flow.log_norms.shape == (flow.t.size, 30)
    with pytest.raises(ValueError, match='leave save= away, or name "a" and "W" there$'):
        run(t_max=1.0, save=["norms"]).W


def test_runs_that_come_to_rest_are_saved(tmp_path):
    # Their last piece has a field without powers of time, unlike those before.
    run = gflow.integrate(gflow.init.balanced(40, 2, 1e-3), gflow.datasets.three_points(), 4000.0,
                          method="waveform", rtol=1e-6)
    terms = {piece.field.shape[1] for piece in run.path.pieces if hasattr(piece, "field")}
    assert len(terms) > 1
    run.save(tmp_path / "run.npz")
    again = gflow.load(tmp_path / "run.npz")
    times = np.linspace(0.0, 4000.0, 301)
    assert (again(times).W == run(times).W).all() and (again(times).a == run(times).a).all()


@pytest.mark.parametrize("save", [
    lambda state: {"a": state.a[:2], "W": state.W[:2]}, lambda state: {"loss": 7.0},
    lambda state: {"a": 1.0, "W": 2.0}, lambda state: {"norms": 2 * np.abs(state.a)}])
@METHODS
def test_quantities_of_ours_are_not_taken_from_a_function(method, save):
    asked = []
    with pytest.raises(ValueError, match="^save= has other numbers as "):
        run(method, save=lambda state: asked.append(state.t) or save(state))
    assert asked == [0.0]


@METHODS
def test_a_function_may_keep_quantities_of_ours(method):
    kept, plain = run(method, save=lambda state: {"loss": state.loss, "a": state.a}), run(method)
    np.testing.assert_allclose(kept.loss, plain.loss, rtol=1e-9, atol=1e-12)
    # At some times only: then it is no loss at all times.
    kept = run(method, save=lambda state: {"loss": state.loss} if state.t > 1 else {"n": 1})
    assert "loss" not in repr(kept)
    with pytest.raises(ValueError, match="kept only loss, n|kept only n, loss"):
        kept.loss


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_gradient_norms_within_a_piece_are_those_of_the_pattern_there(method):
    data = gflow.datasets.linear_teacher(30, 3, noise=0.5, rng=2)
    start, times = gflow.init.balanced(30, 3, scale=0.1, rng=2), np.linspace(0.1, 20.0, 60)
    options = {"method": method, "t_eval": times}
    kept = gflow.integrate(start, data, 20.0, save=["grad_norm"], **options).saved["grad_norm"]
    flow = gflow.integrate(start, data, 20.0, **options)
    compared = 0
    for t, a, W, norm in zip(flow.t, flow.a, flow.W, kept):
        codes = flow.pattern(t)
        if (codes == 2).any():
            continue
        on, compared = (codes == 1).astype(float), compared + 1
        D = on * (data.y - a @ (on * (W @ data.X.T))) @ data.X / data.n
        assert norm == pytest.approx(np.sqrt(((W * D).sum(axis=1)**2).sum()
                                             + ((a[:, None] * D)**2).sum()), rel=1e-6)
    assert compared > 10
