"""Two folders of pictures that are no pairs, for CycleGAN."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data._image import pictures_in, read
from fastcv.data.unpaired import Unpaired, pair_of_batches


class UnpairedFolders(Unpaired):
    """Pictures of two folders: each of the one with a random one of the other, as ``Unpaired``.

    An item is ``(a, b)``, each ``[3, H, W]`` float32 in [0, 1]. ``fit`` makes of them what
    ``CycleGAN`` takes, for ``collate`` is ``pair_of_batches``.

    Args:
        a: a folder of pictures of the first kind.
        b: of the second kind; any number.
        transform: called with each picture by itself, returns a tuple of one, such as ``Jitter()``.

    Raises:
        FileNotFoundError: no such folder, one without pictures, or a link to nothing.
        ValueError: (on access) a broken picture.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> from fastcv.data import Jitter, UnpairedFolders
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> for kind, n in (("horses", 2), ("zebras", 3)):
        ...     (root / kind).mkdir()
        ...     for i in range(n):
        ...         Image.new("RGB", (20, 16)).save(root / kind / f"{i}.png")
        >>> data = UnpairedFolders(root / "horses", root / "zebras", transform=Jitter(18, 16))
        >>> len(data), data[2][0].shape
        (3, torch.Size([3, 16, 16]))
    """

    def __init__(
        self,
        a: str | os.PathLike[str],
        b: str | os.PathLike[str],
        *,
        transform: Callable[[Tensor], tuple[Tensor, ...]] | None = None,
    ) -> None:
        super().__init__(_Pictures(a, transform), _Pictures(b, transform))

    @staticmethod
    def collate(items: Sequence[tuple[Tensor, Tensor]]) -> Any:
        """``pair_of_batches``."""
        return pair_of_batches(items)


class _Pictures(Dataset[Tensor]):
    """A folder's pictures."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        transform: Callable[[Tensor], tuple[Tensor, ...]] | None,
    ) -> None:
        self.files, self.transform = pictures_in(folder), transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        picture = read(self.files[index])
        if self.transform is not None:
            (picture,) = self.transform(picture)
        return picture
