"""CAM: the authors' layer tables, the map by definition, the names, and models made CAMs."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fastcv.explain import class_maps
from fastcv.models import create_model
from fastcv.models.classification.cam import to_cam
from fastcv.results import Attribution

SMALL_VGG = {"width": 8, "channels": 16}
NAMES = {"vgg16_cam": 64, "alexnet_cam": 99, "googlenet_cam": 64}  # a side to run on


def conv(inputs, outputs, kernel, groups=1):
    return inputs // groups * outputs * kernel**2 + outputs


def inception(inputs, one, narrow3, three, narrow5, five, pool):
    return (
        conv(inputs, one, 1)
        + conv(inputs, narrow3, 1)
        + conv(narrow3, three, 3)
        + conv(inputs, narrow5, 1)
        + conv(narrow5, five, 5)
        + conv(inputs, pool, 1)
    )


def vgg16():
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    pairs = itertools.pairwise(widths)
    return sum(conv(a, b, 3) for a, b in pairs) + conv(512, 1024, 3, 2) + conv(1024, 1000, 1)


def alexnet():
    layers = [(3, 96, 11, 1), (96, 256, 5, 2), (256, 384, 3, 1), (384, 384, 3, 2)]
    layers += [(384, 384, 3, 2), (384, 512, 3, 2), (512, 512, 3, 2), (512, 1000, 1, 1)]
    return sum(conv(*layer) for layer in layers)


def googlenet():
    modules = [
        (192, 64, 96, 128, 16, 32, 32), (256, 128, 128, 192, 32, 96, 64),
        (480, 192, 96, 208, 16, 48, 64), (512, 160, 112, 224, 24, 64, 64),
        (512, 128, 128, 256, 24, 64, 64), (512, 112, 144, 288, 32, 64, 64),
        (528, 256, 160, 320, 32, 128, 128),
    ]  # fmt: skip
    stem = conv(3, 64, 7) + conv(64, 64, 1) + conv(64, 192, 3)
    body = sum(inception(*module) for module in modules)
    return stem + body + conv(832, 1024, 3, 2) + conv(1024, 1000, 1)


@pytest.mark.parametrize(
    ("name", "count", "size", "cells", "weights"),
    [
        ("vgg16_cam", vgg16(), 224, 14, [1024, 256, 3, 3]),
        ("alexnet_cam", alexnet(), 227, 11, [512, 256, 3, 3]),
        ("googlenet_cam", googlenet(), 224, 14, [1024, 416, 3, 3]),
    ],
)
def test_the_authors_tables(name, count, size, cells, weights):
    with torch.device("meta"):
        model = create_model(name)
        maps = model.class_maps(torch.rand(1, 3, size, size))
    assert sum(p.numel() for p in model.parameters()) == count
    assert maps.shape == (1, 1000, cells, cells)
    assert list(model.CAM_conv.weight.shape) == weights and model.CAM_conv.groups == 2
    assert model.preprocessing["crop"] == size


@pytest.mark.parametrize("name", NAMES)
def test_mean_of_a_map_and_bias_are_the_logit(name):
    torch.manual_seed(0)
    model = create_model(name, num_classes=5, **(SMALL_VGG if name == "vgg16_cam" else {}))
    nn.init.normal_(model.CAM_fc.weight)
    nn.init.normal_(model.CAM_fc.bias)
    model = model.double().eval()
    x = torch.randn(2, 3, NAMES[name], NAMES[name] + 16, dtype=torch.double)
    with torch.no_grad():
        logits, maps, seen = model(x), model.class_maps(x), model.maps(x)
    torch.testing.assert_close(maps.mean(dim=(2, 3)) + model.CAM_fc.bias, logits)
    assert logits.std() > 1e-6
    # By definition: at each cell, the class's weights times the channels there.
    for row, column in ((0, 0), (-1, 1), (1, -1)):
        for label in range(5):
            expected = (model.CAM_fc.weight[label] * seen[1, :, row, column]).sum()
            torch.testing.assert_close(maps[1, label, row, column], expected)


def test_the_last_convolution_has_two_groups():
    model = create_model("vgg16_cam", num_classes=3, **SMALL_VGG)
    x = torch.rand(1, 64, 4, 4)
    changed = x.clone()
    changed[:, 32:] += 1
    differs = (model.CAM_conv(changed) != model.CAM_conv(x)).flatten(2).any(dim=2)[0]
    assert differs.tolist() == [False] * 8 + [True] * 8


# Names.

VGG = "conv1_1 conv1_2 conv2_1 conv2_2 conv3_1 conv3_2 conv3_3 conv4_1 conv4_2 conv4_3 conv5_1"
INSIDE = "1x1 3x3_reduce 3x3 5x5_reduce 5x5 pool_proj"
MODULES = ("3a", "3b", "4a", "4b", "4c", "4d", "4e")
CAFFES = {
    "vgg16_cam": f"{VGG} conv5_2 conv5_3 CAM_conv CAM_fc".split(),
    "alexnet_cam": ["conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "conv7", "fc9"],
    "googlenet_cam": [
        "conv1/7x7_s2",
        "conv2/3x3_reduce",
        "conv2/3x3",
        *(
            f"inception_{m}/{i}"
            for m in ["3a", "3b", "4a", "4b", "4c", "4d", "4e"]
            for i in INSIDE.split()
        ),
        "CAM_conv",
        "CAM_fc",
    ],
}


@pytest.mark.parametrize("name", NAMES)
def test_caffes_names_load(name):
    with torch.device("meta"):
        model = create_model(name)
    ours = list(model.state_dict())
    theirs = [f"{layer}.{part}" for layer in CAFFES[name] for part in ("weight", "bias")]
    assert [model.rename_key(key) for key in theirs] == ours
    assert [model.rename_key(key) for key in ours] == ours


def test_vgg16s_own_weights_load():
    with torch.device("meta"):
        theirs, ours = create_model("vgg16").state_dict(), create_model("vgg16_cam").state_dict()
    for key, value in ours.items():
        if not key.startswith("CAM"):
            assert theirs[key].shape == value.shape


# Models made CAMs.


def test_to_cam_keeps_what_was_learned():
    torch.manual_seed(0)
    model = create_model("alexnet", num_classes=4)
    model.classes = ("bee", "cat", "dog", "eel")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    cam = to_cam(model, channels=8).eval()
    x = torch.rand(2, 3, 96, 96)
    torch.testing.assert_close(cam.features(x), model.features[:-1](x))
    assert cam.classes == model.classes and cam(x).shape == (2, 4)
    assert cam.class_maps(x).shape == (2, 4, 5, 5)  # AlexNet's 13 x 13 of 224 pixels
    with torch.no_grad():
        for parameter in cam.parameters():
            parameter.zero_()
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("transform_input", [False, True])
def test_googlenet_to_cam(transform_input):
    torch.manual_seed(0)
    model = create_model("googlenet", num_classes=3, transform_input=transform_input).eval()
    cam = to_cam(model, channels=8, num_classes=5).eval()
    picture = torch.rand(3, 224, 224)
    seen = []
    model.inception4e.register_forward_hook(lambda _m, _i, output: seen.append(output))
    with torch.no_grad():
        model(model.prepare([picture]))
        # Both see the same, though one transforms its input and the other is given it so.
        torch.testing.assert_close(cam.features(cam.prepare([picture])), seen[0])
    assert len(cam.classes) == 5


def test_to_cam_of_what_needs_none():
    model = create_model("resnet18", width=8, num_classes=3)
    with pytest.raises(ValueError, match="ResNet must be a GoogLeNet, or have features that end"):
        to_cam(model)


# As pictures.


def test_maps_of_a_picture(tmp_path):
    torch.manual_seed(0)
    model = create_model("vgg16_cam", num_classes=4, **SMALL_VGG)
    model.classes = ("bee", "cat", "dog", "eel")
    picture = torch.rand(3, 240, 300)
    found = class_maps(model, picture, ["dog", 0])
    assert isinstance(found, Attribution) and model.training
    assert found.targets == ("why dog", "why bee") and found.maps.shape == (2, 224, 224)
    with torch.no_grad():
        model.eval()
        x = model.prepare([picture])
        torch.testing.assert_close(found.cells, model.class_maps(x)[0, [2, 0]])
        torch.testing.assert_close(found.scores, model(x)[0, [2, 0]])
    expected = F.interpolate(found.cells[None], (224, 224), mode="bilinear")[0]
    torch.testing.assert_close(found.maps, expected)
    found.save(tmp_path / "dog.png")
    (likeliest,) = class_maps(model, picture).targets
    assert likeliest == f"why {model.predict(picture)[0].top(1)[0][0]}"


def test_maps_of_what_has_none():
    model = create_model("vgg16_cam", num_classes=4, **SMALL_VGG)
    for wrong in ("gnu", 4, -1):
        with pytest.raises(ValueError, match="classes must be names or 0 to 3, got"):
            class_maps(model, torch.rand(3, 64, 64), [wrong])
    with pytest.raises(TypeError, match=r"must be a classifier with class maps, .* got ResNet"):
        class_maps(create_model("resnet18", width=8), torch.rand(3, 64, 64))
