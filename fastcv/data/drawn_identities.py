"""Faces of people who do not exist, several pictures of each: who it is, is the label."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data._drawn_face import MARGIN
from fastcv.data._drawn_identity import draw_face, draw_identity
from fastcv.data._drawn_scene import background, check_scene, pick
from fastcv.data._drawn_sources import PHOTOGRAPHS, photographs
from fastcv.data.drawn_faces import WITH_FACES

LENGTHS = {"train": 2000, "val": 200, "test": 400}
HEADS = (0.62, 0.7)  # how high a head is, in heights of the picture


class DrawnIdentities(Dataset[tuple[Tensor, int]]):
    """One face on a crop of a real photograph, and the number of the person.

    A person is a shape, colours, hair, and maybe a beard or glasses. From picture to picture the
    pose, the light, the background and the smile change. An item depends on
    ``(split, seed, index)`` and the other arguments, and on nothing else: person ``k`` is the same
    in every split, on other photographs. Item ``i`` is of person ``i % identities``.

    An item is ``(image, label)``: ``[3, H, W]`` float32 in [0, 1], and an int.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        size: height and width of the images, in pixels; 24 or more.
        identities: how many people.
        length: how many images; by default 2000, 200 and 400.
        seed: other seeds give other people; 0 or more.

    Raises:
        ValueError: an argument is out of its range.
        ImportError: scikit-learn or scikit-image is missing (on the first item).

    Example:
        >>> from fastcv.data import DrawnIdentities
        >>> faces = DrawnIdentities("val", identities=5)
        >>> image, label = faces[7]
        >>> image.shape, label, faces.classes[label]
        (torch.Size([3, 128, 128]), 2, 'person 2')
    """

    def __init__(
        self,
        split: str,
        *,
        size: tuple[int, int] = (128, 128),
        identities: int = 20,
        length: int | None = None,
        seed: int = 0,
    ) -> None:
        check_scene(split, size, length, seed, identities=(identities, 2, 100_000))
        if min(size) < 24:
            raise ValueError(f"size must be at least 24 x 24 pixels, got {size}")
        self.split = split
        self.size = size
        self.identities = identities
        self.length = LENGTHS[split] if length is None else length
        self.seed = seed
        self.classes = tuple(f"person {k}" for k in range(identities))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        index = range(self.length)[index]
        label = index % self.identities
        # Three numbers for a picture, two for a person: the two kinds never meet.
        person = draw_identity(np.random.default_rng((self.seed, label)))
        rng = np.random.default_rng((self.seed, list(PHOTOGRAPHS).index(self.split), index))
        scenes = zip(PHOTOGRAPHS[self.split], photographs(self.split), strict=True)
        without = tuple(photograph for name, photograph in scenes if name not in WITH_FACES)
        image = background(rng, pick(rng, without), self.size)
        room = (min(self.size) - 3) // 2 * 2 / MARGIN  # for the whole patch
        height = min(rng.uniform(*HEADS) * min(self.size), room)
        patch = draw_face(person, rng, height)
        high, wide = patch.alpha.shape
        y = int(rng.integers(self.size[0] - high + 1))
        x = int(rng.integers(self.size[1] - wide + 1))
        under = image[:, y : y + high, x : x + wide]
        under += patch.alpha * (patch.pixels - under)
        return torch.from_numpy(image), label
