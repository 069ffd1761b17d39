"""Bad input is refused in one sentence that names the argument."""

import re

import numpy as np
import pandas
import pytest
import xarray

import gflow

A, W, X, Y = [1.0, -1.0], [[1.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [0.5, -1.0], [0.0, 1.0]], [1, 0, 2]
NAN, INF = float("nan"), float("inf")


def refused(error, words, *args, **options):
    with pytest.raises(error, match=words) as caught:
        gflow.integrate(*args, **{"t_max": 1.0, **options})
    assert type(caught.value) is error
    assert "\n" not in str(caught.value) and 10 < len(str(caught.value)) < 200


@pytest.mark.parametrize("a, w, x, y, error, words", [
    # Shapes that disagree.
    ([1.0], W, X, Y, ValueError, "^a has 1 entry but W has 2 rows"),
    (A, [1.0, 0.0], X, Y, ValueError, r"^W has shape \(2,\)"),
    ([A], W, X, Y, ValueError, r"^a has shape \(1, 2\)"),
    (1.0, W, X, Y, ValueError, r"^a has shape \(\)"),
    (A, W, X, [1, 0], ValueError, "^X has 3 rows but y has 2 entries"),
    (A, W, [[1.0]] * 3, Y, ValueError, "^X has 1 column but W has 2"),
    (A, W, X[0], Y, ValueError, r"^X has shape \(2,\).*np.asarray\(X\)\[None\] for one row$"),
    (A, W, X, [Y], ValueError,
     r"^y has shape \(1, 3\).*1 axis, such as np.asarray\(y\).ravel\(\)$"),
    (A, [[1.0, 0.0], [0.0]], X, Y, ValueError, "^W is ragged"),
    (A, W, [[1.0, 2.0], [0.5], [1.0]], Y, ValueError, "^X is ragged"),
    # Not finite.
    ([1.0, NAN], W, X, Y, ValueError, r"^a has NaN or infinity.*\(1,\)"),
    (A, [[1.0, INF], [0.0, 1.0]], X, Y, ValueError, r"^W has NaN or infinity.*\(0, 1\)"),
    (A, W, [[1.0, 2.0], [0.5, -INF], [0.0, 1.0]], Y, ValueError, r"^X has NaN.*\(1, 1\)"),
    (A, W, X, [1, NAN, 2], ValueError, r"^y has NaN or infinity.*\(1,\)"),
    (A, W, X, np.full(3, np.finfo(np.longdouble).max), ValueError, r"^y has NaN or infinity"),
    # Empty.
    ([], np.empty((0, 2)), X, Y, ValueError, "^W has shape"),
    (A, np.empty((2, 0)), np.empty((3, 0)), Y, ValueError, "^W has shape"),
    (A, W, np.empty((0, 2)), [], ValueError, "^X has shape"),
    # Not real.
    (np.array(A) * 1j, W, X, Y, TypeError, "^a has dtype complex128"),
    (A, np.array(W, dtype=str), X, Y, TypeError, "^W has dtype <U"),
    (A, W, np.array(X, dtype=object), Y, TypeError, "^X has dtype object"),
    (A, W, X, ["1", "0", "2"], TypeError, "^y has dtype <U"),
    (A, W, X, np.array(Y, dtype="datetime64[s]"), TypeError, "^y has dtype datetime64"),
    (None, W, X, Y, TypeError, "^a has dtype object"),
    (A, W, X, 10**400 * np.ones(3, dtype=object), TypeError, "^y has dtype object"),
])
def test_network_and_data(a, w, x, y, error, words):
    refused(error, words, (a, w), (x, y))


@pytest.mark.parametrize("model, data, words", [
    (A, (X, Y), "^a has shape"),                # two numbers are taken for a pair
    (None, (X, Y), "^model is a NoneType"),
    (np.ones(2), (X, Y), "^model is a ndarray"),
    ((A, W, 0), (X, Y), "^model is a tuple"),
    ((A, W), X, "^data is a list"),
    ((A, W), None, "^data is a NoneType"),
    ((A, W), gflow.TwoLayerReLU(A, W), "^data is a TwoLayerReLU"),
])
def test_not_a_pair(model, data, words):
    refused(ValueError if "shape" in words else TypeError, words, model, data)


@pytest.mark.parametrize("options, error, words", [
    ({"t_max": 0}, ValueError, "^t_max = 0"),
    ({"t_max": -1.0}, ValueError, "^t_max = -1"),
    ({"t_max": NAN}, ValueError, "^t_max = nan"),
    ({"t_max": INF}, ValueError, "^t_max = inf"),
    ({"t_max": "10"}, TypeError, "^t_max is '10'"),
    ({"t_max": None}, TypeError, "^t_max is None"),
    ({"t_max": True}, TypeError, "^t_max is True"),
    ({"t_max": 1j}, TypeError, "^t_max is 1j"),
    ({"t_max": [1.0]}, TypeError, r"^t_max is \[1.0\]"),
    ({"t_max": 10**400}, ValueError, "^t_max"),
    ({"t_eval": [0.5, 0.2]}, ValueError, "^t_eval is not increasing"),
    ({"t_eval": [0.2, 0.2]}, ValueError, "^t_eval is not increasing"),
    ({"t_eval": [-0.1, 0.5]}, ValueError, "^t_eval reaches from -0.1"),
    ({"t_eval": [0.5, 1.1]}, ValueError, "^t_eval reaches from 0.5 to 1.1"),
    ({"t_eval": [0.5, NAN]}, ValueError, "^t_eval has NaN"),
    ({"t_eval": []}, ValueError, "^t_eval"),
    ({"t_eval": 0.5}, ValueError, r"^t_eval has shape \(\)"),
    ({"t_eval": [[0.5]]}, ValueError, r"^t_eval has shape \(1, 1\)"),
    ({"t_eval": ["a"]}, TypeError, "^t_eval has dtype"),
    ({"method": "rk45"}, ValueError, "^unknown method 'rk45'.*DOP853"),
    ({"method": None}, ValueError, "^unknown method None"),
    ({"method": ["RK45"]}, ValueError, "^unknown method"),
    ({"atol": 1e-9}, TypeError, "atol"),
    ({"rtol": 2.2e-14}, ValueError, "^rtol = 2.2e-14 is below 100 eps"),
    ({"rtol": 0.0}, ValueError, "^rtol = 0"),
    ({"rtol": -1e-6}, ValueError, "^rtol = -1e-06"),
    ({"rtol": NAN}, ValueError, "^rtol = nan"),
    ({"rtol": 1.0}, ValueError, "^rtol = 1 is no tolerance"),
    ({"rtol": "1e-6"}, TypeError, "^rtol is '1e-6'"),
    ({"rtol": [1e-6, 1e-6]}, TypeError, "^rtol is"),
    ({"strict": "no"}, TypeError, "^strict is 'no': give True or False"),
    ({"progress": None}, TypeError, "^progress is None"),
    ({"check": np.array([True, False])}, TypeError, "^check is "),
    ({"save": []}, ValueError, "^save is empty: name what to keep"),
    ({"max_events": 0}, ValueError, "^max_events = 0"),
    ({"max_events": -3}, ValueError, "^max_events = -3"),
    ({"max_events": True}, TypeError, "^max_events is True"),
    ({"max_events": 1.5}, TypeError, "^max_events is 1.5"),
    ({"max_events": "9"}, TypeError, "^max_events is '9'"),
    ({"stop": 3}, TypeError, "^stop has an int"),
    ({"stop": [lambda state: True, "late"]}, TypeError, "^stop has a str"),
    ({"stop": gflow.stop.loss_below}, TypeError, "^stop has loss_below without its number"),
])
def test_options(options, error, words):
    refused(error, words, (A, W), (X, Y), **options)


def test_what_is_accepted():
    # Whole numbers, booleans, single precision and foreign memory orders are real numbers.
    flow = gflow.integrate((np.array([1, -1]), np.array(W, dtype=np.float32, order="F")),
                           [np.array(X)[::-1], np.array([True, False, True])], np.float32(1),
                           t_eval=(0, 1), max_events=np.int64(50), rtol=100 * np.finfo(float).eps)
    assert flow.success and flow.W.dtype == float and flow.t.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("call, words", [
    (lambda: gflow.Data(X, Y, bias="no"), "^bias is 'no': give True or False"),
    (lambda: gflow.Data(X, Y, bias=np.array([1, 0])), "^bias is "),
    (lambda: gflow.TwoLayerReLU(A, W, bias="no"), "^bias is 'no'"),
    (lambda: gflow.TwoLayerReLU(A, W).to_torch(bias="no"), "^bias is 'no'"),
    (lambda: gflow.datasets.from_csv("none.csv", "y", bias="yes"), "^bias is 'yes'"),
    (lambda: gflow.datasets.from_csv("none.csv", "y", standardise="no"), "^standardise is 'no'"),
    (lambda: gflow.datasets.xor(4, bias="no"), "^bias is 'no'"),
    (lambda: gflow.datasets.symmetric(4, 2, whiten="no"), "^whiten is 'no'"),
    (lambda: gflow.datasets.one_neuron(4, 2, centred="no"), "^centred is 'no'"),
    (lambda: gflow.datasets.one_neuron(4, 2, cone="no"), "^cone is 'no'"),
    (lambda: gflow.descend((A, W), (X, Y), 0.1, 2, strict="no"), "^strict is 'no'"),
    (lambda: gflow.descend((A, W), (X, Y), 0.1, 2, progress="x"), "^progress is 'x'"),
    (lambda: gflow.descent.distances(5, None), "^flow is an int: give a run"),
    (lambda: gflow.integrate((A, W), (X, [1, -1, 1]), 1.0, loss="logistic").kkt([1, 2]), "^t is "),
    (lambda: gflow.integrate((A, W), (X, Y), 1.0, rates=np.array(1.0)), "^rates is 1.0: give a"),
    (lambda: gflow.integrate((A, W), (X, Y), 1.0, stop=Forgets()), r"^begin\(\) of the rule"),
])
def test_what_is_no_flag_no_run_and_no_number(call, words):
    with pytest.raises(TypeError, match=words) as caught:
        call()
    assert len(str(caught.value)) < 200


class Forgets:
    def __call__(self, state):
        return False

    def begin(self):
        pass


@pytest.mark.parametrize("far", [-1e19, 1e19, -2e18])
def test_scales_that_no_exponent_holds(far):
    with pytest.raises(ValueError, match=r"^log_scale = .* is beyond 1e\+18 either way"):
        gflow.init.balanced(3, 2, 1.0, log_scale=far)
    assert gflow.init.balanced(3, 2, 1.0, log_scale=-1e18).log_scale[0] == -1e18


def test_arrays_without_axes_are_numbers():
    one, other = (gflow.integrate((A, W), (X, Y), 1.0, decay=decay) for decay in
                  (np.array(0.1), 0.1))
    assert one.settings["decay"] == other.settings["decay"] and (one.W == other.W).all()


@pytest.mark.parametrize("size", [10**13, 10**30, 10**400])
@pytest.mark.parametrize("name, make", [
    ("m", lambda n: gflow.init.balanced(n, 2, 1.0)), ("d", lambda n: gflow.init.uniform(2, n, 1.0)),
    ("n", gflow.datasets.xor), ("n", gflow.datasets.stewart), ("n", gflow.datasets.orthogonal),
    ("n", lambda n: gflow.datasets.linear_teacher(n, 2)),
    ("d", lambda n: gflow.datasets.relu_teacher(2, n)),
    ("d", lambda n: gflow.datasets.one_neuron(2, n)),
    ("n", lambda n: gflow.datasets.symmetric(n, 2))])
def test_sizes_beyond_any_memory(name, make, size):
    with pytest.raises(ValueError, match=f"^{name} = .* no memory holds: give less$"):
        make(size)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("made", [
    list, tuple, np.array, np.matrix, np.ma.array, pandas.DataFrame, pandas.Series,
    lambda rows: pandas.DataFrame(rows).convert_dtypes(), xarray.DataArray])
def test_what_is_said_to_do_about_axes_can_be_done(made):
    X, y = [1.0, 2.0, 3.0], [[1.0], [2.0], [3.0]]
    if made is not pandas.Series:
        y = made(y)
        with pytest.raises(ValueError, match=r"^y has shape \(3, 1\): ") as caught:
            gflow.Data(np.eye(3), y)
        advice = str(caught.value).partition("such as ")[2]
        assert gflow.Data(np.eye(3), eval(advice)).y.tolist() == [1.0, 2.0, 3.0]
    if made is np.matrix or made is pandas.DataFrame or "lambda" in made.__name__:
        return
    X = made(X)
    with pytest.raises(ValueError, match=r"^X has shape \(3,\): ") as caught:
        gflow.Data(X, [1.0, 2.0, 3.0])
    column, row = re.fullmatch(".* such as (.*) for one column or (.*) for one row",
                               str(caught.value)).groups()
    assert gflow.Data(eval(column), [1.0, 2.0, 3.0]).X.tolist() == [[1.0], [2.0], [3.0]]
    assert gflow.Data(eval(row), [1.0]).X.tolist() == [[1.0, 2.0, 3.0]]


def test_finite_data_without_units_are_not_said_to_be_infinite():
    with pytest.raises(ValueError, match="^inputs up to 1e.308 and labels up to 1e.308 make a "
                                         "flow that leaves double precision: divide X or y by a"):
        gflow.integrate(gflow.init.balanced(5, 1, 1e-3, rng=0),
                        ([[1e308], [-1e308]], [1e308, 1e308]), 2.0)


class Shut:
    """An array that cannot be read."""

    def __array__(self, *given, **options):
        raise RuntimeError("shut")


@pytest.mark.parametrize("call, error, words", [
    (lambda: gflow.Data([[1.0]], Shut()), TypeError, "^y is a Shut that NumPy cannot read"),
    (lambda: gflow.TwoLayerReLU([1.0], [[1.0]], Shut()), TypeError, "^log_scale is a Shut that"),
    (lambda: gflow.init.balanced(2, 2, 0.1, log_scale=[[1.0], [2.0, 3.0]]), ValueError,
     "^log_scale is ragged: "),
    (lambda: gflow.init.balanced(3, 2, 0.1, log_scale=[1.0]), ValueError,
     "^log_scale has 1 entry for 3 neurons: "),
    (lambda: gflow.datasets.orthogonal(d=10**400), ValueError, r"^d = 1000+\.\.\.\d* without n: "),
    (lambda: gflow.datasets.orthogonal(d=np.ones((2, 2))), ValueError, "^d = .* without n: ")])
def test_what_numpy_cannot_read_is_named(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_a_number_is_the_scale_of_all_neurons():
    for one in (2, np.float32(2.0), np.array(2.0)):
        assert gflow.init.balanced(3, 2, 0.1, log_scale=one).log_scale.tolist() == [2.0] * 3
