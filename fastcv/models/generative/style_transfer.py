"""Johnson's network: a photograph in the style of one picture, in one pass."""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.images import ImageInput, read_image
from fastcv.models._registry import register
from fastcv.models.generative._gan_layers import take_old_files
from fastcv.models.generative._loss_network import loss_network
from fastcv.models.generative.perceptual import Perceptual, PerceptualTranslator
from fastcv.nn.losses.perceptual import PerceptualLoss

CONTENT_LAYER = "relu2_2"
STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
CONTENT_WEIGHT, STYLE_WEIGHT = 1e5, 1e10  # of pytorch/examples, with torchvision's VGG-16


class ReflectedConv(nn.Module):
    """A convolution whose borders are reflected; before it, maybe, pixels repeated.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: side of the kernel.
        stride: of the convolution.
        times: how many times as high and wide the input is made first, by repeating pixels.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, times: int = 1
    ) -> None:
        super().__init__()
        self.times, self.border = times, kernel // 2
        self.conv2d = nn.Conv2d(inputs, outputs, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        if self.times > 1:
            x = F.interpolate(x, scale_factor=float(self.times), mode="nearest")
        return self.conv2d(F.pad(x, [self.border] * 4, mode="reflect"))


class ResidualBlock(nn.Module):
    """Two convolutions with norms, added to their input; no ReLU after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ReflectedConv(channels, channels, 3)
        self.in1 = nn.InstanceNorm2d(channels, affine=True)
        self.conv2 = ReflectedConv(channels, channels, 3)
        self.in2 = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.in2(self.conv2(F.relu(self.in1(self.conv1(x)))))


class StyleTransfer(PerceptualTranslator):
    """Twice half the size, five residual blocks, twice double the size. One network, one style.

    Pictures go in and come out in 0 to 255, as in pytorch/examples, whose files load; what old
    ones hold of running statistics is left out.

    Args:
        width: channels at full size; there are 4 times as many in the blocks.

    Source: Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and
        Super-Resolution" (2016), supplement, table 1; repeated pixels in place of transposed
        convolutions, instance norms, and no tanh: pytorch/examples, fast_neural_style.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("style_transfer")
        >>> sum(p.numel() for p in model.parameters())
        1679235
        >>> model.predict(torch.rand(3, 31, 42))
        [Generated(1 picture of 31x42)]
    """

    multiple = 4
    min_side = 8  # two cells in the blocks: a border of one cell has nothing to reflect

    def __init__(self, *, width: int = 32) -> None:
        super().__init__()
        self.conv1 = ReflectedConv(3, width, 9)
        self.in1 = nn.InstanceNorm2d(width, affine=True)
        self.conv2 = ReflectedConv(width, 2 * width, 3, stride=2)
        self.in2 = nn.InstanceNorm2d(2 * width, affine=True)
        self.conv3 = ReflectedConv(2 * width, 4 * width, 3, stride=2)
        self.in3 = nn.InstanceNorm2d(4 * width, affine=True)
        self.res1 = ResidualBlock(4 * width)
        self.res2 = ResidualBlock(4 * width)
        self.res3 = ResidualBlock(4 * width)
        self.res4 = ResidualBlock(4 * width)
        self.res5 = ResidualBlock(4 * width)
        self.deconv1 = ReflectedConv(4 * width, 2 * width, 3, times=2)
        self.in4 = nn.InstanceNorm2d(2 * width, affine=True)
        self.deconv2 = ReflectedConv(2 * width, width, 3, times=2)
        self.in5 = nn.InstanceNorm2d(width, affine=True)
        self.deconv3 = ReflectedConv(width, 3, 9)
        take_old_files(self, "instance")

    def forward(self, images: Tensor) -> Tensor:
        """Pictures ``[B, 3, H, W]``, 0 to 255 where they are colours, of ``[B, 3, H, W]`` from 0 to
        255.

        Raises:
            ValueError: images of another shape, or sides that are no multiples of 4 from 8 on.
        """
        if (
            images.ndim != 4
            or images.shape[1] != 3
            or any(s % 4 or s < 8 for s in images.shape[2:])
        ):
            raise ValueError(
                "images must be [B, 3, H, W] with sides that are multiples of 4, at least 8, got "
                f"{list(images.shape)}"
            )
        x = F.relu(self.in1(self.conv1(images)))
        x = F.relu(self.in2(self.conv2(x)))
        x = F.relu(self.in3(self.conv3(x)))
        x = self.res5(self.res4(self.res3(self.res2(self.res1(x)))))
        x = F.relu(self.in4(self.deconv1(x)))
        x = F.relu(self.in5(self.deconv2(x)))
        return self.deconv3(x)

    def prepare(self, images: list[Tensor]) -> Tensor:
        """Images in [0, 1] of one size as a batch in 0 to 255."""
        return torch.stack(images) * 255

    def unclipped(self, output: Tensor) -> Tensor:
        """What ``forward`` returned, in [0, 1] where it is a colour."""
        return output / 255

    def perceptual(
        self,
        style: ImageInput,
        *,
        loss_weights: str | os.PathLike[str] | None = None,
        content_weight: float = CONTENT_WEIGHT,
        style_weight: float = STYLE_WEIGHT,
        tv_weight: float = 0.0,
        relative: bool = False,
    ) -> Perceptual:
        """This network and the loss of a style, for ``fastcv.learn.fit`` on ``(photo, photo)``.

        Args:
            style: the picture whose style is learned, at the scale of the photographs.
            loss_weights: a file of VGG-16's weights; None: random ones.
            content_weight: of relu2_2.
            style_weight: of each of relu1_2, relu2_2, relu3_3 and relu4_3.
            tv_weight: of the total variation.
            relative: divide each term by the mean square of what it should be. The weights above
                are for torchvision's VGG-16, whose features are about 1; of others, and of random
                weights, make the terms relative, with weights of about 1 and 10.

        Raises:
            ValueError: a picture or a weight that cannot be, or a file that is not VGG-16's.
            FileNotFoundError: no such file.
        """
        pixels = self.as_float(read_image(style)).cpu()
        return Perceptual(
            self,
            PerceptualLoss(
                loss_network(loss_weights),
                content={CONTENT_LAYER: content_weight},
                style=dict.fromkeys(STYLE_LAYERS, style_weight),
                style_picture=pixels,
                tv=tv_weight,
                relative=relative,
            ),
        )


@register("style_transfer", task="translation")
def style_transfer(*, width: int = 32) -> StyleTransfer:
    """Johnson's network for one style."""
    return StyleTransfer(width=width)
