"""Figures with bendable limbs on photographs, and where each pixel lies on their surface."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data._drawn_figure import PARTS, Array, Strip, posed, skin, surface_distance
from fastcv.data._drawn_scene import background, check_scene, pick
from fastcv.data._drawn_sources import PHOTOGRAPHS, photographs
from fastcv.ops import masks_to_boxes

LENGTHS = {"train": 2000, "val": 200, "test": 200}
FINER = 2  # a pixel's colour is the mean of so many samples along each side
ATTEMPTS = 20  # to find a place where a figure leaves enough of the others to be seen
BACK_TO_FRONT = (4, 5, 0, 1)  # of PARTS: legs, torso, head; each arm is drawn first or last


class DrawnBodies(Dataset[tuple[Tensor, dict[str, Any]]]):
    """Flat figures with a known texture, posed and lit on crops of real photographs.

    A figure has six charts: 1 torso, 2 head, 3 right arm, 4 left arm, 5 right leg, 6 left leg (its
    own right and left: it looks out of the picture). V runs along each of them from the neck, the
    shoulder or the hip, U across it. Limbs bend and turn, colours and light change from figure to
    figure; the pattern of the texture does not.

    An item depends on ``(split, seed, index)`` and the other arguments, and on nothing else.
    Photographs come from scikit-learn and scikit-image as installed, without a network; none of
    them is in two splits.

    An item is ``(image, target)``: ``[3, H, W]`` float32 in [0, 1], and a dict of ``boxes``
    ``[N, 4]`` float32 (about the visible part), ``labels`` ``[N]`` int64 (1), ``masks``
    ``[N, H, W]`` bool (the visible part), ``dense_keypoints`` ``[N, P, 3]`` float32 (x, y and
    chart of annotated points, 0 in all three where there are fewer than P), ``dense_uv``
    ``[N, P, 2]`` float32 (their U and V), ``surfaces`` ``[N, 3, H, W]`` float32 (the key: I, U and
    V of each pixel that is the figure's, 0 elsewhere), ``area``, ``iscrowd`` (never) and
    ``image_id`` (the index). Augmentations that move pictures move all of it but ``surfaces``.

    Annotated points are as in DensePose-COCO: of each chart that is visible up to
    ``points_per_chart`` pixels, spread at random.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        size: height and width of the images, in pixels.
        length: how many images; by default 2000, 200 and 200.
        seed: other seeds give other images of the same photographs; 0 or more.
        max_bodies: an image gets 1 to so many figures, fewer where they find no room.
        body_size: the minimum and maximum height of a figure that stands upright, in pixels.
        max_tilt: of a figure to either side, in degrees.
        min_visible: the minimum share of a figure that is not covered by a later one or cut off.
        points_per_chart: annotated, at most; P is six times as many.

    Raises:
        ValueError: an argument is out of its range.
        ImportError: scikit-learn or scikit-image is missing (on the first item).

    Example:
        >>> from fastcv.data import DrawnBodies
        >>> bodies = DrawnBodies("val", size=(128, 160), body_size=(80, 110))
        >>> image, target = bodies[0]
        >>> image.shape, target["dense_uv"].shape[1:]
        (torch.Size([3, 128, 160]), torch.Size([84, 2]))
        >>> bodies.charts
        ('torso', 'head', 'right arm', 'left arm', 'right leg', 'left leg')
        >>> x, y, chart = target["dense_keypoints"][0, 0].tolist()
        >>> chart, target["surfaces"][0, 0, int(y), int(x)].item()
        (1.0, 1.0)
    """

    classes = ("background", "body")
    charts = tuple(part.name for part in PARTS)
    surface_distance = staticmethod(surface_distance)
    """Metres between points ``[..., 3]`` of the surface; see ``DenseCorrespondenceMetrics``."""

    def __init__(
        self,
        split: str,
        *,
        size: tuple[int, int] = (192, 192),
        length: int | None = None,
        seed: int = 0,
        max_bodies: int = 3,
        body_size: tuple[float, float] = (80.0, 150.0),
        max_tilt: float = 20.0,
        min_visible: float = 0.6,
        points_per_chart: int = 14,
    ) -> None:
        check_scene(
            split,
            size,
            length,
            seed,
            max_bodies=(max_bodies, 1, 255),
            max_tilt=(max_tilt, 0, 180),
            min_visible=(min_visible, 0, 1),
            points_per_chart=(points_per_chart, 1, 2**31),
        )
        if not 0 < body_size[0] <= body_size[1] <= min(size):
            raise ValueError(
                "body_size must be (min, max) in pixels, the max at most the image's shorter side, "
                f"got {body_size} in an image of {size}"
            )
        self.split = split
        self.size = size
        self.length = LENGTHS[split] if length is None else length
        self.seed = seed
        self.max_bodies = max_bodies
        self.body_size = body_size
        self.max_tilt = max_tilt
        self.min_visible = min_visible
        self.points_per_chart = points_per_chart

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        index = range(self.length)[index]
        rng = np.random.default_rng((self.seed, list(PHOTOGRAPHS).index(self.split), index))
        scene = _Scene(background(rng, pick(rng, photographs(self.split)), self.size))
        for _ in range(rng.integers(1, self.max_bodies + 1)):
            height = math.exp(rng.uniform(*np.log(self.body_size)))
            scene.draw(rng, posed(rng, height, self.max_tilt), self.min_visible)
        return torch.from_numpy(scene.image), scene.target(rng, index, self.points_per_chart)


class _Scene:
    """An image that figures are drawn on, and what each pixel shows of them."""

    def __init__(self, image: Any) -> None:
        self.image = image
        self.iuv = np.zeros(image.shape, np.float32)
        self.owner = np.zeros(image.shape[1:], np.uint8)  # which figure is on top; 0: none
        self.pixels: list[int] = []  # of each figure, with those that nobody sees

    def draw(self, rng: np.random.Generator, strips: list[Strip], min_visible: float) -> None:
        """Draws a figure where enough of it and of the others is seen, if there is such a place."""
        order = [*BACK_TO_FRONT]
        for arm in (2, 3):
            order.insert(len(order) if rng.random() < 0.7 else 0, arm)
        whole = _drawn(strips, order, 1)
        high, wide = whole.shape[1:]
        height, width = self.owner.shape
        pixels = int((whole[0] > 0).sum())
        for _ in range(ATTEMPTS):
            left, top = (_start(rng, *sides) for sides in ((wide, width), (high, height)))
            # What of the drawing is in the image, and where in the image that is.
            inside = ..., slice(max(-top, 0), height - top), slice(max(-left, 0), width - left)
            at = ..., slice(max(top, 0), top + high), slice(max(left, 0), left + wide)
            there = whole[inside][0] > 0
            owner = self.owner.copy()
            owner[at][there] = len(self.pixels) + 1
            counts = np.bincount(owner.ravel(), minlength=len(self.pixels) + 2)[1:]
            if (counts >= min_visible * np.array([*self.pixels, pixels])).all():
                break
        else:
            return
        self.owner = owner
        self.pixels.append(pixels)
        self.iuv[at][:, there] = whole[inside][:, there]
        drawing = _painted(rng, _drawn(strips, order, FINER))[inside]
        patch = self.image[at]
        patch += drawing[1:] - drawing[0] * patch

    def target(self, rng: np.random.Generator, image_id: int, points: int) -> dict[str, Any]:
        """The target of the image, as ``DrawnBodies`` describes it."""
        count = len(self.pixels)
        masks = torch.from_numpy(self.owner == np.arange(1, count + 1)[:, None, None])
        boxes = masks_to_boxes(masks) + torch.tensor([0.0, 0.0, 1.0, 1.0])  # it has the last pixels
        dense = np.zeros((count, len(PARTS), points, 5), np.float32)
        for figure in range(count):
            for chart in range(len(PARTS)):
                there = (self.owner == figure + 1) & (self.iuv[0] == chart + 1)
                y, x = np.nonzero(there)
                some = rng.permutation(len(y))[:points]
                y, x = y[some], x[some]
                row = dense[figure, chart, : len(some)]
                row[:, 0], row[:, 1], row[:, 2:] = x + 0.5, y + 0.5, self.iuv[:, y, x].T
        flat = torch.from_numpy(dense).flatten(1, 2)
        return {
            "boxes": boxes.float(),
            "labels": torch.ones(count, dtype=torch.int64),
            "masks": masks,
            "dense_keypoints": flat[..., :3].contiguous(),
            "dense_uv": flat[..., 3:].contiguous(),
            "surfaces": masks[:, None] * torch.from_numpy(self.iuv),
            "area": masks.sum((1, 2), dtype=torch.float32),
            "iscrowd": torch.zeros(count, dtype=torch.bool),
            "image_id": image_id,
        }


def _start(rng: np.random.Generator, length: int, room: int) -> int:
    """Where a drawing begins along a side: up to a sixth of it may be beyond the image's edge."""
    loose = length // 6
    low, high = sorted((-loose, room - length + loose))
    return int(rng.integers(low, high, endpoint=True))


def _drawn(strips: list[Strip], order: list[int], finer: int) -> Array:
    """I, U and V ``[3, h, w]`` of a figure, ``finer`` samples to a pixel along each side."""
    extents = [strip.extent() for strip in strips]
    left, top = np.floor(np.min([low for low, _ in extents], axis=0)).astype(int).tolist()
    right, bottom = np.ceil(np.max([high for _, high in extents], axis=0)).astype(int).tolist()
    iuv = np.zeros((3, (bottom - top) * finer, (right - left) * finer), np.float32)
    for i in order:
        low, high = (np.floor((x - [left, top]) * finer).astype(int) for x in extents[i])
        x = left + (np.arange(low[0], high[0] + 1) + 0.5) / finer
        y = top + (np.arange(low[1], high[1] + 1) + 0.5) / finer
        part = iuv[:, low[1] : high[1] + 1, low[0] : high[0] + 1]
        uv = strips[i].uv(np.stack(np.meshgrid(x, y), axis=-1)[: part.shape[1], : part.shape[2]])
        there = strips[i].covers(uv)
        part[0, there], part[1:, there] = i + 1, uv[there].T
    return iuv


def _painted(rng: np.random.Generator, fine: Array) -> npt.NDArray[np.float32]:
    """Opacity, and the colours times opacity, ``[4, h, w]``, of I, U and V in finer samples."""
    there = fine[:1] > 0
    drawing = np.concatenate([there, _lit(rng, fine) * there])
    _, height, width = drawing.shape
    parts = drawing.reshape(4, height // FINER, FINER, width // FINER, FINER)
    return parts.mean(axis=(2, 4), dtype=np.float32)


def _lit(rng: np.random.Generator, iuv: Array) -> Array:
    """The texture's colours at I, U, V ``[3, h, w]``, in a light that comes from one side."""
    texture = skin(rng)
    size = texture.shape[-1]
    chart = np.maximum(iuv[0].astype(int) - 1, 0)
    column, row = (np.clip((x * size).astype(int), 0, size - 1) for x in iuv[1:])
    colors = texture[chart, :, row, column].transpose(2, 0, 1)
    side = rng.uniform(-0.5, 0.5)
    round_ = 1 - 0.6 * (2 * iuv[1] - 1 - side) ** 2  # limbs are darker towards their edges
    gain = rng.uniform(0.7, 1.1) * rng.uniform(0.9, 1.1, (3, 1, 1))
    lit: Array = np.clip(colors * np.clip(round_, 0.3, 1) * gain, 0, 1)
    return lit
