"""The scenes of one digit, how maps are measured on them, and both recipes on a few scenes."""

import importlib.util
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from fastcv import explain, recipes
from fastcv.learn.history import History
from fastcv.models.classification._with_class_maps import WithClassMaps
from fastcv.recipes.explain import _scenes, digits_cam, digits_scouter


def test_scenes():
    scenes = _scenes.OneDigitScenes("test", 12)
    image, label = scenes[3]
    assert image.shape == (3, 32, 32) and scenes.classes[label] in "0123456789"
    sides = scenes.boxes[:, 2:] - scenes.boxes[:, :2]
    assert len(scenes.boxes) == len(scenes) and bool((sides > 3).all() and (sides <= 32).all())
    centre = _scenes.of_centre(scenes)
    torch.testing.assert_close(centre[:, 2:] - centre[:, :2], sides.mean(0).expand(len(scenes), 2))
    torch.testing.assert_close(centre[:, :2] + centre[:, 2:], torch.full((len(scenes), 2), 32.0))


def test_plateaus_and_the_pointing_game():
    maps = torch.zeros(2, 4, 6)
    maps[0, 3, 1] = maps[1, 0, 5] = 1
    maps[1, 2:, 1:3] = 0.995  # as high as makes no difference, and larger
    assert _scenes.plateaus(maps).tolist() == [[1.5, 3.5], [2, 3]]
    boxes = torch.tensor([[1.0, 3, 2, 4], [0, 0, 2, 4]])  # half-open: the second ends before
    assert explain.pointing_game(_scenes.plateaus(maps), boxes) == 0.5


class Marks(WithClassMaps):
    """The map of a class is the class's number times the image's first channel."""

    def __init__(self):
        super().__init__()
        _scenes.sized_for_scenes(self)
        self.weight = torch.nn.Parameter(torch.arange(10.0)[None, :, None, None])
        self.preprocessing = {**self.preprocessing, "mean": (0.0,) * 3, "std": (1.0,) * 3}

    def class_maps(self, images):
        return self.weight * images[:, :1]


def test_maps_are_those_of_the_true_classes():
    scenes = _scenes.OneDigitScenes("test", 12)
    expected = scenes.labels[:, None, None] * scenes.images[:, 0]
    torch.testing.assert_close(_scenes.maps_of_true_classes(Marks(), scenes), expected)


def test_the_best_share():
    """A pyramid's box at 45, 50 and 60 % has 17, 15 and 13 pixels; only 15 hit both true ones."""
    away = (torch.arange(32.0) - 16).abs()
    pyramid = 1 - torch.maximum(away[:, None], away) / 16
    half = torch.tensor([11.5, 20.0])[:, None] / 2
    middle = torch.tensor([[16.5, 16.5]])
    scenes = SimpleNamespace(
        images=pyramid.expand(2, 3, -1, -1),
        labels=torch.tensor([3, 5]),
        boxes=torch.cat([middle - half, middle + half], dim=1),
    )
    assert digits_cam.best_share(Marks(), scenes) == 0.5


@pytest.mark.parametrize(
    ("module", "stages", "told"),
    [
        (digits_cam, ("vgg", "cam"), ("VGG acc@1", "acc@1", "centre boxes hit", "pointing")),
        (
            digits_scouter,
            ("linear", "positive", "negative"),
            ("linear head acc@1", "positive acc@1", "positive pointing", "negative area"),
        ),
    ],
)
def test_runs_on_a_few_scenes(module, stages, told, tmp_path, monkeypatch):
    monkeypatch.setattr(History, "draw", lambda self, path: path.touch())
    for name in ("CAM_EPOCHS", "SCOUTER_EPOCHS"):
        monkeypatch.setattr(module, name, 1, raising=False)
    recipe = few_scenes(module.RECIPE)
    found = recipe.train(tmp_path, device="cpu", epochs=1)
    assert set(told) <= found.keys() and set(recipe.level.metrics) <= found.keys()
    for stage in stages:
        assert (tmp_path / stage / "model.safetensors").exists()
    again = recipe.evaluate(tmp_path / stages[1] / "model.safetensors", device="cpu")
    prefix = "positive " if "positive" in stages else ""
    assert {f"{prefix}{name}": value for name, value in again.items()}.items() <= found.items()
    assert recipes.get(module.RECIPE.name) is module.RECIPE


def few_scenes(recipe):
    parts = {part: partial(_scenes.OneDigitScenes, part, 40) for part in ("train", "test")}
    return replace(recipe, data=parts, epochs=1)


def test_the_example_trains_anew(tmp_path, monkeypatch):
    """``examples/digit_maps.py --train``: both recipes, and their weights in half precision."""
    path = Path(__file__).parents[3] / "examples" / "digit_maps.py"
    spec = importlib.util.spec_from_file_location("digit_maps", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setattr(example, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(History, "draw", lambda self, path: path.touch())
    monkeypatch.setattr(digits_cam, "CAM_EPOCHS", 1)
    monkeypatch.setattr(digits_scouter, "SCOUTER_EPOCHS", 1)
    for module in (digits_cam, digits_scouter):
        monkeypatch.setattr(module, "RECIPE", few_scenes(module.RECIPE))
    example.train()
    images = torch.rand(2, 3, 32, 32)
    for name in example.MODELS:
        kept = example.load_file(tmp_path / "weights" / f"{name}.safetensors")
        assert {v.dtype for v in kept.values() if v.is_floating_point()} == {torch.float16}
        model = example.trained(name)
        assert model(images).isfinite().all() and not model.training
