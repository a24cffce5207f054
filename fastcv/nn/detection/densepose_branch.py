"""The surface branch of DensePose R-CNN: for each cell of a box, where on the body it lies.

A body's surface is cut into charts. A point of it is the number I of its chart, from 1, and two
coordinates U and V in there, from 0 to 1.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.roi_branch import Frame, RoIBranch, RoISamples
from fastcv.nn.init import fill
from fastcv.ops import MultiScaleRoIAlign

LEVELS = ("0", "1", "2", "3")  # of the pyramid, strides 4 to 32
POOLED = 28  # cells of the pooled features along each side; the maps have four times as many

# Weights of the terms, as in detectron2's configuration.
POINTS_WEIGHT = 0.01
CHARTS_WEIGHT = 1.0
BODY_WEIGHT = 5.0

BAND = 2**24  # values that are interpolated at a time: 64 MiB


class PyramidDecoder(nn.Module):
    """All levels of a pyramid as one map of the finest one's size.

    Each level goes through 3x3 convolutions with ReLU, and twice its size after each, until it has
    the finest one's. Their sum goes through a 1x1 convolution.

    Args:
        in_channels: of each level.
        channels: of the convolutions and of the map.

    Source: Kirillov et al., "Panoptic Feature Pyramid Networks" (2019), section 3.1.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.densepose_branch import PyramidDecoder
        >>> levels = {str(i): torch.rand(1, 8, 32 >> i, 32 >> i) for i in range(4)}
        >>> PyramidDecoder(8, 4)(levels).shape
        torch.Size([1, 4, 32, 32])
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        for level in range(len(LEVELS)):
            layers = OrderedDict[str, nn.Module]()
            for i in range(max(level, 1)):
                width = in_channels if i == 0 else channels
                # Numbers as in checkpoints, where only convolutions and enlargements count.
                layers[str(2 * i)] = nn.Conv2d(width, channels, 3, padding=1)
                layers[f"relu{i}"] = nn.ReLU(inplace=True)
                if level > 0:
                    layers[str(2 * i + 1)] = nn.Upsample(scale_factor=2, mode="bilinear")
            self.add_module(f"p{level + 2}", nn.Sequential(layers))
        self.predictor = nn.Conv2d(channels, channels, 1)
        _start(self)

    def forward(self, x: dict[str, Tensor]) -> Tensor:
        """``[B, C, H / 2^i, W / 2^i]`` for each level to ``[B, channels, H, W]``."""
        parts = [self.get_submodule(f"p{i + 2}")(x[name]) for i, name in enumerate(LEVELS)]
        return self.predictor(sum(parts[1:], parts[0]))


class DecodedRoIAlign(nn.Module):
    """RoIAlign of what a decoder makes of a pyramid; called as ``MultiScaleRoIAlign`` is.

    Args:
        decoder: the levels to one map of the finest one's size.
        output_size: cells along each side.
    """

    def __init__(self, decoder: nn.Module, output_size: int = POOLED) -> None:
        super().__init__()
        self.decoder = decoder
        self.align = MultiScaleRoIAlign(["decoded"], output_size=output_size, sampling_ratio=2)

    def forward(
        self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> Tensor:
        """``[K, channels, output_size, output_size]``, image after image."""
        pooled: Tensor = self.align({"decoded": self.decoder(x)}, boxes, image_shapes)
        return pooled


class DensePoseHead(nn.Sequential):
    """3x3 convolutions with ReLU that keep the size.

    Args:
        in_channels: of the pooled features.
        channels: of each convolution.
    """

    def __init__(self, in_channels: int, channels: Sequence[int]) -> None:
        layers = OrderedDict[str, nn.Module]()
        for i, width in enumerate(channels, 1):
            layers[f"body_conv_fcn{i}"] = nn.Conv2d(in_channels, width, 3, padding=1)
            layers[f"relu{i}"] = nn.ReLU(inplace=True)
            in_channels = width
        super().__init__(layers)
        _start(self)


class SurfaceMaps(NamedTuple):
    """What the predictor's channels are."""

    body: Tensor
    """``[K, 2, h, w]``: logits of S, whether a cell is background or body."""
    charts: Tensor
    """``[K, 1 + charts, h, w]``: logits of I; channel 0 is of no chart."""
    u: Tensor
    """``[K, 1 + charts, h, w]``: U and V, of each chart its own."""
    v: Tensor

    @classmethod
    def of(cls, output: Tensor) -> SurfaceMaps:
        """Of ``[K, 2 + 3 * (1 + charts), h, w]``."""
        charts = (output.shape[1] - 2) // 3
        return cls(*torch.split(output, [2, charts, charts, charts], dim=1))


class DensePosePredictor(nn.Module):
    """Four times the size: ``[K, C, h, w]`` to ``[K, 2 + 3 * (1 + charts), 4h, 4w]``.

    ``SurfaceMaps.of`` tells the channels apart.

    Args:
        in_channels: of the head's maps.
        charts: of the surface.
    """

    def __init__(self, in_channels: int, charts: int) -> None:
        super().__init__()
        for name, channels in (
            ("ann_index", 2),
            ("index_uv", charts + 1),
            ("u", charts + 1),
            ("v", charts + 1),
        ):
            layer = nn.ConvTranspose2d(in_channels, channels, 4, stride=2, padding=1)
            self.add_module(f"{name}_lowres", layer)
        _start(self)

    def forward(self, x: Tensor) -> Tensor:
        maps = torch.cat([layer(x) for layer in self.children()], dim=1)
        return F.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)


def _start(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            fill(layer.bias)


class DensePoseBranch(RoIBranch):
    """Points of a surface, learned at the places that somebody annotated.

    Targets have ``dense_keypoints`` ``[N, P, 3]``: x and y in pixels and the chart, 1 and up, or 0
    where an object has fewer than P points; ``dense_uv`` ``[N, P, 2]`` in [0, 1]; and ``masks``
    ``[N, H, W]``. Only proposals that overlap their object by an IoU of more than 0.7 count.

    The loss has four terms, of maps that are read bilinearly at the annotated points:

    - ``U``, ``V``: 0.01 times the sum of the smooth L1 errors, of the true chart's map alone.
    - ``I``: the mean cross-entropy of the charts.
    - ``S``: 5 times the mean cross-entropy of body and background, of all cells of the proposals.

    ``fields``: ``surface`` ``[N, 2 + 3 * (1 + charts), h, w]``, the maps as they are.

    Args:
        charts: of the surface.

    Source: Guler et al., "DensePose: Dense Human Pose Estimation In The Wild" (2018), section 4.
    """

    name = "densepose"
    needs = ("dense_keypoints", "dense_uv", "masks")
    min_iou = 0.7

    def __init__(self, charts: int) -> None:
        self.charts = charts

    def check(self, target: Mapping[str, Any], frame_size: tuple[int, int]) -> str:
        wrong = super().check(target, frame_size)
        if wrong:
            return wrong
        points, uv, masks = (target[key] for key in self.needs)
        count = len(target["boxes"])
        if points.ndim != 3 or points.shape[2] != 3 or not points.is_floating_point():
            return (
                f"dense_keypoints must be floating [{count}, P, 3], x, y and chart, got "
                f"{points.dtype} {list(points.shape)}"
            )
        if list(uv.shape) != [*points.shape[:2], 2] or not uv.is_floating_point():
            return (
                f"dense_uv must be floating {[*points.shape[:2], 2]}, of each point, got "
                f"{uv.dtype} {list(uv.shape)}"
            )
        expected = [count, *frame_size]
        if list(masks.shape) != expected:
            return f"masks must be {expected}, as the image is, got {list(masks.shape)}"
        charts = points[..., 2]
        good = (charts >= 0) & (charts <= self.charts) & (charts == charts.floor())
        if not bool(good.all()):
            return (
                f"the chart of a point must be 1 to {self.charts}, or 0 for no point, got "
                f"{_first(charts, good)}"
            )
        uv = uv[charts > 0]
        if not bool(((uv >= 0) & (uv <= 1)).all()):
            return f"dense_uv must be 0 to 1, got {_first(uv, (uv >= 0) & (uv <= 1))}"
        return ""

    def loss(self, output: Tensor, samples: Sequence[RoISamples]) -> dict[str, Tensor]:
        maps = SurfaceMaps.of(output)
        at, inside, charts, uv = _points(samples, output)
        counted = inside & (charts > 0)
        values = [_read(part, at).transpose(1, 2)[counted] for part in maps[1:]]  # [M, 1 + charts]
        charts, uv = charts[counted], uv[counted]
        own = [value.gather(1, charts[:, None])[:, 0] for value in values[1:]]
        error_u, error_v = (
            F.smooth_l1_loss(value, true, reduction="sum")
            for value, true in zip(own, uv.unbind(dim=1), strict=True)
        )
        body = torch.cat([_body(sample, output.shape[-1]) for sample in samples])
        return {
            "U": POINTS_WEIGHT * error_u,
            "V": POINTS_WEIGHT * error_v,
            "I": CHARTS_WEIGHT * _mean_cross_entropy(values[0], charts),
            "S": BODY_WEIGHT * _mean_cross_entropy(maps.body, body.long()),
        }

    def fields(self, output: Tensor, found: FoundBoxes, frame: Frame) -> dict[str, Tensor]:
        return self.onnx_outputs(output, found)

    def onnx_outputs(self, output: Tensor, found: FoundBoxes) -> dict[str, Tensor]:
        return {"surface": output}


def _mean_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Of nothing it is 0, with a gradient of 0."""
    return F.cross_entropy(logits, labels) if len(labels) else logits.sum() * 0


def _first(values: Tensor, good: Tensor) -> float:
    """The first value that is not good."""
    return float(values[~good][0])


def _points(samples: Sequence[RoISamples], output: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The annotated points of every sample, P of each; short rows are filled up with no points.

    Returns:
        ``[K, P, 2]`` where they are on the boxes, (x, y) from 0 to 1; ``[K, P]`` whether they are
        on them; ``[K, P]`` int64 the charts; ``[K, P, 2]`` U and V.
    """
    longest = max((s.target["dense_uv"].shape[1] for s in samples), default=0)
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for sample in samples:
        target, low = sample.target, sample.boxes[:, None, :2]
        fill_up = (0, 0, 0, longest - target["dense_uv"].shape[1])
        points = F.pad(target["dense_keypoints"][sample.matched].to(output), fill_up)
        uv = F.pad(target["dense_uv"][sample.matched].to(output), fill_up)
        size = sample.boxes[:, None, 2:] - low
        at = (sample.frame.to_batch(points[..., :2]) - low) / size
        parts.append((at, points[..., 2].long(), uv))
    at, charts, uv = (torch.cat(column) for column in zip(*parts, strict=True))
    return at, ((at >= 0) & (at < 1)).all(dim=-1), charts, uv


def _read(maps: Tensor, at: Tensor) -> Tensor:
    """Maps ``[K, C, h, w]`` at points ``[K, P, 2]`` from 0 to 1, bilinearly: ``[K, C, P]``.

    The middle of the first cell is at ``0.5 / w``; beyond it lies its own value.
    """
    grid = (2 * at - 1)[:, :, None]
    return F.grid_sample(maps, grid, padding_mode="border", align_corners=False)[..., 0]


def _body(sample: RoISamples, size: int) -> Tensor:
    """Whether the middle of each of a box's cells is on the object's mask: ``[P, size, size]``."""
    masks, boxes = sample.target["masks"], sample.boxes
    height, width = masks.shape[-2:]
    middles = (torch.arange(size, device=boxes.device, dtype=boxes.dtype) + 0.5) / size
    places = boxes[:, None, :2] + middles[:, None] * (boxes[:, None, 2:] - boxes[:, None, :2])
    x, y = sample.frame.to_image(places).floor().long().unbind(dim=-1)
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    there = masks[sample.matched[:, None, None], y[:, :, None], x[:, None, :]]
    return inside & (there > 0)


def surface_on_pixels(maps: Tensor, box: Tensor, window: tuple[int, int, int, int]) -> Tensor:
    """One box's maps at the middles of a picture's pixels.

    Args:
        maps: ``[2 + 3 * (1 + charts), h, w]``, as of ``DensePosePredictor``.
        box: ``[4]`` as (x1, y1, x2, y2) in pixels.
        window: left, top, right and bottom of the pixels that are asked for.

    Returns:
        ``[3, bottom - top, right - left]`` float32: I, which is 0 for background and outside of the
        box, U and V, both in [0, 1] and 0 where I is.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.densepose_branch import surface_on_pixels
        >>> maps = torch.zeros(8, 4, 4)  # one chart
        >>> maps[1], maps[3], maps[5], maps[7] = 1, 1, 0.25, 0.75  # body, chart 1, its U and V
        >>> surface_on_pixels(maps, torch.tensor([1.0, 1, 3, 3]), (0, 1, 3, 2))
        tensor([[[0.0000, 1.0000, 1.0000]],
        <BLANKLINE>
                [[0.0000, 0.2500, 0.2500]],
        <BLANKLINE>
                [[0.0000, 0.7500, 0.7500]]])
    """
    left, top, right, bottom = window
    x1, y1, x2, y2 = box.float().unbind()
    surface = maps.new_zeros(3, max(bottom - top, 0), max(right - left, 0), dtype=torch.float32)
    x = (torch.arange(left, right, device=maps.device) + 0.5 - x1) / (x2 - x1)
    y = (torch.arange(top, bottom, device=maps.device) + 0.5 - y1) / (y2 - y1)
    # A band of rows at a time: there are many more channels than the three that are kept.
    rows = max(1, BAND // max(maps.shape[0] * len(x), 1))
    for start in range(0, len(y) if len(x) else 0, rows):
        part = y[start : start + rows]
        at = torch.stack(torch.meshgrid(x, part, indexing="xy"), dim=-1)
        values = _read(maps[None].float(), at.flatten(0, 1)[None])
        body, charts, u, v = SurfaceMaps.of(torch.unflatten(values, 2, (len(part), len(x))))
        on_body = (body[0, 1] > body[0, 0]) & ((at >= 0) & (at < 1)).all(dim=-1)
        chart = charts[0].argmax(dim=0) * on_body
        uv = torch.stack([m[0].gather(0, chart[None])[0] for m in (u, v)]).clamp(0, 1)
        surface[0, start : start + rows] = chart
        surface[1:, start : start + rows] = uv * (chart > 0)
    return surface
