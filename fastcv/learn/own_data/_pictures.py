"""Somebody's annotated pictures: what there is, what looks wrong, and a part for validation."""

from __future__ import annotations

import os
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.utils.data import Dataset

from fastcv.classes import UNUSED
from fastcv.images import upright_size

SHOWN_CLASSES = 30
SHOWN_PLACES = 3


class Part(Dataset[Any]):
    """Some items of a data set that has classes."""

    def __init__(self, data: Any, indices: Sequence[int], classes: Sequence[str]) -> None:
        self.data, self.indices, self.classes = data, list(indices), tuple(classes)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.data[self.indices[index]]


@dataclass(frozen=True)
class Annotated:
    """Annotated pictures, and what is known of them without reading their pixels.

    Args:
        data: items ``(image, target)``.
        classes: names by label.
        files: of each picture.
        labels: of the objects of each picture; a classifier's pictures have one.
        background: whether label 0 is what is no object.
        suspicious: a sentence for each kind of what looks wrong.
        sizes: width and height of each picture, as a person sees it.
        config: what a model's builder is told of them, beside the classes.
    """

    data: Any
    classes: tuple[str, ...]
    files: Sequence[Path]
    labels: Sequence[Sequence[int]]
    background: bool
    suspicious: Sequence[str] = ()
    sizes: Sequence[tuple[int, int]] = field(default=())
    config: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def real_classes(self) -> dict[int, str]:
        """Names by label, without the background and labels that stand for nothing."""
        return {
            label: name
            for label, name in enumerate(self.classes)
            if name != UNUSED and not (self.background and label == 0)
        }

    def objects(self) -> Counter[int]:
        """How many objects there are of each label that is a class."""
        known = self.real_classes
        return Counter(label for labels in self.labels for label in labels if label in known)

    def part(self, indices: Sequence[int]) -> Annotated:
        """The pictures of these indices."""
        return replace(
            self,
            data=Part(self.data, indices, self.classes),
            files=[self.files[i] for i in indices],
            labels=[self.labels[i] for i in indices],
            sizes=[self.sizes[i] for i in indices],
        )

    def split(self, fraction: float, seed: int) -> tuple[Annotated, Annotated]:
        """A part that trains and a part that validates, each with pictures of each class if it can.

        Pictures are laid in a row by their rarest class, at random within it, and every so-many-th
        is taken.

        Args:
            fraction: of the pictures that validate, above 0 and below 1.
            seed: of what is random.

        Raises:
            ValueError: the fraction is out of its range, or there are less than two pictures.
        """
        if not 0 < fraction < 1:
            raise ValueError(f"val_fraction must be above 0 and below 1, got {fraction}")
        if len(self) < 2:
            raise ValueError(
                f"there is {len(self)} picture: at least two are needed, one to train on and one "
                "to validate on"
            )
        count = self.objects()
        shuffled = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed)).tolist()
        order = sorted(shuffled, key=lambda i: _rarest(self.labels[i], count))
        n = min(max(1, round(fraction * len(self))), len(self) - 1)
        chosen = {order[int((j + 0.5) * len(self) / n)] for j in range(n)}
        rest = [i for i in range(len(self)) if i not in chosen]
        return self.part(rest), self.part(sorted(chosen))

    def report(self, title: str) -> list[str]:
        """Lines for people: how many pictures and objects, of which classes and sizes."""
        count, classes = self.objects(), self.real_classes
        pictures = Counter(label for labels in self.labels for label in set(labels))
        empty = sum(not labels for labels in self.labels)
        sides = [f"{statistics.median(s[i] for s in self.sizes):.0f}" for i in (0, 1)]
        several = count != pictures  # else an object is a picture's class
        lines = [
            f"{title}: {_number(len(self), 'picture')} of about {' x '.join(sides)} pixels, "
            + (f"{_number(count.total(), 'object')} " if several else "")
            + f"of {_number(len(classes), 'class', 'classes')}"
            + (f"; {_number(empty, 'picture')} without objects" if empty else "")
        ]
        width = max([len(name) for name in classes.values()] + [5])
        lines.append(f"  {'class':{width}} {'objects ' if several else ''}{'pictures':>9}")
        for label, name in list(classes.items())[:SHOWN_CLASSES]:
            objects = f"{count[label]:7} " if several else ""
            lines.append(f"  {name:{width}} {objects}{pictures[label]:9}")
        if len(classes) > SHOWN_CLASSES:
            lines.append(f"  and {len(classes) - SHOWN_CLASSES} more: found.json has all")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """For ``found.json``."""
        count = self.objects()
        return {
            "pictures": len(self),
            "pictures_without_objects": sum(not labels for labels in self.labels),
            "objects": {name: count[label] for label, name in self.real_classes.items()},
            "suspicious": list(self.suspicious),
        }


def look(found: Annotated) -> Annotated:
    """The same, with sizes, and what looks wrong of pictures and names of any task.

    Raises:
        FileNotFoundError: a picture is not there.
        ValueError: there are no pictures or no objects, or a picture cannot be read.
    """
    if not len(found):
        raise ValueError("there are no pictures: the set is empty")
    if not found.objects():
        raise ValueError(
            f"{_number(len(found), 'picture')} and no object of any class: there is nothing to "
            "learn"
        )
    sizes = _sizes(found.files)
    twice = [path for path, n in Counter(map(_real, found.files)).items() if n > 1]
    tiny = [path for path, size in zip(found.files, sizes, strict=True) if min(size) < 16]
    names = [name.strip().lower() for name in found.real_classes.values()]
    alike = [name for name, n in Counter(names).items() if n > 1]
    suspicious = [
        *found.suspicious,
        *sentence("picture is", "pictures are", twice, "listed twice"),
        *sentence("picture is", "pictures are", tiny, "under 16 pixels wide or high"),
        *(f"two classes are called {name!r}, but for capitals or spaces" for name in alike),
    ]
    data = Part(found.data, range(len(found)), found.classes)
    return replace(found, data=data, sizes=sizes, suspicious=suspicious)


def without_objects(found: Annotated) -> list[str]:
    """A sentence where classes have no objects."""
    count = found.objects()
    missing = [name for label, name in found.real_classes.items() if not count[label]]
    return sentence("class has", "classes have", missing, "no object to learn from")


def sentence(one: str, many: str, places: Sequence[object], rest: str) -> list[str]:
    """How many there are and where the first lie, as one sentence; none where there are none."""
    if not places:
        return []
    more = f" and {len(places) - SHOWN_PLACES} more" if len(places) > SHOWN_PLACES else ""
    where = ", ".join(str(place) for place in places[:SHOWN_PLACES])
    return [f"{len(places)} {one if len(places) == 1 else many} {rest}: {where}{more}"]


def shared(train: Annotated, val: Annotated) -> list[str]:
    """A sentence where pictures train and validate: what is measured then says too much."""
    both = sorted(set(map(_real, train.files)) & set(map(_real, val.files)))
    return sentence(
        "picture is", "pictures are", both, "in both sets, so that the metrics say too much"
    )


def _rarest(labels: Sequence[int], count: Counter[int]) -> tuple[float, int]:
    """Of a picture's classes the one with the fewest objects; pictures without any come last."""
    there = [(count[label], label) for label in labels if label in count]
    return min(there, default=(float("inf"), 0))


def _sizes(files: Sequence[Path]) -> list[tuple[int, int]]:
    """Of all pictures, from the heads of their files."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(_size, files))
    missing = [path for path, size in zip(files, found, strict=True) if size is None]
    if missing:
        (told,) = sentence("picture is", "pictures are", missing, "not there")
        raise FileNotFoundError(told)
    broken = [path for path, size in zip(files, found, strict=True) if size == (0, 0)]
    if broken:
        (told,) = sentence("picture", "pictures", broken, "cannot be read")
        raise ValueError(f"{told}: mend or remove them")
    return [size for size in found if size is not None]


def _size(path: Path) -> tuple[int, int] | None:
    """Width and height as a person sees the picture; zeros of what is no picture."""
    try:
        with Image.open(path) as image:
            return upright_size(image)
    except FileNotFoundError:
        return None
    except Exception:  # decoders raise many kinds
        return (0, 0)


def _real(path: Path) -> str:
    return os.path.realpath(path)


def _number(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"
