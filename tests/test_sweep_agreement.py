"""Workers must have loaded what the session has: the code and data that do not travel."""

import functools
import importlib
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

import gflow
from gflow.sweeping import SweepError
from gflow.sweeping.agreement import AGREED, claims, disagreement
from gflow.sweeping.executors import LocalPool
from gflow.sweeping.grid import tasks
from gflow.sweeping.worker import Job, pack, perform
from sweep_tasks import environment
from test_sweep_identity import MODULE

LOADED = """
import os, random
SCALE, CACHE, DRAWN, FIXED = 1, {{}}, random.random(), (1, "a")
class Kind:
    k = 1
    def method(self, n, rng):
        return {{"x": {factor} * n}}
def run(n, rng):
    return {{"x": {factor} * n}}
def scaled(n, rng, scale=None):
    return {{"x": n * (SCALE if scale is None else scale)}}
def of_class(n, rng):
    return {{"x": n * Kind.k}}
def drawn(n, rng):
    return {{"x": DRAWN}}
def caches(n, rng):
    CACHE[n] = FIXED
    return {{"x": n, "pid": os.getpid()}}
"""


def spawned():
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Write a module of the user and import it, again and again."""
    def load(factor=1):
        (tmp_path / "loaded.py").write_text(LOADED.format(factor=factor))
        importlib.invalidate_caches()
        return importlib.reload(importlib.import_module("loaded"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    # Files of one size and second count as the same.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield load
    sys.modules.pop("loaded", None)


@pytest.fixture
def go(tmp_path, request):
    """A sweep on a store of its own."""
    def call(run, executor=None, ns=(1, 2), **options):
        call.count += 1
        return gflow.sweep(run, {"n": list(ns)}, store=tmp_path / f"{call.count}.db", workers=1,
                           executor=executor, progress=False, **options)["x"].tolist()
    call.count = 0
    return call


@pytest.mark.parametrize("find", [lambda module: module.run, lambda module: module.Kind().method,
                                  lambda module: functools.partial(module.run)])
def test_threads_run_what_was_loaded_last(loaded, go, find):
    with ThreadPoolExecutor(1) as pool:
        assert go(find(loaded(1)), pool) == [1, 2]
        assert go(find(loaded(1000)), pool) == [1000, 2000]


def test_workers_that_stay_up_are_refused_with_old_code_and_not_with_what_tasks_left(loaded, go):
    module = loaded(1)
    with spawned() as pool:
        assert go(module.run, pool) == go(module.caches, pool) == go(module.caches, pool) == [1, 2]
        module = loaded(1000)
        for run in (module.run, module.Kind().method):
            with pytest.raises(SweepError, match=r"its loaded\.(run|Kind\.method) is other code"):
                go(run, pool)
    assert go(module.run) == [1000, 2000]


def test_what_was_set_or_drawn_in_the_session_must_be_carried(loaded, go, monkeypatch):
    module = loaded()
    with spawned() as pool:
        assert go(module.scaled, pool) == go(module.of_class, pool) == [1, 2]
        monkeypatch.setattr(module, "SCALE", 5)
        monkeypatch.setattr(module.Kind, "k", 5)
        for run, name in ((module.scaled, "SCALE"), (module.of_class, "Kind"),
                          (module.drawn, "DRAWN")):
            with pytest.raises(SweepError, match=f"its loaded.{name} is other .*functools.partial"):
                go(run, pool)
        assert go(functools.partial(module.scaled, scale=5), ThreadPoolExecutor(1)) == [5, 10]


def test_a_worker_with_one_thread_says_so_of_what_may_be_their_number(loaded, go, monkeypatch):
    module = loaded()
    monkeypatch.setattr(module, "SCALE", 5)
    with pytest.raises(SweepError, match="SCALE is other .*it is 1 here: workers .* one thread"):
        go(module.scaled)


def test_what_run_holds_is_that_of_one_sweep(go):
    """Two sweeps of one session, and of one run, do not share what tasks note in it."""
    def run(n, rng, seen):
        return {"x": len(seen.append(n) or seen)}
    with ThreadPoolExecutor(1) as pool:
        assert go(functools.partial(run, seen=[]), pool) == [1, 2]
        assert go(functools.partial(run, seen=[]), pool) == [1, 2]


def test_code_that_was_edited_after_it_was_loaded_is_not_run(loaded, tmp_path, go):
    module, path = loaded(), tmp_path / "loaded.py"
    job = Job(pack(module.run), 0, code="a", claims=claims(module.run))
    task, = tasks({"n": [3]})
    text = path.read_text()
    with LocalPool(1) as pool:
        path.write_text("# A comment changes nothing.\n" + text)
        assert pool.submit(perform, job, task).result().scalars == '{"x": 3}'
    path.write_text(LOADED.format(factor=7))
    with LocalPool(1) as pool:
        with pytest.raises(SweepError, match="its loaded.run is other code"):
            pool.submit(perform, job, task).result()
    with pytest.raises(SweepError, match="a worker cannot take part: its loaded.run is other"):
        go(module.run)


CLAIM = """
import pickle, sys
sys.path.insert(0, sys.argv[1])
import module
from gflow.sweeping.agreement import claims, disagreement
def use():
    module.RUNS["plain"].late, module.cached(1), module.compiled(1)
if len(sys.argv) == 2:
    use()
    sys.stdout.buffer.write(pickle.dumps({name: claims(run) for name, run in module.RUNS.items()}))
else:
    claimed = pickle.load(open(sys.argv[2], "rb"))
    print({name: disagreement(run, claimed[name]) for name, run in module.RUNS.items()})
"""


def test_all_that_lives_in_modules_counts_and_is_the_same_in_another_process(tmp_path):
    def ask(value, hash_seed, *more):
        (tmp_path / "module.py").write_text(MODULE.format(value=value))
        (tmp_path / "helper.py").write_text(f"CONSTANT = {value}\ndef function():\n"
                                            "    return CONSTANT\n")
        done = subprocess.run([sys.executable, "-B", "-c", CLAIM, tmp_path, *more],
                              capture_output=True, env=environment(PYTHONHASHSEED=str(hash_seed)))
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout
    (tmp_path / "claims").write_bytes(ask(3, 1))
    assert set(eval(ask(3, 2, tmp_path / "claims")).values()) == {None}
    other = {name for name, thing in eval(ask(4, 2, tmp_path / "claims")).items() if thing}
    assert {"reads", "nested", "reads_of_module", "calls", "calls_far", "calls_of_module", "made",
            "makes", "mutual", "default", "keyword", "attributed", "decorated", "calls_cached",
            "calls_compiled", "static"} <= other
    # What is pickled whole is what was looked at, wherever it is loaded.
    assert not {"array", "scalar", "lambda_", "closure", "sets", "generator"} & other


@pytest.mark.parametrize("by_value", [True, False])
def test_a_script_may_set_what_travels(tmp_path, by_value):
    (tmp_path / "script.py").write_text(
        "import sys\n" + ("" if by_value else "sys.modules['cloudpickle'] = None\n") +
        "import gflow\nSCALE = 1\ndef run(n, rng):\n    return {'x': SCALE * n}\n"
        "if __name__ == '__main__':\n    SCALE = int(sys.argv[1])\n"
        "    print(gflow.sweep(run, {'n': [1]}, store=sys.argv[2], workers=1)['x'])\n")
    if by_value:
        pytest.importorskip("cloudpickle")
    for value in ("1", "5"):
        done = subprocess.run([sys.executable, tmp_path / "script.py", value,
                               tmp_path / f"{value}.db"], capture_output=True, text=True,
                              env=environment())
        if value == "1" or by_value:
            assert done.stdout == f"[{value}]\n", done.stderr
        else:
            assert "its __main__.SCALE is other code or data" in done.stderr


def test_nothing_is_said_where_nothing_can_be_compared(loaded):
    module = loaded()
    claimed = claims(module.scaled)
    assert [name for _, name, _ in claimed.things] == ["SCALE", "scaled"]
    assert pickle.loads(pickle.dumps(claimed)) == claimed
    module.SCALE = 5
    assert disagreement(module.scaled, claimed) == "loaded.SCALE"
    assert disagreement(module.scaled, claimed._replace(python="other")) is None
    del sys.modules["loaded"]
    assert disagreement(module.scaled, claimed) is None
    # Too much to look at in time.
    module = loaded()
    module.SCALE = [[k] for k in range(400_000)]
    assert [name for _, name, _ in claims(module.scaled).things] == ["scaled"]


def written_anew(n, rng):
    assert n > 0
    return {"x": n}


def test_code_that_an_import_hook_has_written_anew_is_not_compared():
    """Workers of a test import its module without pytest."""
    for run in (written_anew, functools.partial(written_anew)):
        assert claims(run).things == ()


@pytest.fixture
def lazy(tmp_path, monkeypatch):
    """A function that imports a module of the user when it runs, and how to write that anew."""
    folder = tmp_path / "lazy"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(k):
        (folder / "late_helper.py").write_text(f"K = {k}\ndef f(n): return n * K\n")

    write(2)
    (folder / "late_task.py").write_text(
        "def run(n, rng):\n    import late_helper\n    return {'x': late_helper.f(n)}\n")
    yield importlib.import_module("late_task").run, write
    for name in ("late_task", "late_helper"):
        sys.modules.pop(name, None)


def test_workers_that_stay_up_have_what_tasks_have_imported_before(lazy, go):
    run, write = lazy
    with spawned() as pool:
        assert go(run, pool) == [2, 4]
        write(30)
        with pytest.raises(SweepError, match="its late_helper is other code"):
            go(run, pool)
    assert go(run) == [30, 60]


def test_a_worker_that_comes_late_has_what_the_session_has_seen(lazy):
    run, write = lazy
    claimed = claims(run)
    assert [name for name, _ in claimed.late] == ["late_helper"]
    assert disagreement(run, claimed) is None
    write(30)
    assert disagreement(run, claimed) == "late_helper"


def test_what_tasks_import_in_the_session_is_no_change(lazy, tmp_path, monkeypatch):
    run, write = lazy

    def again():
        with ThreadPoolExecutor(1) as pool:
            return gflow.sweep(run, {"n": [1]}, store=tmp_path / "t.db", executor=pool,
                               progress=False)["x"].tolist()

    assert again() == again() == again() == [2]
    monkeypatch.setattr("late_helper.K", 5)
    with pytest.raises(ValueError, match="other code of run, or with other data"):
        again()


@pytest.fixture
def session(tmp_path, monkeypatch):
    """Modules of the user by their texts, imported: what a session and its workers have alike."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    names = ("plain", "robust", "config", "by_config")

    def load(**texts):
        for name in names:
            sys.modules.pop(name, None)
        for name, text in texts.items():
            (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        AGREED.clear()
        return importlib.import_module("by_config")

    yield load
    for name in names:
        sys.modules.pop(name, None)


BY_CONFIG = "import config\ndef run(n, rng): return {'x': config.HELD}\n"
NAMESAKES = {
    "a function in a mapping": "{'loss': plain.loss}", "an object in a list": "[plain.Loss()]",
    "a class": "plain.Loss", "a class in a list": "[plain.Loss]", "an object": "plain.Loss()",
    "a method": "plain.Loss().f", "a distribution": "scipy.stats.norm",
    "one in a pair": "(scipy.stats.norm, 2)", "colours": "(matplotlib.cm.viridis,)"}


@pytest.mark.parametrize("held", NAMESAKES.values(), ids=NAMESAKES)
def test_things_of_one_name_or_class_are_told_apart(session, held):
    code = "class Loss:\n    def f(self): return VALUE\ndef loss(x): return VALUE * x\n"
    made = {name: code.replace("VALUE", value) for name, value in (("plain", "1"), ("robust", "2"))}
    texts = {**made, "by_config": BY_CONFIG, "config":
             f"import matplotlib.cm, scipy.stats, plain, robust\nHELD = {held}\n"}
    claimed = claims(session(**texts).run)
    assert ("config", "HELD") in [thing[:2] for thing in claimed.things]
    assert disagreement(session(**texts).run, claimed) is None
    for old, new in (("plain", "robust"), ("norm", "cauchy"), ("viridis", "plasma")):
        for name in (f"{old}.", f".{old}"):
            texts["config"] = texts["config"].replace(name, name.replace(old, new))
    assert disagreement(session(**texts).run, claimed) == "config.HELD"


def test_an_object_whose_name_may_stand_in_what_is_not_loaded_is_not_compared(session):
    texts = {"config": "import scipy.stats\nHELD = scipy.stats.norm\n", "by_config": BY_CONFIG}
    claimed = claims(session(**texts).run)
    elsewhere = claimed._replace(given=(("scipy.not_loaded_here", "norm"),))
    texts["config"] = texts["config"].replace("norm", "cauchy")
    run = session(**texts).run
    assert disagreement(run, elsewhere) is None and disagreement(run, claimed) == "config.HELD"


HOLDERS = {
    "vectorized": "np.vectorize(plain.f)", "a namespace": "types.SimpleNamespace(f=plain.f)",
    "a deque": "collections.deque([plain.f])", "slots": "Slots(plain.f)",
    "a proxy": "types.MappingProxyType({1: plain.f})",
    "a factory": "collections.defaultdict(plain.f)",
    "an array of objects": "np.array([plain.f, None])",
    "a mapping of its own class": "collections.UserDict(f=plain.f)",
    "a chain": "collections.ChainMap({1: plain.f})", "a map": "map(plain.f, [1])",
    "a variable": "contextvars.ContextVar('f', default=plain.f)",
    "a weak reference": "weakref.ref(plain.f)", "a comparison": "functools.cmp_to_key(plain.f)",
    "a view": "{1: plain.f}.values()", "a static method": "staticmethod(plain.f)",
    "a method made partial": "functools.partialmethod(plain.f)"}


def test_code_in_holders_of_all_kinds_is_compared(session):
    names = dict(zip("abcdefghijklmnopqrstuvwxyz", HOLDERS.values()))
    module = session(
        plain="def f(n=1): return n\n", by_config="import plain\nimport collections, contextvars, "
        "dataclasses, functools, types, weakref\nimport numpy as np\n"
        "@dataclasses.dataclass(slots=True)\nclass Slots:\n    f: object\n" + "".join(
            f"{name.upper()} = {text}\ndef run_{name}(n, rng): return {name.upper()}\n"
            for name, text in names.items()))
    assert [text for name, text in names.items() if ("plain", "f") not in [
        thing[:2] for thing in claims(getattr(module, f"run_{name}")).things]] == []
