"""One step and one measurement before the run: a mistake must show now, not after an epoch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch

from fastcv.learn.own_data._pictures import Annotated
from fastcv.models import Model


def rehearse(
    model: Model,
    batch: tuple[Any, Any],
    measure: Callable[[Any, Any], Any],
    val: Annotated,
) -> None:
    """The loss of a batch, and what is measured of one picture; the model stays as it is.

    Args:
        model: on the CPU.
        batch: images and targets, as ``fit`` will give them.
        measure: the metrics of a model and pictures.
        val: pictures that validate, some with objects.

    Raises:
        ValueError: the model cannot learn from these pictures.
    """
    images, targets = batch
    other = copy.deepcopy(model)  # norms note what passes through them
    try:
        with torch.no_grad():
            other.loss(other(images), targets)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{model.model_name} cannot learn from these pictures as they come: {error}"
        ) from error
    with_object = next(i for i, labels in enumerate(val.labels) if labels)
    with torch.no_grad():
        measure(other.eval(), val.part([with_object]).data)
