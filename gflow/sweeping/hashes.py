"""Hashes of bytes, texts and values that hold no others."""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
from typing import Any

import numpy as np

LARGE = 1_000_000
"""Entries from which on plain ones are hashed as a whole: one by one they would take too long."""
EXTENDED = (np.longdouble, np.clongdouble)
PLAIN = {int, float, str, bool, type(None)}


def plain(value: Any) -> bytes | None:
    """Hash of a value that holds no others; None for those that do."""
    kind = type(value)
    if value is None or kind is bool or value is Ellipsis or value is NotImplemented:
        return joined("constant", repr(value))
    if kind is int:
        return joined("int", hex(value))
    if kind is float:
        return joined("float", struct.pack("<d", value))
    if kind is complex:
        return joined("complex", struct.pack("<2d", value.real, value.imag))
    if kind in (str, bytes, bytearray):
        return joined(kind.__name__, value)
    if kind in (list, tuple) and value and type(value[0]) is float and \
            all(type(item) is float for item in value):
        return joined(kind.__name__, "floats", np.array(value).tobytes())
    if kind in (list, tuple, dict, set, frozenset) and len(value) >= LARGE:
        return _large(value)
    return None


def _large(value: Any) -> bytes | None:
    """Hash of a container with very many plain entries, in no order if it has none."""
    kinds = set(map(type, value))
    held = set(map(type, value.values())) if isinstance(value, dict) else kinds
    if not kinds | held <= PLAIN:
        return None
    if not isinstance(value, list | tuple) and kinds not in ({int}, {str}):
        # These cannot be sorted.
        return None
    entries: Any = (value if isinstance(value, list | tuple) else
                    sorted(value.items() if isinstance(value, dict) else value))
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, 4)
    # Equal entries are written alike, whether or not they are one object.
    pickler.fast = True
    pickler.dump(entries)
    return joined(type(value).__name__, "plain", buffer.getvalue())


def unpadded(array: np.ndarray) -> np.ndarray:
    """An array in the order of its indices, with zeros in the bytes of its items that hold nothing:
    extended precision has 80 bits in 16 bytes, and the rest is what was in memory before.

    Examples
    --------
    >>> unpadded(np.array([1, 2], dtype=np.longdouble)[::-1]).tolist() == [2, 1]
    True
    """
    if array.dtype.type not in EXTENDED or np.finfo(np.longdouble).nmant != 63:
        return np.asarray(array, order="C")
    kept, size = np.array(array, order="C"), np.dtype(np.longdouble).itemsize
    items = kept.reshape(-1).view(np.uint8).reshape(-1, size)
    items[:, slice(10, None) if array.dtype.isnative else slice(size - 10)] = 0
    return kept


def joined(*parts: str | bytes) -> bytes:
    """Hash of several texts and hashes."""
    state = hashlib.sha256()
    for part in parts:
        raw = part.encode(errors="surrogatepass") if isinstance(part, str) else part
        # With its length, so that the parts cannot run into each other.
        state.update(struct.pack("<Q", len(raw)))
        state.update(raw)
    return state.digest()
