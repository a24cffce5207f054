"""Features of two frames made one: where they agree, and where in the picture that matters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.init import fill

SLOPE = 0.1  # of the leaky ReLUs


class TemporalFusion(nn.Module):
    """Attention over frames, then over places.

    Each frame's features are weighed at each place by how alike its embedding is to that of the
    first frame; a 1x1 convolution joins them. A second path looks at all of them at half the size
    and says at each place what of that is kept, and what is added.

    Args:
        channels: of each frame's features.
        frames: how many are joined.

    Source: Wang et al., "EDVR: Video Restoration with Enhanced Deformable Convolutional Networks"
        (2019), section 3.3, with one level of its pyramid, as Kim et al., "Video Panoptic
        Segmentation" (2020), section 4.1, have it.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.temporal_fusion import TemporalFusion
        >>> fusion = TemporalFusion(16)
        >>> fusion([torch.rand(1, 16, 15, 20), torch.rand(1, 16, 15, 20)]).shape
        torch.Size([1, 16, 15, 20])
    """

    def __init__(self, channels: int, frames: int = 2) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, channels, 3, padding=1)
        self.embed_first = nn.Conv2d(channels, channels, 3, padding=1)
        self.join = nn.Conv2d(frames * channels, channels, 1)
        self.look = nn.Conv2d(frames * channels, channels, 1)
        self.pooled = nn.Conv2d(2 * channels, channels, 1)
        self.coarse = nn.Conv2d(channels, channels, 3, padding=1)
        self.weigh = nn.Conv2d(channels, channels, 3, padding=1)
        self.add_1 = nn.Conv2d(channels, channels, 1)
        self.add_2 = nn.Conv2d(channels, channels, 1)
        for conv in self.children():
            assert isinstance(conv, nn.Conv2d)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out")
            fill(conv.bias)

    def forward(self, features: list[Tensor]) -> Tensor:
        """One map ``[B, C, H, W]``.

        Args:
            features: of each frame ``[B, C, H, W]``, all brought to where the first one has them.
        """
        first = self.embed_first(features[0])
        alike = [(self.embed(x) * first).sum(1, keepdim=True).sigmoid() for x in features]
        weighed = torch.cat([x * w for x, w in zip(features, alike, strict=True)], dim=1)
        joined = F.leaky_relu(self.join(weighed), SLOPE)
        small = F.leaky_relu(self.look(weighed), SLOPE)
        small = torch.cat([F.max_pool2d(small, 3, 2, 1), F.avg_pool2d(small, 3, 2, 1)], dim=1)
        small = F.leaky_relu(self.coarse(F.leaky_relu(self.pooled(small), SLOPE)), SLOPE)
        large = F.interpolate(small, joined.shape[-2:], mode="bilinear", align_corners=False)
        weight = self.weigh(large)
        added: Tensor = self.add_2(F.leaky_relu(self.add_1(weight), SLOPE))
        return 2 * joined * weight.sigmoid() + added
