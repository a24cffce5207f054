"""Every recipe is whole; what all recipes do, by a small one."""

import inspect
import re
from dataclasses import replace

import pytest
import torch
from torch.utils.data import Subset

from fastcv import cli, recipes
from fastcv.learn import History, fit
from fastcv.learn.schedules import one_cycle
from fastcv.metrics import evaluate_classifier
from fastcv.models import Model
from fastcv.models.generative._generator import LatentModel
from fastcv.models.generative._translator import ImageTranslator
from fastcv.models.language._captioner import Captioner
from fastcv.models.language._joint_embedding import JointEmbedding
from fastcv.recipes._recipe import Level, Recipe
from fastcv.recipes.learn._small import classifier_of_scans, scanned_digits, small_classifier

EVERY = recipes.list_recipes()
NO_SHARES = ("FD-digits", "PSNR dB", "MedR")  # distances, decibels, ranks


@pytest.mark.parametrize("name", EVERY)
def test_every_recipe_is_whole(name):
    recipe = recipes.get(name)
    assert isinstance(recipe, Recipe) and recipe.name == name
    assert recipe.summary and len(recipe.summary) <= 80 and "\n" not in recipe.summary
    assert {"train", "test"} <= set(recipe.data) and all(map(callable, recipe.data.values()))
    assert recipe.epochs >= 1
    level = recipe.level
    assert level.metrics and all(value > 0 for value in level.metrics.values())
    assert all(value <= 1 for key, value in level.metrics.items() if not key.endswith(NO_SHARES))
    assert level.on and level.runs and re.fullmatch(r"\d{4}-\d\d-\d\d", level.date)
    model = recipe.build()
    assert isinstance(model, Model) and (
        model.classes
        or isinstance(model, (LatentModel, ImageTranslator, JointEmbedding, Captioner))
    )
    # A misspelled option would be found after an hour, where the main stage is not the first.
    options = recipe.schedule(model, "cpu")
    inspect.signature(getattr(model, "fit", fit)).bind_partial(**options)


@pytest.mark.parametrize("name", EVERY)
def test_a_module_has_its_recipes_verbs(name):
    (chapter,) = (c for c, names in recipes.by_chapter().items() if name in names)
    module = __import__(f"fastcv.recipes.{chapter}.{name}", fromlist=["RECIPE"])
    assert module.RECIPE is recipes.get(name) and module.__doc__
    for verb in ("train", "evaluate"):
        assert getattr(module, verb) == getattr(module.RECIPE, verb)
    assert callable(module.build)


def test_unknown_recipe():
    with pytest.raises(ValueError, match="no recipe 'digit_detector': did you mean 'digits_det"):
        recipes.get("digit_detector")
    with pytest.raises(ValueError, match=r"no recipe 'xyz': there are: .*digits_detector"):
        recipes.get("xyz")


def test_train_lists_them(capsys):
    assert cli.main(["train"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.endswith(":")] == [
        "detection:",
        "explain:",
        "generative:",
        "instance:",
        "landmarks:",
        "language:",
        "learn:",
        "panoptic:",
        "segmentation:",
    ]
    at = next(i for i, line in enumerate(lines) if line.startswith("  digits_ssd "))
    assert lines[at].endswith("five maps") and lines[at + 1].strip() == "AP 0.672, AP50 0.928"
    assert sum(line.startswith("  ") and line[2] != " " for line in lines) == len(EVERY)


SMALL = Recipe(
    name="small",
    summary="of a few scans",
    data={
        "train": lambda: Subset(scanned_digits("train"), range(40)),
        "val": lambda: Subset(scanned_digits("test"), range(5)),
        "test": lambda: Subset(scanned_digits("test"), range(20)),
    },
    build=lambda: classifier_of_scans(2),
    epochs=2,
    schedule=lambda model, device: small_classifier(model, device, lr=1e-3, batch_size=8),
    metrics=evaluate_classifier,
    level=Level({"acc@1": 0.5}, "20 scans", "seed 0, one run", "2026-12-01"),
)


@pytest.fixture
def quick_curves(monkeypatch):
    monkeypatch.setattr(History, "draw", lambda self, path: path.touch())


def rows(folder, file):
    return len((folder / file).read_text().splitlines()) - 1


def test_one_stage(tmp_path, quick_curves):
    found = SMALL.train(tmp_path / "a", device="cpu")
    assert rows(tmp_path / "a", "history.csv") == 2 * 5
    assert rows(tmp_path / "a", "epochs.csv") == 2  # of what "val" was measured by
    weights = tmp_path / "a" / "model.safetensors"
    assert SMALL.evaluate(weights, device="cpu") == found
    # The same seed gives the same run, another seed another; without "val" none is measured.
    without = replace(SMALL, data={k: v for k, v in SMALL.data.items() if k != "val"})
    without.train(tmp_path / "b", device="cpu", epochs=1)
    without.train(tmp_path / "c", device="cpu", epochs=1, seed=1)
    SMALL.train(tmp_path / "d", device="cpu", epochs=1)
    assert not (tmp_path / "b" / "epochs.csv").exists()
    b, c, d = ((tmp_path / run / "history.csv").read_text() for run in "bcd")
    assert b == d != c and rows(tmp_path / "b", "history.csv") == 5


def test_what_cannot_be(tmp_path):
    with pytest.raises(ValueError, match="no weights of this recipe ship: train first, then pass"):
        SMALL.evaluate()
    with pytest.raises(ValueError, match="the recipe small has no demo"):
        SMALL.demo(tmp_path)
    with pytest.raises(ValueError, match="device must be cpu, cuda or cuda:N, got 'gpu'"):
        SMALL.train(tmp_path, device="gpu")
    with pytest.raises(ValueError, match="no weights of this recipe ship"):
        recipes.get("digits_ssd").demo(tmp_path)


@pytest.mark.parametrize("rise", [0.1, 0.2, 0.3])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 10, 20, 40])
def test_one_cycle_of_any_length(rise, steps):
    """torch's own divides by nothing where one step or all steps go up."""
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=0.25)
    schedule = one_cycle(rise)(optimizer, steps)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[-1] < 1e-4
    if steps > 2:
        assert max(rates) > 0.2 and rates[0] < max(rates)
        assert rates.index(max(rates)) == max(round(rise * steps), 2) - 1
