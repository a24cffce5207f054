"""How good panoptic predictions of videos are: video panoptic quality, and switches of ids."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from fastcv.metrics.panoptic import (
    Key,
    Matches,
    Overlaps,
    check_labels,
    crowds_of,
    means,
    overlaps_of,
)
from fastcv.results import Panoptic

WINDOWS = (1, 2, 3, 4)
"""Annotated frames; of Cityscapes-VPS every fifth is, so that the paper's k is 0, 5, 10, 15."""


class VideoPanopticMetrics:
    """Video panoptic quality of a stream of videos.

    A window of a few frames goes through a video, a frame at a time. All that an object has in the
    window's frames is its tube, and a stuff has one tube. In each window tubes are matched and
    counted as segments of an image are, see ``PanopticMetrics``: so an object whose id changes is
    found in windows of one frame, and missed in longer ones. PQ of a window's length is over all
    windows of all videos; VPQ is the mean over the lengths.

    What is kept does not grow with the videos, and frames are read one after the other.

    Args:
        classes: names by label.
        things: the labels of classes that are things.
        windows: lengths, in frames.

    Raises:
        ValueError: no length, or one below 1.

    Source: Kim et al., "Video Panoptic Segmentation" (2020), section 3.

    Example:
        >>> import torch
        >>> from fastcv.metrics import VideoPanopticMetrics
        >>> from fastcv.results import Panoptic
        >>> classes, things = ("grass", "cat"), (1,)
        >>> def frame(*ids):
        ...     labels = {1: 0} | {id: 1 for id in ids if id > 1}
        ...     return Panoptic.from_map(
        ...         torch.tensor([ids], dtype=torch.int32), labels, classes, things
        ...     )
        >>> metrics = VideoPanopticMetrics(classes, things)
        >>> metrics.add(found=[frame(1, 5), frame(1, 6)], targets=[frame(1, 2), frame(1, 2)])
        >>> values = metrics.compute()  # the cat's id changes
        >>> values["VPQ1"], values["VPQ2"], values["VPQ"], values["id_switches"]
        (1.0, 0.5, 0.75, 1)
    """

    def __init__(
        self, classes: Sequence[str], things: Collection[int], windows: Sequence[int] = WINDOWS
    ) -> None:
        if not windows or min(windows) < 1:
            raise ValueError(f"windows must be lengths of at least 1 frame, got {list(windows)}")
        self.classes, self.things = tuple(classes), tuple(things)
        self.of_length = {length: Matches(len(self.classes)) for length in windows}
        self.id_switches = 0

    def add(self, found: Iterable[Panoptic], targets: Iterable[Panoptic]) -> None:
        """Count a video.

        Args:
            found: what was predicted of each frame; a thing's id is the same in all.
            targets: the truth of each frame, likewise.

        Raises:
            ValueError: not as many frames, frames that differ in size, or a label that no class
                has.
        """
        frames: deque[tuple[Counter[Any], set[Key]]] = deque(maxlen=max(self.of_length))
        last: dict[Key, Key] = {}  # by true thing, what it was matched by
        for predicted, target in zip(found, targets, strict=True):
            check_labels(self.classes, predicted, target)
            overlaps, crowds = overlaps_of(predicted, target), crowds_of(target)
            for p, t in Matches(len(self.classes)).add(overlaps, crowds):
                if t[0] in self.things:
                    self.id_switches += last.get(t, p) != p
                    last[t] = p
            frames.append(self._tubes(overlaps, crowds))
            for length, matches in self.of_length.items():
                if len(frames) >= length:
                    window = list(frames)[-length:]
                    pixels: Counter[Any] = sum((own for own, _ in window), Counter())
                    matches.add(pixels, set().union(*(own for _, own in window)))

    def _tubes(
        self, overlaps: Overlaps, crowds: Collection[Key]
    ) -> tuple[Counter[tuple[Key | None, Key | None]], set[Key]]:
        """The same of tubes: a thing's has its id; a stuff has one, whatever its ids."""

        def tube(key: Key) -> Key:
            return key if key[0] in self.things else (key[0], 0)

        pixels: Counter[tuple[Key | None, Key | None]] = Counter()
        for (p, t), number in overlaps.items():
            pixels[p and tube(p), t and tube(t)] += number
        return pixels, set(map(tube, crowds))

    def compute(self) -> dict[str, Any]:
        """What was found so far.

        Returns:
            ``VPQ``, in [0, 1]; ``VPQ_things`` and ``VPQ_stuff`` where there are such; ``VPQ1``,
            ``VPQ2`` and so on, of windows of so many frames; ``VPQ_by_class``, a dict by class
            name. A length that no video has is left out. ``id_switches``: how often a true thing
            is matched by another predicted id than when it was last matched, in single frames.

        Raises:
            ValueError: no segment was counted.
        """
        by_length = {
            length: {label: pq for label, (pq, _, _) in matches.qualities().items()}
            for length, matches in self.of_length.items()
            if matches.counted()
        }
        if not by_length:
            raise ValueError("there are no segments to measure on")
        groups = [means("VPQ", by_label, self.things) for by_label in by_length.values()]
        metrics: dict[str, Any] = {
            name: _mean([group[name] for group in groups if name in group]) for name in groups[0]
        }
        for length, group in zip(by_length, groups, strict=True):
            metrics[f"VPQ{length}"] = group["VPQ"]
        labels = sorted({label for by_label in by_length.values() for label in by_label})
        metrics["VPQ_by_class"] = {
            self.classes[label]: _mean([x[label] for x in by_length.values() if label in x])
            for label in labels
        }
        metrics["id_switches"] = self.id_switches
        return metrics


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
