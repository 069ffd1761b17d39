"""Hashes of bytes, texts and values that hold no others."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np


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
    return None


def joined(*parts: str | bytes) -> bytes:
    """Hash of several texts and hashes."""
    state = hashlib.sha256()
    for part in parts:
        raw = part.encode(errors="surrogatepass") if isinstance(part, str) else part
        # With its length, so that the parts cannot run into each other.
        state.update(struct.pack("<Q", len(raw)))
        state.update(raw)
    return state.digest()
