"""What the tests of training share."""

import importlib.util
from pathlib import Path

import pytest

from fastcv.learn import History


@pytest.fixture(scope="session")
def digits():
    """The module ``digits.py`` beside this file."""
    spec = importlib.util.spec_from_file_location("digits", Path(__file__).with_name("digits.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def quick_curves(monkeypatch):
    """A file in place of the picture of the curves, which takes longer than a small run."""
    monkeypatch.setattr(History, "draw", lambda self, path: Path(path).touch())
