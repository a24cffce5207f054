"""Questions about pictures in the format of VQA: two JSON files beside a folder of images."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from fastcv.data._image import pictures_in
from fastcv.data._picture_questions import Asked, PictureQuestions


class QuestionFolder(PictureQuestions):
    """Questions of VQA's JSON, about the pictures of a folder, with what people answered.

    An item is ``(image, question, answers)``: ``[3, H, W]`` float32 in [0, 1], a text, and a tuple
    of texts, ten in VQA's data. Questions come in the order of their file.

    ``image_id`` is a number, which is the one that the picture's name ends with, as in
    ``COCO_val2014_000000000042.jpg``; or the name of a file, in data of your own.

    An entry that is broken is left out: one without a question, a number or an image, one that
    nobody answered, and the second of two with one number. A warning says how many, and the first
    of each kind.

    Args:
        images: the folder.
        questions: JSON as ``{"questions": [{"question_id", "image_id", "question"}, ...]}``.
        annotations: JSON as ``{"annotations": [{"question_id", "answers": [{"answer"}, ...]},
            ...]}``; ``answers`` may be texts, too.
        by_picture: an item for each picture: ``(image, questions, answers)``, two tuples.

    Raises:
        FileNotFoundError: no such folder or file, or a picture that is asked about is missing.
        ValueError: a file is no such JSON, or no question is left; (on access) a broken picture.

    Source: https://visualqa.org/download.html

    Example:
        >>> import json, pathlib, tempfile
        >>> from PIL import Image
        >>> from fastcv.data import QuestionFolder
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (8, 6)).save(folder / "COCO_val2014_000000000042.png")
        >>> _ = (folder / "questions.json").write_text(json.dumps({"questions": [
        ...     {"question_id": 1, "image_id": 42, "question": "Is it dark?"}]}))
        >>> _ = (folder / "annotations.json").write_text(json.dumps({"annotations": [
        ...     {"question_id": 1, "answers": [{"answer": "yes"}, {"answer": "very"}]}]}))
        >>> data = QuestionFolder(folder, folder / "questions.json", folder / "annotations.json")
        >>> data[0][1:]
        ('Is it dark?', ('yes', 'very'))
    """

    def __init__(
        self,
        images: str | os.PathLike[str],
        questions: str | os.PathLike[str],
        annotations: str | os.PathLike[str],
        *,
        by_picture: bool = False,
    ) -> None:
        left_out = LeftOut()
        answers = _answers(Path(annotations), left_out)
        pictures = _Pictures(Path(images))
        asked: list[Asked] = []
        known: set[int] = set()
        for entry in entries_of(Path(questions), "questions"):
            text, number = entry.get("question"), entry.get("question_id")
            if not isinstance(text, str) or not any(map(str.isalnum, text)):
                left_out.add("question", "has no text", entry)
            elif not isinstance(number, int):
                left_out.add("question", "has no question_id", entry)
            elif number in known:
                left_out.add("question", "has the question_id of one before it", entry)
            elif not isinstance(entry.get("image_id"), (int, str)):
                left_out.add("question", "has no image_id", entry)
            elif number not in answers:
                left_out.add("question", "has no answers", entry)
            else:
                known.add(number)
                path = pictures.find(entry["image_id"], number)
                asked.append(Asked(path, text, answers[number]))
        left_out.tell(f"{questions} and {annotations}")
        if not asked:
            raise ValueError(f"{questions} and {annotations} must have a question with answers")
        super().__init__(asked, by_picture)


class LeftOut:
    """Counts the entries that are left out, by what is wrong with them."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.first: dict[tuple[str, str], str] = {}

    def add(self, kind: str, fault: str, entry: Any) -> None:
        self.counts[kind, fault] += 1
        shown = json.dumps(entry, ensure_ascii=False, default=str)
        self.first.setdefault((kind, fault), shown if len(shown) <= 80 else shown[:79] + "…")

    def tell(self, where: str) -> None:
        """One warning of all."""
        if self.counts:
            told = "; ".join(
                f"{count} {kind}{'s' * (count > 1)} of which each {fault}, such as "
                f"{self.first[kind, fault]}"
                for (kind, fault), count in self.counts.items()
            )
            warnings.warn(f"{where}: left out are {told}", stacklevel=3)


class _Pictures:
    """A folder's pictures, by file name or by the number that the name ends with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbered: dict[int, list[Path]] = {}
        for path in pictures_in(folder):
            number = re.search(r"\d+$", path.stem)
            if number:
                self.numbered.setdefault(int(number[0]), []).append(path)

    def find(self, image: int | str, question: int) -> Path:
        """Raises a FileNotFoundError or ValueError where there is none, or there are several."""
        if isinstance(image, str):
            path = self.folder / image
            if not path.is_file():
                raise FileNotFoundError(f"there is no image {path}, of question {question}")
            return path
        found = self.numbered.get(image, [])
        if not found:
            raise FileNotFoundError(
                f"there is no image {image} in {self.folder}, of question {question}: no name of a "
                "picture ends with that number"
            )
        if len(found) > 1:
            raise ValueError(
                f"{found[0]} and {found[1]} both end with {image}, of question {question}: which "
                "is meant?"
            )
        return found[0]


def entries_of(path: Path, key: str) -> list[dict[str, Any]]:
    """The list of objects under a key of a JSON file; what is no object is an empty one.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such JSON.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        entries = json.loads(path.read_text("utf-8"))[key]
    except (ValueError, KeyError, TypeError):
        entries = None
    if not isinstance(entries, list):
        raise ValueError(f'{path} must be JSON as {{"{key}": [...]}}, as VQA has it')
    return [entry if isinstance(entry, dict) else {} for entry in entries]


def _answers(path: Path, left_out: LeftOut) -> dict[int, tuple[str, ...]]:
    """By question's number."""
    found: dict[int, tuple[str, ...]] = {}
    for entry in entries_of(path, "annotations"):
        number, given = entry.get("question_id"), entry.get("answers")
        texts = [
            text
            for one in (given if isinstance(given, list) else [])
            if isinstance(text := one.get("answer") if isinstance(one, dict) else one, str)
        ]
        if not isinstance(number, int):
            left_out.add("annotation", "has no question_id", entry)
        elif not texts:
            left_out.add("annotation", "has no answers", entry)
        elif number in found:
            left_out.add("annotation", "has the question_id of one before it", entry)
        else:
            found[number] = tuple(texts)
    return found
