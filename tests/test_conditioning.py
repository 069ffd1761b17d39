"""Propagators of single neurons against differences of runs, and closed forms."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import gflow
from gflow.flows.misses import Misses
from losses import LogCosh
from validation import faults


@pytest.mark.parametrize("method, seed", [("DOP853", 3), ("waveform", 3), ("DOP853", 5)])
def test_propagators_against_differences(method, seed):
    # Neurons so small that pulls are the labels, whatever is done to them.
    data = gflow.datasets.linear_teacher(8, 3, noise=0.8, rng=seed)
    start = gflow.init.balanced(6, 3, scale=1e-5, rng=seed)
    T, h = 3.0, 1e-4
    flow = gflow.integrate(start, data, T, method=method, rtol=1e-11)
    found = flow.conditioning()
    assert len(flow.events) > 5 and found.neurons.size >= 5
    u = np.column_stack([start.a, start.W])
    for j, i in enumerate(found.neurons[:4]):
        size, columns = np.linalg.norm(u[i]), []
        for c in range(4):
            ends = []
            for sign in (1, -1):
                moved = u.copy()
                moved[i, c] += sign * h * size
                end = gflow.integrate((moved[:, 0], moved[:, 1:]), data, T, rtol=1e-11).model
                ends.append(np.append(end.a[i], end.W[i]))
            columns.append((ends[0] - ends[1]) / 2 / h / size)
        now = np.append(flow.a[-1, i], flow.W[-1, i])
        expected = np.linalg.norm(np.array(columns), 2) * size / np.linalg.norm(now)
        assert found.amplification[-1, j] == pytest.approx(expected, rel=2e-3), i
    assert found.largest >= found.amplification[-1].max() and "neurons looked at" in repr(found)


@pytest.mark.parametrize("rtol, undecided", [(1e-3, True), (1e-8, False)])
def test_a_choice_within_the_tolerance_is_named(rtol, undecided):
    # Neuron 1 goes into the half-space of point 5 by 1e-3 of itself, and out again.
    data = gflow.datasets.linear_teacher(10, 3, noise=0.8, rng=15)
    flow = gflow.integrate(gflow.init.balanced(6, 3, scale=0.5, rng=15), data, 12.0,
                           method="DOP853", rtol=rtol)
    found = flow.conditioning()
    first = found.close[found.close["met"]][0]
    assert first[["neuron", "point"]].tolist() == (1, 5)
    if not undecided:
        assert first["depth"] == pytest.approx(1.25e-3, rel=0.01)
        assert first["rtol"] == pytest.approx(1.2e-4, rel=0.1)
    assert (len(found.undecided) > 0) == undecided
    assert ("neuron 1 at point 5" in repr(found)) == undecided


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_a_hyperplane_that_is_nearly_met_is_named(method):
    # The same neuron comes back to that hyperplane at t = 5.3, and does not get there.
    data = gflow.datasets.linear_teacher(10, 3, noise=0.8, rng=15)
    start = gflow.init.balanced(6, 3, scale=0.5, rng=15)
    flow = gflow.integrate(start, data, 12.0, method=method, rtol=1e-8)
    found = flow.conditioning()
    missed = found.close[~found.close["met"]][0]
    assert missed[["neuron", "point"]].tolist() == (1, 5) and not len(found.undecided)
    assert not ((flow.events["neuron"] == 1) & (np.abs(flow.events["time"] - 5) < 2)).any()

    def off(t):
        a, w = flow(t).a[1], flow(t).W[1]
        return abs(w @ data.X[5]) / np.hypot(a, np.linalg.norm(w)) / np.linalg.norm(data.X[5])

    least = minimize_scalar(off, (4.5, 5.3, 6.0), tol=1e-10)
    assert missed["depth"] == pytest.approx(least.fun, rel=1e-6)
    assert missed["time"] == pytest.approx(least.x, abs=1e-3)
    # At a coarse tolerance it may have met it: with DOP853 at 1e-3 it leaves there for good.
    coarse = gflow.integrate(start, data, 12.0, method=method, rtol=1e-3).conditioning()
    assert "neuron 1 at point 5, t = " in repr(coarse) and "not met" in repr(coarse)


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_what_slides_is_no_miss(method):
    # Neurons on hyperplanes are at distances of 1e-18 there, which rise and fall.
    data = gflow.datasets.linear_teacher(12, 3, noise=0.5, rng=5)
    flow = gflow.integrate(gflow.init.balanced(10, 3, scale=0.3, rng=5), data, 60.0, method=method)
    assert flow.stats["slide"] > 5
    close = flow.conditioning().close
    assert close[~close["met"]]["depth"].min() == pytest.approx(4.0513e-3, rel=1e-3)


def test_what_slides_beside_a_hyperplane_of_its_direction_is_no_miss():
    # Of points whose directions are 1e-15 to 1e-6 apart.
    start = faults.draw_setting(502025)[1]
    flow = faults.run(start, "waveform", 1e-8)
    assert flow.stats["slide"] > 0
    found = flow.conditioning()
    assert not (found.close["depth"][~found.close["met"]] < 1e-6).any()


@pytest.mark.parametrize("h", [1e-1, 1e-3, 1e-5, 3e-7])
def test_turning_back_is_seen_however_often_one_looks(h):
    # At a distance of 1e-6 + (t - 1)^2 / 2, with swings of 3 rtol, to one of two hyperplanes.
    misses = Misses(np.array([0]), np.eye(2), 1e-9)
    times = np.arange(max(0, 1 - 200 * h), min(2, 1 + 200 * h), h)
    for t in np.unique(np.append(times, [0.5, 1.5])):
        z = 1e-6 + (t - 1)**2 / 2 + 3e-9 * np.sin(1e9 * t)
        misses.look(t, np.array([[0.0, z, np.sqrt(1 - z**2)]]), np.zeros((1, 2), dtype=bool))
    (least, i, plane, low, high), = misses.seen
    assert (i, plane) == (0, 0) and low < high and abs((low + high) / 2 - 1) < max(h, 1e-3)
    assert least <= 1.1e-6 + h


@pytest.mark.parametrize("seed", [0, 1, 2, 5])
def test_what_rests_beside_a_hyperplane_is_no_miss(seed):
    # Dense output of a stepper swings by some rtol there, for ever.
    g = np.random.default_rng(seed)
    data, start = (g.standard_normal((5, 20)), g.standard_normal(5)), gflow.init.balanced(
        6, 20, 0.3, rng=seed)
    missed = []
    for method in ("DOP853", "waveform"):
        close = gflow.integrate(start, data, 28.0, method=method).conditioning().close
        missed.append(np.sort(close[~close["met"]], order=["neuron", "point"]))
    np.testing.assert_array_equal(*(found[["neuron", "point"]] for found in missed))
    np.testing.assert_allclose(*(found["depth"] for found in missed), rtol=1e-6)


def test_a_sample_of_neurons():
    data = gflow.datasets.linear_teacher(10, 3, noise=0.8, rng=0)
    flow = gflow.integrate(gflow.init.balanced(20, 3, scale=0.5, rng=0), data, 2.0)
    whole, sample = flow.conditioning(), flow.conditioning(most=4)
    assert sample.neurons.size == 4 and "4 of 20 neurons looked at" in repr(sample)
    among = np.isin(whole.neurons, sample.neurons)
    np.testing.assert_allclose(sample.amplification, whole.amplification[:, among], rtol=1e-3)
    with pytest.raises(ValueError, match="most"):
        flow.conditioning(most=0)


def test_a_network_of_which_no_neuron_moves():
    # Off at every point.
    flow = gflow.integrate(([1.0], [[-1.0, -0.5]]), ([[1.0, 0.3], [0.4, 1.0]], [1.0, 2.0]), 3.0)
    found = flow.conditioning()
    assert found.amplification.shape == (found.t.size, 0) and found.largest == 1.0
    assert not len(found.close) and repr(found)


CASES = {
    "logistic, clock": ({"loss": "logistic"}, 0.0, 40.0),
    "exponential, leaky, clock": ({"loss": "exponential"}, 0.3, 40.0),
    "another loss, decay": ({"loss": LogCosh(), "decay": (0.1, 0.05)}, 0.0, 6.0),
    "speeds, leaky": ({"rates": (2.0, 0.5)}, -0.4, 6.0),
    "output fixed": ({"rates": (0.0, 1.0)}, 0.0, 6.0)}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_other_losses_and_settings_against_differences(case, method):
    options, slope, T = CASES[case]
    if method == "waveform" and ("decay" in options or options.get("rates") == (0.0, 1.0)):
        pytest.skip("on steppers only")
    # Four neurons make the pulls; the others are too small to be felt, and one by one they move.
    rng = np.random.default_rng(4)
    X, beta = rng.standard_normal((7, 2)), np.array([1.0, -0.5])
    y = np.sign(X @ beta) if options.get("loss") in ("logistic", "exponential") else X @ beta
    W = rng.standard_normal((7, 2)) * np.repeat([0.5, 1e-6], [4, 3])[:, None]
    a = np.linalg.norm(W, axis=1) * np.array([1, -1, 1, -1, 1, -1, -1])

    def run(u):
        start = gflow.TwoLayerReLU(u[:, 0], u[:, 1:], slope=slope)
        return gflow.integrate(start, (X, y), T, method=method, rtol=1e-11, **options)

    u, h = np.column_stack([a, W]), 1e-4
    flow = run(u)
    found = flow.conditioning()
    # With speeds of layers, of the neuron that rtol is relative to.
    output, hidden = options.get("rates", (1.0, 1.0))
    q = (hidden / output)**0.25 if output and hidden else 1.0
    unit = np.array([q, 1 / q, 1 / q])
    assert len(flow.events) > 2
    # As much as the steps of propagators err by, and neurons of 1e-6 do to the others.
    for i in (4, 5, 6):
        if i not in found.neurons:
            continue
        size, columns = np.linalg.norm(unit * u[i]), []
        for c in range(3):
            moved, ends = u.copy(), []
            for sign in (1, -1):
                moved[i, c] = u[i, c] + sign * h * size / unit[c]
                end = run(moved)
                ends.append(unit * np.append(end.a[-1, i], end.W[-1, i]))
            columns.append((ends[0] - ends[1]) / 2 / h / size)
        now = unit * np.append(flow.a[-1, i], flow.W[-1, i])
        expected = np.linalg.norm(np.array(columns), 2) * size / np.linalg.norm(now)
        j = found.neurons.tolist().index(i)
        assert found.amplification[-1, j] == pytest.approx(expected, rel=5e-3), i


@pytest.mark.parametrize("rates", [(100.0, 1.0), (1e-3, 10.0)])
def test_speeds_of_layers_are_other_units_of_one_run(rates):
    # It errs by rtol of the same neurons: nothing is amplified more, or decided later.
    data = gflow.datasets.linear_teacher(8, 2, noise=0.3, rng=3)
    start = gflow.init.balanced(12, 2, 0.05, rng=2)
    q, pace = (rates[1] / rates[0])**0.25, np.sqrt(rates[0] * rates[1])
    plain = gflow.integrate(start, data, 30.0)
    other = gflow.integrate((start.a / q, start.W * q), data, 30.0 / pace, rates=rates)
    np.testing.assert_allclose(other.model.W / q, plain.model.W, atol=1e-6)
    plain, other = plain.conditioning(), other.conditioning()
    assert other.largest == pytest.approx(plain.largest, rel=1e-4)
    assert len(other.close) == len(plain.close) > 3
    for name in ("neuron", "point", "met"):
        np.testing.assert_array_equal(other.close[name], plain.close[name])
    for name in ("depth", "rtol"):
        np.testing.assert_allclose(other.close[name], plain.close[name], rtol=1e-3)


def test_what_conditioning_is_not_known_for():
    start, data = gflow.init.balanced(3, 2, 0.5, rng=0), gflow.datasets.linear_teacher(5, 2, rng=0)
    flow = gflow.integrate(start, data, 0.5, rates=("fast", 1.0))
    with pytest.raises(ValueError, match="optimal at every time: compare runs instead"):
        flow.conditioning()


@pytest.mark.parametrize("seed", [1, 7])
def test_engines_list_the_same_crossings_once(seed):
    # On a stepper events are at ends of pieces, where they were listed twice.
    data = gflow.datasets.linear_teacher(7, 3, noise=0.8, rng=seed)
    start = gflow.init.balanced(8, 3, scale=0.5, rng=seed)
    one, other = (gflow.integrate(start, data, 8.0, method=method, rtol=1e-9)
                  .conditioning().crossings for method in ("DOP853", "waveform"))
    assert one.size == 12 and np.isfinite(one["ratio"]).all()
    assert one[["neuron", "point"]].tolist() == other[["neuron", "point"]].tolist()
    np.testing.assert_allclose(one["time"], other["time"], rtol=1e-6)
    np.testing.assert_allclose(one["ratio"], other["ratio"], rtol=1e-3)


@pytest.mark.parametrize("log_scale", [-300.0, -720.0, -1000.0, -4000.0])
def test_starts_below_double_precision(log_scale):
    # What neurons do while they are tiny does not know how tiny they are.
    data, model = gflow.datasets.three_points(), gflow.init.balanced(20, 2, 1.0, rng=1)
    start = gflow.TwoLayerReLU(model.a, model.W, log_scale=log_scale)
    found = gflow.integrate(start, data, 80.0 - 3 * log_scale).conditioning()
    assert found.largest == pytest.approx(14.088, rel=1e-3)
    assert found.crossings["neuron"].tolist() and found.neurons.size == 14
    some = found.amplification > 0
    np.testing.assert_allclose(np.exp(found.log_amplification[some]), found.amplification[some],
                               rtol=1e-9)


@pytest.mark.parametrize("T, method", [(300.0, "DOP853"), (400.0, "waveform"), (1e5, "waveform")])
def test_amplifications_beyond_double_precision(T, method):
    # u = (a, -a) shrinks with exp(-int D), and errors grow with exp(int D).
    flow = gflow.integrate(([-1e-3], [[1e-3]]), ([[1.0]], [1.0]), T, method=method)
    found = flow.conditioning()
    assert found.log_amplification[-1, 0] == pytest.approx(2 * (T + 5e-7), rel=1e-9)
    said = "3.77e+260" if T == 300.0 else f"exp({2 * T:g})"
    assert np.isinf(found.largest) == (T > 300.0) and f"amplified by {said} at most" in repr(found)


def test_rests_and_slow_ends_of_long_runs():
    # a = w shrinks with 1/sqrt(2 t + 1), errors grow with its inverse; rounding does not pull.
    found = gflow.integrate(([1.0], [[1.0]]), ([[1.0]], [0.0]), 1e12).conditioning()
    assert found.largest == pytest.approx(2e12, rel=1e-3)
    data = gflow.datasets.linear_teacher(10, 3, noise=0.8, rng=3)
    start = gflow.init.balanced(20, 3, 1e-3, rng=1)
    one, other = (gflow.integrate(start, data, T).conditioning().largest for T in (1e8, 1e300))
    assert one == pytest.approx(other, rel=1e-3) and other < 1e4
    flow = gflow.integrate(([0.5], [[0.5]]), ([[1.0]], [1.0]), 1e300, decay=0.1)
    with pytest.raises(ValueError, match="conditioning is not known from t = .* end the run"):
        flow.conditioning()


def test_progress_goes_to_standard_error_when_asked(capsys):
    data = gflow.datasets.linear_teacher(10, 3, noise=0.8, rng=0)
    flow = gflow.integrate(gflow.init.balanced(5, 3, scale=0.5, rng=0), data, 2.0)
    for what in (flow.conditioning, flow.certificate):
        assert repr(what()) and not any(capsys.readouterr())
        what(progress=True)
        out, err = capsys.readouterr()
        assert not out and err.startswith("gflow: t = ") and f"2, {len(flow.events)} events" in err
        with pytest.raises(TypeError, match="progress"):
            what(progress="yes")


def test_a_neuron_that_arrives_at_a_slide_may_leave_another_one():
    X = [[1.6, -0.9, 0.8], [0.5, 0.3, -0.8], [-0.4, -1.2, -0.4], [-0.4, 1.9, 0.2],
         [2.0, -0.5, -1.4]]
    y, T = [-0.2, 0.0, 1.7, 2.4, -0.1], 4.0
    u = 1e-6 * np.array([-2.6993332510084777, -1.5, 1.6, -0.5])

    def end(u):
        model = gflow.integrate(([u[0]], [u[1:]]), (X, y), T, rtol=1e-11).model
        return np.append(model.a, model.W[0])

    flow = gflow.integrate(([u[0]], [u[1:]]), (X, y), T, rtol=1e-11)
    last = flow.events[-2:]
    assert last["kind"].tolist() == ["slide", "release"] and np.ptp(last["time"]) == 0
    h = 1e-5 * np.linalg.norm(u)
    J = np.array([(end(u + h * e) - end(u - h * e)) / (2 * h) for e in np.eye(4)]).T
    expected = np.linalg.norm(J, 2) * np.linalg.norm(u) / np.linalg.norm(end(u))
    assert flow.conditioning().amplification[-1, 0] == pytest.approx(expected, rel=1e-5)
