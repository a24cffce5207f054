"""The maps of a classifier whose logits are made of one for each class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from fastcv.explain._inputs import read_inputs
from fastcv.images import ImageInput
from fastcv.models._mode import evaluating
from fastcv.models.classification._with_class_maps import WithClassMaps
from fastcv.results import Attribution


def class_maps(
    model: nn.Module, image: ImageInput, classes: int | str | Sequence[int | str] | None = None
) -> Attribution:
    """Where a classifier sees each class; of a negative SCOUTER, what speaks against it.

    Nothing is computed backwards: the maps are what the logits are made of.

    Args:
        model: a CAM or a SCOUTER.
        image: in any form that ``predict`` takes.
        classes: one or several, by number or name, in the order they are drawn in; None: the
            likeliest.

    Returns:
        A map for each class, side by side when drawn; its score is the class's logit.

    Raises:
        TypeError: a model without such maps.
        ValueError: a class that the model does not have.

    Source: Zhou et al., "Learning Deep Features for Discriminative Localization" (2016); Li et al.,
        "SCOUTER: Slot Attention-based Classifier for Explainable Image Recognition" (2021).

    Example:
        >>> import fastcv, torch
        >>> from fastcv.explain import class_maps
        >>> model = fastcv.create_model("vgg16_cam", width=8, channels=16, num_classes=4)
        >>> model.classes = ("bee", "cat", "dog", "eel")
        >>> class_maps(model, torch.rand(3, 300, 400), ["cat", 2])
        Attribution(CAM of why cat, why dog, 2 images, 224x224)
    """
    if not isinstance(model, WithClassMaps):
        raise TypeError(
            f"model must be a classifier with class maps, such as vgg16_cam or scouter_resnet18, "
            f"got {type(model).__name__}"
        )
    if isinstance(classes, (int, str)):
        classes = [classes]
    inputs = read_inputs(model, [image])
    with evaluating(model), torch.inference_mode():
        logits, maps = model(inputs.batch)[0], model.class_maps(inputs.batch)[0]
    labels = [int(logits.argmax())] if classes is None else [_label(model, c) for c in classes]
    cells = maps[labels]
    return Attribution(
        F.interpolate(cells[None], inputs.size, mode="bilinear")[0].float().cpu(),
        type(model).__name__,
        tuple(model.why.format(model.classes[label]) for label in labels),
        inputs.pictures.expand(len(labels), -1, -1, -1).cpu(),
        scores=logits[labels].float().cpu(),
        cells=cells.float().cpu(),
    )


def _label(model: WithClassMaps, of: int | str) -> int:
    if isinstance(of, str) and of in model.classes:
        return model.classes.index(of)
    if isinstance(of, int) and 0 <= of < len(model.classes):
        return of
    raise ValueError(f"classes must be names or 0 to {len(model.classes) - 1}, got {of!r}")
