"""Which function a store is of: what ``run`` carries, reads and calls is looked at."""

import collections
import functools
import json
import os
import random
import subprocess
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest

import gflow
from gflow.sweeping.identity import fingerprint
from sweep_tasks import environment

MODULE = '''
import collections, dataclasses, decimal, enum, fractions, functools, pathlib
import numba, numpy as np
import gflow, helper

V = {value}

def closure(inner):
    def run(n, rng):
        return {{"x": inner}}
    return run

class Plain:
    def __init__(self, inner):
        self.inner = inner
    def __call__(self, n, rng):
        return {{"x": self.inner}}
    def method(self, n, rng):
        return {{"x": self.inner}}
    @functools.cached_property
    def late(self):
        return [self.inner]

class Slots(Plain):
    __slots__ = ("more",)
    def __init__(self, inner):
        self.more = inner
        self.inner = 0

class State(Plain):
    def __getstate__(self):
        return ("kept", self.inner)
    def __setstate__(self, state):
        self.inner = state[1]

@dataclasses.dataclass(frozen=True)
class Frozen:
    inner: object
    def __call__(self, n, rng):
        return {{"x": self.inner}}

class Colour(enum.Enum):
    RED = 1 + V
    BLUE = -1

class Static:
    k = V
    @staticmethod
    def run(n, rng):
        return {{"x": 1}}
    @classmethod
    def made(cls, n, rng):
        return {{"x": cls.k}}

def free(n, rng, data=None, *more):
    return {{"x": data}}

def default(n, rng, data={{"v": V}}):
    return {{"x": data}}

def keyword(n, rng, *, data=V):
    return {{"x": data}}

def reads(n, rng):
    return {{"x": V if n in {{"a", "b", "c"}} else 0}}

def nested(n, rng):
    return [V for _ in range(3)]

def reads_of_module(n, rng):
    return {{"x": helper.CONSTANT}}

def reads_by_a_made_name(n, rng):
    return {{"x": getattr(helper, "CONSTANT")}}

def called():
    return {value}

def calls(n, rng):
    return {{"x": called()}}

def calls_far(n, rng):
    return {{"x": calls(n, rng)}}

def calls_of_module(n, rng):
    return {{"x": helper.function()}}

def imports(n, rng):
    import helper as h
    return {{"x": h}}

def imports_from(n, rng):
    from helper import CONSTANT
    return {{"x": CONSTANT}}

def makes(n, rng):
    return Plain(Static.k)

def even(n, rng): return odd(n, rng) if n else V
def odd(n, rng): return even(n, rng)

def attributed(n, rng):
    return {{"x": attributed.k}}
attributed.k = V

def wrapping(inner):
    @functools.wraps(inner)
    def wrapper(*args, **kwargs):
        return inner(*args, **kwargs), {value}
    return wrapper

@wrapping
def decorated(n, rng):
    return {{"x": 1}}

@functools.lru_cache
def cached(n):
    return V

def calls_cached(n, rng):
    return {{"x": cached(n)}}

@numba.njit
def compiled(n):
    return n + {value}

def calls_compiled(n, rng):
    return {{"x": compiled(n)}}

BIG = np.arange(5000.0)
BIG[2500] += V
RECORD = np.zeros(3, dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True))
RECORD["b"] = V
LOOP = [V]
LOOP.append(LOOP)
p = functools.partial
RUNS = dict(
    by_name=reads_by_a_made_name,
    array=p(free, data=BIG), data=p(free, data=gflow.Data([[1.0]], [V])), scalar=p(free, data=V),
    nested_partial=p(p(free, data=[BIG]), rng=0), positional=p(free, V),
    slice=p(free, data=BIG[::2]),
    fortran=p(free, data=np.asfortranarray(BIG.reshape(50, 100))), record=p(free, data=RECORD),
    objects=p(free, data=np.array([None, V, "a"], dtype=object)),
    numpy_scalar=p(free, data=BIG[2500]),
    masked=p(free, data=np.ma.masked_equal(BIG, 2500 + V)), loop=p(free, data=LOOP),
    sets=p(free, data={{"a", "b", "c", str(V)}}), frozen=p(free, data=frozenset("abc" + str(V))),
    dicts=p(free, data={{name: {{"b", "a", V}} for name in sorted({{"x", "y"}}, key=hash)}}),
    closure=closure(V), closure_array=closure(BIG), lambda_=lambda n, rng: {value},
    lambdas=(lambda n, rng: 7, lambda n, rng: {value})[1], method=Plain(V).method,
    default=default, keyword=keyword, plain=Plain(V), slots=Slots(V), state=State(V),
    dataclass=Frozen([V]), enum=p(free, data=Colour.RED), static=p(free, Static), made=Static.made,
    reads=reads, nested=nested, reads_of_module=reads_of_module, calls=calls, calls_far=calls_far,
    calls_of_module=calls_of_module, imports=imports, imports_from=imports_from, makes=makes,
    mutual=even, attributed=attributed, decorated=decorated, calls_cached=calls_cached,
    calls_compiled=calls_compiled, decimal=p(free, data=decimal.Decimal(V)),
    fraction=p(free, data=fractions.Fraction(V, 3)), path=p(free, data=pathlib.Path(str(V))),
    counter=p(free, data=collections.Counter("ab" * (V + 1))), complex=p(free, data=1j * V),
    generator=p(free, data=np.random.default_rng(V)), huge=p(free, data=10**5000 + V),
    ordered=p(free, data=collections.OrderedDict(a=V)), deque=p(free, data=collections.deque([V])),
    letters=p(free, data=chr(0xdcf0 + V)), function=p(free, data=closure(V)),
    module=p(free, data=helper), kind=p(free, data=type("Local", (), {{"k": V}})))
'''
SHOW = """
import json, sys
sys.path.insert(0, sys.argv[1])
import module
from gflow.sweeping.identity import fingerprint
first = {name: fingerprint(run) for name, run in module.RUNS.items()}
module.RUNS["plain"].late, module.cached(1), module.compiled(1)
assert first == {name: fingerprint(run) for name, run in module.RUNS.items()}
print(json.dumps(first))
"""


def of_a_process(folder, value, hash_seed):
    folder.mkdir(exist_ok=True)
    (folder / "module.py").write_text(MODULE.format(value=value))
    (folder / "helper.py").write_text(f"CONSTANT = {value}\ndef function():\n    return CONSTANT\n")
    done = subprocess.run([sys.executable, "-c", SHOW, folder], capture_output=True, text=True,
                          env=environment(PYTHONHASHSEED=str(hash_seed)))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_all_that_run_carries_reads_and_calls_counts_and_is_the_same_in_another_process(tmp_path):
    first = of_a_process(tmp_path / "a", 3, hash_seed=1)
    again = of_a_process(tmp_path / "b", 3, hash_seed=2)
    other = of_a_process(tmp_path / "c", 4, hash_seed=1)
    assert [name for name in first if first[name] != again[name]] == []
    assert [name for name in first if first[name] == other[name]] == []
    # Two lambdas of the same code are the same; nothing else is.
    assert first.pop("lambda_") == first["lambdas"] and len(set(first.values())) == len(first)


def test_a_plain_function_is_named_as_stores_have_it_from_before():
    import hashlib
    import inspect
    for run in (plain, gflow.experiments.threshold):
        text = f"{run.__qualname__}\n{inspect.getsource(run)}"
        assert fingerprint(run) == hashlib.sha256(text.encode()).hexdigest()


def plain(n, rng):
    return {"x": np.sqrt(n)}


@pytest.mark.parametrize("thing, sentence", [
    (threading.Lock(), "run carries a lock .*cannot pickle"), ((i for i in "a"), "a generator"),
    (functools.reduce(lambda inner, _: [inner], range(10**5), []), "too deeply nested")])
def test_what_cannot_be_compared_is_refused_in_one_sentence(thing, sentence):
    with pytest.raises(TypeError, match=sentence) as caught:
        fingerprint(functools.partial(plain, data=[thing]))
    assert "\n" not in str(caught.value)


def test_code_that_was_edited_while_the_session_goes_on_is_not_taken_for_what_runs(tmp_path):
    file = tmp_path / "edited.py"
    names, text = {}, "def run(n, rng):\n    return {'x': 1}\n"
    file.write_text(text)
    exec(compile(text, str(file), "exec"), names)
    before = fingerprint(names["run"])
    file.write_text("# One more line.\n" + text)
    assert fingerprint(names["run"]) == before
    file.write_text(text.replace("1", "2"))
    stale = fingerprint(names["run"])
    exec(compile(file.read_text(), str(file), "exec"), names)
    assert len({before, stale, fingerprint(names["run"])}) == 3


@pytest.mark.parametrize("old, new", [
    (gflow.Data([[1.0]], [1.0]), gflow.Data([[1.0]], [7.0])),
    (np.zeros(5000), np.where(np.arange(5000) == 2500, 1.0, 0.0))])
def test_other_data_on_the_same_store_is_noticed(tmp_path, old, new):
    def go(data, **options):
        with ThreadPoolExecutor(1) as pool:
            return gflow.sweep(functools.partial(total, data=data), {"n": [1]}, executor=pool,
                               store=tmp_path / "s.db", progress=False, **options)["sum"].tolist()

    first = go(old)
    assert go(old) == first
    with pytest.raises(ValueError, match="other data that it carries or reads"):
        go(new)
    assert go(new, changed="keep") == first
    assert go(new, changed="rerun") == go(new) == [total(1, None, new)["sum"]] != first


def total(n, rng, data):
    return {"sum": float(np.sum(data.y if isinstance(data, gflow.Data) else data))}


# Results of gflow ---------------------------------------------------------------------------------

def reads(n, rng):
    return {"x": FLOW.loss[-1]}


def carries(n, rng, flow):
    return {"x": flow.loss[-1]}


FLOW = None


def made_again(steps=1.0, threads=1):
    data = gflow.datasets.linear_teacher(8, 2, noise=0.5, rng=0)
    start = gflow.init.balanced(6, 2, 0.1, rng=0)
    return gflow.integrate(start, data, steps, threads=threads, progress=False)


@pytest.mark.parametrize("run", [reads, carries])
def test_a_flow_that_is_made_again_is_the_same(sweep, monkeypatch, run):
    """It notes how long it took, and on how many threads."""
    def go(flow):
        monkeypatch.setitem(reads.__globals__, "FLOW", flow if run is reads else None)
        return sweep(functools.partial(run, flow=flow) if run is carries else run, {"n": [1]})
    one, two, other = made_again(), made_again(threads=2), made_again(2.0)
    assert one.stats["wall_time"] != two.stats["wall_time"]
    assert go(one)["x"] == go(two)["x"] == one.loss[-1]
    with pytest.raises(ValueError, match="other data that it carries or reads"):
        go(other)


def test_times_that_the_user_notes_count():
    def run(n, rng, notes):
        return {}
    hashes = {fingerprint(functools.partial(run, notes={"stats": {"wall_time": t}}))
              for t in (1.0, 2.0)}
    assert len(hashes) == 2


# What belongs to installed packages ---------------------------------------------------------------

THEIRS = '''
import datetime, decimal, enum, functools, logging, pathlib, queue, re, threading, typing
import numba, numpy as np
from concurrent.futures import ThreadPoolExecutor
from matplotlib import colormaps, rcParams
from matplotlib.cm import viridis
from numpy import random as npr
from numpy.random import normal
from os import environ
from random import random
from scipy import sparse
from scipy.constants import c, physical_constants
from scipy.special import expit
from scipy.stats import multivariate_normal, norm
from sys import argv, path, stdout, version_info
from time import perf_counter
from warnings import filters, warn

class Colour(enum.Enum):
    RED = 1
class Point(typing.NamedTuple):
    x: float = 1.0
log, lock, pool, waiting = logging.getLogger("a"), threading.Lock(), ThreadPoolExecutor(1), \
    queue.Queue()
frozen, pdf, many = norm(0, 2), norm.pdf, multivariate_normal([0, 0])
file, date, half, pattern = pathlib.Path("a"), datetime.date(2020, 1, 1), decimal.Decimal(1) / 2, \
    re.compile("a+b")
red, point, vectorized = Colour.RED, Point(), np.vectorize(lambda x: x, otypes=[float])
matrix, holds = sparse.csr_matrix(np.eye(2)), {"lock": threading.Lock(), "x": 1}
added = numba.vectorize(lambda x: x + 1)
made = np.frompyfunc(lambda x: x + 1, 1, 1)
@functools.singledispatch
def one(x):
    return 1
@one.register
def _(x: int):
    return 2
@functools.cache
def cached(x):
    return x

def free(n, rng, data=None):
    return {"x": n}
NAMES = """colormaps rcParams viridis npr normal environ random c physical_constants expit
    multivariate_normal norm argv path stdout version_info perf_counter filters warn log lock pool
    waiting frozen pdf many file date half pattern red point vectorized matrix holds added made one
    cached""".split()
RUNS = {}
for name in NAMES:
    exec(f"def run_{name}(n, rng):\\n    {name}\\n    return {{'x': n}}")
    RUNS[name] = globals()[f"run_{name}"]
    if name not in ("lock", "pool", "waiting", "stdout", "holds"):
        RUNS[f"{name} carried"] = functools.partial(free, data=globals()[name])

def use():
    normal(), random(), frozen.rvs(), frozen.std(), many.rvs(), norm.rvs(), pool.submit(one, 1)
    environ["USED"] = rcParams["font.family"] = "serif"
    argv.append("a"), path.append("/a"), filters.append(("ignore", None, Warning, None, 0))
    viridis(0.5), vectorized([1]), matrix.has_sorted_indices, added(1), made(1), one(1), one("a")
    cached(1), lock.acquire(), holds["lock"].acquire(), waiting.put(1), log.setLevel(10)
'''
RESUME = """
import sys
from concurrent.futures import ThreadPoolExecutor
sys.path.insert(0, sys.argv[1])
import theirs, gflow
from gflow.sweeping.identity import fingerprint
changed = []
def go(name, run, n):
    with ThreadPoolExecutor(1) as pool:
        try:
            gflow.sweep(run, {"n": n}, store=f"{sys.argv[1]}/{name}.db", executor=pool,
                        progress=False)
        except (TypeError, ValueError) as error:
            changed.append(f"{name}: {error}")
before = {name: fingerprint(run) for name, run in theirs.RUNS.items()}
for name in ("normal", "environ", "norm"):
    go(name, theirs.RUNS[name], [1])
theirs.use()
changed += [name for name, run in theirs.RUNS.items() if fingerprint(run) != before[name]]
for name in ("normal", "environ", "norm"):
    go(name, theirs.RUNS[name], [1, 2])
print(len(before), len(set(before.values())), changed)
print(*sorted(before.values()))
"""


def test_what_belongs_to_installed_packages_counts_by_name(tmp_path):
    """A sweep goes on in another process, and after what it reads of packages was used."""
    (tmp_path / "theirs.py").write_text(THEIRS)
    told = []
    for number in ("1", "2"):
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", RESUME, tmp_path, *"ab"],
                              capture_output=True, text=True,
                              env=environment(PYTHONHASHSEED=number, NUMBER=number))
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
    assert told[0] == told[1] and told[0].splitlines()[0].endswith("[]"), told
    count, different = told[0].split()[:2]
    assert count == different


class Lined(type):
    """A class of classes whose code is the user's."""

    def __call__(cls, value):
        return [value]


class Lined2(type):
    def __call__(cls, value):
        return (value,)


def holder(value, **more):
    made = type("Holder", (), {})()
    made.lock, made.value, made.inner = threading.Lock(), value, more
    return made


def hashed(value):
    class Hashed:
        def __hash__(self):
            return value
    return Hashed


def dispatched(value):
    made = functools.singledispatch(lambda x: 0)
    made.register(int, lambda x: x + value)
    return made


@pytest.mark.parametrize("make", [
    lambda value: {"lock": threading.Lock(), "value": value},
    lambda value: [threading.Lock(), [threading.Lock(), {value}]],
    lambda value: collections.OrderedDict(lock=threading.Lock(), value=value),
    lambda value: types.SimpleNamespace(lock=threading.Lock(), value=value),
    lambda value: functools.partial(print, threading.Lock(), value),
    lambda value: np.array([threading.Lock(), value], dtype=object),
    lambda value: {threading.Lock(): value},
    holder, lambda value: holder(0, deep=holder(value)), dispatched,
    lambda value: np.frompyfunc(lambda x: x + value, 1, 1),
    lambda value: numba.vectorize(lambda x: x + value),
    lambda value: numba.guvectorize("(n)->(n)")(lambda x, y: value),
    lambda value: (Lined, Lined2)[value - 1]("Made", (), {}),
    lambda value: (Lined, Lined2)[value - 1]("Base", (), {})("Made"), hashed,
    lambda value: np.random.default_rng(value), lambda value: np.random.RandomState(value),
    lambda value: random.Random(value).random, lambda value: [*os.environ, value]],
    ids=range(20))
def test_a_change_beside_what_cannot_be_compared_is_seen(monkeypatch, make):
    def run(n, rng):
        return {"x": THING}
    hashes = []
    for value in (1, 1, 2):
        monkeypatch.setitem(run.__globals__, "THING", make(value))
        hashes.append(fingerprint(run))
    assert hashes[0] == hashes[1] != hashes[2]


THING = None


def test_what_is_carried_is_refused_also_where_it_was_read_before(monkeypatch):
    """What was left out of the one is not taken for all of the other."""
    thing = [threading.Lock(), 1]

    def inner(x=1):
        return THING

    monkeypatch.setitem(inner.__globals__, "THING", thing)
    for data in ([inner, thing], [thing, inner]):
        with pytest.raises(TypeError, match="run carries a lock"):
            fingerprint(functools.partial(plain, data=data))


def test_the_last_thing_shown_in_a_console_is_the_users(monkeypatch):
    import builtins
    import sys

    def run(n, rng):
        return {"x": THING}
    hashes = set()
    for value in (1, 2):
        monkeypatch.setitem(run.__globals__, "THING", thing := [value])
        monkeypatch.setattr(builtins, "_", thing, raising=False)
        monkeypatch.setattr(sys, "last_value", thing, raising=False)
        hashes.add(fingerprint(run))
    assert len(hashes) == 2
