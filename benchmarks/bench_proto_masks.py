"""proto_masks on what YOLACT leaves of a picture, against the chain of torch's operations."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import fastcv.ops as ops

SIZE = (550, 550)


def instances(n=100, k=32, side=138):
    """Smooth prototypes, coefficients, and boxes of 20 to 250 pixels."""
    g = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, k, 12, 12, generator=g)
    prototypes = F.interpolate(coarse, (side, side), mode="bicubic")[0].relu()
    low = torch.rand(n, 2, generator=g) * 400
    boxes = torch.cat([low, low + 20 + torch.rand(n, 2, generator=g) * 230], dim=1)
    return prototypes, torch.rand(n, k, generator=g) * 2 - 1, boxes


def torch_chain(prototypes, coefficients, boxes):
    """As YOLACT has it: product, sigmoid, crop, interpolate, compare."""
    height, width = prototypes.shape[1:]
    samples = torch.einsum("khw,nk->nhw", prototypes, coefficients).sigmoid()
    scale = torch.tensor([width / SIZE[1], height / SIZE[0]] * 2, device=boxes.device)
    x1, y1, x2, y2 = (boxes * scale)[:, :, None, None].unbind(1)
    x = torch.arange(width, device=boxes.device)
    y = torch.arange(height, device=boxes.device)[:, None]
    inside = (x >= x1 - 1) & (x < x2 + 1) & (y >= y1 - 1) & (y < y2 + 1)
    large = F.interpolate((samples * inside)[None], SIZE, mode="bilinear", align_corners=False)
    return large[0] > 0.5


def test_proto_masks(compare, threads):
    inputs = instances()
    differ = ops.proto_masks(*inputs, SIZE) != torch_chain(*inputs)
    assert differ.float().mean() < 1e-6  # ties
    compare(
        "proto_masks",
        "100 of 138^2 into 550 x 550",
        lambda: ops.proto_masks(*inputs, SIZE),
        lambda: torch_chain(*inputs),
        peer_name="torch's chain",
        target=4,
    )


def test_run_lengths(compare, threads):
    encode = pytest.importorskip("pycocotools.mask").encode
    inputs = instances()

    def encoded():
        return [encode(np.asfortranarray(mask)) for mask in torch_chain(*inputs).byte().numpy()]

    compare(
        "proto_masks",
        "100 of 138^2 into 550 x 550, as run lengths",
        lambda: ops.proto_masks(*inputs, SIZE, out="rle"),
        encoded,
        peer_name="torch's chain, pycocotools",
        target=4,
    )
