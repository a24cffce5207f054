"""EfficientNet's compound scaling: the rule, and what was published of it."""

import pytest
import torch

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
