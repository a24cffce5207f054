"""A convolution that pads as TensorFlow does, for weights that were trained there."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class SameConv2d(nn.Conv2d):
    """Zeros around the input so that the output has ``ceil(size / stride)`` cells.

    Where the number of zeros is odd, the right and the lower side get one more. PyTorch's padding
    is even on all sides: at stride 2 on an even size it reads other pixels.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: side of the kernel.
        stride: between its positions.
        groups: as in ``nn.Conv2d``.
        bias: as in ``nn.Conv2d``.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.same_conv import SameConv2d
        >>> layer = SameConv2d(1, 1, 3, stride=2, bias=False)
        >>> layer(torch.rand(1, 1, 8, 7)).shape
        torch.Size([1, 1, 4, 4])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        *,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, D, ceil(H / stride), ceil(W / stride)]``."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        around: list[int] = []
        for size in (x.shape[-1], x.shape[-2]):
            zeros = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            around += [zeros // 2, zeros - zeros // 2]
        return super().forward(F.pad(x, around))
