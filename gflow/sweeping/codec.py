"""Results to and from what a store holds: JSON for scalars, npy bytes for arrays, no pickle.

Both are canonical: the same result gives the same bytes.
"""

from __future__ import annotations

import io
import json
import math
from typing import Any, Iterable, Mapping

import numpy as np

from .grid import RESERVED

LARGEST = 100_000_000
"""Bytes that the arrays of one result may take."""
SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def encode(result: Any, params: Iterable[str] = ()) -> tuple[str, dict[str, bytes]]:
    """A result as JSON text and npy bytes by name.

    Parameters
    ----------
    result : mapping
        Names to real numbers, strings, None, arrays or lists of numbers.
    params : iterable of str
        Names that are taken.

    Returns
    -------
    scalars : str
    arrays : dict of bytes

    Raises
    ------
    TypeError, ValueError
        If the result is not of this kind, uses a taken name, or is too large.

    Examples
    --------
    >>> text, arrays = encode({"loss": 0.5, "rate": np.inf, "norms": np.ones(2)})
    >>> text
    '{"loss": 0.5, "rate": {"float": "inf"}, "norms": {"array": true}}'
    >>> decode(text, arrays)
    {'loss': 0.5, 'rate': inf, 'norms': array([1., 1.])}
    """
    if not isinstance(result, Mapping):
        raise TypeError(f"run returned a {type(result).__name__}: return a mapping of names to "
                        "scalars and small arrays")
    taken = {*params, *RESERVED}
    scalars: dict[str, Any] = {}
    arrays: dict[str, bytes] = {}
    for name, value in result.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"run returned the name {name!r}: names are strings")
        if name in taken:
            raise ValueError(f"run returned {name!r}, the name of a parameter or of the seed: "
                             "rename it")
        plain = _scalar(value)
        if plain is NotImplemented:
            arrays[name] = _array(name, value)
            plain = {"array": True}
        scalars[name] = plain
    size = sum(map(len, arrays.values()))
    if size > LARGEST:
        raise ValueError(f"run returned arrays of {size} bytes: a store takes {LARGEST} a task; "
                         "save large arrays to files and return their names")
    return json.dumps(scalars, allow_nan=False), arrays


def decode(scalars: str, arrays: Mapping[str, bytes]) -> dict[str, Any]:
    """The result that `encode` wrote."""
    result = {}
    for name, value in json.loads(scalars).items():
        if isinstance(value, dict):
            value = (SPECIAL[value["float"]] if "float" in value else
                     np.load(io.BytesIO(arrays[name]), allow_pickle=False))
        result[name] = value
    return result


def _scalar(value: Any) -> Any:
    """What JSON keeps of a scalar; NotImplemented for anything else."""
    if isinstance(value, np.generic) or isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return {"float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    return NotImplemented


def _array(name: str, value: Any) -> bytes:
    try:
        array = np.asarray(value if isinstance(value, np.ndarray | list | tuple) else None)
    except ValueError:
        raise ValueError(f"run returned {name!r} as a ragged list: return rectangular "
                         "arrays") from None
    if array.dtype.kind not in "biufcUS":
        raise TypeError(f"run returned {name!r} as a {type(value).__name__}: return real numbers, "
                        "strings, None, or arrays of numbers")
    file = io.BytesIO()
    # C order, so that equal arrays give equal bytes.
    np.save(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()
