"""Faces to draw on photographs: parametric ones with landmarks, and real ones without."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from fastcv._extras import need

Array = npt.NDArray[np.floating[Any]]

# Of scikit-image's 100 faces, which go to which split.
SHARES = {"train": range(70), "val": range(70, 80), "test": range(80, 100)}
SIDE = 25  # of such a face, in pixels
# Where on it the head is: the middle, and the half axes, in pixels.
REAL_MIDDLE, REAL_AXES = (12.5, 13.0), (9.0, 11.5)
MARGIN = 1.25  # a patch reaches so far beyond the head, for hair and for the soft edge


class Patch(NamedTuple):
    """A face to blend into an image."""

    pixels: Array
    """``[3, h, w]`` float32."""
    alpha: Array
    """``[h, w]`` float32."""
    box: tuple[float, float, float, float]
    """About the head: ``(x1, y1, x2, y2)`` in pixels of the patch."""
    landmarks: Array | None
    """``[5, 2]`` in pixels of the patch; None where nobody has marked them."""


@functools.cache
def real_faces(split: str) -> tuple[Image.Image, ...]:
    """The split's faces of 25 x 25 pixels, grey."""
    faces = need("skimage.data", extra="data").lfw_subset()[SHARES[split]]
    return tuple(Image.fromarray((face * 255).astype(np.uint8)) for face in faces)


class Frame:
    """A patch's pixels in coordinates of an upright head: from -1 to 1 between its ends.

    Args:
        height: of the head, in pixels.
        wide: the head's width in heights.
        angle: the turn, in radians.
        offset: where in its pixel the middle lies, ``(x, y)``, each below 1.
    """

    def __init__(self, height: float, wide: float, angle: float, offset: Array) -> None:
        self.half, self.wide = height / 2, wide
        reach = math.ceil(MARGIN * self.half) + 1
        self.middle = reach + offset
        self.turn = np.array(
            [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        )
        side = 2 * reach + 1
        x, y = np.meshgrid(np.arange(side) + 0.5, np.arange(side) + 0.5)
        away = np.stack([x - self.middle[0], y - self.middle[1]], axis=-1) / self.half
        self.u, self.v = np.moveaxis(away @ self.turn, -1, 0)

    def to_pixels(self, points: Array) -> Array:
        """Points ``[N, 2]`` of the head in pixels of the patch."""
        return (points @ self.turn.T * self.half + self.middle).astype(np.float32)

    def box(self) -> tuple[float, float, float, float]:
        """About the head's ellipse."""
        reach = np.sqrt((self.turn * np.array([self.wide, 1.0])) ** 2 @ np.ones(2)) * self.half
        (x, y), (dx, dy) = self.middle.tolist(), reach.tolist()
        return x - dx, y - dy, x + dx, y + dy

    def ellipse(self, u: float, v: float, du: float, dv: float, soft: float = 1.0) -> Array:
        """How much of each pixel is inside of an ellipse; ``soft``: pixels from none to all."""
        far = np.hypot((self.u - u) / du, (self.v - v) / dv)
        inside = (1 - far) * min(du, dv) * self.half / soft
        return np.clip(inside + 0.5, 0, 1)


def real_face(rng: np.random.Generator, face: Image.Image, height: float, angle: float) -> Patch:
    """A real face of another size, turned and tinted, with a soft edge."""
    frame = Frame(height, REAL_AXES[0] / REAL_AXES[1], angle, rng.uniform(0, 1, 2))
    # From the patch's pixels to the face's.
    scale = REAL_AXES[1] / frame.half
    back = frame.turn.T * scale
    shift = np.array(REAL_MIDDLE) - back @ frame.middle
    side = len(frame.u)
    grey = face.transform(
        (side, side),
        Image.Transform.AFFINE,
        (*back[0], shift[0], *back[1], shift[1]),
        Image.Resampling.BICUBIC,
    )
    tint = 1 - rng.uniform(0, 0.4) * np.array([0.0, 0.5, 0.8])
    pixels = np.asarray(grey, np.float32) / 255 * tint[:, None, None]
    alpha = frame.ellipse(0, 0, frame.wide, 1, soft=max(1.0, 0.1 * height))
    return Patch(pixels.astype(np.float32), alpha.astype(np.float32), frame.box(), None)


def parametric_face(rng: np.random.Generator, height: float, angle: float) -> Patch:
    """A face of ellipses with chance proportions, and where its landmarks are."""
    wide = rng.uniform(0.7, 0.85)
    frame = Frame(height, wide, angle, rng.uniform(0, 1, 2))
    aside = rng.uniform(-0.2, 0.2)  # the head turned to a side moves what is on it, the nose most
    eyes, apart = rng.uniform(-0.2, -0.02), rng.uniform(0.3, 0.38) * (1 - abs(aside))
    nose, mouth = rng.uniform(0.2, 0.32), rng.uniform(0.52, 0.62)
    lips, smile = rng.uniform(0.2, 0.34), rng.uniform(-0.04, 0.1)
    landmarks = np.array(
        [
            (aside - apart, eyes),
            (aside + apart, eyes),
            (1.5 * aside, nose),
            (aside - lips, mouth - smile),
            (aside + lips, mouth - smile),
        ],
        np.float32,
    )
    skin = rng.uniform(0.25, 0.95) * (1 - rng.uniform(0, 1) * np.array([0.0, 0.3, 0.5]))
    hair = rng.uniform(0.02, 0.6) * (1 - rng.uniform(0, 1) * np.array([0.0, 0.2, 0.4]))
    pixels = np.broadcast_to(hair[:, None, None], (3, *frame.u.shape)).copy()
    whole = frame.ellipse(0, -0.08, 1.1 * wide, 1.08, soft=max(1.0, 0.06 * height))

    def paint(cover: Array, colour: Array) -> None:
        pixels[:] += cover * (colour[:, None, None] - pixels)

    head = frame.ellipse(0, 0, wide, 1)
    fringe = frame.ellipse(rng.uniform(-0.3, 0.3), -1.2, 1.2, rng.uniform(0.4, 0.75))
    paint(head * (1 - fringe), skin)
    paint(frame.ellipse(1.5 * aside, nose + 0.02, 0.13, 0.05), 0.7 * skin)
    paint(frame.ellipse(1.2 * aside, nose - 0.2, 0.035, 0.2), np.minimum(1.15 * skin, 1))
    dark = rng.uniform(0.2, 0.9) * hair
    for side in (-1, 1):
        u = aside + side * apart
        paint(frame.ellipse(u, eyes - rng.uniform(0.15, 0.2), 0.17, 0.045), dark)
        paint(frame.ellipse(u, eyes, 0.15, 0.1), 0.75 * skin)
        paint(frame.ellipse(u, eyes, 0.12, 0.065), np.minimum(1.5 * skin + 0.1, 1))
        paint(frame.ellipse(u, eyes, 0.06, 0.065), rng.uniform(0.02, 0.2, 3))
    bent = smile * np.square((frame.u - aside) / lips)
    frame.v = frame.v + bent
    red = skin * np.array([0.8, 0.45, 0.45])
    paint(frame.ellipse(aside, mouth, lips, rng.uniform(0.05, 0.09)), red)
    paint(frame.ellipse(aside, mouth, 0.85 * lips, rng.uniform(0.0, 0.05) + 0.015), 0.3 * red)
    frame.v = frame.v - bent
    light = rng.uniform(-0.3, 0.3, 2)
    pixels *= 1 + light[0] * frame.u + light[1] * frame.v
    pixels += rng.normal(0, rng.uniform(0.005, 0.04), frame.u.shape)
    return Patch(
        np.clip(pixels, 0, 1).astype(np.float32),
        whole.astype(np.float32),
        frame.box(),
        frame.to_pixels(landmarks),
    )
