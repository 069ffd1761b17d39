"""What results say of themselves, and runs as tables."""

import json
import re

import numpy as np
import pandas
import pytest

import gflow

DATA = gflow.datasets.three_points()


@pytest.fixture(scope="module")
def flow():
    return gflow.integrate(gflow.init.balanced(6, 2, 0.2), DATA, 20.0, t_eval=[0.0, 1.0, 20.0])


def test_predictions_losses_residuals(flow):
    other = gflow.Data([[0.3, 1.0], [2.0, 1.0]], [0.5, -1.0])
    h = flow.predict(other.X)
    for j, t in enumerate(flow.t):
        np.testing.assert_allclose(h[j], flow(t)(other.X), rtol=1e-14)
        assert flow.test_loss(other)[j] == pytest.approx(flow(t).loss(other), rel=1e-13)
    np.testing.assert_allclose((flow.residuals**2).mean(axis=1) / 2, flow.loss, rtol=1e-12)
    assert flow.residuals.shape == (3, 3)
    with pytest.raises(ValueError, match="1 column but"):
        flow.predict([[1.0]])
    with pytest.raises(TypeError, match="data is a float"):
        flow.test_loss(1.0)


def test_a_path_is_called_sliced_and_measured(flow):
    path = flow([0.5, 1.0, 2.0])
    assert len(path[1:]) == 2 and path[1:][0].a.tolist() == flow(1.0).a.tolist()
    np.testing.assert_allclose(path(DATA.X)[2], path[2](DATA.X))
    np.testing.assert_allclose(path.loss(DATA), [model.loss(DATA) for model in path])
    np.testing.assert_allclose(path.norms[0], path[0].norms)


def test_the_gradient_is_the_derivative():
    rng = np.random.default_rng(3)
    model = gflow.TwoLayerReLU(rng.standard_normal(4), rng.standard_normal((4, 3)), log_scale=0.3)
    data = gflow.Data(rng.standard_normal((7, 3)), rng.standard_normal(7))
    found = model.gradient(data)
    plain = gflow.TwoLayerReLU(model.a * np.exp(0.3), model.W * np.exp(0.3))

    def central(index, name):
        ends = []
        for step in (1e-6, -1e-6):
            parts = {"a": plain.a.copy(), "W": plain.W.copy()}
            parts[name][index] += step
            ends.append(gflow.TwoLayerReLU(**parts).loss(data))
        return (ends[0] - ends[1]) / 2e-6

    assert found.a[2] == pytest.approx(central(2, "a"), rel=1e-7)
    assert found.W[1, 2] == pytest.approx(central((1, 2), "W"), rel=1e-7)
    # Off the boundaries the flow moves against it.
    flow = gflow.integrate(plain, data, 1e-6, t_eval=[0, 1e-6])
    np.testing.assert_allclose(np.diff(flow.a, axis=0)[0] / 1e-6, -found.a, rtol=1e-4)


def test_tables(flow):
    table = flow.to_pandas()
    assert table.shape == (18, 5) and list(table.columns) == ["a", "w_0", "w_1", "norm", "loss"]
    assert table.loc[(20.0, 3), "w_1"] == flow.W[2, 3, 1]
    assert table.loc[(1.0, 5), "loss"] == flow.loss[1]
    dataset = flow.to_xarray()
    assert dataset.W.dims == ("time", "neuron", "input")
    assert float(dataset.norms.sel(time=20.0, neuron=2)) == flow.norms[2, 2]
    assert json.loads(dataset.attrs["settings"])["t_max"] == 20.0
    events = flow.events_table()
    assert isinstance(events, pandas.DataFrame) and len(events) == len(flow.events)
    assert (events["time"] == flow.events["time"]).all() and set(events["kind"]) <= {
        "activate", "deactivate", "slide", "release"}


def test_tables_are_ones_own(flow):
    run = gflow.integrate(([0.5], [[0.3, 0.1]]), DATA, 2.0, t_eval=[0, 1, 2],
                          save=lambda state: {"mass": state.loss, "top": state.W[0]})
    for one in (flow, run):
        dataset, table, events = one.to_xarray(), one.to_pandas(), one.events_table()
        for part in dataset.data_vars.values():
            part[...] = 7.0
            part += 1.0
        for frame in (table, events):
            frame.loc[:, frame.columns[0]] = 7.0
            frame[frame.columns[-1]] += 1.0
        assert all((part == 8).all() for part in dataset.data_vars.values())
    assert run.saved["mass"].max() < 7 and flow.W.max() < 7 and flow.loss.max() < 7


def test_tables_of_what_was_kept():
    run = gflow.integrate(([0.5], [[0.3, 0.1]]), DATA, 2.0, t_eval=[0, 1, 2],
                          save=lambda state: {"mass": state.loss, "top": state.W[0]})
    assert list(run.to_pandas().columns) == ["mass", "top_0", "top_1"]
    assert run.to_xarray()["top"].dims == ("time", "top_1")
    counts = iter(range(1, 9))
    run = gflow.integrate(([0.5], [[0.3, 0.1]]), DATA, 2.0, t_eval=[0, 1, 2],
                          save=lambda state: np.ones(next(counts)))
    assert len(run.to_pandas()) == 3
    with pytest.raises(ValueError, match="value changes"):
        run.to_xarray()


def test_without_the_packages(flow, monkeypatch):
    import sys
    for name in ("pandas", "xarray"):
        monkeypatch.setitem(sys.modules, name, None)
    for table in (flow.to_pandas, flow.to_xarray, flow.events_table):
        with pytest.raises(ImportError, match=r"gflow\[tables\]"):
            table()


def test_results_show_what_was_found(flow):
    start = gflow.init.balanced(30, 2, 1e-6, rng=2)
    early = gflow.theory.early_flow(start, DATA)
    counts = [int(line.split()[0]) for line in repr(early).split("\n")[2:]]
    assert sum(counts) == (~early.dead).sum() and counts == sorted(counts)[::-1]
    extremal = gflow.theory.extremal_vectors(DATA)
    lines = repr(extremal).split("\n")
    assert len(lines) == 2 + len(extremal) and f"{extremal.value[0]:.6g}" in lines[2]
    pair = gflow.theory.two_cone_least_squares(DATA)
    assert f"{np.linalg.norm(pair.beta_plus):.6g}" in repr(pair)
    orthogonal = gflow.datasets.orthogonal()
    jumps = gflow.theory.jump_process(gflow.init.balanced(30, 2, 1e-6), orthogonal)
    assert all(f"{t:.6g}" in repr(jumps) for t in jumps.times)
    for found in (early, extremal, pair, jumps, flow):
        html = found._repr_html_()
        assert html.count("<tr>") == html.count("</tr>") > 1
        assert not re.search(r"<(?!/?[a-z])", html)


def test_long_tables_are_cut():
    rng = np.random.default_rng(0)
    data = gflow.Data(rng.standard_normal((40, 2)), rng.standard_normal(40))
    found = gflow.theory.extremal_vectors(data)
    assert len(found) > 12 or len(repr(found).split("\n")) == len(found) + 2
    from gflow.problem.tables import Table
    table = Table("t", ("k",), [(str(k),) for k in range(20)])
    assert table.text().endswith("and 8 more") and "and 8 more" in table.html()


def kept(save):
    return gflow.integrate(([0.5, 0.1], [[0.3, 0.1], [0.2, 0.2]]), DATA, 2.0, t_eval=[0, 1, 2],
                           save=save)


def test_tables_have_all_that_was_kept_with_weights():
    run = kept(["a", "W", "grad_norm", "directions", "loss"])
    table, dataset = run.to_pandas(), run.to_xarray()
    assert list(table.columns) == ["a", "w_0", "w_1", "norm", "loss", "directions_0",
                                   "directions_1", "grad_norm"]
    assert (table["grad_norm"].unstack() == run.saved["grad_norm"][:, None]).all(axis=None)
    assert table.loc[(1.0, 1), "directions_1"] == run.directions[1, 1, 1]
    assert dataset.directions.dims == ("time", "neuron", "input")
    assert (dataset.grad_norm == run.saved["grad_norm"]).all()
    twin = gflow.descend(([0.5], [[0.3, 0.1]]), DATA, 0.1, 4, save_every=2)
    assert twin.to_pandas()["step"].tolist() == twin.to_xarray().step.values.tolist() == [0, 2, 4]


def test_names_in_tables_are_not_given_twice():
    run = kept(lambda state: {"b": np.arange(2.0), "b_1": 7.0, "time": state.t + 1})
    table, dataset = run.to_pandas(), run.to_xarray()
    assert table.iloc[1].to_dict() == {"b_0": 0.0, "b_1_": 1.0, "b_1": 7.0, "time_": 2.0}
    assert table.reset_index().shape == (3, 5) and table.index.tolist() == [0.0, 1.0, 2.0]
    assert dataset.b.values[2].tolist() == [0.0, 1.0] and dataset.b_1.values[2] == 7.0
    assert dataset["time_"].values.tolist() == [1.0, 2.0, 3.0]


def test_masks_and_lists_of_indices_take_networks_from_a_path(flow):
    path = flow([0.5, 1.0, 2.0, 3.0])
    for index in ([0, 2], np.array([True, False, True, False]), [True, False, True, False]):
        some = path[index]
        assert len(some) == 2 and (some.W == path.W[[0, 2]]).all() and some.one is path.one
    assert path[np.int64(2)].a.tolist() == path[2].a.tolist() and len(path[[]]) == 0
    for index in ([True, False], [[0, 1]], "a", None, (0, 1), True, 1.0):
        with pytest.raises(IndexError, match="^a path of 4 networks has no "):
            path[index]
