"""What counts of objects of packages: not what they note on first use, at random or of clocks."""

from __future__ import annotations

import decimal
import enum
import functools
import gc
import re
import struct
import threading
import weakref
from contextvars import ContextVar
from types import FunctionType
from typing import Any, Callable

import numpy as np

from .sources import PACKAGE

CIRCUMSTANCES = {"stats": "wall_time", "settings": "threads"}
"""What a result of gflow notes of the clock and the machine: another run of the same has others."""
LATE = {"numpy": ("_ufunc", "_token"),
        "scipy": ("_has_sorted_indices", "_has_canonical_format", "_constant_cache",
                  "_method_cache", "_moment_central_cache", "_moment_methods",
                  "_moment_raw_cache", "_support_cache"),
        "pandas": ("_cache",)}
"""What packages note in their objects on first use, by package."""
BLANK = {"xarray": ("_attrs", "_encoding")}
"""Where packages write an empty mapping on first use."""
FIRST: dict[str, dict[str, Any]] = {
    "matplotlib.cbook": {"_cid_gen": 0}, "matplotlib.transforms": {"_invalid": 0},
    "scipy.sparse": {"has_canonical_format": False},
    "scipy.spatial": {"_transform": None, "_vertex_to_simplex": None,
                      "_vertex_neighbor_vertices": None}}
"""What packages set on first use, as it is before."""
VIEWS = {type({}.keys()), type({}.values()), type({}.items())}
COUNTERS = slice(7, 11)
"""Where the trees of scikit-learn count what they were asked."""


def settled(kind: type, state: Any, assigned: Callable[[str], bool] = lambda name: False) -> Any:
    """State of an object without what is computed on first use: that comes and goes.

    ``assigned`` says of which attributes the code of the user sets some: a property that is cached
    may have been overruled.
    """
    top = kind.__module__.partition(".")[0]
    if top == "sklearn" and kind.__module__.startswith("sklearn.neighbors._") and \
            isinstance(state, tuple) and len(state) > COUNTERS.stop:
        return state[:COUNTERS.start] + (0,) * 4 + state[COUNTERS.stop:]
    if top == "pandas" and isinstance(state, tuple) and isinstance(state[-1], dict):
        # There is a mapping from the first use on.
        return state[:-1] + ((rest,) if (rest := settled(kind, state[-1])) else ())
    if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):
        # Of a class with slots.
        return tuple(settled(kind, part, assigned) for part in state)
    if not isinstance(state, dict):
        return state
    if any(base.__module__.startswith("scipy.interpolate.") for base in kind.__mro__):
        state = _of_fitpack(state)
    late = {name for base in kind.__mro__ for name, member in vars(base).items()
            if isinstance(member, functools.cached_property)
            and not (name in state and assigned(name))}.union(LATE.get(top, ()))
    if state and late.issuperset(state):
        # As before the first use: Python has no mapping then.
        return None
    state = {name: item for name, item in state.items() if name not in late}
    for name in BLANK.get(top, ()):
        if name in state and not state[name]:
            state[name] = {}
    part = ".".join(kind.__module__.split(".")[:2])
    state |= {name: item for name, item in FIRST.get(part, {}).items() if name in state}
    if top == PACKAGE:
        state = {name: _without(item, CIRCUMSTANCES.get(name)) for name, item in state.items()}
    return state


def _of_fitpack(state: dict[str, Any]) -> dict[str, Any]:
    """State of a spline without the room that its fit has left empty: anything may be in it."""
    fit: tuple[Any, ...] = state.get("_data") or ()
    if len(fit) != 14:
        return state
    # Knots and coefficients, of which there are fewer than room is for.
    order, count, knots, coefficients = fit[5], fit[7], fit[8], fit[9]
    kept = knots[:count], coefficients[:count - order - 1]
    return state | {"_data": (*fit[:8], *kept, fit[10], fit[13]), "_eval_args": None}


def _without(value: Any, name: str | None) -> Any:
    """A mapping without an entry; other values as they are."""
    if name is None or not isinstance(value, dict) or name not in value:
        return value
    return {key: item for key, item in value.items() if key != name}


def members_of(kind: type) -> dict[str, Any]:
    """What stands in a class, without what Python notes in it on first use."""
    found = dict(vars(kind))
    if issubclass(kind, enum.Enum):
        # Combinations of flags are added as they occur.
        named = found.get("_member_map_", {})
        found |= {name: {value: item for value, item in found[name].items()
                         if named.get(item._name_) is item}
                  for name in found.keys() & {"_value2member_map_"}}
        found |= {f"of {name}": own for name, member in named.items()
                  if (own := {word: item for word, item in vars(member).items()
                              if word[:1] != "_"})}
    if found.get("_is_protocol") is False and any(
            vars(base).get("__init__") is found.get("__init__") for base in kind.__mro__[1:]):
        # Classes under a protocol get that of a base with their first object.
        found.pop("__init__", None)
    return found


def inner(value: Any) -> Any:
    """The function that Numba or NumPy has made something of; None if there is none."""
    if type(value) is np.ufunc:
        return next((item for item in gc.get_referents(value) if isinstance(item, FunctionType)),
                    None)
    if type(value).__module__.partition(".")[0] != "numba":
        return None
    for holder in (value, getattr(value, "_dispatcher", None),
                   getattr(value, "gufunc_builder", None)):
        if isinstance(function := getattr(holder, "py_func", None), FunctionType):
            return function
    return getattr(value, "_pyfunc", None)


def made_for(value: Any) -> list[Any]:
    """Types that something compiled takes if it takes no others, and of a ufunc how it reduces."""
    found: list[Any] = [getattr(value, name) for name in ("nin", "nout", "signature", "identity")
                        if hasattr(value, name)]
    if (signature := getattr(value, "_sig", None)) is not None:
        found.append(str(signature))
    if type(value) is np.ufunc or getattr(value, "_frozen", False):
        found += value.types
    elif getattr(value, "_can_compile", True) is False:
        found += map(str, value.nopython_signatures)
    return found


def essence(value: Any) -> tuple[Any, ...] | None:
    """What an object counts by of which pickle keeps a name, a random number or a clock."""
    kind = type(value)
    # That of some classes of compilers is no string.
    name, top = kind.__name__, str(kind.__module__).partition(".")[0]
    if top == "numba":
        return _of_numba(value)
    if (content := _of_python(value)) is not None:
        return content
    if top in ("toolz", "cytoolz") and name == "curry":
        return value.func, value.args, value.keywords
    if top == "joblib" and hasattr(value, "_func_code_info"):
        # Where its results are kept does not change them.
        return value.func, value.ignore
    if top == "dask" and name == "DelayedLeaf":
        return value._obj, value._pure, value._nout
    if top == "matplotlib" and getattr(value, "_isinit", True) is False:
        # What it computes on first use can be written to, and counts.
        value._init()
    return None


def _of_python(value: Any) -> tuple[Any, ...] | None:
    """The same of the standard library."""
    if isinstance(value, ContextVar):
        try:
            return value.name, value.get()
        except LookupError:
            return (value.name,)
    if isinstance(value, decimal.Context):
        # Not the flags, which are set by use.
        return (value.prec, value.rounding, value.Emin, value.Emax, value.capitals, value.clamp,
                sorted(kind.__name__ for kind, caught in value.traps.items() if caught))
    if isinstance(value, struct.Struct):
        return (value.format,)
    if isinstance(value, memoryview):
        return value.format, value.shape, value.tobytes()
    if isinstance(value, weakref.ref):
        return (value(),)
    if isinstance(value, threading.local):
        return (vars(value),)
    return None


def beyond(value: Any) -> list[Any]:
    """Functions in an object that pickle does not take, such as `functools.cmp_to_key` makes, and
    the mapping of a view.

    Examples
    --------
    >>> [function.__name__ for function in beyond(functools.cmp_to_key(inner))]
    ['inner']
    """
    if type(value) in VIEWS:
        return [value.mapping]
    return [item for item in gc.get_referents(value) if isinstance(item, FunctionType)]


def _of_numba(value: Any) -> tuple[Any, ...] | None:
    """The same of what Numba has made, but for functions, which are those of `inner`."""
    name = type(value).__name__
    if name == "StencilFunc":
        return value.kernel_ir.func_id.func, value.mode, value.options
    if type(value).__module__.startswith("numba.typed."):
        kind = str(getattr(value, "_list_type", None) or getattr(value, "_dict_type", None))
        return kind, list(value.items() if name == "Dict" else value)
    if name == "JitClassType":
        return essence(value.class_type)
    if name == "ClassType":
        fields = list(value.struct.items())
        # Types of classes have an address in their names.
        kinds = [(field, re.sub("#[0-9a-f]+", "", str(of))) for field, of in fields]
        return (value.class_name, kinds, [getattr(of, "class_type", None) for _, of in fields],
                value.jit_methods, value.jit_props, value.jit_static_methods)
    return None
