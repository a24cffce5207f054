"""Answers: their order, their drawing, and what is told of them."""

import json

import pytest
import torch
from PIL import Image

from fastcv.draw.question_panel import MAX_LINES, wrapped
from fastcv.draw.typeface import Typeface
from fastcv.results import Answer

CLASSES = ("red", "blue", "yes", "no", "two", "three")
SCORES = torch.tensor([0.05, 0.4, 0.1, 0.3, 0.02, 0.13])


def answer(**options):
    return Answer(SCORES, CLASSES, "what colour is the seven?", **options)


def test_order():
    found = answer()
    assert found.text == "blue" and found.score == pytest.approx(0.4)
    assert [text for text, _ in found.top()] == ["blue", "no", "three", "yes", "red"]
    assert repr(found) == "Answer(what colour is the seven? blue 0.40, no 0.30, three 0.13)"
    assert Answer(SCORES, (), "?").text == "class 1"


def test_to_dict(tmp_path):
    told = answer(source="a.png").to_dict()
    assert told["file"] == "a.png" and told["question"] == "what colour is the seven?"
    assert told["answer"] == "blue"
    assert (
        told["answers"][1] == {"label": 3, "text": "no", "score": 0.3} and len(told["answers"]) == 5
    )
    answer().save(tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text())["answer"] == "blue"
    diverged = Answer(torch.full((2,), float("nan")), ("a", "b"), "why").to_dict()
    assert [row["score"] for row in diverged["answers"]] == [None, None]


def test_drawing(tmp_path):
    picture = Image.new("RGB", (64, 48), (200, 30, 30))
    drawn = answer().draw(picture)
    assert drawn.width == 320 and drawn.height > 240
    assert drawn.crop((0, 0, 320, 240)).getcolors() == [(320 * 240, (200, 30, 30))]  # untouched
    below = drawn.crop((0, 240, *drawn.size))
    assert (255, 255, 255) in {colour for _, colour in below.getcolors(1 << 16)}
    answer().save(tmp_path / "a.png", picture)
    with Image.open(tmp_path / "a.png") as written:
        assert written.size == drawn.size
    # The likeliest answer's bar is the longest: its share of the width, in one colour.
    sure = Answer(torch.tensor([1.0, 0]), ("yes", "no"), "is it?").draw(picture)
    rows = [sure.crop((0, y, 320, y + 1)).getcolors(320) for y in range(240, sure.height)]
    bars = [max(n for n, c in row if c != (255, 255, 255)) for row in rows if len(row) > 1]
    assert max(bars) > 300


def test_longer_questions_and_other_scripts():
    picture = Image.new("RGB", (400, 300))
    short, long, korean = (
        Answer(SCORES, CLASSES, text).draw(picture)
        for text in ("why?", "why " * 40, "빨간 숫자 왼쪽에 있는 것은 무엇인가?")
    )
    assert short.height < korean.height + 40 < long.height + 40
    assert short.width == long.width == korean.width == 400
    typeface = Typeface(12)
    lines = wrapped("one two three four " * 3, typeface, 80)
    assert " ".join(lines).split() == ["one", "two", "three", "four"] * 3
    assert all(typeface.length(line) <= 80 for line in lines)
    cut = wrapped("word " * 1000, typeface, 80)
    assert len(cut) == MAX_LINES and cut[-1].endswith("…")
    wide = wrapped("w" * 1000, typeface, 80)
    assert len(wide) == MAX_LINES and all(typeface.length(line) <= 90 for line in wide)


def test_what_cannot_be():
    for shape in ((2, 3), (0,)):
        with pytest.raises(ValueError, match=r"scores must be \[C\], got"):
            Answer(torch.zeros(shape), CLASSES, "why")
    with pytest.raises(ValueError, match="image is needed"):
        answer().draw()
