"""Stacked hourglasses: heatmaps of keypoints, made better from stack to stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes.keypoints import MPII_KEYPOINTS, KeypointSchema, keypoint_schema
from fastcv.models._registry import register
from fastcv.models.landmarks._keypoint_estimator import KeypointEstimator
from fastcv.nn.landmarks import decode, encode
from fastcv.nn.losses._tensors import check_tensor

DEPTH = 4  # halvings in an hourglass: 64 cells to 4
STRIDE = 4  # of the heatmaps; section 3.3
SIGMA = 1.0  # of the targets, in cells of a heatmap; section 3.3
Schema = KeypointSchema | Mapping[str, Any] | Sequence[str] | int


class Conv(nn.Module):
    """A convolution with a bias, maybe a batch norm and a ReLU, by the checkpoints' names."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, norm_relu: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2)
        self.bn = nn.BatchNorm2d(outputs) if norm_relu else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x if self.bn is None else F.relu(self.bn(x))


class Residual(nn.Module):
    """A bottleneck whose norms and ReLUs come before the convolutions.

    ``skip_layer`` is there in every checkpoint, and is used where the channels change.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = Conv(inputs, half, 1)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv2 = Conv(half, half, 3)
        self.bn3 = nn.BatchNorm2d(half)
        self.conv3 = Conv(half, outputs, 1)
        self.skip_layer = Conv(inputs, outputs, 1)
        self.projects = inputs != outputs

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out)))
        out = self.conv3(F.relu(self.bn3(out)))
        return out + (self.skip_layer(x) if self.projects else x)


class Hourglass(nn.Module):
    """A branch at full size, added to one that goes through a smaller hourglass.

    Args:
        depth: how often the size is halved.
        channels: at every size.

    Source: Newell et al. (2016), section 3.1, figure 3.
    """

    def __init__(self, depth: int, channels: int) -> None:
        super().__init__()
        self.up1 = Residual(channels, channels)
        self.low1 = Residual(channels, channels)
        self.low2: nn.Module = (
            Hourglass(depth - 1, channels) if depth > 1 else Residual(channels, channels)
        )
        self.low3 = Residual(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        low = self.low3(self.low2(self.low1(F.max_pool2d(x, 2))))
        return self.up1(x) + F.interpolate(low, scale_factor=2.0, mode="nearest")


class Merge(nn.Module):
    """A 1x1 convolution under the checkpoints' name of it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = Conv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class HourglassKeypoints(KeypointEstimator):
    """Hourglasses in a row; each predicts all heatmaps, and the next one starts from them.

    Args:
        stacks: how many hourglasses.
        keypoints: a ``KeypointSchema`` or its ``to_dict()``, names, or a number.
        channels: of the hourglasses, a multiple of 4; the first layers have a quarter and a half.
        crop_size: height and width of the crops, in pixels, a multiple of 64; the heatmaps are a
            quarter as high and wide.

    Raises:
        ValueError: ``channels`` or ``crop_size`` is no such multiple, or ``stacks`` is below 1.

    Source: Newell et al., "Stacked Hourglass Networks for Human Pose Estimation" (2016). The
        layers are those of its authors' code in PyTorch, princeton-vl/pytorch_stacked_hourglass.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model(
        ...     "stacked_hourglass_2", keypoints=["tip", "end"], channels=8, crop_size=64
        ... )
        >>> model(torch.rand(4, 3, 64, 64)).shape
        torch.Size([4, 2, 2, 16, 16])
        >>> (found,) = model.predict(torch.rand(3, 50, 90), boxes=[[5, 5, 30, 45], [40, 0, 90, 50]])
        >>> found.keypoints.shape, found.schema.names
        (torch.Size([2, 2, 3]), ('tip', 'end'))
    """

    stride = STRIDE

    def __init__(
        self,
        stacks: int,
        *,
        keypoints: Schema = MPII_KEYPOINTS,
        channels: int = 256,
        crop_size: int = 256,
    ) -> None:
        super().__init__()
        multiple = STRIDE * 2**DEPTH
        if stacks < 1:
            raise ValueError(f"stacks must be at least 1, got {stacks}")
        if channels < 4 or channels % 4:
            raise ValueError(f"channels must be a multiple of 4, got {channels}")
        if crop_size < multiple or crop_size % multiple:
            raise ValueError(f"crop_size must be a multiple of {multiple}, got {crop_size}")
        self.schema, self.crop_size = keypoint_schema(keypoints), crop_size
        is_person = self.schema == MPII_KEYPOINTS
        self.classes = ("background", "person" if is_person else "object")
        points, quarter, half = len(self.schema), channels // 4, channels // 2
        self.pre = nn.Sequential(
            Conv(3, quarter, 7, stride=2, norm_relu=True),
            Residual(quarter, half),
            nn.MaxPool2d(2, 2),
            Residual(half, half),
            Residual(half, channels),
        )
        every, between = range(stacks), range(stacks - 1)
        self.hgs = nn.ModuleList(nn.Sequential(Hourglass(DEPTH, channels)) for _ in every)
        self.features = nn.ModuleList(
            nn.Sequential(Residual(channels, channels), Conv(channels, channels, 1, norm_relu=True))
            for _ in every
        )
        self.outs = nn.ModuleList(Conv(channels, points, 1) for _ in every)
        self.merge_features = nn.ModuleList(Merge(channels, channels) for _ in between)
        self.merge_preds = nn.ModuleList(Merge(points, channels) for _ in between)

    def forward(self, crops: Tensor) -> Tensor:
        """Heatmaps of each stack, ``[N, stacks, K, H / 4, W / 4]``.

        Args:
            crops: ``[N, 3, H, W]`` in [0, 1], sides multiples of 64.

        Raises:
            ValueError: crops of another shape.
        """
        multiple = STRIDE * 2**DEPTH
        if crops.ndim != 4 or any(side % multiple or not side for side in crops.shape[2:]):
            raise ValueError(
                f"crops must be [N, 3, H, W] with H and W multiples of {multiple}, got "
                f"{list(crops.shape)}"
            )
        x = self.pre(crops)
        heatmaps = []
        for i, (hourglass, features) in enumerate(zip(self.hgs, self.features, strict=True)):
            feature = features(hourglass(x))
            heatmaps.append(self.outs[i](feature))
            if i < len(self.merge_preds):
                x = x + self.merge_preds[i](heatmaps[i]) + self.merge_features[i](feature)
        return torch.stack(heatmaps, dim=1)

    def loss(self, output: Tensor, targets: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """The mean squared error of each stack's heatmaps, divided by the number of stacks.

        Args:
            output: of ``forward``.
            targets: labels ``[N]`` int64, of the objects, and keypoints ``[N, K, 3]``: x and y in
                pixels of the crop, and a visibility. Where that is 0 the heatmap to learn is zero.

        Returns:
            ``heatmaps_1``, ``heatmaps_2``, ... by stack.

        Raises:
            TypeError: targets that are not two tensors.
            ValueError: targets of another shape or dtype, or a label that no class has.
        """
        check_tensor("output", output)
        keypoints = self.check_targets(len(output), targets)
        size = (output.shape[-2], output.shape[-1])
        heatmaps = encode(self.cells(keypoints).to(output), size, SIGMA)
        return {
            f"heatmaps_{i + 1}": F.mse_loss(own, heatmaps) / output.shape[1]
            for i, own in enumerate(output.unbind(1))
        }

    def read(self, output: Tensor, *, stack: int = -1) -> tuple[Tensor, Tensor]:
        """Points ``[N, K, 2]`` in cells and scores ``[N, K]``.

        Args:
            output: of ``forward``.
            stack: whose heatmaps are read; -1 is the last.

        Raises:
            ValueError: there is no such stack.
        """
        stacks = output.shape[1]
        if not -stacks <= stack < stacks:
            raise ValueError(f"stack must be {-stacks} to {stacks - 1}, got {stack}")
        return decode(output[:, stack], "quarter")

    def onnx_outputs(self, image: Tensor) -> dict[str, Tensor]:
        return {"heatmaps": self(self.crop_whole(image))[0, -1]}

    def rename_key(self, key: str) -> str:
        return key.removeprefix("model.module.")


@register("stacked_hourglass_2", task="keypoints")
def stacked_hourglass_2(**config: Any) -> HourglassKeypoints:
    """Two stacked hourglasses; ``config``: what ``HourglassKeypoints`` takes but ``stacks``."""
    return HourglassKeypoints(2, **config)


@register("stacked_hourglass_4", task="keypoints")
def stacked_hourglass_4(**config: Any) -> HourglassKeypoints:
    """Four stacked hourglasses; ``config``: what ``HourglassKeypoints`` takes but ``stacks``."""
    return HourglassKeypoints(4, **config)


@register("stacked_hourglass_8", task="keypoints")
def stacked_hourglass_8(**config: Any) -> HourglassKeypoints:
    """Eight stacked hourglasses; ``config``: what ``HourglassKeypoints`` takes but ``stacks``."""
    return HourglassKeypoints(8, **config)
