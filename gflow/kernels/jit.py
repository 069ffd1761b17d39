"""How kernels are compiled, so that the first call is quick and the code is small.

A `Kernel` that Python calls is compiled and kept on disk (`store`). A kernel that another one calls
is a draft in its caller: the plain function of a numba dispatcher would be optimised, turned into
machine code and given a wrapper for Python by itself, and so would everything below it, at every
level again. That takes half of the time, and nobody calls the result.
"""

import gc
from functools import cached_property, partial, update_wrapper
from typing import Any

from numba import config, njit, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering

from .store import KernelCache, folder

_OFF = bool(getattr(config, "DISABLE_JIT", 0))
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True,
                            # Nobody calls them from C, and these wrappers take time to compile.
                            "no_cfunc_wrapper": True}


class _DraftLibrary(JITCodeLibrary):
    """Code that is only linked into that of its callers, which optimise it there."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        seen = set()
        for library in self._linking_libraries:
            if library not in seen:
                seen.add(library)
                self._reload_init.update(library._reload_init)
                self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _DraftLowering(NativeLowering):
    """The last pass of a draft: no machine code."""

    _name = "draft_lowering"

    def run_pass(self, state: Any) -> bool:
        codegen = state.targetctx.codegen()
        state.library = _DraftLibrary(codegen, state.func_id.func_qualname)
        state.flags.no_compile = state.flags.no_cpython_wrapper = True
        NativeLowering.run_pass(self, state)
        # What `no_compile` leaves out: callers find the function by this object.
        key = _DraftKey().__reduce__
        state.targetctx.insert_user_function(key, state["cr"].fndesc, [state.library])
        state["cr"] = state["cr"]._replace(cfunc=key)
        return True


class _DraftKey:
    """Its bound methods are what a dispatcher takes for compiled functions."""


class _DraftCompiler(CompilerBase):
    """The usual compiler with another last pass."""

    def define_pipelines(self) -> list[Any]:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.passes = [(_DraftLowering, note) if step is NativeLowering else (step, note)
                         for step, note in passes.passes]
        passes._finalized = False
        passes.finalize()
        return [passes]


def _undisturbed(compiler: Any) -> Any:
    """Compile without the collector of garbage, which looks again and again at all that is made."""
    def compiled(signature: Any) -> Any:
        wanted = gc.isenabled()
        gc.disable()
        try:
            return compiler(signature)
        finally:
            if wanted:
                gc.enable()
    return compiled


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

    def __init__(self, function: Any, options: dict[str, Any]) -> None:
        update_wrapper(self, function)
        self.py_func, self._options = function, _OPTIONS | options

    def __call__(self, *arguments: Any) -> Any:
        return self.alone(*arguments)

    @cached_property
    def alone(self) -> Any:
        """The dispatcher that Python calls."""
        dispatcher = njit(**self._options)(self.py_func)
        dispatcher.compile = _undisturbed(dispatcher.compile)
        if not _OFF and folder(self.py_func) is not None:
            dispatcher._cache = KernelCache(self.py_func)
        return dispatcher

    @cached_property
    def draft(self) -> Any:
        """The dispatcher that other kernels call."""
        return njit(pipeline_class=_DraftCompiler, **self._options)(self.py_func)

    @property
    def _numba_type_(self) -> Any:
        return types.Dispatcher(self.draft)


def _decorator(function: Any, **options: Any) -> Any:
    return function if _OFF else Kernel(function, options)


kernel = _decorator
"""For most functions."""
leaf = partial(_decorator, _nrt=False)
"""For functions that neither make nor return arrays: without counting references to those that
they are given. The counts are shared by all threads, and cost more than a short loop."""
maker = partial(_decorator, _nrt=True)
"""For functions that make arrays and are called by such: else they would be compiled like these."""
