"""The pyramid against torchvision's; the keys of old checkpoints."""

import torch
from torchvision.ops import FeaturePyramidNetwork as Peer
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool as PeerMaxPool

from fastcv.nn.backbones.fpn import FeaturePyramidNetwork, LastLevelMaxPool


def test_same_maps_from_the_same_weights():
    channels = [4, 8, 12]
    ours, peer = (
        FeaturePyramidNetwork(channels, 6, LastLevelMaxPool()),
        Peer(channels, 6, PeerMaxPool()),
    )
    ours.load_state_dict(peer.state_dict())
    peer.load_state_dict(ours.state_dict())
    sizes = [(25, 34), (13, 17), (7, 9)]
    x = {
        str(i): torch.randn(2, c, *s) for i, (c, s) in enumerate(zip(channels, sizes, strict=True))
    }
    expected = peer(dict(x))
    out = ours(x)
    assert list(out) == list(expected)
    for name, want in expected.items():
        torch.testing.assert_close(out[name], want, rtol=1e-5, atol=1e-5)


def test_old_keys():
    peer = Peer([4, 8], 6)
    old = {
        key.replace(".0.weight", ".weight").replace(".0.bias", ".bias"): value
        for key, value in peer.state_dict().items()
    }
    assert "inner_blocks.1.weight" in old
    ours = FeaturePyramidNetwork([4, 8], 6)
    ours.load_state_dict(old)
    for key, value in peer.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value)
