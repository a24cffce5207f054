"""Compiles a CUDA kernel for the CPU and calls it through ctypes.

    library = load("nms")                 # tests/emulator/nms.cpp with the emulator's runtime
    library.set_order("random:3")         # or "ascending", "descending"
    library.nms_float32(...)              # raises EmulatorError where the emulator found an error
    load("nms", race=True)                # the same under the race detector

Libraries are kept under build/emulator, by what they were made of.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
CACHE = ROOT / "build" / "emulator"
# DWARF 4, for some addr2line name the wrong file of DWARF 5's.
FLAGS = [
    "-std=c++20", "-O2", "-g1", "-gdwarf-4", "-fPIC", "-ffp-contract=off", "-fno-math-errno",
    "-fno-strict-aliasing", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Wno-tsan",
    "-DFASTCV_EMULATE_CUDA",
    f"-I{ROOT / 'csrc'}", f"-I{ROOT / 'tests'}",
]  # fmt: skip


RUNTIME = ["fiber.cpp", "guards.cpp", "host.cpp", "scheduler.cpp"]
GUARD = 256  # guard_bytes and unwritten of runtime/guards.h
UNWRITTEN = 0xFF


class EmulatorError(RuntimeError):
    """A kernel did what CUDA forbids or leaves undefined."""


class Library:
    """A compiled kernel. Functions are attributes, as of ``ctypes.CDLL``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._dll = ctypes.CDLL(str(path))
        self._dll.emulator_take_error.restype = ctypes.c_char_p
        self._functions: dict[str, Function] = {}
        self._guarded: list[torch.Tensor] = []

    def __getattr__(self, name: str) -> Function:
        if name not in self._functions:
            self._functions[name] = Function(self, getattr(self._dll, name))
        return self._functions[name]

    def set_order(self, order: str) -> None:
        """In which order threads and blocks run: ascending, descending or random:SEED."""
        kind, _, seed = order.partition(":")
        number = {"ascending": 0, "descending": -1, "random": int(seed or 1)}[kind]
        self._dll.emulator_set_order(ctypes.c_int64(number))

    def guard(self, tensor: torch.Tensor, name: str = "a tensor") -> torch.Tensor:
        """A copy of a dense tensor, in any order, that a kernel leaves at its peril."""
        if tensor.numel() == 0:
            return tensor.clone()  # has no address: whoever reads it reads 0
        memory = torch.full((tensor.nbytes + 2 * GUARD,), UNWRITTEN, dtype=torch.uint8)
        inside = memory[GUARD : GUARD + tensor.nbytes].view(tensor.dtype)
        copy = inside.as_strided(tensor.size(), tensor.stride(), inside.storage_offset())
        copy.copy_(tensor)
        self._guarded.append(memory)
        self._dll.emulator_guard(
            ctypes.c_void_p(copy.data_ptr()), ctypes.c_size_t(tensor.nbytes), name.encode()
        )
        return copy

    def forget_guards(self) -> None:
        self._dll.emulator_forget_guards()
        self._guarded.clear()

    def check(self) -> None:
        error = self._dll.emulator_take_error().decode()
        if error:
            raise EmulatorError(re.sub(r"\+0x[0-9a-f]+", lambda m: self._line(m.group()), error))

    def _line(self, offset: str) -> str:
        """The kernel's line, which may have inlined an intrinsic of the emulator's."""
        command = ["addr2line", "-i", "-e", str(self._path), offset[1:]]
        try:
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return offset
        frames = [line.split()[0] for line in out.splitlines()]
        kernel = [f for f in frames if "/emulator/device/" not in f]
        return (kernel or frames)[0].rsplit("/", 1)[-1]


class Function:
    """Calls through to C and raises what the emulator found."""

    def __init__(self, library: Library, function: Any) -> None:
        self._library = library
        self._function = function

    @property
    def restype(self) -> Any:
        return self._function.restype

    @restype.setter
    def restype(self, value: Any) -> None:
        self._function.restype = value

    def __call__(self, *arguments: Any) -> Any:
        result = self._function(*arguments)
        self._library.check()
        return result


@functools.cache
def load(name: str, race: bool = False, ucontext: bool = False) -> Library:
    """The library of ``tests/emulator/NAME.cpp``, compiled if it is new."""
    runtime = [HERE / "runtime" / f for f in RUNTIME]
    runtime.append(HERE / "runtime" / ("race_runtime.cpp" if race else "no_race.cpp"))
    flags = FLAGS + (["-DFASTCV_UCONTEXT"] if ucontext else [])
    kernel = compiled(HERE / f"{name}.cpp", flags + (["-fsanitize=thread", "-O1"] if race else []))
    objects = [kernel, *(compiled(source, flags) for source in runtime)]
    digest = hashlib.sha256("".join(map(str, objects)).encode()).hexdigest()[:16]
    # Linked without -fsanitize=thread: race_runtime.cpp has the functions that it calls.
    return Library(made(CACHE / f"{name}-{digest}.so", ["-shared", *map(str, objects), "-ldl"]))


def compiled(source: Path, flags: list[str]) -> Path:
    """An object file, named by the preprocessed source: what a change does not touch stays."""
    text = subprocess.run(
        [compiler(), *flags, "-E", "-P", str(source)], capture_output=True, check=True
    ).stdout
    digest = hashlib.sha256(text + " ".join(flags).encode()).hexdigest()[:16]
    return made(CACHE / f"{source.stem}-{digest}.o", [*flags, "-c", str(source)])


def compiler() -> str:
    return os.environ.get("CXX", "g++")


def made(target: Path, arguments: list[str]) -> Path:
    """Runs the compiler unless ``target`` is there; it appears whole or not at all."""
    if not target.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(f".{os.getpid()}.tmp")
        subprocess.run([compiler(), *arguments, "-o", str(temporary)], check=True)
        temporary.replace(target)
    return target
