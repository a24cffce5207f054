"""What a model finds in a data set, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

from fastcv.data.protocols import SizedDataset


def targets_and_results(
    model: Any,
    dataset: SizedDataset,
    *,
    batch_size: int,
    progress: bool,
    options: dict[str, Any],
) -> Iterator[tuple[Any, Any]]:
    """For each item its target and what ``predict`` gives of its image; each is read once.

    Args:
        model: has ``predict``.
        dataset: items ``(image, target)``.
        batch_size: images at a time.
        progress: show a bar.
        options: for ``predict``.
    """
    size = len(dataset)
    for start in tqdm(range(0, size, batch_size), unit=" batches", disable=not progress):
        stop = min(start + batch_size, size)
        images, targets = zip(*(dataset[i] for i in range(start, stop)), strict=True)
        results = model.predict(list(images), batch_size=batch_size, **options)
        yield from zip(targets, results, strict=True)
