"""Weights of the same model with other classes: all is loaded but what depends on the classes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from fastcv.models._model import Model
from fastcv.models._weights import Misfits, Source, complaint, try_prefixes

WithClasses = Callable[[int], nn.Module]


def load_for_classes(
    model: Model, source: Source, build: Callable[..., Model], classes: Sequence[str] | None
) -> None:
    """``load_weights`` of a file that may be of other classes.

    A file is of other classes where all of it fits the model that is built with another
    ``num_classes``. What depends on the classes are the tensors that change shape when the model is
    built with one class more: no model has to list them.

    Args:
        model: what ``build`` made with ``model.model_config``.
        source: the file.
        build: makes the model; it takes ``num_classes``.
        classes: the names that the model is to have; None: whatever they are.

    Raises:
        ValueError: the file fits the model with no number of classes.
    """

    def with_classes(number: int) -> nn.Module:
        with torch.device("meta"):  # shapes without memory
            return build(**{**model.model_config, "num_classes": number})

    state: Mapping[str, Tensor] = model.read_checkpoint(source.path)
    body = None
    if _are_others(source.classes, model.classes, classes):
        body = _body(with_classes, len(source.classes), state)
    if body is None:
        state, misfits = try_prefixes(model, state)
        if misfits is None:
            model.classes = source.classes or model.classes
        else:
            body = _body(with_classes, _number_of_classes(misfits, with_classes), state)
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
        warnings.warn(
            f"{source.path} is of other classes: these tensors keep their random start: "
            f"{', '.join(head)}",
            stacklevel=3,  # where create_model is called
        )


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


def _number_of_classes(misfits: Misfits, with_classes: WithClasses) -> int:
    """With how many classes the tensors of other shapes would fit; 0 where that cannot be told.

    What depends on the number grows by the same with each class, so from 3 to 4 as well.
    """
    three, four = (_shapes(with_classes(number)) for number in (3, 4))
    for key, (got, _) in misfits.wrong_shape.items():
        for size, of_three, of_four in zip(got, three[key], four[key], strict=False):
            if of_three != of_four:
                return 3 + (size - of_three) // (of_four - of_three)
    return 0


def _body(
    with_classes: WithClasses, number: int, state: Mapping[str, Tensor]
) -> dict[str, Tensor] | None:
    """A file's tensors by the model's keys, without those that depend on the classes.

    Args:
        number: of the file's classes.

    Returns:
        None: the file does not fit the model with so many classes.
    """
    if number < 1:
        return None
    try:
        trained, larger = with_classes(number), _shapes(with_classes(number + 1))
    except ValueError:  # too few classes
        return None
    _, misfits = try_prefixes(trained, state, assign=True)
    if misfits is not None:
        return None
    return {key: value for key, value in trained.state_dict().items() if larger[key] == value.shape}


def _shapes(model: nn.Module) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in model.state_dict().items()}
