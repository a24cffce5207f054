"""A figure with bendable limbs, cut into six charts; where each point of it lies in a picture.

Each chart is a strip that is straight or bent along a circle: V runs along its middle line, from 0
to 1, and U across it. So a pixel's U and V follow from where it is, exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[np.float64]


class Part(NamedTuple):
    """One chart, in metres on a figure that stands upright, arms down."""

    name: str
    start: tuple[float, float]
    """Of the middle line, V = 0: to the right in the picture, and down from the neck."""
    angle: float
    """Of the line, in degrees: 90 is downwards, -90 upwards."""
    length: float
    width: float
    power: int
    """The shape is ``(2U - 1)^p + (2V - 1)^p <= 1``: 2 is an ellipse, 4 has rounded corners."""
    max_turn: float
    """About its start, to either side, in degrees."""
    max_bend: float
    """Between its two ends, to either side, in degrees."""


# Chart 1 is the first; the others hang on the torso, whose line starts at the neck.
PARTS = (
    Part("torso", (0.0, 0.0), 90.0, 0.62, 0.40, 4, 0.0, 25.0),
    Part("head", (0.0, 0.04), -90.0, 0.32, 0.26, 2, 20.0, 0.0),
    Part("right arm", (-0.17, 0.07), 95.0, 0.66, 0.14, 4, 75.0, 80.0),
    Part("left arm", (0.17, 0.07), 85.0, 0.66, 0.14, 4, 75.0, 80.0),
    Part("right leg", (-0.10, 0.56), 92.0, 0.88, 0.18, 4, 30.0, 50.0),
    Part("left leg", (0.10, 0.56), 88.0, 0.88, 0.18, 4, 30.0, 50.0),
)
HEIGHT = 0.28 + 0.56 + 0.88  # in metres, from the top of the head to the feet


@dataclass(frozen=True)
class Strip:
    """A part as it lies in a picture; lengths are in pixels, angles in radians.

    Args:
        part: its chart.
        start: x and y of the middle line at V = 0.
        angle: of the line there; 0 is to the right, a quarter turn is downwards.
        bend: how far the line's angle turns on its way to V = 1.
        length: of the line.
        width: of the strip.
    """

    part: Part
    start: tuple[float, float]
    angle: float
    bend: float
    length: float
    width: float

    def uv(self, points: Array) -> Array:
        """U and V ``[..., 2]`` of points ``[..., 2]``, inside and outside of the strip."""
        along = np.array([math.cos(self.angle), math.sin(self.angle)])
        across = np.array([-along[1], along[0]])
        x, y = (points - self.start) @ along, (points - self.start) @ across
        if abs(self.bend) > 1e-6:
            # About the circle's middle, which lies on the line across through the start.
            radius = self.length / self.bend
            turned = np.arctan2(x, (radius - y) * np.sign(radius)) * np.sign(radius)
            x, y = turned * radius, radius - np.sign(radius) * np.hypot(x, radius - y)
        # U grows to the figure's left, the picture's right, on a limb that hangs down.
        return np.stack([0.5 - y / self.width, x / self.length], axis=-1)

    def point(self, u: float, v: float) -> Array:
        """The reverse of ``uv``, of one point."""
        offset, turn = (0.5 - u) * self.width, self.bend * v
        if abs(self.bend) > 1e-6:
            radius = self.length / self.bend
            x, y = radius * math.sin(turn), radius * (1 - math.cos(turn))
        else:
            x, y = self.length * v, 0.0
        x, y = x - offset * math.sin(turn), y + offset * math.cos(turn)
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return np.array([self.start[0] + x * cos - y * sin, self.start[1] + x * sin + y * cos])

    def covers(self, uv: Array) -> npt.NDArray[np.bool_]:
        """Whether points ``[..., 2]`` of U and V are on the part."""
        return ((2 * uv - 1) ** self.part.power).sum(axis=-1) <= 1

    def extent(self) -> tuple[Array, Array]:
        """Low and high x and y of a rectangle about it."""
        points = [self.point(u, v) for u in (0, 1) for v in np.linspace(0, 1, 9)]
        return np.min(points, axis=0) - 1, np.max(points, axis=0) + 1


def posed(rng: np.random.Generator, height: float, max_tilt: float) -> list[Strip]:
    """A figure in a random pose, its neck in pixel (0, 0); strips in the order of ``PARTS``.

    Args:
        rng: draws the pose.
        height: in pixels, if it stood upright.
        max_tilt: of the whole figure to either side, in degrees.
    """
    scale = height / HEIGHT
    tilt = math.radians(rng.uniform(-max_tilt, max_tilt))
    strips: list[Strip] = []
    for part in PARTS:
        turn, bend = (
            math.radians(rng.uniform(-most, most)) for most in (part.max_turn, part.max_bend)
        )
        if strips:  # hangs on the torso, which may be bent
            torso = strips[0]
            across, down = part.start[0] / PARTS[0].width + 0.5, part.start[1] / PARTS[0].length
            x, y = torso.point(across, down).tolist()
            base = torso.angle + torso.bend * down - math.pi / 2
        else:
            x, y = rng.uniform(0, 1, 2).tolist()
            base = tilt
        angle = base + math.radians(part.angle) + turn
        strips.append(Strip(part, (x, y), angle, bend, part.length * scale, part.width * scale))
    return strips


def surface_position(points: Tensor) -> Tensor:
    """Where points of the surface ``[..., 3]`` (I, U, V) are on the upright figure, in metres.

    Returns:
        ``[..., 2]``: to the right in the picture and down from the neck; of I = 0 it is NaN.
    """
    charts = points[..., 0].long()
    found = torch.full((*points.shape[:-1], 2), torch.nan, dtype=points.dtype, device=points.device)
    for chart, part in enumerate(PARTS, 1):
        u, v = points[charts == chart, 1:].unbind(dim=-1)
        angle = math.radians(part.angle)
        along, across = v * part.length, (0.5 - u) * part.width
        x = part.start[0] + along * math.cos(angle) - across * math.sin(angle)
        y = part.start[1] + along * math.sin(angle) + across * math.cos(angle)
        found[charts == chart] = torch.stack([x, y], dim=-1)
    return found


def surface_distance(points: Tensor, others: Tensor) -> Tensor:
    """Metres between points of the surface ``[..., 3]`` (I, U, V), on the upright figure.

    The figure is flat: the straight line takes the place of the way along a body's skin. Of a point
    with I = 0 it is infinite.
    """
    apart = (surface_position(points) - surface_position(others)).norm(dim=-1)
    return apart.nan_to_num(torch.inf)


def skin(rng: np.random.Generator, size: int = 64) -> Array:
    """The figure's texture, ``[charts, 3, size, size]`` in [0, 1], in colours drawn anew.

    Which chart it is and where on it can be told from the pattern: each chart has a hue of its own,
    stripes across that grow lighter along V, and a seam along the middle.
    """
    v, u = np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2, indexing="ij")
    shift = rng.uniform(-0.06, 0.06)
    textures = []
    for chart in range(len(PARTS)):
        phase = 2 * math.pi * ((chart / len(PARTS) + shift) - np.array([0, 1, 2]) / 3)
        hue = (0.5 + 0.45 * np.cos(phase))[:, None, None]
        stripes = 0.75 + 0.25 * np.sign(np.sin(2 * math.pi * 4 * v))
        light = (0.35 + 0.65 * v) * stripes * (1 - 0.5 * (np.abs(u - 0.5) < 0.06))
        textures.append(np.clip(hue * light + 0.25 * (u - 0.5) * light, 0, 1))
    return np.stack(textures)
