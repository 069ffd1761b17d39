"""Arrays and networks of other packages."""

import copy
import pickle
import re
from contextlib import suppress
from importlib import import_module

import numpy as np
import pytest

import gflow


class Part:
    """What is asked of a module of PyTorch, which need not be installed for this."""

    def __init__(self, *parts, **own):
        self.parts = parts
        vars(self).update(own)

    def children(self):
        return iter(self.parts)

    def modules(self):
        yield self
        for part in self.parts:
            yield from part.modules()


class ReLU(Part):
    pass


class Tanh(Part):
    pass


class Tensor:
    """A tensor that has a gradient: NumPy cannot read it as it is."""

    def __init__(self, values):
        self.values = values

    def detach(self):
        return Tensor(self.values)

    def cpu(self):
        return np.asarray(self.values)

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("call detach")


def network(activation=ReLU, **last):
    hidden = Part(weight=Tensor([[1.0, 2.0], [3.0, 4.0], [0.0, 1.0]]), bias=Tensor([0.5, 0.0, 1.0]))
    return Part(Part(hidden, activation()), Part(weight=Tensor([[1.0, -1.0, 2.0]]), **last))


def test_a_module_of_torch():
    model = gflow.TwoLayerReLU.from_torch(network(bias=None))
    assert model.a.tolist() == [1.0, -1.0, 2.0]
    assert model.W.tolist() == [[1.0, 2.0, 0.5], [3.0, 4.0, 0.0], [0.0, 1.0, 1.0]]
    for module, words in ((network(bias=Tensor([0.1])), "output bias"), (network(Tanh), "Tanh"),
                          (Part(), "Linear, ReLU and Linear")):
        with pytest.raises(ValueError, match=words):
            gflow.TwoLayerReLU.from_torch(module)
    with pytest.raises(TypeError, match="the module is 3"):
        gflow.TwoLayerReLU.from_torch(3)


@pytest.mark.parametrize("between, right", [(lambda z: np.maximum(z, 0), True), (np.tanh, False),
                                            (lambda z: z, False), (np.abs, False)])
def test_a_module_is_tried(between, right):
    class Weight(Tensor):
        def new_tensor(self, values):
            return np.array(values)

    class Called(Part):
        def __call__(self, X):
            return between(X @ np.array([[1.0, -2.0]]).T + 0.3) * 2.0

    module = Called(Part(weight=Weight([[1.0, -2.0]]), bias=Tensor([0.3])),
                    Part(weight=Weight([[2.0]]), bias=None))
    if right:
        assert gflow.TwoLayerReLU.from_torch(module).W.tolist() == [[1.0, -2.0, 0.3]]
    else:
        with pytest.raises(ValueError, match="gives other outputs than Linear, ReLU and Linear"):
            gflow.TwoLayerReLU.from_torch(module)


def test_there_and_back():
    torch = pytest.importorskip("torch")
    model = gflow.init.balanced(5, 3, 0.5)
    X = np.random.default_rng(0).standard_normal((7, 3))
    module = model.to_torch()
    np.testing.assert_allclose(module(torch.from_numpy(X)).detach().numpy()[:, 0], model(X))
    again = gflow.TwoLayerReLU.from_torch(model.to_torch(bias=True))
    assert (again.W == model.W).all() and (again.a == model.a).all()
    assert gflow.Data(torch.from_numpy(X).requires_grad_(), X[:, 0]).d == 3


def test_without_torch(monkeypatch):
    import sys
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="pip install torch"):
        gflow.init.balanced(2, 2, 1.0).to_torch()
    with pytest.raises(ValueError, match="none left"):
        gflow.init.balanced(2, 1, 1.0).to_torch(bias=True)


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_tables_as_they_are(package):
    library = pytest.importorskip(package)
    table = library.DataFrame({"x": [0.5, -1.0], "one": [1, 1], "y": [1.0, 0.0]})
    data = gflow.Data(table[["x", "one"]], table["y"])
    assert data.X.tolist() == [[0.5, 1.0], [-1.0, 1.0]] and data.y.tolist() == [1.0, 0.0]


def labelled(package, values, labels):
    """A column or a table of pandas or xarray, whose rows have these labels."""
    if package == "xarray":
        xarray = pytest.importorskip("xarray")
        return xarray.DataArray(values, dims=("row", "x")[:np.ndim(values)], coords={"row": labels})
    pandas = pytest.importorskip("pandas")
    return (pandas.Series if np.ndim(values) == 1 else pandas.DataFrame)(values, index=labels)


PACKAGES = ["pandas", "xarray"]


@pytest.mark.parametrize("points", PACKAGES)
@pytest.mark.parametrize("column", PACKAGES)
@pytest.mark.parametrize("labels, order, moved", [
    (list("abcd"), [3, 1, 2, 0], 0), ([0, 1, 2, 3], [0, 2, 1, 3], 1),
    ([2.5, 0.5, 1, 7], [0, 1, 3, 2], 2)])
def test_rows_of_other_labels_are_not_paired(points, column, labels, order, moved):
    """And what the refusal says to do pairs them."""
    X = labelled(points, [[1.0], [2.0], [3.0], [4.0]], labels)
    y = labelled(column, np.array([10.0, 20.0, 30.0, 40.0])[order], [labels[k] for k in order])
    with pytest.raises(ValueError, match=f"^row {moved} is labelled .* in X and .* in y") as caught:
        gflow.Data(X, y)
    paired, placed = re.fullmatch(r".*: give (.*), or (X.*) if .*", str(caught.value)).groups()
    assert gflow.Data(X, eval(paired)).y.tolist() == [10.0, 20.0, 30.0, 40.0]
    assert gflow.Data(*eval(placed.replace(" and ", ", "))).y[0] == 10.0 * (order[0] + 1)
    with pytest.raises(ValueError, match="is labelled"):
        gflow.integrate(([0.1], [[0.1]]), (X, y), 1.0)


@pytest.mark.parametrize("points", PACKAGES)
@pytest.mark.parametrize("column", PACKAGES)
def test_rows_that_labels_do_not_tell_apart_are_paired_by_place(points, column):
    for labels in ("ab", [1.0, np.nan], ["a", "a"], [3, 5]):
        X, y = (labelled(package, values, list(labels)) for package, values in
                ((points, [[1.0], [2.0]]), (column, [10.0, 20.0])))
        assert gflow.Data(X, y).n == gflow.Data(X, [1, 2]).n == gflow.Data([[1], [2]], y).n == 2
    X, y = labelled(points, [[1.0], [2.0]], [0, 1]), labelled(column, [1.0, 2.0], [0, 0])
    with pytest.raises(ValueError, match="^row 1 is labelled 1 in X and 0 in y: give X.to_numpy"):
        gflow.Data(X, y)


NAMES = ("size", "age")


def tables(folder, order, **options):
    """The same points from a file, and from tables of packages, with columns in this order."""
    rows = {"size": [1.0, 2.0, -1.0], "age": [0.1, -0.3, 0.5], "price": [2.0, 4.0, -2.0]}
    file = folder / "table.csv"
    file.write_text("\n".join(",".join(map(str, row)) for row in zip(*(
        [name, *rows[name]] for name in ("price", *order)))))
    yield gflow.datasets.from_csv(file, "price", **options)
    for package in ("pandas", "polars", "xarray"):
        with suppress(ImportError):
            library = import_module(package)
            X = (library.DataArray(np.transpose([rows[name] for name in order]), dims=("row", "x"),
                                   coords={"x": list(order)}) if package == "xarray" else
                 library.DataFrame({name: rows[name] for name in order}))
            yield gflow.Data(X, rows["price"], **options)


@pytest.mark.parametrize("bias", [False, True])
def test_runs_are_tested_on_the_columns_that_they_know(tmp_path, bias):
    for data in tables(tmp_path, NAMES, bias=bias):
        assert data.columns == NAMES == pickle.loads(pickle.dumps(data)).columns
        assert copy.deepcopy(data).columns == NAMES
        flow = gflow.integrate(gflow.init.balanced(3, data.d, 1.0), data, 1.0, t_eval=[0, 1],
                               method="DOP853")
        flow.save(tmp_path / "run.npz")
        for run in (flow, gflow.load(tmp_path / "run.npz"), flow.extend(2.0, t_eval=[0, 1])):
            for same in tables(tmp_path, NAMES, bias=bias):
                np.testing.assert_allclose(run.test_loss(same), run.loss, rtol=1e-12)
            for other in tables(tmp_path, NAMES[::-1], bias=bias):
                with pytest.raises(ValueError, match="^column 0 is 'age' and that of the run is 's"
                                   "ize': give the columns size, age in this order$"):
                    run.test_loss(other)
            # Arrays have no names.
            np.testing.assert_allclose(run.test_loss((data.X, data.y)), run.loss, rtol=1e-12)


def test_predictions_know_columns_too():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"size": [1.0, 2.0], "age": [0.5, 0.1]})
    start = gflow.init.balanced(3, 3, 1.0)
    for data, loss in ((gflow.Data(X, [0, 1], bias=True), "logistic"), ((X, [0.0, 1.0]), "square")):
        model = start if loss == "logistic" else gflow.init.balanced(3, 2, 1.0)
        flow = gflow.integrate(model, data, 1.0, loss=loss)
        assert flow.data.columns == NAMES and (flow.predict(X) == flow.predict(X.to_numpy())).all()
        assert not flow.data.bias or (flow.predict(X.assign(one=1)) == flow.predict(X)).all()
        with pytest.raises(ValueError, match="give the columns size, age in this order"):
            flow.predict(X[["age", "size"]])
        plain = X.rename(columns={"size": 0, "age": 1})
        assert gflow.Data(plain, [0, 1]).columns is None and len(flow.predict(plain[[1, 0]]))


@pytest.mark.parametrize("names", [
    [2019, 2020], [1.5, 2], [("a", "b"), ("c", "d")], ["1", 1], [True, "x"]])
def test_names_of_columns_that_are_no_text_are_compared(tmp_path, names):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame([[1.0, 2.0], [3.0, 5.0]], columns=pandas.Index(names))
    turned = X.iloc[:, ::-1]
    flow = gflow.integrate(gflow.init.balanced(3, 2, 0.5, rng=0), gflow.Data(X, [1.0, 2.0]), 0.1,
                           method="DOP853")
    flow.save(tmp_path / "run.npz")
    copies = pickle.loads(pickle.dumps(flow)), copy.deepcopy(flow)
    for run in (flow, gflow.load(tmp_path / "run.npz"), *copies):
        assert len(run.predict(X)) == len(run.test_loss((X, [1.0, 2.0]))) == len(run.t)
        assert len(run.predict(X.to_numpy())) == len(run.t)
        for table in (turned, X.set_axis(["u", "v"], axis=1)):
            with pytest.raises(ValueError, match="in this order$"):
                run.predict(table)
            with pytest.raises(ValueError, match="in this order$"):
                run.test_loss((table, [1.0, 2.0]))


def test_numbers_of_columns_are_names_as_a_file_has_them():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame([[1.0, 2.0], [3.0, 5.0]], columns=["2019", "2020"])
    years = X.set_axis([2019, 2020], axis=1)
    start = gflow.init.balanced(3, 2, 0.5, rng=0)
    for table, other in ((X, years), (years, X), (X, years.set_axis([2019.0, 2020.0], axis=1))):
        flow = gflow.integrate(start, (table, [1.0, 2.0]), 0.1, method="DOP853")
        assert (flow.predict(other) == flow.predict(table)).all()
        with pytest.raises(ValueError, match="give the columns 2019, 2020 in this order"):
            flow.predict(other.iloc[:, ::-1])
    # Columns of an array are numbered by their places.
    flow = gflow.integrate(start, (X.to_numpy(), [1.0, 2.0]), 0.1, method="DOP853")
    plain = pandas.DataFrame(X.to_numpy())
    assert (flow.predict(plain) == flow.predict(X)).all()
    with pytest.raises(ValueError, match="^column 0 is 1 and that of the run is 0"):
        flow.predict(plain[[1, 0]])
    flow = gflow.integrate(start, (plain[[1, 0]], [1.0, 2.0]), 0.1, method="DOP853")
    for other in (plain, plain.set_axis([0, 2], axis=1)):
        with pytest.raises(ValueError, match="give the columns 1, 0 in this order"):
            flow.predict(other)


def test_points_in_a_list_have_their_entries_in_one_order():
    pandas = pytest.importorskip("pandas")
    one, two = pandas.Series({"a": 1.0, "b": 2.0}), pandas.Series({"b": 4.0, "a": 3.0})
    with pytest.raises(ValueError, match="^points 0 and 1 of X have unlike names"):
        gflow.Data([one, two], [0, 1])
    data = gflow.Data([one, two[["a", "b"]]], [0, 1])
    assert data.columns == ("a", "b") and data.X.tolist() == [[1, 2], [3, 4]]
    flow = gflow.integrate(gflow.init.balanced(3, 2, 0.5, rng=0), data, 0.1, method="DOP853")
    for points in ([one, two], [two, two], pandas.DataFrame([two])):
        with pytest.raises(ValueError, match="unlike names|in this order$"):
            flow.predict(points)


def test_labels_go_along_the_points_of_xarray():
    xarray = pytest.importorskip("xarray")
    X = xarray.DataArray([[1.0, 2.0], [3.0, 4.0]], dims=("s", "f"))
    y = xarray.DataArray([1.0, 2.0], dims="s")
    assert gflow.Data(X, y).n == gflow.Data(X, y.rename(s="row")).n == 2
    with pytest.raises(ValueError, match="^y goes along 's', and the rows of X along 'f': give X.tr"
                                         r"anspose\('s', ...\)$"):
        gflow.Data(X.T, y)


def test_labels_of_rows_that_begin_alike_are_told_apart():
    pandas = pytest.importorskip("pandas")
    days = pandas.to_datetime(["2020-01-01", "2020-01-02"])
    X = pandas.DataFrame([[1.0], [2.0]], index=days)
    with pytest.raises(ValueError, match="labelled 2020-01-01 00:00:00 in X and 2020-01-02 00:00"):
        gflow.Data(X, pandas.Series([1.0, 2.0], index=days[::-1]))


def test_all_that_knows_columns_refuses_others():
    """Also one more column, which would be taken for that of the bias, and networks of a run."""
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"size": [1.0, 2.0], "age": [0.5, 0.1]})
    data = gflow.Data(X, [0.0, 1.0], bias=True)
    flow = gflow.integrate(gflow.init.balanced(3, 3, 1.0), data, 1.0, t_eval=[0, 1])
    turned, more = X[["age", "size"]], X.assign(three=3.0)
    path, last = flow([0.2, 0.5]), flow.model
    for table in (turned, more):
        for use in (flow.predict, path, path[0], last, last.like(last.a, last.W)):
            with pytest.raises(ValueError, match="column 0 is|stands where the network has its"):
                use(table)
        for use in (flow.test_loss, path.loss, last.loss, last.gradient):
            with pytest.raises(ValueError, match="column 0 is|stands where|the same ones"):
                use(gflow.Data(table, [0.0, 1.0], bias=len(table.columns) == 2))
    with pytest.raises(ValueError, match="the columns are size, age, three, one, and those of the "
                                         "run size, age: give the same ones"):
        last.loss(gflow.Data(more.assign(one=1.0), [0.0, 1.0]))
    assert last.loss(gflow.Data(X.assign(one=1.0), [0.0, 1.0])) == last.loss(data)
    with pytest.raises(ValueError, match=r"X\[1, 2\] = 3 stands where the network has its bias"):
        last([[1.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    plain = gflow.integrate(gflow.init.balanced(3, 3, 1.0), ([[1.0, 2.0, 3.0]], [1.0]), 1.0)
    with pytest.raises(ValueError, match="the data have a bias, and the run has none"):
        plain.test_loss(data)


def test_a_second_table_is_standardised_as_the_first(tmp_path):
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("size,age,price\n1,0.1,2\n2,-0.3,4\n3,0.2,1e9\n-1,0.5,-2\n")
    test.write_text("age,price,size\n0.2,1e9,3\n0.1,2,1\n")
    data = gflow.datasets.from_csv(train, "price", standardise=True, bias=True)
    data = pickle.loads(pickle.dumps(data))
    more = gflow.datasets.from_csv(test, "price", standardise=data, bias=True)
    assert more.columns == NAMES and (more.X == data.X[[2, 0]]).all()
    assert (more.y == data.y[[2, 0]]).all() and not data.standard.spread.flags.writeable
    # One row has no spread of its own, and needs none.
    test.write_text("size,age,price\n1,0.1,2\n")
    assert (gflow.datasets.from_csv(test, "price", standardise=more).y == data.y[0]).all()
    flow = gflow.integrate(gflow.init.balanced(3, 3, 1.0), data, 1.0, t_eval=[0, 1])
    assert flow.test_loss(more).shape == (2,)


@pytest.mark.parametrize("text, target, words", [
    ("size,price\n1,2\n", "price", "'age' is a column of one of the two only"),
    ("size,age,sex,price\n1,2,3,4\n", "price", "'sex' is a column of one of the two only"),
    ("size,age,price\n1,2,3\n", "age", "its labels are not 'age'")])
def test_a_table_of_other_columns_is_not_standardised_so(tmp_path, text, target, words):
    (tmp_path / "t.csv").write_text("size,age,price\n1,0.1,2\n2,-0.3,4\n")
    data = gflow.datasets.from_csv(tmp_path / "t.csv", "price", standardise=True)
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        gflow.datasets.from_csv(tmp_path / "t.csv", target, standardise=data)
    with pytest.raises(ValueError, match="not standardised itself"):
        gflow.datasets.from_csv(tmp_path / "t.csv", target, standardise=gflow.Data([[1]], [1]))


def test_modules_show_what_is_theirs():
    for module in (gflow.init, gflow.datasets, gflow.stop, gflow.plot):
        assert dir(module) == sorted(module.__all__)
    assert 4 <= len(gflow.init.__all__) <= 8
