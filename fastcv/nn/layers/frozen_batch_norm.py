"""Batch normalisation whose statistics and affine weights are constants."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FrozenBatchNorm2d(nn.Module):
    """``BatchNorm2d`` in evaluation mode, for good: nothing in it is trained or updated.

    Detectors see a few images a step, too few for statistics of their own, so they keep those of
    the pretrained backbone.

    Args:
        num_features: channels.
        eps: added to the variance.

    Source: He et al., "Deep Residual Learning" (2016), appendix A, on fixed statistics.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.frozen_batch_norm import FrozenBatchNorm2d
        >>> norm = FrozenBatchNorm2d(2)
        >>> norm.running_mean += 3
        >>> norm(torch.full((1, 2, 1, 1), 5.0)).flatten()
        tensor([2.0000, 2.0000])
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(num_features))
        self.register_buffer("bias", torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` normalised."""
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # What a BatchNorm2d counted while it was trained.
        state_dict.pop(prefix + "num_batches_tracked", None)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, eps={self.eps}"
