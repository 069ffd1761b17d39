"""Going on with a run: the same flow and events as one run."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gflow

RTOL = 1e-8


def problem(name):
    if name == "slides":
        data = gflow.datasets.five_points()
        return gflow.init.balanced(10, 2, 0.1, rng=2), data, 40.0
    if name == "many":
        data = gflow.datasets.linear_teacher(8, 3, rng=1, noise=1.0)
        return gflow.init.balanced(10, 3, 0.1, rng=2), data, 15.0
    data = gflow.datasets.three_points()
    return gflow.init.balanced(8, 2, 1.0, rng=4, log_scale=-1000.0), data, 1500.0


CASES = [("slides", "DOP853"), ("slides", "waveform"), ("many", "DOP853"), ("many", "waveform"),
         ("slides", "Radau"), ("tiny", "waveform")]
whole = {}


def one_run(case):
    if case not in whole:
        model, data, t_max = problem(case[0])
        whole[case] = gflow.integrate(model, data, t_max, method=case[1], rtol=RTOL)
    return whole[case]


def same_run(one, other, rtol=10 * RTOL):
    """Whether two runs are one, all neurons at all times, also those below double precision."""
    times = np.linspace(0.0, one.t_end, 101)
    assert other.t_end == one.t_end and other.status == one.status
    (first, power), (second, own) = one.path.scaled(times), other.path.scaled(times)
    second = np.ldexp(second, (own - power)[:, :, None])
    size = np.sqrt((first**2).sum(axis=2))
    apart = np.sqrt(((first - second)**2).sum(axis=2))
    assert (apart <= rtol * size).all()
    assert len(one.events) == len(other.events)
    order = [np.lexsort((run.events["time"], run.events["point"], run.events["neuron"]))
             for run in (one, other)]
    for column in ("neuron", "point", "kind", "to"):
        assert (one.events[column][order[0]] == other.events[column][order[1]]).all()
    # A neuron that touches a hyperplane at a small angle meets it at a time as sharp as the root
    # of the error.
    np.testing.assert_allclose(one.events["time"][order[0]], other.events["time"][order[1]],
                               rtol=RTOL**0.5)
    assert (one.pattern(one.t_end) == other.pattern(one.t_end)).all()
    assert (one.initial_pattern == other.initial_pattern).all()


def cut_and_extend(case, share, where):
    """Cut a run somewhere, or at an event or just beside it, and go on."""
    model, data, t_max = problem(case[0])
    one = one_run(case)
    cut = share * t_max
    if where != "anywhere":
        event = one.events["time"][int(share * len(one.events))]
        cut = event + {"at": 0.0, "before": -1e-9, "after": 1e-9}[where] * event
    if not 0 < cut < t_max:
        return
    short = gflow.integrate(model, data, cut, method=case[1], rtol=RTOL)
    same_run(one, short.extend(t_max))


cuts = given(st.sampled_from(CASES), st.floats(0.001, 0.999),
             st.sampled_from(["anywhere", "at", "before", "after"]))


@settings(max_examples=12, deadline=None, derandomize=True)
@cuts
def test_cuts(case, share, where):
    cut_and_extend(case, share, where)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@cuts
def test_many_cuts(case, share, where):
    cut_and_extend(case, share, where)


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_again_and_again_through_files(method, tmp_path):
    case = ("slides", method)
    model, data, t_max = problem("slides")
    flow = gflow.integrate(model, data, 1.0, method=method, rtol=RTOL)
    for end in (2.0, 21.0, 35.9, t_max):
        flow.save(tmp_path / "run.npz")
        flow = pickle.loads(pickle.dumps(gflow.load(tmp_path / "run.npz"))).extend(end)
    same_run(one_run(case), flow)
    assert (flow.t == one_run(case).t).all() and flow.certificate().ok


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_after_a_rule_or_a_limit(method):
    case = ("slides", method)
    model, data, t_max = problem("slides")
    loss = one_run(case).loss
    for options in ({"stop": gflow.stop.loss_below((loss[0] + loss[-1]) / 2)}, {"max_events": 5}):
        short = gflow.integrate(model, data, t_max, method=method, rtol=RTOL, **options)
        assert not short.status == "finished"
        longer = short.extend(t_max)
        same_run(one_run(case), longer)
        assert short.t_end < t_max and longer.stats["steps"] >= short.stats["steps"]


@pytest.mark.parametrize("method", ["DOP853", "waveform", "Radau"])
def test_nothing_that_was_reached_is_given_up(method):
    """The last piece is made again, and rules are not asked about times that have passed."""
    model, data, t_max = problem("slides")
    short = gflow.integrate(model, data, t_max, method=method, stop=lambda s: s.t > t_max / 3)
    located = short.extend(t_max, stop=gflow.stop.loss_below(2 * short.loss[0]))
    assert located.status == "loss_below" and located.t_end == short.t_end
    assert len(located.events) == len(short.events)
    np.testing.assert_allclose(located.model.W, short.model.W, atol=1e-7)
    # The end of a piece, that of one made again.
    assert short.t_end <= short.extend(t_max, stop=lambda state: True).t_end < 1.5 * short.t_end
    later = short.extend(t_max, stop=lambda state: state.t > t_max / 2)
    assert t_max / 2 < later.t_end < t_max
    with pytest.raises(ValueError, match="events up to now"):
        short.extend(t_max, max_events=len(short.events))


def test_times_that_are_reported():
    start, data = ([0.5], [[0.3]]), ([[1.0]], [1.0])
    flow = gflow.integrate(start, data, 2.0, t_eval=[0.0, 1.0, 2.0])
    longer = flow.extend(4.0)
    assert longer.t[:3].tolist() == [0.0, 1.0, 2.0] and longer.t[-1] == 4.0
    assert flow.extend(4.0, t_eval=[3.0]).t.tolist() == [3.0]
    longer = gflow.integrate(start, data, 2.0).extend(4.0)
    assert (longer.t == gflow.integrate(start, data, 4.0).t).all()
    assert longer.settings["t_max"] == 4.0


def test_data_in_other_units():
    data = gflow.Data([[1e100, 2e100], [1e100, -1e100]], [1e-100, 3e-100])
    model = gflow.init.balanced(4, 2, 1e-101, rng=1)
    one = gflow.integrate(model, data, 4.0, method="DOP853")
    assert type(one.path).__name__ == "Rescaled"
    same_run(one, gflow.integrate(model, data, 1.5, method="DOP853").extend(4.0))


def test_what_cannot_go_on():
    start, data = ([0.5], [[0.3]]), ([[1.0]], [1.0])
    flow = gflow.integrate(start, data, 2.0)
    for end, words in ((2.0, "no later than 2"), (-1.0, "positive")):
        with pytest.raises(ValueError, match=words):
            flow.extend(end)
    with pytest.raises(ValueError, match="leave save= away"):
        gflow.integrate(start, data, 2.0, save=["loss"]).extend(3.0)
    with pytest.raises(ValueError, match="descend"):
        gflow.descend(start, data, 0.1, 10).extend(3.0)


@pytest.mark.parametrize("loss, t_max", [("exponential", 1e300), ("logistic", 1e30)])
def test_a_run_at_rest_is_gone_on_with_however_late(loss, t_max):
    # Neurons come to w = 0, or shrink for ever under pulls that stay.
    start = [3.6e-4, 4.4e-4], [[3.6e-4], [2.2e-4]]
    data = [[0.2], [0.16], [-0.2]], [-1.0, -1.0, 1.0]
    whole = gflow.integrate(start, data, t_max, loss=loss, method="waveform")
    assert whole.certificate(20).ok
    for part in (1e-9, 1e-6, 1e-3):
        first = gflow.integrate(start, data, t_max, loss=loss, method="waveform",
                                stop=gflow.stop.Rule(lambda state: state.t > part * t_max,
                                                     "late", "late", locate=True))
        both = first.extend(t_max)
        assert first.t_end < t_max and both.status == whole.status == "finished"
        np.testing.assert_allclose(both.model.W, whole.model.W, atol=1e-12)
        np.testing.assert_allclose(both.log_norms[-1], whole.log_norms[-1], rtol=1e-6)


@pytest.mark.parametrize("t_max, until", [(1e20, 1e24), (1e40, 1e100)])
def test_a_late_run_without_rest_is_gone_on_with(t_max, until):
    # Pulls of points that are not separated are 1e20 in time of the engine; their fields vanish.
    data = gflow.datasets.linear_teacher(12, 3, noise=0.5, rng=0)
    data = gflow.Data(data.X, np.sign(data.y))
    start = gflow.init.balanced(6, 3, 1e-1, rng=1)
    late = gflow.integrate(start, data, t_max, loss="logistic").extend(until)
    once = gflow.integrate(start, data, until, loss="logistic")
    assert late.status == once.status == "finished" and late.t_end == until
    np.testing.assert_allclose(late.W[-1], once.W[-1], rtol=1e-6)
