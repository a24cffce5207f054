"""The mask branch of Mask R-CNN: a small map of probabilities on each box, one for each class."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.roi_branch import Frame, RoIBranch, RoISamples
from fastcv.nn.init import fill
from fastcv.nn.layers.conv_norm_activation import Conv2dNormActivation
from fastcv.ops import roi_align


class MaskHead(nn.Sequential):
    """3x3 convolutions with ReLU that keep the size.

    Args:
        in_channels: of the pooled features.
        channels: of each convolution.
    """

    def __init__(self, in_channels: int, channels: Sequence[int]) -> None:
        widths = [in_channels, *channels]
        super().__init__(
            *(Conv2dNormActivation(a, b, 3, norm_layer=None) for a, b in pairwise(widths))
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                fill(layer.bias)


class MaskPredictor(nn.Sequential):
    """Twice the size, then a logit for each class: ``[K, C, h, w]`` to ``[K, classes, 2h, 2w]``.

    Args:
        in_channels: of the head's maps.
        channels: between the two layers.
        num_classes: with the background, whose mask nobody asks for.
    """

    def __init__(self, in_channels: int, channels: int, num_classes: int) -> None:
        super().__init__(
            OrderedDict(
                conv5_mask=nn.ConvTranspose2d(in_channels, channels, 2, stride=2),
                relu=nn.ReLU(inplace=True),
                mask_fcn_logits=nn.Conv2d(channels, num_classes, 1),
            )
        )
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")


class MaskBranch(RoIBranch):
    """Masks ``[N, H, W]`` bool of targets, learned as maps on the proposals.

    Each class has a mask of its own and does not compete with the others: the box's class picks
    one. The loss is the mean cross-entropy of the pixels of the true class's mask.

    ``fields``: ``masks`` ``[N, h, w]``, the probabilities on the boxes.

    Source: He et al., "Mask R-CNN" (2017), section 3.
    """

    name = "mask"
    needs = ("masks",)

    def check(self, target: Mapping[str, Any], frame_size: tuple[int, int]) -> str:
        wrong = super().check(target, frame_size)
        if wrong:
            return wrong
        masks, expected = target["masks"], [len(target["boxes"]), *frame_size]
        if list(masks.shape) != expected:
            return f"masks must be {expected}, as the image is, got {list(masks.shape)}"
        return ""

    def loss(self, output: Tensor, samples: Sequence[RoISamples]) -> Tensor:
        size = output.shape[-1]
        targets = torch.cat([_on_boxes(sample, size) for sample in samples]).to(output.dtype)
        labels = torch.cat([sample.labels for sample in samples])
        if not len(labels):
            return output.sum() * 0
        logits = output[torch.arange(len(labels), device=labels.device), labels]
        return F.binary_cross_entropy_with_logits(logits, targets)

    def fields(self, output: Tensor, found: FoundBoxes, frame: Frame) -> dict[str, Tensor]:
        return self.onnx_outputs(output, found)

    def onnx_outputs(self, output: Tensor, found: FoundBoxes) -> dict[str, Tensor]:
        rows = torch.arange(output.shape[0], device=output.device)
        return {"masks": output[rows, found.labels].sigmoid()}


def _on_boxes(samples: RoISamples, size: int) -> Tensor:
    """The samples' true masks on their boxes, ``[P, size, size]`` in [0, 1]."""
    masks = samples.target["masks"]
    boxes, matched = samples.boxes, samples.matched
    if not len(boxes):
        return boxes.new_zeros(0, size, size)
    # Of the resized image, as torchvision does: the published weights have learned such edges.
    resized = F.interpolate(masks[:, None].to(boxes.dtype), size=samples.frame.size)
    rois = torch.cat([matched[:, None].to(boxes.dtype), boxes], dim=1)
    return roi_align(resized, rois, size)[:, 0]
