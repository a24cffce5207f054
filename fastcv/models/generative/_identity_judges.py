"""What the face identity transformer learns against, beside the recogniser."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.models.generative._gan_layers import draw_weights
from fastcv.models.generative._patch_discriminator import PatchDiscriminator

KINDS = ("anonymised", "recovered", "wrong")  # the three things that the generator makes
CLASSES = 16  # of four bits


class KindsDiscriminator(nn.Module):
    """PatchGAN at two sizes: one for each kind of face at full size, and one for all at half.

    Args:
        width: channels of the first layers.
        layers: of each that halve the size.

    Source: Gu et al. (2020), section 3.3; Wang et al., "High-Resolution Image Synthesis and
        Semantic Manipulation with Conditional GANs" (2018), section 3.2, for several sizes.

    Example:
        >>> import torch
        >>> from fastcv.models.generative._identity_judges import KindsDiscriminator
        >>> scores = KindsDiscriminator(width=4)(torch.rand(2, 3, 64, 64), "wrong")
        >>> [list(s.shape) for s in scores]
        [[2, 1, 6, 6], [2, 1, 2, 2]]
    """

    def __init__(self, *, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        self.large = nn.ModuleDict(
            {kind: PatchDiscriminator(3, width=width, layers=layers) for kind in KINDS}
        )
        self.small = PatchDiscriminator(3, width=width, layers=layers)

    def forward(self, pictures: Tensor, kind: str) -> list[Tensor]:
        """Scores at both sizes, of pictures ``[B, 3, H, W]`` in [-1, 1] as of that kind."""
        smaller = F.avg_pool2d(pictures, 3, 2, 1, count_include_pad=False)
        return [self.large[kind](pictures), self.small(smaller)]


class PasswordReader(nn.Module):
    """Q: of a face and what was made of it, with which password.

    Args:
        password_length: bits.
        width: channels of the first layer.
        layers: that halve the size, before one that quarters it; 4 are for 64 pixels or more.

    Source: Gu et al. (2020), section 3.3, after Chen et al., "InfoGAN" (2016).

    Example:
        >>> import torch
        >>> from fastcv.models.generative._identity_judges import PasswordReader
        >>> PasswordReader(16, width=4)(torch.rand(2, 6, 64, 64)).shape
        torch.Size([2, 4, 16])
    """

    def __init__(self, password_length: int, *, width: int = 64, layers: int = 4) -> None:
        super().__init__()
        made: list[nn.Module] = [nn.Conv2d(6, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
        inputs = width
        for i in range(1, layers + 1):
            outputs, halves = width * 2 ** min(i, layers - 1, 3), i < layers
            stride, padding = (2, 1) if halves else (4, 0)
            made.append(nn.Conv2d(inputs, outputs, 4, stride, padding, bias=False))
            made += [nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, True)]
            inputs = outputs
        self.trunk = nn.Sequential(*made, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.heads = nn.ModuleList(nn.Linear(inputs, CLASSES) for _ in range(password_length // 4))
        draw_weights(self)

    def forward(self, both: Tensor) -> Tensor:
        """Logits ``[B, groups, 16]`` of both faces ``[B, 6, H, W]``."""
        x = self.trunk(both)
        return torch.stack([head(x) for head in self.heads], dim=1)
