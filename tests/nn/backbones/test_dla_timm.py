"""The DLA trunk is timm's dla34, with its weights."""

import timm
import torch

from fastcv.nn.backbones.dla import DLATrunk


def test_dla34_of_the_same_weights():
    torch.manual_seed(0)
    peer = timm.create_model("dla34", num_classes=0)
    for norm in peer.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.normal_(std=0.1)
            norm.running_var.uniform_(0.5, 1.5)
    ours = DLATrunk()
    report = ours.load_state_dict(peer.state_dict(), strict=False)
    assert not report.unexpected_keys
    assert {key.rpartition(".project.")[0] for key in report.missing_keys} == {"level3", "level4"}
    ours.eval(), peer.eval()
    x = torch.randn(1, 3, 64, 96)
    got, want = ours(x)[-1], peer.forward_features(x)
    # Sixteen norms in a row: float32's rounding relative to the largest output.
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4 * want.detach().abs().max().item())
    for out in (got, want):
        out.square().mean().backward()
    grad = peer.get_parameter("level3.tree1.tree2.conv1.weight").grad
    torch.testing.assert_close(
        ours.level3.tree1.tree2.conv1.weight.grad,
        grad,
        rtol=1e-3,
        atol=1e-4 * float(grad.abs().max()),
    )
