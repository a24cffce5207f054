"""Weights of other classes or keypoints: all is loaded but what depends on them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastcv.classes.keypoints import keypoint_schema
from fastcv.models._model import Model
from fastcv.models._weights import Misfits, Source, complaint, try_prefixes

# What builders call a number that people change for data of their own, and what it counts.
COUNTED = {"num_classes": "classes", "keypoints": "keypoints"}
Counts = dict[str, int]
WithCounts = Callable[[Counts], nn.Module]


def load_for_counts(
    model: Model,
    source: Source,
    build: Callable[..., Model],
    classes: Sequence[str] | None,
    given: Sequence[str],
) -> None:
    """``load_weights`` of a file that may be of other classes, or of other keypoints.

    A file is of other classes where all of it fits the model that is built with another
    ``num_classes``. What depends on the classes are the tensors that change shape when the model is
    built with one class more: no model has to list them. With keypoints it is the same.

    Args:
        model: what ``build`` made with ``model.model_config``.
        source: the file.
        build: makes the model.
        classes: the names that the model is to have; None: whatever they are.
        given: which of ``COUNTED`` were asked for: the file may have others.

    Raises:
        ValueError: the file fits the model with no such numbers.
    """

    def with_counts(counts: Counts) -> nn.Module:
        with torch.device("meta"):  # shapes without memory
            return build(**{**model.model_config, **counts})

    state: Mapping[str, Tensor] = model.read_checkpoint(source.path)
    others = _others_by_name(model, source, classes, given)
    body = _body(with_counts, others, state) if others else None
    if body is None:
        state, misfits = try_prefixes(model, state)
        if misfits is None:
            model.classes = source.classes or model.classes
        else:
            numbers = {name: _number(name, model, misfits, with_counts) for name in given}
            others = {name: number for name, number in numbers.items() if number > 0}
            body = _body(with_counts, others, state) if others else None
            if body is None:
                raise ValueError(f"{complaint(model, source)}: {misfits}")
    model.preprocessing = {**model.preprocessing, **source.preprocessing}
    if body is not None:
        head = []
        for key, own in model.state_dict().items():
            if key in body:
                own.copy_(body[key])
            else:
                head.append(key)
        counted = " and ".join(COUNTED[name] for name in others)
        warnings.warn(
            f"{source.path} is of other {counted}: these tensors keep their random start: "
            f"{', '.join(head)}",
            stacklevel=3,  # where create_model is called
        )


def _others_by_name(
    model: Model, source: Source, classes: Sequence[str] | None, given: Sequence[str]
) -> Counts:
    """How many the file has of what it names otherwise than the model is to have it."""
    others = {}
    if "num_classes" in given and _are_others(source.classes, model.classes, classes):
        others["num_classes"] = len(source.classes)
    trained: Any = source.config.get("keypoints")
    built: Any = model.model_config.get("keypoints")
    # A number names none of them.
    if "keypoints" in given and trained is not None and int not in (type(trained), type(built)):
        names = keypoint_schema(trained).names
        if names != keypoint_schema(built).names:
            others["keypoints"] = len(names)
    return others


def _are_others(
    trained: Sequence[str], built: Sequence[str], classes: Sequence[str] | None
) -> bool:
    """Whether a file's classes, if it names them, are not those that a model is to have.

    ``class 7`` is the name of a class that nobody named: it may be any.
    """
    if not trained or not built:
        return False
    if len(trained) != len(built):
        return True
    pairs = zip(trained, classes or trained, strict=True)
    return any(a != b and f"class {i}" not in (a, b) for i, (a, b) in enumerate(pairs))


def _number(name: str, model: Model, misfits: Misfits, with_counts: WithCounts) -> int:
    """With how many classes, say, the tensors of other shapes would fit; 0 where none tells.

    What depends on the number grows by the same with each of them, so from the model's own number
    to one more as well.
    """
    given = model.model_config[name]
    own = given if name == "num_classes" else len(keypoint_schema(given))
    few, more = (_shapes(with_counts({name: number})) for number in (own, own + 1))
    for key, (got, _) in misfits.wrong_shape.items():
        for size, of_few, of_more in zip(got, few[key], more[key], strict=False):
            if of_few != of_more:
                return own + (size - of_few) // (of_more - of_few)
    return 0


def _body(
    with_counts: WithCounts, others: Counts, state: Mapping[str, Tensor]
) -> dict[str, Tensor] | None:
    """A file's tensors by the model's keys, without those that depend on what it has others of.

    Args:
        others: how many the file has.

    Returns:
        None: the file does not fit the model with so many.
    """
    try:
        trained = with_counts(others)
        larger = _shapes(with_counts({name: number + 1 for name, number in others.items()}))
    except ValueError:  # too few classes
        return None
    _, misfits = try_prefixes(trained, state, assign=True)
    if misfits is not None:
        return None
    return {key: value for key, value in trained.state_dict().items() if larger[key] == value.shape}


def _shapes(model: nn.Module) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in model.state_dict().items()}
