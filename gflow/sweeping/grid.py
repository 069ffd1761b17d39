"""From a grid to tasks: parameters, keys and seeds.

A task is a mapping of parameters and a seed index. Its random numbers come from a hash of both, so
that they do not depend on what else is in the grid, and the task can be rerun alone.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import inspect
import itertools
import json
import math
import numbers
import unicodedata
from types import FunctionType, MethodType
from typing import Any, Callable, Collection, Iterable, Mapping, NamedTuple, Sequence

import numpy as np

from ..problem.words import cut, kind_of, listed, short

Points = Mapping[str, object] | Iterable[Mapping[str, object]]
Grid = Points | Callable[[], Points]
"""What a sweep runs on: a mapping of lists, a list of mappings, or what returns one of these."""
RESERVED = ("rng", "seed")
"""Names that a parameter cannot have."""
LARGEST = 2**53
"""Whole numbers beyond this are not kept by every reader of JSON."""
SEED_BITS = 4096
"""A root seed is written with decimals; Python reads no more than 4300."""
MOST = 10**7
"""Tasks are in memory."""
DEEPEST = 100
"""Lists within lists: one may be in itself."""


class Task(NamedTuple):
    """One call of ``run``.

    Attributes
    ----------
    key : str
        Hash of the parameters and the seed index; names the task in the store.
    params : str
        Parameters as canonical JSON.
    seed : int
        Seed index.
    spawn : tuple of int
        ``spawn_key`` of its `numpy.random.SeedSequence`.
    """

    key: str
    params: str
    seed: int
    spawn: tuple[int, ...]


def tasks(grid: Grid, seeds: int | Iterable[int] = 1, shared: Sequence[str] = (),
          run: Callable[..., Any] | None = None) -> list[Task]:
    """All tasks of a grid, parameters in the order given, seeds innermost.

    Parameters
    ----------
    grid : mapping of lists, list of mappings, or callable
        A mapping stands for all combinations of its values; a callable takes no argument and
        returns one of the others. Values: numbers, strings, booleans, None, lists of these.
    seeds : int or list of int
        Number of seeds, or the seed indices.
    shared : sequence of str
        Parameters that do not change the random numbers: tasks that differ in these only share
        their draws.
    run : callable, optional
        If given, it must be callable with every mapping and ``rng``.

    Returns
    -------
    list of Task

    Raises
    ------
    TypeError, ValueError
        If the grid is empty, repeats a task, or has names or values that do not work.

    Examples
    --------
    >>> [(task.params, task.seed) for task in tasks({"n": [5, 10]}, seeds=2)]
    [('{"n": 5}', 0), ('{"n": 5}', 1), ('{"n": 10}', 0), ('{"n": 10}', 1)]
    """
    _check_shared(shared)
    indices = seed_indices(seeds)
    found: dict[str, Task] = {}
    names: set[str] = set()
    signature, given = _signature(run), _given(run)
    points = _points(grid)
    if len(points) * len(indices) > MOST:
        raise ValueError(f"grid has {len(points)} points and seeds {len(indices)} indices: give at "
                         f"most {MOST} tasks")
    for point in points:
        values = {name: _plain(name, value) for name, value in point.items()}
        _check_names(values, signature, given)
        names.update(values)
        for seed in indices:
            task = make_task(values, seed, shared)
            if task.key in found:
                raise ValueError(f"grid has {_shown(values)} twice: drop one of them (to repeat a "
                                 "task with other random numbers, use seeds)")
            found[task.key] = task
    if not found:
        raise ValueError("grid is empty: give at least one value for each parameter")
    unknown = set(shared) - names
    if unknown:
        raise ValueError(f"shared has {short(sorted(unknown)[0])}, which is no parameter of the "
                         f"grid: choose among {listed(sorted(names))}")
    return list(found.values())


def _check_shared(shared: Any) -> None:
    # No iterator: it would be empty the second time. Nor an array without axes.
    if isinstance(shared, str) or not isinstance(shared, Collection) or \
            not getattr(shared, "ndim", 1) or not all(isinstance(name, str) for name in shared):
        raise TypeError(f"shared is {_shown(shared)}: give a list of names of parameters")


def make_task(params: Mapping[str, Any], seed: int, shared: Iterable[str] = ()) -> Task:
    """The task with these parameters (plain values) and this seed index."""
    text = json.dumps(dict(params), allow_nan=False)
    drawn = {name: value for name, value in params.items() if name not in shared}
    words = np.frombuffer(_digest(drawn)[:16], dtype="<u4")
    key = hashlib.sha256(_digest(params) + f":{seed}".encode()).hexdigest()
    return Task(key, text, seed, (*(int(word) for word in words), seed))


def task_rng(params: Mapping[str, object], seed: int, rng: int = 0,
             shared: Iterable[str] = ()) -> np.random.Generator:
    """The random numbers of a task, to run it alone.

    Parameters
    ----------
    params : mapping
        Its parameters.
    seed : int
        Its seed index.
    rng : int
        The root seed of the sweep.
    shared : sequence of str
        As it was for the sweep.

    Returns
    -------
    numpy.random.Generator

    Examples
    --------
    >>> draw = task_rng({"n": 5}, seed=3)
    >>> float(draw.uniform()) == float(task_rng({"n": 5}, seed=3).uniform())
    True
    """
    _check_shared(shared)
    plain = {name: _plain(name, value) for name, value in params.items()}
    return spawned(root_seed(rng), make_task(plain, seed, shared).spawn)


def root_seed(rng: Any) -> int:
    """A root seed, which must be a number so that a sweep can be gone on with.

    Examples
    --------
    >>> root_seed(0)
    0
    """
    if isinstance(rng, bool) or not isinstance(rng, numbers.Integral):
        raise TypeError(f"rng is {short(rng)}: give a whole number as the root seed of the sweep")
    if rng < 0 or int(rng).bit_length() > SEED_BITS:
        raise ValueError(f"rng = {_shown(rng)}: a seed is a whole number that is not negative and "
                         f"below 2**{SEED_BITS}")
    return int(rng)


def spawned(root: int, spawn: Iterable[int]) -> np.random.Generator:
    """Generator of the child of a root seed that has this ``spawn_key``."""
    return np.random.default_rng(np.random.SeedSequence(root, spawn_key=tuple(spawn)))


def seed_indices(seeds: Any) -> list[int]:
    """Seed indices from a number of seeds or a list of indices.

    Examples
    --------
    >>> seed_indices(3), seed_indices([7, 2])
    ([0, 1, 2], [7, 2])
    """
    if isinstance(seeds, np.ndarray) and not seeds.ndim:
        seeds = seeds.item()
    if isinstance(seeds, numbers.Integral) and not isinstance(seeds, bool):
        if int(seeds) > MOST:
            raise ValueError(f"seeds is {_shown(seeds)}: give at most {MOST}")
        indices = list(range(int(seeds)))
    elif isinstance(seeds, str | bytes | bool | Mapping) or not isinstance(seeds, Iterable):
        raise TypeError(f"seeds is {short(seeds)}: give the number of seeds, or a list of indices")
    else:
        indices = _listed("seeds", seeds)
    for seed in indices:
        if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or \
                not 0 <= seed <= LARGEST:
            raise ValueError(f"seeds has {_shown(seed)}: an index is a whole number from 0 to "
                             "2**53")
    if not indices:
        raise ValueError(f"seeds is {_shown(seeds)}: give at least one")
    if len(set(indices)) < len(indices):
        raise ValueError(f"seeds is {_shown(seeds)}: give every index once")
    return [int(seed) for seed in indices]


def _points(grid: Any) -> list[dict[str, Any]]:
    """The grid as a list of mappings."""
    if callable(grid) and not isinstance(grid, Mapping):
        grid = grid()
    if isinstance(grid, Mapping):
        axes = {name: _axis(name, values) for name, values in grid.items()}
        if (count := math.prod(map(len, axes.values()))) > MOST:
            raise ValueError(f"grid has {count} points: give at most {MOST}")
        return [dict(zip(axes, point)) for point in itertools.product(*axes.values())]
    if isinstance(grid, str | bytes) or not isinstance(grid, Iterable) or \
            not getattr(grid, "ndim", 1):
        raise TypeError(f"grid is {kind_of(grid)}: give a mapping of lists, a list of "
                        "mappings, or a callable that returns one of these")
    points = _listed("grid", grid)
    for point in points:
        if not isinstance(point, Mapping):
            raise TypeError(f"grid has {kind_of(point)} in its list: give mappings of "
                            "parameters, such as {\"n\": 5}")
    return [dict(point) for point in points]


def _axis(name: Any, values: Any) -> list[Any]:
    """Values of one parameter; a single one may stand without a list."""
    if values is None or isinstance(values, str | bytes | numbers.Number | np.generic) or \
            isinstance(values, np.ndarray) and not values.ndim:
        return [values]
    if isinstance(values, Mapping) or not isinstance(values, Iterable):
        raise TypeError(f"grid[{name!r}] is {kind_of(values)}: give a list of values")
    axis = _listed(f"grid[{name!r}]", values)
    if not axis:
        raise ValueError(f"grid[{name!r}] is empty: give at least one value")
    return axis


def _listed(what: str, values: Iterable[Any]) -> list[Any]:
    """Values as a list, if memory holds them: a range may be long, and an iterator has no end."""
    if isinstance(values, range) and values[MOST:] or \
            len(found := list(itertools.islice(values, MOST + 1))) > MOST:
        raise ValueError(f"{what} has more than {MOST} entries: give fewer")
    return found


def _signature(run: Callable[..., Any] | None) -> inspect.Signature | None:
    try:
        return None if run is None else inspect.signature(run)
    except (TypeError, ValueError):
        # Some compiled functions have none.
        return None


def _given(run: Any) -> set[str]:
    """Names of what ``run`` gets by position: the object of a method, arguments of a partial."""
    inner: Any = getattr(type(run), "__call__", None)
    count = 1
    if isinstance(run, functools.partial):
        inner, count = run.func, len(run.args)
    elif isinstance(run, type):
        inner = vars(run).get("__init__")
    elif isinstance(run, MethodType):
        inner = run.__func__
    if not isinstance(inner, FunctionType) and not isinstance(run, functools.partial):
        return set()
    signature = _signature(inner)
    names = [] if signature is None else [
        name for name, parameter in signature.parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    return {*names[:count], *_given(inner)}


def _check_names(values: Mapping[str, Any], signature: inspect.Signature | None,
                 given: Collection[str] = ()) -> None:
    for name in values:
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"grid has the parameter {name!r}: a name is a Python identifier")
        plain = unicodedata.normalize("NFKC", name)
        if plain != name and signature is not None and plain in signature.parameters:
            raise ValueError(f"grid has the parameter {name!r}, which Python code reads as "
                             f"{ascii(plain)}: write it so")
        if name in given:
            raise ValueError(f"grid has the parameter {name!r}, which run gets already, as a "
                             "method or by functools.partial: rename it")
        if name in RESERVED:
            raise ValueError(f"grid has the parameter {name!r}, a name taken by the sweep: "
                             "rename it (seeds are given by seeds=)")
    if signature is None:
        return
    try:
        signature.bind(**values, rng=None)
    except TypeError as error:
        raise TypeError(f"run cannot be called as run({', '.join([*values, 'rng'])}): {error}; "
                        "it takes every parameter of the grid and rng, by name") from None


def _plain(name: Any, value: Any, depth: int = 0) -> Any:
    """A value that survives JSON unchanged; what ``run`` is called with."""
    if isinstance(value, enum.Enum):
        # Some are numbers or strings, and would arrive as these.
        raise TypeError(f"grid[{name!r}] has {_shown(value)}, a member of an enumeration: give its "
                        ".value or .name")
    if isinstance(value, np.generic) or \
            type(value) is np.ndarray and not value.ndim:
        # Dates would become whole numbers or None.
        if value.dtype.kind in "mM":
            raise TypeError(f"grid[{name!r}] has a date or a span of time: give numbers or strings")
        value = value.item()
    if isinstance(value, list | tuple):
        if depth == DEEPEST:
            raise ValueError(f"grid[{name!r}] has a list in itself, or more than {DEEPEST} lists "
                             "within each other: give lists of numbers or strings")
        return [_plain(name, item, depth + 1) for item in value]
    if value is None or isinstance(value, bool):
        return value
    # Of a class of the user, what JSON keeps.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise ValueError(f"grid[{name!r}] has {_shown(value)}: give whole numbers up to 2**53")
        return int.__int__(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"grid[{name!r}] has {value}: give finite numbers, or None")
        return float.__float__(value)
    raise TypeError(f"grid[{name!r}] has {kind_of(value)}: give numbers, strings, "
                    "booleans, None, or lists of these")


def _shown(value: Any) -> str:
    """A value in a message, which stays short; Python does not write very large numbers."""
    try:
        text = repr(value)
    except ValueError:
        return f"a number of {int(value).bit_length()} bits"
    except RecursionError:
        return f"{kind_of(value)} of many within each other"
    except Exception:
        # What users hand in may have no words.
        return kind_of(value)
    return cut(text, 100)


def _digest(params: Mapping[str, Any]) -> bytes:
    """Hash of the parameters, whatever their order."""
    return hashlib.sha256(json.dumps(dict(params), sort_keys=True).encode()).digest()
