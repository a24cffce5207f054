"""The recipe's pieces fit; the level takes minutes to reach, here it runs a little."""

import pytest
import torch

from fastcv.learn import History
from fastcv.recipes.audio import _clips
from fastcv.recipes.audio import _digits_soundnet as digits_soundnet


@pytest.fixture(autouse=True)
def quick_curves(monkeypatch):
    monkeypatch.setattr(History, "draw", lambda self, path: path.touch())


def test_clips():
    data = _clips.ClipsInMemory("test", 12)
    assert len(data) <= 12 and data.frames.shape[1:] == (3, 24, 24)
    assert data.waves.shape == (len(data), 16000)
    clip, label = data[3]
    assert clip.frames.shape == (1, 3, 24, 24) and clip.frames.max() <= 1
    assert label == int(data.labels[3]) == data.pictures_of("digits")[3][1]
    assert data.pictures_of("places").classes == ("grass", "brick", "gravel")


def test_few_of_each():
    data = _clips.ClipsInMemory("test", 60)
    few = data.few(2, seed=0)
    counts = data.labels[few].bincount(minlength=10)
    assert torch.equal(counts, data.labels.bincount(minlength=10).clamp(max=2))
    assert not torch.equal(few, data.few(2, seed=1))


def test_a_linear_layer_learns():
    torch.manual_seed(0)
    labels = torch.arange(3).repeat(5)
    features = torch.nn.functional.one_hot(labels).float() + 0.1 * torch.randn(15, 3)
    assert _clips.linear_accuracy(features, labels, features, labels) == 1


def test_a_second_is_one_time_step():
    model = digits_soundnet.build()
    assert model(torch.zeros(2, 16000)).objects.shape == (2, 10, 1)


def test_a_tiny_run(tmp_path, monkeypatch):
    monkeypatch.setattr(digits_soundnet, "LENGTHS", {"teachers": 40, "train": 40, "test": 12})
    monkeypatch.setattr(digits_soundnet, "TEACHER_EPOCHS", {"digits": 1, "places": 1})
    monkeypatch.setattr(digits_soundnet, "SCRATCH_EPOCHS", 1)
    monkeypatch.setattr(digits_soundnet, "PER_CLASS", 1)
    found = digits_soundnet.train(tmp_path, epochs=1, device="cpu")
    assert list(found) == [
        "digits by a frame acc@1",
        "places by a frame acc@1",
        "by sound acc@1",
        "pool5 acc@1",
        "from nothing acc@1",
    ]
    assert all(0 <= value <= 1 for value in found.values())
    weights = tmp_path / "digits_soundnet.safetensors"
    again = digits_soundnet.evaluate(weights, device="cpu")
    assert again["by sound acc@1"] == found["by sound acc@1"]
