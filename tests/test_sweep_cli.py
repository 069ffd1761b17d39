"""``gflow sweep`` in process, and its ranges."""

import inspect
import io

import numpy as np
import pytest

import gflow
from gflow.commands.cli import main
from gflow.sweeping import task_rng
from gflow.commands.ranges import parse
from gflow.sweeping.grid import tasks
from gflow.sweeping.store import Store


@pytest.mark.parametrize("text, kind, values", [
    ("2:5", int, [2, 3, 4, 5]), ("10:31:10", int, [10, 20, 30]), ("1,2,2,5:6", int, [1, 2, 5, 6]),
    ("0:0.3:0.1", float, [0.0, 0.1, 0.2, 0.3]), ("0:1:lin3", float, [0.0, 0.5, 1.0]),
    ("1e-4:1:log5", float, [1e-4, 1e-3, 1e-2, 0.1, 1.0]), ("-1:1", int, [-1, 0, 1]),
    ("1:10:log12", int, [1, 2, 3, 4, 5, 7, 8, 10]), ("true,false", bool, [True, False]),
    ("gd,adam", str, ["gd", "adam"])])
def test_ranges(text, kind, values):
    assert parse(text, kind) == values and all(type(v) is kind for v in parse(text, kind))


@pytest.mark.parametrize("text, kind, sentence", [
    ("8:2", int, "downwards"), ("1:2:3:4", int, "colons"), ("1:2", float, "how many"),
    ("0:10:log3", int, "must be positive"), ("1:5:log1", int, "2 or more"), ("1:5:0", int, "step"),
    ("a:5", int, "not a whole number"), ("1.5", int, "not a whole number"),
    ("", int, "not a whole number"), ("x", float, "not a number"),
    ("nan", float, "finite"), ("yes", bool, "true or false"),
    ("0:1:1e-320", float, "at most"), ("1:5:cub3", int, "not a whole number"),
    ("2020_01", int, "not a whole number"), ("1_000.5", float, "not a number"),
    ("\uff11\uff12", int, "not a whole number"), ("\u0661", float, "not a number"),
    ("1:5:lin\uff13", int, "not a whole number"), ("0x10", int, "not a whole number"),
    ("1\u00a02", int, "not a whole number"), ("Infinity", float, "finite"),
    ("1e400", float, "finite"), ("-1e308:1e308:lin5", float, "too wide"),
    ("9" * 5000, int, r"up to 2\*\*53"), ("1:" + "9" * 400, int, r"up to 2\*\*53"),
    ("x" * 5000, int, "not a whole number"), ("1:5:lin" + "9" * 5000, int, "not a whole number")])
def test_bad_ranges(text, kind, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        parse(text, kind)
    assert len(str(caught.value)) < 300


def test_ends_of_a_range_are_what_was_written():
    assert parse("0.12345678901234:1:lin3", float)[0] == 0.12345678901234
    assert parse("9007199254740991", int) == parse("0" * 5000 + "9007199254740991", int)


def test_threshold_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["sweep", "threshold", "--d", "2:3", "--n", "4:40:log2", "--seeds", "2", "--width",
                 "10", "--t-max", "20", "--noise", "0.5", "--workers", "2"]
    assert main(arguments) == 0 and main(arguments) == 0
    assert "done       8" in capsys.readouterr().out
    table = gflow.load_sweep("threshold.db")
    assert len(table) == 8 and table["certified"].all()
    assert (table["train_loss"][table["n"] == 40] > 0.05).all()
    names = table.dtype.names[:table.dtype.names.index("seed")]
    params = {name: table[name][1].item() for name in names}
    alone = gflow.experiments.threshold(**params, rng=task_rng(params, seed=1))
    assert params["n"] == 4
    for name in alone:
        np.testing.assert_array_equal(table[name][1], alone[name])
    assert main(["sweep", "status", "threshold.db"]) == 0
    assert "complete" in capsys.readouterr().out
    with pytest.raises(ValueError, match="store of a sweep"):
        gflow.load("threshold.db")
    assert main(["sweep", "plot", "threshold.db"]) == 0
    assert main(["sweep", "plot", "threshold.db", "--y", "events,interpolated", "--by", "d",
                 "--out", "b.png"]) == 0
    assert main(["sweep", "plot", "threshold.db", "--figure", "diagram", "--out", "c.png"]) == 0
    assert main(["sweep", "plot", "threshold.db", "--figure", "cat"]) == 2
    assert "choose one of threshold, diagram" in capsys.readouterr().err
    for name in ("threshold.png", "b.png", "c.png"):
        assert (tmp_path / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_help_says_what_parameters_are(capsys):
    with pytest.raises(SystemExit):
        main(["sweep", "published", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert 'One of "reduced", "full". Published width and time, or less. (str, ' in text
    assert "--seconds VALUES Wall time after which to give up. (float, default: 3600.0)" in text


def test_a_terminal_without_the_letters_of_a_file_name(tmp_path, monkeypatch):
    with Store(tmp_path / "\u00e9\udcff.db") as store:
        store.begin(tasks({"n": [1]}), {}, "")
        store.end()
    terminal = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr("sys.stdout", terminal)
    assert main(["sweep", "status", str(tmp_path / "\u00e9\udcff.db")]) == 0
    terminal.flush()
    assert rb"\xe9\udcff.db: " in terminal.buffer.getvalue()


@pytest.mark.parametrize("option", ["--seeds", "--workers", "--rng"])
def test_options_are_numbers_as_people_write_them(option, capsys):
    with pytest.raises(SystemExit):
        main(["sweep", "threshold", "--d", "2", "--n", "5", option, "2020_01"])
    assert "'2020_01' is not a whole number: give digits only" in capsys.readouterr().err


@pytest.mark.parametrize("arguments, sentence", [
    (["threshold", "--d", "2", "--n", "50:5"], "--n '50:5' runs downwards"),
    (["threshold", "--d", "2", "--n", "5", "--seeds", "0"], "seeds is 0"),
    (["threshold", "--d", "2", "--n", "2_0"], "--n '2_0': '2_0' is not a whole number"),
    (["threshold", "--d", "2", "--n", "5", "--out", "no/s.db"], "not a directory"),
    (["threshold", "--d", "2", "--n", "5", "--scheduler", "tcp:/1"], "no address of a scheduler"),
    (["published", "--name", "W1", "--out", ""], "store is ''"),
    (["published", "--name", "W1,W99"], "--name 'W99' is unknown: choose among W1, W2"),
    (["published", "--size", "huge"], "--size 'huge' is unknown: choose among full, reduced"),
    (["alignment", "--data", "mnist"], "--data 'mnist' is unknown: choose among three_points"),
    (["threshold_trainings", "--d", "2", "--n", "3", "--training", "sgd"], "--training 'sgd' is"),
    (["status", "no.db"], "there is no store"), (["plot", "no.db"], "there is no store"),
])
def test_bad_commands_are_one_sentence(tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.startswith("gflow: ") and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_may_be_chosen_is_what_experiments_take():
    for name, experiment in gflow.experiments.REGISTRY.items():
        parameters = inspect.signature(experiment.run).parameters
        texts = [p.name for p in parameters.values() if p.annotation in ("str", str)]
        assert sorted(texts) == sorted(experiment.choices), name
        for text, known in experiment.choices.items():
            assert parameters[text].default in known


def test_the_exit_code_is_of_this_call_and_names_of_experiments_are_free(
        tmp_path, monkeypatch, capsys, sweep):
    monkeypatch.chdir(tmp_path)
    common = ["threshold", "--n", "4", "--width", "3", "--t-max", "1", "--workers", "1"]
    assert main(["sweep", *common, "--d", "0"]) == 1
    assert main(["sweep", *common, "--d", "2"]) == 0
    assert "failed     1" in capsys.readouterr().out

    def threshold(n, rng):
        return {"x": n}

    sweep(threshold, {"n": [1, 2]}, store="own.db")
    assert main(["sweep", "plot", "own.db"]) == 0
