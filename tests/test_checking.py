"""``check=True``: the error of a run from a second one."""

import numpy as np
import pytest

import gflow

DATA = gflow.datasets.linear_teacher(12, 3, noise=0.5, rng=1)
MODEL = gflow.init.balanced(6, 3, scale=0.1, rng=2)


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_differences_are_the_error(method):
    flow = gflow.integrate(MODEL, DATA, 10.0, method=method, rtol=1e-5, check=True)
    exact = gflow.integrate(MODEL, DATA, 10.0, rtol=1e-11)
    size = np.sqrt(exact.a**2 + (exact.W**2).sum(axis=2))
    error = np.sqrt((flow.a - exact.a)**2 + ((flow.W - exact.W)**2).sum(axis=2)) / size
    checked = flow.checked
    assert checked.t.tolist() == flow.t.tolist() and checked.difference.shape == flow.a.shape
    assert checked.largest == pytest.approx(error.max(), rel=0.5) and checked.largest < 1e-3
    finer = gflow.integrate(MODEL, DATA, 10.0, method=method, rtol=0.1 * 1e-5)
    assert checked.loss.tolist() == (flow.loss - finer.loss).tolist()
    assert checked.same_events and checked.events[0] == len(flow.events) > 5
    assert f"{checked.largest:.2e}" in repr(checked) and "the same" in repr(checked)


def test_runs_that_differ_say_so():
    # Two runs of one problem that end at other times, and one with another event.
    flow = gflow.integrate(MODEL, DATA, 10.0, rtol=1e-5, check=True, stop=lambda state: state.t > 4)
    assert 0 < len(flow.checked.t) <= len(flow.t) and flow.checked.status == flow.status
    assert gflow.integrate(MODEL, DATA, 1.0).checked is None
    with pytest.raises(ValueError, match="leave save= away"):
        gflow.integrate(MODEL, DATA, 1.0, save=["a"], check=True)
    with pytest.raises(ValueError, match="larger rtol"):
        gflow.integrate(MODEL, DATA, 1.0, rtol=1e-13, check=True)


def test_speeds_of_layers_are_other_units_of_one_run():
    # Errors are told relative to the neurons that rtol is relative to.
    plain = gflow.integrate(MODEL, DATA, 10.0, rtol=1e-5, check=True).checked
    q, rates = 0.01, (1e4, 1e-4)
    other = gflow.integrate((MODEL.a / q, MODEL.W * q), DATA, 10.0, rates=rates, rtol=1e-5,
                            check=True).checked
    np.testing.assert_allclose(other.difference, plain.difference, rtol=1e-3, atol=1e-9)
