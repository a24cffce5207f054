"""What holds of ResNet and all that came after it: sizes, optimize, export, predict."""

import pytest
import torch
from torch import nn

import fastcv
from fastcv.models import create_model
from fastcv.models.classification.densenet import DenseNet

COUNTS = {
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x8d": 88_791_336,
    "resnext101_64x4d": 83_455_272,
    "wide_resnet50_2": 68_883_240,
    "wide_resnet101_2": 126_886_696,
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "legacy_seresnet50": 28_088_024,
    "legacy_seresnet101": 49_326_872,
    "legacy_senet154": 115_088_984,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616,
    "efficientnet_b5": 30_389_784,
    "efficientnet_b6": 43_040_704,
    "efficientnet_b7": 66_347_960,
    "xception": 22_855_952,
    # ResNet-50 and, of each 3x3 convolution that is deformable, 18 or 27 outputs of 3x3 x width.
    "resnet50_dcn": 25_557_032 + 3 * (9 * 512 * 18 + 18),
    "resnet50_dcnv2": 25_557_032
    + sum(n * (9 * width * 27 + 27) for n, width in [(4, 128), (6, 256), (3, 512)]),
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters(name):
    with torch.device("meta"):
        model = create_model(name)
    assert sum(p.numel() for p in model.parameters()) == COUNTS[name]
    assert model.classes[281] == "tabby" and len(model.classes) == 1000


SMALL = {
    "resnet": lambda: create_model("resnet18", num_classes=5, width=8),
    "resnext": lambda: create_model("resnext50_32x4d", num_classes=5, width=16),
    "densenet": lambda: DenseNet((2, 3, 2), growth=4, width=8, num_classes=5),
    "senet": lambda: create_model("se_resnet50", num_classes=5),
    "efficientnet": lambda: create_model("efficientnet", num_classes=5, phi=-2.0),
    "xception": lambda: create_model("xception", num_classes=5),
    "dcn": lambda: create_model("resnet50_dcn", num_classes=5, width=8),
    "dcnv2": lambda: create_model("resnet50_dcnv2", num_classes=5, width=8),
}


def make(name):
    """As after training: statistics and offsets that are those of no new model."""
    torch.manual_seed(0)
    model = SMALL[name]()
    for key, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        elif key.endswith("conv_offset"):
            nn.init.normal_(module.weight, std=0.002)
    return model.eval()


@pytest.fixture(scope="module", params=SMALL)
def model(request):
    return make(request.param)


def test_optimized(model):
    x = torch.randn(2, 3, 64, 80)
    fast = fastcv.optimize(model)
    # DenseNet's norms of what is concatenated stay: two in a transition or a layer's first, each.
    left = sum(isinstance(m, nn.BatchNorm2d) for m in fast.modules())
    assert left == (7 + 2 + 1 if isinstance(model, DenseNet) else 0)
    with torch.no_grad():
        expected = model(x)
        torch.testing.assert_close(
            fast(x), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max())
        )


def test_exported(model):
    x = torch.randn(1, 3, 64, 64)
    exported = torch.export.export(model, (x,)).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(x), model(x))


def test_predicts_a_picture(model):
    (predicted,) = model.predict(torch.rand(3, 40, 60))
    assert predicted.scores.shape == (5,) and abs(float(predicted.scores.sum()) - 1) < 1e-5


def test_loads_its_own_state_dict(model):
    assert set(model.state_dict()) == {model.rename_key(key) for key in model.state_dict()}
