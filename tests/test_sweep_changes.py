"""What a change is to a sweep: ways to write code and data, seen if they change, and only then."""

import importlib
import linecache
import sys

import pytest

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
}


@pytest.mark.parametrize("text", SEEN.values(), ids=SEEN)
def test_it_is_seen_if_it_changes_and_only_then(load, text):
    one, moved, other = same_and_other(load, text)
    assert one == moved != other


def test_what_python_notes_in_a_module_is_no_data(load):
    text = "class C:\n    a: int = 1\n    def f(self): return __name__, __file__" + \
        RUN.format("C().f()")
    one = fingerprint(load(text).run)
    module = load(text + "b: str = ''\n")
    module.__file__ = "elsewhere"
    assert fingerprint(module.run) == one
