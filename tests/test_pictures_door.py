"""What pictures and films refuse, before anything is drawn, and what they take."""

import matplotlib
import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
import pytest

import gflow
from gflow.sweeping.figure import curves, overview

matplotlib.use("Agg")
NAMES = [name for name in gflow.plot.NAMES if name not in ("margins", "boundary")]


@pytest.fixture(scope="module")
def flow():
    return gflow.integrate(gflow.init.balanced(4, 2, 1e-2, rng=0), gflow.datasets.three_points(),
                           0.3)


@pytest.fixture(scope="module")
def bare():
    """A run without its weights."""
    return gflow.integrate(gflow.init.balanced(4, 2, 1e-2, rng=0), gflow.datasets.three_points(),
                           20.0, save=["loss"])


@pytest.fixture(autouse=True)
def no_figures():
    # Other tests leave some.
    plt.close("all")
    yield
    plt.close("all")


@pytest.mark.parametrize("name", [*NAMES, "boundary", "margins", "panel"])
def test_what_is_refused_leaves_no_figure_open_and_axes_empty(flow, bare, name):
    draw = getattr(gflow.plot, name)
    for run, given in ((flow, {"bogus": 1}), (flow, {"color": "nocolour"}), (flow, {"t": 1.0}),
                       (flow, {"t": np.nan}), (flow, {"ls": "nostyle"}), (bare, {"t": 0.1})):
        if run is bare and name in ("loss", "events"):
            continue
        with pytest.raises((TypeError, ValueError)):
            draw(run, **given)
        assert not plt.get_fignums()
        figure = matplotlib.figure.Figure()
        places = [figure.add_subplot(2, 2, k + 1, projection="polar" if k == 2 else None)
                  for k in range(4)]
        with pytest.raises((TypeError, ValueError)):
            draw(run, ax=places if name == "panel" else places[2 * (name == "polar")], **given)
        assert not any(ax.has_data() for ax in places) and len(figure.axes) == 4


def test_what_fails_while_it_is_drawn_leaves_no_figure_open(flow, monkeypatch):
    def fails(*_, **__):
        raise MemoryError

    monkeypatch.setattr("matplotlib.axes.Axes.set_xlabel", fails)
    for draw in (gflow.plot.loss, gflow.plot.polar, gflow.plot.panel):
        with pytest.raises(MemoryError):
            draw(flow, t=0.1)
    table = np.zeros(2, dtype=[("n", int), ("seed", int), ("y", float)])
    with pytest.raises(ValueError, match="'z' is no result"):
        curves(table, "z")
    with pytest.raises(MemoryError):
        curves(table, "y")
    assert not plt.get_fignums()


@pytest.mark.parametrize("name", [*NAMES, "step_sizes"])
@pytest.mark.parametrize("projection", [None, "polar", "3d", "hammer"])
def test_axes_of_another_kind_are_refused(flow, name, projection):
    axes = matplotlib.figure.Figure().add_subplot(projection=projection)
    twins = [[gflow.descend(flow(0.0), flow.data, 0.1, 3)]] if name == "step_sizes" else []
    draw = getattr(gflow.plot, name)
    if projection != ("polar" if name == "polar" else None):
        with pytest.raises(ValueError, match="not polar|another kind"):
            draw(flow, *twins, ax=axes)
        assert not axes.has_data()
        return
    draw(flow, *twins, ax=axes)
    axes.remove()
    with pytest.raises(ValueError, match="removed from its figure"):
        draw(flow, *twins, ax=axes)


@pytest.mark.parametrize("options, sentence", [
    ({"lw": "x"}, "^no line can have lw = 'x': could not convert string to float: 'x'$"),
    ({"lw": 2, "alpha": 7}, r"^no line can have alpha = 7: alpha \(7\) is outside 0-1 range$"),
    ({"ls": "zz"}, "^no line can have ls = 'zz': "),
    ({"ms": [1]}, r"^no line can have ms = \[1\]: ")])
def test_an_option_that_no_line_can_have_is_named(flow, options, sentence):
    twins = [gflow.descend(flow(0.0), flow.data, 0.1, 3)]
    for draw in (gflow.plot.loss, gflow.plot.polar, gflow.plot.panel, gflow.plot.animate,
                 lambda flow, **given: gflow.plot.step_sizes(flow, twins, **given)):
        with pytest.raises((TypeError, ValueError), match=sentence):
            draw(flow, **options)


def test_twins_that_are_none(flow):
    twin = gflow.descend(flow(0.0), flow.data, 0.1, 3)
    axes = matplotlib.figure.Figure().subplots()
    for twins, sentence in (
            ([twin, flow], "^twins has a run of gflow.integrate: give runs of gflow.descend$"),
            (twin, "^twins is a Descent: give a list of runs of gflow.descend$"),
            (None, "^twins is a NoneType: give a list"), ([3], "^twins has an int: give runs"),
            (iter([]), "^there are no twins")):
        with pytest.raises((TypeError, ValueError), match=sentence):
            gflow.plot.step_sizes(flow, twins, axes)
    assert not axes.has_data()
    assert gflow.plot.step_sizes(flow, iter([twin]), axes).has_data()


def test_one_column_is_one():
    one = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), 1.0)
    with pytest.raises(ValueError, match="^the data have 1 varying column: this figure needs two"):
        gflow.plot.boundary(one)
    with pytest.raises(TypeError, match="^the file is an int: give its name$"):
        gflow.load(3)


def test_axes_within_others_are_drawn_on(flow):
    figure = matplotlib.figure.Figure()
    part = figure.subfigures(1, 2)[0]
    for axes in (part.subplots(), figure.subplots().inset_axes([0.5, 0.5, 0.4, 0.4])):
        gflow.plot.loss(flow, ax=axes)
        assert axes.has_data()


def test_a_panel_looks_at_all_its_axes_first(flow):
    figure, places = plt.subplots(2, 2)
    with pytest.raises(ValueError, match="not polar"):
        gflow.plot.panel(flow, ax=places)
    assert not any(ax.has_data() for ax in places.flat)


@pytest.mark.parametrize("name", [*NAMES, "panel"])
@pytest.mark.parametrize("late", [0.1 + 0.2, np.float32(0.3), np.array(0.1 + 0.2)])
def test_times_may_pass_the_end_by_rounding(flow, name, late):
    assert flow(late).m == 4
    getattr(gflow.plot, name)(flow, t=late)
    film = gflow.plot.animate(flow, name, np.linspace(0, late, 4, dtype=np.asarray(late).dtype))
    assert film.times[-1] == flow.t_end == 0.3
    for draw in (getattr(gflow.plot, name), lambda flow, t: gflow.plot.animate(flow, name, [t])):
        with pytest.raises(ValueError, match="outside"):
            draw(flow, t=0.3 + 1e-9)


def test_films_refuse_at_once(flow, bare):
    def own(t, ax):
        ax.plot([0, t])

    for run, what, options, words in (
            (flow, "boundary", {}, "two inputs"), (flow, "margins", {}, "margins"),
            (bare, "panel", {}, "kept only loss"), (bare, "neurons", {}, "kept only loss"),
            (bare, ["loss", "kinks"], {}, "kept only loss"), (bare, "norms", {}, "kept only loss"),
            (flow, "loss", {"bogus": 1}, "no option 'bogus'"),
            (flow, "loss", {"color": "nocolour"}, "nocolour"),
            (flow, own, {"lw": 3}, "no option 'lw'")):
        with pytest.raises((TypeError, ValueError), match=words):
            gflow.plot.animate(run, what, **options)
    gflow.plot.animate(bare, "loss")


def test_dollars_of_the_user_are_no_formulas():
    table = np.array([(1, "$5 to $10", 0, 1.0), (2, "$10 to $20", 0, 2.0), (2, "$", 0, 2.0)],
                     dtype=[("n", int), ("s", "U12"), ("seed", int), ("$a_$", float)])
    figure = overview(table)
    figure.canvas.draw()
    axes = figure.axes[0]
    texts = [axes.yaxis.label, *axes.get_legend().get_texts()]
    shown = {text._preprocess_math(text.get_text()) for text in texts}
    assert shown == {("$a_$", False), ("s = $5 to $10", False), ("s = $10 to $20", False),
                     ("s = $", False)}


@pytest.mark.parametrize("label", [["a", "b"], [], np.ones((2, 2)), {1: 2}])
def test_a_label_is_one(flow, label):
    for draw in (gflow.plot.loss, gflow.plot.norms, gflow.plot.function, gflow.plot.panel):
        with pytest.raises(TypeError, match="^label is a .*: give one text$"):
            draw(flow, label=label)
    assert not plt.get_fignums()


@pytest.mark.parametrize("what, error, words", [
    (b"l", ValueError, "^there is no picture 108: choose among panel, "),
    (np.array(3.0), TypeError, "^what is .*3.*: give the name of a picture, "),
    ([None], ValueError, "^there is no picture None: "), ([3], ValueError, "no picture 3: ")])
def test_what_is_no_picture_is_told(flow, what, error, words):
    with pytest.raises(error, match=words):
        gflow.plot.animate(flow, what)
    assert len(gflow.plot.animate(flow, ["loss"], times=[0.0, 0.3])) == 2
