"""cosine_topk against torch: a product with all of the gallery, and the top k of each row."""

import pytest
import torch
from torch.nn import functional as F

import fastcv.ops as ops

# Queries, gallery, D, k: one sentence and some among 100,000 pictures; words' nearest words; COCO's
# 5,000 captions of a fold and 1,000 pictures.
SIZES = [
    (1, 100_000, 1024, 10),
    (100, 100_000, 1024, 10),
    (100, 400_000, 50, 10),
    (5000, 1000, 1024, 10),
]


def by_topk(queries, gallery, k):
    """The rows of the gallery have length 1 already."""
    return (F.normalize(queries, dim=1) @ gallery.T).topk(k, dim=1)


def rows(queries, gallery, d, device="cpu"):
    g = torch.Generator(device).manual_seed(0)
    both = torch.randn(queries + gallery, d, generator=g, device=device)
    return both[:queries], F.normalize(both[queries:], dim=1)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_cosine_topk(compare, threads, size):
    *shape, k = size
    queries, gallery = rows(*shape)
    compare(
        "cosine_topk",
        f"{shape[0]} queries, {shape[1]} x {shape[2]}, k = {k}",
        lambda: ops.cosine_topk(queries, gallery, k),
        lambda: by_topk(queries, gallery, k),
        peer_name="torch: matmul and topk",
        target=1,
    )
