"""From inputs to results, a batch at a time, whatever the inputs are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal, TypeVar

import torch
from torch import nn
from tqdm import tqdm

from fastcv.models._mode import evaluating

Value = TypeVar("Value")


def predict_each(
    model: nn.Module,
    inputs: Iterable[Any],
    read: Callable[[Any], Value],
    predict_batch: Callable[[list[Value]], Sequence[Any]],
    *,
    batch_size: int,
    on_error: Literal["raise", "yield"],
    progress: bool = False,
) -> Iterator[tuple[Any, Any]]:
    """A result for each input, in order.

    The model is in eval mode, without gradients, while it works on a batch, and as it was before
    when a result is yielded.

    Args:
        model: whose mode is switched.
        inputs: read as they are needed.
        read: an input as ``predict_batch`` takes it.
        predict_batch: a result for each of a list.
        batch_size: inputs at a time.
        on_error: whether an input that ``read`` cannot read ends all, or yields its error.
        progress: show a bar.

    Yields:
        ``(input, result)``; the result's ``source`` is the path, where the input is one. Or
        ``(input, error)``.
    """
    total = len(inputs) if isinstance(inputs, Sequence) else None
    left = iter(inputs)
    with tqdm(total=total, unit="image", disable=not progress) as bar:
        while batch := list(islice(left, batch_size)):
            values: list[Value] = []
            errors: dict[int, Exception] = {}
            for i, item in enumerate(batch):
                try:
                    values.append(read(item))
                except (ValueError, OSError) as error:
                    if on_error == "raise":
                        raise
                    errors[i] = error
            with evaluating(model), torch.inference_mode():
                results = iter(predict_batch(values) if values else [])
            for i, item in enumerate(batch):
                bar.update()
                if i in errors:
                    yield item, errors[i]
                    continue
                result = next(results)
                if isinstance(item, (str, os.PathLike)):
                    result.source = os.fspath(item)
                yield item, result
