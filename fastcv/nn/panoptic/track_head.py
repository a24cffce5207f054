"""The track head: whether two boxes of two frames show the same object."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.init import fill
from fastcv.nn.precision import full_precision


class TrackHead(nn.Module):
    """Describes boxes by two fully connected layers; the like have a great dot product.

    Args:
        in_channels: numbers pooled for a box: channels x height x width.
        width: numbers that describe it.

    Source: Yang et al., "Video Instance Segmentation" (2019), section 4.1, as Kim et al., "Video
        Panoptic Segmentation" (2020), section 4.2, have it.

    Example:
        >>> import torch
        >>> from fastcv.nn.panoptic.track_head import TrackHead
        >>> head = TrackHead(16 * 7 * 7, 8)
        >>> new, earlier = (head.describe(torch.rand(n, 16, 7, 7)) for n in (3, 2))
        >>> head(new, earlier).shape, head(new, earlier)[:, 0].tolist()
        (torch.Size([3, 3]), [0.0, 0.0, 0.0])
    """

    def __init__(self, in_channels: int, width: int = 1024) -> None:
        super().__init__()
        self.fcs = nn.ModuleList([nn.Linear(in_channels, width), nn.Linear(width, width)])
        for layer in self.fcs:
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=0.01)
            fill(layer.bias)

    def describe(self, pooled: Tensor) -> Tensor:
        """``[N, C, h, w]`` to ``[N, width]``, at least float32."""
        first, second = self.fcs
        return full_precision(second(F.relu(first(pooled.flatten(1)))))

    def forward(self, new: Tensor, earlier: Tensor) -> Tensor:
        """Logits of which earlier object each new box shows.

        Args:
            new: ``[N, width]`` of ``describe``.
            earlier: ``[M, width]``, likewise.

        Returns:
            ``[N, 1 + M]``; the first column is 0, that of an object that was not there.
        """
        return F.pad(new @ earlier.T, (1, 0))


def match_loss(logits: Sequence[Tensor], matched: Sequence[Tensor]) -> Tensor:
    """Cross-entropy of which earlier object each box shows, the mean over the boxes of an image.

    Args:
        logits: for each image ``[N, 1 + M]``, of ``TrackHead``.
        matched: for each image ``[N]`` int64, -1 for a box whose object was not there.

    Returns:
        The mean over the images; one without boxes counts as 0.
    """
    costs = [
        F.cross_entropy(own, match + 1, reduction="sum") / max(len(match), 1)
        for own, match in zip(logits, matched, strict=True)
    ]
    return torch.stack(costs).mean()
