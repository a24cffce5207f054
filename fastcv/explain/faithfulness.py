"""Are the pixels that a map shows those that the model needs? Three measures of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fastcv.explain._checks import check_tensor
from fastcv.explain._inputs import Images, read_inputs
from fastcv.explain._layers import explaining, logits_of
from fastcv.explain.occlusion import blurred
from fastcv.explain.targets import ClassScore, Resolved, Targets, resolve
from fastcv.results import Attribution

BLUR = 11  # pixels; what insertion starts from


@dataclass(frozen=True)
class Faithfulness:
    """A row of the table, means over the images.

    Args:
        deletion: the area under the score while pixels are taken away, the map's highest first;
            the lower the better.
        insertion: under the score while they are added to a blurred image; the higher the better.
        pointing: the share of the images whose map is highest inside a box of the object; None
            without boxes.
    """

    deletion: float
    insertion: float
    pointing: float | None = None


def faithfulness(
    model: nn.Module,
    images: Images,
    attributions: Mapping[str, Attribution | Tensor],
    target: Targets = None,
    *,
    boxes: Tensor | Sequence[Any] | None = None,
    tolerance: float = 0.0,
    steps: int = 28,
    batch_size: int = 16,
) -> dict[str, Faithfulness]:
    """Measures maps of the same images by several methods.

    Args:
        model, images, target: as for ``grad_cam``, and the same as the maps were made for. The
            score of a class is its probability here, that of another target is as it is.
        attributions: by name, such as the method's; as tensors ``[B, H, W]``. A map of random
            numbers among them shows what the measures are without any knowledge.
        boxes: ``[K, 4]`` of each image, as tensors or lists, ``(x1, y1, x2, y2)`` in pixels of the
            map: where the object is.
        tolerance: pixels by which a map's highest may miss a box.
        steps: in which pixels are taken away and added, each the same number of them.
        batch_size: images in a forward.

    Returns:
        A row of each, by name.

    Raises:
        TypeError: attributions without names, or that are no maps.
        ValueError: maps of another shape or with NaN, another number of boxes, or an option out of
            its range.

    Source: Petsiuk, Das, Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box
        Models" (2018), section 4.3: pixels are taken away to 0, the mean colour of normalised
        images; Zhang et al., "Top-down Neural Attention by Excitation Backprop" (2016), for the
        pointing game.

    Example:
        >>> import torch
        >>> from fastcv import create_model, explain
        >>> model = create_model("resnet18", num_classes=3, width=8)
        >>> images = torch.rand(2, 3, 64, 64)
        >>> maps = {"grad_cam": explain.grad_cam(model, images), "random": torch.rand(2, 64, 64)}
        >>> rows = explain.faithfulness(model, images, maps, steps=4)
        >>> list(rows), 0 <= rows["random"].deletion <= 1
        (['grad_cam', 'random'], True)
    """
    inputs = read_inputs(model, images)
    if steps < 1 or batch_size < 1:
        raise ValueError(f"steps and batch_size must be at least 1, got {steps} and {batch_size}")
    if boxes is not None and len(boxes) != len(inputs):
        raise ValueError(f"boxes must be of {len(inputs)} images, got {len(boxes)}")
    if not isinstance(attributions, Mapping):
        raise TypeError(
            "attributions must be maps by name, such as {'grad_cam': found}, got "
            f"{type(attributions).__name__}"
        )
    shape = (len(inputs), *inputs.size)
    maps = {
        name: given.maps if isinstance(given, Attribution) else given
        for name, given in attributions.items()
    }
    for name, one in maps.items():
        check_tensor(f"attributions: {name}", one)
        if one.shape != shape:
            raise ValueError(f"attributions: {name} must be {list(shape)}, got {list(one.shape)}")
        if bool(one.isnan().any()):
            raise ValueError(f"attributions: {name} must be numbers, and has NaN")
    with explaining(model), torch.no_grad():
        resolved = resolve(model, model(inputs.batch), target, len(inputs))
        away = torch.zeros_like(inputs.batch)
        soft = blurred(inputs.batch, BLUR)
        rows = {}
        for name, one in maps.items():
            order = one.to(inputs.batch.device).flatten(1).argsort(dim=1, descending=True)
            deletion, insertion = (
                _area(model, resolved, before, after, order, steps, batch_size)
                for before, after in ((inputs.batch, away), (soft, inputs.batch))
            )
            pointing = None
            if boxes is not None:
                pointing = pointing_game(highest_pixels(one), boxes, tolerance=tolerance)
            rows[name] = Faithfulness(deletion, insertion, pointing)
    return rows


def _area(
    model: nn.Module,
    resolved: Resolved,
    before: Tensor,
    after: Tensor,
    order: Tensor,
    steps: int,
    batch_size: int,
) -> float:
    """The mean area under the score, while pixels change in order from one image to another."""
    pixels = order.shape[1]
    counts = [round(pixels * step / steps) for step in range(steps + 1)]
    areas = []
    for i, places in enumerate(order):
        rank = torch.empty_like(places)
        rank[places] = torch.arange(pixels, device=places.device)
        rank = rank.view(1, *before.shape[2:])
        scores = []
        for begin in range(0, len(counts), batch_size):
            some = counts[begin : begin + batch_size]
            mixed = torch.stack([torch.where(rank < n, after[i], before[i]) for n in some])
            scores.append(_probability(resolved.repeated(i, len(some)), model(mixed)))
        curve = torch.cat(scores)
        areas.append(torch.trapezoid(curve) / steps)
    return float(torch.stack(areas).mean())


def _probability(resolved: Resolved, output: Any) -> Tensor:
    logits = logits_of(output)
    if logits is not None and all(isinstance(one, ClassScore) for one in resolved.targets):
        return resolved(logits.float().softmax(dim=1))
    return resolved(output)


def pointing_game(
    points: Tensor, boxes: Tensor | Sequence[Any], *, tolerance: float = 0.0
) -> float:
    """The share of points that lie on their image's object.

    Args:
        points: ``[B, 2]`` as ``(x, y)`` in pixels; the middle of the first pixel is at 0.5.
        boxes: ``[B, 4]``, the object's ``(x1, y1, x2, y2)``, half-open; or a tensor ``[K, 4]`` of
            each image, in any of which a point may lie.
        tolerance: pixels by which a point may miss a box.

    Raises:
        TypeError: points that are no tensor.
        ValueError: none, or points or boxes of another shape.

    Source: Zhang et al., "Top-down Neural Attention by Excitation Backprop" (2016), section 4.2.

    Example:
        >>> import torch
        >>> from fastcv.explain import pointing_game
        >>> boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4]])
        >>> pointing_game(torch.tensor([[1, 3], [4, 1]]), boxes)
        0.5
    """
    check_tensor("points", points)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points must be [B, 2], got {list(points.shape)}")
    if len(points) == 0:
        raise ValueError("points must be at least one, got none")
    hits = []
    for point, own in zip(points, boxes, strict=True):
        corners = torch.as_tensor(own, device=points.device)
        if corners.numel() and corners.shape[-1] != 4:
            raise ValueError(f"boxes must be [K, 4] of each image, got {list(corners.shape)}")
        corners = corners.reshape(-1, 4)
        inside = (point >= corners[:, :2] - tolerance) & (point < corners[:, 2:] + tolerance)
        hits.append(bool(inside.all(dim=1).any()))
    return sum(hits) / len(hits)


def highest_pixels(maps: Tensor) -> Tensor:
    """The middle of each map's highest pixel, ``[B, 2]`` as ``(x, y)``; of several the first."""
    places = maps.flatten(1).argmax(dim=1)
    width = maps.shape[2]
    return torch.stack([places % width, places // width], dim=1) + 0.5
