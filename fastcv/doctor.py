"""``python -m fastcv doctor``: what is installed, built and here, and what does not fit."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from typing import Any

import torch

from fastcv import __version__, _extension


def report() -> tuple[list[str], list[str]]:
    """The report's lines, and the problems found: each one sentence with what mends it."""
    problems: list[str] = []
    build: dict[str, str] = {"": "none that loads"}
    machine = _machine()
    try:
        module = _extension.load()
    except ImportError as error:
        problems.append(str(error))
    else:
        info = module.build_info()
        build = _build(info)
        machine["CPU kernels"] = module.cpu_isa()
        problems += mismatches(info["cuda"], torch.version.cuda, torch.cuda.is_available())
    sections = {"versions": _versions(), "build": build, "machine": machine, "extras": _extras()}
    lines = []
    for title, facts in sections.items():
        lines += [title, *(f"  {name:12} {value}" for name, value in facts.items())]
    return lines, problems


def mismatches(built: str | None, torch_cuda: str | None, gpu: bool) -> list[str]:
    """Sentences about a build with CUDA ``built`` on a machine with that torch and GPU."""
    if built is None and torch_cuda is not None and gpu:
        return [
            "this machine has a GPU, but fastcv was built without CUDA: install the CUDA toolkit "
            f"{torch_cuda.split('.')[0]}.x and run `FASTCV_CUDA=1 {_extension.REBUILD}` in "
            "fastcv's source folder."
        ]
    if built is not None and torch_cuda is None:
        return [
            f"fastcv was built with CUDA {built}, but torch is a CPU build: install a CUDA build "
            f"of torch, or run `FASTCV_CUDA=0 {_extension.REBUILD}` in fastcv's source folder."
        ]
    if (
        built is not None
        and torch_cuda is not None
        and built.split(".")[0] != torch_cuda.split(".")[0]
    ):
        return [
            f"fastcv was built with CUDA {built}, but torch with CUDA {torch_cuda}: run "
            f"`{_extension.REBUILD}` in fastcv's source folder with toolkit {torch_cuda}."
        ]
    return []


def _version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _versions() -> dict[str, str]:
    return {
        "fastcv": __version__,
        "python": platform.python_version(),
        "torch": f"{torch.__version__} (CUDA {torch.version.cuda or 'none'})",
        "torchvision": _version_of("torchvision") or "not installed",
    }


def _build(info: dict[str, Any]) -> dict[str, str]:
    return {
        "for torch": info["torch"],
        "CUDA": f"{info['cuda']}, for {', '.join(info['archs'])}" if info["cuda"] else "none",
        "compiler": info["compiler"],
    }


def _machine() -> dict[str, str]:
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    forced = os.environ.get("FASTCV_ISA")
    return {
        "CPU": f"{platform.machine()}, {torch.get_num_threads()} threads"
        + (f", FASTCV_ISA={forced}" if forced else ""),
        "GPU": ", ".join(gpus) or "none",
    }


def _extras() -> dict[str, str]:
    """Of each extra that the installed package names, what of it is there."""
    try:
        requirements = metadata.requires("fastcv") or []
    except metadata.PackageNotFoundError:
        return {"": "fastcv is not installed as a package: its extras are unknown"}
    packages_of: dict[str, list[str]] = {}
    for requirement in requirements:
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", requirement)
        name = re.match(r"[\w.-]+", requirement)
        if extra and name:
            packages_of.setdefault(extra.group(1), []).append(name.group())
    found = {}
    for extra_name, packages in packages_of.items():
        missing = [p for p in packages if _version_of(p) is None]
        hint = f"missing {', '.join(missing)}: pip install 'fastcv[{extra_name}]'"
        found[f"[{extra_name}]"] = hint if missing else "installed"
    return found
