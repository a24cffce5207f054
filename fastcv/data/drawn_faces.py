"""Faces on photographs: half are real and small, half are drawn and have five landmarks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.classes import FACE_LANDMARKS
from fastcv.data._drawn_face import Patch, parametric_face, real_face, real_faces
from fastcv.data._drawn_scene import background, check_scene, pick
from fastcv.data._drawn_sources import PHOTOGRAPHS, photographs

LENGTHS = {"train": 2000, "val": 100, "test": 300}
WITH_FACES = ("astronaut", "camera")  # photographs with people: no box would tell of them
ATTEMPTS = 20  # to find a place for a face
MAX_IOU = 0.1  # of two faces


class DrawnFaces(Dataset[tuple[Tensor, dict[str, Any]]]):
    """Faces blended into crops of real photographs without people.

    Some are scikit-image's real faces of 25 x 25 pixels, made larger and turned: where their
    landmarks are, nobody has marked. The others are made of ellipses, and their landmarks are
    known. An item depends on ``(split, seed, index)`` and the other arguments, and on nothing else.
    No real face and no photograph is in two splits.

    An item is ``(image, target)``: ``[3, H, W]`` float32 in [0, 1], and a dict of ``boxes``
    ``[N, 4]`` float32 about the heads, ``labels`` ``[N]`` int64 (all 1), ``keypoints``
    ``[N, 5, 3]`` float32 (x, y, visibility: 2, or 0 with x = y = 0 where it is unknown), ``area``
    ``[N]`` float32 (of the boxes), ``iscrowd`` ``[N]`` bool (never), ``image_id`` (the index).

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        size: height and width of the images, in pixels.
        length: how many images; by default 2000, 100 and 300.
        seed: other seeds give other images of the same real faces and photographs; 0 or more.
        max_faces: an image gets 1 to so many faces; later ones are left out where they find no
            room.
        face_size: the minimum and maximum height of a head, in pixels.
        max_angle: the maximum turn to either side, in degrees.
        real: the share of the faces that are real.

    Raises:
        ValueError: an argument is out of its range.
        ImportError: scikit-learn or scikit-image is missing (on the first item).

    Source: Huang et al., "Labeled Faces in the Wild" (2007), of which the real faces are.

    Example:
        >>> from fastcv.data import DrawnFaces
        >>> faces = DrawnFaces("val")
        >>> image, target = faces[3]
        >>> image.shape, target["boxes"].shape, target["keypoints"].shape
        (torch.Size([3, 128, 128]), torch.Size([3, 4]), torch.Size([3, 5, 3]))
        >>> (target["keypoints"][:, 0, 2] > 0).tolist()  # the others are real
        [True, False, True]
    """

    classes = ("background", "face")
    keypoint_names = FACE_LANDMARKS.names

    def __init__(
        self,
        split: str,
        *,
        size: tuple[int, int] = (128, 128),
        length: int | None = None,
        seed: int = 0,
        max_faces: int = 4,
        face_size: tuple[float, float] = (18.0, 56.0),
        max_angle: float = 25.0,
        real: float = 0.5,
    ) -> None:
        check_scene(
            split,
            size,
            length,
            seed,
            max_faces=(max_faces, 1, 255),
            max_angle=(max_angle, 0, 180),
            real=(real, 0, 1),
        )
        if not 8 <= face_size[0] <= face_size[1] <= min(size) / 2:
            raise ValueError(
                "face_size must be (minimum, maximum) in pixels, 8 or more, the maximum at most "
                f"half of the image's shorter side, got {face_size} in an image of {size}"
            )
        self.split = split
        self.size = size
        self.length = LENGTHS[split] if length is None else length
        self.seed = seed
        self.max_faces = max_faces
        self.face_size = face_size
        self.max_angle = max_angle
        self.real = real

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        index = range(self.length)[index]
        rng = np.random.default_rng((self.seed, list(PHOTOGRAPHS).index(self.split), index))
        scenes = zip(PHOTOGRAPHS[self.split], photographs(self.split), strict=True)
        without = tuple(photograph for name, photograph in scenes if name not in WITH_FACES)
        image = background(rng, pick(rng, without), self.size)
        boxes = np.zeros((0, 4), np.float32)
        keypoints = np.zeros((0, 5, 3), np.float32)
        for _ in range(rng.integers(1, self.max_faces + 1)):
            patch = self._patch(rng)
            corner = _place(rng, patch, self.size, boxes)
            if corner is None:
                continue
            x, y = corner
            high, wide = patch.alpha.shape
            under = image[:, y : y + high, x : x + wide]
            under += patch.alpha * (patch.pixels - under)
            own = np.zeros((5, 3), np.float32)
            if patch.landmarks is not None:
                own[:, :2], own[:, 2] = patch.landmarks + corner, 2
            boxes = np.concatenate([boxes, _moved(patch, corner)])
            keypoints = np.concatenate([keypoints, own[None]])
        sides = boxes[:, 2:] - boxes[:, :2]
        return torch.from_numpy(image), {
            "boxes": torch.from_numpy(boxes),
            "labels": torch.ones(len(boxes), dtype=torch.int64),
            "keypoints": torch.from_numpy(keypoints),
            "area": torch.from_numpy(sides.prod(axis=1)),
            "iscrowd": torch.zeros(len(boxes), dtype=torch.bool),
            "image_id": index,
        }

    def _patch(self, rng: np.random.Generator) -> Patch:
        height = math.exp(rng.uniform(*np.log(self.face_size)))
        angle = math.radians(rng.uniform(-self.max_angle, self.max_angle))
        if rng.random() >= self.real:
            return parametric_face(rng, height, angle)
        return real_face(rng, pick(rng, real_faces(self.split)), height, angle)


def _moved(patch: Patch, corner: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The patch's box ``[1, 4]`` where its corner (x, y) is on the image."""
    return (np.array([patch.box]) + np.array([*corner, *corner])).astype(np.float32)


def _place(
    rng: np.random.Generator,
    patch: Patch,
    size: tuple[int, int],
    boxes: np.ndarray[Any, np.dtype[np.float32]],
) -> tuple[int, int] | None:
    """The corner (x, y) of a patch that is all on the image, where it covers no other face."""
    high, wide = patch.alpha.shape
    for _ in range(ATTEMPTS):
        x, y = int(rng.integers(size[1] - wide + 1)), int(rng.integers(size[0] - high + 1))
        (own,) = _moved(patch, (x, y))
        both = np.minimum(own[2:], boxes[:, 2:]) - np.maximum(own[:2], boxes[:, :2])
        common = both.clip(min=0).prod(axis=1)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (own[2:] - own[:2]).prod()
        if (common <= MAX_IOU * (areas - common)).all():
            return x, y
    return None
