"""Panoptic data with labels as panoptic models have them: without gaps, those of stuff first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from fastcv.classes import UNUSED
from fastcv.data.coco_panoptic import CocoPanoptic, panoptic_target
from fastcv.results import Panoptic


class StuffFirst(Dataset[tuple[Tensor, dict[str, Any]]]):
    """A panoptic data set with other labels.

    COCO's labels are the categories' ids, with gaps, and those of things are lower. A ``UPSNet``
    has the labels of stuff, then those of things, and none without a class.

    Args:
        dataset: with ``classes``, ``things`` and targets as of ``CocoPanoptic``.
        classes: the names in their order, such as a model's; None: the data set's own names, those
            of stuff first, each in the order of their labels.

    Attributes:
        classes: names by label.
        num_stuff: how many of them are stuff, where they begin with all that are.

    Raises:
        ValueError: ``classes`` lack a name that the data set has.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from PIL import Image
        >>> from fastcv.data import CocoPanoptic, StuffFirst, write_coco_panoptic
        >>> from fastcv.results import Panoptic
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (2, 1)).save(folder / "a.jpg")
        >>> ids, classes = torch.tensor([[1, 2]], dtype=torch.int32), ("(unused)", "cat", "grass")
        >>> truth = Panoptic.from_map(ids, {1: 1, 2: 2}, classes, (1,), source="a.jpg")
        >>> write_coco_panoptic([truth], folder / "ids", folder / "ids.json")
        >>> data = StuffFirst(CocoPanoptic(folder, folder / "ids", folder / "ids.json"))
        >>> data.classes, data.num_stuff, data[0][1]["semantic"]
        (('grass', 'cat'), 1, tensor([[1, 0]]))
    """

    def __init__(self, dataset: CocoPanoptic, classes: Sequence[str] | None = None) -> None:
        own = [k for k, name in enumerate(dataset.classes) if name != UNUSED]
        stuff = [k for k in own if k not in dataset.things]
        if classes is None:
            classes = [dataset.classes[k] for k in (*stuff, *(k for k in own if k not in stuff))]
        for k in own:
            if dataset.classes[k] not in classes:
                raise ValueError(
                    f"classes must have all names of the data, {dataset.classes[k]!r} is not there"
                )
        self.dataset, self.classes = dataset, tuple(classes)
        self.label_of = {k: self.classes.index(dataset.classes[k]) for k in own}
        self.things = tuple(sorted(self.label_of[k] for k in own if k in dataset.things))
        self.num_stuff = len(stuff)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        image, target = self.dataset[index]
        segments = target["panoptic"].segments
        panoptic = Panoptic.from_map(
            target["panoptic"].segment_map,
            {segment.id: self.label_of[segment.label] for segment in segments},
            self.classes,
            self.things,
            crowds={segment.id for segment in segments if segment.is_crowd},
            source=target["panoptic"].source,
        )
        return image, {**target, **panoptic_target(panoptic)}
