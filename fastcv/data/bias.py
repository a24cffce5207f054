"""The bias of a dataset: the mean image of each class, and where its boxes lie."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.data.protocols import DatasetWithClasses


def mean_images(
    dataset: DatasetWithClasses, *, size: tuple[int, int] = (64, 64)
) -> tuple[Tensor, Tensor]:
    """The mean of all images of each class; what shows in it, the class's images share.

    Args:
        dataset: items ``(image, label)``, images in [0, 1] of any sizes, and ``classes``; each item
            is read once, and one is in memory at a time.
        size: height and width that images are brought to.

    Returns:
        Means ``[C, 3, *size]``, zeros for a class without images, and how many images each has
        ``[C]`` int64.

    Source: Torralba and Efros, "Unbiased Look at Dataset Bias" (2011).

    Example:
        >>> import torch
        >>> from fastcv.data import mean_images
        >>> class Night(list):
        ...     classes = ("dark", "light")
        >>> night = Night([(torch.zeros(3, 8, 8), 0), (torch.full((3, 4, 6), 0.5), 0)])
        >>> means, counts = mean_images(night, size=(2, 2))
        >>> means[:, 0, 0, 0], counts
        (tensor([0.2500, 0.0000]), tensor([2, 0]))
    """
    classes = dataset.classes
    sums = torch.zeros(len(classes), 3, *size, dtype=torch.float64)
    counts = torch.zeros(len(classes), dtype=torch.int64)
    for index in range(len(dataset)):
        image, label = dataset[index]
        small = F.interpolate(
            image[None], size=size, mode="bilinear", align_corners=False, antialias=True
        )
        sums[label] += small[0]
        counts[label] += 1
    return (sums / counts.clamp(min=1).view(-1, 1, 1, 1)).float(), counts


def box_heatmap(dataset: DatasetWithClasses, *, cells: int = 64) -> tuple[Tensor, Tensor]:
    """How often a place of the image is inside a box, for each class.

    Each image is laid over the same ``cells x cells``, whatever its size.

    Args:
        dataset: items ``(image, target)`` with ``boxes`` and ``labels``, and ``classes``.
        cells: to a side.

    Returns:
        ``[C, cells, cells]`` in [0, 1], the share of the class's boxes that cover each cell (a
        cell half covered counts half), and how many boxes each class has ``[C]`` int64.

    Example:
        >>> import torch
        >>> from fastcv.data import box_heatmap
        >>> class Scenes(list):
        ...     classes = ("background", "cat")
        >>> target = {"boxes": torch.tensor([[4.0, 0, 8, 3]]), "labels": torch.tensor([1])}
        >>> heat, counts = box_heatmap(Scenes([(torch.rand(3, 4, 8), target)]), cells=2)
        >>> heat[1], counts
        (tensor([[0.0000, 1.0000],
                [0.0000, 0.5000]]), tensor([0, 1]))
    """
    classes = dataset.classes
    heat = torch.zeros(len(classes), cells, cells, dtype=torch.float64)
    counts = torch.zeros(len(classes), dtype=torch.int64)
    for index in range(len(dataset)):
        image, target = dataset[index]
        height, width = image.shape[-2:]
        x1, y1, x2, y2 = target["boxes"].double().unbind(dim=1)
        rows = _covered(y1 / height, y2 / height, cells)
        columns = _covered(x1 / width, x2 / width, cells)
        heat.index_add_(0, target["labels"], rows[:, :, None] * columns[:, None, :])
        counts += target["labels"].bincount(minlength=len(classes))
    return (heat / counts.clamp(min=1).view(-1, 1, 1)).float(), counts


def _covered(start: Tensor, end: Tensor, cells: int) -> Tensor:
    """The share of each cell from ``start`` to ``end``, ``[N, cells]``."""
    left = torch.arange(cells) / cells
    inside = torch.minimum(end[:, None], left + 1 / cells) - torch.maximum(start[:, None], left)
    return inside.clamp(min=0) * cells
