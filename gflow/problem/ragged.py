"""Rows of arrays whose shapes differ: as one array of arrays, and as plain arrays for a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def stacked(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows as one array, of objects that are arrays if their shapes differ.

    Examples
    --------
    >>> stacked([np.ones(2), np.zeros(2)]).shape
    (2, 2)
    >>> stacked([np.ones(2), np.zeros(3)])
    array([array([1., 1.]), array([0., 0., 0.])], dtype=object)
    """
    if len({row.shape for row in rows}) <= 1:
        return np.array(rows)
    dtype = np.result_type(*rows)
    out = np.empty(len(rows), dtype=object)
    for k, row in enumerate(rows):
        out[k] = row.astype(dtype)
        out[k].flags.writeable = False
    return out


def is_ragged(array: np.ndarray) -> bool:
    """Whether `stacked` had to make objects."""
    return array.dtype.kind == "O"


def pack(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """What a file keeps of an array of `stacked`.

    Examples
    --------
    >>> rows = stacked([np.ones(2), np.zeros((1, 3))])
    >>> unpack("x", pack("x", rows), ragged=True)[1]
    array([[0., 0., 0.]])
    """
    if not is_ragged(array):
        return {name: array}
    shapes = [np.array([row.ndim, *row.shape], dtype=np.int64) for row in array]
    return {name: np.concatenate([row.ravel() for row in array]),
            f"{name}_shapes": np.concatenate(shapes)}


def unpack(name: str, arrays: Mapping[str, np.ndarray], ragged: bool) -> np.ndarray:
    """Inverse of `pack`."""
    if not ragged:
        return arrays[name]
    numbers, flat = arrays[f"{name}_shapes"].tolist(), arrays[name]
    rows, at, begin = [], 0, 0
    while at < len(numbers):
        shape = tuple(numbers[at + 1:at + 1 + numbers[at]])
        size = int(np.prod(shape, dtype=np.int64))
        rows.append(flat[begin:begin + size].reshape(shape))
        at, begin = at + 1 + numbers[at], begin + size
    return stacked(rows)
