"""Drawn scenes with texts, what measures a joint embedding, and the recipe in small."""

import math
from dataclasses import replace

import pytest
import torch

from fastcv import load_model, recipes
from fastcv.data import DrawnScenes
from fastcv.data.drawn_scenes import COLOURS, DIGITS
from fastcv.data.scene_text import TAGS, captions, tags
from fastcv.learn._seed import seed_all
from fastcv.models.language._joint_embedding import Index
from fastcv.recipes.language import _cnn_first, scenes_vsepp
from fastcv.recipes.language._scene_texts import SceneTexts, analogies, facts, moved, words


@pytest.fixture(scope="module")
def data():
    return SceneTexts("train", 64)


@pytest.fixture(scope="module")
def test_data():
    return SceneTexts("test", 60)


def test_words_are_those_of_the_grammar(test_data):
    known = set(words())
    said = {word for of_scene in test_data.captions for text in of_scene for word in text.split()}
    assert said <= known and set(TAGS) <= known and len(known) < 50


def test_items_are_true_of_their_scene(data):
    drawn = DrawnScenes("train", size=(64, 64))
    kinds = {"caption": 0, "tag": 0, "composition": 0}
    for i in range(64):
        seed_all(0, 0, i)
        image, (text, said, there) = data[i]
        assert image.shape == (3, 64, 64) and image.dtype == torch.uint8
        scene = drawn[i][1]["scene"]
        assert said <= there == facts(scene)
        if text in captions(scene, 5):
            kinds["caption"] += 1
        elif text in tags(scene):
            kinds["tag"] += 1
        else:
            assert text in map(str, scene.digits)
            kinds["composition"] += 1
    # 64 draws with shares .5, .35 and .15: three standard deviations
    for kind, share in (("caption", 0.5), ("tag", 0.35), ("composition", 0.15)):
        assert abs(kinds[kind] / 64 - share) < 3 * math.sqrt(share * (1 - share) / 64)


def test_a_batch_knows_what_else_is_true(data):
    seed_all(1)
    batch = [data[i] for i in range(32)]
    images, targets = SceneTexts.collate(batch)
    assert images.shape == (32, 3, 64, 64) and images.dtype == torch.float32
    assert bool(targets.also.diagonal().all())
    for i in range(32):
        scene = data.scenes[i]
        for k, text in enumerate(targets.texts):
            if text in TAGS:
                assert bool(targets.also[i, k]) == (text in tags(scene))
            elif len(text.split()) == 2:
                assert bool(targets.also[i, k]) == (text in map(str, scene.digits))
    expected = (batch[3][0][1, 5, 7] / 255 - 0.456) / 0.224
    assert float(images[3, 1, 5, 7]) == pytest.approx(float(expected))


def test_a_moved_image():
    image = torch.arange(12).view(1, 3, 4)
    assert moved(image, 1, -1)[0].tolist() == [[1, 2, 3, 3], [1, 2, 3, 3], [5, 6, 7, 7]]


@pytest.mark.parametrize("kind", ["digit", "colour"])
def test_analogies_ask_for_another(kind, test_data):
    asked = analogies(test_data.scenes, kind)
    alone = [i for i, scene in enumerate(test_data.scenes) if len(scene.digits) == 1]
    assert [i for i, _, _ in asked] == alone and asked == analogies(test_data.scenes, kind)
    for i, minus, plus in asked:
        (digit,) = test_data.scenes[i].digits
        assert (digit.word if kind == "digit" else digit.colour) == minus != plus
        assert plus in (DIGITS if kind == "digit" else COLOURS)


class Perfect:
    """A model that sees all: its vectors say which tags are there."""

    def __init__(self, test):
        self.test = test

    def index_images(self, images, batch_size):
        vectors = [[float(tag in tags(scene)) for tag in TAGS] for scene in self.test.scenes]
        return Index("pictures", tuple(images), self.unit(vectors))

    def embed_texts(self, texts):
        return self.unit([[float(tag in text.split()) for tag in TAGS] for text in texts])

    @staticmethod
    def unit(vectors):
        return torch.nn.functional.normalize(torch.tensor(vectors), dim=1)

    @staticmethod
    def rank(queries, candidates, k):
        return (torch.nn.functional.normalize(queries, dim=1) @ candidates.T).topk(k)


def test_measures_of_a_perfect_model(test_data):
    found = scenes_vsepp.measure(Perfect(test_data), test_data)
    assert found["exact tags"] == found["exact colours and background"] == found["right tags"] == 1
    assert found["text to image R@10"] == found["image to text R@10"] == 1
    # Each digit and colour is somewhere, so each can be found.
    assert all(any(t in tags(scene) for scene in test_data.scenes) for t in (*DIGITS, *COLOURS))
    assert found["analogy of digit"] == found["analogy of colour"] == 1
    assert found["analogy of colour, background"] > 0.5


@pytest.fixture
def short(monkeypatch):
    """The CNN's stage in small."""
    monkeypatch.setattr(_cnn_first, "LENGTH", 32)
    monkeypatch.setattr(_cnn_first, "EPOCHS", 1)


def test_the_recipe_in_small(tmp_path, data, test_data, short):
    recipe = replace(
        recipes.get("scenes_vsepp"), data={"train": lambda: data, "test": lambda: test_data}
    )
    found = recipe.train(tmp_path, epochs=2, device="cpu")
    assert found.keys() >= recipe.level.metrics.keys()
    assert all((tmp_path / stage).is_dir() for stage in ("cnn", "warm", "main"))
    model = load_model(tmp_path / "scenes_vsepp.safetensors")
    assert model.vocabulary.words[4:] == tuple(words()) and model.max_violation
    assert model.preprocessing["crop"] == 64
    assert recipe.evaluate(tmp_path / "scenes_vsepp.safetensors", device="cpu") == found
    (ranking,) = model.search("seven", list(test_data.images[:5]), k=3)
    assert len(ranking) == 3


@pytest.mark.parametrize("name", ["scenes_vse", "scenes_vsepp"])
def test_the_worst_alone_counts_at_the_end(name, monkeypatch):
    stages = []
    recipe = replace(recipes.get(name), data={"train": lambda: None})
    monkeypatch.setattr(scenes_vsepp, "learn_to_see", lambda *_: None)
    monkeypatch.setattr(type(recipe), "keep", lambda self, model, run: {})
    monkeypatch.setattr(
        "fastcv.recipes._recipe.Run.fit",
        lambda self, model, data, part, **options: stages.append(
            (part, model.max_violation, options["epochs"])
        ),
    )
    recipe.train("nowhere", epochs=10, device="cpu")
    assert stages == [("warm", False, 6), ("main", name == "scenes_vsepp", 4)]
