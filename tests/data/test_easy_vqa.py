"""easy-VQA: its reader on files made here, and on the package where it is installed."""

import json
import sys

import pytest
from PIL import Image

from fastcv.data import EasyVQA
from fastcv.data.easy_vqa import PACKAGE


@pytest.fixture
def root(tmp_path):
    (tmp_path / "answers.txt").write_text("yes\ncircle\nno\n")
    for split, rows in (
        (
            "train",
            [["is there a circle?", "yes", 1], ["what shape?", "circle", 1], ["no?", "no", 0]],
        ),
        ("test", [["is it red?", "no", 0]]),
    ):
        (tmp_path / split / "images").mkdir(parents=True)
        (tmp_path / split / "questions.json").write_text(json.dumps(rows))
        for i, colour in enumerate(("red", "blue")):
            Image.new("RGB", (64, 64), colour).save(tmp_path / split / "images" / f"{i}.png")
    return tmp_path


def test_items(root):
    data = EasyVQA("train", root=root)
    assert len(data) == 3 and data.answers == ("circle", "no", "yes")
    image, question, answer = data[1]
    assert image.shape == (3, 64, 64) and image.mean((1, 2)).tolist() == [0, 0, 1]  # of picture 1
    assert (question, answer) == ("what shape?", "circle")
    assert len(EasyVQA("test", root=root)) == 1
    grouped = EasyVQA("train", by_picture=True, root=root)
    assert [item[1] for item in grouped] == [("is there a circle?", "what shape?"), ("no?",)]


def test_what_cannot_be(root, monkeypatch):
    with pytest.raises(ValueError, match="split must be 'train' or 'test', got 'val'"):
        EasyVQA("val")
    (root / "test" / "questions.json").write_text('[["why?", 1]]')
    with pytest.raises(ValueError, match=r"questions.json must be JSON as \[\[question, answer"):
        EasyVQA("test", root=root)
    (root / "answers.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no file .*answers.txt, which easy-VQA"):
        EasyVQA("train", root=root)


def test_how_to_get_it(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "easy_vqa", raising=False)
    with pytest.raises(ImportError) as error:
        EasyVQA("train")
    assert f"pip install --no-deps {PACKAGE}" in str(error.value)


def test_the_package():
    """As published: numbers of its README."""
    try:
        train, test = EasyVQA("train"), EasyVQA("test")
    except ImportError as error:
        pytest.skip(f"no easy-VQA: {error}")
    assert (len(train), len(test)) == (38_575, 9_673)
    assert len({one.path for one in train.asked}) == 4000
    assert len({one.path for one in test.asked}) == 1000
    answers = [one.answer for one in train.asked]
    assert len(train.answers) == 13 and set(answers) == set(train.answers)
    assert sum(answer in ("yes", "no") for answer in answers) == 28_407
    assert sum(one.answer in ("yes", "no") for one in test.asked) == 7_136
    image, question, answer = test[0]
    assert image.shape == (3, 64, 64) and image.min() >= 0 and image.max() <= 1
    assert question.endswith("?") and answer in test.answers
