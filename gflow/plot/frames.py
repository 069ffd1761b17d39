"""Frames of films: of pictures of ours artists are moved; functions of users draw anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rcParams
from matplotlib.figure import Figure

from .panel import PICTURES, label, laid_out, size_of
from .picture import looks
from .style import clock, light, some

if TYPE_CHECKING:  # pragma: no cover
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..flows.flow import Flow


LAYOUTS = 8
"""Times at which functions of users are asked how much room their words need."""


def moved(flow: Flow, names: Sequence[str], options: Mapping[str, object], times: np.ndarray,
          dpi: float) -> Iterator[np.ndarray]:
    """Frames of pictures of ours: what does not move is drawn once."""
    figure, canvas = _figure(size_of(names), dpi)
    pictures = []
    for name, ax in zip(names, laid_out(figure, names)):
        pictures.append(PICTURES[name](flow, options, times).on(ax))
        pictures[-1].move(float(times[-1]))
        label(pictures[-1], alone=len(names) == 1)
    title = _title(figure, clock(times[-1]))
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    moving = [artist for picture in pictures for artist in picture.artists]
    layers = list(_layers(figure, moving))
    for artist in (title, *layers):
        artist.set_animated(True)
    canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)
    # What passes below a legend is covered by what it looks like on the still.
    legends = [ax.get_legend() for ax in figure.axes]
    covers = [canvas.copy_from_bbox(legend.get_window_extent().padded(1))
              for legend in legends if legend is not None]
    for t in times.tolist():
        canvas.restore_region(still)
        for picture in pictures:
            picture.move(t)
        title.set_text(clock(t))
        for artist in layers:
            own = artist.axes
            assert own is not None
            own.draw_artist(artist)
        for cover in covers:
            canvas.restore_region(cover)
        figure.draw_artist(title)
        yield _pixels(canvas)


def called(what: Callable[..., object], times: np.ndarray, dpi: float) -> Iterator[np.ndarray]:
    """Frames of a function of a time and axes, which are new each time."""
    figure, canvas = _figure(size_of(["one"]), dpi)
    seen, layouts, found = [], [], looks(times)
    asked = some(len(found), LAYOUTS)
    for k, t in enumerate(found):
        _anew(figure, what, t)
        seen.append([_ends(ax) for ax in figure.axes])
        if k in asked:
            layouts.append(_layout(figure, t))
    # Axes that are there at some times only have limits of their own, but for the first.
    count = {len(ends) for ends in seen}
    kept = max(count) if len(count) == 1 else min(1, *count)
    common = [_union(ends) for ends in zip(*(ends[:kept] for ends in seen))]
    # What leaves least room to the first axes leaves room for the words of all frames.
    places = min(layouts, key=lambda boxes: boxes[0].width * boxes[0].height if boxes else 0.0)
    for t in times.tolist():
        engine = _anew(figure, what, t)
        for ax, ends in zip(figure.axes, common):
            # What is there between the looks only is not cut off.
            _limit(ax, _union([ends, _ends(ax)]))
        if not figure.get_suptitle():
            _title(figure, clock(t))
        if len(count) == 1 and figure.get_layout_engine() is engine:
            # Axes that follow their labels would tremble.
            figure.set_layout_engine("none")
            for ax, place in zip(figure.axes, places):
                ax.set_position(place, which="original")
        canvas.draw()
        yield _pixels(canvas)


def _figure(inches: tuple[float, float], dpi: float) -> tuple[Figure, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    figure = Figure(figsize=inches, dpi=dpi, layout="constrained")
    return figure, FigureCanvasAgg(figure)


def _title(figure: Figure, text: str) -> Any:
    return figure.suptitle(text, x=0.02, ha="left", fontsize="medium")


def _anew(figure: Figure, what: Callable[..., object], t: float) -> object:
    """Let a function draw on an empty figure, which is laid out by the engine returned."""
    figure.clear()
    figure.set_layout_engine("constrained")
    engine = figure.get_layout_engine()
    what(t, figure.subplots())
    return engine


def _layout(figure: Figure, t: float) -> list[Any]:
    """Boxes of all axes, as their words need room."""
    if not figure.get_suptitle():
        _title(figure, clock(t))
    figure.draw_without_rendering()
    return [ax.get_position(original=True).frozen() for ax in figure.axes]


Ends = tuple[float, float, float, float]


def _ends(ax: Axes) -> Ends:
    """Limits, the smaller ones first."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    return min(left, right), max(left, right), min(bottom, top), max(bottom, top)


def _union(ends: Sequence[Ends]) -> Ends:
    left, right, bottom, top = zip(*ends)
    return min(left), max(right), min(bottom), max(top)


def _limit(ax: Axes, ends: Ends) -> None:
    """Set limits of axes, turned round if they were; colour bars have those of their image."""
    if ax.get_label() == "<colorbar>":
        return
    x, y = ends[:2], ends[2:]
    ax.set(xlim=x[::-1] if ax.xaxis_inverted() else x, ylim=y[::-1] if ax.yaxis_inverted() else y)


def _layers(figure: Figure, moving: Sequence[Artist]) -> Iterator[Artist]:
    """What has to be drawn for every frame, lowest first: what moves, and what is above it."""
    from matplotlib.axis import Axis
    from matplotlib.legend import Legend
    from matplotlib.spines import Spine
    for ax in sorted(figure.axes, key=lambda ax: ax.get_zorder()):
        own = [artist.get_zorder() for artist in moving if artist.axes is ax]
        if not own:
            continue
        above = [artist for artist in ax.get_children()
                 if not isinstance(artist, Axis | Legend | Spine) and artist is not ax.patch
                 and artist.get_zorder() >= min(own)]
        yield from sorted(above, key=lambda artist: artist.get_zorder())


def _pixels(canvas: Any) -> np.ndarray:
    shown = np.asarray(canvas.buffer_rgba())
    alpha = shown[:, :, 3:]
    if (alpha == 255).all():
        return np.array(shown[:, :, :3])
    # What is transparent is on paper, or on black if the words of a dark style are light.
    ground = 0.0 if light(rcParams["text.color"]) else 255.0
    part = alpha / 255.0
    return np.asarray(np.rint(part * shown[:, :, :3] + (1 - part) * ground), dtype=np.uint8)
