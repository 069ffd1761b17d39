"""Tables and figures of sweeps, and values at the edge of what a store keeps."""

import enum
import functools
import io
import re
import types
import typing
from pathlib import Path

import numpy as np
import pytest

import gflow
from gflow.commands.cli import main
from gflow.sweeping import failures, figure, task_rng
from gflow.sweeping.grid import tasks
from gflow.sweeping.store import Store


def fails(n, kind, rng):
    raise ValueError("always")


def test_a_table_without_records_has_the_parameters(sweep, tmp_path):
    with pytest.warns(RuntimeWarning, match="4 of 4 tasks failed"):
        table = sweep(fails, {"n": [1, 2], "kind": ["a", "bc"]})
    assert table.dtype.descr == [("n", "<i8"), ("kind", "<U2"), ("seed", "<i8")]
    assert len(table["n"]) == 0 and len(table["kind"]) == 0
    assert gflow.load_sweep(tmp_path / "s.db").dtype == table.dtype
    assert list(gflow.load_sweep(tmp_path / "s.db", "pandas")) == ["n", "kind", "seed"]
    assert dict(gflow.load_sweep(tmp_path / "s.db", "xarray").sizes) == {"seed": 0}


def test_a_dataset_is_written_to_netcdf(sweep, tmp_path):
    xarray = pytest.importorskip("xarray")
    sweep(lambda n, rng, **other: {"x": n / 2}, {"n": [1, 2], "certificate": False, "d": 3,
                                                 "scale": 0.5, "kind": "a"})
    gflow.load_sweep(tmp_path / "s.db", "xarray").to_netcdf(tmp_path / "s.nc")
    with xarray.open_dataset(tmp_path / "s.nc") as back:
        assert back["x"].values.tolist() == [[0.5], [1.0]]
        assert back.attrs == {"certificate": 0, "d": 3, "scale": 0.5, "kind": "a"}


@pytest.mark.parametrize("grid, axes, sentence", [
    ({"n": [1, 2], "kind": ["a", "b"]}, {"x": "kind"},
     "'kind' is not a number, as the horizontal axis has to be: choose one of n"),
    ({"kind": ["a", "b"]}, {"x": "kind"}, "no parameter is one"),
    ({"n": [1, 2], "kind": [None, True]}, {"x": "n", "by": "kind"}, "'kind' has values of mixed"),
])
def test_axes_that_cannot_be_drawn_are_a_sentence(sweep, grid, axes, sentence):
    table = sweep(lambda rng, **point: {"y": 1.0}, grid)
    with pytest.raises(ValueError, match=sentence):
        figure.overview(table, **axes)


GAPS = {"n": [1, 2], "k_b": [None, 1]}


def gaps(n, k_b, rng):
    return {"none": float("nan"), "far": float("inf"), "some": float(n) if k_b is None else np.nan,
            "y": -float(n)}


@pytest.mark.parametrize("ys, axes, sentence", [
    (["none"], {}, "'none' is finite in none of the 4 tasks: there is nothing to draw"),
    (["y", "far"], {}, "'far' is finite in none of the 4 tasks"),
    (["some"], {"x": "k_b"}, "'some' is finite in no task that has a value of 'k_b': choose"),
    ([], {}, "no result is named")])
def test_figures_without_a_finite_value_are_a_sentence(sweep, ys, axes, sentence):
    table = sweep(gaps, GAPS)
    with pytest.raises(ValueError, match=sentence):
        figure.overview(table, ys, **axes)
    # Nobody has asked for these.
    assert [ax.get_ylabel() for ax in figure.overview(table).axes] == ["some", "y"]
    with pytest.raises(ValueError, match="'none' is finite in none of the 4 tasks"):
        figure.overview(table[["n", "k_b", "seed", "none"]])


@pytest.mark.parametrize("values, texts", [
    ([None, 1], ["1", "None"]), ([None, 1.5, 2.0], ["1.5", "2.0", "None"]), ([1, 2], ["1", "2"]),
    ([1.0, 2.0], ["1.0", "2.0"]), (["a", None], ["(none)", "a"])])
def test_values_of_parameters_are_called_as_in_the_grid(sweep, values, texts):
    table = sweep(lambda n, k, rng: {"y": n}, {"n": [1, 2, 3, 4], "k": values})
    axes = figure.overview(table).axes[0]
    assert axes.get_xlabel() == "n"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == \
        [f"k = {text}" for text in texts]


@pytest.mark.parametrize("tiny", [1e-300, 3e-308])
def test_results_below_what_a_linear_axis_shows_are_not_0(sweep, tiny):
    axes = figure.overview(sweep(lambda n, rng: {"y": tiny}, {"n": [1, 2]})).axes[0]
    low, high = axes.get_ylim()
    assert axes.get_yscale() == "log" and 0 < low < tiny < high < 1e-290


@pytest.mark.parametrize("options, words, why", [
    (["--y", "y", "--by", "k_b"], "figure of 12 tasks written to ", ""),
    (["--x", "k_b"], "figure of 6 of 12 tasks written to ", " (the others have no value of k_b)"),
    (["--y", "some"], "figure of 6 of 12 tasks written to ",
     " (the others have no value of some)")])
def test_tasks_that_are_not_drawn_are_counted(sweep, tmp_path, capsys, options, words, why):
    sweep(gaps, {**GAPS, "n": [1, 2, 3]}, seeds=2)
    assert main(["sweep", "plot", str(tmp_path / "s.db"), *options]) == 0
    assert capsys.readouterr().out == f"{words}{tmp_path / 's.png'}{why}\n"


def test_arrays_without_axes_are_numbers():
    assert tasks({"n": np.array(3)}, np.array(2)) == tasks({"n": 3}, 2)
    assert tasks({"n": [np.array(3), np.array("a")]}) == tasks({"n": [3, "a"]})
    with pytest.raises(TypeError, match="grid is a ndarray: give a mapping"):
        tasks(np.array(3))
    with pytest.raises(TypeError, match="has a Masked"):
        tasks({"n": np.ma.masked})


@pytest.mark.parametrize("shared", [None, 5, "n", np.array("n"), (name for name in ["n"]), [1]])
def test_shared_is_a_list_of_names(shared):
    with pytest.raises(TypeError, match="^shared is .*: give a list of names of parameters$"):
        tasks({"n": [1]}, shared=shared)
    with pytest.raises(TypeError, match="^shared is .*: give a list of names of parameters$"):
        task_rng({"n": 1}, 0, shared=shared)


DATES = [np.datetime64("NaT"), np.datetime64(5, "ns"), np.timedelta64("NaT"),
         np.array(5, "m8[ns]"), np.datetime64("2020-01-01")]


@pytest.mark.parametrize("date", DATES)
def test_dates_are_kept_neither_as_numbers_nor_as_none(sweep, tmp_path, date):
    with pytest.raises(TypeError, match=r"grid\['n'\] has a date or a span of time: give"):
        tasks({"n": [date]})
    with pytest.warns(RuntimeWarning, match="1 of 1 tasks failed"):
        sweep(lambda n, rng: {"x": date}, {"n": [1]})
    assert "TypeError: run returned 'x'" in failures(tmp_path / "s.db")[0].error


@pytest.mark.parametrize("name", gflow.sweeping.__all__)
def test_type_hints_can_be_asked_for(name):
    thing = getattr(gflow.sweeping, name)
    assert typing.get_type_hints(thing) is not None


# Columns and rows ---------------------------------------------------------------------------------

def test_a_result_is_called_like_no_parameter_of_any_task(sweep, tmp_path):
    """Also of other points, and of the points that the store has from before."""
    def run(rng, n, k=None):
        return {"x": n} if k is not None else {"x": n, "k": 99}
    with pytest.warns(RuntimeWarning, match="1 of 2 tasks failed, .*'k', the name of a parameter"):
        table = sweep(run, [{"n": 1}, {"n": 2, "k": 5}])
    assert table["k"].tolist() == [5]
    with pytest.warns(RuntimeWarning, match="'k', the name of a parameter"):
        sweep(run, [{"n": 3}])
    sweep(run, [{"n": 1}], store=tmp_path / "t.db")
    before = (tmp_path / "t.db").read_bytes()
    with pytest.raises(ValueError, match="has results called 'k', which is a parameter of"):
        sweep(run, [{"n": 2, "k": 5}], store=tmp_path / "t.db")
    assert gflow.load_sweep(tmp_path / "t.db")["k"].tolist() == [99] and \
        len((tmp_path / "t.db").read_bytes()) == len(before)


def test_both_columns_of_one_name_are_read_from_stores_of_before(sweep, tmp_path, monkeypatch):
    monkeypatch.setattr("gflow.sweeping.store.Store.parameters", lambda store: [])
    sweep(lambda rng, n, k=0: {} if k else {"k": 99}, [{"n": 1}, {"n": 2, "k": 5}])
    table = gflow.load_sweep(tmp_path / "s.db")
    assert table["k"].tolist()[1] == 5 and table["k_"].tolist()[0] == 99


@pytest.mark.parametrize("later", [[1, 2, 3, 4], [4, 3, 2, 1], [3, 9, 2]])
def test_rows_are_in_the_order_of_the_grid(sweep, tmp_path, later):
    sweep(lambda n, rng: {"x": n}, {"n": [2, 4]}, seeds=[1])
    table = sweep(lambda n, rng: {"x": n}, {"n": later}, seeds=[5, 1], changed="keep")
    assert table["n"].tolist() == np.repeat(later, 2).tolist() == table["x"].tolist()
    assert table["seed"].tolist() == [5, 1] * len(later)
    assert gflow.load_sweep(tmp_path / "s.db")["n"].tolist()[:2] == [2, 4]


@pytest.mark.parametrize("value", [2**60 + 1, 2**63 - 1, -2**53 - 1, 2**53, 5])
def test_whole_numbers_are_exact_beside_gaps(sweep, tmp_path, value):
    sweep(lambda n, k, rng: {"x": value, "v": np.array([value, 1])},
          [{"n": 1, "k": 1}, {"n": 2, "k": 2}])
    cube = gflow.load_sweep(tmp_path / "s.db", "xarray")
    for name in "xv":
        assert int(cube[name].values[1, 1].ravel()[0]) == value
        assert cube[name].dtype == (float if abs(value) <= 2**53 else object)
    gap = cube["x"].values[0, 1, 0]
    assert gap is None or gap != gap


def test_columns_that_are_objects_are_those_of_the_page(sweep):
    page = (Path(__file__).parents[1] / "docs" / "sweep.md").read_text(encoding="utf-8")
    base, power, more = re.search(r"do not hold exactly\s+\((\d+)\^(\d+)( \+ 1)?, a string",
                                  page).groups()
    value = int(base)**int(power) + bool(more)
    table = sweep(lambda n, rng: {"number": value, "text": "a\0", "exact": 2**70}, {"n": [1]})
    assert table["number"].dtype == table["text"].dtype == object
    assert table["number"][0] == value and table["exact"].dtype == float


def test_only_the_arrays_that_are_wanted_are_read(sweep, monkeypatch):
    found = []
    sweep(lambda n, rng: {"x": np.full(3, n)}, {"n": [1, 2, 3]})
    arrays = Store.arrays
    monkeypatch.setattr(Store, "arrays", lambda *args: found.append(arrays(*args)) or found[-1])
    assert sweep(lambda n, rng: {"x": np.full(3, n)}, {"n": [2]}, changed="keep")["x"].tolist() == [
        [2, 2, 2]]
    assert len(found) == 1 and len(found[0]) == 1


def test_points_without_a_parameter_are_a_line_of_their_own():
    table = np.rec.fromrecords([(1.0, np.nan, 0, 5.0), (2.0, np.nan, 0, 6.0), (1.0, 3.0, 0, 7.0)],
                               names="n,k,seed,y")
    lines = figure.curves(table, "y", x="n", by="k").lines
    assert [list(line.get_ydata()) for line in lines] == [[7.0], [5.0, 6.0]]


@pytest.mark.parametrize("values, exact", [
    ([1, 1.0, 0.5], True), (["", None, "a"], True), ([1, 0.5], False), ([1, None], False),
    (["a", None], False)])
def test_different_values_of_a_parameter_are_different_in_the_table(sweep, tmp_path, values, exact):
    def run(k, n, rng):
        return {"y": 1.0, "which": repr(k)}
    table = sweep(run, {"k": values, "n": [1, 2]})
    assert (table.dtype["k"] == object) is exact
    if exact:
        assert [repr(k) for k in table["k"]] == table["which"].tolist()
    assert len(figure.curves(table, "y", x="n").lines) == (1 if exact else 2)
    with pytest.warns(RuntimeWarning, match="tasks failed"):
        failed = sweep(lambda k, n, rng: 1 / 0, {"k": values, "n": [3]},
                       store=tmp_path / "failed.db")
    assert failed.dtype["k"].kind == table.dtype["k"].kind


@pytest.mark.filterwarnings("error")
def test_a_finite_median_is_drawn_beside_infinities():
    inf = np.inf
    rows = [(1, 5, 1.0), (2, 5, 2.0), *((3, seed, y) for seed, y in enumerate([1, 1, 1, inf, inf])),
            *((4, seed, y) for seed, y in enumerate([-inf, inf])),
            *((5, seed, y) for seed, y in enumerate([1.0, 2.0, np.nan]))]
    table = np.rec.fromrecords(rows, names="n,seed,y")
    ax = figure.curves(table, "y")
    assert list(ax.lines[0].get_ydata()) == [1.0, 2.0, 1.0, -inf, 1.5]
    ax.figure.savefig(io.BytesIO())


# What a grid takes --------------------------------------------------------------------------------

class Speed(enum.StrEnum):
    FAST = "fast"


class Level(enum.IntEnum):
    HIGH = 1


class Plain(enum.Enum):
    A = 1.0


@pytest.mark.parametrize("values", [list(Speed), Level, [Plain.A], Level.HIGH, [[Speed.FAST]]])
def test_members_of_enumerations_are_refused_and_not_turned_into_what_they_are_made_of(values):
    with pytest.raises(TypeError, match=r"grid\['n'\] has (<|\[<)?.*: give its \.value or \.name$"):
        tasks({"n": values})


LOOP = []
LOOP.append(LOOP)


@pytest.mark.parametrize("grid, seeds, sentence", [
    ({"n": range(10**12)}, 1, r"grid\['n'\] has more than 10000000 entries: give fewer"),
    ({"n": range(10**30)}, 1, "more than 10000000 entries"),
    (({"n": n} for n in range(10**9)), 1, "grid has more than 10000000 entries"),
    ({"n": [1]}, range(10**12), "seeds has more than 10000000 entries"),
    ({"n": range(30_000), "k": range(30_000)}, 1, "grid has 900000000 points: give at most"),
    ({"n": range(3000)}, 10**4, "grid has 3000 points and seeds 10000 indices: give at most"),
    ({"n": [LOOP]}, 1, r"grid\['n'\] has a list in itself, or more than 100 lists"),
    ({"n": [functools.reduce(lambda inner, _: [inner], range(5000), [])]}, 1, "a list in itself"),
    ({"n": [1]}, [functools.reduce(lambda inner, _: [inner], range(5000), [])], "seeds has a list"),
])
def test_what_no_memory_holds_and_lists_without_end_are_a_sentence(monkeypatch, grid, seeds,
                                                                   sentence):
    if isinstance(grid, types.GeneratorType):
        monkeypatch.setattr("gflow.sweeping.grid.MOST", 1000)
        sentence = sentence.replace("10000000", "1000")
    with pytest.raises(ValueError, match=sentence) as caught:
        tasks(grid, seeds)
    assert len(str(caught.value)) < 300


class Object:
    def run(self, rng, **others):
        return {"x": 1}

    def __call__(this, rng, **others):
        return {"x": 1}


@pytest.mark.parametrize("run, name, sentence", [
    (Object().run, "self", "which run gets already"), (Object(), "this", "which run gets already"),
    (functools.partial(lambda a, b, rng, **k: {}, 1, 2), "b", "which run gets already"),
    (functools.partial(functools.partial(Object.run), Object()), "self", "gets already"),
    (lambda μ, rng: {}, "\u00b5", r"which Python code reads as '\\u03bc': write it so"),
    (lambda rng, μ=1, **others: {}, "\u00b5", "which Python code reads as"),
])
def test_names_that_reach_another_parameter_or_none_are_refused(run, name, sentence):
    with pytest.raises(ValueError, match=sentence):
        tasks({name: [1]}, run=run)


def test_names_that_reach_run_are_taken():
    assert tasks({"\u00b5": [1], "\u03bc": [2]}, run=lambda rng, **others: {})
    assert tasks({"self": [1], "b": [2]}, run=functools.partial(lambda a, rng, b, **k: {}, 1))
    assert tasks({"self": [1]}, run=lambda self, rng: {}) and tasks({"this": [1]}, run=Object().run)


@pytest.mark.parametrize("value", [np.zeros((1,) * 32 * (1 + (np.lib.NumpyVersion(
    np.__version__) >= "2.0.0"))), np.zeros((0, 10**10))], ids=["deep", "wide"])
def test_arrays_that_no_table_takes_are_objects_of_one(sweep, value):
    table = sweep(lambda n, rng: {"x": value}, {"n": [1]})
    assert table["x"][0].shape == value.shape


def test_arrays_with_units_are_no_results(sweep, tmp_path):
    class Metres(np.ndarray):
        unit = "m"

    class Odd(float):
        def __float__(self):
            return 99.0

    with pytest.warns(RuntimeWarning, match="as a Metres, of which only the entries would be kept"):
        sweep(lambda n, rng: {"x": np.ones(2).view(Metres)}, {"n": [1]})
    assert sweep(lambda n, rng: {"x": Odd(5.0)}, {"n": [1]},
                 store=tmp_path / "t.db")["x"].tolist() == [5.0]


def test_a_list_as_a_parameter_is_no_coordinate_and_the_sentence_says_why(sweep, tmp_path):
    pytest.importorskip("xarray")
    sweep(lambda n, rng: {"x": 1}, {"n": [[1, 2]]})
    with pytest.raises(ValueError, match="'n' has values of mixed types, lists or None"):
        gflow.load_sweep(tmp_path / "s.db", form="xarray")


def test_names_in_shared_count_once(sweep):
    def run(n, s, rng):
        return {"x": 1}
    assert sweep(run, {"n": [1], "s": [1]}, shared=["s"]).size == \
        sweep(run, {"n": [1], "s": [1]}, shared=["s", "s"]).size
