"""A text that was said: what it tells, draws and refuses."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv.results import Speech


@pytest.fixture
def said():
    alignment = torch.eye(3)[torch.tensor([0, 0, 1, 2, 2])]
    mel = torch.zeros(8, 5)
    mel[0] = 1.0  # the lowest band is loud
    wave = torch.cat([torch.zeros(640), torch.ones(640)])
    return Speech(wave, 22_050, mel=mel, alignment=alignment, text="a b", symbols=("a", " ", "b"))


def test_tells(said, tmp_path):
    assert repr(said) == "Speech('a b', 0.06 s at 22050 Hz, 5 frames)"
    said.save(tmp_path / "a.json")
    told = json.loads((tmp_path / "a.json").read_text())
    assert told["looked_at"] == [0, 0, 1, 2, 2] and told["symbols"] == ["a", " ", "b"]
    assert told["text"] == "a b" and told["frames"] == 5
    assert said.to("cpu").alignment.shape == (5, 3)


def test_draws(said, tmp_path):
    said.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == said.draw().size
    sheet = np.asarray(said.draw())
    other = dataclasses.replace(said, alignment=said.alignment.flip(0))
    quiet = dataclasses.replace(said, mel=said.mel.flip(0))
    silent = dataclasses.replace(said, samples=said.samples.flip(0))
    # Each is in a panel of its own, one under the other.
    rows = [
        np.nonzero((np.asarray(changed.draw()) != sheet).any((1, 2)))[0]
        for changed in (silent, quiet, other)
    ]
    assert rows[0].max() < rows[1].min() and rows[1].max() < rows[2].min()


def test_broken_numbers_are_drawn(said):
    said.mel[0, 0] = torch.nan
    said.samples[3] = torch.inf
    assert said.draw().width == 800


def test_one_symbol_and_many():
    for count in (1, 1000):
        said = Speech(
            torch.zeros(1, 256),
            22_050,
            mel=torch.zeros(2, 1),
            alignment=torch.full((1, count), 1 / count),
            symbols=("u17",) * count,
        )
        assert said.draw().size == (800, 640)


def test_refused():
    with pytest.raises(ValueError, match=r"alignment must be \[T, N\]"):
        Speech(torch.zeros(9), 22_050, mel=torch.zeros(2, 3), alignment=torch.zeros(3, 2))
