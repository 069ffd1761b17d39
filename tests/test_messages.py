"""Messages stay short and on one line, whatever comes in; and what is hidden is not read."""

import csv
import warnings
from collections import deque

import numpy as np
import pandas as pd
import pytest

import gflow
from gflow.commands.cli import main
from gflow.problem.words import cut, listed, short

ONE = ([1.0], [[0.5]])
POINT = ([[1.0]], [2.0])


class Shy:
    """Has no words."""

    def __repr__(self):
        raise RuntimeError("no words")


HUGE = ["a" * 34_000, "x\n" * 9000, 10**5000, -(10**5000), np.arange(900.0).reshape(30, 30), Shy(),
        list(range(9000)), {i: i for i in range(9000)}, np.zeros(3, dtype=[(f"f{i}", "f8")
                                                                           for i in range(999)])]


@pytest.mark.parametrize("value", HUGE, ids=range(len(HUGE)))
def test_messages_are_short(value, tmp_path):
    calls = [
        lambda: gflow.integrate(ONE, POINT, value), lambda: gflow.integrate(value, POINT, 1.0),
        lambda: gflow.integrate(ONE, value, 1.0),
        lambda: gflow.integrate((value, ONE[1]), POINT, 1),
        lambda: gflow.integrate(ONE, (POINT[0], value), 1.0),
        lambda: gflow.integrate(ONE, POINT, 1.0, method=value),
        lambda: gflow.integrate(ONE, POINT, 1.0, rtol=value),
        lambda: gflow.integrate(ONE, POINT, 1.0, stop=value),
        lambda: gflow.integrate(ONE, POINT, 1.0, stop=lambda state: [value]),
        lambda: gflow.integrate(ONE, POINT, 1.0, save=value),
        lambda: gflow.integrate(ONE, POINT, 1.0, save=lambda state: value if value is not HUGE[4]
                                and value is not HUGE[6] else Shy()),
        lambda: gflow.init.balanced(2, 2, value),
        lambda: gflow.init.balanced(2, 2, 1.0, scaling=value), lambda: gflow.Data(value, [1.0]),
        lambda: gflow.TwoLayerReLU([1.0], value), lambda: gflow.stop.loss_below(value),
        lambda: gflow.datasets.from_csv(value, "y"),
        lambda: gflow.datasets.from_csv(str(tmp_path / "none"), value),
        lambda: gflow.descend(ONE, POINT, 0.1, 2, optimizer=value)]
    if value is not HUGE[2]:        # a limit and a seed like any other
        calls += [lambda: gflow.integrate(ONE, POINT, 1.0, max_events=value),
                  lambda: gflow.init.balanced(2, 2, 1.0, rng=value)]
    for call in calls:
        with pytest.raises((TypeError, ValueError, OSError)) as caught:
            call()
        assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)


def test_commands_do_not_repeat_what_is_long(capsys, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(",".join(f"c{k}" for k in range(5000)) + "\n" + ",".join(["1"] * 5000) + "\n")
    long = "z" * 34_000
    for arguments in (["integrate", path, "--target", "tarket"],
                      ["integrate", path, "--target", long],
                      ["integrate", path, "--target", "c1", "--out", long],
                      ["integrate", long, "--target", "c1"], ["demo", "--neurons", long],
                      ["demo", "--out", long], ["sweep", "threshold", "--d", long],
                      ["sweep", "status", long], [long]):
        try:
            code = main([str(word) for word in arguments])
        except SystemExit as end:
            code = end.code
        error = capsys.readouterr().err
        assert code == 2 and 0 < len(error.partition("gflow: error")[2] or error) < 2500


def test_words():
    assert short("price") == "'price'" and short(0.1) == "0.1" and short(None) == "None"
    assert short("a" * 999) == short("a" * 999)[:81] and "..." in short("a" * 999)
    assert short(Shy()).startswith("a Shy") or "Shy" in short(Shy())
    assert cut("a\tb\n c\0\ud800") == "a b c\\x00\\ud800"
    assert listed("abc", 2) == "a, b and 1 more"


# Times that pass an end by rounding

@pytest.mark.parametrize("t_max, times", [
    (70.0, np.logspace(-2, np.log10(70.0), 5)), (0.3, np.cumsum([0.1] * 3)),
    (0.1, np.linspace(0, 0.1, 5, dtype=np.float32)), (0.3, [0.1 + 0.2]),
    (1.0, np.arange(1, 11) * 0.1 * (1 + 4e-16)), (1.0, [-1e-17, 1.0]), (0.7, np.arange(8) * 0.1)])
def test_rounding_of_times(t_max, times):
    flow = gflow.integrate(ONE, POINT, t_max, t_eval=times)
    assert flow.t.size == len(times) and 0 <= flow.t[0] and flow.t[-1] <= t_max
    np.testing.assert_allclose(flow.t, times, rtol=1e-6, atol=1e-12)
    saved = gflow.integrate(ONE, POINT, t_max, t_eval=times, save=["loss"])
    assert saved.saved["loss"].size == len(times)
    assert (flow(times).W == flow.W).all()
    assert (flow.pattern(np.nextafter(flow.t_end, 9.0)) == flow.pattern(flow.t_end)).all()


@pytest.mark.parametrize("times", [[0.5, 1.0 + 1e-9], [-1e-9, 0.5], [1.0 + 2e-16, 1.0 + 4e-16],
                                   [np.nextafter(1.0, 2.0), 1.0 + 1e-15]])
def test_more_than_rounding_is_refused_with_all_digits(times):
    with pytest.raises(ValueError, match="t_eval reaches") as caught:
        gflow.integrate(ONE, POINT, 1.0, t_eval=times)
    assert repr(float(times[-1])) in str(caught.value)


# Missing values

HIDDEN = np.ma.array([[1.0, -9999.0], [3.0, 4.0]], mask=[[0, 1], [0, 0]])


class Gives:
    """An object that NumPy reads by ``__array__``."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


@pytest.mark.parametrize("X", [
    HIDDEN, list(HIDDEN), tuple(HIDDEN), Gives(HIDDEN), [Gives(part) for part in HIDDEN],
    deque([HIDDEN[0], [3.0, 4.0]]),
    pd.DataFrame({"a": [1, None], "b": [2, 3]}, dtype="Int64"),
    pd.DataFrame({"a": [1.0, None], "b": [2.0, 3.0]}), [[1.0, np.ma.masked], [3.0, 4.0]],
    pd.DataFrame({"a": [1.0, pd.NA], "b": [2.0, 3.0]}), pd.DataFrame({"a": ["1", "2"]}),
    [[1.0, None], [3.0, 4.0]]])
def test_missing_values_are_refused(X):
    for use in (lambda: gflow.Data(X, [1.0, 2.0]), lambda: gflow.TwoLayerReLU([1.0, 1.0], X),
                lambda: gflow.TwoLayerReLU([1.0], [[0.0, -1.0]])(X)):
        with warnings.catch_warnings():
            # NumPy warns of a masked number in a list, and makes NaN of it.
            warnings.simplefilter("error")
            with pytest.raises((TypeError, ValueError), match="^[XW] (has|is masked)"):
                use()


HIDDEN_NUMBER, DURATION = np.ma.array(3.0, mask=True), np.timedelta64(3)


@pytest.mark.parametrize("name, value", [
    ("t_max", HIDDEN_NUMBER), ("t_max", DURATION), ("t_max", np.timedelta64(3, "s")),
    ("every", HIDDEN_NUMBER), ("decay", np.ma.masked), ("max_events", DURATION),
    ("threads", DURATION), ("rates", (np.ma.masked, 1)), ("rates", (pd.NA, 1)),
    ("rates", (DURATION, 1))])
def test_hidden_numbers_and_durations_are_no_numbers(name, value):
    with pytest.raises(TypeError, match=rf"^{name}(\[0\])? is .*: give "):
        gflow.integrate(ONE, POINT, **{"t_max": 1.0, name: value})


@pytest.mark.parametrize("name", ["m", "d", "scale", "rng"])
def test_durations_draw_no_start(name):
    with pytest.raises(TypeError, match=rf"^{name} is .*: give "):
        gflow.init.balanced(**{"m": 3, "d": 2, "scale": 1.0, name: DURATION})


def test_what_hides_nothing_is_taken():
    right = gflow.Data([[1.0, 2.0], [3.0, 4.0]], [1.0, 2.0]).X
    for X in (np.ma.array(right), np.ma.array(right, mask=np.zeros((2, 2), dtype=bool)),
              list(np.ma.array(right)), Gives(np.ma.array(right)), deque(map(Gives, right)),
              pd.DataFrame(right).convert_dtypes(),
              pd.DataFrame(right, dtype="Float64"), pd.DataFrame(right.astype(int), dtype="Int64")):
        data = gflow.Data(X, pd.Series([1, 2], dtype="Int8"))
        assert (data.X == right).all() and type(data.X) is np.ndarray


def test_what_numpy_cannot_read():
    import scipy.sparse

    class Elsewhere:
        def __array__(self, *args, **options):
            raise RuntimeError("on another device")
    for X, words in ((Elsewhere(), "on another device"), (scipy.sparse.eye(2), "toarray")):
        with pytest.raises(TypeError, match=words):
            gflow.Data(X, [1.0, 2.0])


# Tables

def read(tmp_path, text, target="y"):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return gflow.datasets.from_csv(path, target)


@pytest.mark.parametrize("text, shape", [
    ("length, m\tmass, kg\ty\n1\t2\t3\n2\t1\t0\n", (2, 2)),
    ("length, m;mass, kg;y\n1;2;3\n2;1;0\n", (2, 2)),
    ('"a;b";"c;d",y\n1,2\n', (1, 1)), ('"a\nb",y\n1,2\n', (1, 1)), ("a;b,y\n1,2\n", (1, 1)),
    (",".join(f"G{k:06d}" for k in range(25_000)) + ",y\n" + ",".join(["1"] * 25_001), (1, 25_000)),
    ("x" * 200_000 + ",y\n1,2\n", (1, 1)), ("x,y\n+1.,.5\n-1E-3,2e+10\n 7 ,\t8\n", (3, 1))])
def test_tables_that_are_read(tmp_path, text, shape):
    limit = csv.field_size_limit()
    assert read(tmp_path, text).X.shape == shape and csv.field_size_limit() == limit


@pytest.mark.parametrize("field", ["1_000", "2020_01", "0x10", "１２", "1e400", "1e-400", "1d5", "٣",
                                   "infinity", "1 2", "1+1", "True", "--1", "½", "1.5.2"])
def test_what_is_not_read_as_a_number(tmp_path, field):
    with pytest.raises(ValueError, match="column 'x', line 3 of .* has ") as caught:
        read(tmp_path, f"x,y\n1,2\n{field},2\n")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text, words", [
    ("x,y,\n1,2,\n", "column 3 .* no name"), ("# made by\nx,y\n1,2\n", "line 2 .* 2 fields"),
    ('x,y\n1,"2\n3,4\n', "line"), ("x,y\n1,2\n3\0,4\n", "zero bytes"),
    ("a" * 99_999 + ",y\n" + "q" * 99_999 + ",2\n", "not a number"), ("x,y\n1,2,3\n", "3 fields")])
def test_tables_that_are_refused(tmp_path, text, words):
    with pytest.raises(ValueError, match=words) as caught:
        read(tmp_path, text)
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)


def test_standardising_large_and_small_units(tmp_path):
    (tmp_path / "t.csv").write_text("x,z,y\n1e300,1e-300,1\n3e300,3e-300,2\n-1e300,0,4\n")
    data = gflow.datasets.from_csv(tmp_path / "t.csv", "y", standardise=True)
    np.testing.assert_allclose([data.X.mean(axis=0), data.X.std(axis=0)], [[0, 0], [1, 1]],
                               atol=1e-14)


def test_who_shrinks_beyond_doubles_is_told_what_helps():
    model, data = ([0.3, -0.2], [[0.3, 0.1], [-0.2, 0.1]]), ([[1.0, 0.3], [0.4, 1.0]], [1.0, -1.2])
    flow = gflow.integrate(model, data, 3000.0, decay=(1.0, 2.0), method="DOP853")
    # The fast engine has logarithms, but not two decays.
    assert flow.status == "step_too_small" and "give all layers one decay" in flow.message
    assert 0 < flow.norms[-1].min() < 1e-250 and flow.certificate(50).ok


def test_two_classes_in_words_are_told_what_to_do():
    words = ["cat", "dog", "cat"]
    with pytest.raises(TypeError, match="of two classes make -1 and 1") as refusal:
        gflow.Data(np.eye(3), words)
    # What it says works.
    hint = str(refusal.value).partition("such as ")[2]
    assert eval(hint, {"np": np, "y": words}).tolist() == [-1.0, 1.0, -1.0]
    for other in (["1.5", "2.5", "3.5"], [1.0, "x", 2.0]):
        with pytest.raises(TypeError) as refusal:
            gflow.Data(np.eye(3), other)
        assert "classes" not in str(refusal.value)


ONES = [
    (lambda: gflow.Data([[1.0]], [1.0, 2.0]), "X has 1 row but y has 2 entries"),
    (lambda: gflow.Data([[1.0], [2.0]], [1.0]), "X has 2 rows but y has 1 entry"),
    (lambda: gflow.TwoLayerReLU([1.0, 2.0], [[1.0]]), "a has 2 entries but W has 1 row"),
    (lambda: gflow.TwoLayerReLU([1.0], [[1.0]], [0.0, 0.0]), "2 entries for 1 neuron"),
    (lambda: gflow.datasets.linear_teacher(5, 2, beta=[1.0]), "beta has 1 entry but"),
]


@pytest.mark.parametrize("call, words", ONES, ids=range(len(ONES)))
def test_one_thing_is_one(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_time_that_was_not_reached_is_named():
    run = gflow.integrate(ONE, POINT, 5.0)
    for ask in (run, run.pattern):
        with pytest.raises(ValueError, match=r"^t = -1\.0 is outside \[0, 5\.0\]"):
            ask(-1)
    assert "took 1 step" == gflow.descend(ONE, POINT, lr=0.1, steps=1).message


def test_what_there_is_one_of_or_none_in_reports(tmp_path, capsys):
    run = gflow.integrate(ONE, POINT, 5.0, check=True)
    assert "0 events for 0" in repr(run.checked)
    shown = repr(run.certificate())
    assert "0 of 0 events" in shown and "one event moved" not in shown
    edge = gflow.integrate(([1.0], [[0.3, 0.1]]), ([[1.0, -2.0], [0.5, 1.0]], [1.0, -2.0]), 5.0)
    assert len(edge.events) and "one event moved in 0%" in repr(edge.certificate())
    store = str(tmp_path / "one.db")
    sweep = ["sweep", "threshold", "--d", "0", "--n", "5", "--workers", "1", "--out", store]
    assert main(sweep) == 1
    assert "threshold, 1 task, root seed 0" in capsys.readouterr().out
    stuck = gflow.integrate(([0.5], [[0.3, 0.1]]), ([[1.0, 1.0], [0.5, 1.0]], [1.0, -2.0]), 50.0)
    assert repr(stuck.verdict().escapes).startswith("Escapes(1 direction, ")


def squared(n, rng):
    return {"y": n * n}


@pytest.mark.parametrize("value", [HUGE[1], HUGE[4], Shy(), pd.Series([1.0]), pd.NA],
                         ids=["text", "array", "shy", "series", "missing"])
@pytest.mark.parametrize("name", ["changed", "shared", "seeds", "rng", "store", "form", "loss"])
def test_messages_of_sweeps_are_short(value, name, tmp_path):
    path = str(tmp_path / "s.db")
    with pytest.raises((TypeError, ValueError, OSError)) as caught:
        if name == "form":
            gflow.load_sweep(path, value)
        elif name == "loss":
            gflow.integrate(ONE, POINT, 1.0, loss=value)
        else:
            gflow.sweep(squared, {"n": [1]}, **{"store": path, "progress": False, name: value})
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)
    assert "truth value" not in str(caught.value) and "ambiguous" not in str(caught.value)


def test_a_shared_name_that_is_none_is_told_which_there_are(tmp_path):
    with pytest.raises(ValueError, match="^shared has 'm', .*: choose among n$"):
        gflow.sweep(squared, {"n": [1]}, store=str(tmp_path / "s.db"), shared=["m"])
