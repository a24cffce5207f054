"""vq_codes against torch: all distances, their least, and a product with one-hot rows."""

import pytest
import torch
from torch.nn import functional as F

import fastcv.ops as ops

# Frames, codes, numbers: eight spoken captions behind ResDAVEnet's first and second layer, and
# rows as long as its last.
SIZES = [(16_384, 1024, 128), (16_384, 1024, 256), (16_384, 1024, 512), (16_384, 1024, 1024)]


def by_cdist(vectors, codebook):
    codes = torch.cdist(vectors, codebook).argmin(dim=1)
    hot = F.one_hot(codes, len(codebook)).to(vectors.dtype)
    return codes, hot.sum(dim=0), hot.T @ vectors


def frames_and_codes(count, size, d, device="cpu"):
    g = torch.Generator(device).manual_seed(0)
    both = torch.randn(count + size, d, generator=g, device=device)
    return both[:count], both[count:]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_vq_codes(compare, threads, size):
    vectors, codebook = frames_and_codes(*size)
    compare(
        "vq_codes",
        f"{size[0]} vectors, {size[1]} x {size[2]}",
        lambda: ops.vq_codes(vectors, codebook),
        lambda: by_cdist(vectors, codebook),
        peer_name="torch: cdist, argmin, one_hot and matmul",
        target=3,
    )
