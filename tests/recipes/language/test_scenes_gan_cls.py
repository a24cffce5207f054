"""The recipe of GAN-CLS: its sentences, what is measured of known models, a run of few steps."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from fastcv import load_model
from fastcv.data.scene_text import parse
from fastcv.learn.history import History
from fastcv.models.language._text_to_image import TextToImage
from fastcv.recipes.language import _scenes_gan_cls as scenes_gan_cls
from fastcv.recipes.language import _sentences
from fastcv.recipes.language._sentences import PARTS, DigitSentences, Reader, WithLabels


@pytest.fixture(scope="module")
def few():
    return DigitSentences("train", 120)


@pytest.fixture(scope="module", autouse=True)
def quick(few):
    """Few training pictures, and a reader that has learned nothing yet."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (_sentences, scenes_gan_cls):
            patch.setattr(module, "training_pictures", lambda: few)
        torch.manual_seed(0)
        model = Reader(4)
        patch.setattr(_sentences, "reader", lambda: model)
        patch.setattr(History, "draw", lambda self, path: path.touch())
        yield


def test_each_sentence_is_right(few):
    assert len(few) == 120 and few.images.shape == (120, 3, 32, 32)
    for scene, texts, labels in zip(few.scenes, few.sentences, few.labels.tolist(), strict=True):
        assert len(set(texts)) == 6 and len(scene.digits) == 1
        assert all(parse(text).is_true_of(scene) for text in texts)
        said = [names[label] for names, label in zip(PARTS.values(), labels, strict=True)]
        assert said == [scene.digits[0].word, scene.digits[0].colour, scene.background]
    assert not few.held_out.any()
    image, texts = few[3]
    assert image.dtype == torch.float32 and image.min() >= 0 and image.max() <= 1
    images, lists = few.collate([few[3], few[5]])
    assert images.shape == (2, 3, 32, 32) and lists == [texts, few.sentences[5]]
    assert WithLabels(few)[3][1].tolist() == few.labels[3].tolist()


def test_the_model_knows_all_words(few):
    model = scenes_gan_cls.build()
    known = set(model.vocabulary.words)
    said = [*scenes_gan_cls.SHOWN, *(text for texts in few.sentences for text in texts)]
    assert {word for text in said for word in text.split()} <= known
    assert all(parse(text) for text in scenes_gan_cls.SHOWN)


class Shows(TextToImage):
    """Real pictures of what a sentence says: a random one, or always the first."""

    latent_size = 1

    def __init__(self, data, always_first=False):
        super().__init__(scenes_gan_cls.WORDS, 16)
        self.data, self.always_first = data, always_first

    def sample(self, texts, n=8, *, seed=0, batch_size=8):
        rows = []
        for text in texts:
            same = [i for i, own in enumerate(self.data.sentences) if text in own]
            rows += [same[0 if self.always_first else k % len(same)] for k in range(n)]
        return SimpleNamespace(pictures=self.data.images[rows] / 255)


def test_what_is_measured_of_known_models(few, monkeypatch):
    """A reader that knows these very pictures finds all in them, and in others nothing."""
    known = {image.numpy().tobytes(): i for i, image in enumerate(few.images)}

    def read(pictures):
        rows = [known[p.mul(255).round().byte().numpy().tobytes()] for p in pictures]
        return pictures.flatten(1)[:, ::50], few.labels[rows]

    monkeypatch.setattr(scenes_gan_cls, "read", read)
    monkeypatch.setattr(scenes_gan_cls, "EACH", 2)
    found = scenes_gan_cls.measure(Shows(few), few)
    for name in (*PARTS, "all three", "real digit", "real colour", "real background"):
        assert found[name] == 1
    assert found["diversity"] == pytest.approx(1) and found["diversity of features"] > 0.9
    same = scenes_gan_cls.measure(Shows(few, always_first=True), few)
    assert same["all three"] == 1 and same["diversity"] == 0 == same["diversity of features"]
    other = SimpleNamespace(**vars(few))
    other.labels = few.labels.clone()
    other.labels[:, 1] = (other.labels[:, 1] + 1) % 6
    other.held_out = torch.ones(120, dtype=torch.bool)
    wrong = scenes_gan_cls.measure(Shows(few), other)
    assert wrong["colour"] == 0 == wrong["all three"] == wrong["all three, new compositions"]
    assert wrong["digit"] == wrong["background"] == 1


def test_groups_of_eight(few, monkeypatch):
    monkeypatch.setattr(scenes_gan_cls, "EACH", 2)
    groups = scenes_gan_cls.groups_of_eight(few)
    assert 2 < len(groups) <= 50
    for text, places in groups.items():
        assert len(set(places.tolist())) == 2
        assert all(text in few.sentences[i] for i in places)


def test_the_reader_learns(few):
    model = Reader(4)
    images, labels = (
        torch.stack(part) for part in zip(*(WithLabels(few)[i] for i in range(32)), strict=True)
    )
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        terms = model.loss(model(images), labels)
        assert list(terms) == list(PARTS)
        losses.append(sum(terms.values()))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]


def test_a_run_of_few_steps(tmp_path, few, monkeypatch):
    monkeypatch.setattr(scenes_gan_cls, "EACH", 2)
    recipe = replace(
        scenes_gan_cls.RECIPE,
        data={"train": lambda: few, "test": lambda: DigitSentences("test", 60)},
    )
    found = recipe.train(tmp_path, epochs=1, device="cpu")
    assert all(value >= 0 for value in found.values())
    weights = tmp_path / "scenes_gan_cls.safetensors"
    assert weights.stat().st_size < 400 * 1024
    model = load_model(weights)
    assert len(model.sample("a red seven on gravel", 2)) == 2
    with Image.open(tmp_path / "scenes_gan_cls.png") as sheet:
        assert sheet.width == 240
    assert recipe.evaluate(weights, device="cpu") == found
