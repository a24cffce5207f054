"""U-Net: a path down to what there is, a path up to where it is, and bridges between them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import default_classes
from fastcv.images import grey
from fastcv.models._registry import register
from fastcv.models.segmentation._segmenter import Segmenter
from fastcv.nn.layers.transposed_conv import ConvTranspose2d

LEVELS = 4
CELL = 2**LEVELS  # pixels for one of the lowest level
CROPS = (4, 16, 40, 88)  # where maps of convolutions without padding begin within their skips


class DoubleConv(nn.Module):
    """Twice: a 3x3 convolution and ReLU; padding and a batch norm where asked."""

    def __init__(self, inputs: int, outputs: int, middle: int | None = None, *, valid: bool):
        super().__init__()
        layers: list[nn.Module] = []
        middle = middle or outputs
        for source, target in ((inputs, middle), (middle, outputs)):
            layers.append(nn.Conv2d(source, target, 3, padding=0 if valid else 1, bias=valid))
            if not valid:
                layers.append(nn.BatchNorm2d(target))
            layers.append(nn.ReLU(inplace=True))
        self.double_conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.double_conv(x)


class Down(nn.Module):
    """Half the size, then two convolutions."""

    def __init__(self, inputs: int, outputs: int, *, valid: bool) -> None:
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(inputs, outputs, valid=valid))

    def forward(self, x: Tensor) -> Tensor:
        return self.maxpool_conv(x)


class Up(nn.Module):
    """Twice the size, beside the maps of this level on the way down, then two convolutions.

    Args:
        inputs: channels from below; half of them are the other maps'.
        outputs: channels.
        bilinear: interpolate instead of a transposed convolution.
        crop: where to begin in the other maps; None: put zeros around what comes from below.
    """

    def __init__(self, inputs: int, outputs: int, *, bilinear: bool, crop: int | None) -> None:
        super().__init__()
        self.crop = crop
        self.up: nn.Module
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = DoubleConv(inputs, outputs, inputs // 2, valid=crop is not None)
        else:
            self.up = ConvTranspose2d(inputs, inputs // 2, 2, stride=2)
            self.conv = DoubleConv(inputs, outputs, valid=crop is not None)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        (height, width), (h, w) = skip.shape[-2:], x.shape[-2:]
        if self.crop is None:
            top, left = (height - h) // 2, (width - w) // 2
            x = F.pad(x, (left, width - w - left, top, height - h - top))
        else:
            skip = skip[..., self.crop : self.crop + h, self.crop : self.crop + w]
        return self.conv(torch.cat([skip, x], dim=1))


class UNet(Segmenter):
    """Four levels down, four up, a bridge at each; as people use it: padding and batch norms.

    Its keys are those of milesial/Pytorch-UNet: ``inc.double_conv.0``, ``up1.up`` and so on.

    Args:
        in_channels: of the images; with 1, ``predict`` makes pictures grey.
        num_classes: logits, the background's included.
        width: channels of the first level; each doubles them.
        bilinear: interpolate on the way up instead of transposed convolutions.

    Source: Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation"
        (2015), figure 1; padding and norms are milesial's. Weights start as in section 3.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("unet", width=4)
        >>> model(torch.rand(1, 3, 37, 50)).shape
        torch.Size([1, 2, 37, 50])
    """

    preprocessing: Mapping[str, Any] = {"mean": (0.0,), "std": (1.0,)}
    valid = False
    """Whether convolutions have no padding and no norms, as in ``UNetPaper``."""

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 2,
        width: int = 64,
        bilinear: bool = False,
    ) -> None:
        super().__init__()
        valid = self.valid
        self.in_channels = in_channels
        one, two, three, four, five = (width * 2**level for level in range(LEVELS + 1))
        factor = 2 if bilinear else 1  # interpolation keeps the channels: the level below has half
        crops = CROPS if valid else (None,) * LEVELS
        self.inc = DoubleConv(in_channels, one, valid=valid)
        self.down1 = Down(one, two, valid=valid)
        self.down2 = Down(two, three, valid=valid)
        self.down3 = Down(three, four, valid=valid)
        self.down4 = Down(four, five // factor, valid=valid)
        self.dropout = nn.Dropout(0.5 if valid else 0.0)
        self.up1 = Up(five, four // factor, bilinear=bilinear, crop=crops[0])
        self.up2 = Up(four, three // factor, bilinear=bilinear, crop=crops[1])
        self.up3 = Up(three, two // factor, bilinear=bilinear, crop=crops[2])
        self.up4 = Up(two, one, bilinear=bilinear, crop=crops[3])
        self.outc = nn.Sequential(OrderedDict(conv=nn.Conv2d(one, num_classes, 1)))
        self.classes = default_classes("voc", num_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                # What one output sums: of kernels that do not overlap one value of each channel.
                transposed = isinstance(module, nn.ConvTranspose2d)
                incoming = module.in_channels if transposed else module.weight[0].numel()
                nn.init.normal_(module.weight, std=(2 / incoming) ** 0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes, H, W]`` of images ``[B, in_channels, H, W]``, of any size.

        Where a pool leaves a row over, the maps from below get zeros around them; images under 16
        pixels, which have nothing on the lowest level, do, too.
        """
        height, width = images.shape[-2:]
        images = F.pad(images, (0, max(0, CELL - width), 0, max(0, CELL - height)))
        return self.down_and_up(images)[..., :height, :width]

    def down_and_up(self, images: Tensor) -> Tensor:
        """The figure."""
        x1 = self.inc(images)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x4 = self.down3(x3)
        x5 = self.dropout(self.down4(x4))
        x = self.up1(x5, x4)
        x = self.up2(x, x3)
        x = self.up3(x, x2)
        x = self.up4(x, x1)
        return self.outc(x)

    def prepare(self, images: list[Tensor]) -> Tensor:
        """Images of one size as a batch, grey for a model of one channel, normalised.

        Raises:
            ValueError: the model takes neither one channel nor three.
        """
        if self.in_channels not in (1, 3):
            raise ValueError(
                f"in_channels must be 1 or 3 for pictures, this model takes {self.in_channels}"
            )
        if self.in_channels == 1:
            images = [grey(image) for image in images]
        return super().prepare(images)


@register("unet", task="segmentation")
def unet(**config: Any) -> UNet:
    """U-Net with padding and batch norms; ``config``: what ``UNet`` takes."""
    return UNet(**config)
