"""The keypoint branch of Mask R-CNN: a map on each box for each keypoint, which is in one cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.roi_branch import Frame, RoIBranch, RoISamples
from fastcv.nn.init import fill


class KeypointHead(nn.Sequential):
    """3x3 convolutions with ReLU that keep the size.

    Args:
        in_channels: of the pooled features.
        channels: of each convolution.
    """

    def __init__(self, in_channels: int, channels: Sequence[int]) -> None:
        layers: list[nn.Module] = []
        for width in channels:
            layers += [nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            in_channels = width
        super().__init__(*layers)
        for layer in self:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                fill(layer.bias)


class KeypointPredictor(nn.Module):
    """Four times the size, a map for each keypoint: ``[K, C, h, w]`` to ``[K, points, 4h, 4w]``.

    Args:
        in_channels: of the head's maps.
        num_keypoints: of an object.
    """

    def __init__(self, in_channels: int, num_keypoints: int) -> None:
        super().__init__()
        self.kps_score_lowres = nn.ConvTranspose2d(
            in_channels, num_keypoints, 4, stride=2, padding=1
        )
        weight = self.kps_score_lowres.weight
        nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
        fill(self.kps_score_lowres.bias)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.kps_score_lowres(x)
        return F.interpolate(scores, scale_factor=2.0, mode="bilinear", align_corners=False)


class KeypointBranch(RoIBranch):
    """Keypoints ``[N, K, 3]`` of targets (x, y, visibility), learned as cells of maps on proposals.

    A map is a softmax over its cells, and the loss its cross-entropy with the one cell where the
    keypoint is; keypoints with visibility 0, and those outside of the proposal, do not count.

    ``fields``: ``keypoints`` ``[N, K, 3]``, x and y in pixels of the image and a visibility of 1,
    and ``keypoint_scores`` ``[N, K]``, the logits there.

    Args:
        num_keypoints: K.

    Source: He et al., "Mask R-CNN" (2017), section 5.
    """

    name = "keypoint"
    needs = ("keypoints",)

    def __init__(self, num_keypoints: int) -> None:
        self.num_keypoints = num_keypoints

    def check(self, target: Mapping[str, Any], frame_size: tuple[int, int]) -> str:
        wrong = super().check(target, frame_size)
        if wrong:
            return wrong
        keypoints, expected = target["keypoints"], [len(target["boxes"]), self.num_keypoints, 3]
        if list(keypoints.shape) != expected or not keypoints.is_floating_point():
            return (
                f"keypoints must be floating {expected}, as many as the model has, got "
                f"{keypoints.dtype} {list(keypoints.shape)}"
            )
        return ""

    def loss(self, output: Tensor, samples: Sequence[RoISamples]) -> Tensor:
        cells = torch.cat([_cells(sample, output.shape[-1]) for sample in samples]).flatten()
        if not bool((cells >= 0).any()):
            return output.sum() * 0
        return F.cross_entropy(output.flatten(2).flatten(0, 1), cells, ignore_index=-1)

    def fields(self, output: Tensor, found: FoundBoxes, frame: Frame) -> dict[str, Tensor]:
        points, scores = heatmap_peaks(output, found.boxes)
        seen = torch.ones_like(points[..., :1])
        return {
            "keypoints": torch.cat([frame.to_image(points), seen], dim=-1),
            "keypoint_scores": scores,
        }

    def onnx_outputs(self, output: Tensor, found: FoundBoxes) -> dict[str, Tensor]:
        return {"heatmaps": output}  # heatmap_peaks enlarges each to a size of its own


def _cells(samples: RoISamples, size: int) -> Tensor:
    """Which of a map's ``size * size`` cells each keypoint is in, ``[P, K]``; -1: none."""
    keypoints = samples.target["keypoints"][samples.matched].to(samples.boxes)
    points, seen = samples.frame.to_batch(keypoints[..., :2]), keypoints[..., 2] > 0
    low, high = samples.boxes[:, None, :2], samples.boxes[:, None, 2:]
    cell = ((points - low) * (size / (high - low))).floor().long()
    cell = torch.where(points == high, size - 1, cell)  # the far edge is of the last cell
    inside = ((cell >= 0) & (cell < size)).all(dim=-1)
    return torch.where(inside & seen, cell[..., 1] * size + cell[..., 0], -1)


def heatmap_peaks(heatmaps: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Where on their boxes heatmaps are highest, once they are enlarged to the boxes' pixels.

    Args:
        heatmaps: ``[N, K, h, w]``.
        boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)``; sides below a pixel count as one.

    Returns:
        ``[N, K, 2]`` as (x, y), the middle of a pixel, and the values there ``[N, K]``, of bicubic
        interpolation.

    Source: He et al., "Mask R-CNN" (2017), section 5; Heckbert, "What Are the Coordinates of a
        Pixel?" (1990).

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.keypoint_branch import heatmap_peaks
        >>> heatmap = torch.zeros(1, 1, 4, 4)
        >>> heatmap[0, 0, 1, 2] = 1
        >>> heatmap_peaks(heatmap, torch.tensor([[10.0, 20.0, 14.0, 24.0]]))
        (tensor([[[12.5000, 21.5000]]]), tensor([[1.]]))
    """
    count, keypoints = heatmaps.shape[:2]
    points = heatmaps.new_zeros(count, keypoints, 2)
    scores = heatmaps.new_zeros(count, keypoints)
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
    for i, (width, height) in enumerate(sides.ceil().int().tolist()):
        large = F.interpolate(
            heatmaps[i : i + 1], size=(height, width), mode="bicubic", align_corners=False
        )[0]
        scores[i], place = large.flatten(1).max(dim=1)
        pixels = torch.stack([place % width, place // width], dim=1) + 0.5
        points[i] = boxes[i, :2] + pixels * (sides[i] / pixels.new_tensor([width, height]))
    return points, scores
