"""The recipes of detectors that find points: their pieces fit."""

import pytest
import torch

from fastcv.data import DrawnDigits
from fastcv.recipes import digits_centernet, digits_centernet_triplet, digits_cornernet

RECIPES = [digits_centernet, digits_centernet_triplet, digits_cornernet]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_step(recipe):
    torch.manual_seed(0)
    model = recipe.build()
    assert model.classes == DrawnDigits.classes
    image, target = DrawnDigits("train")[0]
    output = model([image])
    assert output.batch.sizes[0][0] in (191, 192)  # as drawn, or less the one of hourglasses
    losses = model.loss(output, [target])
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert sum(p.numel() for p in model.parameters()) < 4e6  # what minutes can train


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_weights_ship(recipe):
    with pytest.raises(ValueError, match="no weights of this recipe ship: train first"):
        recipe.evaluate()
