"""A person as numbers: what stays the same in every picture of them, and a face drawn of it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastcv.data._drawn_face import Frame, Patch

Array = npt.NDArray[np.floating[Any]]

MAX_ANGLE = math.radians(10.0)  # of the head to either side
MAX_ASIDE = 0.12  # how far looking aside moves what is on the face, in half heights
GLASSES = np.array([0.08, 0.08, 0.1])  # their colour


class Identity(NamedTuple):
    """Places are in half heights of the head: u to the right, v down, from its middle."""

    skin: Array
    hair: Array
    lips: Array
    iris: Array
    wide: float
    """The head's width in heights."""
    fringe: float
    """How far down the hair reaches."""
    parting: float
    """Where, from left to right, it reaches furthest."""
    long_hair: bool
    eyes: float
    apart: float
    eye_size: float
    brow: float
    """How thick the eyebrows are."""
    nose: float
    mouth: float
    mouth_wide: float
    mouth_full: float
    beard: float
    """How much of the hair's colour the chin has."""
    glasses: bool


def draw_identity(rng: np.random.Generator) -> Identity:
    """A person by chance."""
    skin = rng.uniform(0.35, 0.95) * (1 - rng.uniform(0.2, 1) * np.array([0.0, 0.3, 0.5]))
    return Identity(
        skin=skin,
        hair=rng.uniform(0.03, 0.85) * (1 - rng.uniform(0, 1) * np.array([0.0, 0.45, 0.8])),
        lips=skin * np.array([0.95, rng.uniform(0.35, 0.8), rng.uniform(0.4, 0.8)]),
        iris=rng.uniform(0.05, 0.6) * rng.uniform(0.3, 1, 3),
        wide=rng.uniform(0.66, 0.9),
        fringe=rng.uniform(0.3, 0.8),
        parting=rng.uniform(-0.5, 0.5),
        long_hair=bool(rng.random() < 0.5),
        eyes=rng.uniform(-0.2, 0.0),
        apart=rng.uniform(0.27, 0.4),
        eye_size=rng.uniform(0.1, 0.15),
        brow=rng.uniform(0.02, 0.07),
        nose=rng.uniform(0.18, 0.34),
        mouth=rng.uniform(0.5, 0.64),
        mouth_wide=rng.uniform(0.18, 0.36),
        mouth_full=rng.uniform(0.045, 0.11),
        beard=float(rng.choice([0.0, 0.0, 0.6])),
        glasses=bool(rng.random() < 0.3),
    )


def draw_face(identity: Identity, rng: np.random.Generator, height: float) -> Patch:
    """A person's face in a pose and light by chance, the head so many pixels high."""
    who, angle = identity, rng.uniform(-MAX_ANGLE, MAX_ANGLE)
    aside, smile = rng.uniform(-MAX_ASIDE, MAX_ASIDE), rng.uniform(-0.03, 0.08)
    frame = Frame(height, who.wide, angle, rng.uniform(0, 1, 2))
    pixels = np.broadcast_to(who.hair[:, None, None], (3, *frame.u.shape)).copy()

    def paint(cover: Array, colour: Array) -> None:
        pixels[:] += cover * (colour[:, None, None] - pixels)

    head = frame.ellipse(0, 0, who.wide, 1)
    forehead = frame.ellipse(who.parting, -1.2, 1.3, 0.3 + who.fringe)
    paint(head * (1 - forehead), who.skin)
    chin = frame.ellipse(0.5 * aside, 0.85, 0.8 * who.wide, 0.5, soft=0.15 * height)
    paint(head * chin * who.beard, who.hair)
    paint(frame.ellipse(1.5 * aside, who.nose + 0.02, 0.13, 0.05), 0.7 * who.skin)
    paint(frame.ellipse(1.2 * aside, who.nose - 0.2, 0.04, 0.2), np.minimum(1.15 * who.skin, 1))
    for side in (-1, 1):
        u = aside + side * who.apart
        paint(frame.ellipse(u, who.eyes - 0.2, 0.18, who.brow), 0.6 * who.hair)
        paint(frame.ellipse(u, who.eyes, 1.2 * who.eye_size, 0.6 * who.eye_size), np.full(3, 0.9))
        paint(frame.ellipse(u, who.eyes, 0.6 * who.eye_size, 0.6 * who.eye_size), who.iris)
        if who.glasses:
            rim = frame.ellipse(u, who.eyes, 0.24, 0.19) - frame.ellipse(u, who.eyes, 0.19, 0.14)
            paint(rim, GLASSES)
    bent = smile * np.square((frame.u - aside) / who.mouth_wide)
    frame.v = frame.v + bent
    paint(frame.ellipse(aside, who.mouth, who.mouth_wide, who.mouth_full), who.lips)
    paint(frame.ellipse(aside, who.mouth, 0.85 * who.mouth_wide, 0.015), 0.3 * who.lips)
    frame.v = frame.v - bent
    light = rng.uniform(-0.2, 0.2, 2)
    pixels *= rng.uniform(0.8, 1.1) * (1 + light[0] * frame.u + light[1] * frame.v)
    pixels += rng.normal(0, rng.uniform(0.0, 0.015), frame.u.shape)
    hair_down, hair_wide = (0.15, 1.2) if who.long_hair else (-0.1, 1.06)
    soft = max(1.0, 0.05 * height)
    hair = frame.ellipse(0, hair_down, hair_wide * who.wide, 1.1, soft)
    cover = np.maximum(head, hair if who.long_hair else hair * (frame.v < 0.3))
    return Patch(
        np.clip(pixels, 0, 1).astype(np.float32), cover.astype(np.float32), frame.box(), None
    )
