"""DLA: how its trees are wired, and what its decoder merges."""

import torch

from fastcv.nn.backbones.dla import DLAUp, Tree
from fastcv.nn.backbones.resnet_dcn import ResNetDCN


def test_a_tree_of_one_level():
    torch.manual_seed(0)
    tree, x = Tree(1, 4, 6, stride=2, keeps_input=True).eval(), torch.randn(1, 4, 8, 8)
    small = torch.nn.functional.max_pool2d(x, 2)
    first = tree.tree1(x, tree.project(small))
    second = tree.tree2(first, first)
    torch.testing.assert_close(tree(x), tree.root([second, first, small]))


def test_a_tree_of_two_levels():
    """The second subtree's root joins its own two blocks, the input, and the first subtree."""
    torch.manual_seed(0)
    tree, x = Tree(2, 4, 6, stride=2, keeps_input=True).eval(), torch.randn(1, 4, 8, 8)
    small = torch.nn.functional.max_pool2d(x, 2)
    first = tree.tree1(x)
    one = tree.tree2.tree1(first, first)
    two = tree.tree2.tree2(one, one)
    assert tree.tree2.root.conv.in_channels == 2 * 6 + 4 + 6
    torch.testing.assert_close(tree(x), tree.tree2.root([two, one, small, first]))


def test_strides_and_learning():
    torch.manual_seed(0)
    network = DLAUp(channels=(4, 4, 8, 12, 16, 20))
    x = torch.rand(2, 3, 64, 96)
    assert [x.shape[3] for x in network.base(x)] == [96, 48, 24, 12, 6, 3]
    (out,) = network(x)
    assert out.shape == (2, 8, 16, 24)
    out.square().sum().backward()
    # Projections of trees of two levels are in the checkpoints, and read by nothing.
    unread = {f"base.level{i}.project" for i in (3, 4)}
    for key, parameter in network.named_parameters():
        assert (parameter.grad is None) == any(key.startswith(u + ".") for u in unread), key


def test_up_starts_as_bilinear():
    up = DLAUp(channels=(4, 4, 4, 4, 4, 4)).ida_up.up_2
    assert up.kernel_size == (8, 8) and up.stride == (4, 4)
    ones = up(torch.ones(1, 4, 5, 5))
    torch.testing.assert_close(ones[..., 4:-4, 4:-4], torch.ones(1, 4, 12, 12))


def test_resnet_dcn_masks_have_no_factor():
    """They were trained with a plain sigmoid: a mask starts at one half."""
    network = ResNetDCN(18, up_channels=(8, 8, 4), width=4)
    (out,) = network(torch.rand(1, 3, 64, 32))
    assert out.shape == (1, 4, 16, 8)
    assert [network.deconv_layers[i].mask_scale for i in (0, 6, 12)] == [1.0] * 3
