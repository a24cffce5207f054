"""SRResNet: pictures four times as high and wide, by residual blocks and shuffled pixels."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.models._pickled_modules import or_convert
from fastcv.models._registry import register
from fastcv.models.generative._pairs import check_pictures
from fastcv.models.generative._translator import ImageTranslator
from fastcv.models.generative.srgan import SRGAN, conv_block, vgg_features

PixelLoss = Literal["mse", "mae"]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures


class Residual(nn.Module):
    """Two convolutions with norms, and the input added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_block1 = conv_block(width, width, 3, nn.BatchNorm2d(width), nn.PReLU())
        self.conv_block2 = conv_block(width, width, 3, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block2(self.conv_block1(x))


class Enlarge(nn.Module):
    """Twice as large: a convolution to four times the channels, whose values become pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, 4 * width, 3, padding=1)
        self.prelu = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(F.pixel_shuffle(self.conv(x), 2))


class SRResNet(ImageTranslator):
    """Super-resolution: from pictures to pictures that are ``scale`` times as high and wide.

    It learns by pixels, and pictures are blurred where many sharp ones would fit. ``gan()`` puts a
    discriminator beside it: then it is SRGAN's generator.

    Args:
        scale: 2, 4 or 8.
        width: channels.
        blocks: residual blocks.
        pixel_loss: ``"mse"``, the mean of squares as in the paper, or ``"mae"``, of distances.

    Raises:
        ValueError: another scale or loss.

    Source: Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative
        Adversarial Network" (2017), figure 4; keys and numbers are those of sgrvinod's
        a-PyTorch-Tutorial-to-Super-Resolution.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("srresnet_x4")
        >>> sum(p.numel() for p in model.parameters())
        1549462
        >>> model.predict(torch.rand(3, 8, 12))
        [Generated(1 picture of 32x48)]
    """

    preprocessing: Mapping[str, Any] = {"mean": MEAN, "std": STD}

    def __init__(
        self,
        *,
        scale: int = 4,
        width: int = 64,
        blocks: int = 16,
        pixel_loss: PixelLoss = "mse",
    ) -> None:
        super().__init__()
        if scale not in (2, 4, 8):
            raise ValueError(f"scale must be 2, 4 or 8, got {scale}")
        if pixel_loss not in ("mse", "mae"):
            raise ValueError(f"pixel_loss must be 'mse' or 'mae', got {pixel_loss!r}")
        self.scale, self.pixel_loss = scale, pixel_loss
        self.conv_block1 = conv_block(3, width, 9, nn.PReLU())
        self.residual_blocks = nn.Sequential(*[Residual(width) for _ in range(blocks)])
        self.conv_block2 = conv_block(width, width, 3, nn.BatchNorm2d(width))
        doublings = int(math.log2(scale))
        self.subpixel_convolutional_blocks = nn.Sequential(
            *[Enlarge(width) for _ in range(doublings)]
        )
        self.conv_block3 = conv_block(width, 3, 9, nn.Tanh())

    def forward(self, images: Tensor) -> Tensor:
        """Pictures ``[B, 3, scale * H, scale * W]`` in [-1, 1] of normalised ``[B, 3, H, W]``.

        Raises:
            ValueError: images of another shape.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must be [B, 3, H, W], got {list(images.shape)}")
        x = self.conv_block1(images)
        x = x + self.conv_block2(self.residual_blocks(x))
        return self.conv_block3(self.subpixel_convolutional_blocks(x))

    def loss(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """How far the pixels are from the truth, in [-1, 1].

        Args:
            output: of ``forward``.
            targets: the large pictures ``[B, 3, scale * H, scale * W]`` in [0, 1].

        Raises:
            TypeError: targets that are no tensor.
            ValueError: targets of another shape.
        """
        check_pictures("targets", targets, output.shape)
        difference = output - (targets * 2 - 1)
        if self.pixel_loss == "mae":
            return {"mae": difference.abs().mean()}
        return {"mse": difference.square().mean()}

    def prepare(self, images: list[Tensor]) -> Tensor:
        """Images in [0, 1] of one size as a batch, normalised."""
        mean, std = (
            images[0].new_tensor(self.preprocessing[key])[:, None, None] for key in ("mean", "std")
        )
        return (torch.stack(images) - mean) / std

    def read_checkpoint(self, path: Path) -> dict[str, Tensor]:
        """The state dict in a file; of a whole pickled module, a sentence says what to do."""
        command = f"python -m fastcv.models.generative.unpickle_srgan {path} srgan.safetensors"
        with or_convert(path, command):
            return super().read_checkpoint(path)

    def gan(
        self,
        features: Callable[[Tensor], Tensor] | None = None,
        *,
        loss_weights: str | os.PathLike[str] | None = None,
    ) -> SRGAN:
        """This generator and a discriminator, for ``fastcv.learn.fit``.

        Args:
            features: from normalised pictures to the features that the content loss compares. None
                and no ``loss_weights``: it compares pixels, the paper's SRGAN-MSE.
            loss_weights: a file of VGG-19's weights: the content loss compares the features of its
                last convolution, after the ReLU, the paper's SRGAN-VGG54.

        Raises:
            ValueError: both are given, or weights that are not VGG-19's.
        """
        if loss_weights is not None:
            if features is not None:
                raise ValueError("features and loss_weights exclude each other: give one")
            features = vgg_features(loss_weights)
        return SRGAN(self, features=features)


@register("srresnet_x4", task="translation")
def srresnet_x4(
    *, scale: int = 4, width: int = 64, blocks: int = 16, pixel_loss: PixelLoss = "mse"
) -> SRResNet:
    """SRResNet, four times as large."""
    return SRResNet(scale=scale, width=width, blocks=blocks, pixel_loss=pixel_loss)


@register("srgan_x4", task="translation")
def srgan_x4(*, scale: int = 4, width: int = 64, blocks: int = 16) -> SRResNet:
    """SRGAN's generator, the same network; ``gan()`` trains it."""
    return SRResNet(scale=scale, width=width, blocks=blocks)
