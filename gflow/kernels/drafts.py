"""Compiling up to machine code, but not to it: for functions that only other kernels call.

This uses what numba does not promise to keep. `jit` does without it where it does not work.
"""

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering


class _DraftLibrary(JITCodeLibrary):
    """Code that is only linked into that of its callers, which optimise it there."""

    def finalize(self) -> None:
        seen = set()
        for library in self._linking_libraries:
            if library not in seen:
                seen.add(library)
                if hasattr(library, "_reload_init"):
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


class DraftCompiler(CompilerBase):
    """The usual compiler with another last pass."""

    def define_pipelines(self) -> list[Any]:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.passes = [(_DraftLowering, note) if step is NativeLowering else (step, note)
                         for step, note in passes.passes]
        passes._finalized = False
        passes.finalize()
        return [passes]
