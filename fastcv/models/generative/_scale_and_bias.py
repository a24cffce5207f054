"""A convolution's scale at run time, which ProGAN has in place of small initial weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ScaleAndBias(nn.Module):
    """The factor that a layer's initial deviation would be, and a bias.

    Weights are drawn from a unit normal distribution and scaled at run time, so that the optimiser
    moves all of them at one speed.

    Source: Karras et al. (2018), section 4.1.
    """

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.b = nn.Parameter(torch.zeros(channels))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.b[:, None, None]
