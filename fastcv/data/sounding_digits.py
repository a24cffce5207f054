"""Clips of digits that move, of which one sounds: what sounds and where is exact, to the pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from fastcv.data._drawn_page import Array
from fastcv.data._drawn_scene import background, pick
from fastcv.data._drawn_sources import PHOTOGRAPHS
from fastcv.data._timbres import AMBIENCES, TIMBRES, Wave
from fastcv.data.drawn_streets import STUFF, _square
from fastcv.data.moving_digits import FRAMES, LENGTHS, MovingDigits
from fastcv.data.sounding_clip import SoundingClip

RATE = 16000  # Hz
SECONDS = 1.0  # of a clip
PITCHES = (220.0, 660.0)  # Hz; of any digit, so that only the timbre tells them apart
STEP = 12.0  # pixels of way from one strike to the next
LOUDNESS = (0.2, 0.6)  # the greatest sample
AMBIENCE = (0.003, 0.012)  # root of the mean square
SILENT = -1  # the label of a clip in which nothing sounds


class SoundingDigits(Dataset[tuple[SoundingClip, dict[str, Any]]]):
    """``MovingDigits`` on grass, brick or gravel, one of which sounds while it moves.

    Each digit owns a timbre: 0 a struck bar, 1 a plucked string, 2 a burst of noise, 3 a flute,
    4 a reed, 5 a bell, 6 a drum, 7 a chirp up, 8 a chirp down, 9 a buzz. It is struck when the clip
    begins, and again after each 12 pixels of way in the frame, at one pitch in a clip. At most one
    digit sounds, one that moves; the others are mute. Each ground has a quiet sound of its own:
    wind, a hum, crackle. An item depends on ``(split, seed, index)`` and the other arguments, and
    on nothing else.

    An item is ``(SoundingClip, target)``: frames ``[T, 3, H, W]`` float32 in [0, 1] and a waveform
    ``[N]`` float32 at 16 kHz, both one second long; and a dict of ``label`` (int64 scalar, the
    digit that sounds, or -1 where none does), ``place`` (int64 scalar, the label of the ground in
    ``places``), ``id`` (int64 scalar, which digit of the clip sounds; 0: none), ``masks``
    ``[T, H, W]`` bool (the visible part of it in each frame), ``strikes`` ``[K]`` float32
    (seconds), and ``objects``, for each frame what ``MovingDigits`` says of all digits.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        size: height and width of the frames, in pixels.
        frames: how many a clip has.
        length: how many clips; by default 1000, 50 and 100.
        seed: other seeds give other clips of the same digits and grounds; 0 or more.
        max_digits: a clip gets 1 to so many digits, fewer or none where they find no room.
        digit_size: the minimum and maximum height of an upright digit, in pixels.
        max_speed: of a digit along each axis, in pixels a frame.
        muted: no digit sounds, only the ground does; the frames stay as they are.

    Raises:
        ValueError: an argument is out of its range.
        ImportError: scikit-learn or scikit-image is missing (on the first item).

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits" (1998).

    Example:
        >>> from fastcv.data import SoundingDigits
        >>> clips = SoundingDigits("val", size=(96, 96), digit_size=(24, 48))
        >>> clip, target = clips[0]
        >>> clip.frames.shape, clip.waves.shape
        (torch.Size([12, 3, 96, 96]), torch.Size([16000]))
        >>> clips.classes[target["label"]], clips.places[target["place"]]
        ('4', 'grass')
    """

    classes = tuple("0123456789")
    places = STUFF
    rate = RATE

    def __init__(
        self,
        split: str,
        *,
        size: tuple[int, int] = (192, 192),
        frames: int = FRAMES,
        length: int | None = None,
        seed: int = 0,
        max_digits: int = 3,
        digit_size: tuple[float, float] = (40.0, 80.0),
        max_speed: float = 6.0,
        muted: bool = False,
    ) -> None:
        self.clips = _OnPlaces(
            split,
            size=size,
            frames=frames,
            length=LENGTHS[split] if length is None and split in LENGTHS else length,
            seed=seed,
            max_digits=max_digits,
            digit_size=digit_size,
            max_speed=max_speed,
        )
        self.muted = muted

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[SoundingClip, dict[str, Any]]:
        index = range(len(self))[index]
        frames, objects = self.clips[index]
        split = list(PHOTOGRAPHS).index(self.clips.split)
        # Other numbers than those that draw the frames.
        rng = np.random.default_rng((self.clips.seed, split, index, 1))
        place = objects[0]["place"]
        target = {
            "label": torch.tensor(SILENT),
            "place": torch.tensor(place),
            "id": torch.tensor(0),
            "masks": torch.zeros(len(frames), *frames.shape[2:], dtype=torch.bool),
            "strikes": torch.zeros(0),
            "objects": objects,
        }
        wave = _ambience(rng, place)
        moving = [i for i, way in enumerate(_ways(objects)) if way[-1] > 0]
        if moving and not self.muted:
            one = int(pick(rng, tuple(moving)))
            digit = int(objects[0]["labels"][one]) - MovingDigits.first_digit
            strikes = _strikes(_ways(objects)[one])
            wave = wave + _struck(rng, digit, strikes)
            target |= {
                "label": torch.tensor(digit),
                "id": objects[0]["ids"][one].clone(),
                "masks": torch.stack([frame["masks"][one] for frame in objects]),
                "strikes": torch.tensor(strikes, dtype=torch.float32),
            }
        samples = torch.from_numpy(wave.clip(-1, 1).astype(np.float32))
        return SoundingClip(frames, samples), target


class _OnPlaces(MovingDigits):
    """Whose ground is one of three textures, ``place`` in the first frame's target."""

    def _ground(self, rng: np.random.Generator, size: tuple[int, int]) -> tuple[Array, int]:
        place = int(rng.integers(len(STUFF)))
        return background(rng, _square(rng, STUFF[place], self.split), size), place

    def _add_segments(self, target: dict[str, Any], ground: Any) -> None:
        target["place"] = ground


def _ways(objects: Sequence[dict[str, Any]]) -> list[list[float]]:
    """How far each digit has gone by each frame, in pixels of the frame."""
    places = torch.stack([frame["places"] for frame in objects]).double()  # [T, N, 2]
    steps = places.diff(dim=0).square().sum(dim=2).sqrt()
    ways: list[list[float]] = torch.nn.functional.pad(steps.cumsum(dim=0).T, (1, 0)).tolist()
    return ways


def _strikes(way: Sequence[float]) -> list[float]:
    """When a digit is struck, in seconds: at 0, and each ``STEP`` pixels of its way."""
    times = np.arange(len(way)) * SECONDS / len(way)
    found = [0.0]
    for distance in np.arange(STEP, way[-1], STEP):
        later = next(t for t, gone in enumerate(way) if gone >= distance)
        share = (distance - way[later - 1]) / (way[later] - way[later - 1])
        found.append(float(times[later - 1] + share * (times[later] - times[later - 1])))
    return found


def _struck(rng: np.random.Generator, digit: int, strikes: Sequence[float]) -> Wave:
    """A digit's timbre at its strikes, ``[N]``; a strike ends the one before it."""
    length = round(RATE * SECONDS)
    pitch = float(np.exp(rng.uniform(*np.log(PITCHES))))
    starts = [round(time * RATE) for time in strikes]
    wave = np.zeros(length)
    for start in starts:
        note = TIMBRES[digit](np.arange(length - start) / RATE, pitch, rng)
        wave[start:] = note
    return wave * rng.uniform(*LOUDNESS) / max(float(np.abs(wave).max()), 1e-9)


def _ambience(rng: np.random.Generator, place: int) -> Wave:
    wave = AMBIENCES[place](np.arange(round(RATE * SECONDS)) / RATE, rng)
    level = float(np.sqrt(np.mean(wave**2)))
    return wave * rng.uniform(*AMBIENCE) / max(level, 1e-9)
