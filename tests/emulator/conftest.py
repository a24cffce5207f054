"""Emulated kernels as fixtures."""

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location(
    "emulator_build", Path(__file__).with_name("build.py")
)
build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build)


def loader(order, race):
    """A function that loads libraries; behind it, their guards are forgotten."""
    libraries = []

    def load(name):
        library = build.load(name, race=race)
        library.set_order(order)
        libraries.append(library)
        return library

    yield load
    for library in libraries:
        library.forget_guards()


@pytest.fixture(params=["ascending", "descending", "random:1"])
def emulated(request):
    """``emulated("nms")``: the library of nms.cpp, in each order of threads and blocks."""
    yield from loader(request.param, race=False)


@pytest.fixture
def raced():
    """``raced("nms")``: the same under the race detector."""
    yield from loader("random:1", race=True)


@pytest.fixture
def emulator():
    """The module build.py."""
    return build
