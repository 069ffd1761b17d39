"""Certificates doubt what is wrong with a finished run, and nothing of a right one."""

import numpy as np
import pytest
from numpy.polynomial.chebyshev import chebval
from problems import KINDS, STARTS, random_problem, solve

import gflow
from gflow.flows.archive import checksum
from gflow.kernels.chebyshev import nodes, to_series

RTOL, T = 1e-8, 15.0
DATA = gflow.datasets.linear_teacher(20, 3, noise=0.5, rng=1)
MODEL = gflow.init.balanced(6, 3, scale=0.1, rng=2)


@pytest.fixture(scope="module")
def runs():
    """A run of either engine."""
    return {method: gflow.integrate(MODEL, DATA, T, method=method, rtol=RTOL)
            for method in ("DOP853", "waveform")}


def again(flow, tmp_path, edit=lambda arrays: None):
    """The run saved, its arrays changed, with the checksum of what they are now."""
    flow.save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as content:
        arrays = {name: value.copy() for name, value in content.items()}
    edit(arrays)
    np.savez(tmp_path / "run.npz", **{**arrays, "checksum": checksum(arrays)})
    return gflow.load(tmp_path / "run.npz")


def freeze(flow, who):
    """Neurons that stand still, the others following what is left of the labels."""
    m, d = MODEL.a.size, DATA.d
    keep = [i for i in range(m) if i not in who]
    h = np.maximum(DATA.X @ MODEL.W[who].T, 0) @ MODEL.a[who]
    flow.path.pieces, flow.path.breaks = [], [0.0, T]
    if keep:
        part = gflow.integrate((MODEL.a[keep], MODEL.W[keep]), (DATA.X, DATA.y - h), T,
                               method="DOP853", rtol=RTOL)
        flow.path.breaks, flow.events = list(part.path.breaks), part.events.copy()
        flow.events["neuron"] = np.array(keep)[flow.events["neuron"]]
    else:
        flow.events = flow.events[:0]
    for series in part.path.pieces if keep else [np.zeros((1, 0))]:
        neurons = np.zeros((len(series), m, d + 1))
        neurons[0, :, 0], neurons[0, :, 1:] = MODEL.a, MODEL.W
        neurons[:, keep, 0] = series[:, :len(keep)]
        neurons[:, keep, 1:] = series[:, len(keep):].reshape(len(series), len(keep), d)
        flow.path.pieces.append(np.concatenate(
            [neurons[:, :, 0], neurons[:, :, 1:].reshape(len(series), -1)], axis=1))
    return flow


def test_neurons_that_stand_still_are_doubted(runs, tmp_path):
    norms = runs["DOP853"].norms
    living = np.flatnonzero(runs["DOP853"].pattern(T).any(axis=1))
    largest = sorted(living, key=lambda i: -norms[-1, i])
    for who in [[i] for i in living] + [largest[:3], list(range(6))]:
        certificate = freeze(again(runs["DOP853"], tmp_path), who).certificate()
        assert "defect" in certificate.doubts, who
        assert certificate.defect.argmax() in who


@pytest.mark.parametrize("angle", [1e-4, 1e-2])
def test_a_neuron_that_turns_by_itself_is_doubted(runs, tmp_path, angle):
    m, d = MODEL.W.shape
    for who in np.flatnonzero(runs["DOP853"].pattern(T).any(axis=1))[:3]:
        flow = again(runs["DOP853"], tmp_path)
        own = slice(m + who * d, m + who * d + d)
        for p, series in enumerate(flow.path.pieces):
            t0, t1 = flow.path.breaks[p:p + 2]
            s = nodes(24)
            u = np.clip((t0 + (s + 1) * (t1 - t0) / 2 - T / 4) / (T / 4), 0, 1)
            turn = angle * u**3 * (10 - 15 * u + 6 * u**2)
            values = chebval(s, series).T.copy()
            w = values[:, own].copy()
            values[:, own.start] = np.cos(turn) * w[:, 0] - np.sin(turn) * w[:, 1]
            values[:, own.start + 1] = np.sin(turn) * w[:, 0] + np.cos(turn) * w[:, 1]
            flow.path.pieces[p] = to_series(24) @ values
        assert not flow.certificate().ok, who


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_changed_data_are_doubted(tmp_path, method):
    # On a run long enough for what lasts to stand out of what comes and goes.
    flow = gflow.integrate(gflow.init.balanced(8, 3, scale=0.1, rng=2), DATA, 40.0, method=method,
                           rtol=RTOL)
    for k in (0, 7, 13):
        for name, change in (("y", 1e-5), ("X", 1e-4)):
            def edit(arrays):
                arrays[name][k] += change
            assert not again(flow, tmp_path, edit).certificate().ok, (name, k)


def local(flow, event):
    """2e-3 of the time in which the neuron of an event turns or grows."""
    i, t, h = event["neuron"], event["time"], 1e-4
    before, after = flow(max(t - h, 0.0)), flow(min(t + h, T))
    turn = np.abs(np.append(after.a[i] - before.a[i], after.W[i] - before.W[i])).max() / 2 / h
    return 2e-3 * np.abs(after.a[i]) / turn


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_changed_events_are_doubted(runs, tmp_path, method):
    flow = again(runs[method], tmp_path)
    events, codes = flow.events, flow.initial_pattern
    rng = np.random.default_rng(0)
    slides = np.flatnonzero(events["kind"] == "slide")
    for j in np.unique(np.append(rng.integers(0, len(events), 4), slides[-2:])):
        flow.events = np.delete(events, j)
        assert not flow.certificate().ok, ("dropped", events[j])
        flow.events = np.insert(events, j, events[j])
        assert not flow.certificate().ok, ("doubled", events[j])
        for change in ("later", "neuron", "to"):
            flow.events = events.copy()
            if change == "later":
                flow.events["time"][j] = min(T, events["time"][j] + local(flow, events[j]))
                flow.events = np.sort(flow.events, order="time", kind="stable")
            elif change == "neuron":
                flow.events["neuron"][j] = (events["neuron"][j] + 1) % MODEL.a.size
            else:
                flow.events["to"][j] = (events["to"][j] + 1) % 3
            assert not flow.certificate().ok, (change, events[j])
    flow.events = events
    for i, k in zip(rng.integers(0, 6, 3), rng.integers(0, 20, 3)):
        flow.initial_pattern = codes.copy()
        flow.initial_pattern[i, k] = (codes[i, k] + 1) % 3
        assert not flow.certificate().ok, ("flipped", i, k)


def test_wrong_windows_and_ends_are_doubted(runs, tmp_path):
    def start(arrays):
        arrays["path_start"][0] *= 1.001

    def end(arrays):
        arrays["path_end"][0] *= 1.0001

    def pulls(arrays):
        arrays["path_values"][len(arrays["path_values"]) // 2] += 1e-5

    def neuron(arrays):
        arrays["path_U"][len(arrays["path_U"]) // 2, 0] *= 1.0001

    def times(arrays):
        arrays["path_breaks"] *= 1.001

    for edit in (start, end, pulls, neuron, times):
        assert not again(runs["waveform"], tmp_path, edit).certificate().ok, edit.__name__


def test_what_is_no_number_is_doubted(runs, tmp_path):
    flow = again(runs["DOP853"], tmp_path)
    middle = len(flow.path.pieces) // 2
    series = flow.path.pieces[middle].copy()
    series[-1, 3] = np.nan
    flow.path.pieces[middle] = series
    certificate = flow.certificate()
    assert not certificate.ok and {"defect", "energy", "loss_rise"} <= set(certificate.doubts)
    assert "DOUBTFUL" in repr(certificate)


@pytest.mark.parametrize("method, rtol", [("DOP853", 1e-3), ("DOP853", 1e-9), ("waveform", 1e-4),
                                          ("waveform", 1e-11)])
def test_right_runs_are_not_doubted(method, rtol, tmp_path):
    rng = np.random.default_rng(5)
    for seed in range(8):
        scale = 10.0 ** rng.uniform(-6, 0)
        problem = random_problem(seed, 7, 6, 3, KINDS[seed % len(KINDS)],
                                 STARTS[seed % len(STARTS)], scale)
        flow = solve(problem, method=method, rtol=rtol)
        for run in (flow, again(flow, tmp_path)):
            certificate = run.certificate()
            assert certificate.ok, (seed, certificate)
            assert certificate.looked > 0.3 or certificate.pieces[0] < 5


@pytest.mark.parametrize("a, y", [([0.5, -0.4, 0.3], [0.0, 0.0]),      # labels 0
                                  ([1e5, -3e4, 2e4], [1.0, -2.0]),     # |a| much larger than |w|
                                  ([0.0, 0.0, 0.0], [1.0, -2.0])])
def test_unusual_starts_are_not_doubted(a, y):
    W = [[0.3, 0.1], [0.2, -0.3], [-0.1, 0.4]]
    for method in ("DOP853", "waveform"):
        flow = gflow.integrate((a, W), ([[1.0, 0.3], [0.4, 1.0]], y), 5.0, method=method, rtol=1e-8)
        assert flow.certificate().ok, flow.certificate()


def test_no_loss_at_the_start_and_neurons_that_vanish():
    X, W = [[1.0, 0.3], [0.4, 1.0]], np.array([[0.3, 0.1]])
    y = np.maximum(np.array(X) @ W[0], 0)
    assert gflow.integrate(([1.0], W), (X, y), 5.0, rtol=1e-9).certificate().ok
    small = gflow.integrate(([-0.5, 0.5], [[0.3, 0.4], [0.3, 0.4]]), ([[1.0, 0.0]], [3.0]), 60.0,
                            method="DOP853", rtol=1e-8)
    assert small.certificate().ok, small.certificate()


def test_it_says_what_it_looked_at(runs):
    certificate = runs["DOP853"].certificate(most=4)
    text = repr(certificate)
    assert f"looked at 4 of {len(runs['DOP853'].path.pieces)} pieces" in text
    assert certificate.pieces[0] == 4 and certificate.ok
