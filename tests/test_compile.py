"""Compiled kernels on disk: on a tiny package with the project's own `jit` and `store`."""

import ast
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit, types
from numba.core.errors import TypingError

import gflow
from gflow.kernels import store
from gflow.kernels.drafts import KernelCompiler, forward, remembered

KERNELS = Path(gflow.__file__).parent / "kernels"
INNER = """from .jit import leaf

@leaf
def inner(x):
    return {factor} * x
"""
OUTER = """from .inner import inner
from .jit import kernel

@kernel
def outer(x):
    return inner(x) + 1.0
"""
CODE = ("from tiny.outer import outer; value = outer(2.0); stats = outer.alone.stats; "
        "print(value, sum(stats.cache_hits.values()))")


@pytest.fixture
def tiny(tmp_path):
    package = tmp_path / "tiny"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in ("announce.py", "jit.py", "drafts.py", "store.py"):
        (package / name).write_bytes((KERNELS / name).read_bytes())
    (package / "inner.py").write_text(INNER.format(factor=3.0))
    (package / "outer.py").write_text(OUTER)
    return package


def run(package, code=CODE, **environment):
    """What the tiny kernel returns in a new process, and whether it was found on disk."""
    kept = {name: value for name, value in os.environ.items()
            if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    done = subprocess.run([sys.executable, "-B", "-W", "error::RuntimeWarning", "-c", code],
                          capture_output=True, text=True, cwd=package.parent, timeout=300,
                          env={**kept, "PYTHONPATH": str(package.parent), **environment})
    assert done.returncode == 0, done.stderr
    value, hits = done.stdout.split()
    return float(value), int(hits)


def files(package):
    return sorted(package.rglob("*.nb[ic]"))


def test_an_edit_of_what_is_inlined_is_seen(tiny):
    assert run(tiny) == (7.0, 0)
    assert run(tiny) == (7.0, 1)
    before = files(tiny)
    # The other file, the one of the kernel that is kept, is as it was; lines move too.
    (tiny / "inner.py").write_text("\n\n" + INNER.format(factor=5.0))
    assert run(tiny) == (11.0, 0)
    assert run(tiny) == (11.0, 1)
    # In the same place: nothing piles up.
    assert files(tiny) == before and len(before) == 2


@pytest.mark.parametrize("file, text, after", [
    ("inner.py", INNER.format(factor=5.0), 11.0),
    ("outer.py", OUTER.replace("+ 1.0", "+ 2.0"), 8.0)])
def test_an_edit_between_loading_and_compiling_is_not_taken_for_what_was_compiled(
        tiny, file, text, after):
    # A notebook has done its imports; the package is brought up to date; then the first call.
    code = CODE.replace("; value", f"; open('tiny/{file}', 'w').write({text!r}); value")
    assert run(tiny, code) == (7.0, 0)
    assert run(tiny) == (after, 0) and run(tiny) == (after, 1)


def test_files_of_unlike_levels_of_optimisation_are_apart(tiny):
    """Each is compiled once: without its docstring a function is other bytecode."""
    (tiny / "outer.py").write_text(OUTER.replace("    return", '    """Text."""\n    return'))
    for hits in (0, 1):
        for level in ("", "2"):
            assert run(tiny, PYTHONOPTIMIZE=level) == (7.0, hits)
    edited = OUTER.replace("    return", '    """Other."""\n    return').replace("1.0", "2.0")
    files = sorted(path.name for path in tiny.rglob("*.nbc"))
    (tiny / "outer.py").write_text(edited)
    for level in ("", "2"):
        assert run(tiny, PYTHONOPTIMIZE=level) == (8.0, 0)
    # Files of before are replaced.
    assert len(files) == 2 and sorted(path.name for path in tiny.rglob("*.nbc")) == files


def test_files_of_unlike_processors_are_apart(tiny):
    assert run(tiny) == (7.0, 0)
    assert run(tiny, NUMBA_CPU_NAME="generic") == (7.0, 0)
    index, *data = sorted(files(tiny), key=lambda file: file.suffix != ".nbi")
    assert len(data) == 2
    # As if two processes had begun at once, each with an index of its own alone.
    data[0].write_bytes(data[1].read_bytes())
    assert run(tiny)[1] + run(tiny, NUMBA_CPU_NAME="generic")[1] == 1
    assert run(tiny)[1] + run(tiny, NUMBA_CPU_NAME="generic")[1] == 2


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:len(data) // 2],
                                    lambda data: bytes(len(data)),
                                    lambda data: data[:-40] + bytes([data[-40] ^ 1]) + data[-39:]])
def test_damaged_files_are_compiled_again(tiny, damage):
    assert run(tiny) == (7.0, 0)
    for suffixes in (".nbi", ".nbc", (".nbi", ".nbc")):
        for file in files(tiny):
            if file.name.endswith(suffixes):
                file.write_bytes(damage(file.read_bytes()))
        assert run(tiny) == (7.0, 0)
    assert run(tiny) == (7.0, 1)


def test_nothing_can_be_written_but_temporary_files(tiny, tmp_path):
    # Files in place of folders: not even the superuser can write into them.
    (tiny / "__pycache__").touch()
    home = tmp_path / "home"
    home.touch()
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()

    def at(name):
        return run(tiny, HOME=str(home), TMPDIR=str(tmp_path / name))

    assert at("a") == (7.0, 0) and at("a") == (7.0, 1)
    private, = (tmp_path / "a").glob("gflow-kernels-*")
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    # A folder that others can write into may hold anything: it is not used.
    (tmp_path / "b" / private.name).mkdir()
    (tmp_path / "b" / private.name).chmod(0o777)
    assert at("b") == (7.0, 0) and at("b") == (7.0, 0) and not files(tmp_path / "b")
    (tmp_path / "c" / private.name).symlink_to(private)
    assert at("c") == (7.0, 0) and at("c") == (7.0, 0)


@pytest.mark.parametrize("file, text", [
    ("drafts.py", "from numba.core.compiler import NoSuchThing\n"),
    ("drafts.py", "from numba.core.compiler import CompilerBase\n\n"
                  "class DraftCompiler(CompilerBase):\n    pass\n"),
    ("drafts.py", "from contextlib import nullcontext as remembered\n"
                  "from contextlib import nullcontext as forward\n"
                  "from numba.core.compiler import CompilerBase\n\n"
                  "class DraftCompiler(CompilerBase):\n    pass\n\n"
                  "KernelCompiler = DraftCompiler\n"),
    ("store.py", "from numba.core.caching import NoSuchThing\n"),
    ("store.py", "def folder(function):\n    raise AttributeError\n\nKernelCache = None\n")])
def test_another_numba_does_it_its_own_way(tiny, file, text):
    (tiny / file).write_text(text)
    assert run(tiny) == (7.0, 0)
    assert run(tiny) == (7.0, 1)


@pytest.mark.parametrize("name", ["NoSuchLocator", "InTreeCacheLocator"])
def test_locators_of_numba_do_not_matter(tiny, name):
    assert run(tiny, NUMBA_CACHE_LOCATOR_CLASSES=name) == (7.0, 0)
    (tiny / "inner.py").write_text(INNER.format(factor=5.0))
    assert run(tiny, NUMBA_CACHE_LOCATOR_CLASSES=name) == (11.0, 0)


def mixed(x, n):
    total, count = 0, n // 2
    for j in range(x.size):
        count += x[j] > n or j == 1
        total += x[j] ** 2 + abs(x[j]) / np.sqrt(n) - (x[j] if j % 2 else n) + 7 // (j + 2)
        x[j] = count * j / n
    return total, count, x[:2] + n, [j * n for j in range(3)]


@pytest.mark.parametrize("kind, n", [(float, 3), (np.float32, 3.0), (np.int64, np.float32(3.0))])
def test_types_that_are_found_once_are_those_that_numba_finds(n, kind):
    usual = njit(error_model="numpy")(mixed)
    ours = njit(error_model="numpy", pipeline_class=KernelCompiler)(mixed)
    wanted = usual(np.arange(4).astype(kind), n)
    with remembered():
        # What was found for others is no answer for these.
        njit(pipeline_class=KernelCompiler)(mixed)(np.arange(4.0), 2)
        found = ours(np.arange(4).astype(kind), n)
    assert "get_call_type" not in vars(types.Function)
    assert usual.nopython_signatures == ours.nopython_signatures
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_numba_is_left_as_it_was_if_compiling_fails():
    with pytest.raises(TypingError), remembered():
        njit(pipeline_class=KernelCompiler)(mixed)("letters", 2)
    assert "get_call_type" not in vars(types.Function)


def last(x):
    return x[-1] + x[:-1].sum()


def test_only_kernels_count_from_the_start():
    with forward():
        assert njit(last)(np.arange(4.0)) == 6.0
    for file in sorted(KERNELS.glob("*.py")):
        compiled = [function for function in ast.walk(ast.parse(file.read_text()))
                    if isinstance(function, ast.FunctionDef) and any(
                        getattr(mark, "id", "") in ("kernel", "leaf", "maker", "summed")
                        for mark in function.decorator_list)]
        for part in (part for function in compiled for part in ast.walk(function)):
            if isinstance(part, ast.Subscript):
                assert not any(isinstance(index, ast.UnaryOp) for index in ast.walk(part.slice)), (
                    f"{file.name}, line {part.lineno}")


def test_ctrl_c_leaves_nothing_half_written(tmp_path, monkeypatch):
    target = tmp_path / "kept.nbc"
    target.write_bytes(b"before")

    def pressed(*names):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", pressed)
    with pytest.raises(KeyboardInterrupt):
        store._Files(str(tmp_path), "kept", ())._write(str(target), {})
    assert target.read_bytes() == b"before" and list(tmp_path.iterdir()) == [target]


DOORS = """
import sys, types
from numba.core import event
from tiny.outer import outer
now = [0.0]

class Timer:
    def __init__(self, wait, say):
        self.wait, self.say = wait, say
    def start(self):
        self.at = now[0] + self.wait
    def cancel(self):
        if now[0] >= self.at:
            self.say()

announce = sys.modules["tiny.announce"]
announce.threading = types.SimpleNamespace(Timer=Timer)
announce.time = types.SimpleNamespace(monotonic=lambda: now[0])
announce.announcer._ended = 0.0

def compiling(seconds, module="tiny.outer", within=()):
    function = types.SimpleNamespace(__module__=module)
    data = {"dispatcher": types.SimpleNamespace(py_func=function)}
    with event.trigger_event("numba:compile", data):
        for inner in within:
            compiling(*inner)
        now[0] += seconds

SCRIPT
outer(2.0)
"""


@pytest.mark.parametrize("script, said", [
    # Kernels of one door after the other, and one within another.
    ("for _ in range(30): compiling(0.25, within=[(0.25,)])", 1),
    # Loaded from disk, or compiled at once.
    ("compiling(1.9)", 0),
    # Somebody else's.
    ("compiling(60.0, module='numba.stencils')", 0),
    # Another door, a while later.
    ("compiling(30.0); compiling(1.0); now[0] += 60; compiling(12.0)", 2),
    ("compiling(1.5); now[0] += 60; compiling(1.5)", 0),
    # A closed terminal.
    ("sys.stderr.close(); compiling(30.0); sys.stderr = None; now[0] += 60; compiling(3.0)", 0),
    # No thread to be had.
    ("Timer.start = lambda self: (_ for _ in ()).throw(RuntimeError()); "
     "Timer.cancel = lambda self: None; compiling(30.0)", 0),
    # A stream that can only be written to.
    ("sys.stderr = types.SimpleNamespace(write=lambda text: None); compiling(30.0); "
     "sys.stderr = sys.__stderr__", 0)])
def test_whoever_waits_is_told_once(tiny, script, said):
    done = subprocess.run([sys.executable, "-B", "-c", DOORS.replace("SCRIPT", script)],
                          capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(tiny.parent)})
    assert done.returncode == 0 and done.stderr.count("compiling") == said, done.stderr


@pytest.mark.slow
def test_no_kernel_reads_outside_its_arrays(tmp_path):
    """Indices below 0 included: all tests of what is computed, with bounds looked at."""
    names = ("kernels", "jumps", "references", "settings", "extremes", "endless", "choices",
             "invariants", "rest", "waveform", "reduced", "early_flow", "extremal", "exact")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-x",
                           *(str(Path(__file__).with_name(f"test_{name}.py")) for name in names)],
                          capture_output=True, text=True, cwd=KERNELS.parents[1],
                          env={**os.environ, "NUMBA_BOUNDSCHECK": "1",
                               "NUMBA_CACHE_DIR": str(tmp_path)})
    assert done.returncode == 0, done.stdout


def test_kernels_give_back_what_they_take():
    code = """if True:
        import gc
        import gflow
        from numba.core.runtime import rtsys

        model = gflow.init.balanced(20, 3, 0.1, rng=0)
        data = gflow.datasets.linear_teacher(8, 3, rng=0)
        for method in "waveform", "DOP853":
            for _ in range(2):
                gflow.integrate(model, data, 5.0, method=method)
                gc.collect()
                counts = rtsys.get_allocation_stats()
                print(counts.alloc, counts.free)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          timeout=300, env={**os.environ, "NUMBA_NRT_STATS": "1"})
    assert done.returncode == 0, done.stderr
    taken, given = np.array(done.stdout.split(), dtype=int).reshape(4, 2).T
    assert (taken == given).all() and (np.diff(taken) > 0).all()
