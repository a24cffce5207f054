"""CycleGAN's generator: a ResNet at a quarter of the size."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from fastcv.models._registry import register
from fastcv.models.generative._gan_layers import Norm, draw_weights, norm_layer, take_old_files
from fastcv.models.generative._patch_discriminator import PatchDiscriminator
from fastcv.models.generative._translator import ImageTranslator
from fastcv.models.generative.cyclegan import CycleGAN

DROPOUT = 0.5
SECOND = {False: 5, True: 6}  # a block's second convolution in ``conv_block``; dropout moves it


class ResidualBlock(nn.Module):
    """Two convolutions with reflected borders, added to their input; no ReLU after the sum.

    Loads blocks with or without dropout, which in files differ by a number in the keys.
    """

    def __init__(self, channels: int, *, norm: Norm, dropout: bool) -> None:
        super().__init__()
        self.dropout = dropout
        bias = norm == "instance"
        layers: list[nn.Module] = []
        for last in (False, True):
            layers.append(nn.ReflectionPad2d(1))
            layers += [nn.Conv2d(channels, channels, 3, bias=bias), norm_layer(norm, channels)]
            layers += [] if last else [nn.ReLU(True)]
            layers += [nn.Dropout(DROPOUT)] if dropout and not last else []
        self.conv_block = nn.Sequential(*layers)
        self.register_load_state_dict_pre_hook(_move_second)  # type: ignore[no-untyped-call]  # torch's is

    def forward(self, x: Tensor) -> Tensor:
        moved: Tensor = self.conv_block(x)
        return x + moved


def _move_second(block: ResidualBlock, state: dict[str, Any], prefix: str, *_rest: Any) -> None:
    first = f"{prefix}conv_block."
    with_dropout = f"{first}{SECOND[False]}.weight" not in state
    shift = SECOND[block.dropout] - SECOND[with_dropout]
    moved = {}
    for key in [key for key in state if shift and key.startswith(first)]:
        number, _, rest = key.removeprefix(first).partition(".")
        if int(number) >= SECOND[False]:
            moved[f"{first}{int(number) + shift}.{rest}"] = state.pop(key)
    state.update(moved)


class ResNetGenerator(ImageTranslator):
    """Twice half the size, residual blocks, twice double the size.

    Args:
        blocks: 9 for 256 pixels; the paper has 6 for 128.
        in_channels: of the input.
        out_channels: of the output.
        width: channels at full size; there are 4 times as many in the blocks.
        norm: ``"instance"`` or ``"batch"``; with instance norm every convolution has a bias.
        dropout: in each block.

    Source: Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
        Networks" (2017), section 7.2, after Johnson et al. (2016). Keys are those of
        junyanz/pytorch-CycleGAN-and-pix2pix; its files of blocks with dropout load too.

    Example:
        >>> import torch
        >>> from fastcv.models.generative.resnet_generator import ResNetGenerator
        >>> model = ResNetGenerator(2, width=4)
        >>> model(torch.zeros(1, 3, 32, 40)).shape
        torch.Size([1, 3, 32, 40])
        >>> model.predict(torch.zeros(3, 31, 42))
        [Generated(1 picture of 31x42)]
    """

    multiple = 4
    min_side = 8  # two cells in the blocks: a border of one cell has nothing to reflect

    def __init__(
        self,
        blocks: int,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        width: int = 64,
        norm: Norm = "instance",
        dropout: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.norm = in_channels, out_channels, norm
        bias = norm == "instance"  # batch norm has its own
        layers: list[nn.Module] = [nn.ReflectionPad2d(3)]
        layers.append(nn.Conv2d(in_channels, width, 7, bias=bias))
        layers += [norm_layer(norm, width), nn.ReLU(True)]
        for inputs in (width, 2 * width):
            layers.append(nn.Conv2d(inputs, 2 * inputs, 3, 2, 1, bias=bias))
            layers += [norm_layer(norm, 2 * inputs), nn.ReLU(True)]
        layers += [ResidualBlock(4 * width, norm=norm, dropout=dropout) for _ in range(blocks)]
        for outputs in (2 * width, width):
            layers.append(nn.ConvTranspose2d(2 * outputs, outputs, 3, 2, 1, 1, bias=bias))
            layers += [norm_layer(norm, outputs), nn.ReLU(True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)
        draw_weights(self)
        take_old_files(self, norm)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures ``[B, out_channels, H, W]`` in [-1, 1] of ``[B, in_channels, H, W]`` in [-1, 1].

        Raises:
            ValueError: another number of channels, or sides that are no multiples of 4 from 8 on.
        """
        channels, *sides = images.shape[1:]
        if channels != self.in_channels or any(side % 4 or side < 8 for side in sides):
            raise ValueError(
                f"images must be [B, {self.in_channels}, H, W] with sides that are multiples of "
                f"4, at least 8, got {list(images.shape)}"
            )
        pictures: Tensor = self.model(images)
        return pictures

    def gan(
        self,
        back: ResNetGenerator | None = None,
        judges: Sequence[nn.Module] | None = None,
        **options: Any,
    ) -> CycleGAN:
        """This generator, one for the way back, and both discriminators, for ``fastcv.learn.fit``.

        Args:
            back: from pictures of the second kind to the first; by default one like this, with
                first weights of its own.
            judges: the discriminators, of what this generator makes and of what ``back`` makes; by
                default the paper's of patches.
            options: the pictures' size and the terms' weights, as ``CycleGAN`` takes them.

        Raises:
            ValueError: no ``back``, where the two kinds differ in their number of channels.
        """
        if back is None and self.in_channels != self.out_channels:
            raise ValueError(
                f"back is needed: this generator makes {self.out_channels} channels of "
                f"{self.in_channels}, and one like it cannot go back"
            )
        if back is None:
            back = copy.deepcopy(self)
            draw_weights(back)
        if judges is None:
            judges = [PatchDiscriminator(g.out_channels, norm=self.norm) for g in (self, back)]
        return CycleGAN(self, back, *judges, **options)


@register("cyclegan_resnet9", task="translation")
def cyclegan_resnet9(*, blocks: int = 9, **config: Any) -> ResNetGenerator:
    """CycleGAN's generator of one direction, for 256 x 256 pixels: nine residual blocks."""
    return ResNetGenerator(blocks, **config)
