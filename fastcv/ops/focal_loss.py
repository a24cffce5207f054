"""Focal losses: cross entropy in which easy examples count for little. One pass over the logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def sigmoid_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: float = 0.25,
    gamma: float = 2,
    reduction: str = "none",
    weight: Tensor | None = None,
    normalizer: Tensor | float | None = None,
) -> Tensor:
    """Focal loss of independent yes-or-no logits.

    Args:
        inputs: ``[*]`` logits, float64, float32, float16 or bfloat16, any strides.
        targets: the same shape: 0 or 1 as any integer dtype or bool, or values in [0, 1] of any
            float dtype. They have no gradient.
        alpha: weight of targets of 1 beside ``1 - alpha`` of 0, in [0, 1]; -1: both weigh 1.
        gamma: how much easy examples are discounted, 0 or more; 0 is cross entropy.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        weight: factors, any dtype; its dimensions are the first ones of ``inputs``, each of that
            size or 1: ``[N]`` or ``[N, 1]`` weighs, or masks, rows of ``[N, C]``. Where it is 0,
            even a NaN counts for nothing. It has no gradient.
        normalizer: what the sum is divided by, a number or a scalar tensor (the number of positive
            anchors, say); only with ``reduction="sum"``.

    Returns:
        A loss for each element in the dtype of ``inputs``; or a scalar, float64 for float64
        ``inputs`` and float32 for all others, the mean over all elements, weighed or not (NaN for
        none). Differentiable, twice, with respect to ``inputs``; the same bits at every run.

    Raises:
        ValueError: an unknown ``reduction``, ``normalizer`` without a sum or no scalar, ``targets``
            or ``weight`` that require a gradient.
        RuntimeError: shapes, dtypes, devices or numbers do not fit.

    Source: Lin et al., "Focal Loss for Dense Object Detection" (2017), equation 5.

    Example:
        >>> import torch, fastcv
        >>> logits = torch.tensor([[3.0, -3.0], [-1.0, 0.0]])
        >>> targets = torch.tensor([[1, 0], [1, 0]])
        >>> fastcv.ops.sigmoid_focal_loss(logits, targets)
        tensor([[2.7321e-05, 8.1962e-05],
                [1.7547e-01, 1.2997e-01]])
        >>> fastcv.ops.sigmoid_focal_loss(logits, targets, reduction="sum", normalizer=2)
        tensor(0.1528)
    """
    op = "sigmoid_focal_loss"
    _check_constant(op, "targets", targets)
    _check_constant(op, "weight", weight)
    reduce = _is_reduced(op, reduction, normalizer)
    loss = torch.ops.fastcv.sigmoid_focal_loss(inputs, targets, alpha, gamma, weight, reduce)
    if reduction == "mean":
        return loss / inputs.numel()
    return loss if normalizer is None else _normalized(op, loss, normalizer)


def softmax_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: float | Tensor | None = None,
    gamma: float = 2,
    reduction: str = "none",
    ignore_index: int = -100,
    weight: Tensor | None = None,
    normalizer: Tensor | float | None = None,
) -> Tensor:
    """Focal loss of logits over classes, of which one is right.

    Args:
        inputs: ``[N, C]`` logits, float64, float32, float16 or bfloat16, any strides.
        targets: ``[N]`` class indices, any integer dtype; or ``[N, C]`` probabilities, any float
            dtype: then each class's loss counts with its probability. They have no gradient.
        alpha: a factor, or ``[C]`` factors by class, any float dtype, without gradient.
        gamma: how much easy examples are discounted, 0 or more; 0 is cross entropy.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        ignore_index: rows of this index count for nothing.
        weight: ``[N]`` or ``[N, 1]`` factors of rows, any dtype. Where it is 0, even a NaN counts
            for nothing. It has no gradient.
        normalizer: what the sum is divided by, a number or a scalar tensor; only with
            ``reduction="sum"``.

    Returns:
        ``[N]`` in the dtype of ``inputs``; or a scalar, float64 for float64 ``inputs`` and float32
        for all others, the mean over rows that are not ignored, weighed or not (NaN for none).
        Differentiable, twice, with respect to ``inputs``; the same bits at every run.

    Raises:
        ValueError: an unknown ``reduction``, ``normalizer`` without a sum or no scalar,
            ``targets``, ``alpha`` or ``weight`` that require a gradient.
        RuntimeError: shapes, dtypes, devices or numbers do not fit; on the CPU, an index that is no
            class and not ``ignore_index`` (on CUDA its row's loss is NaN).

    Source: Lin et al., "Focal Loss for Dense Object Detection" (2017), section 3, over classes.

    Example:
        >>> import torch, fastcv
        >>> logits = torch.tensor([[4.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 9.0]])
        >>> fastcv.ops.softmax_focal_loss(logits, torch.tensor([0, 0, -100]))
        tensor([4.4923e-05, 9.6350e-01, 0.0000e+00])
        >>> fastcv.ops.softmax_focal_loss(logits, torch.tensor([0, 0, -100]), reduction="mean")
        tensor(0.4818)
    """
    op = "softmax_focal_loss"
    class_alpha: Tensor | None = None
    factor = 1.0
    if isinstance(alpha, Tensor):
        class_alpha = alpha
    elif alpha is not None:
        factor = alpha
    _check_constant(op, "targets", targets)
    _check_constant(op, "alpha", class_alpha)
    _check_constant(op, "weight", weight)
    reduce = _is_reduced(op, reduction, normalizer)
    loss, count = torch.ops.fastcv.softmax_focal_loss(
        inputs, targets, factor, class_alpha, gamma, weight, ignore_index, reduce
    )
    if reduction == "mean":
        return loss / count
    return loss if normalizer is None else _normalized(op, loss, normalizer)


def _check_constant(op: str, name: str, value: Tensor | None) -> None:
    if value is not None and value.requires_grad:
        raise ValueError(f"{op}: {name} gets no gradient and must not require one: detach it")


def _is_reduced(op: str, reduction: str, normalizer: Tensor | float | None) -> bool:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{op}: reduction must be 'none', 'mean' or 'sum', got '{reduction}'")
    if normalizer is not None and reduction != "sum":
        raise ValueError(f"{op}: normalizer is for reduction='sum', got '{reduction}'")
    return reduction != "none"


def _normalized(op: str, loss: Tensor, normalizer: Tensor | float) -> Tensor:
    if not isinstance(normalizer, Tensor):
        return loss / normalizer
    if normalizer.numel() != 1:
        raise ValueError(
            f"{op}: normalizer must be a scalar, got a tensor of shape {list(normalizer.shape)}"
        )
    return loss / normalizer.reshape(()).to(loss.dtype)  # where it is: nothing waits


def _wide(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


@torch.library.register_fake("fastcv::sigmoid_focal_loss")
def _(
    inputs: Tensor,
    targets: Tensor,
    alpha: float,
    gamma: float,
    weight: Tensor | None,
    reduce: bool,
) -> Tensor:
    return inputs.new_empty((), dtype=_wide(inputs)) if reduce else torch.empty_like(inputs)


@torch.library.register_fake("fastcv::softmax_focal_loss")
def _(
    inputs: Tensor,
    targets: Tensor,
    alpha: float,
    class_alpha: Tensor | None,
    gamma: float,
    weight: Tensor | None,
    ignore_index: int,
    reduce: bool,
) -> tuple[Tensor, Tensor]:
    if not reduce:
        return inputs.new_empty(inputs.shape[0]), inputs.new_empty(0, dtype=_wide(inputs))
    return inputs.new_empty((), dtype=_wide(inputs)), inputs.new_empty((), dtype=_wide(inputs))


@torch.library.register_fake("fastcv::_sigmoid_focal_loss_backward")
@torch.library.register_fake("fastcv::_softmax_focal_loss_backward")
def _(grad: Tensor, inputs: Tensor, *arguments: Any) -> Tensor:
    return torch.empty_like(inputs)


def _register_gradient(name: str, arguments: int, plain: Any) -> None:
    """Gradients of ``name(inputs, targets, *options, reduce)``, ``arguments`` in all.

    The gradient is an op. Its own gradient, which few need, comes from ``plain``, the loss
    ``[*]`` in plain PyTorch.
    """
    backward = getattr(torch.ops.fastcv, f"_{name}_backward").default

    def remember(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        tensors = [x if isinstance(x, Tensor) else None for x in inputs[:-1]]
        ctx.save_for_backward(*tensors)
        ctx.numbers = [None if isinstance(x, Tensor) else x for x in inputs[:-1]]
        if isinstance(output, tuple):
            ctx.mark_non_differentiable(output[1])

    def recall(ctx: Any) -> list[Any]:
        saved = ctx.saved_tensors
        return [n if t is None else t for t, n in zip(saved, ctx.numbers, strict=True)]

    def differentiate(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        return (backward(grad, *recall(ctx)), *[None] * (arguments - 1))

    def remember_backward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        remember(ctx, (*inputs, None), output)

    def differentiate_backward(ctx: Any, grad_grad: Tensor) -> tuple[Tensor | None, ...]:
        grad, inputs, *options = recall(ctx)
        with torch.enable_grad():
            grad, inputs = grad.detach().requires_grad_(), inputs.detach().requires_grad_()
            loss = plain(inputs, *options)
            (first,) = torch.autograd.grad(loss, inputs, grad.expand_as(loss), create_graph=True)
            second = torch.autograd.grad(first, (grad, inputs), grad_grad)
        return (*second, *[None] * (arguments - 2))

    torch.library.register_autograd(f"fastcv::{name}", differentiate, setup_context=remember)
    torch.library.register_autograd(
        f"fastcv::_{name}_backward", differentiate_backward, setup_context=remember_backward
    )


def _plain_sigmoid(
    x: Tensor, targets: Tensor, alpha: float, gamma: float, weight: Tensor | None
) -> Tensor:
    t = targets.to(x.dtype)
    p = x.sigmoid()
    q = p * (1 - t) + (1 - p) * t
    loss = torch.nn.functional.binary_cross_entropy_with_logits(x, t, reduction="none") * q**gamma
    if alpha >= 0:
        loss = loss * (alpha * t + (1 - alpha) * (1 - t))
    if weight is not None:
        loss = loss * weight.reshape(*weight.shape, *[1] * (x.dim() - weight.dim()))
    return loss


def _plain_softmax(
    x: Tensor,
    targets: Tensor,
    alpha: float,
    class_alpha: Tensor | None,
    gamma: float,
    weight: Tensor | None,
    ignore_index: int,
) -> Tensor:
    log_p = x.log_softmax(1)
    if targets.dim() == 1:
        classes = torch.arange(x.shape[1], device=x.device)
        targets = (targets[:, None] == classes) & (targets != ignore_index)[:, None]
    factors = alpha * targets.to(x.dtype)
    if class_alpha is not None:
        factors = factors * class_alpha.to(x.dtype)
    loss = -(factors * (1 - log_p.exp()) ** gamma * log_p).sum(1)
    return loss if weight is None else loss * weight.reshape(-1)


_register_gradient("sigmoid_focal_loss", 6, _plain_sigmoid)
_register_gradient("softmax_focal_loss", 8, _plain_softmax)
