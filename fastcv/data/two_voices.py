"""Mixtures of two voices, and the mouths of those who speak."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data._additive_voice import Voice, speech_like
from fastcv.data.sound_and_faces import FACE_RATE, SoundAndFaces

PEAK = 0.9  # of a mixture
KNOTS = np.linspace(0, 1, 16)  # openings that an embedding tells apart
LOOK_SEED = 20_180_410  # of the numbers that stand in for a face network's weights


class Mixture(NamedTuple):
    """A mixture and what it is made of.

    Args:
        wave: ``[S]`` float32, the sum of the sources.
        sources: ``[N, S]`` float32.
        openings: ``[N, V]`` float32 in [0, 1], how far each mouth is open, 25 a second.
    """

    wave: Tensor
    sources: Tensor
    openings: Tensor


class TwoVoices(Dataset[tuple[SoundAndFaces, Tensor]]):
    """Mixtures of two synthetic voices with the embeddings of two faces.

    A voice is a sum of sines: pitch with jitter, formants that go from vowel to vowel, syllables
    with pauses. Both are equally loud. A mouth is open as far as its voice is loud. The embedding
    of a face is a fixed random projection of its opening and of numbers that are the person's.
    An item depends on the seed and its index alone.

    Args:
        length: how many.
        rate: 8000 or 16000 Hz, or any other from 2000 on.
        seconds: of each, such as 1 or 3.
        face_size: E, numbers of an embedding.
        seed: others give others.

    Raises:
        ValueError: a number that is too small.

    Example:
        >>> from fastcv.data import TwoVoices
        >>> voices = TwoVoices(4, rate=8000, seconds=1, face_size=32)
        >>> (wave, faces), sources = voices[0]
        >>> wave.shape, faces.shape, sources.shape
        (torch.Size([8000]), torch.Size([2, 25, 32]), torch.Size([2, 8000]))
    """

    def __init__(
        self,
        length: int,
        *,
        rate: int = 16_000,
        seconds: float = 3.0,
        face_size: int = 1792,
        seed: int = 0,
    ) -> None:
        for name, value, least in (
            ("length", length, 1),
            ("rate", rate, 2000),
            ("seconds", seconds, 0.1),
            ("face_size", face_size, 1),
        ):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        self.length, self.rate, self.seconds, self.seed = length, rate, seconds, seed
        look = np.random.default_rng(LOOK_SEED)
        self._of_opening = look.normal(0, 1, (len(KNOTS), face_size)) / len(KNOTS) ** 0.5
        self._of_person = look.normal(0, 1, (8, face_size)) / 8**0.5

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[SoundAndFaces, Tensor]:
        """``(mixture and faces, sources [2, S])``, for ``LookingToListen``."""
        random = self._random(index)
        made = self._mixture(random)
        persons = random.normal(0, 1, (2, 8)) @ self._of_person
        codes = np.exp(-(((made.openings.numpy()[..., None] - KNOTS) / 0.1) ** 2))
        faces = codes @ self._of_opening + 0.3 * persons[:, None]
        return SoundAndFaces(made.wave, torch.from_numpy(faces).float()), made.sources

    def mixture(self, index: int) -> Mixture:
        """An item's voices and how far the mouths are open.

        Raises:
            IndexError: there is no such item.
        """
        return self._mixture(self._random(index))

    def _random(self, index: int) -> np.random.Generator:
        if not 0 <= index < self.length:
            raise IndexError(f"index must be 0 to {self.length - 1}, got {index}")
        return np.random.default_rng([self.seed, index])

    def _mixture(self, random: np.random.Generator) -> Mixture:
        samples, times = round(self.seconds * self.rate), round(self.seconds * FACE_RATE)
        waves, openings = [], []
        for _ in range(2):
            wave, envelope = speech_like(Voice.draw(random), samples, self.rate, random)
            waves.append(wave / np.sqrt(np.mean(wave**2)))
            edges = np.linspace(0, samples, times + 1).astype(int)
            openings.append([envelope[a:b].mean() for a, b in pairwise(edges)])
        sources = np.stack(waves)
        sources *= PEAK / np.abs(sources.sum(0)).max()
        each = torch.from_numpy(sources).float()
        return Mixture(each.sum(0), each, torch.tensor(np.array(openings)).float())
