"""Tables and figures of sweeps, and values at the edge of what a store keeps."""

import typing

import numpy as np
import pytest

import gflow
from gflow.sweeping import failures, figure, task_rng
from gflow.sweeping.grid import tasks


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
