"""Masks as sums of prototypes: the net that makes prototypes, the head that weighs them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.backbones.ssd_backbone import xavier
from fastcv.nn.detection.dense_head import per_anchor


class ProtoNet(nn.Sequential):
    """Prototypes of a whole picture: three convolutions, twice the size, one more, and a 1x1.

    Args:
        channels: of the map that comes in, and of its layers.
        prototypes: how many go out.

    Source: Bolya et al., "YOLACT" (2019), figure 3. ReLU keeps prototypes from being negative
        (section 3.1).

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.prototypes import ProtoNet
        >>> ProtoNet(8, prototypes=4)(torch.rand(2, 8, 5, 6)).shape
        torch.Size([2, 4, 10, 12])
    """

    def __init__(self, channels: int = 256, prototypes: int = 32) -> None:
        def conv() -> nn.Conv2d:
            return nn.Conv2d(channels, channels, 3, padding=1)

        super().__init__(
            conv(),
            nn.ReLU(inplace=True),
            conv(),
            nn.ReLU(inplace=True),
            conv(),
            nn.ReLU(inplace=True),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.ReLU(inplace=True),
            conv(),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, prototypes, 1),
            nn.ReLU(inplace=True),
        )
        xavier(self)


class PrototypeHead(nn.Module):
    """For each prior its classes, its box, and what it takes of each prototype; one for all levels.

    Args:
        channels: of every level, and of the layer that the three share.
        per_cell: priors of a cell.
        num_classes: with the background.
        prototypes: coefficients of a prior.

    Source: Bolya et al., "YOLACT" (2019), figure 4.
    """

    def __init__(self, channels: int, per_cell: int, num_classes: int, prototypes: int) -> None:
        super().__init__()
        self.num_classes, self.prototypes = num_classes, prototypes
        self.upfeature = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(inplace=True)
        )
        self.bbox_layer = nn.Conv2d(channels, per_cell * 4, 3, padding=1)
        self.conf_layer = nn.Conv2d(channels, per_cell * num_classes, 3, padding=1)
        self.mask_layer = nn.Conv2d(channels, per_cell * prototypes, 3, padding=1)
        xavier(self)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs for the priors of all levels.

        Args:
            maps: ``[B, channels, H_l, W_l]`` for each level.

        Returns:
            logits ``[B, N, num_classes]``, offsets ``[B, N, 4]``, and coefficients
            ``[B, N, prototypes]`` in [-1, 1].
        """
        logits, deltas, coefficients = [], [], []
        for x in maps:
            shared = self.upfeature(x)
            logits.append(per_anchor(self.conf_layer(shared), self.num_classes))
            deltas.append(per_anchor(self.bbox_layer(shared), 4))
            coefficients.append(per_anchor(self.mask_layer(shared), self.prototypes).tanh())
        return torch.cat(logits, 1), torch.cat(deltas, 1), torch.cat(coefficients, 1)


def combined(prototypes: Tensor, coefficients: Tensor) -> Tensor:
    """Masks as logits: for each, the sum of the prototypes by its coefficients.

    Args:
        prototypes: ``[K, H, W]``.
        coefficients: ``[N, K]``.

    Returns:
        ``[N, H, W]``.

    Source: Bolya et al., "YOLACT" (2019), equation 1, before its sigmoid.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.prototypes import combined
        >>> left, right = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> combined(torch.stack([left, right]), torch.tensor([[1.0, -1.0]]))
        tensor([[[ 1., -1.]]])
    """
    return torch.einsum("nk,khw->nhw", coefficients, prototypes)


def inside_boxes(boxes: Tensor, size: tuple[int, int], padding: int = 1) -> Tensor:
    """Which pixels of a map lie in each box.

    Args:
        boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)`` in pixels of the map.
        size: the map's ``(height, width)``.
        padding: pixels that the boxes grow by on each side.

    Returns:
        ``[N, height, width]`` bool: pixel ``x`` is inside where ``x1 - padding <= x``
        and ``x < x2 + padding``, and likewise ``y``.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.prototypes import inside_boxes
        >>> inside_boxes(torch.tensor([[2.0, 0.0, 2.5, 1.0]]), (1, 6)).int()
        tensor([[[0, 1, 1, 1, 0, 0]]], dtype=torch.int32)
    """
    x1, y1, x2, y2 = boxes[:, :, None].unbind(1)
    rows = torch.arange(size[0], device=boxes.device, dtype=boxes.dtype)
    columns = torch.arange(size[1], device=boxes.device, dtype=boxes.dtype)
    in_rows = (rows >= y1 - padding) & (rows < y2 + padding)
    in_columns = (columns >= x1 - padding) & (columns < x2 + padding)
    return in_rows[:, :, None] & in_columns[:, None, :]


def masks_as_large(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """True masks in the size of a network's maps: made smaller bilinearly, then cut at one half.

    Args:
        masks: ``[N, H, W]``, bool or 0 and 1.
        size: height and width of the map.

    Returns:
        ``[N, *size]`` float32, 0 or 1.
    """
    if not len(masks):
        return torch.zeros(0, *size, device=masks.device)
    resized = F.interpolate(masks[None].float(), size=size, mode="bilinear", align_corners=False)
    return (resized[0] > 0.5).float()
