"""What a CNN learns before the words: targets by the scenes, the loss by hand, a shared CNN."""

import math

import pytest
import torch
from torch import nn

from fastcv.data import DrawnScenes
from fastcv.models.classification.resnet import ResNet
from fastcv.models.language._trunks import for_pictures
from fastcv.recipes._recipe import Run
from fastcv.recipes.language import _cnn_first
from fastcv.recipes.language._cnn_first import CELL, SIDE, CellReader, SceneCells, collate


@pytest.fixture(scope="module")
def cells():
    return SceneCells(60)


def test_targets_are_those_of_the_scenes(cells):
    scenes = DrawnScenes("train", size=(SIDE, SIDE), length=60, seed=1)
    for i in range(60):
        drawn, target = scenes[i]
        image, digits, colours, background = cells[i]
        # 8 bits a value
        torch.testing.assert_close(image / 255, drawn, rtol=0, atol=0.5 / 255 + 1e-6)
        assert background == target["background"]
        expected = torch.zeros(2, 8, 8, dtype=torch.int64)
        for box, label, colour in zip(
            target["boxes"].tolist(), target["labels"], target["colours"], strict=True
        ):
            left, top, right, bottom = box
            x, y = (left + right) / 2, (top + bottom) / 2
            for row in range(8):
                for column in range(8):
                    on_digit = left < 8 * column + 4 < right and top < 8 * row + 4 < bottom
                    holds_middle = (row, column) == (y // CELL, x // CELL)
                    if on_digit or holds_middle:
                        expected[:, row, column] = torch.tensor([label, colour + 1])
        assert torch.equal(torch.stack([digits, colours]), expected)
        assert set(digits[digits > 0].tolist()) == set(target["labels"].tolist())


def test_the_loss_by_hand():
    """Two cells, one empty: the empty one counts a fifth; its loss is log 2, as is the other's."""
    reader = CellReader(nn.Identity(), 4)
    far = -1e4
    digits = torch.full((1, 11, 1, 2), far)
    digits[0, [0, 3], 0, 0] = 0.0  # empty, or the digit 2
    digits[0, 5, 0, 1], digits[0, 6, 0, 1] = math.log(3), 0.0
    colours = torch.zeros(1, 7, 1, 2)
    backgrounds = torch.zeros(1, 8)
    targets = (torch.tensor([[[0, 5]]]), torch.tensor([[[0, 1]]]), torch.tensor([2]))
    found = reader.loss((digits, colours, backgrounds), targets)
    assert list(found) == ["digit", "colour", "background"]
    expected = (0.2 * math.log(2) + math.log(4 / 3)) / 1.2
    assert found["digit"].item() == pytest.approx(expected, rel=1e-6)
    assert found["colour"].item() == pytest.approx(math.log(7), rel=1e-6)
    assert found["background"].item() == pytest.approx(math.log(8), rel=1e-6)


def test_the_cnn_is_shared_and_learns(cells, tmp_path, monkeypatch):
    monkeypatch.setattr(_cnn_first, "LENGTH", 32)
    monkeypatch.setattr(_cnn_first, "EPOCHS", 1)
    cnn = for_pictures(ResNet(18, num_classes=1, width=4), small=True)
    cnn.fc = nn.Identity()  # a classifier's map is seen, not its features
    reader = CellReader(cnn, 16)
    images, targets = collate([cells[i] for i in range(4)])
    output = reader(images)
    assert [tuple(x.shape) for x in output] == [(4, 11, 8, 8), (4, 7, 8, 8), (4, 8)]
    sum(reader.loss(output, targets).values()).backward()
    assert all(p.grad is not None and p.grad.any() for p in cnn.parameters())
    before = cnn.conv1.weight.clone()
    run = Run(out=tmp_path, epochs=5, seed=0, device="cpu", workers=0)
    _cnn_first.learn_to_see(cnn, 16, run)
    assert not torch.equal(cnn.conv1.weight, before)
    assert (tmp_path / "cnn" / "history.csv").read_text().count("\n") == 2
