"""Results to and from what a store holds: JSON for scalars, npy bytes for arrays, no pickle.

Both are canonical: the same result gives the same bytes. What cannot be kept exactly is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import warnings
from typing import Any, Iterable, Mapping

import numpy as np

from ..problem.words import kind_of
from .grid import RESERVED
from .hashes import unpadded

LARGEST = 100_000_000
"""Bytes that the arrays of one result may take."""
DECIMAL = 4096
"""Bits of the whole numbers that are written with decimals: Python reads no more than 4300."""
KEPT = {np.ndarray, np.matrix, np.memmap, np.recarray, np.char.chararray}
"""Arrays that are no more than their entries; others may have units. Masked ones are looked at."""
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
        raise TypeError(f"run returned {kind_of(result)}: return a mapping of names to "
                        "scalars and small arrays")
    taken = {*params, *RESERVED}
    scalars: dict[str, Any] = {}
    arrays: dict[str, bytes] = {}
    for name, value in result.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"run returned the name {name!r}: names are strings")
        if name != writable(name):
            raise ValueError(f"run returned the name {name!r}, which cannot be written to a file: "
                             "rename it")
        if name in taken:
            raise ValueError(f"run returned {name!r}, the name of a parameter or of the seed: "
                             "rename it")
        plain = _scalar(value)
        if plain is NotImplemented:
            arrays[name] = _array(name, value)
            plain = {"array": True}
        scalars[name] = plain
    text = json.dumps(scalars, allow_nan=False)
    size = sum(map(len, arrays.values())) + len(text)
    if size > LARGEST:
        raise ValueError(f"run returned {size} bytes: a store takes {LARGEST} a task; save large "
                         "arrays to files and return their names")
    return text, arrays


def checksum(fields: Iterable[Any], arrays: Mapping[str, bytes]) -> str:
    """Of what a store has of a task: a flipped bit on a disk would be another number.

    Parameters
    ----------
    fields : iterable
        Strings, numbers and None.
    arrays : dict of bytes
        As `encode` wrote them.

    Examples
    --------
    >>> checksum(['{"n": 1}', '{"x": 1}'], {}) == checksum(['{"n": 1}', '{"x": 3}'], {})
    False
    """
    state = hashlib.sha256(json.dumps(list(fields)).encode())
    for name in sorted(arrays):
        state.update(json.dumps([name, len(arrays[name])]).encode())
        state.update(arrays[name])
    return state.hexdigest()[:32]


def writable(text: str) -> str:
    """Text in which letters that are none (halves of pairs, bytes of file names) are spelled out.

    Examples
    --------
    >>> writable("mess\\udcff.csv")
    'mess\\\\udcff.csv'
    """
    return text.encode(errors="backslashreplace").decode()


def decode(scalars: str, arrays: Mapping[str, bytes]) -> dict[str, Any]:
    """The result that `encode` wrote."""
    result = {}
    for name, value in json.loads(scalars).items():
        if isinstance(value, dict):
            value = (SPECIAL[value["float"]] if "float" in value else
                     int(value["int"], 16) if "int" in value else
                     np.load(io.BytesIO(arrays[name]), allow_pickle=False))
        result[name] = value
    return result


def _scalar(value: Any) -> Any:
    """What JSON keeps of a scalar; NotImplemented for anything else."""
    if isinstance(value, np.ma.MaskedArray) or _more(value):
        return NotImplemented
    if isinstance(value, np.generic) or isinstance(value, np.ndarray) and value.ndim == 0:
        # Dates would become whole numbers, or None.
        if value.dtype.kind in "mM":
            return NotImplemented
        value = value.item()
    if isinstance(value, int) and value.bit_length() > DECIMAL:
        return {"int": hex(value)}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return float.__float__(value)
        return {"float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    return NotImplemented


def _more(value: Any) -> bool:
    """Whether a value is an array that may be more than its entries."""
    return isinstance(value, np.ndarray) and type(value) not in KEPT and \
        not isinstance(value, np.ma.MaskedArray)


def _array(name: str, value: Any) -> bytes:
    if _more(value):
        raise TypeError(f"run returned {name!r} as {kind_of(value)}, of which only the "
                        "entries would be kept: return np.asarray of it")
    if np.ma.is_masked(value):
        raise ValueError(f"run returned {name!r} with masked entries: fill them, or return the "
                         "mask too")
    try:
        with warnings.catch_warnings():
            # Masked entries of lists: see below.
            warnings.simplefilter("ignore", UserWarning)
            array = np.asarray(value if isinstance(value, np.ndarray | list | tuple) else None)
    except (ValueError, OverflowError):
        raise ValueError(f"run returned {name!r} as a ragged list: return rectangular "
                         "arrays") from None
    if array.dtype.kind not in "biufcUS":
        raise TypeError(f"run returned {name!r} as {kind_of(value)}: return real numbers, "
                        "strings, None, or arrays of numbers")
    if not isinstance(value, np.ndarray) and not _kept(value, array):
        raise ValueError(f"run returned {name!r} as a list of which an array keeps something "
                         f"else ({array.dtype}): return lists of one type, and whole numbers "
                         "of 64 bits")
    file = io.BytesIO()
    # So that equal arrays give equal bytes.
    np.save(file, unpadded(array), allow_pickle=False)
    return file.getvalue()


def _kept(value: Any, array: Any) -> bool:
    """Whether an array holds what the list did; letters are no numbers."""
    if isinstance(value, list | tuple):
        return all(map(_kept, value, array))
    if isinstance(value, np.ndarray) and value.ndim:
        return not np.ma.is_masked(value) and (
            value.dtype.kind == array.dtype.kind or _kept(value.tolist(), array))
    if np.ma.is_masked(value):
        return False
    kept = array.item()
    # Not so NaN, and NumPy's numbers as Python's.
    plain = value.item() if isinstance(value, np.generic | np.ndarray) else value
    return bool(plain == kept or plain != plain and kept != kept)
