"""What a user sees of the public modules: their own names, and signatures that say what goes in."""

import inspect
from importlib import import_module

import pytest

MODULES = ["gflow", "gflow.init", "gflow.datasets", "gflow.stop", "gflow.descent", "gflow.theory",
           "gflow.theory.exact", "gflow.theory.population", "gflow.plot", "gflow.experiments",
           "gflow.sweeping"]


@pytest.mark.parametrize("name", MODULES)
def test_modules_show_what_is_theirs(name):
    module = import_module(name)
    assert dir(module) == sorted(module.__all__)
    assert all(hasattr(module, public) for public in module.__all__)


def functions(module):
    """Public functions and methods of a module, by name."""
    for name in module.__all__:
        found = getattr(module, name)
        if inspect.isfunction(found):
            yield name, found
        elif inspect.isclass(found):
            for key, value in vars(found).items():
                value = value.fget if isinstance(value, property) else value
                if inspect.isfunction(value) and (key == "__call__" or key[0] != "_"):
                    yield f"{name}.{key}", value


@pytest.mark.parametrize("name", MODULES)
def test_signatures_are_written_out(name):
    for called, function in functions(import_module(name)):
        signature = inspect.signature(function)
        said = [str(signature.return_annotation)]
        said += [str(one.annotation) for key, one in signature.parameters.items() if key != "self"]
        assert not any("Any" in one or one == "<class 'inspect._empty'>" for one in said), \
            f"{name}.{called}{signature}"
