"""COCO's panoptic format: pictures, a PNG of ids for each, and one JSON; read and written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv._files import replacing
from fastcv.data._frame import AnnotatedPictures
from fastcv.images import read_ids
from fastcv.results import Panoptic
from fastcv.results._panoptic_files import (
    categories,
    checked_panoptic,
    classes_and_things,
    id_image,
    segments_info,
)
from fastcv.results.panoptic import from_segments_info


class CocoPanoptic(Dataset[tuple[Tensor, dict[str, Any]]]):
    """Images and their segments from COCO's ``panoptic_*`` JSON and PNGs, or own ones.

    An item is ``(image, target)``: ``[3, H, W]`` float32 in [0, 1], and a dict of ``panoptic``, the
    truth as a ``results.Panoptic`` whose crowds have ``is_crowd``; ``semantic`` ``[H, W]`` int64,
    labels, 255 where it is void; ``image_id``; and of the things ``boxes`` ``[N, 4]`` (xyxy),
    ``labels`` ``[N]`` int64, ``masks`` ``[N, H, W]`` bool, ``iscrowd`` ``[N]`` bool and ``area``
    ``[N]``.

    A label is the category's id in the file; an id that the file leaves out is ``"(unused)"`` in
    ``classes``. Images come in the order of their ids; those without an annotation are left out.

    Args:
        images: the folder that the images' file names in the JSON are relative to.
        masks: the folder of the PNGs that the annotations name.
        annotations: the JSON file.

    Raises:
        FileNotFoundError: no such folder, JSON file, or (on access) image or PNG.
        ValueError: the JSON is malformed or lacks something; (on access) a broken file, a PNG of
            another size than its image, or with an id that is not in the JSON.

    Source: https://cocodataset.org/#format-data

    Example:
        >>> import pathlib, tempfile, torch
        >>> from PIL import Image
        >>> from fastcv.data import CocoPanoptic, write_coco_panoptic
        >>> from fastcv.results import Panoptic
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (3, 1)).save(folder / "a.jpg")
        >>> ids = torch.tensor([[0, 1, 2]], dtype=torch.int32)
        >>> truth = Panoptic.from_map(ids, {1: 0, 2: 1}, ("grass", "cat"), (1,), source="a.jpg")
        >>> write_coco_panoptic([truth], folder / "ids", folder / "ids.json")
        >>> dataset = CocoPanoptic(folder, folder / "ids", folder / "ids.json")
        >>> image, target = dataset[0]
        >>> target["panoptic"], target["semantic"]
        (Panoptic(1x3: grass, 1 cat, void 33.3 %), tensor([[255,   0,   1]]))
        >>> target["boxes"], target["labels"]
        (tensor([[2., 0., 3., 1.]]), tensor([1]))
    """

    def __init__(
        self,
        images: str | os.PathLike[str],
        masks: str | os.PathLike[str],
        annotations: str | os.PathLike[str],
    ) -> None:
        self.folder, self.masks, self.path = Path(images), Path(masks), Path(annotations)
        for what, folder in (("images", self.folder), ("label maps", self.masks)):
            if not folder.is_dir():
                raise FileNotFoundError(f"there is no folder of {what} {folder}")
        if not self.path.is_file():
            raise FileNotFoundError(f"there is no annotation file {self.path}")
        try:
            content = json.loads(self.path.read_bytes())
        except (ValueError, RecursionError) as error:  # of the JSON, its encoding, its depth
            raise ValueError(f"{self.path} is not JSON: {error}") from error
        content = checked_panoptic(content, self.path, images=True)
        self.classes, self.things = classes_and_things(content["categories"])
        self.images = {row["id"]: row["file_name"] for row in content["images"]}
        self.annotations = sorted(content["annotations"], key=lambda row: row["image_id"])
        for number, row in enumerate(self.annotations):
            if row["image_id"] not in self.images:
                raise ValueError(
                    f"{self.path}: {row['file_name']} is of image {row['image_id']}, which is not "
                    'in "images"'
                )
            if number and row["image_id"] == self.annotations[number - 1]["image_id"]:
                raise ValueError(f"{self.path} has two annotations of image {row['image_id']}")
        self.pictures = AnnotatedPictures()

    def __len__(self) -> int:
        return len(self.annotations)

    @property
    def files(self) -> list[Path]:
        """The pictures, whether or not they are there."""
        return [self.folder / self.images[row["image_id"]] for row in self.annotations]

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        row = self.annotations[index]
        picture, mask = self.folder / self.images[row["image_id"]], self.masks / row["file_name"]
        ids = read_ids(mask)
        image, frame = self.pictures.read(picture, (ids.shape[0], ids.shape[1]))
        ids = frame.masks(ids).contiguous()
        if image.shape[1:] != ids.shape:
            sizes = ["x".join(map(str, x.shape[-2:])) for x in (ids, image)]
            raise ValueError(f"{mask} is {sizes[0]}, and its image {picture.name} is {sizes[1]}")
        try:
            panoptic = from_segments_info(
                ids, row["segments_info"], self.classes, self.things, str(picture)
            )
        except ValueError as error:
            raise ValueError(f"{mask} and {self.path.name}: {error}") from error
        return image, {"image_id": row["image_id"], **panoptic_target(panoptic)}


def panoptic_target(panoptic: Panoptic) -> dict[str, Any]:
    """The target of a training or an evaluation out of a panoptic map, as ``CocoPanoptic`` has it.

    Returns:
        ``panoptic``, ``semantic``, and of the things ``boxes``, ``labels``, ``masks``, ``iscrowd``
        and ``area``.

    Example:
        >>> import torch
        >>> from fastcv.data import panoptic_target
        >>> from fastcv.results import Panoptic
        >>> ids = torch.tensor([[1, 2, 2]], dtype=torch.int32)
        >>> target = panoptic_target(Panoptic.from_map(ids, {1: 0, 2: 1}, ("grass", "cat"), (1,)))
        >>> target["labels"], target["area"], target["masks"]
        (tensor([1]), tensor([2.]), tensor([[[False,  True,  True]]]))
    """
    order = [i for i, segment in enumerate(panoptic.segments) if segment.is_thing]
    things = [panoptic.segments[i] for i in order]
    ids = torch.tensor([thing.id for thing in things], dtype=torch.int32)
    return {
        "panoptic": panoptic,
        "semantic": panoptic.semantic,
        "boxes": panoptic.boxes()[order].float(),
        "labels": torch.tensor([thing.label for thing in things], dtype=torch.int64),
        "masks": panoptic.segment_map == ids[:, None, None],
        "iscrowd": torch.tensor([thing.is_crowd for thing in things], dtype=torch.bool),
        "area": torch.tensor([float(thing.area) for thing in things]),
    }


def write_coco_panoptic(
    found: Iterable[Panoptic],
    masks: str | os.PathLike[str],
    annotations: str | os.PathLike[str],
    *,
    image_ids: Iterable[int] | None = None,
) -> None:
    """Panoptic maps in COCO's format: a PNG of ids for each, and one JSON of what they are.

    Predictions so are what COCO's evaluation takes, and ground truth what ``CocoPanoptic`` reads.
    Maps are written as they come, so that a generator of many need not fit into memory.

    Args:
        found: of each image; all with the same classes. One that came from a file gives its PNG the
            file's name, another its image's id.
        masks: the folder for the PNGs.
        annotations: the JSON file.
        image_ids: of each; None: 0, 1, 2, ...

    Raises:
        ValueError: an id of a segment beyond 24 bits, two of one name or image id, not as many
            ``image_ids``, or maps with different classes.

    Source: https://cocodataset.org/#format-results
    """
    folder, path = Path(masks), Path(annotations)
    images: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    kinds: tuple[tuple[str, ...], tuple[int, ...]] | None = None
    ids = iter(image_ids) if image_ids is not None else None
    taken: set[str | int] = set()
    for number, panoptic in enumerate(found):
        image_id = number if ids is None else next(ids, None)
        if image_id is None:
            raise ValueError(
                f"image_ids must be one for each map, there are {number} and more maps"
            )
        own = (panoptic.classes, panoptic.things)
        if kinds is not None and own != kinds:
            raise ValueError(f"all maps must have the same classes and things, map {number} not")
        kinds = own
        source = None if panoptic.source is None else Path(panoptic.source)
        name = f"{image_id:012d}.png" if source is None else f"{source.stem}.png"
        for value, what in ((image_id, "the image id"), (name, "the name")):
            if value in taken:
                raise ValueError(f"two maps have {what} {value}")
            taken.add(value)
        height, width = panoptic.image_size
        with replacing(folder / name) as temporary:
            id_image(panoptic.segment_map).save(temporary)
        images.append(
            {
                "id": image_id,
                "file_name": name if source is None else source.name,
                "height": height,
                "width": width,
            }
        )
        rows.append(
            {"image_id": image_id, "file_name": name, "segments_info": segments_info(panoptic)}
        )
    if ids is not None and next(ids, None) is not None:
        raise ValueError(f"image_ids must be one for each map, there are {len(rows)} maps and more")
    content = {
        "images": images,
        "annotations": rows,
        "categories": categories(*kinds) if kinds else [],
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content), "utf-8")
