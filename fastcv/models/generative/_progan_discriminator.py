"""ProGAN's discriminator: from a picture to a score, half as large after every second layer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.models.generative._scale_and_bias import ScaleAndBias


class ScaledConv(nn.Module):
    """Convolution, scaled as the generator's, and a leaky ReLU unless its gain is that of the end.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: side of the kernel.
        padding: zeros on each side.
        is_output: nothing follows, and the scale is for that.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, padding: int = 0, *, is_output: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False)
        nn.init.normal_(self.conv.weight)
        gain = 1.0 if is_output else math.sqrt(2)
        self.wscale = ScaleAndBias(outputs, gain / (kernel * math.sqrt(inputs)))
        self.is_output = is_output

    def forward(self, x: Tensor) -> Tensor:
        x = self.wscale(self.conv(x))
        return x if self.is_output else F.leaky_relu(x, 0.2)


class ProGANDiscriminator(nn.Module):
    """The generator's mirror image, with a map at its end that says how much a batch varies.

    Args:
        channels: of the generator, the vector's first.

    Source: Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and
        Variation" (2018), table 2; the batch's deviation: section 3.

    Example:
        >>> import torch
        >>> from fastcv.models.generative._progan_discriminator import ProGANDiscriminator
        >>> ProGANDiscriminator((16, 16, 8))(torch.rand(5, 3, 8, 8)).shape
        torch.Size([5])
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        first, *_ = widths = list(channels[:0:-1])
        layers: list[nn.Module] = [ScaledConv(3, first, 1)]
        for inputs, outputs in itertools.pairwise(widths):
            layers.append(ScaledConv(inputs, inputs, 3, 1))
            layers.append(ScaledConv(inputs, outputs, 3, 1))
            layers.append(nn.AvgPool2d(2))
        last = widths[-1]
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(
            ScaledConv(last + 1, last, 3, 1),
            ScaledConv(last, last, 4),
            ScaledConv(last, 1, 1, is_output=True),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Scores ``[B]`` of pictures ``[B, 3, S, S]`` in [-1, 1]."""
        x = self.body(pictures)
        return self.head(torch.cat([x, batch_deviation(x)], dim=1)).flatten()


def batch_deviation(x: Tensor) -> Tensor:
    """``[B, 1, H, W]``, one number: the mean over all cells of their deviation over the batch.

    Example:
        >>> x = torch.tensor([1.0, 3.0]).view(2, 1, 1, 1).expand(2, 4, 2, 2)
        >>> batch_deviation(x).flatten()[:2]
        tensor([1., 1.])
    """
    deviation = (x.var(dim=0, correction=0) + 1e-8).sqrt().mean()
    return deviation.expand(len(x), 1, *x.shape[2:])
