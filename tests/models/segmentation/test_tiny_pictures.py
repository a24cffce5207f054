"""Pictures of a few pixels have labels; a DeepLab trains on one crop."""

import pytest
import torch

from fastcv.models import create_model

NARROW = {"num_classes": 3, "width": 4}
MODELS = {
    "unet": NARROW,
    "fcn_resnet50": NARROW,
    "deeplabv2_resnet101": NARROW | {"layers": (1, 1, 1, 1)},
    "deeplabv3_resnet50": NARROW | {"aspp_channels": 8},
    "deeplabv3plus_resnet50": NARROW | {"decoder_channels": 8},
}


@pytest.mark.parametrize("name", MODELS)
def test_predict(name):
    model = create_model(name, **MODELS[name])
    for size in [(1, 1), (2, 3), (4, 1), (1, 5), (6, 6), (7, 7)]:
        (found,) = model.predict(torch.rand(3, *size), scales=(0.5, 1.0))
        assert found.labels.shape == size and found.scores.isfinite().all()


@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "deeplabv3plus_resnet50"])
def test_training_on_one_crop(name):
    model = create_model(name, **MODELS[name])
    targets = torch.zeros(1, 64, 64, dtype=torch.int64)
    sum(model.loss(model(torch.rand(1, 3, 64, 64)), targets).values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
