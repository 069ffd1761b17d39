"""How kernels are compiled."""

from typing import Any

from numba import njit

_OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy", "nogil": True,
                            # Nobody calls them from C, and these wrappers take time to compile.
                            "no_cfunc_wrapper": True}

kernel = njit(**_OPTIONS)
"""For most functions."""
leaf = njit(**(_OPTIONS | {"_nrt": False}))
"""For functions that neither make nor return arrays: without counting references to those that
they are given. The counts are shared by all threads, and cost more than a short loop."""
maker = njit(**(_OPTIONS | {"_nrt": True}))
"""For functions that make arrays and are called by such: else they would be compiled like these."""
