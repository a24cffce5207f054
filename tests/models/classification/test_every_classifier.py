"""What holds for each classifier: folded and exported it says the same; odd pictures are fine."""

import pytest
import torch
from small_models import SMALL

import fastcv
from fastcv.models import create_model

NAMES = (
    "alexnet",
    "alexnet_grouped",
    "vgg11",
    "vgg11_bn",
    "googlenet",
    "googlenet_paper",
    "lenet5",
    "linear",
    "zfnet",
)


def make(name):
    torch.manual_seed(0)
    model = create_model(name, **{**SMALL[name].config, "num_classes": 5})
    for m in model.modules():  # statistics as after training
        if isinstance(m, torch.nn.BatchNorm2d):
            m.running_mean.normal_(std=0.1)
            m.running_var.uniform_(0.5, 1.5)
    return model.eval(), torch.randn(2, *SMALL[name].shape)


@pytest.mark.parametrize("name", NAMES)
def test_optimized_and_exported_say_the_same(name):
    model, x = make(name)
    exported = torch.export.export(model, (x,)).module()
    fast = fastcv.optimize(model)
    norms = [key for key, m in fast.named_modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(key.startswith("aux") for key in norms)  # these run in training only
    with torch.no_grad():
        want = model(x)
        torch.testing.assert_close(exported(x), want)
        scale = float(want.abs().max())
        torch.testing.assert_close(fast(x), want, rtol=1e-4, atol=1e-4 * scale)


@pytest.mark.parametrize("name", ["alexnet_grouped", "googlenet", "lenet5"])
@pytest.mark.parametrize("shape", [(1, 30, 40), (3, 1, 1), (3, 50, 1), (1, 1, 70)])
def test_odd_pictures(name, shape):
    model, _ = make(name)
    (predicted,) = model.predict(torch.rand(shape))
    assert predicted.scores.shape == (5,) and abs(float(predicted.scores.sum()) - 1) < 1e-5


def test_very_long_pictures_are_seen_in_the_middle():
    model, _ = make("alexnet")
    strip = torch.rand(3, 2, 50_000)  # resized whole: 20 GB
    middle = (50_000 - 32) // 2
    assert torch.equal(model.prepare([strip]), model.prepare([strip[..., middle : middle + 32]]))


@pytest.mark.parametrize(
    ("name", "config", "size", "rate", "steps"),
    [
        ("alexnet", {}, 64, 3e-4, 8),
        ("googlenet", {}, 64, 3e-3, 8),
        ("googlenet_paper", {"aux_logits": False, "dropout": 0}, 64, 2e-4, 32),
        pytest.param("zfnet", {}, 224, 3e-4, 12, marks=pytest.mark.slow),
    ],
)
def test_learns_two_kinds_of_stripes(name, config, size, rate, steps):
    torch.manual_seed(0)
    wave = torch.arange(size).remainder(16).lt(8).float()
    images = torch.stack([wave.expand(3, size, size), wave[:, None].expand(3, size, size)] * 2)
    images = (images + 0.2 * torch.randn(images.shape) - 0.5) * 2
    labels = torch.tensor([0, 1] * 2)
    model = create_model(name, num_classes=2, **config)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        losses = model.loss(model(images), labels)
        sum(losses.values()).backward()
        optimizer.step()
    assert losses["cross_entropy"] < 0.3  # log 2 at the beginning
