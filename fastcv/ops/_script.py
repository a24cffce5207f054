"""What the script compiler, mypy and a reader all understand."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    T = TypeVar("T")
    BroadcastingList2: TypeAlias = T | list[T] | tuple[T, ...]  # one number for both, or two
else:
    # `torch.jit.script` knows it by this name: a list of two, or one value that fills it.
    from torch.jit.annotations import BroadcastingList2

__all__ = ["BroadcastingList2"]
