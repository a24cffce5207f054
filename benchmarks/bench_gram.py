"""Gram matrices of VGG's layers, as style transfer takes them, against the product of matrices."""

import pytest
import torch

import fastcv.ops as ops

LAYERS = [(64, 256), (256, 128), (512, 64)]


def by_bmm(x):
    f = x.flatten(2)
    return torch.bmm(f, f.mT) / f[0].numel()


def features(channels=256, side=128):
    return torch.randn(4, channels, side, side, generator=torch.Generator().manual_seed(0))


def against_bmm(compare, x, work, target):
    compare(
        "gram_matrix",
        work,
        lambda: ops.gram_matrix(x),
        lambda: by_bmm(x),
        peer_name="torch.bmm",
        target=target,
    )


@pytest.mark.parametrize("channels, side", LAYERS)
def test_gram_matrix(compare, threads, channels, side):
    target = {64: 1.5, 256: 1.8, 512: 1.8}[channels]
    against_bmm(compare, features(channels, side), f"4 x {channels} x {side}^2", target)


def test_gram_matrix_channels_last(compare, threads):
    x = features().contiguous(memory_format=torch.channels_last)
    against_bmm(compare, x, "4 x 256 x 128^2, channels_last", 1.8)


def test_gram_matrix_in_bfloat16(compare, threads):
    against_bmm(compare, features().bfloat16(), "4 x 256 x 128^2, bfloat16", 1.5)


def test_gram_matrix_forward_and_backward(compare, threads):
    x = features().requires_grad_()

    def both(gram):
        return torch.autograd.grad(gram(x).square().sum(), x)

    compare(
        "gram_matrix",
        "4 x 256 x 128^2, forward and backward",
        lambda: both(ops.gram_matrix),
        lambda: both(by_bmm),
        peer_name="torch.bmm",
        target=1.5,
    )
