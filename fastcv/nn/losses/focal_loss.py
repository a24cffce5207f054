"""Focal losses as modules, for training code that takes its criterion as an object."""

from __future__ import annotations

from torch import Tensor, nn

from fastcv.ops import sigmoid_focal_loss, softmax_focal_loss


class SigmoidFocalLoss(nn.Module):
    """``fastcv.ops.sigmoid_focal_loss`` with its options kept; see there.

    Args:
        alpha: weight of targets of 1 beside ``1 - alpha`` of 0, in [0, 1]; -1: both weigh 1.
        gamma: how much easy examples are discounted, 0 or more.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Example:
        >>> import torch
        >>> criterion = SigmoidFocalLoss(reduction="sum")
        >>> criterion(torch.zeros(2, 3), torch.tensor([[1, 0, 0], [0, 0, 0]]), normalizer=1)
        tensor(0.6931)
    """

    def __init__(self, alpha: float = 0.25, gamma: float = 2, reduction: str = "mean") -> None:
        super().__init__()
        self.alpha, self.gamma, self.reduction = alpha, gamma, reduction

    def forward(
        self,
        inputs: Tensor,
        targets: Tensor,
        *,
        weight: Tensor | None = None,
        normalizer: Tensor | float | None = None,
    ) -> Tensor:
        return sigmoid_focal_loss(
            inputs,
            targets,
            self.alpha,
            self.gamma,
            self.reduction,
            weight=weight,
            normalizer=normalizer,
        )

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, gamma={self.gamma}, reduction={self.reduction!r}"


class SoftmaxFocalLoss(nn.Module):
    """``fastcv.ops.softmax_focal_loss`` with its options kept; factors by class move with it.

    Args:
        alpha: a factor, or ``[C]`` factors by class.
        gamma: how much easy examples are discounted, 0 or more.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        ignore_index: rows of this index count for nothing.

    Example:
        >>> import torch
        >>> criterion = SoftmaxFocalLoss(alpha=torch.tensor([1.0, 2.0]))
        >>> criterion(torch.zeros(3, 2), torch.tensor([0, 1, -100]))
        tensor(0.2599)
    """

    alpha: Tensor | float | None

    def __init__(
        self,
        alpha: Tensor | float | None = None,
        gamma: float = 2,
        reduction: str = "mean",
        ignore_index: int = -100,
    ) -> None:
        super().__init__()
        if isinstance(alpha, Tensor):
            self.register_buffer("alpha", alpha)
        else:
            self.alpha = alpha
        self.gamma, self.reduction, self.ignore_index = gamma, reduction, ignore_index

    def forward(
        self,
        inputs: Tensor,
        targets: Tensor,
        *,
        weight: Tensor | None = None,
        normalizer: Tensor | float | None = None,
    ) -> Tensor:
        return softmax_focal_loss(
            inputs,
            targets,
            self.alpha,
            self.gamma,
            self.reduction,
            self.ignore_index,
            weight=weight,
            normalizer=normalizer,
        )

    def extra_repr(self) -> str:
        return f"gamma={self.gamma}, reduction={self.reduction!r}"
