"""ResNet against torchvision's: keys, logits, gradients; what their weights say of themselves."""

import pytest
import skimage.data
import torch
import torchvision.models as peers
from torchvision.transforms.functional import to_pil_image

from fastcv.models import create_model
from fastcv.models._registry import find_model

DEPTHS = (18, 34, 50, 101, 152)


@pytest.mark.parametrize("depth", DEPTHS)
def test_keys_and_shapes(depth):
    with torch.device("meta"):
        ours, peer = create_model(f"resnet{depth}"), getattr(peers, f"resnet{depth}")()
    expected = {k: v.shape for k, v in peer.state_dict().items()}
    assert {k: v.shape for k, v in ours.state_dict().items()} == expected


@pytest.mark.parametrize(
    ("depth", "options"),
    [
        (18, {}),
        (50, {"replace_stride_with_dilation": [False, True, True]}),
        (50, {"groups": 8, "width_per_group": 8}),
    ],
)
def test_same_logits_and_gradients(depth, options):
    torch.manual_seed(0)
    peer = getattr(peers, f"resnet{depth}")(num_classes=7, **options)
    ours = create_model(f"resnet{depth}", num_classes=7, **options)
    ours.load_state_dict(peer.state_dict())
    x = torch.randn(2, 3, 64, 64)
    logits, expected = ours(x), peer(x)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    ours.loss(logits, torch.tensor([1, 6]))["cross_entropy"].backward()
    torch.nn.functional.cross_entropy(expected, torch.tensor([1, 6])).backward()
    for name, parameter in peer.named_parameters():
        torch.testing.assert_close(
            ours.get_parameter(name).grad,
            parameter.grad,
            rtol=1e-3,
            atol=1e-4 * float(parameter.grad.abs().max()),
            msg=name,
        )
    ours.eval(), peer.eval()  # with the statistics that this step gathered
    with torch.no_grad():
        torch.testing.assert_close(ours(x), peer(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("depth", DEPTHS)
def test_what_is_known_of_the_weights(depth):
    theirs = {w.name: w for w in getattr(peers, f"ResNet{depth}_Weights")}
    ours = {w.name: w for w in find_model(f"resnet{depth}").weights}
    assert ours.keys() == theirs.keys()
    for name, w in ours.items():
        peer, preset = theirs[name], theirs[name].transforms()
        assert w.url == peer.url
        assert list(w.classes) == peer.meta["categories"]
        assert w.metric == peer.meta["_metrics"]["ImageNet-1K"]
        model = create_model("resnet18", width=1)
        preprocessing = {**model.preprocessing, **w.preprocessing}
        assert [preprocessing["resize"]] == preset.resize_size
        assert [preprocessing["crop"]] == preset.crop_size
        assert list(preprocessing["mean"]) == preset.mean
        assert list(preprocessing["std"]) == preset.std
        assert preprocessing["interpolation"] == preset.interpolation.value


@pytest.mark.parametrize("version", [0, 1])
def test_same_input_from_a_photograph(version):
    photograph = torch.tensor(skimage.data.coffee()).permute(2, 0, 1)  # 400 x 600
    weights = find_model("resnet50").weights[version]
    model = create_model("resnet18", width=1)
    model.preprocessing = {**model.preprocessing, **weights.preprocessing}
    got = model.prepare([photograph / 255])[0]
    preset = peers.ResNet50_Weights[weights.name].transforms()
    # They resize in steps of 1/255, and 1/255 is 0.02 in units of std.
    torch.testing.assert_close(got, preset(photograph), rtol=0, atol=0.02)
    torch.testing.assert_close(got, preset(to_pil_image(photograph)), rtol=0, atol=0.04)
