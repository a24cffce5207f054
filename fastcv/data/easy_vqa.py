"""easy-VQA: questions about coloured shapes, as its author's package has them."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

from fastcv.data._picture_questions import Asked, PictureQuestions

PACKAGE = "easy-vqa==1.0"
HOW_TO_GET_IT = f"run `pip install --no-deps {PACKAGE}` (3 MB, MIT)"


class EasyVQA(PictureQuestions):
    """5,000 pictures of 64 x 64 pixels with a shape each, 38,575 questions to train and 9,673 to
    test; pictures of the two splits are apart.

    The data are those of the Python package ``easy-vqa``, of which only files are read; nothing is
    downloaded. An item is ``(image, question, answer)``: ``[3, 64, 64]`` float32 in [0, 1], and two
    texts. ``answers`` are the 13 that there are, sorted.

    Args:
        split: ``"train"`` or ``"test"``.
        by_picture: an item for each picture: ``(image, questions, answers)``.
        root: the package's folder ``data``, if it lies elsewhere.

    Raises:
        ImportError: the package is not installed; the sentence says how to get it.
        FileNotFoundError: ``root`` lacks a file.
        ValueError: another split, or a file is not as the package has it.

    Source: Zhou, "Easy Visual Question Answering" (2019), https://github.com/vzhou842/easy-VQA
    """

    def __init__(
        self,
        split: str,
        *,
        by_picture: bool = False,
        root: str | os.PathLike[str] | None = None,
    ) -> None:
        if split not in ("train", "test"):
            raise ValueError(f"split must be 'train' or 'test', got {split!r}")
        folder = _folder_of_package() if root is None else Path(root)
        path, answers = folder / split / "questions.json", folder / "answers.txt"
        for file in (path, answers):
            if not file.is_file():
                raise FileNotFoundError(f"there is no file {file}, which easy-VQA has")
        self.answers = tuple(sorted(answers.read_text("utf-8").split()))
        pictures = folder / split / "images"
        try:
            rows = json.loads(path.read_text("utf-8"))
            asked = [
                Asked(pictures / f"{int(number)}.png", str(question), str(answer))
                for question, answer, number in rows
            ]
        except (ValueError, TypeError):
            raise ValueError(f"{path} must be JSON as [[question, answer, number], ...]") from None
        super().__init__(asked, by_picture)


def _folder_of_package() -> Path:
    found = find_spec("easy_vqa")  # nothing of the package is run
    if found is None or not found.origin:
        raise ImportError(f"easy_vqa is needed here: {HOW_TO_GET_IT}")
    return Path(found.origin).parent / "data"
