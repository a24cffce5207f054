"""A text that was said: what it tells, draws and refuses."""

import json

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
    sheet = said.draw()
    mel_top, left, width = 26 + 90 + 26, 44, 900
    light = [sum(sheet.getpixel((left + 5, mel_top + y))) for y in (3, 157)]
    assert light[1] > 600 > 100 > light[0]  # low bands are at the bottom
    top = mel_top + 160 + 26
    rows = [top + round((i + 0.5) * 42 / 3) for i in range(3)]
    for frame, symbol in enumerate((0, 0, 1, 2, 2)):
        x = left + round((frame + 0.5) * width / 5)
        bright = [sum(sheet.getpixel((x, y))) > 600 for y in rows]
        assert bright == [i == symbol for i in range(3)]
    wave = [sheet.getpixel((left + x, 26)) != (255, 255, 255) for x in (100, 800)]
    assert wave == [False, True]


def test_broken_numbers_are_drawn(said):
    said.mel[0, 0] = torch.nan
    said.samples[3] = torch.inf
    assert said.draw().width == 970


def test_one_symbol_and_many():
    for count in (1, 1000):
        said = Speech(
            torch.zeros(1, 256),
            22_050,
            mel=torch.zeros(2, 1),
            alignment=torch.full((1, count), 1 / count),
            symbols=("안",) * count,
        )
        assert said.draw().height < 1200


def test_refused():
    with pytest.raises(ValueError, match=r"alignment must be \[T, N\]"):
        Speech(torch.zeros(9), 22_050, mel=torch.zeros(2, 3), alignment=torch.zeros(3, 2))
