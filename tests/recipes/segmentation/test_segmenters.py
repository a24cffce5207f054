"""The recipes of segmentation: their pieces fit, and the one that is quick reaches its level."""

import pytest
import torch

from fastcv.data import DrawnDigits
from fastcv.learn import History
from fastcv.recipes.segmentation import digits_segmenter, few_pixels


@pytest.fixture(autouse=True)
def quick_curves(monkeypatch):
    monkeypatch.setattr(History, "draw", lambda self, path: path.touch())


def test_strokes_are_right():
    """The pen stays within the outlines, on a few pixels of every class."""
    strokes, truth = few_pixels.strokes(), few_pixels.truth()
    labelled = strokes != 255
    assert few_pixels.photograph().shape[1:] == strokes.shape == truth.shape
    assert 0.02 < labelled.double().mean() < 0.05
    assert strokes[labelled].unique().tolist() == list(range(5)) == truth.unique().tolist()[:5]
    assert (strokes == truth)[labelled].double().mean() > 0.995


def test_crops_are_of_both():
    data = few_pixels.Strokes(few_pixels.SmallFCN())
    torch.manual_seed(0)
    for index in range(8):
        image, labels = data[index]
        assert image.shape == (3, 256, 256) and labels.shape == (256, 256)
    data.image = data.labels[None].expand(3, -1, -1)  # what is cropped and mirrored alike
    for index in range(8):
        image, labels = data[index]
        assert torch.equal(image[0], labels)


@pytest.mark.slow
def test_few_pixels(tmp_path):
    found = few_pixels.train(tmp_path, device="cpu")
    assert found["CRF miou"] > 0.8 and found["CRF boundary_f"] > 0.7
    assert found["CRF boundary_f"] > found["network boundary_f"] + 0.2
    assert few_pixels.evaluate(tmp_path / "model.safetensors", device="cpu") == found
    for name, value in few_pixels.RECIPE.level.metrics.items():
        assert found[name] == pytest.approx(value, abs=0.05)  # another processor, other roundings


@pytest.mark.slow
def test_digits_segmenter(tmp_path, monkeypatch):
    """A little of it: the level that its docstring states takes minutes."""
    monkeypatch.setattr(digits_segmenter, "LENGTHS", {"train": 200, "val": 4, "test": 20})
    found = digits_segmenter.train(tmp_path, epochs=3, device="cpu")
    assert len(found["iou_by_class"]) == len(DrawnDigits.classes)
    assert set(digits_segmenter.RECIPE.level.metrics) <= set(found)
    assert found["acc_by_class"][0] > 0.5
    weights = tmp_path / "model.safetensors"
    again = digits_segmenter.evaluate(weights, device="cpu")
    assert again["confusion"] == found["confusion"]


def test_no_weights_ship():
    for recipe in (few_pixels, digits_segmenter):
        with pytest.raises(ValueError, match="no weights of this recipe ship: train first"):
            recipe.evaluate(device="cpu")
