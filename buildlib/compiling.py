"""Compiles the sources with ninja: a line for each, only what changed, torch's headers once.

GCC reads torch's headers in 11 s of a file's 17. csrc/precompiled.h is compiled once for all.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from buildlib import stop

RULES = """\
ninja_required_version = 1.3
cxx = {cxx}
nvcc = {nvcc}
flags = {flags}
cuda_flags = {cuda_flags}

rule cxx
  command = $cxx -MD -MF $out.d $includes $macros $flags $precompiled -c $in -o $out
  depfile = $out.d
  deps = gcc
  description = $name
rule precompile
  command = $cxx -MD -MF $out.d $flags -x c++-header $in -o $out
  depfile = $out.d
  deps = gcc
  description = $name
rule nvcc
  command = $nvcc -MD -MF $out.d $cuda_flags -c $in -o $out
  depfile = $out.d
  deps = gcc
  description = $name
"""


@dataclass
class Compilers:
    """What compiles, and with which flags; those of nvcc are empty without CUDA."""

    cxx: list[str]
    flags: list[str]
    cuda_includes: list[str]  # for the launchers, *_cuda.cpp
    nvcc: list[str] = field(default_factory=list)
    cuda_flags: list[str] = field(default_factory=list)


def cached(compiler: list[str]) -> list[str]:
    """Through ccache, where there is one: a clean build of the same files takes seconds then."""
    ccache = shutil.which("ccache")
    off = ccache is None or compiler[0] == "ccache" or "TORCH_NO_COMPILER_WRAPPER" in os.environ
    return compiler if off else ["ccache", *compiler]


def is_gcc(cxx: Sequence[str]) -> bool:
    asked = [*cxx, "-dM", "-E", "-x", "c++", os.devnull]
    macros = subprocess.run(asked, capture_output=True, text=True).stdout
    return "#define __GNUC__ " in macros and "__clang__" not in macros


def ninja_file(
    root: Path,
    folder: Path,
    objects: Mapping[str, str],
    compilers: Compilers,
    macros: Mapping[str, list[str]],
    precompiled: bool,
) -> str:
    """The text of build.ninja.

    Args:
        root: the folder of the source tree.
        folder: where build.ninja will be.
        objects: the object of each source, relative to root.
        macros: what single sources are compiled with besides.
        precompiled: whether to compile csrc/precompiled.h first.
    """
    header = str(folder / "precompiled.h")
    with_torch = {s for s in objects if s.endswith(".cpp") and includes_torch(root / s)}
    lines = [
        RULES.format(
            cxx=command(compilers.cxx),
            nvcc=command(compilers.nvcc),
            flags=command(compilers.flags),
            cuda_flags=command(compilers.cuda_flags),
        )
    ]
    if precompiled:
        lines += [
            f"build {path(header + '.gch')}: precompile {path(header)}",
            "  name = csrc/precompiled.h",
        ]
    # What needs no torch is first: it has something to do while the header is compiled.
    for source in sorted(objects, key=lambda source: (source in with_torch, source)):
        rule = "nvcc" if source.endswith(".cu") else "cxx"
        use = precompiled and source in with_torch
        needs = f" | {path(header + '.gch')}" if use else ""
        lines += [
            f"build {path(objects[source])}: {rule} {path(str(root / source))}{needs}",
            f"  name = {source}",
        ]
        if use:
            lines.append(f"  precompiled = {command(['-Winvalid-pch', '-include', header])}")
        if source.endswith("_cuda.cpp"):
            lines.append(f"  includes = {command([f'-I{i}' for i in compilers.cuda_includes])}")
        if source in macros:
            lines.append(f"  macros = {command(macros[source])}")
    return "\n".join(lines) + "\n"


def includes_torch(source: Path) -> bool:
    text = source.read_text()
    return "#include <torch/" in text or "#include <ATen/" in text


def command(words: Sequence[str]) -> str:
    """As ninja and then the shell read it."""
    return shlex.join(words).replace("$", "$$")


def path(name: str) -> str:
    """As ninja reads it among the files of an edge."""
    for special in "$ :":
        name = name.replace(special, f"${special}")
    return name


def run(
    root: Path,
    folder: Path,
    objects: Mapping[str, str],
    compilers: Compilers,
    macros: Mapping[str, list[str]],
    precompiled: bool,
) -> None:
    """Compiles what is not up to date, in `folder`; the arguments are those of `ninja_file`."""
    folder.mkdir(parents=True, exist_ok=True)
    write(
        folder / "build.ninja",
        ninja_file(root, folder, objects, compilers, macros, precompiled),
    )
    # GCC finds the compiled form beside this; where it cannot use that, it says so and reads this.
    write(folder / "precompiled.h", f'#include "{root}/csrc/precompiled.h"\n')
    jobs = os.environ.get("MAX_JOBS", "")
    options = ["-j", jobs] if jobs.isdigit() else []
    # ccache and a precompiled header: https://ccache.dev/manual/latest.html#_precompiled_headers
    env = {"CCACHE_SLOPPINESS": "pch_defines,time_macros", **os.environ}
    sys.stdout.flush()
    if subprocess.run(["ninja", *options], cwd=folder, env=env).returncode != 0:
        stop("a file of csrc/ did not compile: what the compiler found is above.")


def write(file: Path, text: str) -> None:
    """Not where it is the same: what was made of it stays up to date."""
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
