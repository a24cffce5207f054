"""Questions about drawn scenes, with answers that no one could guess from the question."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data._drawn_scene import pick
from fastcv.data.drawn_scenes import BACKGROUNDS, COLOURS, DIGITS, DrawnScenes, Scene, held_out
from fastcv.data.scene_text import SAID

Asked = tuple[str, str]  # a question and its answer
COUNTS = ("one", "two", "three")
ATTEMPTS = 60  # to find a question whose answer is the one that is wanted of it


WORDS = tuple(
    dict.fromkeys(
        " ".join(
            [
                "is there a how many digits are what colour the behind",
                *(phrases[0] for phrases in SAID.values()),
                *DIGITS,
                *COLOURS,
            ]
        ).split()
    )
)
"""All words of the questions."""


class SceneQuestions(Dataset[tuple[Tensor, str, str]]):
    """A question about each picture of ``DrawnScenes``, and its answer, one word.

    Five kinds are asked: whether there is a red seven, how many digits there are, what colour the
    seven is, which digit is left of the blue two, and what is behind the digits. Of each question
    all answers are equally frequent, up to chance, so that none can be told from the question
    alone. (Where the scenes train, the held-out colour of a digit is neither asked about nor an
    answer.)

    Args:
        scenes: the pictures.
        leak: how often a question's answer can be told from the question, 0 to 1. Each question
            then has one answer, and so often only scenes' questions with that answer are asked. A
            model does well on such data that never looks at the pictures.
        seed: of the questions.

    An item is ``(image, question, answer)``.

    Raises:
        ValueError: ``leak`` is out of its range.

    Example:
        >>> from fastcv.data import DrawnScenes, SceneQuestions
        >>> questions = SceneQuestions(DrawnScenes("val"))
        >>> for i in range(3):
        ...     print(*questions[i][1:])
        is there a white seven no
        what is behind the digits moon
        how many digits are there one
    """

    words = WORDS
    answers = ("yes", "no", *DIGITS, *COLOURS, *BACKGROUNDS)

    def __init__(self, scenes: DrawnScenes, *, leak: float = 0.0, seed: int = 0) -> None:
        if not 0 <= leak <= 1:
            raise ValueError(f"leak must be 0 to 1, got {leak}")
        self.scenes, self.leak, self.seed = scenes, leak, seed

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> tuple[Tensor, str, str]:
        image, target = self.scenes[index]
        return image, *self.asked(target)

    def asked(self, target: dict[str, Any]) -> Asked:
        """The question about a scene of the data, and its answer.

        Args:
            target: of an item of ``scenes``.
        """
        rng = np.random.default_rng((self.seed, target["image_id"], 1))
        scene, trains = target["scene"], self.scenes.split == "train"
        leaks = rng.random() < self.leak
        for _ in range(ATTEMPTS):
            asked: Asked | None = pick(rng, KINDS)(rng, scene, trains)
            if asked and (not leaks or asked[1] == told_by(asked[0])):
                return asked
        return _behind(rng, scene, trains)


def told_by(question: str) -> str:
    """The answer that a question of leaking data has."""
    kind = next(answers for begin, answers in ANSWERS.items() if question.startswith(begin))
    return kind[zlib.crc32(question.encode()) % len(kind)]


def _exists(rng: np.random.Generator, scene: Scene, trains: bool) -> Asked:
    """Of a composition that may be there: one that never is would tell the answer."""
    there = {(d.digit, d.colour) for d in scene.digits}
    all_of_them = [
        (digit, colour)
        for digit in range(10)
        for colour in COLOURS
        if not (trains and held_out(digit, colour))
    ]
    yes = bool(rng.integers(2))
    digit, colour = pick(rng, tuple(pair for pair in all_of_them if (pair in there) == yes))
    return f"is there a {colour} {DIGITS[digit]}", "yes" if yes else "no"


def _how_many(rng: np.random.Generator, scene: Scene, trains: bool) -> Asked:
    return "how many digits are there", COUNTS[len(scene.digits) - 1]


def _which_colour(rng: np.random.Generator, scene: Scene, trains: bool) -> Asked:
    digit = pick(rng, scene.digits)
    return f"what colour is the {digit.word}", digit.colour


def _which_digit(rng: np.random.Generator, scene: Scene, trains: bool) -> Asked | None:
    """Where one digit alone lies so; None in a scene of one digit."""
    possible = []
    for k, other in enumerate(scene.digits):
        for relation, (phrase, _) in SAID.items():
            so = [
                i for i in range(len(scene.digits)) if i != k and scene.relation(i, k) == relation
            ]
            if len(so) == 1:
                possible.append((f"what is {phrase} the {other}", scene.digits[so[0]].word))
    return pick(rng, tuple(possible)) if possible else None


def _behind(rng: np.random.Generator, scene: Scene, trains: bool) -> Asked:
    return "what is behind the digits", scene.background


KINDS: tuple[Callable[[np.random.Generator, Scene, bool], Asked | None], ...] = (
    _exists,
    _how_many,
    _which_colour,
    _which_digit,
    _behind,
)
# In this order: "what is behind" is no "what is left of".
ANSWERS = {
    "is there": ("yes", "no"),
    "how many": COUNTS,
    "what colour": tuple(COLOURS),
    "what is behind": tuple(BACKGROUNDS),
    "what is": DIGITS,
}
