"""What is explained of a model's output: one number for each image."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from fastcv.explain._layers import logits_of
from fastcv.models.detection._detector import Detector
from fastcv.ops import box_iou

Target = int | str | Callable[[Any], Tensor] | None
"""A class's number or name, or a function from the model's output to a score of each image,
``[B]``; None: what the model finds likeliest."""

Targets = Target | Sequence[Target] | Tensor
"""A target for all images, or one for each."""

Score = Callable[[Any], Tensor]

MIN_IOU = 0.5  # of a box with the one that is asked for, to be the same find
MIN_SCORE = 0.001  # of a box that may be it


@dataclass(frozen=True)
class ClassScore:
    """The score of a class before the softmax.

    Args:
        label: its number.
        name: what it is called in pictures.

    Example:
        >>> import torch
        >>> from fastcv.explain.targets import ClassScore
        >>> ClassScore(1)(torch.tensor([[0.5, 2.0], [3.0, 4.0]]))
        tensor([2., 4.])
    """

    label: int
    name: str = ""

    def __call__(self, output: Any) -> Tensor:
        return _logits(output)[:, self.label]


@dataclass(frozen=True)
class PixelScore:
    """A class's scores before the softmax, summed over pixels of a segmentation.

    Args:
        label: the class.
        mask: ``[H, W]`` bool, the pixels, in the size of the model's output; None: all.
        name: what it is called in pictures.

    Source: Vinogradova, Dibrov, Myers, "Towards Interpretable Semantic Segmentation via
        Gradient-Weighted Class Activation Mapping" (2020), equation 3.

    Example:
        >>> import torch
        >>> from fastcv.explain.targets import PixelScore
        >>> mask = torch.tensor([[True, False], [False, True]])
        >>> PixelScore(0, mask)(torch.arange(8.0).view(1, 2, 2, 2))
        tensor([3.])
    """

    label: int
    mask: Tensor | None = None
    name: str = ""

    def __call__(self, output: Any) -> Tensor:
        scores = _logits(output)[:, self.label]
        if self.mask is None:
            return scores.sum(dim=(1, 2))
        if self.mask.shape != scores.shape[1:]:
            raise ValueError(
                f"mask must be {list(scores.shape[1:])}, as the model's output, got "
                f"{list(self.mask.shape)}"
            )
        return (scores * self.mask.to(scores)).sum(dim=(1, 2))


@dataclass(frozen=True)
class BoxScore:
    """The score of a detector's box: of those that overlap ``box`` by half, the best.

    Args:
        detector: the model, whose ``detect`` finds the boxes.
        box: ``[4]`` as ``(x1, y1, x2, y2)`` in pixels of the image.
        label: the box's class; None: any.
        name: what it is called in pictures.

    The score is a probability, as ``detect`` gives it, and 0 where no such box is found.
    """

    detector: Detector
    box: Tensor
    label: int | None = None
    name: str = ""

    def __call__(self, output: Any) -> Tensor:
        scores = []
        for boxes, found, labels in _detect(self.detector, output):
            box = self.box.to(boxes)
            # Itself also where it is empty, and overlaps nothing.
            same = (box_iou(box[None], boxes)[0] > MIN_IOU) | (boxes == box).all(dim=1)
            if self.label is not None:
                same &= labels == self.label
            # The sum of nothing is a zero that still has a gradient.
            scores.append(found[same].max() if bool(same.any()) else found.sum() * 0)
        return torch.stack(scores)


@dataclass(frozen=True)
class Resolved:
    """A target for each image of a batch."""

    targets: tuple[Score, ...]
    names: tuple[str, ...]

    def __call__(self, output: Any) -> Tensor:
        """The score of each image, ``[B]`` float32."""
        if all(isinstance(target, ClassScore) for target in self.targets):
            scores = _logits(output)
            labels = [cast(ClassScore, target).label for target in self.targets]
            index = torch.tensor(labels, device=scores.device)
            return scores.gather(1, index[:, None])[:, 0].float()
        if len(set(map(id, self.targets))) == 1:  # a function gives all at once
            return self._checked(self.targets[0](output))
        each = [self._checked(target(output))[i] for i, target in enumerate(self.targets)]
        return torch.stack(each)

    def repeated(self, image: int, times: int) -> Resolved:
        """The target of one image, for a batch of changed copies of it."""
        return Resolved((self.targets[image],) * times, (self.names[image],) * times)

    def _checked(self, scores: Any) -> Tensor:
        if not isinstance(scores, Tensor) or scores.shape != (len(self.targets),):
            got = list(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise ValueError(
                f"target must return a score for each image, [{len(self.targets)}], got {got}"
            )
        return scores.float()


def resolve(model: nn.Module, output: Any, target: Targets, images: int) -> Resolved:
    """What is meant by a target, given what the model makes of the images.

    Raises:
        TypeError: a target of another kind, or an output that has no scores to take a class from.
        ValueError: a class that the model does not have, or another number of targets.
    """
    if isinstance(target, Tensor):
        target = target.tolist()
    if isinstance(target, (list, tuple)):
        if len(target) != images:
            raise ValueError(
                f"target must be one, or one for each of the {images} images, got {len(target)}"
            )
        targets: list[Target] = list(target)
    else:
        targets = [cast(Target, target)] * images
    found = [_resolve(model, output, one, i) for i, one in enumerate(targets)]
    return Resolved(tuple(found), tuple(_name(one, i) for i, one in enumerate(found)))


def _resolve(model: nn.Module, output: Any, target: Target, image: int) -> Score:
    if callable(target):
        return target
    if target is not None and (isinstance(target, bool) or not isinstance(target, (int, str))):
        raise TypeError(
            "target must be a class's number or name, a function of the model's output, or None, "
            f"got {type(target).__name__}"
        )
    if isinstance(model, Detector):
        return _box(model, output, target, image)
    scores = logits_of(output)
    if scores is None or scores.ndim not in (2, 4):
        got = type(output).__name__ if scores is None else list(scores.shape)
        raise TypeError(
            "target must be a function of the model's output where that is neither scores "
            f"[B, classes] nor [B, classes, H, W]: it is {got}"
        )
    scores = scores.detach()[image]
    if bool(scores.isnan().any()):
        raise ValueError(
            f"the model's scores must be numbers, and those of image {image} have NaN: look for "
            "NaN in its weights, or for numbers that are too large for their dtype"
        )
    if scores.ndim == 1:
        label = int(scores.argmax()) if target is None else _label(model, target, len(scores))
        return ClassScore(label, _class_name(model, label))
    labels = scores.argmax(dim=0)
    if target is None:
        counts = labels.flatten().bincount(minlength=len(scores))
        if counts.count_nonzero() > 1 and _class_name(model, 0) == "background":
            counts[0] = 0
        label = int(counts.argmax())
    else:
        label = _label(model, target, len(scores))
    mask = labels == label
    name = _class_name(model, label)
    if not bool(mask.any()):
        raise ValueError(f"target: the model finds no pixel of {name} in image {image}")
    return PixelScore(label, mask, name)


def whole(model: nn.Module, output: Any, target: Target) -> Target:
    """The same target; of a segmenter's class, all pixels, whatever the model labels them."""
    scores = logits_of(output)
    is_class = isinstance(target, (int, str)) and not isinstance(target, bool)
    if not is_class or scores is None or scores.ndim != 4 or isinstance(model, Detector):
        return target
    label = _label(model, cast("int | str", target), scores.shape[1])
    return PixelScore(label, None, _class_name(model, label))


def _box(model: Detector, output: Any, target: int | str | None, image: int) -> BoxScore:
    """The surest box, of a class or of all."""
    with torch.no_grad():
        boxes, scores, labels = _detect(model, output)[image]
    if target is not None:
        label = _label(model, target, len(model.classes))
        boxes, scores, labels = (t[labels == label] for t in (boxes, scores, labels))
        what = f"box of {_class_name(model, label)}"
    else:
        what = "box"
    if len(boxes) == 0:
        raise ValueError(f"target: the model finds no {what} in image {image}")
    best = int(scores.argmax())
    label = int(labels[best])
    return BoxScore(model, boxes[best].detach(), label, _class_name(model, label))


def _detect(model: Detector, output: Any) -> list[tuple[Tensor, Tensor, Tensor]]:
    takes = inspect.signature(model.detect).parameters
    options = {"score_threshold": MIN_SCORE} if "score_threshold" in takes else {}
    return [(boxes, scores, labels) for boxes, scores, labels in model.detect(output, **options)]


def _logits(output: Any) -> Tensor:
    scores = logits_of(output)
    if scores is None:
        raise TypeError(
            f"the model's output must be scores [B, classes, ...], got {type(output).__name__}"
        )
    return scores


def _label(model: nn.Module, target: int | str, count: int) -> int:
    if isinstance(target, int):
        if not 0 <= target < count:
            raise ValueError(f"target must be a class 0 to {count - 1}, got {target}")
        return target
    classes = tuple(getattr(model, "classes", ()))
    if not classes:
        raise ValueError(
            f"target: the model has no names of classes: give the number of {target!r}"
        )
    if target in classes:
        return classes.index(target)
    lower = [name.lower() for name in classes]
    if target.lower() in lower:
        return lower.index(target.lower())
    with_word = [name for name in lower if target.lower() in name.split()]
    near = (with_word or difflib.get_close_matches(target.lower(), lower, n=3) or lower)[:3]
    hint = " or ".join(repr(classes[lower.index(name)]) for name in near)
    raise ValueError(f"target: the model has no class {target!r}: did you mean {hint}?")


def _class_name(model: nn.Module, label: int) -> str:
    classes = tuple(getattr(model, "classes", ()))
    return classes[label] if label < len(classes) else f"class {label}"


def _name(target: Score, image: int) -> str:
    name = getattr(target, "name", "") or getattr(target, "__name__", "")
    if not name and isinstance(target, (ClassScore, PixelScore)):
        return f"class {target.label}"
    return "a function" if name in ("", "<lambda>") else str(name)
