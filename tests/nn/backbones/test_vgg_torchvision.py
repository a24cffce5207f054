"""The VGG trunk against torchvision's convolutions."""

import pytest
import torch
import torchvision

from fastcv.nn.backbones.vgg import VGGTrunk


@pytest.mark.parametrize(
    ("depth", "batch_norm", "build"),
    [
        (11, False, torchvision.models.vgg11),
        (13, True, torchvision.models.vgg13_bn),
        (16, False, torchvision.models.vgg16),
        (19, False, torchvision.models.vgg19),
    ],
)
def test_keys_and_shapes(depth, batch_norm, build):
    with torch.device("meta"):
        peer, ours = build(weights=None), VGGTrunk(depth, batch_norm=batch_norm)
    state = {k: v.shape for k, v in peer.state_dict().items() if k.startswith("features")}
    assert {k: v.shape for k, v in ours.state_dict().items()} == state


def test_same_maps_from_the_same_weights():
    torch.manual_seed(0)
    ours = VGGTrunk(16)
    with torch.device("meta"):
        peer = torchvision.models.vgg16(weights=None).features
    peer.load_state_dict(ours.features.state_dict(), assign=True)
    x = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        maps, want = ours(x), peer(x)
    assert [tuple(m.shape[1:]) for m in maps] == [
        (64, 32, 48),
        (128, 16, 24),
        (256, 8, 12),
        (512, 4, 6),
        (512, 2, 3),
    ]
    torch.testing.assert_close(torch.max_pool2d(maps[-1], 2), want)


def test_errors():
    with pytest.raises(ValueError, match=r"depth must be one of \[11, 13, 16, 19\], got 17"):
        VGGTrunk(17)
