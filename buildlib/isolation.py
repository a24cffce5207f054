"""`pip install .` builds with a torch that pip fetched, which may be another than the one here.

The extension would then not load. So the build stops before it has compiled anything.
"""

from __future__ import annotations

import re
import sysconfig
from importlib import metadata
from pathlib import Path

from buildlib import stop


def check_torch(torch_file: str) -> None:
    """Stops where pip builds with another torch than the environment has, which may have none."""
    folder = Path(torch_file).parents[1]
    if not isolated(folder):
        return
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    building, installed = torch_in([str(folder)]), torch_in(sorted(here))
    if building and installed and compatible(building) != compatible(installed):
        stop(
            f"pip builds with torch {building}, but this environment has torch {installed}, and "
            "the extension loads only into the torch that it was built with: run `pip install "
            "pybind11 ninja 'setuptools>=77'` and then `pip install --no-build-isolation .`"
        )


def isolated(folder: Path) -> bool:
    """Whether packages in `folder` are those of pip's environment for one build."""
    return any(part.startswith("pip-build-env-") for part in folder.parts)


def torch_in(folders: list[str]) -> str | None:
    found = [d.version for d in metadata.distributions(name="torch", path=folders)]
    return found[0] if found else None


def compatible(version: str) -> tuple[str, ...]:
    """What must be equal: the minor release, and the variant ("+cpu", "+cu130")."""
    release, _, variant = version.partition("+")
    return (*re.split(r"\.", release)[:2], variant)
