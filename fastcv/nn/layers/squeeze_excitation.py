"""Squeeze and excitation: channels weighted by what the whole map holds."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Each channel times a gate, which two small layers make of all channels' means.

    Args:
        input_channels: C.
        squeeze_channels: between the two layers.
        activation: makes the activation between them.
        scale_activation: makes that of the gates; with a sigmoid they are in (0, 1).

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
        input_channels: int,
        squeeze_channels: int,
        activation: Callable[..., nn.Module] = nn.ReLU,
        scale_activation: Callable[..., nn.Module] = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def gates(self, x: Tensor) -> Tensor:
        """``[B, C, 1, 1]``, of ``[B, C, H, W]``."""
        squeezed = self.fc1(self.avgpool(x))
        return self.scale_activation(self.fc2(self.activation(squeezed)))

    def forward(self, input: Tensor) -> Tensor:
        return input * self.gates(input)
