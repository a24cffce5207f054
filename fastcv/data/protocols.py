"""What a dataset must have to be walked through; torch's ``Dataset`` declares no length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class SizedDataset(Protocol):
    """A dataset with a length, such as all of ``fastcv.data``; a list of items is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class DatasetWithClasses(SizedDataset, Protocol):
    """One that also has the classes' names by label."""

    @property
    def classes(self) -> Sequence[str]: ...
