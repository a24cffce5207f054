"""How two maps of ids overlap: what panoptic quality is worked out from."""

from __future__ import annotations

import torch
from torch import Tensor


def panoptic_counts(predicted: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """How many pixels have which two ids, in two maps of ids: their joint histogram.

    It has all that panoptic quality needs of the pixels. The area of a segment is the sum of its
    counts; void and crowds are ids like others; tubes of a video are sums over its frames.

    Args:
        predicted: ``[H, W]`` or ``[B, H, W]``, int32 or int64: an id for each pixel, 0 to 2^31 - 1,
            in any gaps.
        target: likewise.

    Returns:
        ``(pairs, counts)``, int64. ``pairs`` is ``[N, 2]``, ids of ``predicted`` and of ``target``
        that meet in at least one pixel, or ``[N, 3]`` with the image's index before them; in rising
        order, each once. ``counts`` is ``[N]``, the pixels of each. Memory is proportional to N.

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit, or an id is negative or above 2^31 - 1.

    On CUDA the call waits for the device, to learn how many pairs there are.

    Source: Kirillov et al., "Panoptic Segmentation" (2019), section 4.2.

    Example:
        >>> import torch, fastcv
        >>> predicted = torch.tensor([[7, 7, 7], [7, 9, 9]])
        >>> target = torch.tensor([[1, 1, 0], [1, 1, 0]])
        >>> fastcv.ops.panoptic_counts(predicted, target)
        (tensor([[7, 0],
                [7, 1],
                [9, 0],
                [9, 1]]), tensor([1, 3, 1, 1]))
    """
    if predicted.dim() != 2 or target.dim() != 2:
        return torch.ops.fastcv.panoptic_counts(predicted, target)
    pairs, counts = torch.ops.fastcv.panoptic_counts(predicted[None], target[None])
    return pairs[:, 1:], counts


@torch.library.register_fake("fastcv::panoptic_counts")
def _(predicted: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    torch._check(
        predicted.dim() == 3 and predicted.shape == target.shape,
        lambda: (
            "panoptic_counts: predicted and target must have one shape [B, H, W], got "
            f"{list(predicted.shape)} and {list(target.shape)}"
        ),
    )
    count = torch.library.get_ctx().new_dynamic_size()
    return (
        predicted.new_empty((count, 3), dtype=torch.int64),
        predicted.new_empty(count, dtype=torch.int64),
    )
