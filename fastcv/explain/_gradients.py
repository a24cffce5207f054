"""Gradients of a score, by pixels and by maps, and maps in the size of the image."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.explain._layers import explaining, recording, the_map
from fastcv.explain._relu import Rule, relu_rule
from fastcv.explain.targets import ClassScore, Resolved, Targets, resolve


def pixel_gradients(
    model: nn.Module,
    batch: Tensor,
    target: Targets | Resolved,
    *,
    layer: str | None = None,
    rule: Rule | None = None,
    force: bool = False,
) -> tuple[Tensor, Resolved, Tensor]:
    """The gradient of each image's score by its pixels.

    Args:
        model: any module.
        batch: ``[B, C, H, W]``.
        target: of the model's output, or what an earlier call made of it.
        layer: explain a channel of this layer in place of the output; ``target`` is its number.
        rule: of the ReLUs; None: their derivative.
        force: go on where the model has other activations.

    Returns:
        ``[B, C, H, W]`` float32; the targets; and the scores, ``[B]``.
    """
    with ExitStack() as stack:
        stack.enter_context(explaining(model))
        image = batch.detach().clone().requires_grad_()
        # The backward as well, for what is computed again there (torch.utils.checkpoint).
        if rule is not None:
            stack.enter_context(relu_rule(model, rule, force=force))
        with recording(model, [] if layer is None else [layer]) as records:
            output = model(image)
        if layer is not None:
            output = the_map(records, layer, len(batch))[1].amax(dim=(2, 3))
        if not isinstance(target, Resolved):
            target = _resolve(model, output, target, layer, len(batch))
        scores = target(output)
        gradient = gradients(scores, image, "the image")
        return gradient.float(), target, scores.detach()


def _resolve(
    model: nn.Module, output: Any, target: Targets, layer: str | None, images: int
) -> Resolved:
    if layer is None:
        return resolve(model, output, target, images)
    found = resolve(nn.Identity(), output, target, images)  # which has no names for channels
    names = [
        f"channel {one.label}" if isinstance(one, ClassScore) else name
        for one, name in zip(found.targets, found.names, strict=True)
    ]
    return Resolved(found.targets, tuple(names))


def gradients(scores: Tensor, by: Tensor, name: str) -> Tensor:
    """That of the sum of scores ``[B]``: of each image's score, for images do not meet.

    Raises:
        ValueError: there is none by ``by``, which is called ``name``.
    """
    found = None
    if scores.requires_grad and by.requires_grad:
        (found,) = torch.autograd.grad(scores.sum(), by, allow_unused=True)
    if found is None:
        raise ValueError(
            f"target: the score must have a gradient by {name}: it does not depend on it, and "
            "layer= names another, or the model's forward runs a part under torch.no_grad or "
            "detaches"
        )
    return found


def spread(cells: Tensor, size: tuple[int, int], output: Any) -> Tensor:
    """Maps ``[B, h, w]`` in the size of the image, bilinear; without the border that a detector
    adds to the image.
    """
    batch = getattr(output, "batch", None)  # of a detector, which resizes and pads itself
    if batch is None:
        return F.interpolate(cells[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    padded = F.interpolate(
        cells[:, None], batch.tensors.shape[-2:], mode="bilinear", align_corners=False
    )
    height, width = batch.sizes[0]
    inside = padded[:, :, :height, :width]
    return F.interpolate(inside, size, mode="bilinear", align_corners=False)[:, 0]
