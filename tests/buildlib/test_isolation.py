"""A build in pip's own environment, whose torch is not the one that the extension will meet."""

import sysconfig
from pathlib import Path

import pytest

from buildlib import isolation


def install(folder: Path, version: str) -> str:
    """A torch of this version in `folder`; its __file__."""
    info = folder / f"torch-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
    return str(folder / "torch" / "__init__.py")


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """The site-packages that `pip install` was called for."""
    folder = tmp_path / "venv" / "site-packages"
    folder.mkdir(parents=True)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(folder))
    return folder


@pytest.fixture
def overlay(tmp_path):
    return tmp_path / "pip-build-env-x1y2" / "overlay" / "lib" / "site-packages"


@pytest.mark.parametrize(
    "building, installed",
    [("2.14.1", "2.13.0"), ("2.14.1", "2.14.1+cpu"), ("2.14.1", "2.11.0+cu128")],
)
def test_another_torch(environment, overlay, building, installed):
    install(environment, installed)
    with pytest.raises(SystemExit) as stopped:
        isolation.check_torch(install(overlay, building))
    message = str(stopped.value)
    assert (
        f"pip builds with torch {building}, but this environment has torch {installed}" in message
    )
    assert "pip install --no-build-isolation ." in message
    assert "\n" not in message


@pytest.mark.parametrize("installed", ["2.14.1", "2.14.0"])
def test_a_torch_that_fits(environment, overlay, installed):
    install(environment, installed)
    isolation.check_torch(install(overlay, "2.14.1"))


def test_an_environment_without_torch_gets_the_one_of_the_build(environment, overlay):
    isolation.check_torch(install(overlay, "2.14.1"))


def test_without_isolation(environment, tmp_path):
    """A torch of elsewhere on the path is the one that runs, too."""
    install(environment, "2.13.0")
    isolation.check_torch(install(tmp_path / "own", "2.14.1"))
