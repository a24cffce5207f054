"""The recipe of super-resolution: its crops, learning by features, and a run of few steps."""

import csv
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.nn import functional as F

from fastcv import load_model
from fastcv.learn.history import History
from fastcv.metrics import evaluate_super_resolution
from fastcv.recipes.generative import photos_srresnet as photos
from fastcv.recipes.generative._features import ByFeatures, DetectorFeatures
from fastcv.recipes.generative._photographs import Bicubic, PhotoCrops


def test_crops():
    crops = PhotoCrops(("test",), 5, size=24)
    assert len(crops) == len(list(crops)) == 5
    for i in range(5):
        small, large = crops[i]
        assert small.shape == (3, 6, 6) and large.shape == (3, 24, 24)
        assert large.min() >= 0 and large.max() <= 1
        shrunk = F.interpolate(large[None], (6, 6), mode="bicubic", antialias=True)[0]
        torch.testing.assert_close(small, shrunk.clamp(0, 1))
        assert torch.equal(crops[i][1], large)
    for wrong in (-1, 5):
        with pytest.raises(IndexError, match="index must be 0 to 4"):
            crops[wrong]


def test_turned_crops_are_the_same_pixels():
    """Turning moves pixels and changes none of them."""
    straight, turned = (PhotoCrops(("val",), 12, size=16, turn=turn) for turn in (False, True))
    moved = 0
    for i in range(12):
        a, b = straight[i][1], turned[i][1]
        torch.testing.assert_close(a.flatten(1).sort().values, b.flatten(1).sort().values)
        moved += not torch.equal(a, b)
    assert moved > 6


def test_held_out_photographs_are_others():
    held_out, train = set(photos.HELD_OUT), {"train"}
    assert not held_out & train
    assert photos.RECIPE.data["train"]().splits == ("train",)
    assert photos.RECIPE.data["test"]().splits == photos.HELD_OUT
    assert len(photos.RECIPE.data["test"]()) == 16


def test_bicubic_is_exact_on_a_plane():
    small = torch.full((3, 6, 7), 0.3)
    made = Bicubic().translate(small)
    torch.testing.assert_close(made, torch.full((3, 24, 28), 0.3))


def test_learning_by_features():
    torch.manual_seed(0)
    generator, features = photos.build(), DetectorFeatures()
    before = {key: value.clone() for key, value in features.state_dict().items()}
    system = ByFeatures(generator, features)
    assert not any(key.startswith("_features") for key in system.state_dict())
    small, large = torch.rand(2, 3, 6, 6), torch.rand(2, 3, 24, 24)
    assert system.loss(large * 2 - 1, large)["features"] < 1e-10  # the truth costs nothing
    output = system(small)
    mean, std = (torch.tensor(generator.preprocessing[k])[:, None, None] for k in ("mean", "std"))
    made, true = (features((p - mean) / std) for p in ((output + 1) / 2, large))
    loss = system.loss(output, large)["features"]
    torch.testing.assert_close(loss, (made - true).square().mean())
    optimizer = torch.optim.Adam(system.parameters(), lr=1e-3)
    first = loss.item()
    for _ in range(20):
        optimizer.zero_grad()
        system.loss(system(small), large)["features"].backward()
        optimizer.step()
    assert system.loss(system(small), large)["features"] < first
    assert all(torch.equal(value, before[key]) for key, value in features.state_dict().items())


def test_runs_on_a_few_crops(tmp_path, monkeypatch):
    monkeypatch.setattr(History, "draw", lambda self, path: path.touch())
    data = {
        "train": partial(PhotoCrops, ("train",), 16, size=24, turn=True),
        "val": partial(PhotoCrops, ("val",), 2, size=32),
        "test": partial(PhotoCrops, photos.HELD_OUT, 3, size=32),
    }
    few = replace(photos.RECIPE, data=data)
    found = few.train(tmp_path, device="cpu", epochs=1)
    assert set(photos.RECIPE.level.metrics) <= found.keys()
    bicubic = evaluate_super_resolution(Bicubic(), data["test"]())
    assert found["bicubic PSNR dB"] == pytest.approx(bicubic["PSNR dB"])
    files = {"photos_srresnet": "", "mae": "mae", "features": "features"}
    for file, folder in (files | {"adversarial": "adversarial"}).items():
        model = load_model(tmp_path / f"{file}.safetensors")
        assert model.predict(torch.rand(3, 5, 6))[0].pictures.shape == (1, 3, 20, 24)
        with open(tmp_path / folder / "epochs.csv") as rows:
            (row,) = csv.DictReader(rows)
        assert {"PSNR dB", "SSIM", "fine detail"} <= row.keys()
        assert (tmp_path / folder / "samples" / "epoch_0001.png").exists()
        if folder:
            assert {f"{folder} PSNR dB", f"{folder} fine detail"} <= found.keys()
    weights = tmp_path / "photos_srresnet.safetensors"
    again = few.evaluate(weights, device="cpu")
    assert again == {key: found[key] for key in again}
