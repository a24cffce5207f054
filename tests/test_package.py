"""`import fastcv` is light, and what it offers is there when first used."""

import subprocess
import sys

import pytest

import fastcv


def test_torch_is_imported_when_it_is_needed():
    script = "import sys, fastcv.cli; sys.exit('torch' in sys.modules or 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


@pytest.mark.parametrize("name", fastcv.__all__)
def test_every_name(name):
    value = getattr(fastcv, name)
    assert value is getattr(fastcv, name)
    assert (value.__name__ == f"fastcv.{name}") != callable(value)


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="module 'fastcv' has no attribute 'nets'"):
        fastcv.nets  # noqa: B018
