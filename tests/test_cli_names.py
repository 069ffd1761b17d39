"""Names that the command line is given: of files that are not there to be named, of columns."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import gflow
from gflow.commands.cli import main

ROOT = Path(__file__).parents[1]


def end(n: int, rng):
    return {"loss": 1.0 / n, "other": 2.0 * n}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A run, a sweep, a table, and figures that have nothing to do with them."""
    monkeypatch.chdir(tmp_path)
    gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), t_max=1.0).save("run.npz")
    gflow.sweep(end, {"n": [1, 2, 3]}, store="s.db", executor=ThreadPoolExecutor(1),
                progress=False)
    Path("t.csv").write_text("gr\u00f6\u00dfe,y\n1,2\n2,1\n-1,0.5\n", encoding="utf-8")
    for name in ("run.png", "run.gif", "s.png"):
        Path(name).write_bytes(b"precious")
    return tmp_path


@pytest.mark.parametrize("line, sentence", [
    ("plot run.npz --out ", "the name of the file is empty"),
    ("plot run.npz --film --what loss --out ", "the name of the file is empty"),
    ("plot run.npz --film --what loss --out -", "- is not taken for stdout: write /dev/stdout, or"),
    ("plot run.npz --out -", "- is not taken for stdout: write /dev/stdout, or"),
    ("sweep plot s.db --out ", "the name of the file is empty"),
    ("sweep plot s.db --out -", "- is not taken for stdout"),
    ("sweep plot s.db --y ", "'' is no result"),
    ("sweep plot s.db --y loss,", "'' is no result"),
    ("integrate t.csv --target y --out ", "the name of the file is empty"),
    ("integrate t.csv --target y --out -", "- is not taken for stdout"),
    ("demo --out -", "- is not taken for stdout"),
    ("sweep threshold --d 2 --n 2 --out -", "- is not taken for stdout"),
    ("plot pipe", "pipe is no regular file, beside which a figure could be: say with --out"),
    ("plot pipe --film", "pipe is no regular file"),
    ("sweep plot pipe", "pipe is no regular file")])
def test_names_that_are_none_change_no_file(here, capsys, line, sentence):
    if "pipe" in line:
        os.mkfifo("pipe")
    before = {path: path.is_file() and path.read_bytes() for path in here.iterdir()}
    assert main(line.split(" ")) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.startswith("gflow: ") and error.count("\n") == 1
    assert {path: path.is_file() and path.read_bytes() for path in here.iterdir()} == before


def test_names_of_results_may_have_blanks_around_them(here):
    assert main(["sweep", "plot", "s.db", "--y", " loss, other", "--out", "a.png"]) == 0
    assert Path("a.png").read_bytes()[:4] == b"\x89PNG"
    assert main(["sweep", "threshold", "--d", "2", "--n", "5", "--shared", "n, seconds ",
                 "--out", "b.db"]) == 0


@pytest.mark.skipif(os.name != "posix", reason="no such locale")
@pytest.mark.parametrize("name", ["gr\u00f6\u00dfe", "gro\u0308\u00dfe"])
def test_columns_have_their_names_in_a_locale_without_the_letters(here, name):
    more = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    words = ["integrate", "t.csv", "--target", name, "--width", "2", "--t-max", "1"]
    done = subprocess.run([sys.executable, "-m", "gflow", *words], env={**os.environ, **more},
                          capture_output=True)
    assert done.returncode == 0, done.stderr
