"""``python -m validation.corruptions``: right runs and corrupted ones, and which are doubted.

A certificate is worth what it finds. Every kind of corruption is made of random runs of both
engines, on plain data, and the share is printed that goes unnoticed; of the runs as they are, the
share that is doubted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.polynomial.chebyshev import chebval

import gflow
from gflow.engines.events import ON, SLIDING
from gflow.flows.archive import checksum
from gflow.kernels.chebyshev import nodes, to_series

RTOL = 1e-8
TIME = 15.0
SHIFT = 1e-3
"""Of the time in which a neuron turns or grows."""
ANGLE = 1e-4
LABEL = 1e-5
Arrays = dict[str, np.ndarray]


def altered(flow: gflow.Flow, edit: Callable[[Arrays], None] = lambda arrays: None,
            summed: bool = True) -> gflow.Flow:
    """The run saved, its arrays changed, and loaded again; ``summed`` says whether with the
    checksum of what they are now.

    Raises
    ------
    ValueError
        If it cannot be loaded.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.npz"
        flow.save(file)
        with np.load(file) as content:
            arrays = {name: value.copy() for name, value in content.items()}
        edit(arrays)
        if summed:
            arrays["checksum"] = np.array(checksum(arrays))
        np.savez(file, **arrays)
        return gflow.load(file)


def freeze(flow: gflow.Flow, who: Sequence[int]) -> gflow.Flow:
    """A run of the same problem in which neurons stand still, and the others follow what is left
    of the labels, as they should."""
    data, start, T = flow.data, flow(0.0), flow.t_end
    m, d = start.W.shape
    keep = [i for i in range(m) if i not in who]
    frozen = list(who)
    h = np.maximum(data.X @ start.W[frozen].T, 0) @ start.a[frozen]
    wrong = altered(gflow.integrate(start, data, T, method="DOP853", rtol=RTOL))
    path = wrong.path
    path.pieces, path.breaks, events = [], [0.0, T], wrong.events[:0]  # type: ignore[misc]
    parts = [np.zeros((1, 0))]
    if keep:
        part = gflow.integrate((start.a[keep], start.W[keep]), (data.X, data.y - h), T,
                               method="DOP853", rtol=RTOL)
        path.breaks, events = list(part.path.breaks), part.events.copy()  # type: ignore[misc]
        events["neuron"] = np.array(keep)[events["neuron"]]
        parts = list(part.path.pieces)
    wrong.events = events
    for series in parts:
        neurons = np.zeros((len(series), m, d + 1))
        neurons[0, :, 0], neurons[0, :, 1:] = start.a, start.W
        neurons[:, keep, 0] = series[:, :len(keep)]
        neurons[:, keep, 1:] = series[:, len(keep):].reshape(len(series), len(keep), d)
        path.pieces.append(np.concatenate(  # type: ignore[attr-defined]
            [neurons[:, :, 0], neurons[:, :, 1:].reshape(len(series), -1)], axis=1))
    return wrong


def reshaped(flow: gflow.Flow, who: int, change: Callable[[np.ndarray, np.ndarray, np.ndarray],
             None], only: int | None = None) -> gflow.Flow:
    """A run of a stepper in which ``change(s, t, u)`` alters one neuron ``u`` (24, d + 1) at the
    places ``s`` in [-1, 1] of every piece, or of one."""
    flow = altered(flow)
    path, (m, d) = flow.path, flow.model.W.shape
    own = np.append(who, m + who * d + np.arange(d))
    for p, series in enumerate(path.pieces):
        if only in (None, p):
            t0, t1 = path.breaks[p:p + 2]
            s = nodes(24)
            values = chebval(s, series).T.copy()
            u = values[:, own]
            change(s, t0 + (s + 1) * (t1 - t0) / 2, u)
            values[:, own] = u
            path.pieces[p] = to_series(24) @ values  # type: ignore[index]
    return flow


def turn_by(u: np.ndarray, by: np.ndarray) -> None:
    """Turn hidden weights."""
    one, other = u[:, 1].copy(), u[:, 2].copy()
    u[:, 1] = np.cos(by) * one - np.sin(by) * other
    u[:, 2] = np.sin(by) * one + np.cos(by) * other


def grow_by(u: np.ndarray, by: np.ndarray) -> None:
    """Make a neuron larger."""
    u *= 1 + by[:, None]


def smoothly(flow: gflow.Flow, who: int, size: float, how: Callable[[np.ndarray, np.ndarray], None]
             = turn_by) -> gflow.Flow:
    """A run of a stepper in which one neuron turns, or grows, by itself, smoothly, from a quarter
    to half of the time."""
    def change(s: np.ndarray, t: np.ndarray, u: np.ndarray) -> None:
        since = np.clip((t - flow.t_end / 4) / (flow.t_end / 4), 0, 1)
        how(u, size * since**3 * (10 - 15 * since + 6 * since**2))

    return reshaped(flow, who, change)


def bump(flow: gflow.Flow, who: int, piece: int, size: float,
         how: Callable[[np.ndarray, np.ndarray], None]) -> gflow.Flow:
    """A run of a stepper in which one neuron turns, or grows, and comes back within one piece."""
    return reshaped(flow, who, lambda s, t, u: how(u, size * (1 - s**2)**2), piece)


def larger(flow: gflow.Flow, who: int) -> gflow.Flow:
    """A run of a stepper in which one neuron jumps in the middle."""
    def change(s: np.ndarray, t: np.ndarray, u: np.ndarray) -> None:
        if t[0] > flow.t_end / 2:
            u *= 1 + ANGLE

    return reshaped(flow, who, change)


def living(flow: gflow.Flow) -> np.ndarray:
    """Neurons that are active somewhere at the end."""
    return np.flatnonzero(flow.pattern(flow.t_end).any(axis=1))


def time_scale(flow: gflow.Flow, event: np.ndarray) -> float:
    """The time in which the neuron of an event turns or grows."""
    i, t, h = event["neuron"], float(event["time"]), 1e-4
    before, after = flow(max(t - h, 0.0)), flow(min(t + h, flow.t_end))
    moved = np.append(after.a[i] - before.a[i], after.W[i] - before.W[i])
    return float(np.hypot(after.a[i], np.linalg.norm(after.W[i]))
                 / max(np.linalg.norm(moved) / 2 / h, 1e-300))


def with_events(flow: gflow.Flow, events: np.ndarray) -> gflow.Flow:
    """The run with other events, in time order."""
    flow = altered(flow)
    flow.events = np.sort(events, order="time", kind="stable")
    return flow


def of_neurons(flow: gflow.Flow, rng: np.random.Generator) -> Iterator[tuple[str, gflow.Flow]]:
    """Corruptions of what neurons do."""
    alive = living(flow)
    if flow.settings["method"] != "DOP853":
        return
    if alive.size:
        yield "one neuron frozen", freeze(flow, [int(rng.choice(alive))])
        some = rng.choice(alive, int(rng.integers(1, alive.size + 1)), replace=False)
        yield "some neurons frozen", freeze(flow, some.tolist())
        yield "a smooth turn", smoothly(flow, int(rng.choice(alive)), ANGLE)
        yield "a neuron grown smoothly", smoothly(flow, int(rng.choice(alive)), ANGLE, grow_by)
        for name, how in (("turns", turn_by), ("grows", grow_by)):
            piece = int(rng.integers(len(flow.path.pieces)))
            yield (f"one {name} and comes back",
                   bump(flow, int(rng.choice(alive)), piece, ANGLE, how))
        yield "a neuron larger from half on", larger(flow, int(rng.choice(alive)))
    broken = altered(flow)
    middle = len(broken.path.pieces) // 2
    series = broken.path.pieces[middle].copy()
    series[-1, 0] = np.nan
    broken.path.pieces[middle] = series  # type: ignore[index]
    yield "NaN", broken


def of_events(flow: gflow.Flow, rng: np.random.Generator) -> Iterator[tuple[str, gflow.Flow]]:
    """Corruptions of the record of events."""
    events = flow.events
    for kind in ("activate", "deactivate", "slide", "release"):
        known = np.flatnonzero(events["kind"] == kind)
        if known.size:
            yield f"{kind} dropped", with_events(flow, np.delete(events, rng.choice(known)))
    if not len(events):
        return
    j = int(rng.integers(len(events)))
    for name in ("late", "early", "of another neuron", "at another point"):
        other, by = events.copy(), SHIFT * time_scale(flow, events[j])
        if name in ("late", "early"):
            other["time"][j] += by if name == "late" else -by
            if not 0 <= other["time"][j] <= flow.t_end:
                continue
        elif name == "of another neuron":
            other["neuron"][j] = (events["neuron"][j] + 1) % flow.path.m
        else:
            other["point"][j] = (events["point"][j] + 1) % flow.data.n
        yield f"event {name}", with_events(flow, other)
    if j + 1 < len(events) and events["time"][j + 1] - events["time"][j] > by:
        other = events.copy()
        other["time"][[j, j + 1]] = other["time"][[j + 1, j]]
        yield "two events swapped", with_events(flow, other)
    yield from of_pairs(flow, rng)


def of_pairs(flow: gflow.Flow, rng: np.random.Generator) -> Iterator[tuple[str, gflow.Flow]]:
    """Corruptions that leave a chain of records of a neuron and a point behind: what was once
    another side, or a slide, was never there, or for a shorter time."""
    events = flow.events
    pair = events["neuron"] * flow.data.n + events["point"]
    stays = []
    for j in rng.permutation(len(events)):
        later = np.flatnonzero(pair[j + 1:] == pair[j])
        if later.size:
            end = j + 1 + int(later[0])
            lasts = events["time"][end] - events["time"][j]
            if lasts > 3 * SHIFT * time_scale(flow, events[j]):
                stays.append((int(j), end))
    for name, kinds in (("a slide", ("slide",)), ("a visit", ("activate", "deactivate"))):
        for j, end in [stay for stay in stays if events["kind"][stay[0]] in kinds][:1]:
            i, k = events["neuron"][j], events["point"][j]
            past = np.flatnonzero(pair[:j] == pair[j])
            before = events["to"][past[-1]] if past.size else flow.initial_pattern[i, k]
            other, drop = events.copy(), [j, end]
            if events["to"][end] != before:
                # It went to the other side, and at once.
                other["to"][j] = events["to"][end]
                other["kind"][j] = "activate" if events["to"][end] == ON else "deactivate"
                drop = [end]
            if other["to"][j] != SLIDING or drop[0] == j:
                yield f"{name} dropped", with_events(flow, np.delete(other, drop))
            other = events.copy()
            other["time"][end] -= (other["time"][end] - other["time"][j]) / 3
            yield f"{name} ended early", with_events(flow, other)


def is_felt(flow: gflow.Flow, data: gflow.Data) -> bool:
    """Whether a run from the same start on other data differs in a single bit: a label of a point
    at which no neuron is ever on is no part of the flow, and there is nothing to doubt."""
    one, other = (gflow.integrate(flow(0.0), some, flow.t_end, method="DOP853", rtol=RTOL)
                  for some in (flow.data, data))
    steps = np.array(one.path.breaks)
    return not (np.array_equal(steps, other.path.breaks)
                and np.array_equal(one.events, other.events)
                and np.array_equal(one.path(steps), other.path(steps)))


def of_files(flow: gflow.Flow, rng: np.random.Generator) -> Iterator[tuple[str, gflow.Flow]]:
    """Corruptions of data and settings."""
    k, other = rng.choice(flow.data.n, 2, replace=False)
    seen = (flow.initial_pattern != 0).any(axis=0)
    seen[flow.events["point"]] = True
    if seen.any() and not seen[k]:
        # The label of a point that no neuron ever sees is no part of the flow.
        k = rng.choice(np.flatnonzero(seen))

    def label(arrays: Arrays) -> None:
        arrays["y"][k] += LABEL

    def labels(arrays: Arrays) -> None:
        arrays["y"][[k, other]] = arrays["y"][[other, k]]

    def times(arrays: Arrays) -> None:
        arrays["path_breaks"] *= 1.001

    def clock(arrays: Arrays) -> None:
        for name in {"path_breaks", "path_stretch_t0", "t"} & set(arrays):
            arrays[name] *= 1.001
        arrays["events"]["time"] *= 1.001

    for name, edit in (("a label changed", label), ("labels swapped", labels)):
        wrong = altered(flow, edit)
        yield name if is_felt(flow, wrong.data) else f"{name}, to no effect", wrong
    yield "times stretched", altered(flow, times)
    yield "all times stretched", altered(flow, clock)


def of_paths(flow: gflow.Flow, rng: np.random.Generator) -> Iterator[tuple[str, gflow.Flow]]:
    """Corruptions of one neuron in a file."""
    alive = living(flow)
    if not alive.size:
        return
    i = int(rng.choice(alive))

    def sign(arrays: Arrays) -> None:
        for name in {"path_U", "path_start", "path_end", "path_series"} & set(arrays):
            # Flat states begin with the output weights.
            stepped = "path_series" in arrays
            arrays[name][(..., i) if stepped else (..., i, 0)] *= -1

    def unit(arrays: Arrays) -> None:
        for name in ("path_power", "path_start_power", "path_end_power"):
            arrays[name][..., i] += 1

    def end(arrays: Arrays) -> None:
        arrays["path_end"][i] *= 1 + ANGLE

    yield "sign of an output weight", altered(flow, sign)
    if flow.settings["method"] == "waveform":
        yield "unit of a neuron", altered(flow, unit)
        yield "end of a neuron", altered(flow, end)


def refuses_other_settings(flow: gflow.Flow) -> bool:
    """Whether a file in which ``rtol`` was raised is refused."""
    def raised(arrays: Arrays) -> None:
        header = str(arrays["header"])
        arrays["header"] = np.array(header.replace('"rtol": 1e-08', '"rtol": 0.001'))

    try:
        altered(flow, raised, summed=False)
    except ValueError:
        return True
    return False


def draw(seed: int) -> tuple[gflow.TwoLayerReLU, gflow.Data]:
    """A plain problem."""
    rng = np.random.default_rng([16, seed])
    d, n, m = int(rng.integers(2, 5)), int(rng.integers(8, 25)), int(rng.integers(3, 9))
    data = gflow.datasets.linear_teacher(n, d, noise=0.5, rng=seed)
    return gflow.init.balanced(m, d, scale=10.0 ** rng.uniform(-2, 0), rng=seed), data


def main(arguments: list[str] | None = None) -> int:
    """Print shares; 0 only if no right run is doubted, and no corrupted one is not."""
    parser = argparse.ArgumentParser(prog="python -m validation.corruptions", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="problems, default: %(default)s")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    options = parser.parse_args(arguments)
    made: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for seed in range(options.first, options.first + options.runs):
        for method in ("DOP853", "waveform"):
            flow = gflow.integrate(*draw(seed), TIME, method=method, rtol=RTOL)
            made["right runs"] += 1
            missed["right runs"] += flow.certificate().ok
            made["rtol raised in the file"] += 1
            missed["rtol raised in the file"] += not refuses_other_settings(flow)
            for kind in (of_neurons, of_events, of_files, of_paths):
                for name, wrong in kind(flow, np.random.default_rng([17, seed])):
                    made[name] += 1
                    missed[name] += wrong.certificate().ok
    for name, count in made.items():
        print(f"{name:32s} {missed[name]:4d} of {count:4d} ok")
    right = {name for name in made if name == "right runs" or name.endswith("to no effect")}
    return int(any(missed[name] < made[name] if name in right else missed[name] for name in made))


if __name__ == "__main__":
    sys.exit(main())
