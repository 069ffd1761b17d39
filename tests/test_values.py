"""Results are values: read from threads, pickled, copied, sent back by other processes."""

import copy
import json
import pickle
import sys
import threading
from contextlib import suppress
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import joblib
import numpy as np
import pytest

import gflow
from gflow.engines.record import FALSIFIED

DATA = gflow.datasets.linear_teacher(60, 5, noise=0.5, rng=0)


def run(method="waveform", **options):
    start = gflow.init.balanced(40, 5, 1e-2, rng=1)
    return gflow.integrate(start, DATA, 6.0, method=method, threads=2, rtol=1e-6, **options)


def descent():
    return gflow.descend(gflow.init.balanced(5, 5, 1e-2, rng=1), DATA, 0.1, 20)


def early():
    return gflow.theory.early_flow(gflow.init.balanced(5, 5, 1e-2, rng=1), DATA)


RESULTS = {
    "waveform": run, "DOP853": lambda: run("DOP853"), "Radau": lambda: run("Radau", max_events=20),
    "late": lambda: gflow.integrate(gflow.init.balanced(20, 2, 1e-3, rng=1),
                                    gflow.datasets.three_points(), 300.0, method="waveform"),
    "saved": lambda: run(save=["loss", "norms"]), "saved, stepper": lambda: run("RK45", save="W"),
    "stopped": lambda: run(stop=gflow.stop.loss_below(0.35)),
    "descent": descent,
}


@pytest.fixture(scope="module")
def results():
    return {name: make() for name, make in RESULTS.items()}


def same(one, other):
    assert type(one) is type(other) and one.message == other.message
    for name in ("t", "events", "initial_pattern"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    if one.saved is None:
        times = np.linspace(0.0, one.t_end, 7)
        assert np.array_equal(one(times).W, other(times).W)
        assert np.array_equal(one.loss, other.loss)
        assert one.path.dissipation(1) == other.path.dissipation(1)
    else:
        assert all(np.array_equal(value, other.saved[k]) for k, value in one.saved.items())


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("how", [lambda flow: pickle.loads(pickle.dumps(flow)), copy.deepcopy,
                                 copy.copy], ids=["pickle", "deepcopy", "copy"])
def test_copies_are_equal(results, name, how):
    same(results[name], how(results[name]))


@pytest.mark.parametrize("how", [lambda one: one, lambda one: pickle.loads(pickle.dumps(one)),
                                 copy.deepcopy], ids=["itself", "pickle", "deepcopy"])
def test_what_a_run_says_of_itself_stays(results, how, tmp_path):
    flow = how(results["saved"])
    flow.save(tmp_path / "run.npz")
    for one in (flow, gflow.load(tmp_path / "run.npz")):
        for mapping, other in ((one.settings, flow.settings), (one.stats, flow.stats)):
            before = repr(mapping)
            assert mapping == other == dict(mapping) and before == repr(dict(mapping))
            assert json.loads(json.dumps(mapping)).keys() == mapping.keys()
        for mapping in (one.settings, one.stats, one.saved):
            name = next(iter(mapping))
            for change in (lambda: mapping.update(rtol=1.0), lambda: mapping.pop(name),
                           lambda: mapping.__setitem__(name, 1.0), mapping.clear, mapping.popitem,
                           lambda: mapping.setdefault("new", 1), lambda: mapping.__ior__({}),
                           lambda: mapping.__delitem__(name)):
                with pytest.raises(TypeError, match="cannot be changed"):
                    change()
            own = dict(mapping) | {name: None}
            assert own[name] is None is not mapping[name]
        assert one.settings["decay"] == (0.0, 0.0, 0.0) and one.settings["rtol"] == 1e-6


def test_pickles_are_small(results):
    flow = results["waveform"]
    before = len(pickle.dumps(flow))
    assert flow.W.size and flow.loss.size
    assert len(pickle.dumps(flow)) == before


def test_other_processes_send_them_back():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for work in (run, descent):
            same(work(), pool.submit(work).result(timeout=300))
    sent = joblib.Parallel(n_jobs=2)(joblib.delayed(run)(method) for method in ("waveform", "RK45"))
    for flow, method in zip(sent, ("waveform", "RK45")):
        same(run(method), flow)


@pytest.fixture
def hasty():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("name", ["waveform", "late", "DOP853"])
def test_threads_read_what_one_reads(results, name, hasty):
    flow = results[name]
    times = np.linspace(0.0, flow.t_end, 300)
    alone = [flow(t).W for t in times]

    def wrong(seed):
        order = np.random.default_rng(seed).permutation(times.size)
        return sum(not np.array_equal(flow(times[j]).W, alone[j]) for j in order)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(wrong, range(4))) == [0, 0, 0, 0]


def test_certificates_in_threads(results, hasty):
    flow = results["waveform"]
    alone = repr(flow.certificate())
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: repr(flow.certificate()), range(4))) == {alone}


def test_no_thread_is_left():
    before = threading.active_count()
    kept = [run() for _ in range(5)]
    assert all(flow.success for flow in kept) and threading.active_count() == before


def test_nothing_can_be_changed(results):
    flow = results["waveform"]
    for array in (flow.t, flow.a, flow.W, flow.loss, flow.norms, flow.directions, flow.events,
                  flow.initial_pattern, flow.data.X, flow.data.y, results["descent"].W):
        with pytest.raises(ValueError, match="read-only"):
            array[:1] = array[:1]
    with pytest.raises(RuntimeError, match="finished run"):
        flow.path.cut(1.0)
    with pytest.raises(RuntimeError, match="finished run"):
        results["DOP853"].path.forget()
    saved = results["saved"].saved["loss"]
    with pytest.raises(ValueError, match="read-only"):
        saved[0] = 0.0


def test_rules_remember_no_run():
    rule = gflow.stop.settled()
    flow = gflow.integrate(([0.1], [[0.1]]), ([[1.0], [1.0]], [1.0, 0.5]), 1e3, stop=rule)
    again = gflow.integrate(([0.1], [[0.1]]), ([[1.0], [1.0]], [1.0, 0.5]), 1e3, stop=rule)
    assert flow.status == "settled" and flow.t_end == again.t_end
    assert vars(rule.test) == vars(gflow.stop.settled().test)
    for each in (rule, gflow.stop.loss_below(1.0), gflow.stop.gradient_below(1.0),
                 gflow.stop.wall_time(1.0)):
        assert pickle.loads(pickle.dumps(each)).message == each.message


def test_an_error_of_a_run_is_sent_back():
    error = gflow.IntegrationError(run("RK45", max_events=3))
    back = pickle.loads(pickle.dumps(error))
    assert str(back) == str(error)
    same(back.flow, error.flow)


def findings():
    """What can be asked of runs and data, all that is held in arrays."""
    plain = gflow.integrate(gflow.init.balanced(6, 2, 0.1, rng=2),
                            gflow.datasets.linear_teacher(12, 2, rng=1), 5.0, check=True)
    data, start = plain.data, plain(0.0)
    classes = gflow.Data(data.X, np.sign(data.y))
    endless = gflow.integrate(start, classes, 5.0, loss="logistic")
    points = gflow.datasets.orthogonal()
    theory = gflow.theory
    return [plain.certificate(), plain.conditioning(), plain.verdict(), plain.verdict().escapes,
            plain.checked, plain.alignment(), plain.alignment().phases, endless.margin(),
            endless.kkt(), theory.extremal_vectors(data), theory.early_flow(start, data),
            theory.jump_process(start, points), theory.two_cone_least_squares(data),
            theory.local_lorentz(plain), theory.class_margins(([[1, 0], [0, 1]], [1, -1])),
            theory.population.flow(start, [1.0, 0.5], 1.0)]


def test_what_is_found_is_a_value():
    for found in findings():
        copies = [copy.copy(found)]
        if not isinstance(found, gflow.theory.population.PopulationFlow):
            copies += [pickle.loads(pickle.dumps(found)), copy.deepcopy(found)]
        for each in (found, *copies):
            assert each == each and each != 1 and each in [each]
            for name in dir(each):
                array = None if name.startswith("_") else getattr(each, name)
                if isinstance(array, np.ndarray) and array.size and getattr(each, name) is array:
                    assert not array.flags.writeable, (type(each), name)


INNER = ("path", "arrangement")
"""Of engines: kernels are compiled for arrays that can be written to, and again for others."""


def held(thing):
    """What a result consists of, by name. What is another object each time is the caller's own."""
    if isinstance(thing, np.ndarray):
        return list(enumerate(thing.flat if thing.dtype == object else []))
    if isinstance(thing, dict):
        return list(thing.items())
    if isinstance(thing, list | tuple):
        return list(enumerate(thing))
    found = []
    if type(thing).__module__.startswith("gflow"):
        for name in dir(thing):
            if not name.startswith("_") and name not in INNER:
                with suppress(AttributeError, ValueError):
                    value = getattr(thing, name)
                    if getattr(thing, name) is value:
                        found.append((name, value))
    return found


def writable(thing, name, seen):
    """Names of arrays, at any depth of a result, that can be written to."""
    if id(thing) not in seen:
        # Kept, so that no other thing gets its number.
        seen[id(thing)] = thing
        if isinstance(thing, np.ndarray) and thing.size and thing.flags.writeable:
            yield name
        for part, value in held(thing):
            yield from writable(value, f"{name}.{part}", seen)


def test_no_array_of_a_result_can_be_written_to(results):
    theory, points = gflow.theory, ([[9.0, 0.0], [0.0, 9.0]], [1, -1])
    things = [*results.values(), *findings(), early(), gflow.datasets.relu_teacher(9, 3),
              theory.max_margin(points), theory.linear_margin(points, slope=0.5),
              theory.nearly_orthogonal(points, [1.0, -1.0], slope=0.5), theory.exact.one_point()]
    for thing in things:
        copies = [copy.copy(thing)]
        if not isinstance(thing, theory.population.PopulationFlow | theory.exact.ExactFlow):
            copies += [pickle.loads(pickle.dumps(thing)), copy.deepcopy(thing)]
        for each in (thing, *copies):
            assert not list(writable(each, type(each).__name__, {}))


def test_networks_of_results_are_their_own():
    start, teacher = gflow.init.balanced(5, 5, 1e-2, rng=1), gflow.init.unbalanced(3, 5, 1.0, rng=2)
    found = gflow.theory.early_flow(start, DATA)
    data = gflow.datasets.relu_teacher(9, 5, teacher)
    before = found.model.W.copy(), data.teacher.W.copy()
    for network in (start, teacher, copy.deepcopy(found.model), copy.deepcopy(data.teacher)):
        network.W[:] = 7.0
    assert (found.model.W == before[0]).all() and (data.teacher.W == before[1]).all()
    own = found.model.like(found.model.a, found.model.W)
    own.W[:] = 7.0
    assert (found.model.W == before[0]).all()
    assert gflow.integrate(data.teacher, data, 0.1).success


@pytest.mark.parametrize("name", ["X", "y", "bias", "columns", "teacher", "n"])
def test_data_cannot_be_changed_under_a_run(name):
    data = gflow.Data([[1.0, 2.0]], [1.0])
    for each in (data, pickle.loads(pickle.dumps(data)), copy.deepcopy(data)):
        with pytest.raises(AttributeError, match=f"{name} of a Data cannot be set.*Data.X, y"):
            setattr(each, name, [[3.0, 4.0]])
        with pytest.raises(AttributeError, match=f"{name} of a Data cannot be deleted"):
            delattr(each, name)
        each.note = "one's own"
    assert (data.X == [[1.0, 2.0]]).all() and data.y == [1.0] and not data.bias


def test_weights_that_are_set_are_looked_at():
    start = gflow.TwoLayerReLU([1.0, 2.0], [[1.0], [2.0]])
    start.a *= 2
    start.W = [[3.0], [4.0]]
    assert start.a.tolist() == [2.0, 4.0] and start([[1.0]])[0] == 22.0
    for name, value, words in (("a", [np.nan, 1.0], "NaN"), ("W", [[1.0]], "had .2, 1.: make"),
                               ("a", ["x", "y"], "real numbers"), ("log_scale", 1.0, "shape")):
        with pytest.raises((TypeError, ValueError), match=words):
            setattr(start, name, value)
    teacher = gflow.datasets.relu_teacher(9, 2).teacher
    with pytest.raises(AttributeError, match="part of a result cannot be set: make another one"):
        teacher.a = [1.0]


@pytest.mark.parametrize("name", ["waveform", "saved", "descent"])
def test_attributes_of_a_run_stay(results, name):
    flow = copy.copy(results[name])
    for part in ("t", "loss", "data", "path", "saved", "status", "settings", "checked", "a",
                 "residuals", "loss_function"):
        changes = [lambda: delattr(flow, part)]
        if part not in FALSIFIED:
            changes.append(lambda: setattr(flow, part, None))
        for change in changes:
            with pytest.raises(AttributeError, match=f"^{part} is part of a result"):
                change()
    assert flow.loss.size == flow.t.size and repr(flow) == repr(results[name])
