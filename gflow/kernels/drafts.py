"""Compiling up to machine code, but not to it: for functions that only other kernels call.

And quicker on the way: without passes that have nothing to do in kernels, and with the types of an
operation found once, not wherever it occurs. Indices count from the start of an array, never from
its end, so that machine code need not ask. This uses what numba does not promise to keep. `jit`
does without it where it does not work.
"""

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, CodeType
from typing import Any

import numpy as np
from numba import types
from numba.core import config
from numba.core.codegen import JITCodeLibrary, _parse_refprune_flags
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering, NopythonRewrites
from numba.core.untyped_passes import InlineClosureLikes
from numba.np import arrayobj

try:
    from llvmlite.binding.newpassmanagers import create_new_function_pass_manager
except ImportError:
    # Of older versions: all passes it is.
    create_new_function_pass_manager = None

LONG = 400
"""Bytes of Python's code from which a function is called, not put into its callers: they would be
optimised once more with it, for what a call costs."""
_PLAIN = types.Number, types.Boolean, types.Array, types.BaseTuple, types.SliceType
"""Types whose operations are the same whoever calls them."""


@contextmanager
def remembered() -> Iterator[None]:
    """Have the types of operations on numbers and arrays found once: numba tries everything that
    may be meant by an operator, from dates to strings, wherever it occurs."""
    kind: Any = types.Function
    with global_compiler_lock:
        if "get_call_type" in vars(kind):
            yield
            return
        ask = kind.get_call_type
        known: dict[Any, Any] = {}

        def resolve(function: Any, context: Any, args: Any, kws: Any) -> Any:
            if kws or not _builtin(function.typing_key) or not all(
                    isinstance(a, _PLAIN) for a in args):
                return ask(function, context, args, kws)
            key = function, args
            signature = known.get(key)
            if signature is None:
                signature = known[key] = ask(function, context, args, kws)
            return signature

        kind.get_call_type = resolve
        try:
            yield
        finally:
            del kind.get_call_type


def _builtin(function: Any) -> bool:
    """Whether numba types a function by rules alone, and compiles nothing for that."""
    return isinstance(function, np.ufunc) or (isinstance(function, BuiltinFunctionType)
                                              and function.__module__ in _RULED)


@contextmanager
def forward() -> Iterator[None]:
    """Take indices in kernels as they are: to ask of each whether it counts from the end keeps
    LLVM from reading several numbers at a time. No kernel has any that does."""
    with global_compiler_lock:
        usual = arrayobj.fix_integer_index

        def plain(context: Any, builder: Any, kind: Any, index: Any, size: Any) -> Any:
            # What numba itself is made of may count from the end.
            if not builder.function.name.startswith(_OURS):
                return usual(context, builder, kind, index, size)
            return context.cast(builder, index, kind, types.intp if kind.signed else types.uintp)

        arrayobj.fix_integer_index = plain
        try:
            yield
        finally:
            arrayobj.fix_integer_index = usual


_OURS = "_ZN" + "".join(f"{len(part)}{part}" for part in __package__.split("."))
"""How names of kernels begin in machine code."""
_RULED = frozenset([operator.add.__module__, abs.__module__])


class _DraftLibrary(JITCodeLibrary):
    """Code that is only linked into that of its callers, which optimise it there."""

    def _optimize_functions(self, ll_module: Any) -> None:
        # Just so far that LLVM sees what is short: kernels optimise all that they are made of.
        if create_new_function_pass_manager is None:
            super()._optimize_functions(ll_module)
            return
        ll_module.data_layout = self._codegen._data_layout
        builder = self._codegen._pass_builder()
        manager = create_new_function_pass_manager()
        manager.add_sroa_pass()
        manager.add_instruction_combine_pass()
        manager.add_simplify_cfg_pass()
        if getattr(config, "LLVM_REFPRUNE_PASS", 0):
            manager.add_refprune_pass(_parse_refprune_flags())
        for function in ll_module.functions:
            manager.run(function, builder)

    def finalize(self) -> None:
        for library in self._linking_libraries:
            if hasattr(library, "_reload_init"):
                self._reload_init.update(library._reload_init)
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
        if len(state.func_id.code.co_code) > LONG:
            name = state["cr"].fndesc.mangled_name
            state.library.get_function(name).add_function_attribute("noinline")
        # What `no_compile` leaves out: callers find the function by this object.
        key = _DraftKey().__reduce__
        state.targetctx.insert_user_function(key, state["cr"].fndesc, [state.library])
        state["cr"] = state["cr"]._replace(cfunc=key)
        return True


class _KernelLibrary(JITCodeLibrary):
    """Code of a kernel and of the drafts that it is made of, which nobody else can call.

    LLVM may then leave away the arguments that they do not look at: most of what an array is passed
    as is never asked for."""

    def finalize(self) -> None:
        # Drafts are linked here, each once, and callers first: what nobody asks for is left out.
        order: dict[Any, None] = {}

        def after(library: Any) -> None:
            if library not in order:
                for part in getattr(library, "_linking_libraries", ()):
                    after(part)
                order[library] = None

        after(self)
        del order[self]
        self._linking_libraries[:] = reversed(order)
        super().finalize()

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if (function.linkage.name == "linkonce_odr" and function.name.startswith(_OURS)
                    and not function.is_declaration):
                function.linkage = "internal"
        super()._optimize_final_module()


@register_pass(mutates_CFG=True, analysis_only=False)
class _KernelLowering(NativeLowering):
    """The last pass of a kernel."""

    _name = "kernel_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = _KernelLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        # What numba asks of a library of its own: machine code that is kept.
        state.library.enable_object_caching()
        return bool(NativeLowering.run_pass(self, state))


class _DraftKey:
    """Its bound methods are what a dispatcher takes for compiled functions."""


def _pipeline(state: Any, lowering: Any) -> list[Any]:
    """The usual passes, but for idle ones, and with another last one."""
    # It joins array expressions, and kernels have loops in their place.
    idle: set[Any] = {NopythonRewrites}
    if not any(isinstance(part, CodeType) for part in state.func_id.code.co_consts):
        idle.add(InlineClosureLikes)
    passes = DefaultPassBuilder.define_nopython_pipeline(state)
    passes.passes = [(lowering, note) if step is NativeLowering else (step, note)
                     for step, note in passes.passes if step not in idle]
    passes._finalized = False
    passes.finalize()
    return [passes]


class DraftCompiler(CompilerBase):
    """For functions that only other kernels call."""

    def define_pipelines(self) -> list[Any]:
        return _pipeline(self.state, _DraftLowering)


class KernelCompiler(CompilerBase):
    """For functions that Python calls."""

    def define_pipelines(self) -> list[Any]:
        return _pipeline(self.state, _KernelLowering)
