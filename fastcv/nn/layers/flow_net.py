"""A small net that says how features have moved, and what moves them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.init import fill
from fastcv.ops import flow_warp

SLOPE = 0.1  # of the leaky ReLUs
UNIT = 8.0  # a flow of so much moves by half of the map's side


def leaky_conv(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution and a leaky ReLU."""
    conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
    nn.init.kaiming_normal_(conv.weight, SLOPE)
    fill(conv.bias)
    return nn.Sequential(conv, nn.LeakyReLU(SLOPE, inplace=True))


class Motion(NamedTuple):
    """How features of an earlier frame become those of a later one."""

    flow: Tensor
    """``[B, 2, H, W]`` as (x, y): where in the earlier frame a feature was, less where it is; 16
    would be the whole side of the map."""
    scale: Tensor
    """``[B, C, H, W]``: what moved features are multiplied by."""
    bias: Tensor
    """``[B, C, H, W]``: what is added to them."""

    def apply(self, features: Tensor) -> Tensor:
        """Features ``[B, C, H, W]`` of the earlier frame, moved."""
        return flow_warp(features, in_pixels(self.flow)) * self.scale + self.bias


def in_pixels(flow: Tensor) -> Tensor:
    """A flow ``[B, 2, H, W]`` of a ``FlowNet`` in pixels of its own map.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.flow_net import in_pixels
        >>> in_pixels(torch.full((1, 2, 3, 9), 16.0))[0, :, 0, 0]  # all of 8 and of 2 steps
        tensor([8., 2.])
    """
    return flow * _steps(flow)


def from_pixels(flow: Tensor) -> Tensor:
    """The way back: what a ``FlowNet`` should say of a flow in pixels, at any size of its map."""
    return flow / _steps(flow).clamp(min=1 / (2 * UNIT))


def _steps(flow: Tensor) -> Tensor:
    """From pixel to pixel, along x and y, in a flow's unit."""
    height, width = flow.shape[-2:]
    steps = torch.tensor([width - 1, height - 1], dtype=flow.dtype, device=flow.device)
    return (steps / (2 * UNIT)).view(2, 1, 1)


class MotionHead(nn.Module):
    """Flow, scale and bias. They start as no motion: what is moved is a copy.

    Args:
        inputs: channels of its own input.
        channels: of the features that will be moved.
    """

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 2, 3, padding=1, bias=False)
        self.scale = nn.Conv2d(inputs, channels, 1)
        self.bias = nn.Conv2d(inputs, channels, 1)
        for conv in (self.conv, self.scale, self.bias):
            fill(conv.weight)
        fill(self.scale.bias, 1.0)
        fill(self.bias.bias)

    def forward(self, x: Tensor) -> Motion:
        return Motion(self.conv(x), self.scale(x), self.bias(x))


class FlowNet(nn.Module):
    """From the features of two frames to the motion between them, at three sizes.

    It works on features that are there already, so it is small: two convolutions at each size on
    the way down, and on the way up what was found at the size below.

    Args:
        inputs: channels of each frame's features.
        channels: of the features that will be moved.
        width: channels of the first layers; they double with each size.

    Source: Liu et al., "YolactEdge: Real-time Instance Segmentation on the Edge" (2021), section
        3.2; keys as in haotian-liu/yolact_edge.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.flow_net import FlowNet
        >>> net = FlowNet(8, channels=16, width=4)
        >>> new, old = torch.rand(2, 1, 8, 12, 20)
        >>> [tuple(motion.flow.shape) for motion in net(new, old)]
        [(1, 2, 12, 20), (1, 2, 6, 10), (1, 2, 3, 5)]
    """

    def __init__(self, inputs: int, *, channels: int, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(leaky_conv(2 * inputs, width), leaky_conv(width, width))
        self.conv2 = _halving(width)
        self.conv3 = _halving(2 * width)
        self.pred3 = MotionHead(4 * width, channels)
        self.pred2 = MotionHead(4 * width + 2, channels)
        self.pred1 = MotionHead(2 * width + 2, channels)
        self.upfeat3 = nn.Conv2d(4 * width, 2 * width, 3, padding=1, bias=False)
        self.upflow3 = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.upfeat2 = nn.Conv2d(4 * width + 2, width, 3, padding=1, bias=False)
        self.upflow2 = nn.Conv2d(2, 2, 3, padding=1, bias=False)

    def forward(self, new: Tensor, old: Tensor) -> list[Motion]:
        """The motion at the features' size, at half and at a quarter of it.

        Args:
            new: ``[B, inputs, H, W]``, features of the later frame.
            old: of the earlier frame, likewise.
        """
        coarse = self.coarse(new, old)
        found = _joined(coarse.first, coarse.joined, coarse.half, self.upfeat2, self.upflow2)
        return [self.pred1(found), coarse.half, coarse.quarter]

    def coarse(self, new: Tensor, old: Tensor) -> CoarseMotion:
        """All of ``forward`` but the motion at the features' own size."""
        first = self.conv1(torch.cat([new, old], dim=1))
        second = self.conv2(first)
        third = self.conv3(second)
        quarter = self.pred3(third)
        joined = _joined(second, third, quarter, self.upfeat3, self.upflow3)
        return CoarseMotion(self.pred2(joined), quarter, first, joined)


class CoarseMotion(NamedTuple):
    """The motion at half and at a quarter of the size, and what it was found from."""

    half: Motion
    quarter: Motion
    first: Tensor
    joined: Tensor


def _halving(inputs: int) -> nn.Sequential:
    return nn.Sequential(
        leaky_conv(inputs, 2 * inputs, stride=2), leaky_conv(2 * inputs, 2 * inputs)
    )


def _joined(
    x: Tensor, below: Tensor, motion: Motion, of_features: nn.Module, of_flow: nn.Module
) -> Tensor:
    """A size's own features beside the features and the flow of the size below."""
    features, flow = (
        F.interpolate(t, size=x.shape[-2:], mode="bilinear", align_corners=False)
        for t in (below, motion.flow)
    )
    return torch.cat([x, of_features(features), of_flow(flow)], dim=1)


class FeatureRefinement(nn.Module):
    """Corrects moved features by what is known of the new frame.

    Args:
        channels: of all features.
        levels: how many are corrected.

    Source: Liu et al. (2021); "SPA" in haotian-liu/yolact_edge. It starts as no correction.
    """

    def __init__(self, channels: int, levels: int = 2) -> None:
        super().__init__()
        self.refine_convs = nn.ModuleList(leaky_conv(2 * channels, channels) for _ in range(levels))
        for layer in self.refine_convs:
            assert isinstance(layer, nn.Sequential)
            fill(layer[0].weight)

    def forward(self, finest: Tensor, features: Sequence[Tensor]) -> list[Tensor]:
        """The features, corrected.

        Args:
            finest: ``[B, channels, H, W]`` of the new frame.
            features: ``[B, channels, H_l, W_l]`` for each level, finest first.
        """
        corrected = []
        for refine, x in zip(self.refine_convs, features, strict=True):
            finest = F.interpolate(finest, x.shape[-2:], mode="bilinear", align_corners=False)
            corrected.append(x + refine(torch.cat([x, finest], dim=1)))
        return corrected
