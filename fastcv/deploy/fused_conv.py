"""A convolution that adds and activates what it makes while that is in registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.ops import atrous_separable_conv2d

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "swish": F.silu,
    "sigmoid": torch.sigmoid,
}
"""By oneDNN's names."""


def is_hooked(module: nn.Module) -> bool:
    """Whether somebody waits for a module's forward: it must stay, and be called as it is."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


class FusedConv2d(nn.Conv2d):
    """``activation(convolution(x) + other)`` for inference, in one pass on the CPU.

    On a float32 CPU tensor that needs no gradient, oneDNN does it with weights in the order that it
    likes best, which the first call makes and keeps beside the others (they take their memory
    twice). Everywhere else (another device or dtype, a gradient, autocast, ``torch.compile``,
    export) it is the three operations one after the other. State dict and parameters are those of
    ``nn.Conv2d``.

    Args:
        convolution: with zero padding; its parameters are shared.

    Example:
        >>> import torch
        >>> from fastcv.deploy.fused_conv import FusedConv2d
        >>> convolution, x = torch.nn.Conv2d(3, 8, 3).requires_grad_(False), torch.rand(1, 3, 8, 8)
        >>> fused = FusedConv2d(convolution)
        >>> torch.allclose(fused(x, activation="relu"), convolution(x).relu(), atol=1e-6)
        True
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(convolution.__dict__)
        self._packed: tuple[Any, Tensor] | None = None

    @staticmethod
    def can_be(module: nn.Module) -> bool:
        """Whether a module is a convolution that this is the same as."""
        if type(module) is not nn.Conv2d or isinstance(module.padding, str):
            return False
        has_weight = module.weight.numel() > 0
        return module.padding_mode == "zeros" and has_weight and not is_hooked(module)

    def forward(
        self,
        x: Tensor,
        other: Tensor | None = None,
        activation: str | None = None,
        overwrite: bool = False,
    ) -> Tensor:
        """``[B, C, H, W]`` to ``[B, D, H', W']``.

        Args:
            x: the input.
            other: added to the output, of its shape.
            activation: a name of ``ACTIVATIONS``, or None.
            overwrite: whether the output may lie in ``other``'s memory.
        """
        if not self.takes(x) or not self._can_add(x, other, activation):
            out = super().forward(x)
            out = out if other is None else out + other
            return out if activation is None else ACTIVATIONS[activation](out)
        x = x.contiguous(memory_format=torch.channels_last)
        tensors = x, self._weight(x), self.bias
        how = self.padding, self.stride, self.dilation, self.groups
        if other is None:
            return torch.ops.mkldnn._convolution_pointwise(
                *tensors, *how, activation or "none", [], ""
            )
        if overwrite:
            return torch.ops.mkldnn._convolution_pointwise_(
                other, *tensors, *how, "add", 1.0, activation, [], ""
            )
        return torch.ops.mkldnn._convolution_pointwise(
            x, other, *tensors[1:], *how, "add", 1.0, activation, [], ""
        )

    def takes(self, x: Tensor) -> bool:
        """Whether an input is one for which there is more than torch's convolution."""
        return (
            type(x) is Tensor
            and x.dtype == torch.float32 == self.weight.dtype
            and x.device.type == "cpu" == self.weight.device.type
            and x.dim() == 4
            and x.shape[1] == self.in_channels
            and x.numel() > 0
            and not (torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad))
            and not torch.is_autocast_enabled("cpu")
            and torch._C._has_mkldnn
            and not torch.compiler.is_compiling()
        )

    def _can_add(self, x: Tensor, other: Tensor | None, activation: str | None) -> bool:
        if other is None:
            return True
        padding: Any = self.padding
        size = [
            (x.shape[2 + i] + 2 * padding[i] - self.dilation[i] * (self.kernel_size[i] - 1) - 1)
            // self.stride[i]
            + 1
            for i in range(2)
        ]
        return (
            activation in (None, "relu")  # oneDNN joins no other with a sum
            and list(other.shape) == [len(x), self.out_channels, *size]
            and other.dtype == torch.float32
            and other.is_contiguous(memory_format=torch.channels_last)
        )

    def _weight(self, x: Tensor) -> Tensor:
        """The weight in oneDNN's own order; made anew where the weight has changed."""
        version = 0 if self.weight.is_inference() else self.weight._version
        state = self.weight.data_ptr(), version
        if self._packed is None or self._packed[0] != state:
            reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
            packed = reorder(
                self.weight.detach().to_mkldnn(),
                self.padding,
                self.stride,
                self.dilation,
                self.groups,
                list(x.shape),
            )
            self._packed = state, packed
        return self._packed[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None}


FAST_RATE = 8
"""oneDNN's depthwise convolution takes up to 12 times as long at larger rates."""


def is_separable(depthwise: FusedConv2d, pointwise: FusedConv2d) -> bool:
    """Whether two convolutions are faster in one call of ``atrous_separable_conv2d``."""
    channels = depthwise.in_channels
    return (
        depthwise.groups == channels == depthwise.out_channels == pointwise.in_channels
        and max(depthwise.dilation) > FAST_RATE
        and pointwise.kernel_size == pointwise.stride == (1, 1)
        and pointwise.padding == (0, 0)
        and pointwise.groups == 1
    )


def separable_conv2d(
    x: Tensor,
    depthwise: FusedConv2d,
    pointwise: FusedConv2d,
    between: str | None,
    activation: str | None,
) -> Tensor:
    """``activation(pointwise(between(depthwise(x))))``, the map between never whole in memory.

    Args:
        x: ``[B, C, H, W]``.
        depthwise: with ``pointwise``, as ``is_separable`` has them.
        pointwise: makes the output's channels.
        between: ``"relu"`` or None.
        activation: ``"relu"`` or None.
    """
    if not depthwise.takes(x):
        return pointwise(depthwise(x, activation=between), activation=activation)
    out = atrous_separable_conv2d(
        x.contiguous(memory_format=torch.channels_last),
        depthwise.weight,
        pointwise.weight,
        depthwise.bias,
        pointwise.bias,
        depthwise.stride,
        depthwise.padding,  # type: ignore[arg-type]  # no string: see FusedConv2d.can_be
        depthwise.dilation,
        between,
    )
    return out.relu_() if activation else out
