"""Digits on a canvas, what is measured on them, and the recipe on a few digits."""

from dataclasses import replace
from functools import partial

import pytest
import sklearn.datasets
import sklearn.neighbors
import torch
from PIL import Image

from fastcv.learn.history import History
from fastcv.recipes.explain import digits_neighbours
from fastcv.recipes.explain.digits_neighbours import CanvasDigits, SmallCNN, nearest_is_right


def test_digits_lie_on_their_canvas():
    scans = torch.from_numpy(sklearn.datasets.load_digits().images[20:40]).float() / 16
    centred = CanvasDigits(slice(20, 40), moved=False)
    assert centred.images.shape == (20, 3, 16, 16)
    assert torch.equal(centred.images[:, 0, 4:12, 4:12], scans)
    moved = CanvasDigits(slice(20, 40), copies=30)
    assert len(moved) == 600 and moved[25][1] == centred[5][1]
    torch.testing.assert_close(
        moved.images[:, 0].sum(dim=(1, 2)), scans.sum(dim=(1, 2)).repeat(30)
    )  # nothing is cut
    rows = moved.images[:, 0].amax(dim=2) > 0
    corners = {int(row.float().argmax()) for row in rows}
    assert corners >= set(range(1, 8))  # 4 and up to 3 more or less; a scan may begin with black
    again, other = (CanvasDigits(slice(20, 40), copies=30, seed=s) for s in (0, 1))
    assert torch.equal(moved.images, again.images) and not torch.equal(moved.images, other.images)


def test_the_measure_is_scikit_learns(monkeypatch):
    monkeypatch.setattr(digits_neighbours, "DATABASE", 150)
    torch.manual_seed(0)
    model, test = SmallCNN().eval(), CanvasDigits(slice(150, 250), seed=2)
    found = nearest_is_right(model, test)
    for name, moved in (("moved", True), ("centred", False)):
        database = CanvasDigits(slice(150), moved=moved, seed=1)
        with torch.no_grad():
            vectors = {
                "pixels": lambda digits: digits.images[:, 0].flatten(1),
                "features": lambda digits: model_features(model, digits),
            }
            for by, of in vectors.items():
                peer = sklearn.neighbors.KNeighborsClassifier(1).fit(of(database), database.labels)
                share = peer.score(of(test), test.labels)
                assert found[f"by {by}, {name} database"] == pytest.approx(share, abs=0.021)


def model_features(model, digits):
    x = model.pool(model.conv1(model.prepare(list(digits.images))))
    return model.conv3(model.pool(model.conv2(x))).mean(dim=(2, 3))


def test_runs_on_a_few_digits(tmp_path, monkeypatch):
    monkeypatch.setattr(History, "draw", lambda self, path: path.touch())
    monkeypatch.setattr(digits_neighbours, "DATABASE", 100)
    data = {
        "train": partial(CanvasDigits, slice(100)),
        "test": partial(CanvasDigits, slice(100, 150), seed=2),
    }
    recipe = replace(digits_neighbours.RECIPE, data=data)
    found = recipe.train(tmp_path, device="cpu", epochs=1)
    assert found.keys() == recipe.level.metrics.keys()
    weights = tmp_path / "model.safetensors"
    assert recipe.evaluate(weights, device="cpu") == found
    recipe.demo(tmp_path / "demo", weights)
    assert Image.open(tmp_path / "demo" / "neighbours.png").width > 6 * 320


def test_the_level_is_what_the_chapter_claims():
    level = digits_neighbours.RECIPE.level.metrics
    assert level["by features, moved database"] >= 0.95 > level["by pixels, moved database"]
    assert level["by features, centred database"] >= 0.8 > level["by pixels, centred database"]
