"""EfficientNet's compound scaling: the rule, and what was published of it."""

import pytest
import skimage.data
import torch
from real_weights import real_weights

import fastcv
from fastcv.models import create_model
from fastcv.models.classification.efficientnet import (
    SCALINGS,
    compound_scaling,
    scale_blocks,
)
from fastcv.nn.backbones.mobilenet_v2 import scale_channels


def test_operations_double_with_phi():
    for phi in range(1, 8):
        a, b = compound_scaling(phi - 1), compound_scaling(phi)
        ratio = [y / x for x, y in zip(a, b, strict=True)]
        assert ratio[0] ** 2 * ratio[1] * ratio[2] ** 2 == pytest.approx(1.92, abs=0.02)


def test_published_forms_are_near_the_rule():
    # B1 was published at half a step, B2 at one; from there on each letter is one step or less.
    for published, phi in zip(SCALINGS, (0, 0.5, 1, 2, 3.5, 5, 6, 7), strict=True):
        rule = compound_scaling(phi)
        assert published.width == pytest.approx(rule.width, rel=0.06)
        assert published.depth == pytest.approx(rule.depth, rel=0.14)
        assert published.resolution == pytest.approx(rule.resolution, rel=0.05)


def test_rounding():
    # B2's channels and blocks, as its checkpoints have them.
    assert [scale_channels(c, 1.1) for c in (32, 16, 24, 40, 80, 112, 192, 320)] == [
        32, 16, 24, 48, 88, 120, 208, 352,
    ]  # fmt: skip
    assert [scale_blocks(n, 1.2) for n in (1, 2, 2, 3, 3, 4, 1)] == [2, 3, 3, 4, 4, 5, 2]


def test_phi_builds_what_the_rule_says():
    with torch.device("meta"):
        model, b0 = create_model("efficientnet", phi=0), create_model("efficientnet_b0")
        larger = create_model("efficientnet", phi=2.0)
    assert {k: v.shape for k, v in model.state_dict().items()} == {
        k: v.shape for k, v in b0.state_dict().items()
    }
    assert larger.preprocessing["crop"] == 296 and len(larger.features[6]) == 6
    assert larger.features[7][0].block[-1][0].out_channels == 384  # 320 * 1.21 = 387


def test_stochastic_depth_grows_with_the_depth():
    with torch.device("meta"):
        model = create_model("efficientnet_b0", stochastic_depth=0.32)
    p = [block.stochastic_depth.p for stage in model.features[1:8] for block in stage]
    assert p == pytest.approx([0.32 * i / 16 for i in range(16)])


# Lite0.


def test_lite0s_size():
    with torch.device("meta"):
        model = create_model("efficientnet_lite0")
    assert sum(p.numel() for p in model.parameters()) == 4_652_008
    # What is shifted and scaled is 0 to 255: (x - 127) / 128.
    mean, std = (model.preprocessing[key] for key in ("mean", "std"))
    assert [255 * m for m in mean] == pytest.approx([127] * 3)
    assert [255 * s for s in std] == pytest.approx([128] * 3)


def lukemelas_names(model, gates):
    """The names that the other implementation gives to the weights, in the order of ours."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = ["_conv_stem.weight", *(f"_bn0.{n}" for n in norm)]
    number = 0
    for stage, blocks in enumerate(model.features[1:8]):
        for _ in blocks:
            inside = ["_expand_conv.weight", *(f"_bn0.{n}" for n in norm)] if stage > 0 else []
            inside += ["_depthwise_conv.weight", *(f"_bn1.{n}" for n in norm)]
            if gates:
                layers = ("_se_reduce", "_se_expand")
                inside += [f"{layer}.{n}" for layer in layers for n in ("weight", "bias")]
            inside += ["_project_conv.weight", *(f"_bn2.{n}" for n in norm)]
            names += [f"_blocks.{number}.{name}" for name in inside]
            number += 1
    return [*names, "_conv_head.weight", *(f"_bn1.{n}" for n in norm), "_fc.weight", "_fc.bias"]


@pytest.mark.parametrize(
    ("name", "gates"),
    [("efficientnet_b0", True), ("efficientnet_b3", True), ("efficientnet_lite0", False)],
)
def test_lukemelas_keys_are_renamed(name, gates):
    with torch.device("meta"):
        model = create_model(name)
    ours, theirs = list(model.state_dict()), lukemelas_names(model, gates)
    assert [model.rename_key(key) for key in theirs] == ours
    assert [model.rename_key(key) for key in ours] == ours


def test_optimized_and_exported_lite0_say_the_same():
    torch.manual_seed(0)
    model = create_model("efficientnet_lite0", num_classes=5).eval()
    for m in model.modules():  # statistics as after training
        if isinstance(m, torch.nn.BatchNorm2d):
            m.running_mean.normal_(std=0.1)
            m.running_var.uniform_(0.5, 1.5)
    x = torch.randn(2, 3, 64, 48)
    exported = torch.export.export(model, (x,)).module()
    with torch.no_grad():
        want = model(x)
        torch.testing.assert_close(exported(x), want)
        scale = float(want.abs().max())
        torch.testing.assert_close(fastcv.optimize(model)(x), want, rtol=1e-4, atol=1e-4 * scale)


def test_real_weights_on_photographs():
    model = create_model("efficientnet_lite0", weights=real_weights("efficientnet_lite0"))
    coffee, cat = model.predict([skimage.data.coffee(), skimage.data.chelsea()])
    assert coffee.top(1) == [("espresso", pytest.approx(0.96, abs=0.02))]
    assert {name for name, _ in cat.top(3)} == {"Egyptian cat", "tiger cat", "tabby"}
