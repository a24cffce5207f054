"""The captioners' recipes: what is right, where was pointed, and that a run is whole."""

from dataclasses import replace
from functools import partial

import pytest
import torch

import fastcv
from fastcv import recipes
from fastcv.data.drawn_scenes import DrawnDigit, DrawnScenes, Scene
from fastcv.data.scene_text import captions
from fastcv.language import Vocabulary
from fastcv.learn import History
from fastcv.recipes.language import _cnn_first
from fastcv.recipes.language._cnn_first import SIDE
from fastcv.recipes.language._scenes import (
    WORDS,
    CaptionedScenes,
    is_true,
    names_digits,
    pointing,
)
from fastcv.results import Caption

NAMES = ("scenes_show_and_tell", "scenes_show_attend_and_tell")
SCENE = Scene(
    "grass",
    (DrawnDigit(1, "red", (12.0, 12.0)), DrawnDigit(2, "blue", (44.0, 12.0))),
)


def test_the_vocabulary_has_all_that_is_said():
    scenes = DrawnScenes("test", size=(SIDE, SIDE), length=40)
    vocabulary = Vocabulary(WORDS)
    unknown = vocabulary.id_of("<unk>")
    for i in range(40):
        for text in captions(scenes[i][1]["scene"]):
            ids = vocabulary.encode(text)
            assert unknown not in ids and vocabulary.decode(ids) == text


def test_captions_go_from_left_to_right():
    scene = replace(SCENE, digits=(SCENE.digits[1], SCENE.digits[0]))  # drawn the other way round
    for text in captions(scene, in_order=True):
        assert text.index("red one") < text.index("blue two") and is_true(text, scene)
    assert any(text.index("blue two") < text.index("red one") for text in captions(scene))


@pytest.mark.parametrize(
    ("text", "true", "digits"),
    [
        ("a red one left of a blue two on grass", True, True),
        ("grass with one blue two to the right of one red one", True, True),
        ("a red one above a blue two on grass", False, True),
        ("a red one left of a blue two on moon", False, True),
        ("a red one on grass", False, False),
        ("a red one left of a green two on grass", False, False),
        ("a red one left of a blue two and above a red six on grass", False, False),
        ("a red", False, False),
        ("", False, False),
    ],
)
def test_what_is_right(text, true, digits):
    assert is_true(text, SCENE) == true and names_digits(text, SCENE) == digits


def told(text, looked):
    """A caption that looks at a cell of 8 x 8 at some words, at the last cell otherwise."""
    words = tuple(text.split())
    maps = torch.full((len(words), 8, 8), 0.001)
    for i in range(len(words)):
        row, column = looked.get(i, (7, 7))
        maps[i, row, column] = 1
    return Caption(words, torch.zeros(len(words) + 1), maps)


def test_pointing():
    """Cells are 8 pixels; the boxes are of cells (0..2, 0..2) and (0..2, 4..6)."""
    boxes = torch.tensor([[2.0, 2, 22, 22], [34, 2, 54, 22]])
    target = {"scene": SCENE, "boxes": boxes}
    text = "one red one left of one blue two on grass"
    for looked, hits in (
        ({2: (1, 1), 7: (1, 5)}, [True, True]),
        ({2: (1, 5), 7: (1, 1)}, [False, False]),
        ({2: (0, 0), 7: (2, 6)}, [True, True]),  # middles at 4, and at 20 and 52
        ({2: (1, 3), 7: (3, 5)}, [False, False]),
        ({0: (1, 1), 5: (1, 1)}, [False, False]),  # "one" is an article, too
    ):
        assert pointing(told(text, looked), target) == hits
    # Of digits that are not there nothing is asked.
    assert pointing(told("a green nine on grass", {}), target) == []
    assert pointing(Caption(("red", "one"), torch.zeros(3)), target) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_run(name, tmp_path, monkeypatch):
    monkeypatch.setattr(History, "draw", lambda self, path: path.touch())
    monkeypatch.setattr(_cnn_first, "LENGTH", 32)
    monkeypatch.setattr(_cnn_first, "EPOCHS", 1)
    data = {
        "train": partial(CaptionedScenes, "train", 32),
        "test": partial(CaptionedScenes, "test", 8),
    }
    recipe = replace(recipes.get(name), data=data, epochs=1)
    found = recipe.train(tmp_path, device="cpu")
    # A model that names no digit points at none.
    assert set(recipe.level.metrics) - {"pointing"} <= set(found)
    assert ("pointing" in found) <= (name != "scenes_show_and_tell")
    assert all(0 <= value <= 1 for value in found.values())
    assert (tmp_path / "cnn" / "model.safetensors").is_file()
    model = fastcv.load_model(tmp_path / f"{name}.safetensors")
    assert model.vocabulary.words[4:] == WORDS
