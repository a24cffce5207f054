"""A detection dataset with the boxes that selective search proposes."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from fastcv.ops import selective_search


class WithProposals(Dataset[tuple[Tensor, dict[str, Any]]]):
    """Adds ``proposals`` ``[N, 4]`` to each target, in pixels of the image.

    Each image is searched once in a process; later passes find its boxes in memory. So the images
    must be the same each time: augmentation goes on top.

    Args:
        dataset: items ``(image, target)`` with images ``[3, H, W]`` in [0, 1] or uint8.
        mode: of ``ops.selective_search``.
        limit: the likeliest so many boxes of an image.
        min_side: boxes with a shorter side are left out, in pixels.

    Source: Girshick et al., "R-CNN" (2014), section 2.2; Girshick, "Fast R-CNN" (2015), section 2.

    Example:
        >>> from fastcv.data import DrawnDigits, WithProposals
        >>> digits = WithProposals(DrawnDigits("val", size=(96, 96)), limit=50)
        >>> digits[3][1]["proposals"].shape
        torch.Size([50, 4])
    """

    def __init__(
        self, dataset: Any, *, mode: str = "fast", limit: int = 2000, min_side: float = 0.0
    ) -> None:
        if limit < 1:
            raise ValueError(f"limit must be at least 1, got {limit}")
        self.dataset, self.mode, self.limit, self.min_side = dataset, mode, limit, min_side
        self.classes: tuple[str, ...] = dataset.classes
        self._found: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        index = range(len(self))[index]
        image, target = self.dataset[index]
        if index not in self._found:
            boxes = selective_search(image, self.mode, min_side=self.min_side)
            self._found[index] = boxes[: self.limit].clone()
        return image, {**target, "proposals": self._found[index]}
