"""Instance norm that stays in channels_last, for ``fastcv.optimize``."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.deploy.fused_conv import is_hooked


class InstanceNorm2d(nn.InstanceNorm2d):
    """An instance norm without statistics, as a group norm with a group for each channel.

    torch's own copies channels_last into rows and leaves it there, and is slower in either layout.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from fastcv.deploy.instance_norm import InstanceNorm2d
        >>> x = torch.rand(2, 4, 8, 8).contiguous(memory_format=torch.channels_last)
        >>> made = InstanceNorm2d(nn.InstanceNorm2d(4))(x)
        >>> made.is_contiguous(memory_format=torch.channels_last)
        True
        >>> torch.allclose(made, nn.InstanceNorm2d(4)(x), atol=1e-5)
        True
    """

    def __init__(self, norm: nn.InstanceNorm2d) -> None:
        super().__init__(norm.num_features, norm.eps, affine=norm.affine)
        self.weight, self.bias = norm.weight, norm.bias

    @staticmethod
    def can_be(norm: nn.InstanceNorm2d) -> bool:
        """Whether torch's norm may become one: not with statistics, nor where hooks are called."""
        return not norm.track_running_stats and not is_hooked(norm)

    def _apply_instance_norm(self, input: Tensor) -> Tensor:
        return F.group_norm(input, input.shape[1], self.weight, self.bias, self.eps)
