"""What the recipes of joint embeddings share: drawn scenes, and texts of all lengths about them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data import DrawnScenes
from fastcv.data.drawn_scenes import COLOURS, DIGITS, Scene
from fastcv.data.scene_text import ARTICLES, SAID, TAGS, captions, tags
from fastcv.language import Vocabulary
from fastcv.language.vocabulary import SPECIAL
from fastcv.models.language.vse import MatchedTexts
from fastcv.recipes.language._cnn_first import MEAN, SIDE, STD, normalised

SHIFT = 4  # pixels that a scene is moved by at most, where it trains
CAPTIONS = 5  # of a scene
# How often a text is a whole caption, a tag ("seven"), or else a composition ("red seven").
CAPTION_SHARE, TAG_SHARE = 0.5, 0.35
PREPROCESSING = {
    "resize": SIDE,
    "crop": SIDE,
    "mean": MEAN,
    "std": STD,
    "interpolation": "bilinear",
}


def words() -> list[str]:
    """All that captions and tags say."""
    phrases = [phrase for phrases in SAID.values() for phrase in phrases]
    known = Vocabulary.from_texts([*TAGS, *ARTICLES, *phrases, "on", "with", "and"]).words
    return list(known[len(SPECIAL) :])


def facts(scene: Scene) -> frozenset[str]:
    """All that can be said of a scene in a tag or a composition, and how many digits it has."""
    compositions = [str(digit) for digit in scene.digits]
    return frozenset([*tags(scene), *compositions, f"{len(scene.digits)} digits"])


class SceneTexts(Dataset[tuple[Tensor, Any]]):
    """Scenes of ``DrawnScenes`` with a text each: one of its captions, a tag, or a composition.

    Each time it is another text, and the image is moved by some pixels. An item is ``(image, (text,
    said, facts))``: the image ``[3, 64, 64]`` uint8, what the text says and what is true of the
    scene. A batch is ``(images, MatchedTexts)``, the images normalised: a tag may be true of many
    scenes of a batch, and a text that is true is no wrong one.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``; they share no handwriting and no photograph.
        length: how many are drawn.

    Attributes:
        images: ``[N, 3, 64, 64]`` uint8.
        scenes: what is on them.
        captions: five of each.
    """

    def __init__(self, split: str, length: int) -> None:
        drawn = DrawnScenes(split, size=(SIDE, SIDE), length=length)
        self.images = torch.empty(length, 3, SIDE, SIDE, dtype=torch.uint8)
        self.scenes: list[Scene] = []
        for i in range(length):
            image, target = drawn[i]
            self.images[i] = (image * 255).round().byte()
            self.scenes.append(target["scene"])
        self.captions = [captions(scene, CAPTIONS) for scene in self.scenes]
        self.facts = [facts(scene) for scene in self.scenes]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, tuple[str, frozenset[str], frozenset[str]]]:
        scene = self.scenes[index]
        y, x, kind, which, part = torch.rand(5).tolist()
        image = moved(self.images[index], *(int((2 * SHIFT + 1) * at) - SHIFT for at in (y, x)))
        digit = scene.digits[int(which * len(scene.digits))]
        if kind < CAPTION_SHARE:
            text, said = self.captions[index][int(which * CAPTIONS)], self.facts[index]
        else:
            tag = (digit.word, digit.colour, scene.background)[int(part * 3)]
            text = tag if kind < CAPTION_SHARE + TAG_SHARE else str(digit)
            said = frozenset([text])
        return image, (text, said, self.facts[index])

    @staticmethod
    def collate(batch: list[Any]) -> tuple[Tensor, MatchedTexts]:
        also = [[said <= there for _, (_, said, _) in batch] for _, (_, _, there) in batch]
        texts = [text for _, (text, _, _) in batch]
        images = normalised(torch.stack([image for image, _ in batch]))
        return images, MatchedTexts(texts, torch.tensor(also))

    def every_caption(self) -> tuple[list[str], Tensor]:
        """All captions, and ``[5 N]`` int64, which picture each is of."""
        texts = [text for of_scene in self.captions for text in of_scene]
        return texts, torch.arange(len(self)).repeat_interleave(CAPTIONS)


def moved(image: Tensor, y: int, x: int) -> Tensor:
    """The image shifted; the edge is repeated."""
    rows = (torch.arange(image.shape[1]) - y).clamp(0, image.shape[1] - 1)
    columns = (torch.arange(image.shape[2]) - x).clamp(0, image.shape[2] - 1)
    return image[:, rows][:, :, columns]


def analogies(
    scenes: list[Scene], kind: Literal["digit", "colour"], *, seed: int = 0
) -> list[tuple[int, str, str]]:
    """Questions about scenes of one digit: ``(which, its digit or colour, another)``."""
    rng = np.random.default_rng(seed)
    asked = []
    for i, scene in enumerate(scenes):
        if len(scene.digits) == 1:
            (alone,) = scene.digits
            word = alone.word if kind == "digit" else alone.colour
            others = [other for other in (DIGITS if kind == "digit" else COLOURS) if other != word]
            asked.append((i, word, others[int(rng.integers(len(others)))]))
    return asked
