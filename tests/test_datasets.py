"""Data sets: published numbers, the laws of the random ones, and reading files."""

import argparse
import time
import unicodedata

import numpy as np
import pytest
from scipy import stats

from gflow import datasets
from gflow.commands.parser import number
from gflow.problem.data import Data
from gflow.init import balanced, unbalanced
from gflow.problem.network import TwoLayerReLU


def early_direction(data):
    return data.y @ data.X / data.n


def least_squares_loss(data):
    beta = np.linalg.lstsq(data.X, data.y, rcond=None)[0]
    return np.mean((data.X @ beta - data.y) ** 2) / 2


def test_three_points():
    data = datasets.three_points()
    np.testing.assert_allclose(early_direction(data), [-0.25833, 0.66667], atol=5e-6)
    assert np.linalg.norm(early_direction(data)) == pytest.approx(0.714969, abs=5e-7)
    assert least_squares_loss(data) == pytest.approx(0.08752136752, abs=5e-12)


def test_five_points():
    data = datasets.five_points()
    np.testing.assert_array_equal(data.X, [[-1.5, 1], [-1, 1], [0, 1], [0.25, 1], [2, 1]])
    np.testing.assert_array_equal(data.y, [0.7, -0.3, -0.3, 0.4, 0.2])


def test_orthogonal_toy():
    data = datasets.orthogonal()
    assert data.X[0] @ data.X[1] == 0
    grown = [np.linalg.norm((data.y * on) @ data.X / 2) for on in (data.y > 0, data.y < 0)]
    np.testing.assert_allclose(grown, [1.1180, 0.5590], atol=5e-5)


def test_orthogonal_random():
    data = datasets.orthogonal(8, 11)
    gram = data.X @ data.X.T
    norms = np.sqrt(np.diag(gram))
    np.testing.assert_allclose(gram, np.diag(norms ** 2), atol=1e-14)
    for size in (norms, np.abs(data.y)):
        assert (1 <= size).all() and (size <= 2).all() and np.unique(size).size == 8
    assert {-1.0, 1.0} == set(np.sign(data.y))
    assert datasets.orthogonal(5).X.shape == (5, 5)


def test_stewart():
    data = datasets.stewart()
    x = data.X[:, 0]
    assert data.X.shape == (40, 2) and (data.X[:, 1] == 1).all() and (np.abs(x) < 1).all()
    left = x < -0.7
    assert left.any()
    np.testing.assert_allclose(data.y[left], (x[left] + 1) * 0.7 / 0.3, rtol=1e-12)
    right = (x > 0) & (x < 0.5)
    np.testing.assert_allclose(data.y[right], 2 * x[right], rtol=1e-12)


@pytest.mark.parametrize("whiten", [False, True])
def test_symmetric(whiten):
    beta = np.array([1.0, -2.0, 0.5])
    data = datasets.symmetric(12, 3, beta=beta, whiten=whiten)
    assert (data.X[:6] == -data.X[6:]).all() and (data.y[:6] == -data.y[6:]).all()
    np.testing.assert_allclose(data.y, data.X @ beta, rtol=1e-12)
    covariance = data.X.T @ data.X / 12
    assert np.allclose(covariance, np.eye(3), atol=1e-14) == whiten
    # Every half-space sees half of the covariance times the teacher.
    on = data.X @ [0.3, 0.4, -1.0] > 0
    np.testing.assert_allclose((data.y * on) @ data.X / 12, covariance @ beta / 2, rtol=1e-12)


def test_xor():
    data = datasets.xor(50, bias=True)
    assert data.d == 3 and (data.X[:, 2] == 1).all()
    np.testing.assert_array_equal(data.y, -np.sign(data.X[:, 0] * data.X[:, 1]))
    np.testing.assert_array_equal(datasets.xor(50).X, data.X[:, :2])


def test_linear_teacher():
    data = datasets.linear_teacher(4000, 3, rng=7)
    draw = np.random.default_rng([7, 0xDA7A])
    np.testing.assert_array_equal(data.X, draw.standard_normal((4000, 3)))
    np.testing.assert_array_equal(data.y, data.X[:, 0] + 0.5 * draw.standard_normal(4000))
    beta = [0.0, 3.0, -4.0]
    exact = datasets.linear_teacher(200, 3, noise=0, beta=beta, margin=0.4)
    np.testing.assert_allclose(exact.y, exact.X @ beta, rtol=1e-15)


@pytest.mark.parametrize("d, margin", [(1, 0.9), (2, 1e-9), (2, 0.4), (3, 0.4), (3, 0.999),
                                       (10, 0.7), (60, 0.99)])
def test_margin_of_a_linear_teacher(d, margin):
    beta = np.arange(1.0, d + 1)
    free, data = (datasets.linear_teacher(4000, d, noise=0, rng=3, beta=beta, margin=least)
                  for least in (0.0, margin))
    e = beta / np.linalg.norm(beta)
    norms, along = np.linalg.norm(data.X, axis=1), data.X @ e
    assert (np.abs(along) >= margin * norms * (1 - 1e-14)).all()
    # Norms and sides of the points are those without a margin, and so is the direction across.
    np.testing.assert_allclose(norms, np.linalg.norm(free.X, axis=1), rtol=1e-14)
    assert (np.sign(data.y) == np.sign(free.y)).all()
    if d == 1:
        return
    across = [X - (X @ e)[:, None] * e for X in (data.X, free.X)]
    units = [Z / np.linalg.norm(Z, axis=1)[:, None] for Z in across]
    np.testing.assert_allclose(*units, atol=1e-9)
    # The sine keeps its digits near the teacher, where the cosine is close to 1.
    square = (np.linalg.norm(across[0], axis=1) / norms)**2
    law = stats.beta((d - 1) / 2, 0.5)
    assert stats.kstest(law.cdf(square) / law.cdf(1 - margin**2), "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(square, norms)[0, 1]) < 0.05


def test_relu_teacher():
    data = datasets.relu_teacher(50, 4)
    np.testing.assert_array_equal(data.y, np.maximum(data.X[:, 0], 0))
    teacher = unbalanced(6, 4, 1.0, rng=4)
    data = datasets.relu_teacher(50, 4, teacher)
    np.testing.assert_array_equal(data.y, teacher(data.X))
    pair = datasets.relu_teacher(4000, 4, (teacher.a, teacher.W), noise=0.2, rng=1)
    assert (pair.y - teacher(pair.X)).std() == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize("centred", [True, False])
def test_one_neuron(centred):
    data = datasets.one_neuron(3000, 400, centred=centred)
    # In high dimension v is the least squares fit, and every angle to it is close to pi/4.
    teacher = np.linalg.lstsq(data.X, data.y, rcond=None)[0]
    np.testing.assert_allclose(data.y, data.X @ teacher, atol=1e-9)
    assert np.linalg.norm(teacher) == pytest.approx(1.0)
    cosines = data.y / np.linalg.norm(data.X, axis=1)
    assert cosines.mean() == pytest.approx(np.sqrt(0.5), abs=0.03)
    cone = datasets.one_neuron(200, 3, rng=1, centred=centred, cone=True)
    teacher = np.linalg.lstsq(cone.X, cone.y, rcond=None)[0]
    assert (cone.X @ teacher > np.sqrt(0.5) * np.linalg.norm(cone.X, axis=1)).all()


@pytest.mark.parametrize("make", [
    datasets.stewart, lambda n, rng=0: datasets.one_neuron(n, 3, rng),
    lambda n, rng=0: datasets.orthogonal(n, rng=rng), datasets.xor,
    lambda n, rng=0: datasets.symmetric(n, 3, rng),
    lambda n, rng=0: datasets.linear_teacher(n, 3, rng=rng),
    lambda n, rng=0: datasets.relu_teacher(n, 3, rng=rng)])
def test_seeds(make):
    data = make(6)
    again = make(6, rng=0)
    assert (again.X == data.X).all() and (again.y == data.y).all()
    assert not (make(6, rng=1).X[:, 0] == data.X[:, 0]).any()
    generator = np.random.default_rng(3)
    assert not (make(6, rng=generator).X[:, 0] == make(6, rng=generator).X[:, 0]).any()


def test_equal_seeds_do_not_tie_weights_to_points():
    W = balanced(400, 5, 1.0, rng=7).W
    X = datasets.linear_teacher(400, 5, rng=7).X
    assert abs(np.corrcoef(W.ravel(), X.ravel())[0, 1]) < 0.1


@pytest.mark.parametrize("make, arguments, error, words", [
    (datasets.stewart, {"n": 0}, ValueError, "n = 0"),
    (datasets.stewart, {"rng": None}, TypeError, "rng is None"),
    (datasets.orthogonal, {"d": 3}, ValueError, "without n"),
    (datasets.orthogonal, {"n": 3, "d": 2}, ValueError, "d = 2 is below n = 3"),
    (datasets.symmetric, {"n": 5, "d": 2}, ValueError, "n = 5 is odd"),
    (datasets.symmetric, {"n": 4, "d": 3, "whiten": True}, ValueError, "too few points"),
    (datasets.linear_teacher, {"n": 5, "d": 2, "noise": -1.0}, ValueError, "noise = -1"),
    (datasets.linear_teacher, {"n": 5, "d": 2, "noise": "a"}, TypeError, "noise is 'a'"),
    (datasets.linear_teacher, {"n": 5, "d": 2, "margin": 1}, ValueError,
     "margin = 1: it is the cosine"),
    (datasets.linear_teacher, {"n": 5, "d": 999, "margin": 0.9}, ValueError, "hardly any dir"),
    (datasets.linear_teacher, {"n": 5, "d": 2, "beta": [1.0]}, ValueError, "beta has 1 entry but"),
    (datasets.linear_teacher, {"n": 5, "d": 2, "beta": [0, 0]}, ValueError, "beta is zero"),
    (datasets.relu_teacher, {"n": 5, "d": 2, "teachers": 6}, TypeError, "teachers is an int"),
    (datasets.relu_teacher,
     {"n": 5, "d": 2, "teachers": TwoLayerReLU([1.0], [[1.0, 2.0]], bias=True)}, ValueError,
     "^teachers has a bias"),
    (datasets.relu_teacher, {"n": 5, "d": 2, "teachers": ([1.0], [[1.0]])}, ValueError,
     "dimension 1 but d = 2"),
])
def test_bad_arguments(make, arguments, error, words):
    with pytest.raises(error, match=words):
        make(**arguments)


def read(tmp_path, text, target="y", encoding="utf-8", **options):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode(encoding))
    return datasets.from_csv(path, target, **options)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv(tmp_path, mark, end):
    rows = [["u", "y", '"v, w; z"'], ["1", " 2.5", "-3e-2"], ["4", "5", '"6"'], []]
    text = end.join(mark.join(row) for row in rows)
    data = read(tmp_path, text, encoding="utf-8-sig")
    np.testing.assert_array_equal(data.X, [[1.0, -0.03], [4.0, 6.0]])
    np.testing.assert_array_equal(data.y, [2.5, 5.0])
    assert read(tmp_path, text, "v, w; z", encoding="utf-8-sig").y[1] == 6


def test_csv_round_trip(tmp_path):
    data = datasets.linear_teacher(30, 3)
    rows = ["y,a,b,c"] + [",".join(map(repr, map(float, [y, *x]))) for x, y in zip(data.X, data.y)]
    text = "\n".join(rows)
    same = read(tmp_path, text)
    assert isinstance(same, Data) and (same.X == data.X).all() and (same.y == data.y).all()
    scaled = read(tmp_path, text, standardise=True, bias=True)
    assert scaled.d == 4 and (scaled.X[:, 3] == 1).all()
    table = np.column_stack([scaled.X[:, :3], scaled.y])
    np.testing.assert_allclose(table.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(table.std(axis=0), 1, rtol=1e-14)
    np.testing.assert_allclose(np.corrcoef(scaled.y, scaled.X[:, 0]),
                               np.corrcoef(data.y, data.X[:, 0]), rtol=1e-12)


@pytest.mark.parametrize("text, words", [
    ("x,y\n1,2\n3,\n", r"column 'y', line 3 of .*table\.csv has no value"),
    ("x,y\n1,2\nNaN,1\n", "column 'x', line 3 .* has no value"),
    ("x,y\n1,2\n\nred,1\n", "column 'x', line 4 .* has 'red', which is not a number"),
    ("x;y\n1,5;2\n", "column 'x', line 2 .* has '1,5', which is not a number"),
    ("x,y\n1,-inf\n", "column 'y', line 2 .* has '-inf', which is not finite"),
    ("x,z\n1,2\n", "no column 'y': its columns are x, z"),
    ("x,y,x\n1,2,3\n", "two columns 'x'"),
    (",x,y\n1,2,3\n", "column 1 of .* has no name"),
    ("y\n1\n", "no column besides the target 'y'"),
    ("", "is empty"),
    ("\n\n", "is empty"),
    ("x,y\n", "a header but no rows"),
    ("x,y\n1,2\n1,2,3\n", "line 3 of .* has 3 fields but the header has 2"),
    ("x,y\n1\n", "line 2 of .* has 1 field but the header has 2"),
])
def test_csv_errors(tmp_path, text, words):
    with pytest.raises(ValueError, match=words) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field, words", [
    ("\u00a01", r"has '\\xa01', with NO-BREAK SPACE \(U\+00A0\) in it: "),
    ("1\u202f000 ", r"has '1\\u202f000', with NARROW NO-BREAK SPACE \(U\+202F\)"),
    ("\u22121", r"has '\u22121', with MINUS SIGN \(U\+2212\)"),
    ("1\u200b", "with ZERO WIDTH SPACE"),
    ("\ufeff1", "with ZERO WIDTH NO-BREAK SPACE"), ("1\ue000", "with a character without a name"),
    ("gr\u00f6\u00dfe", "has 'gr\u00f6\u00dfe', which is not a number"), ("\u00a0", "has no value"),
    ("\u0661", "not a number"), ("1\u20ac", r"with EURO SIGN \(U\+20AC\)")])
def test_what_a_number_has_unseen_is_named(tmp_path, field, words):
    with pytest.raises(ValueError, match=f"^column 'y', line 2 of .* {words}") as caught:
        read(tmp_path, f"x,y\n1,{field}\n")
    assert str(caught.value).isprintable()


def test_names_of_columns_may_be_in_any_unicode_form(tmp_path):
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, "x,gr\u00f6\u00dfe\n1,2\n")
        for wanted in ("NFC", "NFD"):
            assert read(tmp_path, text, unicodedata.normalize(wanted, "gr\u00f6\u00dfe")).y == [2]
    with pytest.raises(ValueError, match="two columns '\u00fc'"):
        read(tmp_path, "\u00fc,u\u0308,y\n1,2,3\n")


@pytest.mark.parametrize("line", ["sep=;", "SEP=,", '"sep=;"', "sep=\t"])
def test_a_line_for_excel_is_named(tmp_path, line):
    for end in ("\n", "\r\n"):
        with pytest.raises(ValueError, match="^line 1 of .*, a word to Excel .*: take that line"):
            read(tmp_path, end.join([line, "x;y", "1;2", ""]))
    assert read(tmp_path, "sep=,y\n1,2\n").y == [2]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("rows, words", [
    (['x,y', '"2"3,1'], "^line 2 of .* between a closing quote and the end of its field"),
    (['x,y', '1,2', '"3" ,1'], "^line 3 of .* between a closing quote"),
    (['x,y', '1,"2', '4,"5'], "^lines 2 to 3 of .* between a closing quote"),
    (['x,y', '1,2', '3,"4', '5,6'], "^line 3 of .* is not closed .*: close it, or get the whole"),
    (['x,"y', '1,2'], "^line 1 of .* is not closed"), (['x,"y'], "^line 1 of .* is not closed"),
    (['x,y', '1,"'], "^line 2 of .* is not closed")])
def test_broken_quotes_are_refused(tmp_path, mark, rows, words):
    for end in ("", "\n"):
        with pytest.raises(ValueError, match=words) as caught:
            read(tmp_path, "\n".join(rows).replace(",", mark) + end)
        assert "table.csv" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [1.0, -1e8, 1e300, 1e-300])
@pytest.mark.parametrize("spread", [1e-6, 1e-10, 1e-13, 3e-15])
def test_a_small_spread_is_standardised_or_refused(tmp_path, size, spread):
    for seed in range(5):
        x = size * (1 + spread * np.random.default_rng(seed).normal(size=50))
        text = "x,y\n" + "".join(f"{a!r},{b!r}\n" for a, b in zip(x.tolist(), range(50)))
        if np.ptp(x) <= 8 * np.finfo(float).eps * np.abs(x).max():
            with pytest.raises(ValueError, match="column 'x' .* throughout, up to the rounding"):
                read(tmp_path, text, standardise=True)
            continue
        scaled = read(tmp_path, text, standardise=True).X[:, 0]
        assert abs(scaled.mean()) < 1e-14 and scaled.std() == pytest.approx(1, rel=1e-13)
    text = "x,y\n" + "".join(f"{1e8 + 1e-8 * k!r},{k}\n" for k in range(4))
    with pytest.raises(ValueError, match="column 'x' .* one value throughout, up to the rounding"):
        read(tmp_path, text, standardise=True)


def test_csv_other_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file .*nowhere.csv"):
        datasets.from_csv(tmp_path / "nowhere.csv", "y")
    with pytest.raises(ValueError, match="not UTF-8"):
        read(tmp_path, "é,y\n1,2\n", encoding="latin-1")
    with pytest.raises(TypeError, match="target is 1"):
        read(tmp_path, "x,y\n1,2\n", 1)
    with pytest.raises(ValueError, match="column 'x' .* one value throughout"):
        read(tmp_path, "x,y\n0.1,2\n0.1,3\n0.1,5\n", standardise=True)


def test_sets_know_their_teacher():
    import pickle
    import gflow
    for data in (gflow.datasets.symmetric(6, 2), gflow.datasets.linear_teacher(9, 3, noise=0.0),
                 gflow.datasets.relu_teacher(9, 3), gflow.datasets.one_neuron(9, 3)):
        np.testing.assert_allclose(data.teacher(data.X), data.y, rtol=1e-13, atol=1e-15)
        assert (pickle.loads(pickle.dumps(data)).teacher.W == data.teacher.W).all()
    assert gflow.Data([[1.0]], [1.0]).teacher is None


@pytest.mark.parametrize("field", [
    "1" * 20_000 + "x", "0." + "1" * 20_000 + "x", "1" * 20_000 + "e", " " * 20_000 + "x",
    "1" + " " * 20_000 + "x"])
def test_long_fields_are_refused_in_a_moment(tmp_path, field):
    begun = time.process_time()
    with pytest.raises(ValueError, match="line 2 of .* is not a number"):
        read(tmp_path, f"x,y\n1,{field}\n")
    with pytest.raises(argparse.ArgumentTypeError, match="is not a number"):
        number(field)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("header, target, taken", [
    ("0.3,1", "1", False), ("5,3", "3", False), ("1e3,2", "2", False), ("0,1", "1", True),
    ("1,2", "2", True), ("2019,2020", "2020", True), ("0.3,y", "y", True)])
def test_a_first_point_is_not_taken_for_a_header(tmp_path, header, target, taken):
    path = tmp_path / "t.csv"
    path.write_text(f"{header}\n0.7,0\n0.9,1\n")
    if taken:
        assert datasets.from_csv(path, target).n == 2
    else:
        with pytest.raises(ValueError, match="line 1 of .* has numbers and no names: put a header"):
            datasets.from_csv(path, target)


@pytest.mark.parametrize("text, target", [
    ("0,1\n2,3\n4,5\n", "1"), ("1,2\n-20,30\n", "1"), ("5,6\n7,9\n", "6"),
    ("2019,2020\n2021,2035\n", "2019")])
def test_names_that_may_be_a_point_are_refused(tmp_path, text, target):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match="^line 1 of .* may be a point as well as names"):
        datasets.from_csv(tmp_path / "t.csv", target)


@pytest.mark.parametrize("text, target", [
    ("0,1\n2.0,3\n4,5\n", "1"), ("2019,2020\n5,12\n7,9\n", "2019"), ("x,1\n0,1\n", "1")])
def test_numbers_that_are_names_are_names(tmp_path, text, target):
    (tmp_path / "t.csv").write_text(text)
    assert datasets.from_csv(tmp_path / "t.csv", target).n == text.count("\n") - 1


@pytest.mark.parametrize("written", ["3e-324", "5e-324", "1.23456789e-320", "-1e-322"])
def test_numbers_that_lose_their_digits_are_refused(tmp_path, written):
    (tmp_path / "t.csv").write_text(f"x,y\n{written},1\n")
    with pytest.raises(ValueError, match=f"'{written}', which is too small for double precision"):
        datasets.from_csv(tmp_path / "t.csv", "y")
    (tmp_path / "t.csv").write_text("x,y\n1.5e-309,0e-999\n")
    assert datasets.from_csv(tmp_path / "t.csv", "y").X[0, 0] == 1.5e-309
