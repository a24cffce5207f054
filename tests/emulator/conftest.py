"""Emulated kernels as fixtures."""

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location(
    "emulator_build", Path(__file__).with_name("build.py")
)
build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build)


@pytest.fixture(params=["ascending", "descending", "random:1"])
def emulated(request):
    """``emulated("nms")``: the library of nms.cpp, in each order of threads and blocks."""

    def load(name):
        library = build.load(name)
        library.set_order(request.param)
        return library

    return load


@pytest.fixture
def raced():
    """``raced("nms")``: the same under the race detector."""

    def load(name):
        library = build.load(name, race=True)
        library.set_order("random:1")
        return library

    return load


@pytest.fixture
def emulator():
    """The module build.py."""
    return build
