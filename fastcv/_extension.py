"""Loads the compiled module, or says in one sentence why that cannot be and what to do."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import torch

REBUILD = "pip install --no-build-isolation --force-reinstall --no-deps ."


def load() -> ModuleType:
    """Import ``fastcv._C`` and return it.

    Raises:
        ImportError: it was never built, or built for another torch. The message names what was
            found and the command that mends it.
    """
    try:
        module = importlib.import_module("fastcv._C")
    except ImportError as error:
        raise ImportError(_why_not(error)) from error
    built_for: str = module.build_info()["torch"]
    if _release(built_for) != _release(torch.__version__):
        raise ImportError(_built_for_another(built_for))
    return module


def _release(torch_version: str) -> str:
    # Binary compatibility holds within a minor release.
    return ".".join(torch_version.split(".")[:2])


def _built_for_another(built_for: str) -> str:
    return (
        f"fastcv was built for torch {built_for}, but torch {torch.__version__} is installed: "
        f"run `{REBUILD}` in fastcv's source folder."
    )


def _why_not(error: ImportError) -> str:
    libraries = sorted(Path(__file__).parent.glob("_C*.so"))
    if not libraries:
        return (
            "fastcv's compiled module fastcv._C is missing: run "
            "`pip install --no-build-isolation .` in fastcv's source folder"
            " (and import fastcv from outside that folder)."
        )
    marker = re.search(rb"FASTCV_BUILT_FOR_TORCH=([^;]+);", libraries[0].read_bytes())
    built_for = marker.group(1).decode() if marker else "unknown"
    if _release(built_for) != _release(torch.__version__):
        return _built_for_another(built_for)
    return f"fastcv's compiled module does not load ({error}): run `{REBUILD}` to rebuild it."
