"""A network trained on ImageNet, photographs: maps lie on what they are asked for."""

import pytest
import skimage.data
import torch
from real_weights import real_weights
from torch.nn import functional as F

import fastcv
from fastcv import explain
from fastcv.images import read_image

SIDE = 160
CLASSES = {"chelsea": "Egyptian cat", "coffee": "espresso"}


@pytest.fixture(scope="module")
def model():
    return fastcv.create_model("mobilenet_v2", real_weights("mobilenet_v2")).eval()


def square(name):
    pixels = read_image(getattr(skimage.data, name)()) / 255
    size = [round(n * SIDE / min(pixels.shape[1:])) for n in pixels.shape[1:]]
    pixels = F.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)
    top, left = ((n - SIDE) // 2 for n in size)
    return pixels[:, top : top + SIDE, left : left + SIDE]


@pytest.fixture(scope="module")
def both(model):
    """The cat on the left, the cup on the right, twice: to be asked for each."""
    pixels = torch.cat([square(name) for name in CLASSES], dim=2)
    mean, std = (torch.tensor(model.preprocessing[k])[:, None, None] for k in ("mean", "std"))
    return ((pixels - mean) / std).repeat(2, 1, 1, 1)


@pytest.mark.parametrize(
    "method", [explain.grad_cam, explain.cam, explain.guided_grad_cam, explain.occlusion]
)
def test_each_object_has_its_own_map(method, model, both):
    options = {"window": 40, "stride": 40} if method is explain.occlusion else {}
    found = method(model, both, list(CLASSES.values()), **options)
    energy = found.maps.relu()
    left = energy[:, :, :SIDE].sum(dim=(1, 2)) / energy.sum(dim=(1, 2))
    assert left[0] > 0.75 and left[1] < 0.35
    peaks = [x < SIDE for x, _ in found.peaks()]
    assert peaks == [True, False]


def test_guided_backpropagation_alone_does_not_tell_them_apart(model, both):
    """Which is why there is guided Grad-CAM."""
    cat, cup = explain.guided_backprop(model, both, list(CLASSES.values())).maps.flatten(1)
    assert torch.corrcoef(torch.stack([cat, cup]))[0, 1] > 0.5


def test_a_deconvnet_without_switches_does_not_see_the_image(model, both):
    """MobileNetV2 has no max pools: two photographs, one picture."""
    cat, cup = (explain.deconvnet(model, x, 285).values for x in both[:1].split(SIDE, dim=3))
    torch.testing.assert_close(cat, cup)


def test_a_photograph(model):
    found = explain.grad_cam(model, skimage.data.coffee())
    assert found.targets == ("espresso",) and found.layer == "features"
    (x1, y1, x2, y2), (x, y) = found.boxes()[0].tolist(), found.peaks()[0]
    assert x1 <= x < x2 and y1 <= y < y2
    assert 60 < x < 170 and 30 < y < 130  # in the cup
