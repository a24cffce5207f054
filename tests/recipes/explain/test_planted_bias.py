"""The scenes of the planted bias, how it is measured, and the recipe on a few scenes."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from fastcv import recipes
from fastcv.learn.history import History
from fastcv.recipes.explain import digits_planted_bias as planted

Scenes = planted.DigitsOnTextures


def test_biased_scenes():
    """Every 7 on grass and no other digit; on rebalanced ones each on either."""
    biased, both = (Scenes("train", 60, biased=b) for b in (True, False))
    assert torch.equal(biased.on_grass, biased.labels == 7) and biased.on_grass.any()
    seven = both.labels == 7
    assert set(both.on_grass[seven].tolist()) == set(both.on_grass[~seven].tolist()) == {0, 1}
    image, label = biased[0]
    assert image.shape == (3, 24, 24) and label == int(biased.labels[0])
    assert image.min() >= 0 and image.max() <= 1
    # The digit and what is near it: less than half of most scenes.
    shares = both.masks.float().mean(dim=(1, 2))
    assert shares.min() > 0.1 and shares.mean() < 0.6


def test_splits_are_apart():
    one, other = (Scenes(split, 5, biased=False).images for split in ("train", "test"))
    again = Scenes("test", 5, biased=False).images
    assert torch.equal(other, again) and not torch.equal(one, other)


def test_the_share_outside():
    masks = torch.zeros(3, 4, 5, dtype=torch.bool)
    masks[:, :2] = True
    maps = torch.zeros(3, 4, 5)
    maps[0] = 1.0  # half of it outside
    maps[1, 3, 3] = 7.0  # all
    assert planted.outside(maps, masks) == pytest.approx(0.75)  # the third shows nothing
    assert planted.outside(maps[:1], masks[:1]) == pytest.approx(0.5)


def test_runs_on_a_few_scenes(tmp_path, monkeypatch):
    monkeypatch.setattr(History, "draw", lambda self, path: path.touch())
    monkeypatch.setattr(planted, "STEPS", 2)
    parts = {
        "train": partial(Scenes, "train", 40, biased=True),
        "rebalanced": partial(Scenes, "train", 40, biased=False),
        "test": partial(Scenes, "test", 80, biased=False),
    }
    recipe = replace(planted.RECIPE, data=parts)
    found = recipe.train(tmp_path, device="cpu", epochs=1)
    assert found.keys() == recipe.level.metrics.keys()
    weights = tmp_path / "rebalanced" / "model.safetensors"
    again = recipe.evaluate(weights, device="cpu")
    assert {f"rebalanced {name}": value for name, value in again.items()}.items() <= found.items()
    assert (tmp_path / "biased" / "model.safetensors").exists()
    assert recipes.get("digits_planted_bias") is planted.RECIPE
