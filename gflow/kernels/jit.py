"""How kernels are compiled, so that the first call is quick and the code is small.

A `Kernel` that Python calls is compiled and kept on disk (`store`). A kernel that another one calls
is a draft in its caller: the plain function of a numba dispatcher would be optimised, turned into
machine code and given a wrapper for Python by itself, and so would everything below it, at every
level again. That takes half of the time, and nobody calls the result.

Drafts, files and the announcement use parts of numba that may change. Where one fails, numba does
it its own way.
"""

import gc
from contextlib import suppress
from functools import cached_property, partial, update_wrapper
from typing import Any

from numba import config, njit, types

try:
    from .drafts import DraftCompiler, KernelCompiler, forward, remembered
except Exception:
    DraftCompiler = None  # type: ignore[assignment,misc]
try:
    from .store import KernelCache, folder, noted
except Exception:
    KernelCache = None  # type: ignore[assignment,misc]
# Compiling is announced from here on.
with suppress(Exception):
    from . import announce  # noqa: F401

_OFF = bool(getattr(config, "DISABLE_JIT", 0))
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True,
                            # Nobody calls them from C, and these wrappers take time to compile.
                            "no_cfunc_wrapper": True}


def _keep(dispatcher: Any) -> None:
    """Have what a dispatcher compiles kept on disk, if that is possible."""
    function = dispatcher.py_func
    if KernelCache is not None:
        try:
            if folder(function) is not None:
                dispatcher._cache = KernelCache(function)
            return
        except Exception:
            pass
    try:
        dispatcher.enable_caching()
    except Exception:
        # No folder that numba likes: compiled in every process.
        pass


class Kernel:
    """A compiled function: from Python, or within other kernels.

    Parameters
    ----------
    function : callable
    options : dict
        Further options of `numba.njit`.

    Examples
    --------
    >>> @kernel
    ... def half(x):
    ...     return x / 2
    >>> half(3.0)
    1.5
    """

    drafts = DraftCompiler is not None
    """Whether kernels within others are drafts: until that fails."""

    def __init__(self, function: Any, options: dict[str, Any]) -> None:
        update_wrapper(self, function)
        self.py_func, self._options = function, _OPTIONS | options
        if KernelCache is not None:
            noted(function.__code__.co_filename)

    def __call__(self, *arguments: Any) -> Any:
        return self.alone(*arguments)

    @cached_property
    def alone(self) -> Any:
        """The dispatcher that Python calls."""
        own: dict[str, Any] = {"pipeline_class": KernelCompiler} if Kernel.drafts else {}
        dispatcher = njit(**(own | self._options))(self.py_func)
        if not _OFF:
            _keep(dispatcher)
            dispatcher.compile = partial(self._compile, dispatcher.compile)
        return dispatcher

    def _compile(self, compiler: Any, signature: Any) -> Any:
        """Compile, once more without drafts if that fails; and without the collector of garbage,
        which would look again and again at all that is made."""
        wanted = gc.isenabled()
        gc.disable()
        try:
            if not Kernel.drafts:
                return compiler(signature)
            with remembered(), forward():
                return compiler(signature)
        except Exception:
            if not Kernel.drafts:
                raise
            Kernel.drafts = False
            # By another dispatcher: the first one remembers that it failed.
            self.__dict__.pop("alone", None)
            return self.alone.compile(signature)
        finally:
            if wanted:
                gc.enable()

    @cached_property
    def draft(self) -> Any:
        """The dispatcher that other kernels call."""
        return njit(pipeline_class=DraftCompiler, **self._options)(self.py_func)

    @property
    def _numba_type_(self) -> Any:
        return types.Dispatcher(self.draft if Kernel.drafts else self.alone)


def _decorator(function: Any, **options: Any) -> Any:
    return function if _OFF else Kernel(function, options)


kernel = _decorator
"""For most functions."""
leaf = partial(_decorator, _nrt=False)
"""For functions that neither make nor return arrays: without counting references to those that
they are given. The counts are shared by all threads, and cost more than a short loop."""
summed = partial(_decorator, _nrt=False, fastmath={"reassoc", "nsz"})
"""For leaves that are one long sum: in any order, several terms at a time, so that none waits for
the one before. Nothing else of what is called fast mathematics."""
maker = partial(_decorator, _nrt=True)
"""For functions that make arrays and are called by such: else they would be compiled like these."""
