"""Scenes of a digit on a texture, what is measured of a generator, and the recipe in few steps."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from fastcv import load_model, recipes
from fastcv.learn.history import History
from fastcv.models.generative._generator import Generator
from fastcv.recipes.explain import digits_dissection as recipe

SIDE = recipe.SIDE


def test_scenes_are_labelled_by_brightness():
    scenes = recipe.DigitsOnTextures("test", 60)
    image, labels = scenes[3]
    assert image.shape == (3, SIDE, SIDE) and image.dtype == torch.float32
    assert labels.shape == (SIDE, SIDE) and labels.unique().tolist() == [0, 1]
    assert scenes.images.min() >= 0 and scenes.images.max() <= 1
    shares = scenes.labels.double().mean(dim=(1, 2))
    assert shares.min() > 0.04 and shares.max() < 0.3  # a digit in each
    found = recipe.bright(scenes.images)
    both, either = (found & scenes.labels).sum(), (found | scenes.labels).sum()
    assert both / either > 0.85  # all but pixels on edges
    again = recipe.DigitsOnTextures("test", 60)
    assert torch.equal(again.images, scenes.images)
    assert not torch.equal(recipe.DigitsOnTextures("train", 60).images, scenes.images)


class Bars(Generator):
    """A bright bar wherever unit 2 of ``layer6`` is high; the picture has twice its size."""

    latent_size = 4

    def __init__(self):
        super().__init__()
        self.layer6 = torch.nn.Identity()

    def forward(self, latents):
        maps = torch.rand(len(latents), 6, 16, 16, generator=torch.Generator().manual_seed(1))
        left = 8 + 3 * latents[:, :1].tanh()  # in columns 5 to 14
        columns = torch.arange(16) + 0.5
        bar = (1.6 - (columns - left).abs()).clamp(min=0)
        maps[:, 2] = bar[:, None, :] * torch.linspace(1, 1.01, 16)[:, None]
        unit = self.layer6(maps)[:, 2:3]
        picture = 0.2 + 0.7 * unit.clamp(max=1)
        return picture.repeat_interleave(2, 2).repeat_interleave(2, 3).expand(-1, 3, -1, -1) * 2 - 1


def test_what_is_measured_of_a_known_generator():
    torch.manual_seed(0)
    scenes = recipe.DigitsOnTextures("test", 10)
    told = recipe.cause_and_effect(Bars(), scenes)
    assert told["digit units"] == pytest.approx(1 / 6) and told["best IoU"] > 0.4
    assert told["ablated away"] == 1
    assert told["in the square inserted"] == 1 > told["in the square before"]
    assert told["outside inserted"] == told["outside before"]  # nothing reaches beyond a cell


def test_runs_on_a_few_scenes(tmp_path, monkeypatch):
    monkeypatch.setattr(History, "draw", lambda self, path: path.touch())
    monkeypatch.setattr(recipe, "SAMPLES", 20)
    parts = {part: partial(recipe.DigitsOnTextures, part, 33) for part in ("train", "test")}
    few = replace(recipe.RECIPE, data=parts)
    found = few.train(tmp_path, device="cpu", epochs=1)
    assert set(few.level.metrics) <= found.keys()
    assert (tmp_path / "gan" / "samples" / "epoch_0001.png").exists()
    generator = load_model(tmp_path / "digits_dissection.safetensors")
    assert generator.channels == recipe.CHANNELS and generator.size == SIDE
    assert few.evaluate(tmp_path / "digits_dissection.safetensors", device="cpu") == found
    assert recipes.get("digits_dissection") is recipe.RECIPE
