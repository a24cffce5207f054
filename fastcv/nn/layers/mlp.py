"""Multilayer perceptron: linear layers, with an activation and dropout after each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn


class MLP(nn.Sequential):
    """Linear layers; between them a norm, an activation and dropout, after the last only dropout.

    Args:
        in_channels: channels of the input, its last dimension.
        hidden_channels: of the output of each layer; at least one.
        norm_layer: makes a norm of a number of channels; none: no norms.
        activation_layer: makes an activation.
        inplace: whether activations and dropout change their input; None: as they do by default.
        bias: whether the linear layers have one.
        dropout: the probability of dropout.

    The keys of its state are torchvision's.

    Source: Rumelhart et al., "Learning representations by back-propagating errors" (1986).

    Example:
        >>> import torch, fastcv
        >>> fastcv.ops.MLP(8, [32, 4])(torch.rand(2, 8)).shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: Sequence[int],
        norm_layer: Callable[..., nn.Module] | None = None,
        activation_layer: Callable[..., nn.Module] | None = nn.ReLU,
        inplace: bool | None = None,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        if not hidden_channels:
            raise ValueError("MLP: hidden_channels must name at least one layer, got none")
        options: dict[str, Any] = {} if inplace is None else {"inplace": inplace}
        layers: list[nn.Module] = []
        for i, channels in enumerate(hidden_channels):
            layers.append(nn.Linear(in_channels, channels, bias=bias))
            if i + 1 < len(hidden_channels):
                if norm_layer is not None:
                    layers.append(norm_layer(channels))
                if activation_layer is not None:
                    layers.append(activation_layer(**options))
            layers.append(nn.Dropout(dropout, **options))
            in_channels = channels
        super().__init__(*layers)
