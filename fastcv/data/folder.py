"""Classification datasets as a folder of images for each class."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data._image import check_links, read
from fastcv.images import SUFFIXES, is_image


class ImageFolder(Dataset[tuple[Tensor, int]]):
    """Images in ``root/<class>/``, at any depth below, with the class's number.

    An item is ``(image, label)``: ``[3, H, W]`` float32 in [0, 1], or what ``transform`` makes of
    it, and the place of the class in ``classes``, which are the sub-folders' names, sorted. Names
    that begin with a dot are left out.

    Args:
        root: the folder of folders.
        transform: what to do with each image, such as bringing it to a common size.

    Raises:
        FileNotFoundError: no such folder, one without sub-folders, or an image that is a link to
            a file that is not there.
        ValueError: a sub-folder without images; (on access) a broken image.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> from fastcv.data import ImageFolder
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("dog", "cat"):
        ...     (root / name).mkdir()
        ...     Image.new("RGB", (8, 6)).save(root / name / "1.png")
        >>> dataset = ImageFolder(root)
        >>> len(dataset), dataset.classes
        (2, ('cat', 'dog'))
        >>> image, label = dataset[1]
        >>> image.shape, label
        (torch.Size([3, 6, 8]), 1)
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.root, self.transform = Path(root), transform
        if not self.root.is_dir():
            raise FileNotFoundError(f"there is no folder {self.root}")
        folders = sorted(path for path in self.root.iterdir() if path.is_dir() and _shown(path))
        if not folders:
            raise FileNotFoundError(f"{self.root} must have a sub-folder of images for each class")
        self.classes = tuple(folder.name for folder in folders)
        self.samples: list[tuple[Path, int]] = []
        for label, folder in enumerate(folders):
            files = sorted(path for path in folder.rglob("*") if is_image(path))
            check_links(files)
            if not files:
                raise ValueError(f"the class folder {folder} has no images ({' '.join(SUFFIXES)})")
            self.samples += [(path, label) for path in files]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.samples[index]
        image = read(path)
        return (self.transform(image) if self.transform else image), label


def _shown(path: Path) -> bool:
    return not path.name.startswith(".")
