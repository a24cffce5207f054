"""The recipes of detectors on DrawnDigits run from end to end, on a handful of scenes."""

import pytest
import torch

from fastcv import recipes
from fastcv.data import DrawnDigits
from fastcv.models import load_model
from fastcv.recipes import _digits, _one_digit

# What of a module is made small, beside the scenes.
SMALL = {
    "digits_centernet": {},
    "digits_centernet_triplet": {},
    "digits_cornernet": {},
    "digits_detr": {"SCENES": 16, "PICTURES": 96},
    "digits_fast_rcnn": {},
    "digits_rcnn": {"SCENES": {"network": 16, "svms": 16}},
    "digits_retinanet": {},
    "digits_ssd": {},
    "digits_yolov1": {"SCENES": 16, "PICTURES": 96},
}


def few(split, *, length=None, **options):
    length = (length or 16) if split == "train" else 4
    return DrawnDigits(split, length=length, **options)


few.classes = DrawnDigits.classes


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_trains(name, tmp_path, monkeypatch):
    recipe = recipes.get(name)
    for module in (_digits, _one_digit, recipe):
        if hasattr(module, "DrawnDigits"):
            monkeypatch.setattr(module, "DrawnDigits", few)
    for constant, value in SMALL[name].items():
        monkeypatch.setattr(recipe, constant, value)
    torch.manual_seed(0)
    before = recipe.build().state_dict()
    metrics = recipe.train(tmp_path, epochs=1, device="cpu")
    assert 0 <= metrics["AP50"] < 0.5  # a few steps teach little
    weights = tmp_path / f"{name}.safetensors"
    model = load_model(weights)
    assert model.classes == DrawnDigits.classes
    assert sum(p.numel() for p in model.parameters()) < 15e6  # what minutes can train
    after = model.state_dict()
    assert list(before) == list(after)
    changed = [key for key in before if not torch.equal(before[key].half(), after[key].half())]
    assert len(changed) > len(before) / 2
    assert recipe.evaluate(weights, device="cpu")["AP50"] == metrics["AP50"]


@pytest.mark.parametrize("name", SMALL)
def test_no_weights_ship(name):
    with pytest.raises(ValueError, match="no weights of this recipe ship: train first"):
        recipes.get(name).evaluate()
