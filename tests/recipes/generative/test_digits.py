"""Recipes of generated digits: what is measured of known generators, and a run of few steps."""

import csv
import math
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from fastcv import load_model, recipes
from fastcv.learn.history import History
from fastcv.models.generative._generator import Generator
from fastcv.recipes.generative import _digits
from fastcv.recipes.learn._small import SmallImages, scanned_digits


@pytest.fixture(scope="module", autouse=True)
def quick():
    """A reader of one epoch, and fewer samples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_digits, "READER_EPOCHS", 1)
        patch.setattr(_digits, "SAMPLES", 200)
        patch.setattr(History, "draw", lambda self, path: path.touch())
        for cached in (_digits.reader, _digits.real_features):
            cached.cache_clear()
        yield
    for cached in (_digits.reader, _digits.real_features):
        cached.cache_clear()


class Scans(Generator):
    """Shows scans of the digit that it is asked for, or of the one after it, or always the first
    of them."""

    latent_size = 1

    def __init__(self, shift=0, always_first=False):
        super().__init__()
        self.shift, self.always_first = shift, always_first
        self.classes = tuple(map(str, range(10)))
        self.scans = scanned_digits("test")

    def forward(self, latents, labels):
        of = torch.tensor(self.scans.labels)
        shown = []
        for number, label in zip(latents[:, 0].tolist(), labels.tolist(), strict=True):
            choice = torch.nonzero(of == (label + self.shift) % 10)[:, 0]
            share = 0.0 if self.always_first else (math.erf(number) + 1) / 2
            shown.append(choice[int(share * (len(choice) - 1))])
        return self.scans.images[torch.stack(shown)] * 2 - 1


def test_what_is_measured_of_known_generators():
    real, wrong, same = map(_digits.judge, (Scans(), Scans(shift=1), Scans(always_first=True)))
    assert real["asked digit"] > 0.8 > 0.1 > wrong["asked digit"]
    assert real["evenness"] > 0.98 and wrong["evenness"] > 0.98
    assert 0.8 < real["diversity"] < 1.2 and 0.8 < real["diversity of a digit"] < 1.2
    assert same["diversity"] > 0.5 and same["diversity of a digit"] < 1e-3
    noise = _digits.fd_digits(torch.rand(200, 3, 16, 16))
    assert real["FD-digits"] < same["FD-digits"] < noise
    one = Scans(always_first=True)
    one.forward = lambda z, labels: Scans.forward(one, z, torch.zeros_like(labels))
    found = _digits.judge(one)
    assert found["diversity"] < 1e-3 and found["evenness"] == 0 and found["asked digit"] <= 0.1


def test_evenness_by_hand():
    assert _digits.evenness(torch.arange(10).repeat(7)) == pytest.approx(1)
    assert _digits.evenness(torch.full((5,), 3)) == 0
    assert _digits.evenness(torch.tensor([0, 1] * 4)) == pytest.approx(math.log10(2))


def few(split):
    scans = scanned_digits(split)
    return SmallImages(scans.images[:64], scans.labels[:64], scans.classes)


@pytest.mark.parametrize("name", ["digits_gan", "digits_cgan"])
def test_runs_on_a_few_scans(tmp_path, name):
    recipe = recipes.get(name)
    small = replace(recipe, data={part: partial(few, part) for part in ("train", "test")})
    found = small.train(tmp_path, device="cpu", epochs=2)
    assert set(recipe.level.metrics) <= found.keys()
    assert found.pop("FD-digits at the start") > 0
    weights = tmp_path / f"{name}.safetensors"
    assert small.evaluate(weights, device="cpu") == found
    # Each epoch: how far, how unlike, how many as asked; and a sheet of the same numbers.
    with open(tmp_path / "gan" / "epochs.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 and {"FD-digits", "diversity", "evenness"} <= rows[0].keys()
    for asked in ("asked digit", "diversity of a digit"):
        assert (asked in rows[0]) == (asked in found) == (name == "digits_cgan")
    for epoch in (1, 2):
        with Image.open(tmp_path / "gan" / "samples" / f"epoch_{epoch:04}.png") as sheet:
            assert sheet.size == (10 * 18 + 2,) * 2
    assert load_model(weights).sample(3).pictures.shape == (3, 3, 16, 16)


def test_a_row_of_the_sheet_has_one_digit():
    system = SimpleNamespace(generator=Scans())
    pictures = _digits.sheet(system)
    digits = _digits.read(pictures)[1].view(10, 10)
    assert (digits == torch.arange(10)[:, None]).float().mean() > 0.8
    assert torch.equal(_digits.sheet(system), pictures)  # the same numbers each time
