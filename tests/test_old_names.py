"""What moved is still found at its old place, with a warning that names the new one."""

import importlib
import subprocess
import sys

import pytest

from fastcv import _old_names


def imported_anew(name):
    sys.modules.pop(name, None)
    return importlib.import_module(name)


@pytest.mark.parametrize("old, new", _old_names.MODULES.items())
def test_modules(old, new):
    with pytest.warns(DeprecationWarning, match=f"^{old} has moved: import {new}$"):
        module = imported_anew(old)
    assert module is importlib.import_module(new) and module.__name__ == new
    assert module.__spec__.name == new  # so that reload and pickle go on working


@pytest.mark.parametrize("old, new", _old_names.ATTRIBUTES.items())
def test_attributes(old, new):
    home, _, name = old.rpartition(".")
    vars(importlib.import_module(home)).pop(name, None)  # where a module has its name, above
    new_home, _, new_name = new.rpartition(".")
    with pytest.warns(DeprecationWarning, match=f"{old} has moved: import {new}"):
        found = getattr(importlib.import_module(home), name)
    assert found is getattr(importlib.import_module(new_home), new_name)


def test_what_lies_below_a_package_that_moved():
    with pytest.warns(DeprecationWarning, match=r"import fastcv\.nn\.points\.heatmaps"):
        module = imported_anew("fastcv.nn.keypoints.heatmaps")
    assert module is importlib.import_module("fastcv.nn.points.heatmaps")


def test_the_warning_points_at_the_import():
    program = "import fastcv.nn.resnet"
    done = subprocess.run(
        [sys.executable, "-W", "always::DeprecationWarning:__main__", "-c", program],
        capture_output=True,
        text=True,
    )
    assert "<string>:1: DeprecationWarning: fastcv.nn.resnet has moved" in done.stderr


@pytest.mark.parametrize(
    "name", ["fastcv.nn.resnett", "fastcv.nn.resnet.no_such", "fastcv.no_room"]
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_never_was(name):
    with pytest.raises(ModuleNotFoundError):
        imported_anew(f"fastcv.{name}")


def test_attributes_that_never_were():
    for module in ("learn", "data", "models"):
        with pytest.raises(AttributeError, match=f"module 'fastcv.{module}' has no attribute 'x'"):
            importlib.import_module(f"fastcv.{module}").x  # noqa: B018
