"""Gram matrices of VGG's layers, as style transfer takes them, against the product of matrices."""

import pytest
import torch

import fastcv.ops as ops

LAYERS = [(64, 256), (256, 128), (512, 64)]


def by_bmm(x):
    f = x.flatten(2)
    return torch.bmm(f, f.mT) / f[0].numel()


@pytest.mark.parametrize("channels, side", LAYERS)
def test_gram_matrix(compare, threads, channels, side):
    x = torch.randn(4, channels, side, side, generator=torch.Generator().manual_seed(0))
    compare(
        "gram_matrix",
        f"4 x {channels} x {side}^2",
        lambda: ops.gram_matrix(x),
        lambda: by_bmm(x),
        peer_name="torch.bmm",
        target={64: 1.5, 256: 1.8, 512: 1.8}[channels],
    )


def test_gram_matrix_channels_last(compare, threads):
    x = torch.randn(4, 256, 128, 128, generator=torch.Generator().manual_seed(0))
    x = x.contiguous(memory_format=torch.channels_last)
    compare(
        "gram_matrix",
        "4 x 256 x 128^2, channels_last",
        lambda: ops.gram_matrix(x),
        lambda: by_bmm(x),
        peer_name="torch.bmm",
        target=1.8,
    )


def test_gram_matrix_in_bfloat16(compare, threads):
    x = torch.randn(4, 256, 128, 128, generator=torch.Generator().manual_seed(0)).bfloat16()
    compare(
        "gram_matrix",
        "4 x 256 x 128^2, bfloat16",
        lambda: ops.gram_matrix(x),
        lambda: by_bmm(x),
        peer_name="torch.bmm",
        target=1.5,
    )


def test_gram_matrix_forward_and_backward(compare, threads):
    x = torch.randn(4, 256, 128, 128, generator=torch.Generator().manual_seed(0)).requires_grad_()

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
