"""The command line, in process."""

import argparse
import csv
import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

import gflow
import gflow.commands.demo
from gflow.commands import cli, ending, sweep
from gflow.commands.cli import main
from gflow.commands.loading import patient

ROOT = Path(gflow.__file__).parents[1]


@pytest.fixture
def diabetes(tmp_path):
    """The diabetes table of scikit-learn as a CSV file."""
    table = load_diabetes()
    path = tmp_path / "diabetes.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*table.feature_names, "progression"])
        writer.writerows(np.column_stack([table.data, table.target]))
    return path


def test_demo_gets_stuck_and_leaves_a_figure(tmp_path, capsys):
    out = tmp_path / "demo.png"
    assert main(["demo", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "0.0875213675" in printed and "0 release" in printed
    assert out.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and out.stat().st_size > 20_000


@pytest.mark.parametrize("options, third, growing", [
    ("", "and training ends stuck at loss 0.0875", True),
    ("--scale 1e-9", "and training ends stuck at loss 0.0875", True),
    ("--scale 3 --neurons 40", "and training interpolates: loss ", False),
    ("--neurons 1", "no neuron is active: loss stays 0.3100", False)])
def test_demo_says_of_its_figure_what_happened(tmp_path, capsys, monkeypatch, options, third,
                                               growing):
    titles, made = [], gflow.commands.demo.figure

    def seen(flow):
        fig = made(flow)
        titles.extend(ax.get_title() for ax in fig.axes)
        assert fig.axes[1].get_xlim()[1] >= 39
        return fig

    monkeypatch.setattr(gflow.commands.demo, "figure", seen)
    assert main(["demo", "--out", str(tmp_path / "demo.png"), *options.split()]) == 0
    printed = capsys.readouterr().out
    assert titles[2].startswith(third)
    story = ["early on, neurons only turn", "then those that aligned grow"]
    assert (titles[:2] == story) is growing
    assert " 1 neurons" not in printed and "directions  ;" not in printed


def test_demo_that_is_cut_short_ends_nothing(tmp_path):
    data = gflow.datasets.three_points()
    flow = gflow.integrate(gflow.init.balanced(60, 2, 1e-3, rng=0), data, 2.0, rtol=1e-10)
    titles = [ax.get_title() for ax in gflow.commands.demo.figure(flow).axes]
    assert titles == ["directions of the neurons", "norms of the neurons",
                      "the run was ended at loss 0.3100"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
@pytest.mark.parametrize("words", ["info nope.npz", "nope"])
def test_the_exit_code_is_the_same_if_stderr_is_full(tmp_path, words):
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "gflow", *words.split()], stderr=full,
                              cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 2


@pytest.mark.parametrize("words, message", [
    ("integrate t.csv --target y --width -3", "--width is -3: give a positive whole number"),
    ("integrate t.csv --target y --seed -1", "--seed is -1: give 0 or a positive whole number"),
    ("demo --neurons 0", "--neurons is 0: give a positive whole number"),
    ("demo --seed -1", "--seed is -1: give 0 or a positive whole number")])
def test_numbers_that_are_too_small_are_told_by_their_option(capsys, words, message):
    assert main(words.split()) == 2 and message in capsys.readouterr().err


def test_integrate_on_a_real_table(tmp_path, diabetes, capsys):
    out = tmp_path / "run.npz"
    assert main(["integrate", str(diabetes), "--target", "progression", "--standardise", "--bias",
                 "--width", "10", "--t-max", "1", "--out", str(out)]) == 0
    flow = gflow.load(out)
    assert flow.data.X.shape == (442, 11) and flow.a.shape[1] == 10 and flow.t[-1] == 1.0
    assert flow.certificate().ok and flow.loss[-1] <= flow.loss[0]
    assert "Certificate: ok" in capsys.readouterr().out


def test_integrate_with_another_loss(tmp_path, capsys):
    table, out = tmp_path / "two.csv", tmp_path / "run.npz"
    table.write_text("u,v,kind\n1,0.5,1\n0.2,1,1\n-1,-0.3,0\n")
    words = ["integrate", str(table), "--target", "kind", "--width", "12", "--out", str(out)]
    assert main([*words, "--loss", "logistic", "--t-max", "1e200"]) == 0
    flow = gflow.load(out)
    assert flow.settings["loss"] == "logistic" and flow.data.y.tolist() == [1, 1, -1]
    assert flow.t_end == 1e200 and flow.loss[-1] < 1e-200
    assert "Certificate: ok" in capsys.readouterr().out
    assert main([*words, "--loss", "hinge"]) == 2
    assert "unknown loss 'hinge': choose one of square, logistic" in capsys.readouterr().err


@pytest.mark.parametrize("arguments, sentence", [
    (["nothing.csv", "--target", "y"], "nothing.csv"),
    (["{table}", "--target", "y"], "no column 'y'"),
    (["{table}", "--target", "progression", "--width", "0"], "positive whole number"),
    (["{table}", "--target", "progression", "--method", "Euler"], "unknown method 'Euler'"),
    (["{table}", "--target", "progression", "--t-max", "-1"], "t_max = -1.0"),
    (["{table}", "--target", "progression", "--out", "missing/run.npz"], "not a directory"),
])
def test_bad_input_is_one_sentence(tmp_path, diabetes, capsys, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main(["integrate", *[a.format(table=diabetes) for a in arguments]]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.startswith("gflow: ") and error.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_an_existing_file_survives_a_failed_run(tmp_path, diabetes):
    out = tmp_path / "run.npz"
    out.write_bytes(b"precious")
    assert main(["integrate", str(diabetes), "--target", "nope", "--out", str(out)]) == 2
    assert out.read_bytes() == b"precious"


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0 and gflow.__version__ in capsys.readouterr().out


@pytest.fixture
def saved(tmp_path):
    import gflow
    flow = gflow.integrate(gflow.init.balanced(6, 2, 1e-2), gflow.datasets.three_points(), 20.0)
    flow.save(tmp_path / "run.npz")
    return tmp_path / "run.npz"


def test_info(saved, capsys):
    assert main(["info", str(saved)]) == 0
    said = capsys.readouterr().out
    assert "Flow: finished" in said and "rtol      1e-08" in said and "of 6 active" in said
    assert main(["info", str(saved.parent / "none.npz")]) == 2


def test_plot_of_a_saved_run(saved, capsys, monkeypatch):
    from PIL import Image
    assert main(["plot", str(saved)]) == 0
    assert Image.open(saved.with_suffix(".png")).size == (1472, 1152)
    for what in ("polar", "loss", "function"):
        out = saved.with_name(f"{what}.pdf")
        assert main(["plot", str(saved), "--what", what, "--time", "3", "--out", str(out)]) == 0
        assert out.stat().st_size > 1000
    monkeypatch.setattr("gflow.plot.film.FRAMES", 3)
    assert main(["plot", str(saved), "--film", "--what", "loss"]) == 0
    assert Image.open(saved.with_suffix(".gif")).n_frames == 3
    capsys.readouterr()
    for arguments, words in ((["--what", "cat"], "choose among panel"),
                             (["--time", "99"], "outside"), (["--out", "x.odd"], "ending"),
                             (["--film", "--time", "1"], "all times"),
                             (["--film", "--out", "x.png"], ".gif"),
                             (["--what", "boundary"], "two")):
        assert main(["plot", str(saved), *arguments]) == 2
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1


def test_ctrl_c_while_libraries_are_loaded(tmp_path):
    """They would make another error of it, with a page of advice."""
    # A library that does so, found before the real one.
    (tmp_path / "numba.py").write_text(
        "import os, signal\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "    for _ in range(1000): pass\n"
        "except KeyboardInterrupt:\n    raise ImportError('the C-extensions failed')\n"
        "raise SystemExit('not interrupted')\n")
    code = ("import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
            "sys.path.insert(0, sys.argv.pop(1)); from gflow.commands.cli import main; "
            "sys.exit(main())")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), "demo"], cwd=ROOT,
                          capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "gflow: interrupted\n")


def test_a_second_ctrl_c_while_libraries_are_loaded_acts_at_once():
    late = []
    with pytest.raises(KeyboardInterrupt), patient():
        signal.raise_signal(signal.SIGINT)
        late.append("loaded")
        signal.raise_signal(signal.SIGINT)
        late.append("too late")
    assert late == ["loaded"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_ctrl_c_while_a_run_is_saved_loses_nothing(tmp_path, diabetes, capsys, monkeypatch):
    save = gflow.Flow.save

    def pressed(flow, *given):
        signal.raise_signal(signal.SIGINT)
        save(flow, *given)

    monkeypatch.setattr(gflow.Flow, "save", pressed)
    out = tmp_path / "run.npz"
    assert main(["integrate", str(diabetes), "--target", "progression", "--width", "5",
                 "--t-max", "0.01", "--out", str(out)]) == 130
    monkeypatch.undo()
    assert gflow.load(out).success and "written to" in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal")
def test_a_terminal_that_is_closed_while_a_run_is_saved_loses_nothing(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n1,1\n-1,0.5\n")
    code = ("import gflow, signal, sys; from gflow.commands.cli import main\n"
            "save = gflow.Flow.save\n"
            "def closed(*given):\n"
            "    signal.raise_signal(signal.SIGHUP); signal.raise_signal(signal.SIGHUP)\n"
            "    save(*given)\n"
            "gflow.Flow.save = closed; sys.exit(main())")
    done = subprocess.run([sys.executable, "-c", code, "integrate", "t.csv", "--target", "y",
                           "--width", "2", "--t-max", "1"], cwd=tmp_path, capture_output=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == -signal.SIGHUP and gflow.load(tmp_path / "run.npz").success


def test_names_of_options_are_not_cut_short(capsys):
    with pytest.raises(SystemExit):
        main(["sweep", "threshold", "--d", "2", "--n", "4", "--m", "3"])
    assert "--m" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["integrate", "plot", "plot --film", "sweep plot"])
@pytest.mark.parametrize("link", ["none", "symbolic", "hard"])
def test_the_file_that_is_read_is_not_written_over(tmp_path, diabetes, capsys, command, link):
    file, out = tmp_path / "read.gif", tmp_path / "read.gif"
    file.write_bytes(diabetes.read_bytes())
    if command != "plot --film" and command != "integrate":
        file = out = file.rename(tmp_path / "read.png")
    if link != "none":
        out = out.with_name(f"other{out.suffix}")
        (out.symlink_to if link == "symbolic" else out.hardlink_to)(file)
    before = file.read_bytes()
    words = [*command.split(), str(file), "--out", str(out)]
    assert main([*words, *(["--target", "progression"] if command == "integrate" else [])]) == 2
    said = capsys.readouterr().err
    assert "is the file that is read" in said and said.count("\n") == 1
    assert file.read_bytes() == before and out.is_symlink() == (link == "symbolic")


@pytest.mark.parametrize("words", [
    "integrate t.csv --target y --width 1_0", "integrate t.csv --target y --t-max 1_0",
    "integrate t.csv --target y --decay 0 1_0", "demo --neurons 1_0", "plot run.npz --time 1_0"])
def test_numbers_are_read_as_in_tables(capsys, words):
    with pytest.raises(SystemExit) as end:
        main(words.split())
    assert end.value.code == 2 and "'1_0' is not a " in capsys.readouterr().err


def test_output_weights_may_be_fast(tmp_path):
    table, out = tmp_path / "t.csv", tmp_path / "run.npz"
    table.write_text("x,y\n1,1\n-1,0.5\n2,0.3\n")
    for first in ("fast", "inf"):
        assert main(["integrate", str(table), "--target", "y", "--width", "2", "--t-max", "1",
                     "--rates", first, "1", "--out", str(out)]) == 0
        assert list(gflow.load(out).settings["rates"]) == ["fast", 1.0]


def options(parser):
    """Names of all options of a parser that take a value, and the words before them."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from (([name, *words], option) for words, option in options(below))
        elif action.option_strings and action.nargs != 0:
            yield [], action.option_strings[-1]


@pytest.mark.parametrize("form", ["{0} 1 {0} 2", "{0}=1 {0} 1", "{0} 1 x y {0}=2"])
def test_no_option_is_given_twice(capsys, form):
    """The last one won, and the others were lost without a word."""
    found = [*options(cli._parser()), *((["sweep", *words], option)
                                        for words, option in options(sweep._parser()))]
    assert len(found) > 50
    for words, option in found:
        with pytest.raises(SystemExit) as end:
            main([*words, *form.format(option).split()])
        assert end.value.code == 2
        assert f"error: {option} is given twice: give it once" in capsys.readouterr().err


def test_what_says_the_same_twice_is_taken(tmp_path):
    (tmp_path / "t.csv").write_text("x,--out\n1,1\n-1,0.5\n")
    assert main(["integrate", "--bias", "--bias", "--width", "2", "--t-max", "1", "--target=--out",
                 f"--out={tmp_path / 'r.npz'}", "--", str(tmp_path / "t.csv")]) == 0


@pytest.mark.parametrize("value", ["-1e-3", "-.5E+1", "-1.", "-1e-3,1", "-5,-6", "-5:5",
                                   "-1:1:lin5", "-1_0", "-5x"])
def test_values_may_begin_with_a_minus(capsys, value):
    """What is no number is refused as such, and not taken for an option."""
    for parser, begin in ((cli._parser(), []), (sweep._parser(), ["sweep"])):
        for words, option in options(parser):
            with pytest.raises(SystemExit):
                main([*begin, *words, option, value, value, "--no-such-option"])
            assert "expected" not in capsys.readouterr().err, (words, option)


@pytest.mark.parametrize("words, sentence", [
    ("integrate t.csv --target y --t-max -1e-3", "gflow: t_max = -0.001"),
    ("sweep threshold --d 2 --n -5,-6", "n = -5"),
    ("sweep threshold --d 2 --n -5:-6", "downwards")])
def test_negative_numbers_are_refused_for_what_they_are(tmp_path, monkeypatch, capsys, words,
                                                        sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("x,y\n1,1\n-1,0.5\n")
    assert main(words.split()) in (1, 2)
    assert sentence in "".join(capsys.readouterr())


def shell(folder, line, **more):
    """What a line of a shell prints on stderr, with what ends it; gflow is `$G`."""
    done = subprocess.run(["/bin/bash", "-c", line], cwd=folder, capture_output=True, text=True,
                          env={**os.environ, "G": f"{sys.executable} -m gflow", **more,
                               "PYTHONPATH": str(ROOT)})
    return done.stderr


@pytest.mark.skipif(os.name != "posix", reason="no such shell")
@pytest.mark.parametrize("words, unbuffered", [("--help", ""), ("--version", "1"),
                                               ("sweep --help", "")])
def test_help_that_nobody_reads_is_told_as_other_output_is(tmp_path, words, unbuffered):
    more = {"PYTHONUNBUFFERED": unbuffered}
    # The reader has gone for sure when its process has ended.
    gone = f"mkfifo p; (exec 3< p) & exec 4> p; wait; $G {words} >&4; echo $? >&2"
    assert shell(tmp_path, gone, **more) == "2\n"
    if os.path.exists("/dev/full"):
        said = shell(tmp_path, f"$G {words} > /dev/full; echo $? >&2", **more)
        assert said.startswith("gflow: what is printed cannot be written (no space")
        assert said.endswith("\n2\n") and said.count("\n") == 2


@pytest.mark.skipif(os.name != "posix", reason="no such shell")
@pytest.mark.parametrize("words", ["integrate {}/t.csv --target y --width 2 --t-max 1",
                                   "sweep threshold --d 2 --n 2"])
def test_a_directory_that_is_gone_is_said_to_be(tmp_path, words):
    (tmp_path / "t.csv").write_text("x,y\n1,1\n-1,0.5\n")
    said = shell(tmp_path, f"mkdir d; cd d; rmdir ../d; $G {words.format(tmp_path)}; echo $? >&2")
    assert said.endswith("which has been deleted: change to another one\n2\n")
    assert said.startswith("gflow: ") and said.count("\n") == 2


@pytest.mark.parametrize("error, words", [
    (OSError(errno.EMFILE, "Too many open files"), "the command cannot go on (too many open"),
    (OSError(errno.EIO, "Input/output error"), "what is printed cannot be written (input/output"),
    (OSError(errno.EIO, "Input/output error", "a.db"), "a.db cannot be read or written (inp"),
    (OSError("in one sentence"), "in one sentence")])
def test_errors_of_the_system_are_told_as_what_they_are(monkeypatch, capsys, error, words):
    def fail(argv):
        raise error
    monkeypatch.setattr(cli, "_command", fail)
    monkeypatch.setattr(ending, "_print_nothing", lambda stream: None)
    assert main([]) == 2
    assert capsys.readouterr().err.startswith(f"gflow: {words}")


def test_all_pictures_are_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["plot", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert all(re.search(rf"\b{name}\b", said) for name in ("panel", *gflow.plot.NAMES))


@pytest.mark.parametrize("options, words", [
    (["--loss", "foo"], "unknown loss 'foo': choose one of square, logistic, exponential\n"),
    (["--decay", "1", "2", "3"], "but there is no bias: give --bias, or two numbers\n")])
def test_what_a_command_says_can_be_done_there(tmp_path, capsys, options, words):
    table = tmp_path / "t.csv"
    table.write_text("x,y\n1.5,2\n3,4\n")
    assert main(["integrate", str(table), "--target", "y", *options]) == 2
    assert capsys.readouterr().err.endswith(words)
