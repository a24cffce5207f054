"""How good panoptic predictions are: panoptic quality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastcv.metrics._batches import targets_and_results
from fastcv.ops import panoptic_counts
from fastcv.results import Panoptic

if TYPE_CHECKING:
    from fastcv.data.protocols import SizedDataset
    from fastcv.models import Model

Key = tuple[int, int]
"""Of a segment: its label and its id."""

Overlaps = Mapping[tuple[Key | None, Key | None], int]
"""Pixels by predicted segment and target segment; None is void."""


class PanopticMetrics:
    """Panoptic, segmentation and recognition quality of a stream of panoptic maps.

    A predicted and a target segment of one class match where their intersection over union is above
    0.5; then neither matches another. Of a class, PQ is the sum of these IoUs divided by
    ``TP + FP / 2 + FN / 2``: matches, predictions and targets without one. SQ is the mean IoU of
    the matches, RQ is ``TP / (TP + FP / 2 + FN / 2)``, and PQ is SQ times RQ.

    - Void pixels of the target are taken out of unions.
    - A crowd of the target matches nothing, and is not missed.
    - A prediction without a match is no false positive if more than half of it lies in void and in
      crowds of its class.

    What is kept does not grow with the images: four numbers a class.

    Args:
        classes: names by label.
        things: the labels of classes that are things.

    Source: Kirillov et al., "Panoptic Segmentation" (2019), section 4; for crowds COCO's rules,
        https://cocodataset.org/#panoptic-eval

    Example:
        >>> import torch
        >>> from fastcv.metrics import PanopticMetrics
        >>> from fastcv.results import Panoptic
        >>> classes, things = ("grass", "cat"), (1,)
        >>> target = torch.tensor([[1, 1, 1, 1, 2, 2, 2, 2]], dtype=torch.int32)
        >>> found = torch.tensor([[5, 5, 5, 5, 5, 7, 7, 7]], dtype=torch.int32)
        >>> metrics = PanopticMetrics(classes, things)
        >>> metrics.add(
        ...     Panoptic.from_map(found, {5: 0, 7: 1}, classes, things),
        ...     Panoptic.from_map(target, {1: 0, 2: 1}, classes, things),
        ... )
        >>> metrics.compute()["PQ_by_class"]  # IoU 4 / 5 and 3 / 4
        {'grass': 0.8, 'cat': 0.75}
    """

    def __init__(self, classes: Sequence[str], things: Collection[int]) -> None:
        self.classes, self.things = tuple(classes), tuple(things)
        self.matches = Matches(len(self.classes))

    def add(self, found: Panoptic, target: Panoptic) -> None:
        """Count an image.

        Args:
            found: what was predicted.
            target: the truth; segments with ``is_crowd`` are crowds.

        Raises:
            ValueError: they differ in size, or have a label that no class has.
        """
        check_labels(self.classes, found, target)
        self.matches.add(overlaps_of(found, target), crowds_of(target))

    def compute(self) -> dict[str, Any]:
        """What was found so far.

        Returns:
            Numbers in [0, 1]: ``PQ``, ``SQ`` and ``RQ``, the means over the classes that were
            predicted or are in the targets; the same over things, ``PQ_things``, and over stuff,
            ``PQ_stuff``, where there are such; ``PQ_by_class``, ``SQ_by_class`` and
            ``RQ_by_class``, dicts by class name. SQ is 0 for a class without a match.

        Raises:
            ValueError: no segment was counted.
        """
        by_class = self.matches.qualities()
        metrics: dict[str, Any] = {}
        for i, name in enumerate(("PQ", "SQ", "RQ")):
            values = {label: qualities[i] for label, qualities in by_class.items()}
            metrics |= means(name, values, self.things)
            metrics[f"{name}_by_class"] = {self.classes[k]: x for k, x in values.items()}
        return metrics


class Matches:
    """Sums of each class: IoU of matches, matches, and what has none.

    Args:
        num_classes: C.
    """

    def __init__(self, num_classes: int) -> None:
        self.iou = [0.0] * num_classes
        self.tp, self.fp, self.fn = ([0] * num_classes for _ in range(3))

    def add(self, overlaps: Overlaps, crowds: Collection[Key]) -> list[tuple[Key, Key]]:
        """Count an image, or some frames as one.

        Args:
            overlaps: how many pixels are of which two segments.
            crowds: which segments of the target are crowds.

        Returns:
            The matches, predicted first.
        """
        predicted, targets, ignored, void = (Counter[Key]() for _ in range(4))
        for (p, t), pixels in overlaps.items():
            if t is not None:
                targets[t] += pixels
            if p is not None:
                predicted[p] += pixels
                if t is None:
                    void[p] += pixels
                if t is None or (t in crowds and t[0] == p[0]):
                    ignored[p] += pixels
        matches = []
        for (p, t), pixels in overlaps.items():
            if p is None or t is None or p[0] != t[0] or t in crowds:
                continue
            union = predicted[p] + targets[t] - pixels - void[p]
            if 2 * pixels > union:
                matches.append((p, t))
                self.iou[p[0]] += pixels / union
                self.tp[p[0]] += 1
        for p in predicted.keys() - {p for p, _ in matches}:
            self.fp[p[0]] += 2 * ignored[p] <= predicted[p]
        for t in targets.keys() - {t for _, t in matches} - set(crowds):
            self.fn[t[0]] += 1
        return matches

    def counted(self) -> bool:
        """Whether there was a segment."""
        return any(map(any, (self.tp, self.fp, self.fn)))

    def qualities(self) -> dict[int, tuple[float, float, float]]:
        """PQ, SQ and RQ by label, of the classes that were counted.

        Raises:
            ValueError: there are none.
        """
        found = {}
        for label, (iou, tp, fp, fn) in enumerate(
            zip(self.iou, self.tp, self.fp, self.fn, strict=True)
        ):
            if weight := tp + fp / 2 + fn / 2:
                found[label] = (iou / weight, iou / max(tp, 1), tp / weight)
        if not found:
            raise ValueError("there are no segments to measure on")
        return found


def means(name: str, by_label: Mapping[int, float], things: Collection[int]) -> dict[str, float]:
    """The mean over all classes, and over things and over stuff, where there are such.

    Example:
        >>> from fastcv.metrics.panoptic import means
        >>> means("PQ", {0: 0.5, 1: 1.0}, things=(1,))
        {'PQ': 0.75, 'PQ_things': 1.0, 'PQ_stuff': 0.5}
    """
    groups = {
        name: list(by_label.values()),
        f"{name}_things": [x for label, x in by_label.items() if label in things],
        f"{name}_stuff": [x for label, x in by_label.items() if label not in things],
    }
    return {group: sum(values) / len(values) for group, values in groups.items() if values}


def overlaps_of(found: Panoptic, target: Panoptic) -> dict[tuple[Key | None, Key | None], int]:
    """How many pixels are of which two segments; void in both is left out.

    Raises:
        ValueError: the maps differ in size.
    """
    if found.image_size != target.image_size:
        sizes = ["x".join(map(str, x.image_size)) for x in (found, target)]
        raise ValueError(f"found and target must be of one size, got {sizes[0]} and {sizes[1]}")
    pairs, counts = panoptic_counts(found.segment_map.cpu(), target.segment_map.cpu())
    keys = [
        {segment.id: (segment.label, segment.id) for segment in x.segments} for x in (found, target)
    ]
    return {
        (keys[0].get(p), keys[1].get(t)): pixels
        for (p, t), pixels in zip(pairs.tolist(), counts.tolist(), strict=True)
        if p or t
    }


def crowds_of(target: Panoptic) -> set[Key]:
    """The segments that are crowds."""
    return {(segment.label, segment.id) for segment in target.segments if segment.is_crowd}


def check_labels(classes: Sequence[str], *maps: Panoptic) -> None:
    """That every segment has a label below the number of classes.

    Raises:
        ValueError: one has not.
    """
    for segment in (segment for x in maps for segment in x.segments):
        if segment.label >= len(classes):
            raise ValueError(
                f"labels must be 0 to {len(classes) - 1}, segment {segment.id} has {segment.label}"
            )


def evaluate_panoptic(
    model: Model,
    dataset: SizedDataset,
    *,
    batch_size: int = 1,
    progress: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Panoptic quality of a model on a dataset; fits ``fit``'s ``evaluate``.

    Args:
        model: its results are ``Panoptic``.
        dataset: items ``(image, target)``, such as ``fastcv.data.CocoPanoptic``: targets have
            ``panoptic``, the truth as a ``Panoptic``. Each is read once. Its classes are the
            model's.
        batch_size: images at a time; larger batches pad images more, which can change results.
        progress: show a bar.
        options: for ``predict``, such as ``score_threshold``.

    Returns:
        As ``PanopticMetrics.compute``.

    Raises:
        ValueError: another model, or a label that the model has no class for.
    """
    metrics: PanopticMetrics | None = None
    for target, found in targets_and_results(
        model, dataset, batch_size=batch_size, progress=progress, options=options
    ):
        if not isinstance(found, Panoptic):
            given = type(found).__name__
            raise ValueError(
                f"model must be of panoptic segmentation: {type(model).__name__} gives {given}"
            )
        metrics = metrics or PanopticMetrics(model.classes, found.things)
        metrics.add(found, target["panoptic"])
    if metrics is None:
        raise ValueError("there are no segments to measure on")
    return metrics.compute()
