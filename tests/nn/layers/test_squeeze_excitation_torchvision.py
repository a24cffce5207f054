"""SqueezeExcitation against torchvision's."""

import torch
import torchvision.ops as peers

from fastcv.nn.layers.squeeze_excitation import SqueezeExcitation


def test_same_keys_and_numbers():
    torch.manual_seed(0)
    ours, peer = (
        SqueezeExcitation(16, 4, torch.nn.SiLU),
        peers.SqueezeExcitation(16, 4, activation=torch.nn.SiLU),
    )
    ours.load_state_dict(peer.state_dict())
    x = torch.randn(2, 16, 5, 7)
    torch.testing.assert_close(ours(x), peer(x))
    ours(x).square().sum().backward()
    peer(x).square().sum().backward()
    for key, parameter in peer.named_parameters():
        torch.testing.assert_close(ours.get_parameter(key).grad, parameter.grad)
