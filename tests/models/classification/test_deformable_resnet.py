"""A ResNet with deformable stages: it starts as the plain one, and its offsets learn."""

import pytest
import torch

from fastcv.models import create_model
from fastcv.models.classification.deformable_resnet import DeformableResNet
from fastcv.models.classification.resnet import ResNet
from fastcv.nn.layers.deform_conv import DeformConv2dPack


@pytest.mark.parametrize("name", ["resnet50_dcn", "resnet50_dcnv2"])
def test_is_the_plain_one_with_its_weights(name):
    torch.manual_seed(0)
    plain = create_model("resnet50", num_classes=5, width=8)
    model = create_model(name, num_classes=5, width=8)
    with torch.no_grad():
        for module in model.modules():  # what was there does not stay
            if isinstance(module, DeformConv2dPack):
                module.conv_offset.weight.fill_(1.0)
    model.load_state_dict(plain.state_dict())
    x, labels = torch.randn(2, 3, 64, 80), torch.tensor([1, 4])
    torch.testing.assert_close(model(x), plain(x), rtol=1e-4, atol=1e-4)
    for m in (model, plain):
        m.loss(m(x), labels)["cross_entropy"].backward()
    for key, parameter in plain.named_parameters():
        torch.testing.assert_close(
            model.get_parameter(key).grad,
            parameter.grad,
            rtol=1e-3,
            atol=1e-4 * float(parameter.grad.abs().max()),
            msg=key,
        )
    model.eval(), plain.eval()
    torch.testing.assert_close(model(x), plain(x), rtol=1e-4, atol=1e-4)


def test_which_convolutions_are_deformable():
    with torch.device("meta"):
        v1, v2 = create_model("resnet50_dcn"), create_model("resnet50_dcnv2")

    def deformable(model):
        return [k for k, m in model.named_modules() if isinstance(m, DeformConv2dPack)]

    assert deformable(v1) == [f"layer4.{i}.conv2" for i in range(3)]
    assert not v1.layer4[0].conv2.mask and v2.layer4[0].conv2.mask
    assert len(deformable(v2)) == 4 + 6 + 3
    assert v2.layer2[0].conv2.stride == (2, 2)


def test_own_state_dict_keeps_the_offsets_and_a_damaged_one_does_not_load():
    torch.manual_seed(0)
    model = DeformableResNet(50, num_classes=5, width=8)
    torch.nn.init.normal_(model.layer4[1].conv2.conv_offset.weight)
    state = model.state_dict()
    other = DeformableResNet(50, num_classes=5, width=8)
    other.load_state_dict(state)
    assert all(torch.equal(other.state_dict()[k], v) for k, v in state.items())
    del state["layer4.1.conv2.conv_offset.weight"]
    with pytest.raises(RuntimeError, match=r"layer4\.1\.conv2\.conv_offset\.weight"):
        other.load_state_dict(state)


def test_offsets_learn():
    torch.manual_seed(0)
    model = DeformableResNet(50, num_classes=2, width=8, mask=True)
    loss = model.loss(model(torch.randn(4, 3, 64, 64)), torch.tensor([0, 1, 0, 1]))
    loss["cross_entropy"].backward()
    assert all(m.conv2.conv_offset.weight.grad.abs().sum() > 0 for m in model.layer4)


def test_errors():
    with pytest.raises(ValueError, match="depth must be 50, 101 or 152, got 18"):
        DeformableResNet(18)
    with pytest.raises(ValueError, match=r"deformable_stages must be of 1 to 4, got \[4, 5\]"):
        DeformableResNet(50, deformable_stages=(4, 5))


def test_groups_stay():
    model = DeformableResNet(50, num_classes=2, width=16, groups=4, width_per_group=16)
    plain = ResNet(50, num_classes=2, width=16, groups=4, width_per_group=16)
    model.load_state_dict(plain.state_dict())
    model.eval(), plain.eval()
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(model(x), plain(x), rtol=1e-4, atol=1e-4)
