"""The tensors of modules that were pickled whole, without their code.

A pickle can run any code when it is read, so fastcv reads only files of tensors. This reads the
others once, and runs none of their code: of all that a file names, it makes empty shells, but for
the few functions of torch that tensors are rebuilt by. What lies in the shells is then looked
through for parameters and buffers.
"""

from __future__ import annotations

import collections
import os
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# Read by name: what tensors are made of, and nothing that could do more.
REBUILD = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
    **{
        ("torch", f"{kind}Storage"): getattr(torch, f"{kind}Storage")
        for kind in ("Float", "Half", "Double", "Long", "Int", "Bool", "Byte")
    },
}


class Shell(dict[Any, Any]):
    """What any other name of a file becomes: it takes everything, and does nothing."""

    dump_patches = False  # torch asks, where a file from before 1.6 has the classes' source

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def append(self, _: Any) -> None:
        """A list's; pickle calls it."""

    def extend(self, _: Any) -> None:
        """A list's; pickle calls it."""


class Unpickler(pickle.Unpickler):
    """Pickle's, with shells in place of classes and functions."""

    def find_class(self, module: str, name: str) -> Any:
        return REBUILD.get((module, name), Shell)


class ShellPickle:
    """What ``torch.load`` takes as its ``pickle_module``."""

    __name__ = "pickle"
    Unpickler = Unpickler
    UnpicklingError = pickle.UnpicklingError

    @staticmethod
    def load(file: Any, **options: Any) -> Any:
        return Unpickler(file, **options).load()


def tensors_of_modules(path: str | os.PathLike[str], part: str | None = None) -> dict[str, Tensor]:
    """The state dict of a module that was pickled whole, without its code.

    Args:
        path: of a file that ``torch.save`` wrote of a module, or of a dict with modules in it.
        part: which of the dict's; None: ``model`` or ``generator``, whichever is there.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is no such file, or has no such part.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the modules' sources are not those of shells
            held = torch.load(
                path, map_location="cpu", pickle_module=ShellPickle(), weights_only=False
            )
    except Exception as error:  # pickle raises many kinds on what is none
        raise ValueError(f"{path} is no checkpoint that torch can read") from error
    found = held if isinstance(held, Shell) else None
    if isinstance(held, dict) and found is None:
        names = [part] if part else ["model", "generator"]
        found = next((held[name] for name in names if name in held), None)
    tensors = dict(_tensors(found, ""))
    if not tensors:
        raise ValueError(f"{path} holds no pickled module named {part or 'model or generator'}")
    return tensors


def _tensors(module: Any, prefix: str) -> Iterator[tuple[str, Tensor]]:
    held = getattr(module, "__dict__", {})
    for kind in ("_parameters", "_buffers"):
        for name, tensor in held.get(kind, {}).items():
            if isinstance(tensor, Tensor):
                yield prefix + name, tensor.detach()
    for name, child in held.get("_modules", {}).items():
        yield from _tensors(child, f"{prefix}{name}.")


@contextmanager
def or_convert(path: Path, command: str) -> Iterator[None]:
    """Inside, where a file is refused for it holds more than tensors, a sentence says what to do.

    Args:
        path: the file.
        command: that writes its tensors.

    Raises:
        ValueError: what was raised inside.
    """
    try:
        yield
    except ValueError as error:
        if "holds more than tensors" not in str(error):
            raise
        raise ValueError(
            f"{path} holds more than tensors: a whole pickled module, where it is sgrvinod's. "
            f"Write its tensors to a file of their own first: `{command}`"
        ) from error
