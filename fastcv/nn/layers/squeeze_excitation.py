"""Squeeze and excitation: channels weighted by what the whole map holds."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Each channel times a gate in (0, 1), which two small layers make of all channels' means.

    Args:
        channels: C.
        squeeze_channels: between the two layers.
        activation: makes the activation between them.

    Source: Hu et al., "Squeeze-and-Excitation Networks" (2018), section 3; the keys of its state
        are torchvision's and timm's, ``fc1`` and ``fc2``.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.squeeze_excitation import SqueezeExcitation
        >>> module, x = SqueezeExcitation(16, 4), torch.rand(2, 16, 8, 8)
        >>> gates = module.gates(x)
        >>> gates.shape, torch.equal(module(x), x * gates)
        (torch.Size([2, 16, 1, 1]), True)
    """

    def __init__(
        self,
        channels: int,
        squeeze_channels: int,
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeeze_channels, 1)
        self.activation = activation()
        self.fc2 = nn.Conv2d(squeeze_channels, channels, 1)

    def gates(self, x: Tensor) -> Tensor:
        """``[B, C, 1, 1]``, of ``[B, C, H, W]``."""
        squeezed = x.mean(dim=(2, 3), keepdim=True)
        return self.fc2(self.activation(self.fc1(squeezed))).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gates(x)
