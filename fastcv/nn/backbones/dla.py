"""Deep layer aggregation: trees of residual blocks, and a decoder that merges all their levels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fastcv.nn.backbones.resnet import conv
from fastcv.nn.layers.deform_conv import DeformConv2dPack
from fastcv.nn.layers.transposed_conv import ConvTranspose2d, bilinear_kernel

DLA34_LEVELS = (1, 1, 1, 2, 2, 1)
DLA34_CHANNELS = (16, 32, 64, 128, 256, 512)


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut that comes from outside."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv(3, inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv(3, outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)) + shortcut)


class Root(nn.Module):
    """Joins what it is given in a 1x1 convolution: where the branches of a tree meet."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = conv(1, inputs, outputs)
        self.bn = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, branches: list[Tensor]) -> Tensor:
        return self.relu(self.bn(self.conv(torch.cat(branches, dim=1))))


class Tree(nn.Module):
    """Two blocks and a root; of more levels: two trees, the second of which joins all.

    Args:
        levels: how deep.
        inputs: channels.
        outputs: channels.
        stride: of the first block.
        keeps_input: whether the root joins the tree's input, at its own size, too.
        joined: channels of what the root is given beside its own two branches.

    Source: Yu et al., "Deep Layer Aggregation" (2018), section 3.2 and figure 3.
    """

    def __init__(
        self,
        levels: int,
        inputs: int,
        outputs: int,
        stride: int = 1,
        keeps_input: bool = False,
        joined: int = 0,
    ) -> None:
        super().__init__()
        joined += inputs if keeps_input else 0
        self.keeps_input = keeps_input
        self.tree1: Block | Tree
        self.tree2: Block | Tree
        if levels == 1:
            self.tree1 = Block(inputs, outputs, stride)
            self.tree2 = Block(outputs, outputs)
            self.root = Root(2 * outputs + joined, outputs)
        else:
            self.tree1 = Tree(levels - 1, inputs, outputs, stride)
            self.tree2 = Tree(levels - 1, outputs, outputs, joined=joined + outputs)
        self.downsample = nn.MaxPool2d(stride, stride) if stride > 1 else nn.Identity()
        # Above the lowest level nothing reads it: it is there for the checkpoints, which have it.
        self.project: nn.Module = nn.Identity()
        if inputs != outputs:
            self.project = nn.Sequential(conv(1, inputs, outputs), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor, branches: tuple[Tensor, ...] = ()) -> Tensor:
        """``[B, outputs, H / stride, W / stride]``; ``branches`` are joined by the root."""
        small = self.downsample(x)
        if self.keeps_input:
            branches = (*branches, small)
        if isinstance(self.tree1, Tree):
            first = self.tree1(x)
            return self.tree2(first, (*branches, first))
        first = self.tree1(x, self.project(small))
        second = self.tree2(first, first)
        return self.root([second, first, *branches])


class DLATrunk(nn.Module):
    """DLA without its classifier: six levels, of strides 1 to 32.

    Args:
        levels: depth of each level; the first two are plain convolutions.
        channels: of each level.

    Source: Yu et al., "Deep Layer Aggregation" (2018), table 1: DLA-34.

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.dla import DLATrunk
        >>> trunk = DLATrunk(channels=(4, 4, 8, 8, 16, 16))
        >>> [tuple(x.shape[1:]) for x in trunk(torch.rand(1, 3, 64, 64))]
        [(4, 64, 64), (4, 32, 32), (8, 16, 16), (8, 8, 8), (16, 4, 4), (16, 2, 2)]
    """

    def __init__(
        self, levels: Sequence[int] = DLA34_LEVELS, channels: Sequence[int] = DLA34_CHANNELS
    ) -> None:
        super().__init__()
        c = channels
        self.base_layer = nn.Sequential(conv(7, 3, c[0]), nn.BatchNorm2d(c[0]), nn.ReLU(True))
        self.level0 = _convolutions(levels[0], c[0], c[0])
        self.level1 = _convolutions(levels[1], c[0], c[1], stride=2)
        self.level2 = Tree(levels[2], c[1], c[2], stride=2)
        self.level3 = Tree(levels[3], c[2], c[3], stride=2, keeps_input=True)
        self.level4 = Tree(levels[4], c[3], c[4], stride=2, keeps_input=True)
        self.level5 = Tree(levels[5], c[4], c[5], stride=2, keeps_input=True)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.base_layer(images)
        features = []
        for level in (
            self.level0,
            self.level1,
            self.level2,
            self.level3,
            self.level4,
            self.level5,
        ):
            x = level(x)
            features.append(x)
        return features


def _convolutions(count: int, inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(count):
        layers += [conv(3, inputs, outputs, stride), nn.BatchNorm2d(outputs), nn.ReLU(True)]
        inputs, stride = outputs, 1
    return nn.Sequential(*layers)


class DeformableConv(nn.Module):
    """A 3x3 deformable convolution with offsets and masks of its own, a norm and a ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.actf = nn.Sequential(nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
        self.conv = DeformConv2dPack(inputs, outputs, 3, padding=1, mask_scale=1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.actf(self.conv(x))


class IterativeUp(nn.Module):
    """Merges feature maps into the finest, one after another.

    Each coarser map is projected, enlarged to the size of the first, added to the one before and
    passed through a convolution.

    Args:
        outputs: channels.
        inputs: channels of the maps, the finest first.
        factors: how much each is smaller than the first.

    Source: Yu et al., "Deep Layer Aggregation" (2018), section 4.3; Zhou et al., "Objects as
        Points" (2019), figure 6d, for the deformable convolutions.
    """

    def __init__(self, outputs: int, inputs: Sequence[int], factors: Sequence[int]) -> None:
        super().__init__()
        self.steps = range(1, len(inputs))
        for i in self.steps:
            factor = factors[i]
            up = ConvTranspose2d(
                outputs,
                outputs,
                2 * factor,
                stride=factor,
                padding=factor // 2,
                groups=outputs,
                bias=False,
            )
            with torch.no_grad():
                up.weight.copy_(bilinear_kernel(outputs, 2 * factor))
            self.add_module(f"proj_{i}", DeformableConv(inputs[i], outputs))
            self.add_module(f"up_{i}", up)
            self.add_module(f"node_{i}", DeformableConv(outputs, outputs))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Of maps ``[B, C_i, H_i, W_i]`` the first and each sum, all of its size."""
        merged = [maps[0]]
        for i in self.steps:
            project, up, node = (
                self.get_submodule(f"{part}_{i}") for part in ("proj", "up", "node")
            )
            merged.append(node(up(project(maps[i])) + merged[-1]))
        return merged


class DLAUp(nn.Module):
    """A DLA trunk and a decoder that merges its levels into one map of stride 4.

    Args:
        levels: as for ``DLATrunk``.
        channels: as for ``DLATrunk``.

    Attributes:
        map_channels: channels of the map.
        size_divisible: the images' sides must be multiples of it.

    Source: Zhou et al., "Objects as Points" (2019), figure 6d.

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.dla import DLAUp
        >>> network = DLAUp(channels=(4, 4, 8, 8, 16, 16))
        >>> [tuple(x.shape) for x in network(torch.rand(1, 3, 64, 96))]
        [(1, 8, 16, 24)]
    """

    def __init__(
        self, levels: Sequence[int] = DLA34_LEVELS, channels: Sequence[int] = DLA34_CHANNELS
    ) -> None:
        super().__init__()
        self.base = DLATrunk(levels, channels)
        fine, c8, c16, c32 = channels[2:]
        self.dla_up = nn.ModuleDict(
            {
                "ida_0": IterativeUp(c16, [c16, c32], [1, 2]),
                "ida_1": IterativeUp(c8, [c8, c16, c16], [1, 2, 2]),
                "ida_2": IterativeUp(fine, [fine, c8, c8, c8], [1, 2, 2, 2]),
            }
        )
        self.ida_up = IterativeUp(fine, [fine, c8, c16], [1, 2, 4])
        self.map_channels = fine
        self.stacks = 1
        self.size_divisible = 32

    def forward(self, images: Tensor) -> list[Tensor]:
        """``[B, map_channels, H / 4, W / 4]``, in a list of one.

        Args:
            images: ``[B, 3, H, W]``, normalised.
        """
        c4, c8, c16, c32 = self.base(images)[2:]
        at16 = self.dla_up["ida_0"]([c16, c32])
        at8 = self.dla_up["ida_1"]([c8, *at16])
        at4 = self.dla_up["ida_2"]([c4, *at8])
        return [self.ida_up([at4[-1], at8[-1], at16[-1]])[-1]]
