"""What a change is to a sweep: ways to write code and data, seen if they change, and only then."""

import functools
import importlib
import importlib.util
import linecache
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.interpolate

from gflow.sweeping.agreement import claims
from gflow.sweeping.codec import encode
from gflow.sweeping.identity import fingerprint

RUN = "\ndef run(n, rng):\n    return {{'x': {}}}\n"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """A module of the user by its text, and others that it may need, each time anew."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(text, **others):
        for name, content in {**others, "task": text}.items():
            (tmp_path / f"{name}.py").parent.mkdir(exist_ok=True)
            (tmp_path / f"{name}.py").write_text(content)
            monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        linecache.clearcache()
        return importlib.import_module("task")

    return load


def same_and_other(load, text, **others):
    """Hashes of a text at one value, of the same two lines further down, and at another value."""
    def hashed(value, above=""):
        made = {name: content.replace("VALUE", value) for name, content in others.items()}
        return fingerprint(load(above + text.replace("VALUE", value), **made).run)
    return hashed("1"), hashed("1", "# Moved\n\n"), hashed("55")


SEEN = {
    "a global with two underscores": "__K = VALUE" + RUN.format("__K"),
    "one that looks like Python's": "__version__ = VALUE" + RUN.format("__version__"),
    "a helper with two underscores": "def __h(): return VALUE" + RUN.format("__h()"),
    "one that a helper calls":
        "def __h(): return VALUE\ndef h(): return [__h() for _ in 'a']" + RUN.format("h()"),
    "the text of the module": "'VALUE'" + RUN.format("__doc__"),
    "a class made by dataclasses":
        "import dataclasses\nC = dataclasses.make_dataclass('C', [('a', int, VALUE)])" +
        RUN.format("C().a"),
    "a class made by its metaclass":
        "import abc\nC = abc.ABCMeta('C', (), {'k': VALUE})" + RUN.format("C.k"),
    "one made by types": "import types\nC = types.new_class('C', (), {}, lambda names: "
        "names.update(f=lambda self: VALUE, __module__='types'))" + RUN.format("C().f()"),
    "an object that pickles by name":
        "class C:\n    def __init__(self, k): self.k = k\n"
        "    def __reduce__(self): return 'CONFIG'\nCONFIG = C(VALUE)" + RUN.format("CONFIG.k"),
    "one with slots": "class C:\n    __slots__ = 'k'\n    def __reduce__(self): return 'CONFIG'\n"
        "CONFIG = C()\nCONFIG.k = VALUE" + RUN.format("CONFIG.k"),
    "curried": "import toolz\n@toolz.curry\ndef h(a, b): return VALUE" + RUN.format("h(1)(2)"),
    "curried, an argument":
        "import toolz\n@toolz.curry\ndef h(a, b): return b\ng = h(VALUE)" + RUN.format("g(2)"),
    "cached on the disk": "import joblib\n@joblib.Memory('cache', verbose=0).cache\n"
        "def h(): return VALUE" + RUN.format("h()"),
    "delayed": "import dask\n@dask.delayed\ndef h(): return VALUE" + RUN.format("h().compute()"),
    "a stencil": "import numba, numpy as np\n@numba.stencil\ndef h(a): return a[0] + VALUE" +
        RUN.format("h(np.ones(3))[1]"),
    "its border": "import numba, numpy as np\n@numba.stencil(cval=VALUE)\n"
        "def h(a): return a[1]" + RUN.format("h(np.ones(3))[2]"),
    "a list of Numba": "import numba\nL = numba.typed.List([VALUE])" + RUN.format("L[0]"),
    "a compiled class": "import numba\nfrom numba.experimental import jitclass\n"
        "@jitclass([('k', numba.int64)])\nclass C:\n    def __init__(self):\n"
        "        self.k = VALUE" + RUN.format("C().k"),
    "a field of one": "import numba\nfrom numba.experimental import jitclass\n"
        "@jitclass([('k', numba.int64 if VALUE == 1 else numba.float64)])\nclass C:\n"
        "    def __init__(self): self.k = 1" + RUN.format("C().k"),
    "colours that were written over": "import matplotlib.pyplot as plt\n"
        "c = plt.get_cmap('viridis').copy()\nc(0.5)\nc._lut[:, -1] = VALUE / 100" +
        RUN.format("c(0.5)[3]"),
    "a cached property that was set": "import functools\nclass C:\n    @functools.cached_property\n"
        "    def k(self): return 1\nO = C()\nO.k = VALUE" + RUN.format("O.k"),
    "metadata of a field":
        "from dataclasses import dataclass, field, fields\n@dataclass\nclass C:\n"
        "    a: int = field(default=1, metadata={'k': VALUE})" +
        RUN.format("fields(C)[0].metadata['k']"),
    "an annotated field":
        "from typing import Annotated, get_type_hints as g\nclass C:\n"
        "    a: Annotated[int, VALUE]" +
        RUN.format("g(C, include_extras=True)['a'].__metadata__[0]"),
    "an annotation as a text":
        "from __future__ import annotations\nfrom typing import Annotated\n"
        "class C:\n    a: Annotated[int, VALUE]" + RUN.format("C.__annotations__"),
    "annotations that are asked for":
        "import typing\nclass C:\n    a: [int, float][VALUE > 1]" +
        RUN.format("[kind(1) for kind in typing.get_type_hints(C).values()]"),
    "the text of a class": "class C:\n    'VALUE'" + RUN.format("C.__doc__"),
    "an attribute of an option": "import enum\nclass E(enum.Enum):\n    A = 1\n"
        "for e in E: e.k = VALUE" + RUN.format("[e.k for e in E]"),
    "what a pattern takes": "class C:\n    __match_args__ = ('b', 'a')[VALUE > 1],\n"
        "    a, b = 1, 2\ndef h(c):\n    match c:\n        case C(x): return x" +
        RUN.format("h(C())"),
    "an attribute of a cached function": "import functools\n@functools.cache\n"
        "def h(): return h.k\nh.k = VALUE" + RUN.format("h()"),
    "the class of what cannot be pickled": "class C:\n    def __getstate__(self): 1 / 0\n"
        "    def k(self): return VALUE\nO = C()" + RUN.format("O.k()"),
    "what that holds": "import threading\nclass C(threading.local):\n    pass\n"
        "O = C()\nO.k = VALUE" + RUN.format("O.k"),
    "types that a function was compiled for": "import numba\n"
        "f = numba.njit(('f4(f4)', 'f8(f8)')[VALUE > 1])(lambda x: x / 3)" + RUN.format("f(1.)"),
    "types of a ufunc": "import numba\n"
        "f = numba.vectorize([('f4(f4)', 'f8(f8)')[VALUE > 1]])(lambda x: x / 3)" +
        RUN.format("f(1.)"),
    "types of a callback": "import numba\n"
        "f = numba.cfunc(('f4(f4)', 'f8(f8)')[VALUE > 1])(lambda x: x / 3)" +
        RUN.format("f.ctypes(1.)"),
    "what a ufunc begins with": "import numpy as np\ndef g(a, b): return a + b\n"
        "f = np.frompyfunc(g, 2, 1, identity=VALUE)" + RUN.format("f.reduce([], initial=None)"),
    "an attribute of an array": "import numpy as np\nclass U(np.ndarray): pass\n"
        "X = np.ones(3).view(U)\nX.unit = VALUE" + RUN.format("X.sum() * X.unit"),
    "what an array says of its type": "import numpy as np\n"
        "X = np.ones(3, np.dtype('f8', metadata={'k': VALUE}))" +
        RUN.format("X.dtype.metadata['k']"),
    "a variable of a context": "import contextvars\n"
        "C = contextvars.ContextVar('C', default=VALUE)" + RUN.format("C.get()"),
    "a way to pack": "import struct\nS = struct.Struct(('<d', '<f')[VALUE > 1])" +
        RUN.format("S.size"),
    "a view of memory": "M = memoryview(b'VALUE')" + RUN.format("bytes(M)"),
    "a weak reference": "import weakref\nclass C: pass\nO = C()\nO.k = VALUE\n"
        "R = weakref.ref(O)" + RUN.format("R().k"),
    "what a thread has": "import threading\nL = threading.local()\nL.k = VALUE" +
        RUN.format("L.k"),
    "digits of decimal numbers": "import decimal\nC = decimal.Context(prec=VALUE)" +
        RUN.format("C.divide(1, 3)"),
    "functions of one name, exchanged":
        "import one, two\nF = [one.f, two.f][VALUE > 1]\ndef h(): return one.f(), two.f()" +
        RUN.format("(F(), h())"),
    "what they call":
        "import one, two\nF = [one.calls, two.calls][VALUE > 1]\n"
        "def h(): return one.calls(), two.calls()" + RUN.format("(F(), h())"),
    "classes of one name":
        "import one, two\nF = [one.K(), two.K()][::-1 if VALUE > 1 else 1]\n"
        "def h(): return one.K, two.K" + RUN.format("(F, h())"),
    "a comparison": "import functools\ndef f(a, b): return VALUE * (a - b)\n"
        "K = functools.cmp_to_key(f)" + RUN.format("sorted([1, 2], key=K)"),
    "a view of a mapping": "D = {1: VALUE}\nV = D.values()" + RUN.format("list(V)"),
    "an attribute of a date": "import datetime\nclass D(datetime.date): pass\n"
        "O = D(2020, 1, 1)\nO.k = VALUE" + RUN.format("O.k"),
    "a module of a package by its name": "import importlib\ndef run(n, rng):\n"
        "    return {'x': importlib.import_module('pk.later').K}\n",
    "one by its place in the package": "import importlib\ndef run(n, rng):\n"
        "    return {'x': importlib.import_module('.later', 'pk').K}\n",
    "one of a list": "def run(n, rng):\n"
        "    return {'x': [__import__('pk', fromlist=[name]).later.K for name in ('later',)]}\n",
    "a module by its name":
        "import importlib\ndef run(n, rng): return {'x': importlib.import_module('late').K}\n",
    "globals by name": "V = VALUE" + RUN.format("globals()['V']"),
    "a flag": "import enum\nclass F(enum.Flag):\n    A = 1\n    B = 1 + VALUE\n" +
        RUN.format("(F.A | F.B).value"),
}


@pytest.fixture(autouse=True)
def packages(request):
    for name in ("toolz", "joblib", "dask", "pandas", "sklearn"):
        if name in str(request.node.callspec.params if hasattr(request.node, "callspec") else ""):
            pytest.importorskip(name)


OTHERS = {
    "late": "K = VALUE", "pk/later": "K = VALUE", "pk/__init__": "",
    "one": "K = 1\ndef f(): return 1\ndef calls(): return f()\nclass K: pass\n",
    "two": "K = 2\ndef f(): return 2\ndef calls(): return f()\nclass K: k = 2\n"}


@pytest.mark.parametrize("text", SEEN.values(), ids=SEEN)
def test_it_is_seen_if_it_changes_and_only_then(load, text):
    one, moved, other = same_and_other(load, text, **OTHERS)
    assert one == moved != other


ALIASES = {
    "by its name": "import config" + RUN.format("config.SCALE"),
    "another name": "import config\ndef run(n, rng):\n    c = config\n    return {'x': c.SCALE}\n",
    "an argument": "import config\ndef h(c): return c.SCALE" + RUN.format("h(config)"),
    "a default": "import config\ndef run(n, rng, c=config): return {'x': c.SCALE}\n",
    "a class": "import config\nclass C: c = config" + RUN.format("C.c.SCALE"),
    "a mapping": "import config\nM = {1: config}" + RUN.format("M[1].SCALE"),
    "a text": "import config" + RUN.format("getattr(config, 'SCALE')"),
    "imported inside": "def run(n, rng):\n    import config\n    return {'x': config.SCALE}\n",
    "its name imported inside":
        "def run(n, rng):\n    from config import SCALE\n    return {'x': SCALE}\n",
}


@pytest.mark.parametrize("text", ALIASES.values(), ids=ALIASES)
def test_what_is_set_in_a_module_counts_however_it_is_read(load, monkeypatch, text):
    config = "SCALE = 1\nOTHER = 1\nimport time\nSTART = time.time()\n"
    run = load(text, config=config).run
    importlib.import_module("config")
    before = fingerprint(run)
    assert ("config", "SCALE") in [thing[:2] for thing in claims(run).things]
    monkeypatch.setattr("config.OTHER", 2)
    monkeypatch.setattr("config.START", 2.0)
    assert fingerprint(run) == before
    monkeypatch.setattr("config.SCALE", 2)
    assert fingerprint(run) != before and run(1, None) == {"x": 2}


@pytest.mark.parametrize("where", ["archive", "finder", "finder, loaded"])
def test_what_run_imports_may_stand_in_an_archive_or_be_found_by_a_hook(load, tmp_path, monkeypatch,
                                                                        where):
    """As in packages that are installed to be edited."""
    found = {}

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return found.get(name)

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    hashed = []
    for value in "12":
        place = tmp_path / f"place{value}"
        place.mkdir()
        if where == "archive":
            with zipfile.ZipFile(place / "lib.zip", "w") as archive:
                archive.writestr("helper.py", f"K = {value}")
            monkeypatch.syspath_prepend(place / "lib.zip")
        else:
            (place / "helper.py").write_text(f"K = {value}")
            found["helper"] = importlib.util.spec_from_file_location("helper", place / "helper.py")
        run = load("def run(n, rng):\n    import helper\n    return {'x': helper.K}\n").run
        monkeypatch.delitem(sys.modules, "helper", raising=False)
        if where.endswith("loaded"):
            assert run(1, None) == {"x": int(value)}
        hashed.append(fingerprint(run))
    assert hashed[0] != hashed[1]


PLUG = "CONSTANT = VALUE\ndef helper():\n    return VALUE\nclass C:\n    k = VALUE\n"
BY_FILE = """
import importlib.util
spec = importlib.util.spec_from_file_location("NAME", "plug.py")
plug = importlib.util.module_from_spec(spec)
spec.loader.exec_module(plug)
"""
LOADED = {
    "spec": BY_FILE, "of an installed name": BY_FILE.replace("NAME", "pytest"),
    "runpy": "import runpy, types\nplug = types.SimpleNamespace(**runpy.run_path('plug.py'))\n",
    "exec": "import types\nplug = types.ModuleType('plug')\n"
            "exec(open('plug.py').read(), vars(plug))\n",
    "exec, listed": "import sys, types\nplug = sys.modules['NAME'] = types.ModuleType('NAME')\n"
                    "exec(open('plug.py').read(), vars(plug))\n",
    "from a folder": "import folder.plug as plug\n",
}


@pytest.mark.parametrize("use", ["helper()", "plug.helper()", "C.k", "plug.CONSTANT"])
@pytest.mark.parametrize("how", LOADED.values(), ids=LOADED)
def test_code_that_was_loaded_otherwise_than_by_import_is_the_users(load, tmp_path, how, use):
    (tmp_path / "folder").mkdir()
    hashes = []
    for value in ("1", "1", "55"):
        for place in ("plug.py", "folder/plug.py"):
            (tmp_path / place).write_text(PLUG.replace("VALUE", value))
        for name in ("folder.plug", "folder"):
            sys.modules.pop(name, None)
        hashes.append(fingerprint(load(how + "helper, C = plug.helper, plug.C" +
                                       RUN.format(use)).run))
        sys.modules.pop("NAME", None)
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_module_loaded_by_its_file_counts_as_a_value(load):
    hashes = [fingerprint(load(BY_FILE + RUN.format("getattr(plug, 'CONSTANT')"),
                               plug=PLUG.replace("VALUE", value)).run) for value in "115"]
    assert hashes[0] == hashes[1] != hashes[2]


def test_what_python_notes_in_a_module_is_no_data(load):
    text = "class C:\n    a: int = 1\n    def f(self): return __name__, __file__" + \
        RUN.format("C().f()")
    one = fingerprint(load(text).run)
    module = load(text + "b: str = ''\n")
    module.__file__ = "elsewhere"
    assert fingerprint(module.run) == one


def test_texts_and_annotations_that_nobody_asks_for_are_no_data(load):
    text = "class C:\n    'A'\n    a: int = 1" + RUN.format("C.a")
    one = fingerprint(load(text).run)
    assert fingerprint(load(text.replace("'A'", "'B'").replace("int", "float")).run) == one


LARGE = {
    "list": "D = list(range(3000))\nD[7] = VALUE" + RUN.format("D[7]"),
    "mapping": "D = {k: str(k) for k in range(2000)}\nD[7] = VALUE" + RUN.format("D[7]"),
    "set": "D = {k for k in range(3000) if k != 54 + VALUE}" + RUN.format("len(D)"),
    "texts": "D = [str(k) for k in range(3000)]\nD[7] = 'VALUE'" + RUN.format("D[7]"),
}


@pytest.fixture
def little(monkeypatch):
    """What is much is less."""
    monkeypatch.setattr("gflow.sweeping.hashes.LARGE", 1000, raising=False)
    monkeypatch.setattr("gflow.sweeping.values.MOST", 1500)


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_of_many_plain_values_each_is_seen(load, little, text):
    one, moved, other = same_and_other(load, text)
    assert one == moved != other


DEEP = {
    "a chain":
        "class C:\n    def __init__(self, c): self.c = c\nc = None\n"
        "for k in range(2000): c = C(c)",
    "mappings": "c = None\nfor k in range(2000): c = {'a': c}",
    "too many": "c = [[] for _ in range(1600)]",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_what_is_too_much_to_look_at_is_named_in_a_warning(load, little, text):
    with pytest.warns(RuntimeWarning, match=r"reads .* \(c\), and changes there are not") as said:
        fingerprint(load(text + RUN.format("c")).run)
    assert len(said) == 1 and "\n" not in str(said[0].message)


def test_a_large_mapping_and_a_large_set_are_the_same_in_any_order(load, little):
    texts = (f"D = dict.fromkeys({keys}, 'a')\nS = set({keys})" + RUN.format("(D, S)")
             for keys in ("range(1200)", "reversed(range(1200))"))
    assert len({fingerprint(load(text).run) for text in texts}) == 1


USED = {
    "a cached property":
        "import functools\nclass C:\n    @functools.cached_property\n"
        "    def k(self): return 1\nO = C()" + RUN.format("O.k"),
    "flags":
        "import enum\nclass F(enum.Flag):\n    A = 1\n    B = 2" +
        RUN.format("(F.A | F.B).value + (~F.A).value"),
    "a protocol":
        "from typing import Protocol, runtime_checkable\n@runtime_checkable\n"
        "class P(Protocol):\n    def f(self): return 1\nclass C(P): pass" +
        RUN.format("isinstance(n, P) + C().f()"),
    "dates": "import pandas\nP = pandas.Series([1., 2], pandas.date_range('2020', periods=2))" +
        RUN.format("P['2020-01-01']"),
    "a sparse matrix": "import scipy.sparse as s\n"
        "P = s.coo_array(([1., 2], ([0, 1], [1, 0])))" + RUN.format("P.sum_duplicates()"),
    "colours": "import matplotlib.pyplot as plt\nc = plt.get_cmap('viridis').copy()" +
        RUN.format("c(0.5)[0]"),
    "triangles": "from scipy.spatial import Delaunay\nP = Delaunay([[0., 0], [1, 0], [0, 1]])" +
        RUN.format("[P.vertex_neighbor_vertices, P.vertex_to_simplex, P.find_simplex([[.1, .1]])]"),
    "neighbours": "from sklearn.neighbors import KNeighborsRegressor\n"
        "Q = KNeighborsRegressor(2, algorithm='kd_tree').fit([[1], [2], [3]], [1, 2, 3])" +
        RUN.format("Q.predict([[1.]])[0]"),
    "curried": "import toolz\n@toolz.curry\ndef h(a, b): return a" + RUN.format("h(1)(2)"),
    "cached on the disk": SEEN["cached on the disk"].replace("VALUE", "1"),
    "a text in memory": "import io\nS = io.StringIO('a')" + RUN.format("S.getvalue()"),
    "decimal numbers": SEEN["digits of decimal numbers"].replace("VALUE", "5"),
    "a norm of colours": "import matplotlib.colors\nN = matplotlib.colors.Normalize(0, 1)" +
        RUN.format("N(0.5)"),
    "a box": "from matplotlib.transforms import Bbox\nB = Bbox([[0, 0], [1, 1]])" +
        RUN.format("B.get_points()"),
    "a distribution": "import scipy.stats\nN = scipy.stats.Normal(mu=1., sigma=2.)" +
        RUN.format("[N.mean(), N.cdf(1.), N.moment(2)]"),
    "errors of NumPy": "import numpy as np\nE = np.errstate(all='ignore')\ndef run(n, rng):\n"
        "    E.__enter__()\n    return {'x': 1}\n",
    "a ufunc": "import numba\nf = numba.vectorize(lambda x: x / 3)" + RUN.format("f(1.)"),
    "a compiled function": "import numba\nf = numba.njit(lambda x: x / 3)" + RUN.format("f(1.)"),
    "a stencil": SEEN["a stencil"].replace("VALUE", "1"),
    "a compiled class": SEEN["a compiled class"].replace("VALUE", "1"),
}


@pytest.mark.parametrize("text", USED.values(), ids=USED)
def test_what_is_noted_on_first_use_is_no_change(load, text):
    module = load(text)
    one = fingerprint(module.run)
    module.run(1, None)
    assert fingerprint(module.run) == one


UNFILLED = {
    "a spline": lambda x: scipy.interpolate.UnivariateSpline(x, np.sin(9 * x), s=0.05),
    "one through all points": lambda x: scipy.interpolate.InterpolatedUnivariateSpline(x, x**2),
    "extended precision": lambda x: x.astype(np.longdouble),
    "of complex numbers": lambda x: x.astype(np.clongdouble)[::-1],
}


@pytest.mark.parametrize("make", UNFILLED.values(), ids=UNFILLED)
def test_what_was_in_memory_before_is_no_data(make):
    found = set()
    for byte in (0, 255):
        # What is freed is what comes next, of one size.
        old = [np.full(size, byte, np.uint8) for size in range(1, 1000) for _ in range(8)]
        del old
        made = make(np.linspace(0, 1, 20))
        found.add(fingerprint(functools.partial(print, made)))
        if isinstance(made, np.ndarray):
            raw = made.copy()
            raw.view(np.uint8).reshape(-1, raw.dtype.alignment)[:, 10:] = byte
            found.add(fingerprint(functools.partial(print, raw)))
            assert encode({"x": made}) == encode({"x": raw})
    assert len(found) == 1


@pytest.mark.parametrize("text", ["import mine.NAME as m" + RUN.format("m.F"),
                                  "from mine.NAME import F as f" + RUN.format("f"),
                                  "from mine.NAME import F as f\nL = [f]" + RUN.format("L")])
def test_a_compiled_module_counts_by_its_file(load, tmp_path, monkeypatch, text):
    library = importlib.util.find_spec("_bisect")
    if not library.has_location:
        pytest.skip("it is in the interpreter here")
    (tmp_path / "mine").mkdir()
    hashes = []
    for end in (b"", b"", b"built anew"):
        file = tmp_path / "mine" / Path(library.origin).name
        file.unlink(missing_ok=True)
        file.write_bytes(Path(library.origin).read_bytes() + end)
        for name in ("mine._bisect", "mine"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        hashes.append(fingerprint(load(text.replace("NAME", "_bisect").replace(
            "F", "bisect_left")).run))
    assert hashes[0] == hashes[1] != hashes[2]


INSIDE = """def run(n, rng):
    try:
        y = 1.0 / (n - 1)
        z = 1.0 / (n - 2)
    except ZeroDivisionError:
        z = -1.0
    return {'z': z}
"""
BEHIND = """def run(n, rng):
    try:
        y = 1.0 / (n - 1)
    except ZeroDivisionError:
        z = -1.0
    else:
        z = 1.0 / (n - 2)
    return {'z': z}
"""


def test_code_is_told_apart_by_what_handles_its_errors(load, tmp_path):
    made = []
    for text in (INSIDE, BEHIND):
        exec(text, names := {"__name__": "__main__"})
        made.append(names["run"])
    assert made[0].__code__.co_consts == made[1].__code__.co_consts
    assert fingerprint(made[0]) != fingerprint(made[1])
    # One that was loaded before its file changed is not what the file says now.
    run = load(INSIDE).run
    before = fingerprint(run)
    (tmp_path / "task.py").write_text(BEHIND)
    linecache.clearcache()
    assert fingerprint(run) != fingerprint(load(BEHIND).run) != before
